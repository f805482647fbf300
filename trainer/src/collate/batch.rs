//! A batch as the training thread gets it: plain vectors, ready to become tensors.

use std::time::Duration;

/// In [`Column::word_ids`]: a special token, or what fills up.
pub const NO_WORD: u16 = u16::MAX;

/// One step's records. It is moved from thread to thread, never shared.
///
/// `B` is the number of records, [`Batch::rows`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The step, from 0.
    pub step: u64,
    /// Pass over the data, from 0.
    pub epoch: u64,
    /// The texts, one entry for each column of the records, in their order; `label` is none of them.
    pub columns: Vec<Column>,
    /// Ids of the records. `[B]`
    pub record_ids: Vec<u128>,
    /// Corpora of the records, as numbers into the names that the dataset has. `[B]`
    pub corpora: Vec<u16>,
    /// Topics of the records; shards know none. `[B]`
    pub topics: Vec<Option<u32>>,
    /// Number of negatives of each record; the texts of the column `negatives` are those of the first
    /// record, then those of the second. `[B]`, or empty where records have no negatives
    pub negatives: Vec<u32>,
    /// Further positives of each anchor, as numbers of documents: the positives of the batch from 0
    /// to B - 1, then its negatives. `[B]` lists, or none where they are not known
    pub positives: Lists,
    /// Documents, numbered so, that must not count as negatives of each anchor. As `positives`.
    pub ignored: Lists,
    /// Labels of the records. `[B]`, or empty where records have no label
    pub labels: Vec<String>,
    /// Scores of the records. `[B]`, or empty where records have no score
    pub scores: Vec<f32>,
    /// A teacher's scores of the documents of triplets, numbered as in `positives`; NaN where it gave
    /// none. `[B + negatives]`, or empty where the batches have no column `scores`
    pub teacher: Vec<f32>,
    /// Bytes of text that were tokenized.
    pub bytes: u64,
    /// How long the parts of the work took.
    pub times: Times,
}

/// The sequences of one column, padded to one width.
///
/// Sequence `block * texts + row` is text `row` of view block `block`, unless `order` says otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Name of the column.
    pub name: &'static str,
    /// View blocks: augmented ones, copies, and the texts themselves last.
    pub views: usize,
    /// Texts, which are the sequences of a view block: B, or of `negatives` as many as there are.
    pub texts: usize,
    /// Tokens in each row of `ids`.
    pub width: usize,
    /// Token ids. `[views * texts * width]`
    pub ids: Vec<u32>,
    /// Tokens of each sequence; the rest of its row is padding. `[views * texts]`
    pub lengths: Vec<u32>,
    /// Number of the word that each token begins in, [`NO_WORD`] for special tokens and padding.
    /// `[views * texts * width]`
    pub word_ids: Option<Vec<u16>>,
    /// Where sequences were sorted by length: of each, the text that it is. `[views * texts]`
    pub order: Option<Vec<u32>>,
}

/// Lists of numbers, one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// The numbers of all lists.
    pub items: Vec<u32>,
    /// Where each list ends in `items`.
    pub ends: Vec<u32>,
}

/// How long the parts of a worker's work took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Reading, decoding and finding the rows.
    pub read: Duration,
    /// Making views.
    pub augment: Duration,
    /// Texts to token ids.
    pub tokenize: Duration,
    /// Filling up to one width.
    pub pad: Duration,
}

impl Batch {
    /// Number of records, `B`.
    pub fn rows(&self) -> usize {
        self.record_ids.len()
    }

    /// Sequences in all columns.
    pub fn sequences(&self) -> usize {
        self.columns.iter().map(|column| column.lengths.len()).sum()
    }

    /// Tokens in all columns, padding not counted.
    pub fn tokens(&self) -> u64 {
        let lengths = self.columns.iter().flat_map(|column| &column.lengths);
        lengths.map(|&length| u64::from(length)).sum()
    }

    /// Tokens in all columns with padding.
    pub fn slots(&self) -> u64 {
        self.columns
            .iter()
            .map(|column| column.ids.len() as u64)
            .sum()
    }
}

impl Column {
    /// The tokens of a sequence with its padding.
    pub fn sequence(&self, number: usize) -> &[u32] {
        &self.ids[number * self.width..(number + 1) * self.width]
    }
}

impl Lists {
    /// Number of lists.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends a list.
    pub fn push(&mut self, items: &[u32]) {
        self.items.extend_from_slice(items);
        self.ends.push(self.items.len() as u32);
    }

    /// A list by its number.
    pub fn get(&self, number: usize) -> &[u32] {
        let start = match number {
            0 => 0,
            _ => self.ends[number - 1],
        };
        &self.items[start as usize..self.ends[number] as usize]
    }
}

impl Times {
    /// All parts together.
    pub fn total(&self) -> Duration {
        self.read + self.augment + self.tokenize + self.pad
    }

    /// Adds other times, part by part.
    pub fn add(&mut self, other: &Times) {
        self.read += other.read;
        self.augment += other.augment;
        self.tokenize += other.tokenize;
        self.pad += other.pad;
    }
}
