//! The mean of a text's word vectors.

use std::collections::HashMap;
use std::path::Path;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use unicode_segmentation::UnicodeSegmentation;

use super::analyzer::runs;
use super::vector_file;
use crate::Result;
use crate::evaluators::{Embedder, Role, Vectors};

/// Word vectors as an embedder. The words of Han text are, from left to right, the longest that have
/// a vector; a character that begins none is left out. Other words are taken as they stand or in
/// lower case. A text without words has a vector of zeros.
#[derive(Clone, Debug)]
pub struct WordVectors {
    dimension: usize,
    words: HashMap<String, u32>,
    /// Characters of the longest word that begins with a character.
    longest: HashMap<char, usize>,
    values: Vec<f32>,
}

impl WordVectors {
    /// Reads word2vec text or binary, or GloVe text; plain or `.gz`.
    ///
    /// # Errors
    /// As the file's own: where and what is wrong.
    pub fn read(path: &Path) -> Result<WordVectors> {
        let table = vector_file::read(path)?;
        let mut words = HashMap::with_capacity(table.words.len());
        let mut longest = HashMap::new();
        for (number, word) in table.words.into_iter().enumerate() {
            if let Some(first) = word.chars().next() {
                let most = longest.entry(first).or_insert(0);
                *most = word.chars().count().max(*most);
            }
            // Of equal words the first counts: files are in the order of frequency.
            words.entry(word).or_insert(number as u32);
        }
        Ok(WordVectors {
            dimension: table.dimension,
            words,
            longest,
            values: table.values,
        })
    }

    /// Number of different words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Rows of the words of a text.
    fn found(&self, text: &str) -> Vec<u32> {
        let mut found = Vec::new();
        for (run, han) in runs(text) {
            match han {
                true => self.longest_words(run, &mut found),
                false => found.extend(run.unicode_words().filter_map(|word| {
                    let known = self.words.get(word);
                    known.or_else(|| self.words.get(&word.to_lowercase()))
                })),
            }
        }
        found
    }

    fn longest_words(&self, run: &str, found: &mut Vec<u32>) {
        let mut rest = run;
        while let Some(first) = rest.chars().next() {
            let most = self.longest.get(&first).copied().unwrap_or(0);
            let ends = rest.char_indices().map(|(at, each)| at + each.len_utf8());
            let ends: Vec<usize> = ends.take(most).collect();
            let words = ends.iter().rev();
            let word = words
                .map(|&end| (end, self.words.get(&rest[..end])))
                .find_map(|(end, word)| Some((end, *word?)));
            found.extend(word.map(|(_, word)| word));
            rest = &rest[word.map_or(first.len_utf8(), |(end, _)| end)..];
        }
    }

    fn mean(&self, text: &str) -> Vec<f32> {
        let found = self.found(text);
        let mut sums = vec![0f64; self.dimension];
        for &word in &found {
            let row = &self.values[word as usize * self.dimension..][..self.dimension];
            let pairs = sums.iter_mut().zip(row);
            pairs.for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let count = found.len().max(1) as f64;
        sums.iter().map(|sum| (sum / count) as f32).collect()
    }
}

impl Embedder for WordVectors {
    fn embed(&mut self, texts: &[&str], role: Role) -> Result<Vectors> {
        let rows: Vec<Vec<f32>> = texts.into_par_iter().map(|text| self.mean(text)).collect();
        let rows = Vectors::dense(self.dimension, rows.concat())?;
        // Of a query and a document the product is the score, and cosine is what these are made for.
        Ok(match role {
            Role::Text => rows,
            Role::Query | Role::Document => rows.unit(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::WordVectors;
    use crate::evaluators::{Embedder, Role, Vectors};
    use crate::loader::fixtures::Place;

    fn vectors() -> WordVectors {
        let place = Place::new();
        let path = place.path("words.txt");
        let words = "保险 1 0\n人寿保险 0 1\n人 4 4\ncat 2 2\n保险 9 9\n";
        std::fs::write(&path, words).unwrap();
        WordVectors::read(&path).unwrap()
    }

    #[test]
    fn the_longest_words_are_averaged() {
        let mut vectors = vectors();
        assert_eq!(vectors.len(), 4);
        let texts = ["人寿保险和保险", "人寿", "Cat, category", "好！", ""];
        let Vectors::Dense(rows) = vectors.embed(&texts, Role::Text).unwrap() else {
            panic!("dense vectors");
        };
        assert_eq!(
            rows.values,
            [0.5, 0.5, 4.0, 4.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0]
        );
        let queries = vectors.embed(&texts, Role::Query).unwrap();
        assert!((queries.dot(0, &queries, 1) - 1.0).abs() < 1e-6);
    }
}
