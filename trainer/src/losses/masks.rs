//! Which tokens a masked language model hides: a pure function of the step and the sequence.

use std::ops::Range;

use juzi_schemas::random::Draws;

use crate::collate::NO_WORD;
use crate::encoder::Sequences;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

const STREAM: u64 = 0x6d61_736b;

/// Tokens of a sequence that whole-word masks hide at most, as Hugging Face's collator has it.
const HIDDEN_MAX: usize = 512;

/// What masks must know of a vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenKinds {
    /// The token that hides another.
    pub mask: u32,
    /// Whether a token is special, by its id; such a token is never hidden.
    pub special: Vec<bool>,
    /// Whether a token goes on with the word of the one before it, by its id.
    pub continues: Vec<bool>,
}

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Masking {
    /// Share of tokens to be hidden.
    pub probability: f64,
    /// Whether whole words are hidden, in exact number; else each token by a draw of its own.
    pub whole_words: bool,
}

/// Sequences with hidden tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Masked {
    /// The sequences as the encoder sees them.
    pub sequences: Sequences,
    /// Which tokens are labelled, of all. `[labels]`
    pub places: Vec<u32>,
    /// What they were. `[labels]`
    pub labels: Vec<u32>,
}

impl TokenKinds {
    /// Of a tokenizer.
    ///
    /// # Errors
    /// The tokenizer has no token that hides another.
    pub fn of(tokenizer: &Tokenizer) -> Result<TokenKinds> {
        let mask = tokenizer.mask().ok_or_else(|| {
            let what = "a masked language model wants a tokenizer with a token such as [MASK]";
            Error::Usage(format!("[tokenizer] path: this one has no mask: {what}"))
        })?;
        let ids = 0..tokenizer.vocabulary() as u32;
        let continues = |id| {
            tokenizer
                .token(id)
                .is_some_and(|text| text.starts_with("##"))
        };
        Ok(TokenKinds {
            mask,
            special: ids.clone().map(|id| tokenizer.is_special(id)).collect(),
            continues: ids.map(continues).collect(),
        })
    }

    /// Ids there are.
    pub fn vocabulary(&self) -> usize {
        self.special.len()
    }

    /// Whether a token of some sequences may be hidden: it is not special.
    pub fn may_hide(&self, sequences: &Sequences, token: usize) -> bool {
        let special = self.special.get(sequences.ids[token] as usize);
        let outside = |words: &Vec<u16>| words[token] == NO_WORD;
        special != Some(&true) && !sequences.words.as_ref().is_some_and(outside)
    }

    /// The words of a sequence, as ranges of its places. Where the batch knows no words, pieces that
    /// begin with `##` go with those before them, and every other token is a word.
    pub fn words(&self, sequences: &Sequences, row: usize) -> Vec<Range<usize>> {
        let span = sequences.span(row);
        let mut words: Vec<Range<usize>> = Vec::new();
        for token in span
            .clone()
            .filter(|&token| self.may_hide(sequences, token))
        {
            let place = token - span.start;
            let goes_on = || match &sequences.words {
                Some(words) => words[token] == words[token - 1],
                None => self.continues.get(sequences.ids[token] as usize) == Some(&true),
            };
            match words.last_mut() {
                Some(last) if last.end == place && goes_on() => last.end += 1,
                _ => words.push(place..place + 1),
            }
        }
        words
    }
}

/// Hides tokens: 80 of 100 become the mask, 10 any token of the vocabulary, 10 stay what they are.
///
/// Any token means special ones too, as in Hugging Face's collator.
pub fn mask(sequences: &Sequences, kinds: &TokenKinds, masking: &Masking, step_key: u64) -> Masked {
    let mut masked = Masked {
        sequences: sequences.clone(),
        places: Vec::new(),
        labels: Vec::new(),
    };
    for row in 0..sequences.rows() {
        let start = sequences.span(row).start;
        let mut draws = draws(step_key, sequences.numbers[row], 0);
        for place in hidden(sequences, row, kinds, masking, &mut draws) {
            let token = start + place;
            masked.places.push(token as u32);
            masked.labels.push(sequences.ids[token]);
            let share = draws.unit();
            if share < 0.8 {
                masked.sequences.ids[token] = kinds.mask;
            } else if share < 0.9 {
                masked.sequences.ids[token] = draws.below(kinds.vocabulary()) as u32;
            }
        }
    }
    masked
}

/// How many tokens [`mask`] labels.
pub fn count(sequences: &Sequences, kinds: &TokenKinds, masking: &Masking, step_key: u64) -> usize {
    let rows = 0..sequences.rows();
    rows.map(|row| {
        let mut draws = draws(step_key, sequences.numbers[row], 0);
        hidden(sequences, row, kinds, masking, &mut draws).len()
    })
    .sum()
}

/// The draws of one mask of a sequence in a step; mask 0 is what the encoder sees.
pub fn draws(step_key: u64, sequence: u64, mask: u64) -> Draws {
    Draws::new(step_key, STREAM, 0, u128::from(sequence), mask)
}

/// How many tokens of a sequence of some length, special ones counted, whole-word masks hide: half
/// goes to even, as Python rounds.
pub fn hidden_target(length: usize, probability: f64) -> usize {
    let share = (probability * length as f64).round_ties_even() as usize;
    share.clamp(1, HIDDEN_MAX)
}

/// Hides words in random order while they fit; a word that would be too much is passed over. `words`
/// are put into another order.
pub fn hide_words(
    words: &mut [Range<usize>],
    target: usize,
    draws: &mut Draws,
    mut hide: impl FnMut(Range<usize>),
) {
    let mut left = target;
    for drawn in 0..words.len() {
        if left == 0 {
            return;
        }
        // The shuffle of Fisher and Yates, as far as it is wanted.
        words.swap(drawn, drawn + draws.below(words.len() - drawn));
        let word = &words[drawn];
        if word.len() <= left {
            left -= word.len();
            hide(word.clone());
        }
    }
}

/// The places of a sequence that are hidden, in their order.
fn hidden(
    sequences: &Sequences,
    row: usize,
    kinds: &TokenKinds,
    masking: &Masking,
    draws: &mut Draws,
) -> Vec<usize> {
    let span = sequences.span(row);
    if !masking.whole_words {
        let places = span
            .clone()
            .filter(|&token| kinds.may_hide(sequences, token));
        let drawn = places.filter(|_| draws.chance(masking.probability));
        return drawn.map(|token| token - span.start).collect();
    }
    let mut words = kinds.words(sequences, row);
    let mut places = Vec::new();
    let target = hidden_target(span.len(), masking.probability);
    hide_words(&mut words, target, draws, |word| places.extend(word));
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests;
