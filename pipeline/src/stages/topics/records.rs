//! The records of the shards, file by file: ids, corpora, keys and texts with their words.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, StringArray};
use arrow::record_batch::RecordBatch;
use juzi_schemas::manifest::{File, Manifest, Table};
use juzi_schemas::record::Kind;
use juzi_schemas::shard::Groups;
use juzi_schemas::words::Texts;

use super::NAME;
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::flow::workers::{Team, chunks};
use crate::plan::{Plan, Source, TopicsPlan};
use crate::stages::synonyms::vocabulary::shards_of;
use crate::stages::{RunOptions, dataset_of, shards};

/// The shards of a plan.
pub struct Records<'r> {
    /// Their directory.
    pub dir: PathBuf,
    /// Their manifest.
    pub manifest: Manifest,
    /// Whether they have words.
    pub words: bool,
    options: &'r RunOptions,
    units: Vec<Unit>,
}

/// A row group with rows: what a worker reads at a time.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// Number of its file.
    pub file: usize,
    /// Number among the groups of its file that have rows.
    pub ordinal: usize,
    group: usize,
    /// Rows of the file before its own.
    first: usize,
    rows: usize,
}

impl<'r> Records<'r> {
    /// Opens the shards, which must be made, with words where the topics need them.
    ///
    /// # Errors
    /// They are not, or a file cannot be read.
    pub fn open(plan: &Plan, table: &TopicsPlan, options: &'r RunOptions) -> Result<Records<'r>> {
        let (dir, manifest) = match table.options.source {
            Source::Vectors => shards_of(plan, options, (NAME, "source = \"vectors\""))?,
            Source::Keys | Source::Embeddings => {
                let identity = shards::identity(plan, options)?;
                dataset_of(plan, options, NAME, shards::NAME, &identity)?
            }
        };
        let mut units = Vec::new();
        for (number, file) in manifest.files_of(Table::Rows).enumerate() {
            let groups = Groups::open(&dir.join(&file.name), None)?;
            let (mut first, mut ordinal) = (0, 0);
            for group in (0..groups.len()).filter(|&group| groups.rows(group) > 0) {
                let rows = groups.rows(group);
                units.push(Unit {
                    file: number,
                    ordinal,
                    group,
                    first,
                    rows,
                });
                ordinal += 1;
                first += rows;
            }
        }
        Ok(Records {
            dir,
            manifest,
            words: plan.shards.words,
            options,
            units,
        })
    }

    /// The files of records, in order.
    pub fn files(&self) -> Vec<&File> {
        self.manifest.files_of(Table::Rows).collect()
    }

    /// The row groups of a file, in order.
    pub fn units_of(&self, file: usize) -> Vec<Unit> {
        let units = self.units.iter().filter(|unit| unit.file == file);
        units.copied().collect()
    }

    /// All threads, for work that counts nothing.
    pub fn team<'t>(&'t self, name: &'t str) -> Team<'t> {
        Team {
            threads: self.options.threads,
            name,
            resume: &self.options.resume,
            done: None,
        }
    }

    /// A phase over all files.
    pub fn phase(&self, name: &'static str) -> Phase {
        Phase::of_rows(name, self.manifest.rows, self.options.quiet)
    }

    /// Works on every row group, several at a time; gives the results in order.
    ///
    /// # Errors
    /// Whatever `work` returns; a file cannot be read; an interruption.
    pub fn each_group<T: Send>(
        &self,
        name: &'static str,
        work: impl Fn(Unit, &Rows<'_>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let phase = self.phase(name);
        chunks(&self.team(name), self.units.len(), 1, |range| {
            let unit = self.units[range.start];
            let made = self.read(unit, |rows| work(unit, rows))?;
            let done = &phase.counters.rows;
            done.fetch_add(unit.rows as u64, Ordering::Relaxed);
            Ok(made)
        })
    }

    /// Reads a row group for `work`.
    ///
    /// # Errors
    /// The file cannot be read or is no file of records; whatever `work` returns.
    pub fn read<T>(&self, unit: Unit, work: impl FnOnce(&Rows<'_>) -> Result<T>) -> Result<T> {
        let file = self.files()[unit.file];
        let path = self.dir.join(&file.name);
        let kind = file.kind.ok_or_else(|| Error::Content {
            path: path.clone(),
            message: "a file of rows without a kind".into(),
        })?;
        let mut columns = vec!["id", "corpus", "topic_key"];
        columns.extend(kind.text_columns());
        if kind == Kind::Triplet {
            columns.push("negatives");
        }
        if self.words {
            columns.push("words");
        }
        let batch = Groups::open(&path, None)?.read(unit.group, Some(&columns))?;
        work(&Rows::new(&batch, &path, kind, self.words, unit.first)?)
    }
}

/// The records of a row group.
pub struct Rows<'b> {
    path: &'b Path,
    /// Rows of the file before these.
    first: usize,
    ids: &'b FixedSizeBinaryArray,
    corpora: &'b StringArray,
    keys: &'b StringArray,
    columns: Vec<&'b StringArray>,
    words: Option<Texts<'b>>,
}

impl<'b> Rows<'b> {
    fn new(
        batch: &'b RecordBatch,
        path: &'b Path,
        kind: Kind,
        words: bool,
        first: usize,
    ) -> Result<Rows<'b>> {
        let wrong = |name: &str| Error::Content {
            path: path.into(),
            message: format!("no column `{name}` as it should be"),
        };
        let text = |name: &str| {
            let column = batch.column_by_name(name);
            let column = column.and_then(|column| column.as_string_opt::<i32>());
            column.ok_or_else(|| wrong(name))
        };
        let ids = batch.column_by_name("id");
        let ids = ids.and_then(|column| column.as_fixed_size_binary_opt());
        let names = kind.text_columns();
        let names = &names[..kind.language_columns(names.len())];
        let texts = match words {
            true => Some(Texts::of(batch, kind).ok_or_else(|| wrong("words"))?),
            false => None,
        };
        Ok(Rows {
            path,
            first,
            ids: ids.ok_or_else(|| wrong("id"))?,
            corpora: text("corpus")?,
            keys: text("topic_key")?,
            columns: names.iter().map(|name| text(name)).collect::<Result<_>>()?,
            words: texts,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Id of a record.
    pub fn id(&self, row: usize) -> u128 {
        let bytes = self.ids.value(row).try_into();
        u128::from_be_bytes(bytes.expect("an id has 16 bytes"))
    }

    /// Corpus of a record.
    pub fn corpus(&self, row: usize) -> &'b str {
        self.corpora.value(row)
    }

    /// The corpus's own topic of a record.
    pub fn key(&self, row: usize) -> Option<&'b str> {
        let key = self.keys.is_valid(row).then(|| self.keys.value(row));
        key.filter(|key| !key.trim().is_empty())
    }

    /// The texts of a record without negatives, for people.
    pub fn shown(&self, row: usize) -> String {
        let texts: Vec<&str> = self
            .columns
            .iter()
            .map(|column| column.value(row))
            .collect();
        texts.join(" → ")
    }

    /// Gives each text of a record but its negatives, with the lengths of its words if it has them.
    ///
    /// # Errors
    /// The lengths do not add up to the texts.
    pub fn texts(&self, row: usize, mut each: impl FnMut(&'b str, &'b [u16])) -> Result<()> {
        let Some(words) = &self.words else {
            for column in &self.columns {
                each(column.value(row), &[]);
            }
            return Ok(());
        };
        let mut left = self.columns.len();
        let positives = |text: &'b str, lengths: &'b [u16]| {
            if left > 0 {
                each(text, lengths);
                left -= 1;
            }
        };
        words.row(row, positives).map_err(|_| Error::Content {
            path: self.path.into(),
            message: format!(
                "row {}: the lengths of the words do not add up to the texts",
                self.first + row
            ),
        })
    }
}
