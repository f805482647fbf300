//! Any loss, on the whole vectors and on their first dimensions.
//!
//! **What it optimises.** `Σ_d w_d · L(x[..d])`: the first d numbers of a vector shall serve as a
//! vector of their own, so that an index can keep short ones.
//!
//! **Reference.** Kusupati et al. 2022; sentence-transformers' `MatryoshkaLoss`: weights 1, summed,
//! each part normalised on its own (by the loss's cosine).
//!
//! **Columns.** Those of the loss that it holds, in the table `[loss.of]`.
//!
//! **Recommendation.** Halves of the width, the whole first, such as `[768, 384, 192, 96]`.
//!
//! **Relation to others.** Holds any loss but `moco`, whose queue has one width. A learned scale is
//! shared by all widths. Figures are those of the first width.

use std::collections::BTreeMap;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{Embedded, Inputs, Loss, Make, Offer, Options, Output, Place};
use crate::parameters::Parameters;
use crate::{Error, Result};

/// `name = "matryoshka"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matryoshka {
    /// Numbers of first dimensions, the largest first.
    pub dimensions: Vec<usize>,
    /// What the loss of each is multiplied with, above 0; 1 where the list is empty.
    #[serde(default)]
    pub weights: Vec<f64>,
    /// The loss.
    pub of: Box<Options>,
}

struct Nested {
    dimensions: Vec<usize>,
    weights: Vec<f64>,
    of: Box<dyn Loss>,
}

impl Make for Matryoshka {
    fn check(&self) -> std::result::Result<(), String> {
        let dimensions = &self.dimensions;
        let falling = dimensions.windows(2).all(|pair| pair[0] > pair[1]);
        if dimensions.is_empty() || dimensions.contains(&0) || !falling {
            return Err(format!(
                "dimensions = {dimensions:?}: numbers above 0, the largest first"
            ));
        }
        let weights = &self.weights;
        let usable = weights
            .iter()
            .all(|weight| *weight > 0.0 && weight.is_finite());
        if !usable || !(weights.is_empty() || weights.len() == dimensions.len()) {
            return Err(format!(
                "weights = {weights:?}: a number above 0 for each of dimensions = {dimensions:?}"
            ));
        }
        if holds_queue(&self.of) {
            return Err("of: name = \"moco\" has a queue of one width; any other loss".into());
        }
        self.of
            .make()
            .check()
            .map_err(|message| format!("of: {message}"))
    }

    fn build(&self, place: &Place) -> Result<Box<dyn Loss>> {
        if self.dimensions[0] > place.dimension {
            return Err(Error::Usage(format!(
                "[loss] dimensions = {:?}: vectors have {} dimensions",
                self.dimensions, place.dimension
            )));
        }
        let weights = match self.weights.is_empty() {
            true => vec![1.0; self.dimensions.len()],
            false => self.weights.clone(),
        };
        Ok(Box::new(Nested {
            dimensions: self.dimensions.clone(),
            weights,
            of: self.of.make().build(place)?,
        }))
    }
}

fn holds_queue(options: &Options) -> bool {
    match options {
        Options::Moco(_) => true,
        Options::Adversarial(held) => holds_queue(&held.of),
        Options::Matryoshka(held) => holds_queue(&held.of),
        _ => false,
    }
}

impl Loss for Nested {
    fn check(&self, offer: &Offer) -> std::result::Result<(), String> {
        self.of.check(offer)
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let mut all: Option<Output> = None;
        for (&dimension, &weight) in self.dimensions.iter().zip(&self.weights) {
            let first = |column: &Embedded| -> Result<Embedded> {
                Ok(Embedded {
                    vectors: column.vectors.narrow(1, 0, dimension)?.contiguous()?,
                    ..column.clone()
                })
            };
            let columns = inputs.columns.iter().map(first);
            let columns = columns.collect::<Result<Vec<Embedded>>>()?;
            let output = self.of.forward(&Inputs {
                columns: &columns,
                ..*inputs
            })?;
            let loss = (output.loss * weight)?;
            all = Some(match all {
                None => Output { loss, ..output },
                Some(all) => Output {
                    loss: (all.loss + loss)?,
                    ..all
                },
            });
        }
        Ok(all.expect("the dimensions were checked to be some"))
    }

    fn parameters(&self) -> Parameters {
        self.of.parameters()
    }

    fn clamp(&self) -> Result<()> {
        self.of.clamp()
    }

    fn differentiable(&self) -> bool {
        self.of.differentiable()
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        self.of.state()
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        self.of.restore(state)
    }
}
