//! Cross-entropy over a vocabulary, with gradients, in tiles: the logits of all tokens never exist
//! at once.
//!
//! A tile of tokens is multiplied with a block of the vocabulary after the other, in parallel; each
//! block keeps its own maximum and sum, and a walk over the blocks makes the normaliser of each
//! token of them. Sizes of tiles and blocks are fixed, and every sum has one order, so the number of
//! threads changes nothing. For one tile the logits take `512 V` numbers.

mod bags;

use rayon::prelude::{
    IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator, ParallelSliceMut,
};

pub use bags::bags_of_words;

use super::gemm::{Matrix, MatrixMut, product};
use super::rows::{self, maximum, sum_rows};
use super::simd::vectorized;

/// Tokens whose logits exist at once.
const TILE: usize = 512;
/// Words of the vocabulary that one task handles.
const BLOCK: usize = 512;
/// Tokens for whose states one task sums up gradients.
const GROUP: usize = 128;

/// The table that logits are made with: `logit v = x · weight v + bias v`.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// `[V, H]`
    pub weight: &'a [f32],
    /// `[V]`
    pub bias: &'a [f32],
}

/// Sums over the labels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scored {
    /// Of the cross-entropy.
    pub loss: f64,
    /// Of labels that have the largest logit; of equal ones the first word has it.
    pub correct: usize,
}

/// Gradients of [`Scored::loss`].
#[derive(Clone, Debug, Default)]
pub struct Gradients {
    /// `[N, H]`
    pub states: Vec<f32>,
    /// `[V, H]`
    pub weight: Vec<f32>,
    /// `[V]`
    pub bias: Vec<f32>,
}

/// The logits of a tile for one block of the vocabulary; later exp(logit - maximum), and then their
/// gradients.
struct Block {
    /// The first word.
    start: usize,
    /// `[tile, words]`
    values: Vec<f32>,
    /// Of each token. `[tile]`
    seen: Vec<Seen>,
}

/// What a block knows of a token.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The largest logit.
    maximum: f32,
    /// Sum of exp(logit - maximum).
    sum: f32,
    /// The logit of the label, where it is in the block.
    label: Option<f32>,
}

impl Gradients {
    /// Of no token yet.
    pub fn zeros(tokens: usize, table: &Table<'_>) -> Gradients {
        let width = table.width();
        Gradients {
            states: vec![0.0; tokens * width],
            weight: vec![0.0; table.weight.len()],
            bias: vec![0.0; table.bias.len()],
        }
    }
}

impl Table<'_> {
    /// Length of a state, `H`.
    pub fn width(&self) -> usize {
        self.weight.len() / self.bias.len()
    }

    /// Rows of the weight.
    pub(super) fn rows(&self, start: usize, words: usize) -> Matrix<'_> {
        let width = self.width();
        Matrix::new(self.weight, width).rows(start..start + words)
    }
}

/// The cross-entropy of states `[N, H]` against labels `[N]`; its gradients are added to `gradients`
/// where they are wanted.
///
/// # Panics
/// A label is beyond the vocabulary, or lengths do not fit.
pub fn cross_entropy(
    states: &[f32],
    labels: &[u32],
    table: &Table<'_>,
    mut gradients: Option<&mut Gradients>,
) -> Scored {
    let width = table.width();
    assert_eq!(states.len(), labels.len() * width);
    let mut blocks: Vec<Block> = (0..table.bias.len())
        .step_by(BLOCK)
        .map(Block::new)
        .collect();
    let mut scored = Scored::default();
    for (number, labels) in labels.chunks(TILE).enumerate() {
        let start = number * TILE * width;
        let states = &states[start..start + labels.len() * width];
        blocks
            .par_iter_mut()
            .for_each(|block| block.look(states, labels, table));
        let normalisers = normalisers(&blocks, labels, &mut scored);
        let Some(gradients) = gradients.as_deref_mut() else {
            continue;
        };
        blocks
            .par_iter_mut()
            .zip(gradients.weight.par_chunks_mut(BLOCK * width))
            .zip(gradients.bias.par_chunks_mut(BLOCK))
            .for_each(|((block, weight), bias)| {
                block.turn(labels, &normalisers);
                block.add_to(states, width, weight, bias);
            });
        let own = &mut gradients.states[start..start + labels.len() * width];
        own.par_chunks_mut(GROUP * width)
            .enumerate()
            .for_each(|(group, own)| {
                for block in &blocks {
                    block.pull_back(group * GROUP, own, table);
                }
            });
    }
    scored
}

