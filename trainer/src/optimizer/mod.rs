//! AdamW with decay groups, clipping by the global norm, and averages of weights.
//!
//! ```text
//! gradients ─▶ norm ─▶ scale ─┐
//! schedule ─▶ learning rate ──┴▶ adamw, one pass over each parameter ─▶ follow: average, key encoder
//! ```
//! Every sum has an order of its own and every element is computed alone, so no number of threads
//! changes a bit. Moments are tensors, so a checkpoint can keep them.

mod adamw;
mod follow;
mod norm;

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::parameters::{Parameter, Parameters};

pub use adamw::AdamW;
pub use follow::follow;
pub use norm::norm;

/// Added to the name of a parameter: its first moment, as PyTorch calls it.
const FIRST: &str = ".exp_avg";

/// Added to the name of a parameter: its second moment, as PyTorch calls it.
const SECOND: &str = ".exp_avg_sq";

/// Added to the norm before the bound is divided by it, as in `clip_grad_norm_`.
const CLIP_EPSILON: f64 = 1e-6;

/// `[optimizer]`: AdamW (Loshchilov and Hutter 2019) as PyTorch computes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerOptions {
    /// The learning rate after the warm-up.
    pub learning_rate: f64,
    /// Each step takes `learning_rate * weight_decay` of a weight away; not of biases and layer
    /// norms.
    pub weight_decay: f64,
    /// How much of the two moments stays in a step.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Gradients are scaled down so that the norm of all together is this at most; 0: they are not.
    pub clip_norm: f64,
    /// Batches whose mean gradient makes one step. In-batch negatives still come from one batch:
    /// for more of them use `[training] chunk`.
    pub accumulation: u64,
}

/// The moments of all parameters, and what moves these.
#[derive(Debug)]
pub struct Optimizer {
    options: OptimizerOptions,
    /// Steps taken.
    pub steps: u64,
    moments: BTreeMap<String, Moments>,
}

#[derive(Debug)]
struct Moments {
    first: Tensor,
    second: Tensor,
}

impl Default for OptimizerOptions {
    fn default() -> OptimizerOptions {
        OptimizerOptions {
            learning_rate: 3e-5,
            weight_decay: 0.01,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            clip_norm: 1.0,
            accumulation: 1,
        }
    }
}

impl OptimizerOptions {
    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> std::result::Result<(), String> {
        let within = |key: &str, value: f64, accepted: bool, range: &str| match accepted {
            true => Ok(()),
            false => Err(format!("[optimizer] {key} = {value}: {range} is accepted")),
        };
        let rate = self.learning_rate;
        within(
            "learning_rate",
            rate,
            rate > 0.0 && rate <= 10.0,
            "above 0 and up to 10",
        )?;
        let decay = self.weight_decay;
        within(
            "weight_decay",
            decay,
            (0.0..=10.0).contains(&decay),
            "0 to 10",
        )?;
        for beta in self.betas {
            let accepted = (0.0..1.0).contains(&beta);
            within("betas", beta, accepted, "0 and more, below 1")?;
        }
        let epsilon = self.epsilon;
        within(
            "epsilon",
            epsilon,
            epsilon > 0.0 && epsilon <= 1.0,
            "above 0 and up to 1",
        )?;
        let norm = self.clip_norm;
        within(
            "clip_norm",
            norm,
            norm >= 0.0 && norm.is_finite(),
            "0 (off) and more",
        )?;
        match self.accumulation {
            1..=1_000_000 => Ok(()),
            other => Err(format!(
                "[optimizer] accumulation = {other}: 1 to 1000000 is accepted"
            )),
        }
    }

    /// What gradients of this norm are multiplied with.
    pub fn clip_scale(&self, norm: f64) -> f64 {
        match self.clip_norm > 0.0 {
            true => (self.clip_norm / (norm + CLIP_EPSILON)).min(1.0),
            false => 1.0,
        }
    }
}

