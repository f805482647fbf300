//! The bag-of-words loss of DupMAE, with gradients: one sequence's logits at a time.

use rayon::prelude::{
    IndexedParallelIterator, IntoParallelIterator, ParallelIterator, ParallelSliceMut,
};

use super::{BLOCK, Gradients, Table};
use crate::kernels::gemm::{Matrix, MatrixMut, product};
use crate::kernels::rows::{add, add_scaled};

/// The words that occur in each of some sequences against the largest logits of their tokens: the
/// bag-of-words loss of DupMAE. Tokens of sequence i are `ends[i - 1]..ends[i]`, its words `bags[i]`,
/// each once and in order, each of weight `weights[i]`. The loss of a sequence is
/// `- sum over its words of weight * log softmax(largest logits)`.
///
/// # Panics
/// A word is beyond the vocabulary, or lengths do not fit.
pub fn bags_of_words(
    states: &[f32],
    ends: &[usize],
    bags: &[(Vec<u32>, f32)],
    table: &Table<'_>,
    mut gradients: Option<&mut Gradients>,
) -> f64 {
    let width = table.width();
    let mut loss = 0.0;
    let mut start = 0;
    for (&end, (bag, weight)) in ends.iter().zip(bags) {
        let own = start * width..end * width;
        let (mut tops, firsts) = tops(&states[own.clone()], table);
        let maximum = tops.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = tops
            .iter()
            .map(|&top| f64::from((top - maximum).exp()))
            .sum();
        let normaliser = f64::from(maximum) + sum.ln();
        let words = || bag.iter().map(|&word| word as usize);
        let weight_of_all = f64::from(*weight) * bag.len() as f64;
        let of_words: f64 = words().map(|word| f64::from(tops[word])).sum();
        loss += weight_of_all * normaliser - f64::from(*weight) * of_words;
        if let Some(gradients) = gradients.as_deref_mut() {
            for top in &mut tops {
                *top = (f64::from(*top) - normaliser).exp() as f32 * weight_of_all as f32;
            }
            words().for_each(|word| tops[word] -= weight);
            scatter(&states[own.clone()], &tops, &firsts, own, table, gradients);
        }
        start = end;
    }
    loss
}

/// The largest logit of each word over some tokens, and the first token that has it. `[V]` each
fn tops(states: &[f32], table: &Table<'_>) -> (Vec<f32>, Vec<u32>) {
    let (width, vocabulary) = (table.width(), table.bias.len());
    let tokens = states.len() / width;
    let mut tops = vec![f32::NEG_INFINITY; vocabulary];
    let mut firsts = vec![0; vocabulary];
    tops.par_chunks_mut(BLOCK)
        .zip(firsts.par_chunks_mut(BLOCK))
        .enumerate()
        .for_each(|(block, (tops, firsts))| {
            let words = tops.len();
            let start = block * BLOCK;
            let mut logits = vec![0.0; tokens * words];
            let weight = table.rows(start, words).transposed();
            let mut matrix = MatrixMut::new(&mut logits, words);
            product(&mut matrix, Matrix::new(states, width), weight, false);
            for (token, logits) in logits.chunks_exact(words).enumerate() {
                for ((top, first), &logit) in tops.iter_mut().zip(&mut *firsts).zip(logits) {
                    let larger = logit > *top;
                    *top = if larger { logit } else { *top };
                    *first = if larger { token as u32 } else { *first };
                }
            }
            add(tops, &table.bias[start..]);
        });
    (tops, firsts)
}

/// Adds the gradients of the largest logits: each goes to one token alone.
fn scatter(
    states: &[f32],
    tops: &[f32],
    firsts: &[u32],
    own: std::ops::Range<usize>,
    table: &Table<'_>,
    gradients: &mut Gradients,
) {
    let width = table.width();
    let row = |first: u32| &states[first as usize * width..(first as usize + 1) * width];
    gradients
        .weight
        .par_chunks_mut(BLOCK * width)
        .enumerate()
        .for_each(|(block, weight)| {
            for (number, weight) in weight.chunks_exact_mut(width).enumerate() {
                let word = block * BLOCK + number;
                add_scaled(weight, row(firsts[word]), tops[word]);
            }
        });
    add(&mut gradients.bias, tops);
    // A task walks over the words of some tokens alone.
    let mut words: Vec<Vec<u32>> = vec![Vec::new(); states.len() / width];
    for (word, &first) in firsts.iter().enumerate() {
        words[first as usize].push(word as u32);
    }
    gradients.states[own]
        .par_chunks_mut(width)
        .zip(words.into_par_iter())
        .for_each(|(state, words)| {
            for word in words.into_iter().map(|word| word as usize) {
                let weight = &table.weight[word * width..(word + 1) * width];
                add_scaled(state, weight, tops[word]);
            }
        });
}
