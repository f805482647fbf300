//! Any loss, and the same loss where vectors are moved a little to where it is worse.
//!
//! **What it optimises.** `(1 - weight) · L(x) + weight · L(x + ε |x| g/|g|)`, where g is the
//! gradient of L to each vector x. The step is a constant: no gradient flows through it. So the loss
//! must be small in a neighbourhood of each vector: an augmentation of vectors, not of texts.
//!
//! **Reference.** Goodfellow et al. 2015 (one step along the gradient) and Miyato et al. 2017 (on
//! embeddings, with the gradient normalised); LUSE's author wishes for augmentations of vectors
//! beyond dropout.
//!
//! **Columns.** Those of the loss that it holds, in the table `[loss.of]`.
//!
//! **Recommendation.** ε 0.05 to 0.2 of a vector's length: for cosines an angle of arctan ε. The
//! encoder runs once; only the small loss is computed three times.
//!
//! **Relation to others.** Dropout perturbs within the encoder and at random; this one at its output
//! and to the worst. It can hold `matryoshka`, or be held by it.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

use super::{Embedded, Inputs, Loss, Make, Offer, Options, Output, Place};
use crate::Result;
use crate::parameters::Parameters;

/// `name = "adversarial"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adversarial {
    /// How far vectors are moved, as a share of their length; above 0, at most 1.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
    /// Share of the loss at the moved vectors; above 0, at most 1.
    #[serde(default = "weight")]
    pub weight: f64,
    /// The loss.
    pub of: Box<Options>,
}

struct Perturbed {
    epsilon: f64,
    weight: f64,
    of: Box<dyn Loss>,
}

fn epsilon() -> f64 {
    0.1
}

fn weight() -> f64 {
    0.5
}

impl Make for Adversarial {
    fn check(&self) -> std::result::Result<(), String> {
        for (key, value) in [("epsilon", self.epsilon), ("weight", self.weight)] {
            if !(value > 0.0 && value <= 1.0) {
                return Err(format!("{key} = {value}: above 0, at most 1"));
            }
        }
        self.of
            .make()
            .check()
            .map_err(|message| format!("of: {message}"))
    }

    fn build(&self, place: &Place) -> Result<Box<dyn Loss>> {
        Ok(Box::new(Perturbed {
            epsilon: self.epsilon,
            weight: self.weight,
            of: self.of.make().build(place)?,
        }))
    }
}

impl Perturbed {
    /// The columns, each vector moved along its gradient.
    fn moved(&self, inputs: &Inputs<'_>) -> Result<Vec<Embedded>> {
        let leaf = |column: &Embedded| Var::from_tensor(&column.vectors.detach());
        let leaves = inputs.columns.iter().map(leaf);
        let leaves = leaves.collect::<candle_core::Result<Vec<Var>>>()?;
        let columns = inputs.columns.iter().zip(&leaves);
        let columns: Vec<Embedded> = columns
            .map(|(column, leaf)| Embedded {
                vectors: leaf.as_tensor().clone(),
                ..column.clone()
            })
            .collect();
        let inner = Inputs {
            columns: &columns,
            ..*inputs
        };
        let gradients = self.of.forward(&inner)?.loss.backward()?;
        let moved = inputs.columns.iter().zip(&leaves);
        let moved = moved.map(|(column, leaf)| {
            let Some(gradient) = gradients.get(leaf.as_tensor()) else {
                return Ok(column.clone());
            };
            let step = self.step(leaf.as_tensor(), gradient)?;
            Ok(Embedded {
                vectors: (&column.vectors + step)?,
                ..column.clone()
            })
        });
        moved.collect()
    }

    /// `ε |x| g/|g|` for each row, without a graph; 0 where the gradient is 0.
    fn step(&self, vectors: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let length = |rows: &Tensor| rows.detach().sqr()?.sum_keepdim(1)?.sqrt();
        // Gradients may be so small that their squares vanish.
        let most = gradient.detach().abs()?.max_keepdim(1)?.maximum(1e-30)?;
        let gradient = gradient.detach().broadcast_div(&most)?;
        let direction = gradient.broadcast_div(&length(&gradient)?.maximum(1e-30)?)?;
        let reach = (length(vectors)? * self.epsilon)?;
        Ok(direction.broadcast_mul(&reach)?)
    }
}

impl Loss for Perturbed {
    fn check(&self, offer: &Offer) -> std::result::Result<(), String> {
        self.of.check(offer)
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let mut output = self.of.forward(inputs)?;
        let columns = self.moved(inputs)?;
        let moved = self.of.forward(&Inputs {
            columns: &columns,
            ..*inputs
        })?;
        let value = f64::from(moved.loss.to_scalar::<f32>()?);
        output.figures.push(("adversarial_loss", value));
        let clean = (output.loss * (1.0 - self.weight))?;
        output.loss = (clean + (moved.loss * self.weight)?)?;
        Ok(output)
    }

    fn advance(&mut self, inputs: &Inputs<'_>) -> Result<()> {
        self.of.advance(inputs)
    }

    fn parameters(&self) -> Parameters {
        self.of.parameters()
    }

    fn clamp(&self) -> Result<()> {
        self.of.clamp()
    }

    fn momentum(&self) -> Option<f64> {
        self.of.momentum()
    }

    fn steady(&self) -> bool {
        self.of.steady()
    }

    fn differentiable(&self) -> bool {
        // The step is a constant to the gradient, and depends on the vectors.
        false
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        self.of.state()
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        self.of.restore(state)
    }
}
