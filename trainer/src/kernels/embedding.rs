//! The sum of embeddings of tokens, and the way back of their gradients to the rows they came from.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::meter::{Work, timed};
use super::rows::add;
use super::simd::vectorized;

vectorized! {
    /// The sum of three rows.
    pub fn sum_of_three(out: &mut [f32], one: &[f32], two: &[f32], three: &[f32]) {
        let width = out.len();
        let (one, two, three) = (&one[..width], &two[..width], &three[..width]);
        for place in 0..width {
            out[place] = one[place] + two[place] + three[place];
        }
    }
}

/// Adds row `t` of `gradients` to row `numbers[t]` of a table, for every t. Only rows that are named
/// are touched; each gets its sums in the order of t, on whatever thread.
pub fn scatter_add(table: &mut [f32], width: usize, numbers: &[u32], gradients: &[f32]) {
    let mut order: Vec<u32> = (0..numbers.len() as u32).collect();
    order.sort_by_key(|&token| numbers[token as usize]);
    let (mut tasks, mut rest, mut passed) = (Vec::new(), table, 0usize);
    for tokens in order.chunk_by(|&one, &other| numbers[one as usize] == numbers[other as usize]) {
        let row = numbers[tokens[0] as usize] as usize;
        let (own, behind) = rest.split_at_mut((row + 1 - passed) * width);
        let before = own.len() - width;
        tasks.push((&mut own[before..], tokens));
        (rest, passed) = (behind, row + 1);
    }
    tasks.into_par_iter().for_each(|(row, tokens)| {
        timed(Work::Embeddings, || {
            for &token in tokens {
                add(row, &gradients[token as usize * width..][..width]);
            }
        });
    });
}
