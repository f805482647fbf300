//! Losses: from the vectors of a batch, or the states of its tokens, to one number.
//!
//! ```text
//! Batch ─▶ Encoder ─▶ vectors of each column ─▶ Loss ─▶ Output      contrastive, scored, distilled
//!             └────▶ states of tokens ────────▶ TokenLoss ─▶ Output  masked language models
//! ```
//! A [`Loss`] sees vectors, never the encoder: so GradCache can give it the vectors of a batch whose
//! states would not fit into memory, and a check can give it any vectors at all.
//!
//! Losses over a similarity matrix say with [`Masks`] what is drawn to what and leave the rest to
//! [`Matrix`]; losses over a few similarities work out value and gradient on the host and [`attach`]
//! them. A new loss is a file with options, their checks and their way to a [`Loss`], and a line in
//! the list at the end.

pub mod initial;
pub mod masks;
pub mod mlm;
pub mod retromae;
pub mod vocabulary;

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::collate::Batch;
use crate::encoder::{Encoder, Pass, Sequences};
use crate::parameters::Parameters;

mod attach;
mod contrastive;
mod matrix;
mod pairs;
mod scale;
mod scored;
mod teacher;

pub use attach::{attach, on_host};
pub use matrix::{Contrast, Masks, Matrix, Positives, Similarity};
pub use scale::{Learned, Scale, Scaled};

/// The vectors of one column, as the encoder's pooling and head left them: not normalised.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Name of the column.
    pub name: &'static str,
    /// View blocks: augmented ones, copies, the texts themselves last.
    pub views: usize,
    /// Texts in a view block.
    pub texts: usize,
    /// Row `block * texts + row` is text `row` of a view block. `[views * texts, D]`
    pub vectors: Tensor,
}

/// What a [`Loss`] is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Columns in the order of the batch.
    pub columns: &'a [Embedded],
    /// The vectors of the same columns by the momentum encoder, without gradients; only for losses
    /// that want them.
    pub keys: Option<&'a [Embedded]>,
    /// The batch itself: masks, labels, scores. Its token ids may be gone.
    pub batch: &'a Batch,
}

/// What the tensors of a loss are made for.
#[derive(Clone, Debug)]
pub struct Place {
    /// Width of the vectors that it will see.
    pub dimension: usize,
    /// The seed of the training.
    pub seed: u64,
    /// Where the vectors are.
    pub device: Device,
}

/// The options of a loss: what the list at the end of this file is made of.
trait Make {
    /// Checks the values of the options.
    fn check(&self) -> std::result::Result<(), String>;

    /// The loss with its tensors as a training begins.
    fn build(&self, place: &Place) -> Result<Box<dyn Loss>>;
}

/// What came of a loss.
#[derive(Clone, Debug)]
pub struct Output {
    /// The loss, a scalar with gradients.
    pub loss: Tensor,
    /// Figures for the log: name and value, such as the share of rows whose positive is nearest.
    pub figures: Vec<(&'static str, f64)>,
}

/// What a dataset and a recipe offer to a loss.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// Columns of texts, with the number of their view blocks.
    pub columns: Vec<(&'static str, usize)>,
    /// Whether records have scores.
    pub scores: bool,
    /// Whether records have labels.
    pub labels: bool,
    /// Whether a teacher scored the documents of records.
    pub teacher: bool,
}

/// A loss over vectors.
pub trait Loss: Send {
    /// Refuses what it cannot be computed from, before the first step.
    ///
    /// # Errors
    /// The columns that are wanted and those that there are.
    fn check(&self, offer: &Offer) -> std::result::Result<(), String>;

    /// The loss of a batch. Called with the same inputs it gives the same; state moves in
    /// [`Loss::advance`] only.
    ///
    /// # Errors
    /// Shapes do not fit.
    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output>;

    /// Called once after each step of the optimizer: queues take the keys of the batch.
    ///
    /// # Errors
    /// Shapes do not fit.
    fn advance(&mut self, _inputs: &Inputs<'_>) -> Result<()> {
        Ok(())
    }

    /// Its own trained tensors, such as a learned scale.
    fn parameters(&self) -> Parameters {
        Parameters::default()
    }

    /// Called after each step of the optimizer: brings parameters back into their range.
    ///
    /// # Errors
    /// The device fails.
    fn clamp(&self) -> Result<()> {
        Ok(())
    }

    /// With how much momentum the encoder of the keys follows; none where no keys are wanted.
    fn momentum(&self) -> Option<f64> {
        None
    }

