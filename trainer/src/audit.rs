//! The audit: what augmentation does to a whole dataset, in figures.

mod report;
mod walk;

use std::collections::BTreeMap;

use juzi_schemas::synonym::Synonyms;

use crate::augment::{Name, StopWords, Views, Words};
use crate::distance::Distance;

pub use report::Report;
pub use walk::walk;

/// Edit distances from here on are counted together.
pub const FAR: usize = 64;

/// Ratios are summed in millionths: whole numbers add up to the same in any order.
const MILLION: u64 = 1_000_000;

/// Counts over texts and their views; those of parts add up to those of the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows.
    pub rows: u64,
    /// Texts of the rows.
    pub texts: u64,
    /// Views made by operators; originals that are added on purpose are not counted anywhere.
    pub views: u64,
    /// Views that equal their text.
    pub unchanged: u64,
    /// Times that a view was made again because it equalled its text.
    pub redraws: u64,
    /// Views of each operator, and how many of them equal their text.
    pub operators: BTreeMap<Name, (u64, u64)>,
    /// Views by edit distance in characters from their text; the last is [`FAR`] and more.
    pub distances: Vec<u64>,
    /// Sum of `characters of the view / characters of the text`, in millionths.
    pub relative_lengths: u64,
    /// Words, words that have synonyms.
    pub words: (u64, u64),
    /// The same of words that are no stop words.
    pub content_words: (u64, u64),
    /// Texts in which a word has synonyms.
    pub texts_with_synonyms: u64,
}

impl Counts {
    /// Adds the counts of another part.
    pub fn add(&mut self, other: &Counts) {
        self.rows += other.rows;
        self.texts += other.texts;
        self.views += other.views;
        self.unchanged += other.unchanged;
        self.redraws += other.redraws;
        for (name, count) in &other.operators {
            let sum = self.operators.entry(*name).or_default();
            *sum = (sum.0 + count.0, sum.1 + count.1);
        }
        self.distances.resize(FAR + 1, 0);
        for (sum, count) in self.distances.iter_mut().zip(&other.distances) {
            *sum += count;
        }
        self.relative_lengths += other.relative_lengths;
        self.words = (self.words.0 + other.words.0, self.words.1 + other.words.1);
        self.content_words.0 += other.content_words.0;
        self.content_words.1 += other.content_words.1;
        self.texts_with_synonyms += other.texts_with_synonyms;
    }
}

/// Counts texts and views one by one. Its memory is used again for the next text.
#[derive(Debug, Default)]
struct Counter {
    counts: Counts,
    distance: Distance,
    text: Vec<char>,
    view: Vec<char>,
}

impl Counter {
    /// Counts the words of a text.
    fn words(&mut self, words: &Words<'_>, synonyms: &Synonyms, stop: &StopWords) {
        let counts = &mut self.counts;
        counts.texts += 1;
        let (mut rest, mut any) = (words.text, false);
        for &length in words.lengths {
            let mut ends = rest.char_indices().skip(usize::from(length));
            let end = ends.next().map_or(rest.len(), |(at, _)| at);
            let (word, others) = rest.split_at(end);
            rest = others;
            let found = u64::from(synonyms.find(word).is_some());
            any |= found > 0;
            counts.words = (counts.words.0 + 1, counts.words.1 + found);
            if !stop.contains(word) {
                counts.content_words.0 += 1;
                counts.content_words.1 += found;
            }
        }
        counts.texts_with_synonyms += u64::from(any);
    }

    /// Counts the views of a text.
    fn views(&mut self, text: &str, views: &Views) {
        self.text.clear();
        self.text.extend(text.chars());
        self.counts.distances.resize(FAR + 1, 0);
        let counts = &mut self.counts;
        for view in views.iter().filter(|view| !view.operators.is_empty()) {
            counts.views += 1;
            counts.redraws += u64::from(view.redraws);
            counts.unchanged += u64::from(!view.changed);
            for name in view.operators.iter() {
                let sum = counts.operators.entry(name).or_default();
                *sum = (sum.0 + 1, sum.1 + u64::from(!view.changed));
            }
            let (distance, length) = match view.changed {
                false => (0, self.text.len()),
                true => {
                    self.view.clear();
                    self.view.extend(view.text.chars());
                    (
                        self.distance.between(&self.text, &self.view),
                        self.view.len(),
                    )
                }
            };
            counts.distances[distance.min(FAR)] += 1;
            counts.relative_lengths += match self.text.len() as u64 {
                0 => MILLION,
                whole => length as u64 * MILLION / whole,
            };
        }
    }
}

#[cfg(test)]
mod tests;
