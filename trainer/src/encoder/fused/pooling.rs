//! Poolings as operations whose backward passes write each gradient once.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::input;
use crate::encoder::Sequences;
use crate::kernels;
use crate::kernels::rows::add;

/// The state of each sequence's first token. x `[T, H]`, `[rows, H]`
///
/// # Errors
/// The states are not contiguous f32.
pub fn first(x: &Tensor, sequences: &Sequences) -> crate::Result<Tensor> {
    pool(x, sequences, false)
}

/// The mean of each sequence's states. x `[T, H]`, `[rows, H]`
///
/// # Errors
/// The states are not contiguous f32.
pub fn mean(x: &Tensor, sequences: &Sequences) -> crate::Result<Tensor> {
    pool(x, sequences, true)
}

fn pool(x: &Tensor, sequences: &Sequences, mean: bool) -> crate::Result<Tensor> {
    let starts = sequences.starts.clone();
    Ok(x.contiguous()?.apply_op1(FusedPooling { starts, mean })?)
}

struct FusedPooling {
    starts: Vec<u32>,
    /// The mean of all, or the first alone.
    mean: bool,
}

impl FusedPooling {
    /// For each sequence the tokens that count, and the weight of each.
    fn spans(&self) -> impl Iterator<Item = (std::ops::Range<usize>, f32)> {
        self.starts.windows(2).map(|ends| {
            let (start, end) = (ends[0] as usize, ends[1] as usize);
            match self.mean {
                true => (start..end, 1.0 / (end - start) as f32),
                false => (start..start + 1, 1.0),
            }
        })
    }
}

impl CustomOp1 for FusedPooling {
    fn name(&self) -> &'static str {
        "pooling"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, (_, width)) = (input(x, layout)?, layout.shape().dims2()?);
        let rows = self.starts.len().saturating_sub(1);
        let mut output = vec![0.0; rows * width];
        for ((tokens, factor), output) in self.spans().zip(output.chunks_exact_mut(width)) {
            for token in tokens {
                add(output, &x[token * width..(token + 1) * width]);
            }
            output.iter_mut().for_each(|value| *value *= factor);
        }
        Ok((CpuStorage::F32(output), (rows, width).into()))
    }

    fn bwd(&self, x: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (gradient, width) = (gradient.contiguous()?, x.dim(1)?);
        let gradient = kernels::values(&gradient)?;
        let mut own = vec![0.0; x.elem_count()];
        for ((tokens, factor), gradient) in self.spans().zip(gradient.chunks_exact(width)) {
            for token in tokens {
                let own = &mut own[token * width..(token + 1) * width];
                own.iter_mut()
                    .zip(gradient)
                    .for_each(|(own, value)| *own = value * factor);
            }
        }
        Ok(Some(Tensor::from_vec(own, x.shape().clone(), x.device())?))
    }
}
