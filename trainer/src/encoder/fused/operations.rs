//! Operations of heads and decoders: linear, layer norm, GELU and dropout, each with its backward pass.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::input;
use crate::encoder::Sequences;
use crate::kernels;
use crate::kernels::dropout::Dropout;
use crate::kernels::gelu;
use crate::kernels::gemm::{Matrix, MatrixMut, product_on_all};
use crate::kernels::memory::{Buffer, buffer, zeros};
use crate::kernels::norm::{norm_rows_backward, normalize, scale_shift};
use crate::kernels::rows::{Drops, add, drop_in_place, repeat, sum_rows};
use crate::parameters::Parameter;

/// Rows that a thread takes at once.
const ROWS: usize = 64;

/// `x Wᵀ + b`. x `[T, in]`, `[T, out]`
///
/// # Errors
/// Shapes do not fit.
pub fn linear(x: &Tensor, weight: &Parameter, bias: Option<&Parameter>) -> crate::Result<Tensor> {
    let operation = Linear {
        weight: weight.clone(),
        bias: bias.cloned(),
    };
    Ok(x.contiguous()?.apply_op2(weight.tensor(), operation)?)
}

/// Layer norm over the last dimension. `[T, H]`
///
/// # Errors
/// Shapes do not fit.
pub fn layer_norm(
    x: &Tensor,
    (weight, bias): (&Parameter, &Parameter),
    eps: f64,
) -> crate::Result<Tensor> {
    let operation = LayerNorm {
        weight: weight.clone(),
        bias: bias.clone(),
        eps: eps as f32,
        saved: OnceLock::new(),
    };
    Ok(x.contiguous()?.apply_op2(weight.tensor(), operation)?)
}

/// The exact GELU.
///
/// # Errors
/// The tensor is not f32.
pub fn gelu(x: &Tensor) -> crate::Result<Tensor> {
    Ok(x.contiguous()?.apply_op1(Gelu)?)
}

/// Drops elements of states. `[T, H]`
///
/// # Errors
/// The tensor is not f32.
pub fn dropout(x: &Tensor, dropout: &Dropout, sequences: &Sequences) -> crate::Result<Tensor> {
    let width = x.dim(1)?;
    let rows = 0..sequences.rows();
    let drops = rows.flat_map(|row| {
        let number = sequences.numbers[row];
        (0..sequences.span(row).len()).map(move |place| Drops::new(dropout, number, place * width))
    });
    let drops: Vec<Drops> = drops.collect();
    if drops.len() != x.dim(0)? {
        return Err(crate::Error::Defect(format!(
            "dropout on {} states of {} tokens",
            x.dim(0)?,
            drops.len()
        )));
    }
    Ok(x.contiguous()?.apply_op1(Dropped { drops })?)
}

