//! Encoders of the BERT family: from token ids to one vector for each sequence, with dropout and
//! gradients.
//!
//! ```text
//! Sequences ─▶ embeddings ─▶ layer × n ─▶ states [T, H] ─▶ pooling ─▶ projection, head ─▶ [rows, D]
//!
//! folder ─▶ config_file, files, pickle ─┐
//! sizes ──▶ start ──────────────────────┴▶ options ─▶ Encoder
//! ```
//! Tokens of all sequences lie one after another (`T` in all); there is no padding, so no mask and
//! no work on it. Each part is written twice: of candle's own operations, which run on any device
//! and have candle's gradients (`Kernels::Plain`), and fused for the CPU (`Kernels::Fused`). The
//! gradient doctor compares the two before every training.

mod config;
pub mod config_file;
mod dense;
mod embeddings;
pub mod files;
mod fused;
mod head;
mod layer;
pub mod modules;
pub mod ops;
pub mod options;
mod pickle;
mod pooling;
mod sequences;
pub mod start;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use crate::Result;
use crate::kernels::dropout::Dropout;
use crate::parameters::{Parameter, Parameters};

pub use config::{Config, MODEL_TYPES};
pub use dense::{Dense, Projection};
pub use head::{Head, Output, normalized};
pub use options::EncoderOptions;
pub use pooling::Pooling;
pub use sequences::Sequences;

use embeddings::Embeddings;
pub(crate) use layer::{Layer, Pair};

/// How operations are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernels {
    /// By candle's own operations: any device.
    Plain,
    /// By ours: the CPU.
    #[default]
    Fused,
}

/// One pass through a model.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// How operations are done.
    pub kernels: Kernels,
    /// In training, what the dropout of this step follows from; none without dropout.
    pub dropout: Option<u64>,
    /// Whether a backward pass follows; else nothing is kept for one.
    pub tracked: bool,
}

/// Places of a model where dropout happens: numbers that keep their draws apart.
#[derive(Clone, Copy, Debug)]
pub enum Site {
    /// After the embeddings.
    Embeddings,
    /// On the attention of a layer.
    Attention(usize),
    /// After the attention of a layer.
    AttentionOutput(usize),
    /// After the feed-forward part of a layer.
    Output(usize),
    /// Elsewhere: a head, a decoder.
    Other(u64),
}

/// A model: its sizes and its parameters.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// Sizes and switches.
    pub config: Config,
    /// How states become one vector.
    pub pooling: Pooling,
    /// What follows the pooling.
    pub output: Output,
    /// All parameters.
    pub parameters: Parameters,
    /// Tensors of the folder it came from that it does not train, f32, on the CPU: the pooler where
    /// no pooling wants it, and the head of its masked language model by BERT's names
    /// (`cls.predictions.*`, without the decoder, which is the word embeddings).
    pub spare: BTreeMap<String, Tensor>,
    /// What is to be said of the folder it came from: keys that nobody knows, tensors not used.
    pub messages: Vec<String>,
    tail: head::Layers,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    device: Device,
}

/// The states of all tokens after some layers.
#[derive(Clone, Debug)]
pub struct States {
    /// After the embeddings, then after each layer; those that nobody wanted are left out. `[T, H]` each
    pub layers: Vec<Option<Tensor>>,
}

impl Pass {
    /// A pass of a training step; `step_key` folds the seed and the step.
    pub fn training(kernels: Kernels, step_key: u64) -> Pass {
        Pass {
            kernels,
            dropout: Some(step_key),
            tracked: true,
        }
    }

    /// A pass without dropout and without gradients.
    pub fn inference(kernels: Kernels) -> Pass {
        Pass {
            kernels,
            dropout: None,
            tracked: false,
        }
    }

    /// The same pass with nothing kept for a backward pass.
    pub fn untracked(self) -> Pass {
        Pass {
            tracked: false,
            ..self
        }
    }

    /// The dropout of a place with probability `p`; none without training or where p is 0.
    pub fn dropout(&self, p: f32, site: Site) -> Option<Dropout> {
        let key = self.dropout.filter(|_| p > 0.0)?;
        Some(Dropout::new(p, key, site.number()))
    }
}

impl Site {
    fn number(self) -> u64 {
        match self {
            Site::Embeddings => 0,
            Site::Attention(layer) => 3 * layer as u64 + 1,
            Site::AttentionOutput(layer) => 3 * layer as u64 + 2,
            Site::Output(layer) => 3 * layer as u64 + 3,
            Site::Other(number) => (1 << 32) + number,
        }
    }
}

impl States {
    /// After the last layer. `[T, H]`
    pub fn last(&self) -> &Tensor {
        let last = self.layers.last().and_then(Option::as_ref);
        last.expect("the last states are always kept")
    }
}

