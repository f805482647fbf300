//! The table `embeddings`: vectors of texts, by the hash of the text.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use xxhash_rust::xxh3::xxh3_128;

use crate::columns::{id_field, ids, list, list_field};

/// Name of datasets that hold the table.
pub const STAGE: &str = "embeddings";

/// Id of a text: XXH3-128 of its UTF-8 bytes as they stand in a dataset. Equal texts share a
/// vector, wherever they stand.
pub fn text_id(text: &str) -> u128 {
    xxh3_128(text.as_bytes())
}

/// One row for each different text, in any order; all vectors have one length.
pub fn schema() -> Schema {
    Schema::new(vec![
        id_field("id"),
        list_field("embedding", DataType::Float32),
    ])
}

/// Collects vectors of texts.
#[derive(Default)]
pub struct EmbeddingsBuilder {
    ids: Vec<u128>,
    values: Vec<f32>,
    ends: Vec<i32>,
}

impl EmbeddingsBuilder {
    /// Rows collected since the last batch.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Appends the vector of the text with this [`text_id`].
    pub fn push(&mut self, id: u128, vector: &[f32]) {
        self.ids.push(id);
        self.values.extend_from_slice(vector);
        self.ends.push(self.values.len() as i32);
    }

    /// Everything collected, as one batch; the builder is empty afterwards.
    ///
    /// # Errors
    /// Never, as the columns are of one length.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let values = Float32Array::from(std::mem::take(&mut self.values));
        let columns: Vec<ArrayRef> =
            vec![ids(&mut self.ids)?, list(Arc::new(values), &mut self.ends)?];
        RecordBatch::try_new(Arc::new(schema()), columns)
    }
}
