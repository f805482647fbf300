//! Linear layers over the vectors of sequences: the pooler, projections, the head of training.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Kernels, ops};
use crate::Result;
use crate::parameters::{Parameter, Parameters};

/// A linear layer, and tanh after it or not.
#[derive(Clone, Debug)]
pub struct Dense {
    /// `[out, in]`
    pub weight: Arc<Parameter>,
    /// `[out]`
    pub bias: Option<Arc<Parameter>>,
    /// Whether tanh follows.
    pub tanh: bool,
}

/// What a linear layer is, without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Length of its vectors.
    pub dimension: usize,
    /// Whether something is added.
    pub bias: bool,
    /// Whether tanh follows.
    pub tanh: bool,
}

impl Dense {
    /// The layer whose parameters are `NAME.weight` and `NAME.bias`, from vectors of length `width`.
    ///
    /// # Errors
    /// A parameter is missing or has another shape.
    pub fn new(
        name: &str,
        width: usize,
        projection: &Projection,
        parameters: &Parameters,
    ) -> Result<Dense> {
        let out = projection.dimension;
        let bias = format!("{name}.bias");
        let bias = projection
            .bias
            .then(|| super::take(parameters, &bias, &[out]));
        Ok(Dense {
            weight: super::take(parameters, &format!("{name}.weight"), &[out, width])?,
            bias: bias.transpose()?,
            tanh: projection.tanh,
        })
    }

    /// `[rows, in]` to `[rows, out]`
    ///
    /// # Errors
    /// Shapes do not fit.
    pub fn forward(&self, x: &Tensor, kernels: Kernels) -> Result<Tensor> {
        let y = ops::linear(x, &self.weight, self.bias.as_deref(), kernels)?;
        match self.tanh {
            true => Ok(y.tanh()?),
            false => Ok(y),
        }
    }
}
