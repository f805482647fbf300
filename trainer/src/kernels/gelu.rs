//! The exact GELU, `x/2 (1 + erf(x / sqrt 2))`, forward and backward.

use super::math::{normal_below, normal_density};
use super::simd::vectorized;

vectorized! {
    /// GELU of each number.
    pub fn gelu(x: &[f32], out: &mut [f32]) {
        for (x, out) in x.iter().zip(out) {
            *out = x * normal_below(*x);
        }
    }

    /// Makes the gradient of x of the gradient of its GELU, where it stands.
    pub fn gelu_backward(x: &[f32], gradient: &mut [f32]) {
        for (&x, gradient) in x.iter().zip(gradient) {
            *gradient *= x.mul_add(normal_density(x), normal_below(x));
        }
    }

    /// As [`gelu_backward`], and adds the gradients to `sums` and computes the GELU once more.
    pub fn gelu_again(x: &[f32], gradient: &mut [f32], out: &mut [f32], sums: &mut [f32]) {
        let width = x.len();
        let (gradient, out, sums) = (&mut gradient[..width], &mut out[..width], &mut sums[..width]);
        for place in 0..width {
            let x = x[place];
            let below = normal_below(x);
            out[place] = x * below;
            let own = gradient[place] * x.mul_add(normal_density(x), below);
            gradient[place] = own;
            sums[place] += own;
        }
    }
}
