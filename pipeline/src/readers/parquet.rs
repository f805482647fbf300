//! Parquet: any file with the columns that the plan names, read a row group at a time.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, LargeStringArray, PrimitiveArray,
    StringArray, StringViewArray,
};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use juzi_schemas::dropped::Reason;

use super::{Column, Document, Framing, Reader, ReaderOptions, Reject, Role, names};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8_192;

const ACCEPTED: &str = "strings, integers, floats and booleans";

/// The `parquet` reader: `columns` names the columns to read, in any order.
///
/// # Errors
/// The plan names no columns, or names that cannot be used.
pub fn reader(options: &ReaderOptions) -> Result<Box<dyn Reader>, String> {
    if options.header {
        return Err("reader `parquet` has no `header`: Parquet files name their columns".into());
    }
    let columns = names::columns("parquet", &options.columns)?;
    let views = names::views(&columns);
    Ok(Box::new(Table { columns, views }))
}

struct Table {
    columns: Vec<Column>,
    views: Vec<String>,
}

impl Reader for Table {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn framing(&self) -> Framing {
        Framing::Parquet
    }

    fn views(&self) -> Vec<String> {
        self.views.clone()
    }

    /// Never called by the pipeline: a row of Parquet has no raw text. Rows come from
    /// [`read_row_group`], which this framing tells callers to use.
    fn read<'a>(&self, _raw: &'a str, _document: &mut Document<'a>) -> Result<(), Reject> {
        Err(Reject::new(
            Reason::WrongType,
            "rows of Parquet are read by row group, not as text",
        ))
    }
}

/// Number of row groups of a file.
///
/// # Errors
/// The file cannot be opened or is not Parquet.
pub fn row_groups(path: &Path) -> Result<usize, String> {
    let (_, metadata) = open(path)?;
    Ok(metadata.metadata().num_row_groups())
}

/// Names of a file's top-level columns, and whether each holds text.
///
/// # Errors
/// The file cannot be opened or is not Parquet.
pub fn column_names(path: &Path) -> Result<Vec<(String, bool)>, String> {
    let (_, metadata) = open(path)?;
    let fields = metadata.schema().fields();
    Ok(fields
        .iter()
        .map(|field| (field.name().clone(), is_text(plain(field.data_type()))))
        .collect())
}

/// Reads row group `index`: calls `visit` for every row with its number in the file and its values
/// in the order of `columns`. Null is empty; numbers are written out for [`Role::Key`] and
/// [`Role::Other`]; a number in a [`Role::Text`] column rejects its row, whose values are then not
/// to be used.
///
/// # Errors
/// The file, row group or one of the columns cannot be read; names what is there and accepted.
pub fn read_row_group(
    path: &Path,
    index: usize,
    columns: &[Column],
    mut visit: impl FnMut(u64, Result<(), Reject>, &[Cow<'_, str>]),
) -> Result<(), String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("{}: row group {index}: {error}", path.display());
    let (file, metadata) = open(path)?;
    let groups = metadata.metadata().row_groups();
    if index >= groups.len() {
        return Err(failed(&format!("the file has only {}", groups.len())));
    }
    let mut row: u64 = groups[..index]
        .iter()
        .map(|group| group.num_rows().max(0).cast_unsigned())
        .sum();
    let places = places(path, &metadata, columns)?;
    let mask = ProjectionMask::roots(
        metadata.metadata().file_metadata().schema_descr(),
        places.iter().copied(),
    );
    let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_row_groups(vec![index])
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| failed(&error))?;
    for batch in batches {
        let batch = batch.map_err(|error| failed(&error))?;
        // The projection keeps the order of the file, not that of `columns`.
        let find = |column: &Column| batch.column_by_name(&column.name).cloned();
        let arrays: Vec<ArrayRef> = columns.iter().filter_map(find).collect();
        let arrays = arrays
            .iter()
            .map(decoded)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| failed(&error))?;
        let cells: Vec<Cells<'_>> = columns
            .iter()
            .zip(&arrays)
            .map(|(column, array)| Cells::new(column, array))
            .collect();
        let mut values = Vec::with_capacity(cells.len());
        for at in 0..batch.num_rows() {
            values.clear();
            let mut outcome = Ok(());
            for cell in &cells {
                match cell.value(at) {
                    Ok(value) => values.push(value),
                    Err(reject) => outcome = outcome.and(Err(reject)),
                }
            }
            visit(row, outcome, &values);
            row += 1;
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<(File, ArrowReaderMetadata), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| failed(&error))?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .map_err(|error| failed(&error))?;
    Ok((file, metadata))
}