struct Linear {
    weight: Parameter,
    bias: Option<Parameter>,
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (tokens, inputs) = layout.shape().dims2()?;
        let (outputs, own_inputs) = weight_layout.shape().dims2()?;
        if inputs != own_inputs {
            let name = &self.weight.name;
            candle_core::bail!("`{name}` takes {own_inputs} numbers, found {inputs}");
        }
        let mut output = vec![0.0; tokens * outputs];
        if let Some(bias) = &self.bias {
            repeat(&mut output, &kernels::values(bias.tensor())?);
        }
        let weight = Matrix::new(input(weight, weight_layout)?, inputs).transposed();
        let x = Matrix::new(input(x, layout)?, inputs);
        product_on_all(MatrixMut::new(&mut output, outputs), x, weight, true);
        Ok((CpuStorage::F32(output), (tokens, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (outputs, inputs) = weight.dims2()?;
        let gradient = gradient.contiguous()?;
        let gradient = kernels::values(&gradient)?;
        if let Some(bias) = &self.bias {
            sum_parts(&gradient, &mut bias.host_gradient());
        }
        let gradient = Matrix::new(&gradient, outputs);
        let mut own = self.weight.host_gradient();
        let states = kernels::values(x)?;
        let to = MatrixMut::new(&mut own, inputs);
        product_on_all(
            to,
            gradient.transposed(),
            Matrix::new(&states, inputs),
            true,
        );
        if !x.track_op() {
            return Ok((None, None));
        }
        let mut input = vec![0.0; x.elem_count()];
        let weight = kernels::values(weight)?;
        let to = MatrixMut::new(&mut input, inputs);
        product_on_all(to, gradient, Matrix::new(&weight, inputs), false);
        Ok((
            Some(Tensor::from_vec(input, x.shape().clone(), x.device())?),
            None,
        ))
    }
}

struct LayerNorm {
    weight: Parameter,
    bias: Parameter,
    eps: f32,
    /// Rows as the norm made them, and one over their standard deviations.
    saved: OnceLock<(Buffer, Buffer)>,
}

impl CustomOp2 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (input(x, layout)?, input(weight, weight_layout)?);
        let (width, bias) = (weight.len(), kernels::values(self.bias.tensor())?);
        if layout.shape().dims().last() != Some(&width) {
            let shape = layout.shape();
            candle_core::bail!(
                "`{}` has {width} numbers, states are {shape:?}",
                self.weight.name
            );
        }
        let mut output = vec![0.0; x.len()];
        let (mut normal, mut rstd) = (buffer(x.len()), buffer(x.len() / width));
        let (bias, part) = (&*bias, ROWS * width);
        let kept = normal.par_chunks_mut(part).zip(rstd.par_chunks_mut(ROWS));
        let rows = x.par_chunks(part).zip(output.par_chunks_mut(part));
        rows.zip(kept).for_each(|((x, output), (normal, rstd))| {
            normal.copy_from_slice(x);
            let rows = normal
                .chunks_exact_mut(width)
                .zip(output.chunks_exact_mut(width));
            for (rstd, (normal, output)) in rstd.iter_mut().zip(rows) {
                *rstd = normalize(normal, self.eps);
                scale_shift(normal, weight, bias, output);
            }
        });
        let first = self.saved.set((normal, rstd)).is_ok();
        debug_assert!(first, "candle runs an operation once");
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some((normal, rstd)) = self.saved.get() else {
            candle_core::bail!("a backward pass through a norm that kept nothing for it");
        };
        let (gradient, weight) = (gradient.contiguous()?, kernels::values(weight)?);
        let (mut input, weight) = (kernels::values(&gradient)?.to_vec(), &*weight);
        let (width, part) = (weight.len(), ROWS * weight.len());
        let mut sums = zeros(rstd.len().div_ceil(ROWS) * 2 * width);
        let saved = normal.par_chunks(part).zip(rstd.par_chunks(ROWS));
        let rows = input
            .par_chunks_mut(part)
            .zip(sums.par_chunks_mut(2 * width));
        rows.zip(saved)
            .for_each(|((gradient, sums), (normal, rstd))| {
                let sums = sums.split_at_mut(width).into();
                norm_rows_backward(gradient, (normal, rstd), weight, sums);
            });
        let mut weight_gradient = self.weight.host_gradient();
        let mut bias_gradient = self.bias.host_gradient();
        for sums in sums.chunks_exact(2 * width) {
            add(&mut weight_gradient, &sums[..width]);
            add(&mut bias_gradient, &sums[width..]);
        }
        let input = Tensor::from_vec(input, x.shape().clone(), x.device())?;
        Ok((x.track_op().then_some(input), None))
    }
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = input(x, layout)?;
        let mut output = vec![0.0; x.len()];
        let parts = x.par_chunks(1 << 14).zip(output.par_chunks_mut(1 << 14));
        parts.for_each(|(x, output)| gelu::gelu(x, output));
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (x_values, gradient) = (kernels::values(x)?, gradient.contiguous()?);
        let mut own = kernels::values(&gradient)?.to_vec();
        let parts = x_values
            .par_chunks(1 << 14)
            .zip(own.par_chunks_mut(1 << 14));
        parts.for_each(|(x, own)| gelu::gelu_backward(x, own));
        Ok(Some(Tensor::from_vec(own, x.shape().clone(), x.device())?))
    }
}

/// Dropout, each row as it says.
struct Dropped {
    drops: Vec<Drops>,
}

impl Dropped {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let mut output = x.to_vec();
        let width = x.len() / self.drops.len().max(1);
        let rows = output
            .par_chunks_mut(width.max(1))
            .zip(self.drops.par_iter());
        rows.for_each(|(row, drops)| drop_in_place(row, *drops));
        output
    }
}

impl CustomOp1 for Dropped {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let output = self.apply(input(x, layout)?);
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let own = self.apply(&kernels::values(&gradient)?);
        Ok(Some(Tensor::from_vec(own, x.shape().clone(), x.device())?))
    }
}

/// Adds all rows to `sums`: parts of rows on all threads, the parts in their order.
fn sum_parts(rows: &[f32], sums: &mut [f32]) {
    let width = sums.len();
    let mut parts = zeros(rows.len().div_ceil(ROWS * width) * width);
    let tasks = rows
        .par_chunks(ROWS * width)
        .zip(parts.par_chunks_mut(width));
    tasks.for_each(|(rows, sums)| sum_rows(rows, sums));
    parts.chunks_exact(width).for_each(|part| add(sums, part));
}