    /// Whether values of different steps can be compared; not while a queue fills, which makes each
    /// step harder than the one before.
    fn steady(&self) -> bool {
        true
    }

    /// Whether its gradient is that of its value; a loss that takes a part of its value for a
    /// constant has another one, which finite differences do not know.
    fn differentiable(&self) -> bool {
        true
    }

    /// What a checkpoint keeps of it besides parameters: queues and their pointers, by name.
    fn state(&self) -> BTreeMap<String, Tensor> {
        BTreeMap::new()
    }

    /// Goes on from what [`Loss::state`] gave.
    ///
    /// # Errors
    /// Something is missing or has another shape.
    fn restore(&mut self, _state: &BTreeMap<String, Tensor>) -> Result<()> {
        Ok(())
    }
}

/// A loss over the states of tokens: it runs the encoder itself, over ids that it masked.
///
/// Its value is a sum of means over labels; given the number of labels of the whole step, what comes
/// of the parts of a batch adds up to the whole, figures too.
pub trait TokenLoss: Send {
    /// Refuses what it cannot be computed from, before the first step.
    ///
    /// # Errors
    /// What is wanted.
    fn check(&self, encoder: &Encoder, words: bool) -> std::result::Result<(), String>;

    /// How many labels of each kind these sequences have in a step: what its sums over the whole
    /// batch are divided by.
    fn labels(&self, sequences: &Sequences, step_key: u64) -> Vec<usize>;

    /// The share of some sequences in the loss of a step whose sequences have `labels` in all, with
    /// the weight that the recipe gives it; masks follow from `step_key` and the numbers of the
    /// sequences alone.
    ///
    /// # Errors
    /// The device fails.
    fn forward(
        &self,
        encoder: &Encoder,
        sequences: &Sequences,
        labels: &[usize],
        step_key: u64,
        pass: &Pass,
    ) -> Result<Output>;

    /// Its own trained tensors: a head, a decoder.
    fn parameters(&self) -> Parameters;
}

/// Turns each line into a module, a variant of the options and a way to the loss.
macro_rules! losses {
    ($($(#[$doc:meta])* $module:ident :: $name:ident),* $(,)?) => {
        $(mod $module; pub use $module::$name;)*

        /// The table `[loss]`: a loss by its `name`, with its own keys.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name", rename_all = "snake_case")]
        pub enum Options { $($(#[$doc])* $name($name),)* }

        impl Options {
            fn make(&self) -> &dyn Make {
                match self { $(Options::$name(options) => options,)* }
            }
        }
    };
}

losses! {
    /// One direction, hard negatives with a weight (SimCSE).
    info_nce::InfoNce,
    /// Both directions in one matrix of 2B (SimCLR).
    nt_xent::NtXent,
    /// One direction, scale 20 (sentence-transformers).
    multiple_negatives_ranking::MultipleNegativesRanking,
    /// Mean of both directions (1B pairs, cpt-text).
    symmetric::Symmetric,
    /// Many views, all of them positives (LUSE's "mpmn").
    luse::Luse,
    /// Many views, each entry of the matrix a yes or no (LUSE's "bce").
    luse_bce::LuseBce,
    /// Equal labels, or views, are positives (SupCon).
    sup_con::SupCon,
    /// Negatives from a queue of keys (MoCo).
    moco::Moco,
    /// Order of the scores of pairs (CoSENT).
    cosent::Cosent,
    /// Scores of pairs as probabilities.
    cosine_bce::CosineBce,
    /// Scores of pairs as cosines.
    cosine_mse::CosineMse,
    /// Differences of a teacher's scores.
    margin_mse::MarginMse,
    /// A teacher's distribution over documents.
    distillation::Distillation,
    /// Any loss, and the same on perturbed vectors.
    adversarial::Adversarial,
    /// Any loss, on the first dimensions as well.
    matryoshka::Matryoshka,
}

impl Default for Options {
    fn default() -> Options {
        Options::Luse(Luse::default())
    }
}

impl Options {
    /// Checks the values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> std::result::Result<(), String> {
        let checked = self.make().check();
        checked.map_err(|message| format!("[loss] {message}"))
    }

    /// The loss, for vectors of this width on this device.
    ///
    /// # Errors
    /// The width does not fit the options, or the device has no memory left.
    pub fn build(&self, dimension: usize, seed: u64, device: &Device) -> Result<Box<dyn Loss>> {
        self.make().build(&Place {
            dimension,
            seed,
            device: device.clone(),
        })
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
