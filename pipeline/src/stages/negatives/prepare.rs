//! What a worker makes of a row group: keys, words and terms of its texts, side by side.

use std::path::Path;

use arrow::array::{Array, AsArray, StringArray};
use arrow::record_batch::RecordBatch;
use juzi_schemas::record::{Kind, Split};
use juzi_schemas::words::{Texts, cut};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::text::fold;

/// Columns that are read.
pub const COLUMNS: [&str; 8] = [
    "corpus",
    "split",
    "text",
    "anchor",
    "positive",
    "negatives",
    "group_key",
    "words",
];

/// How texts become terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// No terms are wanted.
    None,
    /// Words with a letter or a digit, ASCII in small letters.
    Words,
    /// Pairs of characters, where the shards have no words.
    Bigrams,
}

/// Texts of a row group, row by row.
#[derive(Default)]
pub struct Prepared {
    /// Texts of each row and the hash of its corpus and group key.
    pub rows: Vec<(u32, Option<u64>)>,
    /// Rows of other splits.
    pub others: u64,
    items: Vec<Item>,
    text: String,
    lengths: Vec<u16>,
    terms: Vec<u64>,
}

/// A text: the hash of what is left of it after folding, and where its parts end.
struct Item {
    key: u64,
    text: usize,
    lengths: usize,
    terms: usize,
}

/// A text, borrowed.
pub struct Piece<'p> {
    /// Hash of its letters and digits: texts of one key count as one text.
    pub key: u64,
    /// The text.
    pub text: &'p str,
    /// Lengths of its words.
    pub lengths: &'p [u16],
    /// Hashes of its terms, in order.
    pub terms: &'p [u64],
}

impl Prepared {
    /// The text with this number.
    pub fn piece(&self, at: usize) -> Piece<'_> {
        let item = &self.items[at];
        let start = at.checked_sub(1).map(|before| &self.items[before]);
        let from = |end: fn(&Item) -> usize| start.map_or(0, end);
        Piece {
            key: item.key,
            text: &self.text[from(|item| item.text)..item.text],
            lengths: &self.lengths[from(|item| item.lengths)..item.lengths],
            terms: &self.terms[from(|item| item.terms)..item.terms],
        }
    }

    fn push(&mut self, text: &str, lengths: &[u16], terms: Terms, folded: &mut Vec<u32>) {
        fold::fold(text, folded);
        // A text of signs alone is itself, with its signs.
        let key = match folded.is_empty() {
            true => xxh3_64(text.as_bytes()),
            false => fold::hash(folded),
        };
        match terms {
            Terms::None => {}
            Terms::Words => {
                let words = cut(text, lengths);
                let words = words.filter(|word| word.chars().any(char::is_alphanumeric));
                self.terms.extend(words.map(hash_of_word));
            }
            Terms::Bigrams if folded.len() == 1 => self.terms.push(fold::hash(folded)),
            Terms::Bigrams => self.terms.extend(folded.windows(2).map(fold::hash)),
        }
        self.text.push_str(text);
        self.lengths.extend_from_slice(lengths);
        self.items.push(Item {
            key,
            text: self.text.len(),
            lengths: self.lengths.len(),
            terms: self.terms.len(),
        });
    }
}

fn hash_of_word(word: &str) -> u64 {
    match word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => xxh3_64(word.to_ascii_lowercase().as_bytes()),
        false => xxh3_64(word.as_bytes()),
    }
}

/// Takes the rows of split train out of a batch; `path` is only for messages.
///
/// # Errors
/// The batch has not the columns of its kind, or its words do not add up.
pub fn prepare(batch: &RecordBatch, kind: Kind, terms: Terms, path: &Path) -> Result<Prepared> {
    let wrong = |message: &str| Error::Content {
        path: path.into(),
        message: message.into(),
    };
    let strings = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>().cloned();
    let columns = ["corpus", "split", "group_key"].map(strings);
    let [Some(corpora), Some(splits), Some(groups)] = columns else {
        return Err(wrong("no shard of ours: a column is missing"));
    };
    let names = kind.text_columns().iter();
    let texts: Option<Vec<StringArray>> = names.map(|name| strings(name)).collect();
    let texts = texts.ok_or_else(|| wrong("no shard of ours: a text column is missing"))?;
    let words = Texts::of(batch, kind);
    let negatives = batch.column_by_name("negatives");
    let negatives = negatives.and_then(|column| column.as_list_opt::<i32>());
    let mut prepared = Prepared::default();
    let mut folded = Vec::new();
    for row in 0..batch.num_rows() {
        if splits.value(row) != Split::Train.name() {
            prepared.others += 1;
            continue;
        }
        let before = prepared.items.len();
        if let Some(words) = &words {
            let each = |text: &str, lengths: &[u16]| {
                prepared.push(text, lengths, terms, &mut folded);
            };
            words
                .row(row, each)
                .map_err(|_| wrong("the column `words` does not add up"))?;
        } else {
            for column in &texts {
                prepared.push(column.value(row), &[], terms, &mut folded);
            }
            if let Some(list) = negatives.map(|lists| lists.value(row)) {
                for text in list.as_string::<i32>().iter().flatten() {
                    prepared.push(text, &[], terms, &mut folded);
                }
            }
        }
        let group = groups.is_valid(row).then(|| {
            let corpus = xxh3_64(corpora.value(row).as_bytes());
            xxh3_64(groups.value(row).as_bytes()) ^ corpus.rotate_left(1)
        });
        let count = (prepared.items.len() - before) as u32;
        prepared.rows.push((count, group));
    }
    Ok(prepared)
}
