//! From a batch to gradients in all parameters: the part of a step that the loop does not look into.

use candle_core::Device;
use juzi_schemas::random::fold;

use super::Model;
use crate::Result;
use crate::collate::Batch;
use crate::encoder::{Encoder, Kernels};
use crate::gradcache::StepValue;

/// The key of all that is random in the work on a batch: no two batches of a training share it.
pub fn step_key(seed: u64, batch: u64) -> u64 {
    // Without the odd words a 0 would fold away the other number.
    fold(seed ^ 0x9e37_79b9_7f4a_7c15, batch ^ 0xd6e8_feb8_6659_fd93)
}

/// How operations are done on a device.
pub fn kernels(device: &Device) -> Kernels {
    match device.is_cpu() {
        true => Kernels::Fused,
        false => Kernels::Plain,
    }
}

/// Adds the gradients of `scale` times the loss of a batch to all parameters; `chunk` is that of
/// `[training]`.
///
/// # Errors
/// The batch does not fit the model, or the device fails.
pub fn gradients(
    model: &Model,
    keys: Option<&Encoder>,
    batch: &Batch,
    (step_key, chunk): (u64, usize),
    scale: f64,
) -> Result<StepValue> {
    model.with_objective(keys, chunk, |objective| {
        objective.step(batch, step_key, scale)
    })
}
