//! The inputs of an embedding: text files, tables and datasets, each read from its beginning.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::DataType;
use juzi_schemas::dataset;
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::manifest::{self, Manifest, Table};
use juzi_schemas::record::Split;
use juzi_schemas::shard::{self, Groups};

use super::table::{Lines, Separator};
use crate::{Error, Result};

/// Columns of datasets that hold language; a label is none.
const TEXT_COLUMNS: [&str; 6] = [
    "text",
    "anchor",
    "positive",
    "sentence1",
    "sentence2",
    "negatives",
];

/// One input.
#[derive(Clone, Debug)]
pub enum Source {
    /// A text a line, or TSV or CSV.
    Lines(Lines),
    /// A Parquet file and its column of texts.
    Parquet(PathBuf, String),
    /// A dataset of juzi; without a column, all that hold texts.
    Dataset(PathBuf, Box<Manifest>, Option<String>),
}

impl Source {
    /// Recognises an input by its name; opens a dataset.
    ///
    /// # Errors
    /// There is none; it wants a column or has none; what it is cannot be read.
    pub fn open(path: &Path, column: Option<&str>) -> Result<Source> {
        let metadata = std::fs::metadata(path).map_err(Error::input(path))?;
        let wrong = |message: &str| Err(Error::Usage(format!("{}: {message}", path.display())));
        if metadata.is_dir() {
            let manifest = Manifest::read(path)?;
            dataset::check_sizes(path, &manifest)?;
            let column = column.map(String::from);
            return Ok(Source::Dataset(path.into(), Box::new(manifest), column));
        }
        let ending = path.extension().and_then(|ending| ending.to_str());
        let separator = match ending {
            Some("parquet") => match column {
                Some(column) => return Ok(Source::Parquet(path.into(), column.into())),
                None => return wrong("name the column of texts with --column NAME"),
            },
            Some("tsv") => Some(Separator::Tab),
            Some("csv") => Some(Separator::Comma),
            Some("gz" | "zst" | "zip" | "bz2" | "xz") => {
                return wrong("compressed files are not read here; unpack it first");
            }
            Some("json" | "jsonl") => {
                return wrong("JSON is not read here; juzi shards makes a dataset of it");
            }
            _ => None,
        };
        let column = match (separator, column) {
            (None, None) => None,
            (Some(separator), Some(column)) => Some((separator, column.to_string())),
            (Some(_), None) => {
                return wrong("name the column of texts with --column NAME or a number from 1");
            }
            (None, Some(_)) => {
                return wrong("a file with a text a line has no columns; leave out --column");
            }
        };
        let lines = Lines {
            path: path.into(),
            size: metadata.len(),
            column,
        };
        lines.check()?;
        Ok(Source::Lines(lines))
    }

    /// Bytes, for progress.
    pub fn size(&self) -> u64 {
        match self {
            Source::Lines(lines) => lines.size,
            Source::Parquet(path, _) => {
                std::fs::metadata(path).map_or(0, |metadata| metadata.len())
            }
            Source::Dataset(_, manifest, _) => files(manifest).map(|file| file.bytes).sum(),
        }
    }

