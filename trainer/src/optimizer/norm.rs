//! The norm of all gradients together.

use candle_core::{DType, Tensor};

use crate::Result;
use crate::kernels::adamw::squared_norm;
use crate::parameters::Parameters;

/// The root of the sum of squares of all gradients; infinite or NaN where one of them is.
///
/// # Errors
/// The device fails.
pub fn norm(parameters: &Parameters) -> Result<f64> {
    let mut sum = 0.0;
    for parameter in parameters
        .iter()
        .filter(|parameter| parameter.has_gradient())
    {
        sum += match parameter.tensor().device().is_cpu() {
            true => squared_norm(&parameter.host_gradient()),
            false => match parameter.gradient()? {
                Some(gradient) => squares_on_device(&gradient)?,
                None => 0.0,
            },
        };
    }
    Ok(sum.sqrt())
}

fn squares_on_device(values: &Tensor) -> Result<f64> {
    let sum = values.to_dtype(DType::F64)?.sqr()?.sum_all()?;
    Ok(sum.to_scalar::<f64>()?)
}
