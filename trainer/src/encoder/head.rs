//! What comes after the states of an encoder: pooling, projections, a head for training,
//! normalisation.
//!
//! ```text
//! states ─▶ pooling ─▶ projections ─▶ head ─▶ loss                 training
//!                            └─────────────▶ normalised or not ─▶ user
//! ```
//! The head comes last, so that what is left without it is what was trained, up to the head.

use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

use super::dense::{Dense, Projection};
use super::{Config, Kernels, Pass, Pooling, Sequences, States};
use crate::Result;
use crate::parameters::Parameters;

/// A layer that is there in training only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// None.
    #[default]
    None,
    /// A linear layer of the vector's own length and tanh: SimCSE's `mlp_only_train`.
    Mlp,
}

/// What follows the pooling of an encoder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// Further poolings whose vectors stand behind that of the first one: some published models
    /// have them.
    pub further: Vec<Pooling>,
    /// Linear layers, one after the other: `projection`, `projection.1`, …
    pub projections: Vec<Projection>,
    /// A layer of training only.
    pub head: Head,
    /// Whether a user gets vectors of length 1.
    pub normalize: bool,
}

/// The layers of an [`Output`].
#[derive(Clone, Debug, Default)]
pub struct Layers {
    pooler: Option<Dense>,
    projections: Vec<Dense>,
    head: Option<Dense>,
    /// Length of the vectors.
    pub dimension: usize,
}

impl Output {
    /// The name of a projection by its place.
    pub fn projection_name(number: usize) -> String {
        match number {
            0 => "projection".into(),
            number => format!("projection.{number}"),
        }
    }

    /// Names and kinds of all layers, with the length of what they are given.
    pub fn named(&self, config: &Config, pooling: Pooling) -> Vec<(String, usize, Projection)> {
        let square = |width| Projection {
            dimension: width,
            bias: true,
            tanh: true,
        };
        let width = config.hidden_size;
        let mut named = Vec::new();
        if pooling == Pooling::ClsPooler || self.further.contains(&Pooling::ClsPooler) {
            named.push(("pooler.dense".to_string(), width, square(width)));
        }
        let mut width = width * (1 + self.further.len());
        for (number, projection) in self.projections.iter().enumerate() {
            let name = Output::projection_name(number);
            named.push((name, width, projection.clone()));
            width = projection.dimension;
        }
        if self.head == Head::Mlp {
            named.push(("head.dense".into(), width, square(width)));
        }
        named
    }

    /// Length of the vectors.
    pub fn dimension(&self, config: &Config) -> usize {
        let pooled = config.hidden_size * (1 + self.further.len());
        let last = self.projections.last();
        last.map_or(pooled, |projection| projection.dimension)
    }
}

impl Layers {
    /// # Errors
    /// A parameter is missing or has another shape.
    pub fn new(
        output: &Output,
        config: &Config,
        pooling: Pooling,
        parameters: &Parameters,
    ) -> Result<Layers> {
        let mut layers = Layers {
            dimension: output.dimension(config),
            ..Layers::default()
        };
        for (name, width, projection) in output.named(config, pooling) {
            let dense = Dense::new(&name, width, &projection, parameters)?;
            match name.as_str() {
                "pooler.dense" => layers.pooler = Some(dense),
                "head.dense" => layers.head = Some(dense),
                _ => layers.projections.push(dense),
            }
        }
        Ok(layers)
    }

    /// What a user gets before it is normalised. `[rows, D]`
    pub fn pooled(
        &self,
        poolings: &[Pooling],
        states: &States,
        sequences: &Sequences,
        pass: &Pass,
    ) -> Result<Tensor> {
        let pooler = self.pooler.as_ref();
        let vectors = poolings
            .iter()
            .map(|pooling| pooling.forward(states, sequences, pooler, pass));
        let vectors = vectors.collect::<Result<Vec<_>>>()?;
        let mut vectors = match &vectors[..] {
            [one] => one.clone(),
            several => Tensor::cat(several, 1)?,
        };
        for projection in &self.projections {
            vectors = projection.forward(&vectors, pass.kernels)?;
        }
        Ok(vectors)
    }

    /// The head on top, if there is one. `[rows, D]`
    pub fn headed(&self, vectors: Tensor, kernels: Kernels) -> Result<Tensor> {
        match &self.head {
            Some(head) => head.forward(&vectors, kernels),
            None => Ok(vectors),
        }
    }
}

/// Vectors of length 1; those of zeros stay. `[rows, D]`
///
/// # Errors
/// The device fails.
pub fn normalized(vectors: &Tensor) -> Result<Tensor> {
    let lengths = vectors.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
    Ok(vectors.broadcast_div(&lengths.maximum(1e-12)?)?)
}
