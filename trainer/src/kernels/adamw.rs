//! One step of AdamW over slices, in one pass on all threads.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::meter::{Work, timed};
use super::simd::vectorized;

/// Elements that a thread takes at once.
const PART: usize = 1 << 16;

/// The numbers of one step of AdamW (Loshchilov & Hutter 2019, algorithm 2, as PyTorch writes it).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f32,
    /// Share of the old mean of gradients.
    pub beta1: f32,
    /// Share of the old mean of squares.
    pub beta2: f32,
    /// Added to the root.
    pub eps: f32,
    /// Share of a parameter, times `lr`, that goes; 0 where nothing decays.
    pub weight_decay: f32,
    /// `1 - beta1^t` in step t, from 1.
    pub bias_correction1: f32,
    /// `1 - beta2^t`.
    pub bias_correction2: f32,
    /// Gradients are multiplied with it: clipping, the mean of accumulated batches.
    pub gradient_scale: f32,
}

/// Moves parameters and their two means by their gradients, which are 0 after it.
pub fn adamw(
    parameters: &mut [f32],
    gradients: &mut [f32],
    means: &mut [f32],
    squares: &mut [f32],
    step: &AdamW,
) {
    let both = parameters
        .par_chunks_mut(PART)
        .zip(gradients.par_chunks_mut(PART));
    let means = means.par_chunks_mut(PART).zip(squares.par_chunks_mut(PART));
    both.zip(means)
        .for_each(|((p, g), (m, v))| timed(Work::Optimizer, || part(p, g, m, v, *step)));
}

/// The sum of squares in f64; the same for any number of threads.
pub fn squared_norm(values: &[f32]) -> f64 {
    let parts: Vec<f64> = values.par_chunks(PART).map(squares).collect();
    parts.iter().sum()
}

vectorized! {
    fn part(p: &mut [f32], g: &mut [f32], m: &mut [f32], v: &mut [f32], step: AdamW) {
        let length = p.len();
        let (g, m, v) = (&mut g[..length], &mut m[..length], &mut v[..length]);
        let keep = 1.0 - step.lr * step.weight_decay;
        let size = step.lr / step.bias_correction1;
        let root = step.bias_correction2.sqrt();
        for place in 0..length {
            let gradient = g[place] * step.gradient_scale;
            g[place] = 0.0;
            let mean = (gradient - m[place]).mul_add(1.0 - step.beta1, m[place]);
            let square = v[place].mul_add(step.beta2, (1.0 - step.beta2) * gradient * gradient);
            (m[place], v[place]) = (mean, square);
            let under = square.sqrt() / root + step.eps;
            p[place] = p[place].mul_add(keep, -(size * mean / under));
        }
    }

    fn squares(values: &[f32]) -> f64 {
        let mut lanes = [0.0f64; 8];
        let (blocks, rest) = values.as_chunks::<8>();
        for block in blocks {
            for lane in 0..8 {
                let value = f64::from(block[lane]);
                lanes[lane] = value.mul_add(value, lanes[lane]);
            }
        }
        for (lane, &value) in rest.iter().enumerate() {
            lanes[lane] += f64::from(value) * f64::from(value);
        }
        lanes.iter().sum()
    }
}
