//! Losses whose value and gradient are worked out by hand, as scalars of candle's graph.

use candle_core::Tensor;

use crate::{Error, Result};

/// A scalar with this value whose gradient to each tensor is the one given with it.
///
/// # Errors
/// Shapes differ.
pub fn attach(value: f64, parts: &[(&Tensor, Tensor)]) -> Result<Tensor> {
    let mut line: Option<Tensor> = None;
    for (tensor, gradient) in parts {
        let part = (*tensor * gradient.detach())?.sum_all()?;
        line = Some(match line {
            Some(line) => (line + part)?,
            None => part,
        });
    }
    let line = line.ok_or_else(|| Error::Defect("a loss of no tensors".into()))?;
    // The difference is exactly 0; what stays is the gradient.
    Ok(((&line - line.detach())? + value)?)
}

/// A scalar that a function of some similarities gives together with its gradient, computed in f64
/// on the host.
///
/// # Errors
/// The device fails.
pub fn on_host(
    similarities: &Tensor,
    function: impl FnOnce(&[f64]) -> (f64, Vec<f64>),
) -> Result<Tensor> {
    let (value, gradient) = function(&numbers(similarities)?);
    let gradient: Vec<f32> = gradient.into_iter().map(|part| part as f32).collect();
    let gradient = Tensor::from_vec(gradient, similarities.shape(), similarities.device())?;
    attach(value, &[(similarities, gradient)])
}

/// All values of a tensor, on the host.
///
/// # Errors
/// The device fails.
pub fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    let values = tensor.detach().flatten_all()?.to_vec1::<f32>()?;
    Ok(values.into_iter().map(f64::from).collect())
}
