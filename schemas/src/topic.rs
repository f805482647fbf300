//! The tables of `topics`: the topic of every record, what the topics are, and the vectors behind them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::columns::{id_field, ids, list, list_field};

/// Name of the stage that makes the tables.
pub const STAGE: &str = "topics";

/// Topic of each record of the shards: one file for each file of shards, row by row in its order.
pub fn schema() -> Schema {
    Schema::new(vec![
        id_field("id"),
        Field::new("topic", DataType::UInt32, true),
        Field::new("distance", DataType::Float32, true),
    ])
}

/// What each topic is: one row for each, by its number.
pub fn names_schema() -> Schema {
    Schema::new(vec![
        Field::new("topic", DataType::UInt32, false),
        Field::new("name", DataType::Utf8, false),
        list_field("telling_words", DataType::Utf8),
        Field::new("count", DataType::UInt64, false),
        list_field("corpora", DataType::Utf8),
        list_field("counts", DataType::UInt64),
        list_field("examples", DataType::Utf8),
    ])
}

/// Rows of named vectors: the words of the static text vectors, or the middles of the topics.
pub fn vectors_schema() -> Schema {
    Schema::new(vec![
        Field::new("name", DataType::Utf8, false),
        list_field("vector", DataType::Float32),
    ])
}

/// Collects the topics of records.
#[derive(Default)]
pub struct TopicsBuilder {
    ids: Vec<u128>,
    topics: Vec<Option<u32>>,
    distances: Vec<Option<f32>>,
}

impl TopicsBuilder {
    /// Rows collected since the last batch.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Appends a record's topic, with its distance (1 - cosine) from the topic's middle if there is one.
    pub fn push(&mut self, id: u128, topic: Option<u32>, distance: Option<f32>) {
        self.ids.push(id);
        self.topics.push(topic);
        self.distances.push(distance);
    }

    /// Everything collected, as one batch; the builder is empty afterwards.
    ///
    /// # Errors
    /// Never, as the columns are of one length.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            ids(&mut self.ids)?,
            Arc::new(UInt32Array::from(std::mem::take(&mut self.topics))),
            Arc::new(Float32Array::from(std::mem::take(&mut self.distances))),
        ];
        RecordBatch::try_new(Arc::new(schema()), columns)
    }
}

/// What a topic is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topic {
    /// Its number.
    pub topic: u32,
    /// Its name: a key of the corpora, or its most telling words.
    pub name: String,
    /// Words that tell it from the others, the most telling first.
    pub words: Vec<String>,
    /// Records in it.
    pub count: u64,
    /// Records by corpus, largest first.
    pub corpora: Vec<(String, u64)>,
    /// Its most typical texts.
    pub examples: Vec<String>,
}

/// The table of topics, as one batch.
///
/// # Errors
/// Never, as the columns are of one length.
pub fn names(topics: &[Topic]) -> Result<RecordBatch, ArrowError> {
    let strings = |of: &dyn Fn(&Topic) -> Vec<String>| {
        let (mut items, mut ends) = (Vec::new(), Vec::new());
        for topic in topics {
            items.extend(of(topic));
            ends.push(items.len() as i32);
        }
        list(Arc::new(StringArray::from(items)), &mut ends)
    };
    let names_of = |topic: &Topic| topic.corpora.iter().map(|(name, _)| name.clone()).collect();
    let (mut counts, mut ends) = (Vec::new(), Vec::new());
    for topic in topics {
        counts.extend(topic.corpora.iter().map(|(_, count)| *count));
        ends.push(counts.len() as i32);
    }
    let names = topics.iter().map(|topic| topic.name.as_str());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(
            topics.iter().map(|topic| topic.topic),
        )),
        Arc::new(StringArray::from_iter_values(names)),
        strings(&|topic| topic.words.clone())?,
        Arc::new(UInt64Array::from_iter_values(
            topics.iter().map(|topic| topic.count),
        )),
        strings(&names_of)?,
        list(Arc::new(UInt64Array::from(counts)), &mut ends)?,
        strings(&|topic| topic.examples.clone())?,
    ];
    RecordBatch::try_new(Arc::new(names_schema()), columns)
}

/// Named vectors as one batch: `values` holds them one after another.
///
/// # Errors
/// Never, if there are as many vectors as names.
pub fn vectors(names: &[&str], values: &[f32]) -> Result<RecordBatch, ArrowError> {
    let dimension = values.len() / names.len().max(1);
    let mut ends = (1..=names.len())
        .map(|at| (at * dimension) as i32)
        .collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(names.to_vec())),
        list(Arc::new(Float32Array::from(values.to_vec())), &mut ends)?,
    ];
    RecordBatch::try_new(Arc::new(vectors_schema()), columns)
}
