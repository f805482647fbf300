//! The encoder for the CPU: each layer is one operation of candle's graph, with a backward pass of its
//! own that adds the gradients of weights where they stand.
//!
//! ```text
//! tokens ─▶ tiles of whole sequences ─▶ on any thread: a layer from its input to its output
//!                                └▶ backward, a chunk of tiles at a time: gradients of states by
//!                                   tiles, then gradients of weights by blocks over all the chunk
//! ```
//! Tiles, chunks and blocks follow from the batch alone, and sums go over them in their order: so the
//! number of threads changes nothing. Kept for the backward pass are queries, keys, values, context,
//! the states as both norms made them, and the feed-forward part before its GELU: ten numbers for each
//! of a state's where the inner part is four times as wide. Looks, dropout and GELU are computed again.

mod backward;
mod embeddings;
mod forward;
mod operations;
mod pooling;
mod tiles;

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::layer::Layer;
use super::{Kernels, Pass, Sequences, Site};
use crate::kernels;
use crate::kernels::dropout::Dropout;

pub use embeddings::embed;
pub use operations::{dropout, gelu, layer_norm, linear};
pub use pooling::{first, mean};
pub use tiles::Tiles;

use forward::Saved;

/// Whether an operation on this tensor is ours: wanted, and on the CPU.
pub fn wanted(kernels: Kernels, tensor: &Tensor) -> bool {
    kernels == Kernels::Fused && tensor.device().is_cpu()
}

/// A layer on states. `[T, H]`
///
/// # Errors
/// The states are not contiguous f32.
pub fn layer(
    layer: &Layer,
    x: &Tensor,
    sequences: &Sequences,
    pass: &Pass,
) -> crate::Result<Tensor> {
    let number = layer.number;
    let operation = FusedLayer {
        layer: layer.clone(),
        tiles: Tiles::new(sequences),
        looks: pass.dropout(layer.attention_dropout, Site::Attention(number)),
        attention: pass.dropout(layer.dropout, Site::AttentionOutput(number)),
        output: pass.dropout(layer.dropout, Site::Output(number)),
        tracked: pass.tracked,
        saved: OnceLock::new(),
    };
    // The second argument is only there so that candle knows of parameters behind it.
    let (x, known) = (x.contiguous()?, layer.norm.0.tensor());
    Ok(match pass.tracked {
        true => x.apply_op2(known, operation)?,
        false => x.apply_op2_no_bwd(known, &operation)?,
    })
}

struct FusedLayer {
    layer: Layer,
    tiles: Tiles,
    looks: Option<Dropout>,
    attention: Option<Dropout>,
    output: Option<Dropout>,
    tracked: bool,
    saved: OnceLock<Saved>,
}

impl CustomOp2 for FusedLayer {
    fn name(&self) -> &'static str {
        "layer"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        _known: &CpuStorage,
        _known_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (output, saved) = self.forward(input(x, layout)?)?;
        if let Some(saved) = saved {
            let first = self.saved.set(saved).is_ok();
            debug_assert!(first, "candle runs an operation once");
        }
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        _known: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some(saved) = self.saved.get() else {
            candle_core::bail!("a backward pass through a layer that kept nothing for it");
        };
        let gradient = gradient.contiguous()?;
        let own = self.backward(saved, &kernels::values(x)?, &kernels::values(&gradient)?)?;
        let own = Tensor::from_vec(own, output.shape().clone(), x.device())?;
        Ok((x.track_op().then_some(own), None))
    }
}

/// The values of a contiguous argument of an operation.
fn input<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("a contiguous f32 tensor is wanted, found {layout:?}"),
    }
}

#[cfg(test)]
mod tests;
