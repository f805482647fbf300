//! The rows of a table of vectors: `text` and `embedding`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::encode::Vectors;
use super::windows::Window;

fn element() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Float32, false))
}

/// The columns of a table of vectors.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("text", DataType::Utf8, false),
        Field::new("embedding", DataType::List(element()), false),
    ]))
}

/// Rows of that table.
pub fn rows(window: &Window, places: &[u32], vectors: &Vectors) -> RecordBatch {
    let texts = places.iter().map(|&place| window.text(place as usize));
    let texts = StringArray::from_iter_values(texts);
    let values = places
        .iter()
        .flat_map(|&place| vectors.of(place as usize))
        .copied();
    let values: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
    let lengths = places.iter().map(|_| vectors.dimension);
    let ends = OffsetBuffer::from_lengths(lengths);
    let lists = ListArray::new(element(), ends, values, None);
    let columns: Vec<ArrayRef> = vec![Arc::new(texts), Arc::new(lists)];
    RecordBatch::try_new(schema(), columns).expect("the columns are those of the schema")
}
