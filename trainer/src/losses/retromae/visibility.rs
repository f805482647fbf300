//! What each token of a sequence may look at in RetroMAE's decoder, in bits.

use crate::encoder::Sequences;
use crate::kernels::attention::HIDDEN;
use crate::losses::masks::{self, TokenKinds};

/// Different masks that a sequence draws at most; its tokens pick among them.
const MASKS_MAX: usize = 256;

/// Who sees whom in one sequence of L tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Visibility {
    /// L.
    pub length: usize,
    /// Words of 64 bits in a row.
    width: usize,
    /// Bit j of row i says whether token i sees token j. `[L, width]`
    bits: Vec<u64>,
}

impl Visibility {
    /// Of masks, whose bits say which tokens are hidden, and of which of them each token picks: no
    /// token sees itself.
    ///
    /// # Panics
    /// A pick is beyond the masks.
    pub fn of_masks(length: usize, masks: &[Vec<u64>], picks: &[usize]) -> Visibility {
        let width = length.div_ceil(64);
        let mut bits = Vec::with_capacity(length * width);
        for (row, &pick) in picks.iter().enumerate() {
            let seen = masks[pick].iter().map(|hidden| !hidden);
            bits.extend(seen);
            bits[row * width + row / 64] &= !(1 << (row % 64));
            // Behind the end there is nobody.
            bits[(row + 1) * width - 1] &= u64::MAX >> (width * 64 - length);
        }
        Visibility {
            length,
            width,
            bits,
        }
    }

    /// Of one sequence in a step: min(L, 256) whole-word masks that hide a share of its tokens, and
    /// each token picks one of them. Special tokens are hidden from themselves alone.
    pub fn draw(
        sequences: &Sequences,
        row: usize,
        kinds: &TokenKinds,
        probability: f64,
        step_key: u64,
    ) -> Visibility {
        let length = sequences.span(row).len();
        let number = sequences.numbers[row];
        let masks = length.min(MASKS_MAX);
        let mut draws = masks::draws(step_key, number, 1);
        let picks: Vec<usize> = (0..length).map(|_| draws.below(masks)).collect();
        let mut picked = vec![false; masks];
        picks.iter().for_each(|&pick| picked[pick] = true);
        let words = kinds.words(sequences, row);
        let target = masks::hidden_target(length, probability);
        let mask = |mask: usize| {
            let mut hidden = vec![0u64; length.div_ceil(64)];
            // A mask that nobody picks is not made: the others have draws of their own.
            if picked[mask] {
                let mut draws = masks::draws(step_key, number, 2 + mask as u64);
                masks::hide_words(&mut words.clone(), target, &mut draws, |word| {
                    word.for_each(|place| hidden[place / 64] |= 1 << (place % 64));
                });
            }
            hidden
        };
        let masks: Vec<Vec<u64>> = (0..masks).map(mask).collect();
        Visibility::of_masks(length, &masks, &picks)
    }

    /// Whether a token sees another.
    pub fn sees(&self, token: usize, other: usize) -> bool {
        self.bits[token * self.width + other / 64] >> (other % 64) & 1 == 1
    }

    /// Hides the products of queries with keys that they do not see. `[L, L]`
    pub fn hide(&self, scores: &mut [f32]) {
        for (token, scores) in scores.chunks_exact_mut(self.length).enumerate() {
            for (other, score) in scores.iter_mut().enumerate() {
                *score = if self.sees(token, other) {
                    *score
                } else {
                    HIDDEN
                };
            }
        }
    }

    /// Pairs of tokens of which the first sees the second.
    pub fn pairs(&self) -> u64 {
        self.bits
            .iter()
            .map(|bits| u64::from(bits.count_ones()))
            .sum()
    }
}
