//! The table `negatives`: for each pair the texts that look right and are not.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, UInt16Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::columns::{id_field, ids, list, list_field};
use crate::record::Strings;

/// Name of the stage that makes the table.
pub const STAGE: &str = "negatives";

/// One row for each pair or triplet that was kept, in the order of the shards; one file for each of
/// their files. A pair that was dropped is missing here and stands in the ledger.
pub fn schema(words: bool) -> Schema {
    let mut fields = vec![
        id_field("id"),
        Field::new("positive_score", DataType::Float32, true),
        Field::new("positive_rank", DataType::UInt32, true),
        list_field("negatives", DataType::Utf8),
        list_field("scores", DataType::Float32),
    ];
    if words {
        fields.push(list_field("words", DataType::UInt16));
    }
    Schema::new(fields)
}

/// A negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Negative<'a> {
    /// The text.
    pub text: &'a str,
    /// Its score for the query, on the miner's scale; NaN for a random one.
    pub score: f32,
    /// Lengths in characters of its words; empty where the shards have none.
    pub words: &'a [u16],
}

/// Collects the negatives of pairs.
pub struct NegativesBuilder {
    with_words: bool,
    ids: Vec<u128>,
    positive_scores: Vec<Option<f32>>,
    positive_ranks: Vec<Option<u32>>,
    texts: Strings,
    ends: Vec<i32>,
    scores: Vec<f32>,
    words: Vec<u16>,
    word_ends: Vec<i32>,
}

impl NegativesBuilder {
    /// An empty builder, for shards with words or without.
    pub fn new(words: bool) -> NegativesBuilder {
        NegativesBuilder {
            with_words: words,
            ids: Vec::new(),
            positive_scores: Vec::new(),
            positive_ranks: Vec::new(),
            texts: Strings::default(),
            ends: Vec::new(),
            scores: Vec::new(),
            words: Vec::new(),
            word_ends: Vec::new(),
        }
    }

    /// Rows collected since the last batch.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Bytes of text collected since the last batch.
    pub fn bytes(&self) -> usize {
        self.texts.bytes()
    }

    /// Appends a pair with the score and the rank (from 1) of its own positive, where they are
    /// known, and its negatives, hardest first.
    pub fn push(
        &mut self,
        id: u128,
        positive: (Option<f32>, Option<u32>),
        negatives: &[Negative<'_>],
    ) {
        self.ids.push(id);
        self.positive_scores.push(positive.0);
        self.positive_ranks.push(positive.1);
        for negative in negatives {
            self.texts.push(negative.text);
            self.scores.push(negative.score);
            self.words.extend_from_slice(negative.words);
        }
        self.ends.push(self.scores.len() as i32);
        self.word_ends.push(self.words.len() as i32);
    }

    /// Everything collected, as one batch; the builder is empty afterwards.
    ///
    /// # Errors
    /// Never, as the columns are of one length.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let scores = Float32Array::from(std::mem::take(&mut self.scores));
        let words = UInt16Array::from(std::mem::take(&mut self.words));
        let mut columns: Vec<ArrayRef> = vec![
            ids(&mut self.ids)?,
            Arc::new(Float32Array::from(std::mem::take(
                &mut self.positive_scores,
            ))),
            Arc::new(UInt32Array::from(std::mem::take(&mut self.positive_ranks))),
            list(self.texts.finish(), &mut self.ends.clone())?,
            list(Arc::new(scores), &mut self.ends)?,
        ];
        match self.with_words {
            true => columns.push(list(Arc::new(words), &mut self.word_ends)?),
            false => self.word_ends.clear(),
        }
        RecordBatch::try_new(Arc::new(schema(self.with_words)), columns)
    }
}
