//! Static text vectors: a text is the sum of its words' vectors, scaled to unit length.
//!
//! The vectors of the words already hold the weights and the removed component of [`super::sif`].
//! They stand in the table `words` of a dataset `topics`; memory is that of the table.

use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::Float32Type;
use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::shard;
use juzi_schemas::words::cut;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};

/// Square of a length below which a sum is rounding, not a direction.
const SQUARE_MIN: f32 = 1e-10;

/// Partial sums of squares: enough for any vector unit, and always the same number of them.
const LANES: usize = 16;

/// A slot of the hash table without a word.
const FREE: u32 = u32::MAX;

/// Vectors of words, found by the word.
pub struct StaticText {
    dimension: usize,
    values: Vec<f32>,
    text: String,
    ends: Vec<usize>,
    /// Numbers of words by the hash of the word, at most every second one taken.
    slots: Vec<u32>,
}

/// Scales a vector to unit length; false, and the vector is as good as none, if it has no length.
#[inline]
pub fn normalize(vector: &mut [f32]) -> bool {
    let mut sums = [0f32; LANES];
    for part in vector.chunks(LANES) {
        let pairs = sums.iter_mut().zip(part);
        pairs.for_each(|(sum, value)| *sum += value * value);
    }
    let square: f32 = sums.iter().sum();
    if !square.is_finite() || square < SQUARE_MIN {
        return false;
    }
    let scale = 1.0 / square.sqrt();
    vector.iter_mut().for_each(|value| *value *= scale);
    true
}

impl StaticText {
    /// Vectors of `dimension` numbers for words, one after another; of equal words the first counts.
    pub fn new<'w>(
        words: impl IntoIterator<Item = &'w str>,
        values: Vec<f32>,
        dimension: usize,
    ) -> StaticText {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for word in words {
            text.push_str(word);
            ends.push(text.len());
        }
        let slots = vec![FREE; (ends.len() * 2).next_power_of_two().max(2)];
        let mut all = StaticText {
            dimension,
            values,
            text,
            ends,
            slots,
        };
        for number in 0..all.ends.len() {
            let word = all.word(number);
            if all.find(word).is_none() {
                let mut slot = all.first_slot(word);
                while all.slots[slot] != FREE {
                    slot = (slot + 1) % all.slots.len();
                }
                all.slots[slot] = number as u32;
            }
        }
        all
    }

    /// The words of a dataset `topics`; none if its topics were made of something else.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn open(dir: &Path, manifest: &Manifest) -> Result<Option<StaticText>> {
        let files = manifest.files_of(Table::Words);
        let paths: Vec<PathBuf> = files.map(|file| dir.join(&file.name)).collect();
        StaticText::read(&paths)
    }

    /// The words of files of a table `words`; none if there is not one.
    ///
    /// # Errors
    /// A file cannot be read or holds something else.
    pub fn read(paths: &[PathBuf]) -> Result<Option<StaticText>> {
        let (mut words, mut values, mut dimension) = (Vec::new(), Vec::new(), 0);
        for path in paths {
            let wrong = || Error::Content {
                path: path.clone(),
                message: "no table of words with vectors of one length".into(),
            };
            for batch in shard::read(path)? {
                let batch = batch?;
                let column = |name: &str| batch.column_by_name(name).ok_or_else(wrong);
                let names = column("name")?.as_string_opt::<i32>().ok_or_else(wrong)?;
                let lists = column("vector")?.as_list_opt::<i32>().ok_or_else(wrong)?;
                let numbers = lists.values().as_primitive_opt::<Float32Type>();
                let numbers = numbers.ok_or_else(wrong)?.values();
                for row in 0..batch.num_rows() {
                    let ends = &lists.value_offsets()[row..];
                    let vector = &numbers[ends[0] as usize..ends[1] as usize];
                    if values.is_empty() {
                        dimension = vector.len();
                    }
                    if vector.len() != dimension || dimension == 0 {
                        return Err(wrong());
                    }
                    words.push(names.value(row).to_string());
                    values.extend_from_slice(vector);
                }
            }
        }
        let words = words.iter().map(String::as_str);
        let read = StaticText::new(words, values, dimension);
        Ok((!read.is_empty()).then_some(read))
    }

    /// Numbers of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without words.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The word with a number.
    pub fn word(&self, number: usize) -> &str {
        let start = if number == 0 {
            0
        } else {
            self.ends[number - 1]
        };
        &self.text[start..self.ends[number]]
    }

    /// The vectors of all words, one after another.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The vectors of all words, to be changed.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The vector of a word.
    #[inline]
    pub fn vector(&self, word: &str) -> Option<&[f32]> {
        let start = self.find(word)? * self.dimension;
        Some(&self.values[start..start + self.dimension])
    }

    /// Adds the vectors of a text's words, cut by their lengths in characters, to `sum`; gives how
    /// many words have one.
    #[inline]
    pub fn add(&self, text: &str, word_lengths: &[u16], sum: &mut [f32]) -> usize {
        let mut found = 0;
        for word in cut(text, word_lengths) {
            if let Some(vector) = self.vector(word) {
                sum.iter_mut().zip(vector).for_each(|(a, b)| *a += b);
                found += 1;
            }
        }
        found
    }

    /// Puts the unit vector of a text into `out`; false if the text has none.
    #[inline]
    pub fn embed(&self, text: &str, word_lengths: &[u16], out: &mut [f32]) -> bool {
        out.fill(0.0);
        self.add(text, word_lengths, out) > 0 && normalize(out)
    }

    #[inline]
    fn first_slot(&self, word: &str) -> usize {
        xxh3_64(word.as_bytes()) as usize & (self.slots.len() - 1)
    }

    #[inline]
    fn find(&self, word: &str) -> Option<usize> {
        let mut slot = self.first_slot(word);
        loop {
            match self.slots[slot] {
                FREE => return None,
                number if self.word(number as usize) == word => return Some(number as usize),
                _ => slot = (slot + 1) & (self.slots.len() - 1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StaticText;
    use proptest::prelude::{prop_assert_eq, proptest};

    #[test]
    fn the_vector_of_a_text() {
        let words = ["天气", "好", "天气", "坏"];
        let values = vec![1.0, 0.0, 0.0, 2.0, 9.0, 9.0, 0.0, -2.0];
        let text = StaticText::new(words, values, 2);
        let mut out = [0.0; 2];
        assert!(text.embed("天气好", &[2, 1], &mut out));
        let length = 5f32.sqrt();
        assert!((out[0] - 1.0 / length).abs() < 1e-6 && (out[1] - 2.0 / length).abs() < 1e-6);
        // Unknown words, no words, and words that cancel each other out.
        assert!(!text.embed("人们", &[2], &mut out));
        assert!(!text.embed("", &[], &mut out));
        assert!(!text.embed("好坏", &[1, 1], &mut out));
        let mut sum = [1.0, 1.0];
        assert_eq!(text.add("好人好", &[1, 1, 1], &mut sum), 2);
        assert_eq!(sum, [1.0, 5.0]);
    }

    proptest! {
        #[test]
        fn every_word_is_found(count in 0usize..300) {
            let words: Vec<String> = (0..count).map(|at| format!("词{at}")).collect();
            let values = (0..count).map(|at| at as f32).collect();
            let text = StaticText::new(words.iter().map(String::as_str), values, 1);
            for (at, word) in words.iter().enumerate() {
                prop_assert_eq!(text.vector(word), Some(&[at as f32][..]));
            }
            prop_assert_eq!(text.vector("没有"), None);
        }
    }
}
