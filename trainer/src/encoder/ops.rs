//! Operations that models are made of, each with a gradient: fused for the CPU, or plain.

use candle_core::{D, DType, Device, Tensor};

use super::{Kernels, Sequences, fused};
use crate::Result;
use crate::kernels::dropout::Dropout;
use crate::parameters::Parameter;

/// `x Wᵀ + b`: x `[T, in]`, W `[out, in]`, b `[out]`, as PyTorch's linear layer. `[T, out]`
///
/// # Errors
/// Shapes do not fit.
pub fn linear(
    x: &Tensor,
    weight: &Parameter,
    bias: Option<&Parameter>,
    kernels: Kernels,
) -> Result<Tensor> {
    if fused::wanted(kernels, x) {
        return fused::linear(x, weight, bias);
    }
    let product = x.matmul(&weight.tensor().t()?)?;
    Ok(match bias {
        Some(bias) => product.broadcast_add(bias.tensor())?,
        None => product,
    })
}

/// Layer norm over the last dimension: `(x - mean) / sqrt(variance + eps) * weight + bias`, the
/// variance divided by H. x `[T, H]`
///
/// # Errors
/// Shapes do not fit.
pub fn layer_norm(
    x: &Tensor,
    (weight, bias): (&Parameter, &Parameter),
    eps: f64,
    kernels: Kernels,
) -> Result<Tensor> {
    if fused::wanted(kernels, x) {
        return fused::layer_norm(x, (weight, bias), eps);
    }
    // candle's own layer norm stops gradients in silence, its slow form does not.
    Ok(candle_nn::ops::layer_norm_slow(
        x,
        weight.tensor(),
        bias.tensor(),
        eps as f32,
    )?)
}

/// The exact GELU: `x/2 (1 + erf(x / sqrt 2))`.
///
/// # Errors
/// The device fails.
pub fn gelu(x: &Tensor, kernels: Kernels) -> Result<Tensor> {
    match fused::wanted(kernels, x) {
        true => fused::gelu(x),
        false => Ok(x.gelu_erf()?),
    }
}

/// Drops elements of states. x `[T, H]`
///
/// # Errors
/// The device fails.
pub fn dropout(
    x: &Tensor,
    dropout: Option<Dropout>,
    sequences: &Sequences,
    kernels: Kernels,
) -> Result<Tensor> {
    let Some(dropout) = dropout else {
        return Ok(x.clone());
    };
    if fused::wanted(kernels, x) {
        return fused::dropout(x, &dropout, sequences);
    }
    let width = x.dim(1)?;
    let mut factors = vec![0.0; x.elem_count()];
    for row in 0..sequences.rows() {
        let span = sequences.span(row);
        let own = &mut factors[span.start * width..span.end * width];
        dropout.factors(sequences.numbers[row], 0, own);
    }
    let factors = Tensor::from_vec(factors, x.shape().clone(), x.device())?;
    Ok((x * factors)?)
}

/// Softmax of scaled products of queries and keys, times values, of candle's own operations.
/// `hidden` is added to the products: 0 where a token is seen. `[T, H]` each, hidden `[rows, 1, 1 or L,
/// L]`
///
/// # Errors
/// Shapes do not fit.
pub fn attention(
    (query, key, value): (&Tensor, &Tensor, &Tensor),
    hidden: &Tensor,
    (heads, dropout): (usize, Option<&Dropout>),
    sequences: &Sequences,
) -> Result<Tensor> {
    let (device, size) = (query.device(), query.dim(1)? / heads);
    let (rows, length) = (sequences.rows(), sequences.length_max());
    let (index, _) = sequences.padded(device)?;
    let index = index.flatten_all()?;
    let split = |states: &Tensor| -> Result<Tensor> {
        let states = states.index_select(&index, 0)?;
        let states = states.reshape((rows, length, heads, size))?;
        Ok(states.transpose(1, 2)?.contiguous()?)
    };
    let (query, key, value) = (split(query)?, split(key)?, split(value)?);
    let scores = (query.matmul(&key.t()?)? * (size as f64).powf(-0.5))?;
    let mut looks = candle_nn::ops::softmax(&scores.broadcast_add(hidden)?, D::Minus1)?;
    if let Some(dropout) = dropout {
        looks = (looks * attention_dropout(dropout, sequences, heads, device)?)?;
    }
    let context = looks.matmul(&value)?.transpose(1, 2)?;
    let context = context.reshape((rows * length, heads * size))?;
    Ok(context.index_select(&sequences.places(device)?, 0)?)
}

/// Factors of dropout on attention: element `(head * n + i) * n + j` of a sequence of n tokens is
/// query i's look at key j. `[rows, heads, L, L]`
///
/// # Errors
/// The device fails.
fn attention_dropout(
    dropout: &Dropout,
    sequences: &Sequences,
    heads: usize,
    device: &Device,
) -> Result<Tensor> {
    let (rows, width) = (sequences.rows(), sequences.length_max());
    let mut factors = vec![0.0; rows * heads * width * width];
    for row in 0..rows {
        let length = sequences.span(row).len();
        let number = sequences.numbers[row];
        for head in 0..heads {
            for query in 0..length {
                let start = ((row * heads + head) * width + query) * width;
                let first = (head * length + query) * length;
                dropout.factors(number, first as u32, &mut factors[start..start + length]);
            }
        }
    }
    let factors = Tensor::from_vec(factors, (rows, heads, width, width), device)?;
    Ok(factors.to_dtype(DType::F32)?)
}