    /// What the vectors follow from: the content, never the place.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn identity(&self) -> Result<manifest::Input> {
        let input = |path: &Path, bytes, hash| manifest::Input {
            corpus: "embed".into(),
            split: "texts".into(),
            file: path
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            bytes,
            hash,
        };
        Ok(match self {
            Source::Lines(Lines { path, .. }) | Source::Parquet(path, _) => {
                input(path, self.size(), Fingerprint::of_file(path)?)
            }
            Source::Dataset(_, manifest, _) => input(
                Path::new(&manifest.stage),
                0,
                Fingerprint::of_json(&(&manifest.fingerprint, &manifest.rows_hash)),
            ),
        })
    }

    /// Calls `visit` with each text until it says false; whether it never did. `read` counts bytes.
    ///
    /// # Errors
    /// The file, the place in it and what is wrong there; what `visit` says.
    pub fn each(
        &self,
        read: &AtomicU64,
        visit: &mut dyn FnMut(&str) -> Result<bool>,
    ) -> Result<bool> {
        match self {
            Source::Lines(lines) => lines.each(read, visit),
            Source::Parquet(path, column) => {
                let (size, rows) = (self.size(), rows(path)?);
                let mut first = 0;
                for batch in shard::read(path)? {
                    let batch = batch?;
                    first += batch.num_rows() as u64;
                    read.store(size * first / rows.max(1), Ordering::Relaxed);
                    let before = first - batch.num_rows() as u64;
                    if !each_row(path, &batch, before, &[column], visit)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Source::Dataset(dir, manifest, column) => {
                let rows = (column.as_deref(), None);
                each_of_dataset(dir, manifest, rows, (read, visit))
            }
        }
    }
}

/// Calls `visit` with each text of an input that a training may see: of shards, the texts of the
/// split `train`. Whether it never said false.
///
/// # Errors
/// As [`Source::open`] and [`Source::each`].
pub(crate) fn each_training_text(
    path: &Path,
    visit: &mut dyn FnMut(&str) -> Result<bool>,
) -> Result<bool> {
    let read = AtomicU64::new(0);
    match Source::open(path, None)? {
        Source::Dataset(dir, manifest, _) => {
            let rows = (None, Some(Split::Train));
            each_of_dataset(&dir, &manifest, rows, (&read, visit))
        }
        other => other.each(&read, visit),
    }
}

/// Files of records of a dataset.
fn files(manifest: &Manifest) -> impl Iterator<Item = &manifest::File> {
    manifest.files_of(Table::Rows)
}

/// Rows of a Parquet file.
fn rows(path: &Path) -> Result<u64> {
    let groups = Groups::open(path, None)?;
    Ok((0..groups.len())
        .map(|group| groups.rows(group) as u64)
        .sum())
}

type Reading<'r> = (&'r AtomicU64, &'r mut dyn FnMut(&str) -> Result<bool>);

fn each_of_dataset(
    dir: &Path,
    manifest: &Manifest,
    (column, split): (Option<&str>, Option<Split>),
    (read, visit): Reading<'_>,
) -> Result<bool> {
    let mut met = BTreeSet::new();
    let mut any = false;
    for file in files(manifest) {
        let path = dir.join(&file.name);
        let groups = Groups::open(&path, None)?;
        let mut first = 0;
        for group in 0..groups.len() {
            if groups.rows(group) == 0 {
                continue;
            }
            let batch = match split {
                Some(split) => rows_of(groups.read(group, None)?, split)?,
                None => groups.read(group, None)?,
            };
            let schema = batch.schema();
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let wanted = |name: &&str| match column {
                Some(column) => *name == column,
                None => TEXT_COLUMNS.contains(name),
            };
            let columns: Vec<&str> = names.clone().filter(wanted).collect();
            met.extend(names.map(String::from));
            any |= !columns.is_empty();
            if !each_row(&path, &batch, first, &columns, visit)? {
                return Ok(false);
            }
            first += batch.num_rows() as u64;
            let share = file.bytes * batch.num_rows() as u64 / file.rows.max(1);
            read.fetch_add(share, Ordering::Relaxed);
        }
    }
    match any || met.is_empty() {
        true => Ok(true),
        false => {
            let met: Vec<String> = met.into_iter().collect();
            Err(Error::Usage(format!(
                "{}: a dataset of `{}` has no {}; it has {}",
                dir.display(),
                manifest.stage,
                column.map_or_else(
                    || "column of texts".into(),
                    |column| format!("column `{column}`")
                ),
                met.join(", ")
            )))
        }
    }
}

/// The rows of a split; all where a batch does not say which they are of.
fn rows_of(batch: RecordBatch, split: Split) -> Result<RecordBatch> {
    let Some(splits) = batch.column_by_name("split").and_then(strings) else {
        return Ok(batch);
    };
    let names = splits.iter();
    let own: BooleanArray = names.map(|name| Some(name == Some(split.name()))).collect();
    let rows = filter_record_batch(&batch, &own);
    rows.map_err(|error| Error::Defect(format!("rows of a split: {error}")))
}

/// The texts of a batch, row by row, column by column; lists of texts are taken apart.
fn each_row(
    path: &Path,
    batch: &RecordBatch,
    first: u64,
    columns: &[&str],
    visit: &mut dyn FnMut(&str) -> Result<bool>,
) -> Result<bool> {
    let columns = columns.iter().map(|name| Column::of(path, batch, name));
    let columns: Vec<Column> = columns.collect::<Result<_>>()?;
    for row in 0..batch.num_rows() {
        for column in &columns {
            for at in column.places(row) {
                if column.texts.is_null(at) {
                    let (path, row) = (path.display(), first + row as u64);
                    let name = &column.name;
                    return Err(Error::Usage(format!(
                        "{path}: row {row}: `{name}` is null; a text is wanted"
                    )));
                }
                if !visit(column.texts.value(at))? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// A column of texts, or of lists of texts.
struct Column {
    name: String,
    texts: StringArray,
    ends: Option<Vec<i32>>,
    nulls: Option<arrow::buffer::NullBuffer>,
}

impl Column {
    fn of(path: &Path, batch: &RecordBatch, name: &str) -> Result<Column> {
        let wrong = |message: String| Error::Usage(format!("{}: {message}", path.display()));
        let column = batch.column_by_name(name).ok_or_else(|| {
            let schema = batch.schema();
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let names: Vec<&str> = names.collect();
            wrong(format!("no column `{name}`; it has {}", names.join(", ")))
        })?;
        let strange = || {
            let found = column.data_type();
            wrong(format!(
                "column `{name}` holds {found}; texts, or lists of texts, are wanted"
            ))
        };
        let (values, ends, nulls) = match column.as_list_opt::<i32>() {
            Some(lists) => (
                lists.values().clone(),
                Some(lists.value_offsets().to_vec()),
                lists.nulls().cloned(),
            ),
            None => (column.clone(), None, None),
        };
        Ok(Column {
            name: name.into(),
            texts: strings(&values).ok_or_else(strange)?,
            ends,
            nulls,
        })
    }

    /// Where the texts of a row are; a list that is null holds none.
    fn places(&self, row: usize) -> std::ops::Range<usize> {
        match &self.ends {
            None => row..row + 1,
            Some(_) if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) => 0..0,
            Some(ends) => ends[row] as usize..ends[row + 1] as usize,
        }
    }
}

/// Strings of any of Arrow's forms.
fn strings(values: &ArrayRef) -> Option<StringArray> {
    let kind = match values.data_type() {
        DataType::Dictionary(_, kind) => kind.as_ref(),
        kind => kind,
    };
    let text = matches!(
        kind,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    );
    let values = text.then(|| cast(values, &DataType::Utf8).ok())??;
    values.as_string_opt::<i32>().cloned()
}
