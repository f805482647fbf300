//! Columns that several tables share: ids, lists and strings, made from plain vectors.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, ListArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use crate::record::ID_BYTES;

/// Field of an item of a list.
pub(crate) fn item(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", kind, false))
}

/// A list column without nulls.
pub(crate) fn list_field(name: &str, kind: DataType) -> Field {
    Field::new(name, DataType::List(item(kind)), false)
}

/// A column of 128-bit ids.
pub(crate) fn id_field(name: &str) -> Field {
    Field::new(name, DataType::FixedSizeBinary(ID_BYTES), false)
}

/// Offsets from the ends of strings or lists; `ends` is empty afterwards.
pub(crate) fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut all = Vec::with_capacity(ends.len() + 1);
    all.push(0);
    all.append(ends);
    OffsetBuffer::new(ScalarBuffer::from(all))
}

/// A column of ids, big endian, so that bytes sort as numbers do.
pub(crate) fn ids(values: &mut Vec<u128>) -> Result<ArrayRef, ArrowError> {
    let bytes: Vec<u8> = values.iter().flat_map(|id| id.to_be_bytes()).collect();
    values.clear();
    let array = FixedSizeBinaryArray::try_new(ID_BYTES, Buffer::from_vec(bytes), None)?;
    Ok(Arc::new(array))
}

/// A list column from its items and the ends of its lists.
pub(crate) fn list(items: ArrayRef, ends: &mut Vec<i32>) -> Result<ArrayRef, ArrowError> {
    let field = item(items.data_type().clone());
    Ok(Arc::new(ListArray::try_new(
        field,
        offsets(ends),
        items,
        None,
    )?))
}
