//! Words with a number each, in order: the vocabulary with its counts, the vectors' words with their rows.

use std::io::{Read, Write};
use std::path::Path;

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::rows_hash::RowsHash;

use crate::error::{Error, Result};

/// Words and numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WordList {
    text: String,
    ends: Vec<usize>,
    numbers: Vec<u64>,
}

impl WordList {
    /// Number of words.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Appends a word.
    pub fn push(&mut self, word: &str, number: u64) {
        self.text.push_str(word);
        self.ends.push(self.text.len());
        self.numbers.push(number);
    }

    /// The word at a place.
    pub fn word(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start..self.ends[at]]
    }

    /// The number at a place.
    pub fn number(&self, at: usize) -> u64 {
        self.numbers[at]
    }

    /// All words with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        (0..self.len()).map(|at| (self.word(at), self.number(at)))
    }

    /// Commits the list as a scratch file of a dataset.
    ///
    /// # Errors
    /// The disk.
    pub fn commit(
        &self,
        writer: &DatasetWriter,
        name: &str,
        note: serde_json::Value,
    ) -> Result<()> {
        let mut file = writer.create(name)?;
        let place = writer.dir().join(name);
        let mut bytes = Vec::new();
        for (word, number) in self.iter() {
            bytes.extend_from_slice(&(word.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(word.as_bytes());
        }
        file.write_all(&bytes)
            .map_err(juzi_schemas::Error::io(&place))?;
        writer.commit(file, Durability::Scratch, RowsHash::default(), note)?;
        Ok(())
    }

    /// Reads a committed list, whose bytes the journal has proved.
    ///
    /// # Errors
    /// The disk, or a file that is none of ours.
    pub fn read(path: &Path) -> Result<WordList> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(Error::input(path))?;
        let mut list = WordList::default();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let parsed = parse(rest).ok_or_else(|| Error::Content {
                path: path.into(),
                message: "no list of words; delete the unfinished dataset".into(),
            })?;
            list.push(parsed.0, parsed.1);
            rest = parsed.2;
        }
        Ok(list)
    }
}

fn parse(bytes: &[u8]) -> Option<(&str, u64, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (word, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let word = std::str::from_utf8(word).ok()?;
    Some((word, u64::from_le_bytes(*number), rest))
}
