//! Layer norm of a row, forward and backward.

use super::simd::{LANES, sum, vectorized};

vectorized! {
    /// Makes mean 0 and variance 1 of a row where it stands; gives `1 / sqrt(variance + eps)`.
    pub fn normalize(row: &mut [f32], eps: f32) -> f32 {
        let mut lanes = [0.0f32; LANES];
        let (blocks, rest) = row.as_chunks::<LANES>();
        for block in blocks {
            for lane in 0..LANES {
                lanes[lane] += block[lane];
            }
        }
        for (lane, value) in rest.iter().enumerate() {
            lanes[lane] += value;
        }
        let mean = sum(&lanes) / row.len() as f32;
        let mut lanes = [0.0f32; LANES];
        let (blocks, rest) = row.as_chunks_mut::<LANES>();
        for block in blocks {
            for lane in 0..LANES {
                block[lane] -= mean;
                lanes[lane] = block[lane].mul_add(block[lane], lanes[lane]);
            }
        }
        for (lane, value) in rest.iter_mut().enumerate() {
            *value -= mean;
            lanes[lane] = value.mul_add(*value, lanes[lane]);
        }
        let rstd = 1.0 / (sum(&lanes) / row.len() as f32 + eps).sqrt();
        for value in row {
            *value *= rstd;
        }
        rstd
    }

    /// `normal * weight + bias`.
    pub fn scale_shift(normal: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
        let width = out.len();
        let (normal, weight, bias) = (&normal[..width], &weight[..width], &bias[..width]);
        for place in 0..width {
            out[place] = normal[place].mul_add(weight[place], bias[place]);
        }
    }

    /// From the gradient of a row's output to that of its input, where it stands; adds those of weight
    /// and bias. `normal` and `rstd` are what [`normalize`] made.
    pub fn norm_backward(
        gradient: &mut [f32], normal: &[f32], rstd: f32, weight: &[f32],
        weight_gradient: &mut [f32], bias_gradient: &mut [f32],
    ) {
        let width = gradient.len();
        let (normal, weight) = (&normal[..width], &weight[..width]);
        let (weight_gradient, bias_gradient) = (&mut weight_gradient[..width], &mut bias_gradient[..width]);
        let (mut first, mut second) = ([0.0f32; LANES], [0.0f32; LANES]);
        let whole = width - width % LANES;
        for start in (0..whole).step_by(LANES) {
            for lane in 0..LANES {
                let own = gradient[start + lane];
                let (normal, weighted) = (normal[start + lane], own * weight[start + lane]);
                weight_gradient[start + lane] = own.mul_add(normal, weight_gradient[start + lane]);
                bias_gradient[start + lane] += own;
                first[lane] += weighted;
                second[lane] = weighted.mul_add(normal, second[lane]);
            }
        }
        for place in whole..width {
            let own = gradient[place];
            let weighted = own * weight[place];
            weight_gradient[place] = own.mul_add(normal[place], weight_gradient[place]);
            bias_gradient[place] += own;
            first[place - whole] += weighted;
            second[place - whole] = weighted.mul_add(normal[place], second[place - whole]);
        }
        let mean = sum(&first) / width as f32;
        let slope = sum(&second) / width as f32;
        for place in 0..width {
            let weighted = gradient[place].mul_add(weight[place], -mean);
            gradient[place] = rstd * normal[place].mul_add(-slope, weighted);
        }
    }
}

/// [`norm_backward`] of each row.
pub fn norm_rows_backward(
    gradient: &mut [f32],
    (normal, rstd): (&[f32], &[f32]),
    weight: &[f32],
    [weight_sums, bias_sums]: [&mut [f32]; 2],
) {
    let width = weight.len();
    let rows = gradient
        .chunks_exact_mut(width)
        .zip(normal.chunks_exact(width));
    for ((gradient, normal), rstd) in rows.zip(rstd) {
        norm_backward(gradient, normal, *rstd, weight, weight_sums, bias_sums);
    }
}
