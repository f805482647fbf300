//! The arithmetic of a training step on the CPU: plain functions over slices, vectorised over the
//! widest units the processor has, in an order that no number of threads changes.
//!
//! Nothing here knows candle's graph, parameters or layers; `view` and `in_place` are the door to
//! the memory of a tensor.

use std::cell::Cell;
use std::ops::{Deref, Range};

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, StorageRef, Tensor};

pub mod adamw;
pub mod attention;
pub mod dropout;
pub mod embedding;
pub mod gelu;
pub mod gemm;
pub mod gemm64;
pub mod math;
pub mod memory;
pub mod meter;
pub mod norm;
pub mod rows;
mod simd;
pub mod vocabulary;

/// The values of a contiguous f32 tensor on the CPU, for as long as they are looked at.
pub struct Values<'a> {
    storage: StorageRef<'a>,
    range: Range<usize>,
}

/// Looks at the values of a contiguous f32 tensor on the CPU.
///
/// # Errors
/// The tensor is not that.
pub fn values(tensor: &Tensor) -> Result<Values<'_>> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(_)) => {}
        _ => candle_core::bail!("an f32 tensor on the CPU is wanted"),
    }
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(Values {
            storage,
            range: start..end,
        }),
        None => candle_core::bail!("a contiguous tensor is wanted, found {layout:?}"),
    }
}

impl Deref for Values<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.range.clone()],
            _ => unreachable!("checked when it was made"),
        }
    }
}

/// Lets a function read the values of a contiguous f32 tensor on the CPU.
///
/// # Errors
/// The tensor is not that.
pub fn view<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
    Ok(read(&values(tensor)?))
}

/// Lets a function change the values of a contiguous f32 tensor on the CPU where they stand.
///
/// # Errors
/// The tensor is not that.
pub fn in_place(tensor: &Tensor, change: impl FnOnce(&mut [f32])) -> Result<()> {
    struct Change<F>(Cell<Option<F>>);
    impl<F: FnOnce(&mut [f32])> InplaceOp1 for Change<F> {
        fn name(&self) -> &'static str {
            "in_place"
        }
        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
            let CpuStorage::F32(values) = storage else {
                candle_core::bail!("an f32 tensor is wanted");
            };
            let Some((start, end)) = layout.contiguous_offsets() else {
                candle_core::bail!("a contiguous tensor is wanted, found {layout:?}");
            };
            let change = self.0.take().expect("candle calls this once");
            change(&mut values[start..end]);
            Ok(())
        }
    }
    tensor.inplace_op1(&Change(Cell::new(Some(change))))
}

#[cfg(test)]
mod tests;
