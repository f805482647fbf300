//! Attention of one head over one sequence, forward and backward; nothing of `n × n` is kept.

use super::gemm::{Matrix, MatrixMut, product};
use super::memory::{Buffer, buffer};
use super::rows::{Drops, dots, drop_in_place, exponentials, maximum};
use super::simd::vectorized;

/// The product of a query with a key that it does not see: nothing of it is left beside others. A power
/// of two, so that products with a scale are exact, and a query that sees nothing looks at all alike.
pub const HIDDEN: f32 = -((1u128 << 100) as f32);

/// Queries, keys and values of one head. `[n, d]` each
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Queries.
    pub query: Matrix<'a>,
    /// Keys.
    pub key: Matrix<'a>,
    /// Values.
    pub value: Matrix<'a>,
    /// Tokens, `n`.
    pub length: usize,
    /// Products of queries and keys are multiplied with it.
    pub scale: f32,
    /// Dropout on looks, from the head's first element on.
    pub drops: Option<Drops>,
}

/// Room for the products of the longest sequence.
#[derive(Debug)]
pub struct Room {
    scores: Buffer,
    gradients: Buffer,
    deltas: Buffer,
}

impl Room {
    /// Room for sequences of at most this length; `backward` needs twice as much.
    pub fn new(length_max: usize, backward: bool) -> Room {
        let elements = length_max * length_max;
        Room {
            scores: buffer(elements),
            gradients: buffer(if backward { elements } else { 0 }),
            deltas: buffer(if backward { length_max } else { 0 }),
        }
    }
}

/// Softmax of scaled products of queries and keys, times values. `[n, d]`
///
/// `hide` makes [`HIDDEN`] of the products `[n, n]` of queries with keys that they do not see.
pub fn forward(
    head: &Head<'_>,
    room: &mut Room,
    context: &mut MatrixMut<'_>,
    hide: impl Fn(&mut [f32]),
) {
    let n = head.length;
    let scores = &mut room.scores[..n * n];
    looks(head, scores, hide);
    if let Some(drops) = head.drops {
        drop_in_place(scores, drops);
    }
    product(context, Matrix::new(scores, n), head.value, false);
}

/// Gradients of queries, keys and values. `[n, d]` each
///
/// `context` is what [`forward`] gave and `gradient` its gradient, rows of `stride` numbers whose
/// first `d` are the head's; `hide` is what [`forward`] was given.
pub fn backward(
    head: &Head<'_>,
    room: &mut Room,
    (context, gradient, stride, d): (&[f32], &[f32], usize, usize),
    [query_gradient, key_gradient, value_gradient]: [&mut MatrixMut<'_>; 3],
    hide: impl Fn(&mut [f32]),
) {
    let n = head.length;
    let (scores, gradients) = (&mut room.scores[..n * n], &mut room.gradients[..n * n]);
    looks(head, scores, hide);
    let context_gradient = Matrix::strided(gradient, n, d, stride);
    let mut matrix = MatrixMut::new(gradients, n);
    product(
        &mut matrix,
        context_gradient,
        head.value.transposed(),
        false,
    );
    // The sum of products of looks and their gradients is that of the context and its gradient.
    let deltas = &mut room.deltas[..n];
    dots(context, gradient, stride, d, deltas);
    match head.drops {
        Some(drops) => scores_backward_dropped(scores, gradients, deltas, head.scale, drops),
        None => scores_backward(scores, gradients, deltas, head.scale),
    }
    let (looks, gradients) = (Matrix::new(scores, n), Matrix::new(gradients, n));
    product(value_gradient, looks.transposed(), context_gradient, false);
    product(query_gradient, gradients, head.key, false);
    product(key_gradient, gradients.transposed(), head.query, false);
}

/// Softmax of scaled products of queries and keys. `[n, n]`
fn looks(head: &Head<'_>, scores: &mut [f32], hide: impl Fn(&mut [f32])) {
    let mut matrix = MatrixMut::new(scores, head.length);
    product(&mut matrix, head.query, head.key.transposed(), false);
    hide(scores);
    softmax(scores, head.length, head.scale);
}

vectorized! {
    /// `exp(scale x)` of each, divided by their row's sum, where they stand; scale is positive. Rows
    /// of `width`
    pub fn softmax(rows: &mut [f32], width: usize, scale: f32) {
        for row in rows.chunks_exact_mut(width) {
            let shift = maximum(row) * scale;
            let factor = 1.0 / exponentials(row, scale, shift);
            for value in row {
                *value *= factor;
            }
        }
    }

    /// From the gradients of looks to those of products of queries and keys; of each row, `deltas` has
    /// the sum of products of looks and their gradients.
    fn scores_backward(looks: &[f32], gradients: &mut [f32], deltas: &[f32], scale: f32) {
        let width = deltas.len();
        let rows = looks.chunks_exact(width).zip(gradients.chunks_exact_mut(width));
        for ((looks, gradients), delta) in rows.zip(deltas) {
            for (look, gradient) in looks.iter().zip(gradients) {
                *gradient = look * (*gradient - delta) * scale;
            }
        }
    }

    /// As [`scores_backward`], with dropout, which leaves in `looks` what values were multiplied with.
    fn scores_backward_dropped(
        looks: &mut [f32], gradients: &mut [f32], deltas: &[f32], scale: f32, drops: Drops,
    ) {
        let width = deltas.len();
        for (row, delta) in deltas.iter().enumerate() {
            let drops = drops.skip(row * width);
            let looks = &mut looks[row * width..(row + 1) * width];
            let gradients = &mut gradients[row * width..(row + 1) * width];
            for place in 0..width {
                let (look, factor) = (looks[place], drops.factor(place));
                gradients[place] = look * gradients[place].mul_add(factor, -delta) * scale;
                looks[place] = look * factor;
            }
        }
    }
}
