//! The operators: each changes the tokens of a view that is being made.
//!
//! To add one: a name here with its two spellings, a line in [`Work::apply`], and its function.

use serde::{Deserialize, Serialize};

use juzi_schemas::random::Draws;
use juzi_schemas::synonym::Word;

use super::sentence::{Context, Token};
use super::trace::Trace;

/// Tries to draw a word that has synonyms, for one insertion (eda_nlp).
const INSERTION_TRIES: usize = 10;

/// Tries to draw a second word that is not the first, for one swap (eda_nlp).
const SWAP_TRIES: usize = 3;

/// An operator and its strength.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Which operator.
    pub name: Name,
    /// Its strength, 0 to 1; what it means is said at each [`Name`].
    pub rate: f64,
}

/// The operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Name {
    /// Replaces `max(1, floor(rate * words))` different words, drawn from those that have synonyms
    /// and are no stop words, each wherever it stands by one of its synonyms (Wei and Zou 2019).
    SynonymReplacement,
    /// Inserts `max(1, floor(rate * words))` synonyms of words of the text, each before a word
    /// drawn (Wei and Zou 2019).
    RandomInsertion,
    /// Swaps two words, `max(1, floor(rate * words))` times (Wei and Zou 2019).
    RandomSwap,
    /// Drops each word with probability `rate`; one word stays (Wei and Zou 2019).
    RandomDeletion,
    /// Says `0 ..= max(2, floor(rate * words))` words twice; the paper's rate is 0.32
    /// (Wu et al. 2022, ESimCSE).
    WordRepetition,
    /// Keeps a span of words and removes `floor(rate * words)` around it (Gao et al. 2021, SimCSE).
    Crop,
    /// Drops each character with probability `rate`; one stays (Gao et al. 2021, SimCSE).
    CharacterDeletion,
}

impl Name {
    /// All operators.
    pub const ALL: [Name; 7] = [
        Name::SynonymReplacement,
        Name::RandomInsertion,
        Name::RandomSwap,
        Name::RandomDeletion,
        Name::WordRepetition,
        Name::Crop,
        Name::CharacterDeletion,
    ];

    /// The word in a recipe.
    pub fn name(self) -> &'static str {
        [
            "synonym_replacement",
            "random_insertion",
            "random_swap",
            "random_deletion",
            "word_repetition",
            "crop",
            "character_deletion",
        ][self as usize]
    }

    /// Two letters.
    pub fn short(self) -> &'static str {
        ["SR", "RI", "RS", "RD", "WR", "CR", "CD"][self as usize]
    }

    /// Whether it looks for synonyms.
    pub fn wants_synonyms(self) -> bool {
        matches!(self, Name::SynonymReplacement | Name::RandomInsertion)
    }

    /// Whether it works on characters, so that no operator on words can follow.
    pub fn is_last(self) -> bool {
        self == Name::CharacterDeletion
    }
}

/// A view that is being made. Its memory is used again for the next view.
#[derive(Debug, Default)]
pub(super) struct Work {
    tokens: Vec<Token>,
    spare: Vec<Token>,
    spare_text: String,
    /// Words that can be replaced, each as often as it stands there.
    candidates: Vec<(Word, u32)>,
    /// Numbers of candidates, being shuffled.
    order: Vec<u32>,
    pub trace: Trace,
}

impl Work {
    /// Makes one view by applying operators in turn, and appends it to `out`.
    pub fn make(
        &mut self,
        context: Context<'_>,
        operators: &[Operator],
        draws: &mut Draws,
        out: &mut String,
    ) {
        self.tokens.clear();
        self.tokens.extend_from_slice(context.sentence.own());
        let start = out.len();
        let mut written = false;
        for operator in operators {
            match operator.name.is_last() {
                true => {
                    context.write(&self.tokens, out);
                    written = true;
                    let (trace, spare) = (&mut self.trace, &mut self.spare_text);
                    drop_characters(out, start, operator.rate, draws, trace, spare);
                }
                false => self.apply(context, *operator, draws),
            }
        }
        if !written {
            context.write(&self.tokens, out);
        }
    }

    fn apply(&mut self, context: Context<'_>, operator: Operator, draws: &mut Draws) {
        let words = self.tokens.len();
        if words == 0 {
            return;
        }
        let share = (operator.rate * words as f64) as usize;
        match operator.name {
            Name::SynonymReplacement => self.replace(context, share.max(1), draws),
            Name::RandomInsertion => self.insert(context, share.max(1), draws),
            Name::RandomSwap => self.swap(context, share.max(1), draws),
            Name::RandomDeletion => self.delete(context, operator.rate, draws),
            Name::WordRepetition => self.repeat(context, share.max(2), draws),
            Name::Crop => self.crop(context, share, draws),
            Name::CharacterDeletion => unreachable!("it works on the finished text"),
        }
    }