impl Optimizer {
    /// An optimizer that has not moved yet.
    pub fn new(options: &OptimizerOptions) -> Optimizer {
        Optimizer {
            options: options.clone(),
            steps: 0,
            moments: BTreeMap::new(),
        }
    }

    /// Moves the parameters by their gradients, whose norm is `norm`, and forgets these.
    ///
    /// A parameter that never had a gradient stays as it is and does not decay; one that had counts
    /// as having one of zeros where a batch gives none. All share one count of steps.
    ///
    /// # Errors
    /// The device fails.
    pub fn step(&mut self, parameters: &Parameters, learning_rate: f64, norm: f64) -> Result<()> {
        self.steps += 1;
        let gradient_scale = self.options.clip_scale(norm);
        for parameter in parameters.iter() {
            let values = self.values(parameter, learning_rate, gradient_scale);
            let moments = match self.moments.get_mut(&parameter.name) {
                Some(moments) => moments,
                None if !parameter.has_gradient() => continue,
                None => {
                    let moments = Moments::zeros(parameter)?;
                    self.moments
                        .entry(parameter.name.clone())
                        .or_insert(moments)
                }
            };
            moments.step(parameter, &values)?;
        }
        Ok(())
    }

    fn values(&self, parameter: &Parameter, learning_rate: f64, gradient_scale: f64) -> AdamW {
        let [beta1, beta2] = self.options.betas;
        let correction = |beta: f64| 1.0 - beta.powi(i32::try_from(self.steps).unwrap_or(i32::MAX));
        AdamW {
            learning_rate,
            beta1,
            beta2,
            epsilon: self.options.epsilon,
            weight_decay: match parameter.decay {
                true => self.options.weight_decay,
                false => 0.0,
            },
            bias_correction1: correction(beta1),
            bias_correction2: correction(beta2),
            gradient_scale,
        }
    }

    /// The moments by name, for a checkpoint.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let named = self.moments.iter().flat_map(|(name, moments)| {
            [
                (format!("{name}{FIRST}"), moments.first.clone()),
                (format!("{name}{SECOND}"), moments.second.clone()),
            ]
        });
        named.collect()
    }

    /// Goes on from what [`Optimizer::state`] gave after so many steps.
    ///
    /// # Errors
    /// A moment belongs to no parameter, lacks its pair or has another shape.
    pub fn restore(
        &mut self,
        parameters: &Parameters,
        steps: u64,
        mut state: BTreeMap<String, Tensor>,
    ) -> std::result::Result<(), String> {
        self.steps = steps;
        self.moments.clear();
        for parameter in parameters.iter() {
            let mut take = |end: &str| state.remove(&format!("{}{end}", parameter.name));
            let (first, second) = match (take(FIRST), take(SECOND)) {
                (Some(first), Some(second)) => (first, second),
                (None, None) => continue,
                _ => return Err(format!("`{}` has one moment of two", parameter.name)),
            };
            let shape = parameter.tensor().dims();
            for moment in [&first, &second] {
                if moment.dims() != shape || moment.dtype() != DType::F32 {
                    return Err(format!(
                        "a moment of `{}` is {:?} of {:?}, the parameter {shape:?} of F32",
                        parameter.name,
                        moment.dims(),
                        moment.dtype()
                    ));
                }
            }
            self.moments
                .insert(parameter.name.clone(), Moments { first, second });
        }
        match state.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("`{name}` belongs to no parameter of the model")),
        }
    }
}

impl Moments {
    fn zeros(parameter: &Parameter) -> Result<Moments> {
        let zeros = || parameter.tensor().detach().zeros_like();
        Ok(Moments {
            first: zeros()?,
            second: zeros()?,
        })
    }

    fn step(&mut self, parameter: &Parameter, values: &AdamW) -> Result<()> {
        match parameter.tensor().device().is_cpu() {
            true => adamw::on_host(parameter, (&self.first, &self.second), values),
            false => {
                let moved = adamw::on_device(parameter, (&self.first, &self.second), values)?;
                (self.first, self.second) = moved;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