impl Encoder {
    /// A model of these sizes whose parameters are taken by name; `parameters` may hold more.
    /// Nothing follows its pooling.
    ///
    /// # Errors
    /// A parameter is missing or has another shape; both shapes are named.
    pub fn new(config: Config, pooling: Pooling, parameters: Parameters) -> Result<Encoder> {
        let take = |name: &str, shape: &[usize]| take(&parameters, name, shape);
        let embeddings = Embeddings::new(&config, &take)?;
        let layers = (0..config.num_hidden_layers).map(|number| {
            Layer::new(number, &config, &|name, shape| {
                let name = format!("encoder.layer.{number}.{name}");
                let bias = take(&format!("{name}.bias"), &shape[..1])?;
                Ok((take(&format!("{name}.weight"), shape)?, bias))
            })
        });
        let layers = layers.collect::<Result<_>>()?;
        let output = Output::default();
        let tail = head::Layers::new(&output, &config, pooling, &parameters)?;
        let first = parameters.iter().next();
        let device = first.map_or(Device::Cpu, |first| first.tensor().device().clone());
        Ok(Encoder {
            config,
            pooling,
            output,
            tail,
            embeddings,
            layers,
            parameters,
            spare: BTreeMap::new(),
            messages: Vec::new(),
            device,
        })
    }

    /// The same model with something after its pooling, whose parameters it must have.
    ///
    /// # Errors
    /// A parameter is missing or has another shape; both shapes are named.
    pub fn with_output(mut self, output: Output) -> Result<Encoder> {
        self.tail = head::Layers::new(&output, &self.config, self.pooling, &self.parameters)?;
        self.output = output;
        Ok(self)
    }

    /// Length of its vectors, `D`.
    pub fn dimension(&self) -> usize {
        self.tail.dimension
    }

    /// The same model over a copy of its parameters.
    ///
    /// # Errors
    /// The device has no memory left.
    pub fn copy(&self) -> Result<Encoder> {
        let parameters = self.parameters.copy()?;
        let copy = Encoder::new(self.config.clone(), self.pooling, parameters)?;
        let copy = copy.with_output(self.output.clone())?;
        Ok(Encoder {
            spare: self.spare.clone(),
            messages: self.messages.clone(),
            ..copy
        })
    }

    /// Where its parameters are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The embeddings of all tokens, as the first layer gets them. `[T, H]`
    ///
    /// # Errors
    /// As [`Encoder::states`].
    pub fn embeddings(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        self.config.check(sequences)?;
        self.embeddings.forward(sequences, pass)
    }

    /// States of all tokens: those after the last layer, and of those before what `wanted` picks
    /// (0 the embeddings, i the i-th layer).
    ///
    /// # Errors
    /// A token id or a length is beyond the model; or the device fails.
    pub fn states(
        &self,
        sequences: &Sequences,
        pass: &Pass,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<States> {
        self.config.check(sequences)?;
        let last = self.layers.len();
        let mut state = self.embeddings.forward(sequences, pass)?;
        let mut layers = Vec::with_capacity(last + 1);
        for (number, layer) in self.layers.iter().enumerate() {
            let next = layer.forward(&state, sequences, pass)?;
            layers.push(wanted(number).then_some(state));
            state = next;
        }
        layers.push(Some(state));
        Ok(States { layers })
    }

    /// One vector for each sequence, as a loss wants it: with the head, not normalised. `[rows, D]`
    ///
    /// # Errors
    /// As [`Encoder::states`].
    pub fn embed(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        let vectors = self.pooled(sequences, pass)?;
        self.tail.headed(vectors, pass.kernels)
    }

    /// One vector for each sequence, as a user wants it: without the head, normalised where the
    /// model says so. `[rows, D]`
    ///
    /// # Errors
    /// As [`Encoder::states`].
    pub fn encode(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        let vectors = self.pooled(sequences, pass)?;
        match self.output.normalize {
            true => normalized(&vectors),
            false => Ok(vectors),
        }
    }

    fn pooled(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        let last = self.layers.len();
        let mut poolings = vec![self.pooling];
        poolings.extend(&self.output.further);
        let wanted = |number| poolings.iter().any(|pooling| pooling.wants(number, last));
        let states = self.states(sequences, pass, wanted)?;
        self.tail.pooled(&poolings, &states, sequences, pass)
    }
}

/// A parameter by its name and shape.
pub(crate) fn take(parameters: &Parameters, name: &str, shape: &[usize]) -> Result<Arc<Parameter>> {
    let wrong = |found: String| {
        crate::Error::Usage(format!("parameter `{name}`: {shape:?} is wanted, {found}"))
    };
    let parameter = parameters
        .get(name)
        .ok_or_else(|| wrong("found none".into()))?;
    match parameter.tensor().dims() == shape {
        true => Ok(parameter.clone()),
        false => Err(wrong(format!("found {:?}", parameter.tensor().dims()))),
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod folder_tests;
#[cfg(test)]
mod tests;