/// Of each token, the logarithm of the sum of exp(logit).
fn normalisers(blocks: &[Block], labels: &[u32], scored: &mut Scored) -> Vec<f32> {
    let token = |token: usize| {
        let seen = || blocks.iter().map(|block| &block.seen[token]);
        let mut best = &blocks[0];
        for block in blocks {
            if block.seen[token].maximum > best.seen[token].maximum {
                best = block;
            }
        }
        let maximum = best.seen[token].maximum;
        let parts = seen().map(|own| f64::from(own.sum * (own.maximum - maximum).exp()));
        let normaliser = f64::from(maximum) + parts.sum::<f64>().ln();
        let label = seen().find_map(|own| own.label);
        let label = label.expect("every label is in a block");
        scored.loss += normaliser - f64::from(label);
        scored.correct += usize::from(best.top(token) == labels[token] as usize);
        normaliser as f32
    };
    (0..labels.len()).map(token).collect()
}

impl Block {
    fn new(start: usize) -> Block {
        Block {
            start,
            values: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Computes logits, and of each token what the block knows of it.
    fn look(&mut self, states: &[f32], labels: &[u32], table: &Table<'_>) {
        let width = table.width();
        let words = BLOCK.min(table.bias.len() - self.start);
        self.values.resize(labels.len() * words, 0.0);
        let weight = table.rows(self.start, words).transposed();
        let mut logits = MatrixMut::new(&mut self.values, words);
        product(&mut logits, Matrix::new(states, width), weight, false);
        let bias = &table.bias[self.start..self.start + words];
        self.seen.clear();
        for (logits, &label) in self.values.chunks_exact_mut(words).zip(labels) {
            assert!((label as usize) < table.bias.len(), "label {label}");
            let maximum = biased(logits, bias);
            let label = (label as usize).checked_sub(self.start);
            let label = label.and_then(|label| logits.get(label).copied());
            self.seen.push(Seen {
                maximum,
                sum: exponentials(logits, maximum),
                label,
            });
        }
    }

    /// The first word with the largest logit of a token: its exp(logit - maximum) is 1.
    fn top(&self, token: usize) -> usize {
        let words = self.values.len() / self.seen.len();
        let values = &self.values[token * words..(token + 1) * words];
        let first = values.iter().position(|&value| value == 1.0);
        self.start + first.unwrap_or(0)
    }

    /// Turns exp(logit - maximum) into the gradients of the logits.
    fn turn(&mut self, labels: &[u32], normalisers: &[f32]) {
        let words = self.values.len() / labels.len();
        let rows = self.values.chunks_exact_mut(words);
        for (((values, seen), &label), normaliser) in
            rows.zip(&self.seen).zip(labels).zip(normalisers)
        {
            let factor = (seen.maximum - normaliser).exp();
            values.iter_mut().for_each(|value| *value *= factor);
            let label = (label as usize).checked_sub(self.start);
            if let Some(value) = label.and_then(|label| values.get_mut(label)) {
                *value -= 1.0;
            }
        }
    }

    /// Adds to the gradients of the block's own rows of the weight and of its bias.
    fn add_to(&self, states: &[f32], width: usize, weight: &mut [f32], bias: &mut [f32]) {
        let words = bias.len();
        let values = Matrix::new(&self.values, words).transposed();
        let mut weight = MatrixMut::new(weight, width);
        product(&mut weight, values, Matrix::new(states, width), true);
        sum_rows(&self.values, bias);
    }

    /// Adds to the gradients of the states of some tokens of the tile, from number `first`.
    fn pull_back(&self, first: usize, states: &mut [f32], table: &Table<'_>) {
        let width = table.width();
        let words = self.values.len() / self.seen.len();
        let tokens = states.len() / width;
        let values = Matrix::new(&self.values, words).rows(first..first + tokens);
        let mut states = MatrixMut::new(states, width);
        product(&mut states, values, table.rows(self.start, words), true);
    }
}

vectorized! {
    /// Adds the bias to logits; gives the largest.
    fn biased(logits: &mut [f32], bias: &[f32]) -> f32 {
        for (logit, bias) in logits.iter_mut().zip(bias) {
            *logit += bias;
        }
        maximum(logits)
    }

    /// Makes exp(logit - maximum) of logits where they stand; gives their sum.
    fn exponentials(logits: &mut [f32], maximum: f32) -> f32 {
        rows::exponentials(logits, 1.0, maximum)
    }
}

#[cfg(test)]
mod tests;
