//! One step of AdamW on one parameter.

use candle_core::Tensor;

use crate::Result;
use crate::kernels;
use crate::kernels::adamw::{self, adamw};
use crate::parameters::Parameter;

/// The values of a step.
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// What stays of the first moment.
    pub beta1: f64,
    /// What stays of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment, after its correction.
    pub epsilon: f64,
    /// Times the learning rate, what a weight loses.
    pub weight_decay: f64,
    /// `1 - beta1^t` in step t, from 1.
    pub bias_correction1: f64,
    /// `1 - beta2^t`.
    pub bias_correction2: f64,
    /// What gradients are multiplied with first: clipping.
    pub gradient_scale: f64,
}

impl AdamW {
    /// The same for the kernel.
    fn in_f32(&self) -> adamw::AdamW {
        adamw::AdamW {
            lr: self.learning_rate as f32,
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            eps: self.epsilon as f32,
            weight_decay: self.weight_decay as f32,
            bias_correction1: self.bias_correction1 as f32,
            bias_correction2: self.bias_correction2 as f32,
            gradient_scale: self.gradient_scale as f32,
        }
    }
}

/// The step on the CPU, where everything stands.
pub(super) fn on_host(
    parameter: &Parameter,
    (m, v): (&Tensor, &Tensor),
    step: &AdamW,
) -> Result<()> {
    let step = step.in_f32();
    let mut gradient = parameter.host_gradient();
    let mut inner = Ok(());
    kernels::in_place(parameter.tensor(), |p| {
        let mut last = Ok(());
        let first = kernels::in_place(m, |m| {
            last = kernels::in_place(v, |v| adamw(p, &mut gradient, m, v, &step));
        });
        inner = first.and(last);
    })?;
    Ok(inner?)
}

/// The step on another device, by candle's operations; gives the moments.
pub(super) fn on_device(
    parameter: &Parameter,
    (m, v): (&Tensor, &Tensor),
    step: &AdamW,
) -> Result<(Tensor, Tensor)> {
    let gradient = match parameter.gradient()? {
        Some(gradient) => (gradient.detach() * step.gradient_scale)?,
        None => m.zeros_like()?,
    };
    let p = parameter.tensor().detach();
    let m = (m + ((&gradient - m)? * (1.0 - step.beta1))?)?;
    let v = ((v * step.beta2)? + (gradient.sqr()? * (1.0 - step.beta2))?)?;
    let root = ((v.sqrt()? / step.bias_correction2.sqrt())? + step.epsilon)?;
    let moved = ((&m / root)? * (step.learning_rate / step.bias_correction1))?;
    let kept = (p * (1.0 - step.learning_rate * step.weight_decay))?;
    parameter.set(&(kept - moved)?)?;
    parameter.clear_gradient();
    Ok((m, v))
}
