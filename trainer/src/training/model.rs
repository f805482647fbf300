//! What is trained: an encoder and the losses that pull at it.

use std::path::Path;

use candle_core::Device;

use super::gradient::kernels;
use crate::checkpoint;
use crate::collate::Batch;
use crate::encoder::{Encoder, EncoderOptions};
use crate::gradcache::Objective;
use crate::losses::mlm::Mlm;
use crate::losses::retromae::RetroMae;
use crate::losses::{Loss, Offer, TokenLoss};
use crate::model::check_vocabulary;
use crate::parameters::Parameters;
use crate::recipe::Recipe;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// An encoder and the losses that pull at it.
pub struct Model {
    /// The encoder.
    pub encoder: Encoder,
    /// The loss over vectors; none where only token losses train.
    pub loss: Option<Box<dyn Loss>>,
    /// Losses over states of tokens, which know their weights.
    pub token_losses: Vec<Box<dyn TokenLoss>>,
}

impl Model {
    /// Opens the encoder that a recipe names and makes its losses.
    ///
    /// # Errors
    /// The recipe lacks a table, or files of the model are not what they must be.
    pub fn open(recipe: &Recipe, device: &Device) -> Result<Model> {
        recipe.check_training().map_err(Error::Usage)?;
        let (seed, folder) = (recipe.seed, Path::new(&recipe.tokenizer.path));
        let encoder = recipe.encoder.as_ref();
        let encoder = open_encoder(encoder.expect("it was checked"), seed, device)?;
        let tokenizer = Tokenizer::open(folder)?;
        check_vocabulary(&encoder, &tokenizer, folder)?;
        let (wanted, most) = (recipe.tokenizer.length_max, encoder.config.length_max());
        if wanted > most {
            return Err(Error::Usage(format!(
                "[tokenizer] length_max = {wanted}: the model has {most} positions; at most so many \
                 are accepted"
            )));
        }
        let loss = recipe.loss.as_ref();
        let loss = loss.map(|loss| loss.build(encoder.dimension(), seed, device));
        let mut token_losses: Vec<Box<dyn TokenLoss>> = Vec::new();
        if let Some(options) = &recipe.mlm {
            let mlm = Mlm::new(options, &encoder, &encoder.spare, &tokenizer, seed)?;
            token_losses.push(Box::new(mlm));
        }
        if let Some(options) = &recipe.retromae {
            let retromae = RetroMae::new(options, &encoder, &encoder.spare, &tokenizer, seed)?;
            token_losses.push(Box::new(retromae));
        }
        Ok(Model {
            loss: loss.transpose()?,
            encoder,
            token_losses,
        })
    }

    /// Whether losses of different steps can be compared.
    pub fn steady(&self) -> bool {
        self.loss.as_ref().is_none_or(|loss| loss.steady())
    }

    /// All that is trained, by name.
    pub fn parameters(&self) -> Parameters {
        let mut all = self.encoder.parameters.clone();
        all.extend(&self.heads());
        all
    }

    /// What is trained besides the encoder. A token loss may share parameters of the encoder; these
    /// are the encoder's.
    pub fn heads(&self) -> Parameters {
        let mut all = Parameters::default();
        if let Some(loss) = &self.loss {
            all.extend(&loss.parameters());
        }
        for loss in &self.token_losses {
            all.extend(&loss.parameters());
        }
        let mut own = Parameters::default();
        for parameter in all.iter() {
            if self.encoder.parameters.get(&parameter.name).is_none() {
                own.share(parameter.clone());
            }
        }
        own
    }

    /// Lets a function have what gradients are computed from; `keys` is the momentum encoder.
    pub fn with_objective<T>(
        &self,
        keys: Option<&Encoder>,
        chunk: usize,
        work: impl FnOnce(&Objective<'_>) -> T,
    ) -> T {
        let token_losses: Vec<&dyn TokenLoss> =
            self.token_losses.iter().map(|loss| &**loss).collect();
        work(&Objective {
            encoder: &self.encoder,
            keys,
            loss: self.loss.as_deref(),
            token_losses: &token_losses,
            kernels: kernels(self.encoder.device()),
            chunk,
        })
    }

    /// Refuses batches that the losses cannot be computed from; `batch` is one of them.
    ///
    /// # Errors
    /// The loss's own words.
    pub fn check(&self, batch: &Batch) -> Result<()> {
        if let Some(loss) = &self.loss {
            let checked = loss.check(&offer(batch));
            checked.map_err(|message| match message.starts_with('[') {
                true => Error::Usage(message),
                false => Error::Usage(format!("[loss] {message}")),
            })?;
        }
        let words = batch.columns.iter().all(|column| column.word_ids.is_some());
        for loss in &self.token_losses {
            let checked = loss.check(&self.encoder, words);
            checked.map_err(Error::Usage)?;
        }
        Ok(())
    }
}

/// Opens the encoder that options name: a folder, or a checkpoint of a run.
fn open_encoder(options: &EncoderOptions, seed: u64, device: &Device) -> Result<Encoder> {
    let path = Path::new(&options.path);
    if checkpoint::is_run(path) {
        // The recipe had this replaced if there were a checkpoint.
        let dir = checkpoint::find(path, checkpoint::Step::Latest)?;
        let path = dir.to_string_lossy().into_owned();
        let options = EncoderOptions {
            path,
            ..options.clone()
        };
        return open_encoder(&options, seed, device);
    }
    if !checkpoint::is_checkpoint(path) {
        return options.open(seed, device);
    }
    let files = checkpoint::weight_files(path);
    let mut encoder = options.open_files(files, seed, device)?;
    let weights = checkpoint::weights(path);
    encoder.messages.push(format!(
        "{}: begins with the weights of {weights}",
        path.display()
    ));
    Ok(encoder)
}

/// What batches like this one offer to a loss.
pub fn offer(batch: &Batch) -> Offer {
    let columns = batch.columns.iter();
    Offer {
        columns: columns.map(|column| (column.name, column.views)).collect(),
        scores: !batch.scores.is_empty(),
        labels: !batch.labels.is_empty(),
        teacher: !batch.teacher.is_empty(),
    }
}