/// Index of each column among the file's top-level columns.
fn places(
    path: &Path,
    metadata: &ArrowReaderMetadata,
    columns: &[Column],
) -> Result<Vec<usize>, String> {
    let fields = metadata.schema().fields();
    let place = |column: &Column| {
        let Some((at, field)) = fields.find(&column.name) else {
            let there: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            let there = there.join(", ");
            return Err(format!(
                "{}: no column `{}`; the columns are {there}",
                path.display(),
                column.name
            ));
        };
        let kind = plain(field.data_type());
        if is_text(kind)
            || kind.is_integer()
            || is_float(kind)
            || matches!(kind, DataType::Boolean | DataType::Null)
        {
            return Ok(at);
        }
        let (path, kind) = (path.display(), field.data_type());
        Err(format!(
            "{path}: column `{}` has the type {kind}; accepted are {ACCEPTED}",
            column.name
        ))
    };
    columns.iter().map(place).collect()
}

/// The type of the values, without their dictionary.
fn plain(kind: &DataType) -> &DataType {
    match kind {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn is_float(kind: &DataType) -> bool {
    matches!(kind, DataType::Float32 | DataType::Float64)
}

/// The array without its dictionary.
fn decoded(array: &ArrayRef) -> Result<ArrayRef, arrow::error::ArrowError> {
    match array.data_type() {
        DataType::Dictionary(_, values) => arrow::compute::cast(array, values),
        _ => Ok(array.clone()),
    }
}

/// The values of one column of a batch.
enum Cells<'b> {
    Text(&'b StringArray),
    LargeText(&'b LargeStringArray),
    TextView(&'b StringViewArray),
    Written(&'b ArrayRef, fn(&ArrayRef, usize) -> String),
    Refused(&'b ArrayRef, &'b str),
    /// A column without a type, all null.
    Nothing,
}

impl<'b> Cells<'b> {
    fn new(column: &'b Column, array: &'b ArrayRef) -> Cells<'b> {
        let written = |write: fn(&ArrayRef, usize) -> String| {
            if column.role == Role::Text {
                Cells::Refused(array, &column.name)
            } else {
                Cells::Written(array, write)
            }
        };
        match array.data_type() {
            DataType::Utf8 => Cells::Text(array.as_string()),
            DataType::LargeUtf8 => Cells::LargeText(array.as_string()),
            DataType::Utf8View => Cells::TextView(array.as_string_view()),
            DataType::Int8 => written(number::<Int8Type>),
            DataType::Int16 => written(number::<Int16Type>),
            DataType::Int32 => written(number::<Int32Type>),
            DataType::Int64 => written(number::<Int64Type>),
            DataType::UInt8 => written(number::<UInt8Type>),
            DataType::UInt16 => written(number::<UInt16Type>),
            DataType::UInt32 => written(number::<UInt32Type>),
            DataType::UInt64 => written(number::<UInt64Type>),
            DataType::Float32 => written(number::<Float32Type>),
            DataType::Float64 => written(number::<Float64Type>),
            DataType::Boolean => written(boolean),
            DataType::Null => Cells::Nothing,
            _ => Cells::Refused(array, &column.name),
        }
    }

    fn value(&self, at: usize) -> Result<Cow<'b, str>, Reject> {
        let text = match self {
            Cells::Text(array) => array.is_valid(at).then(|| array.value(at)),
            Cells::LargeText(array) => array.is_valid(at).then(|| array.value(at)),
            Cells::TextView(array) => array.is_valid(at).then(|| array.value(at)),
            Cells::Written(array, write) if array.is_valid(at) => {
                return Ok(Cow::Owned(write(array, at)));
            }
            Cells::Refused(array, name) if array.is_valid(at) => {
                let detail = format!("column `{name}` is {}, not a string", array.data_type());
                return Err(Reject::new(Reason::WrongType, detail));
            }
            Cells::Written(..) | Cells::Refused(..) | Cells::Nothing => None,
        };
        Ok(Cow::Borrowed(text.unwrap_or_default()))
    }
}

fn number<T: ArrowPrimitiveType<Native: std::fmt::Display>>(array: &ArrayRef, at: usize) -> String {
    let array: &PrimitiveArray<T> = array.as_primitive();
    array.value(at).to_string()
}

/// `1` and `0`, so that a label may serve as a score.
fn boolean(array: &ArrayRef, at: usize) -> String {
    let array: &BooleanArray = array.as_boolean();
    if array.value(at) {
        "1".into()
    } else {
        "0".into()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use ::parquet::arrow::ArrowWriter;
    use ::parquet::file::properties::WriterProperties;
    use arrow::array::{
        DictionaryArray, Float32Array, Int32Array, Int64Array, ListArray, NullArray,
    };
    use arrow::record_batch::RecordBatch;

    use super::*;
    use crate::readers::column;

    struct Fixture(PathBuf);

    impl Drop for Fixture {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    /// Five rows in row groups of two.
    fn fixture(name: &str) -> Fixture {
        let texts = [Some("甲"), None, Some("丙"), Some(""), Some("戊")];
        let arrays: Vec<(&str, ArrayRef)> = vec![
            (
                "score",
                Arc::new(Float32Array::from(vec![0.5, 1.0, 2.25, 0.0, 5.0])),
            ),
            ("plain", Arc::new(StringArray::from_iter(texts))),
            ("large", Arc::new(LargeStringArray::from_iter(texts))),
            ("view", Arc::new(StringViewArray::from_iter(texts))),
            (
                "coded",
                Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>()),
            ),
            (
                "label",
                Arc::new(BooleanArray::from(vec![true, false, true, true, false])),
            ),
            (
                "id",
                Arc::new(Int64Array::from(vec![
                    Some(-1),
                    None,
                    Some(3),
                    Some(4),
                    Some(5),
                ])),
            ),
            (
                "number",
                Arc::new(Int32Array::from(vec![
                    Some(1),
                    None,
                    Some(3),
                    Some(4),
                    Some(5),
                ])),
            ),
            (
                "list",
                Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
                    (0..5).map(|_| Some([Some(1)])),
                )),
            ),
            ("nothing", Arc::new(NullArray::new(5))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            arrays.into_iter().map(|(name, array)| (name, array, true)),
        )
        .unwrap();
        let path = std::env::temp_dir().join(format!(
            "juzi-parquet-{}-{name}.parquet",
            std::process::id()
        ));
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(2))
            .build();
        let mut writer = ArrowWriter::try_new(
            File::create(&path).unwrap(),
            batch.schema(),
            Some(properties),
        )
        .unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Fixture(path)
    }

    fn columns(names: &[&str]) -> Vec<Column> {
        names
            .iter()
            .map(|name| column(name, names::role(name)))
            .collect()
    }

    type Rows = Vec<(u64, Result<Vec<String>, Reject>)>;

    fn read(path: &Path, index: usize, names: &[&str]) -> Result<Rows, String> {
        let mut rows = Vec::new();
        read_row_group(path, index, &columns(names), |row, outcome, values| {
            rows.push((
                row,
                outcome.map(|()| values.iter().map(|value| value.to_string()).collect()),
            ));
        })?;
        Ok(rows)
    }

    #[test]
    fn every_kind_of_text_is_read_in_the_order_asked() {
        let file = fixture("texts");
        assert_eq!(row_groups(&file.0).unwrap(), 3);
        let rows = read(
            &file.0,
            1,
            &[
                "view", "plain", "coded", "large", "id", "score", "label", "nothing",
            ],
        )
        .unwrap();
        let expected =
            |values: [&str; 8]| Ok(values.iter().map(|value| value.to_string()).collect());
        assert_eq!(
            rows[0],
            (2, expected(["丙", "丙", "丙", "丙", "3", "2.25", "1", ""]))
        );
        assert_eq!(rows[1], (3, expected(["", "", "", "", "4", "0", "1", ""])));
        assert_eq!(rows.len(), 2);
        let first = read(
            &file.0,
            0,
            &[
                "view", "plain", "coded", "large", "id", "score", "label", "nothing",
            ],
        )
        .unwrap();
        assert_eq!(first[1], (1, expected(["", "", "", "", "", "1", "0", ""])));
        assert_eq!(
            read(&file.0, 2, &["plain"]).unwrap(),
            [(4, Ok(vec!["戊".to_string()]))]
        );
    }

    #[test]
    fn numbers_are_no_text() {
        let file = fixture("numbers");
        let rows = read(&file.0, 0, &["plain", "number"]).unwrap();
        let detail = "column `number` is Int32, not a string";
        assert_eq!(rows[0].1, Err(Reject::new(Reason::WrongType, detail)));
        assert_eq!(rows[1].1, Ok(vec![String::new(), String::new()]));
    }

    #[test]
    fn errors_name_the_file_and_the_columns() {
        let file = fixture("errors");
        let missing = read(&file.0, 0, &["title"]).unwrap_err();
        assert!(
            missing
                .contains("errors.parquet: no column `title`; the columns are score, plain, large"),
            "{missing}"
        );
        let list = read(&file.0, 0, &["list"]).unwrap_err();
        assert!(
            list.contains("column `list` has the type List")
                && list.contains("accepted are strings"),
            "{list}"
        );
        assert!(read(&file.0, 3, &["plain"]).unwrap_err().contains("only 3"));
        let absent = Path::new("/nowhere/a.parquet");
        assert!(
            row_groups(absent)
                .unwrap_err()
                .starts_with("/nowhere/a.parquet: ")
        );
        let names = column_names(&file.0).unwrap();
        assert!(
            names.contains(&("coded".into(), true)) && names.contains(&("score".into(), false))
        );
    }

    #[test]
    fn options_are_checked() {
        let options = |columns: &[&str], header| ReaderOptions {
            columns: columns.iter().map(|name| name.to_string()).collect(),
            header,
            paragraphs: false,
        };
        let table = reader(&options(&["sentence1", "sentence2", "score"], false)).unwrap();
        assert_eq!(
            (table.framing(), table.views()),
            (
                Framing::Parquet,
                vec!["sentence1~sentence2=score".to_string()]
            )
        );
        assert!(
            reader(&options(&["a"], true))
                .err()
                .unwrap()
                .contains("header")
        );
        assert!(
            reader(&options(&[], false))
                .err()
                .unwrap()
                .contains("needs `columns")
        );
        assert!(table.read("", &mut Document::default()).is_err());
    }
}