    /// A random permutation of all words that can be replaced, taken from the front and only where
    /// a word stands first, is a random permutation of the different words.
    fn replace(&mut self, context: Context<'_>, count: usize, draws: &mut Draws) {
        if !context.sentence.any_synonyms() {
            return;
        }
        self.candidates.clear();
        for &token in &self.tokens {
            if let Token::Own(number) = token
                && let Some(word) = context.sentence.replaceable(number)
            {
                self.candidates.push((word, number));
            }
        }
        let total = self.candidates.len();
        self.order.clear();
        self.order.extend(0..total as u32);
        let mut left = count;
        for at in 0..total {
            if left == 0 {
                return;
            }
            self.order.swap(at, at + draws.below(total - at));
            let chosen = self.order[at] as usize;
            let (word, number) = self.candidates[chosen];
            if self.candidates[..chosen].iter().any(|c| c.0 == word) {
                continue;
            }
            let synonym = draws.below(context.synonyms.count(word)) as u16;
            self.replace_all(context, word, number, Token::Synonym(word, synonym));
            left -= 1;
        }
    }

    /// Puts a synonym wherever the word stands, also where an earlier replacement put it.
    fn replace_all(&mut self, context: Context<'_>, word: Word, number: u32, by: Token) {
        let text = context.string(Token::Own(number));
        for token in &mut self.tokens {
            let equal = match *token {
                Token::Own(number) => context.sentence.word(number) == Some(word),
                Token::Synonym(..) => context.string(*token) == text,
            };
            if equal {
                *token = by;
            }
        }
        self.trace
            .note(Name::SynonymReplacement, text, context.string(by));
    }

    fn insert(&mut self, context: Context<'_>, count: usize, draws: &mut Draws) {
        if !context.sentence.any_synonyms() {
            return;
        }
        for _ in 0..count {
            let found = (0..INSERTION_TRIES).find_map(|_| {
                match self.tokens[draws.below(self.tokens.len())] {
                    Token::Own(number) => context.sentence.word(number),
                    token => context.synonyms.find(context.string(token)),
                }
            });
            if let Some(word) = found {
                let by = Token::Synonym(word, draws.below(context.synonyms.count(word)) as u16);
                // Before a word, so never at the end.
                self.tokens.insert(draws.below(self.tokens.len()), by);
                self.trace
                    .note(Name::RandomInsertion, "", context.string(by));
            }
        }
    }

    fn swap(&mut self, context: Context<'_>, count: usize, draws: &mut Draws) {
        let words = self.tokens.len();
        for _ in 0..count {
            let first = draws.below(words);
            let second = (0..SWAP_TRIES)
                .map(|_| draws.below(words))
                .find(|&second| second != first);
            if let Some(second) = second {
                let (one, other) = (self.tokens[first], self.tokens[second]);
                self.tokens.swap(first, second);
                self.trace
                    .note(Name::RandomSwap, context.string(one), context.string(other));
            }
        }
    }

    fn delete(&mut self, context: Context<'_>, rate: f64, draws: &mut Draws) {
        if self.tokens.len() == 1 {
            return;
        }
        self.spare.clear();
        for &token in &self.tokens {
            match draws.chance(rate) {
                false => self.spare.push(token),
                true => self
                    .trace
                    .note(Name::RandomDeletion, context.string(token), ""),
            }
        }
        if self.spare.is_empty() {
            let kept = self.tokens[draws.below(self.tokens.len())];
            self.spare.push(kept);
            self.trace
                .note(Name::RandomDeletion, "", context.string(kept));
        }
        std::mem::swap(&mut self.tokens, &mut self.spare);
    }

    fn repeat(&mut self, context: Context<'_>, most: usize, draws: &mut Draws) {
        let words = self.tokens.len();
        let mut left = draws.below(most + 1).min(words);
        self.spare.clear();
        for (at, &token) in self.tokens.iter().enumerate() {
            self.spare.push(token);
            // Selection sampling: each set of `left` words is as likely.
            if draws.below(words - at) < left {
                left -= 1;
                self.spare.push(token);
                let word = context.string(token);
                self.trace.note(Name::WordRepetition, word, word);
            }
        }
        std::mem::swap(&mut self.tokens, &mut self.spare);
    }

    fn crop(&mut self, context: Context<'_>, removed: usize, draws: &mut Draws) {
        let keep = (self.tokens.len() - removed).max(1);
        let start = draws.below(self.tokens.len() - keep + 1);
        if self.trace.on {
            let mut gone = String::new();
            for part in [&self.tokens[..start], &self.tokens[start + keep..]] {
                gone.clear();
                context.write(part, &mut gone);
                if !gone.is_empty() {
                    self.trace.note(Name::Crop, &gone, "");
                }
            }
        }
        self.tokens.truncate(start + keep);
        self.tokens.drain(..start);
    }
}

/// Drops characters of `out` from the byte `start` on, and keeps at least one.
fn drop_characters(
    out: &mut String,
    start: usize,
    rate: f64,
    draws: &mut Draws,
    trace: &mut Trace,
    kept: &mut String,
) {
    let text = &out[start..];
    let count = text.chars().count();
    if count <= 1 {
        return;
    }
    let mut buffer = [0; 4];
    kept.clear();
    for character in text.chars() {
        match draws.chance(rate) {
            false => kept.push(character),
            true => {
                let gone = character.encode_utf8(&mut buffer);
                trace.note(Name::CharacterDeletion, gone, "");
            }
        }
    }
    if kept.is_empty() {
        kept.extend(text.chars().nth(draws.below(count)));
        trace.note(Name::CharacterDeletion, "", kept);
    }
    out.truncate(start);
    out.push_str(kept);
}
