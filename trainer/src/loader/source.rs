//! Where batches come from: a dataset of batches, or shards cut into batches of any size.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::record::{ID_BYTES, Kind};
use juzi_schemas::{batch, dataset};

use super::files::{File, OpenFiles};
use super::order::{Cursor, Permutation};
use super::planned::Planned;
use super::sharded::{self, Sharded};
use crate::recipe::Data;
use crate::{Error, Result};

/// Name of the other stage whose datasets are read.
const SHARDS: &str = "shards";

/// Rows of one row group that belong to a batch, in order.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The whole row group, or what was read of it.
    pub batch: RecordBatch,
    /// Numbers of the rows in it.
    pub rows: Vec<u32>,
    /// The file.
    pub path: Arc<Path>,
    /// Number of the row group in the file.
    pub group: usize,
}

/// A dataset and an order of its batches in every epoch. Threads share it.
#[derive(Debug)]
pub struct Source {
    /// Its directory.
    pub dir: PathBuf,
    /// Identity of the dataset.
    pub fingerprint: Fingerprint,
    /// Kind of its records; `Triplet` for the pairs of batches too.
    pub kind: Kind,
    /// Names of its corpora, which batches refer to by number.
    pub corpora: Vec<String>,
    pub(super) files: Vec<File>,
    pub(super) table: Units,
    pub(super) seed: u64,
    pub(super) shuffle: bool,
}

/// What an epoch is made of.
#[derive(Debug)]
pub(super) enum Units {
    /// Batches that were planned, each a row group.
    Planned(Planned),
    /// Rows, to be cut into batches.
    Sharded(Sharded),
}

/// Finds the rows of batches; each worker has its own.
pub struct Reader {
    source: Arc<Source>,
    files: OpenFiles,
    columns: Vec<&'static str>,
    sharded: sharded::State,
}

impl Source {
    /// Opens a dataset; `seed` gives the order.
    ///
    /// # Errors
    /// There is no such dataset, a file of it is missing or has another size, or it has no record of
    /// the kind and split.
    pub fn open(data: &Data, dir: &Path, seed: u64) -> Result<Source> {
        let manifest = Manifest::read(dir)?;
        dataset::check_sizes(dir, &manifest)?;
        let planned = match manifest.stage.as_str() {
            batch::STAGE => true,
            SHARDS => false,
            other => {
                return Err(Error::Usage(format!(
                    "{}: it holds `{other}`, not `{}` or `{SHARDS}`",
                    dir.display(),
                    batch::STAGE
                )));
            }
        };
        let kind = match planned {
            true => kind_of_batches(dir, &manifest)?,
            false => data.kind,
        };
        let rows: Vec<_> = manifest
            .files_of(Table::Rows)
            .filter(|file| planned || file.kind.unwrap_or(Kind::Text) == kind)
            .collect();
        let names: Vec<&str> = rows.iter().map(|file| file.name.as_str()).collect();
        let files: Vec<File> = rows
            .iter()
            .map(|file| File {
                path: dir.join(&file.name).into(),
                bytes: file.bytes,
                hash: file.bytes_hash,
                proved: Default::default(),
            })
            .collect();
        let table = match planned {
            true => Units::Planned(Planned::open(dir, &manifest, &names)?),
            false => Units::Sharded(Sharded::open(data, dir, &files)?),
        };
        Ok(Source {
            dir: dir.into(),
            fingerprint: manifest.fingerprint,
            kind,
            corpora: manifest.corpora,
            files,
            table,
            seed,
            shuffle: data.shuffle,
        })
    }

    /// Batches in an epoch; at least one.
    pub fn batches(&self) -> u64 {
        match &self.table {
            Units::Planned(planned) => planned.batches(),
            Units::Sharded(sharded) => sharded.batches(),
        }
    }

    /// Records in an epoch, those included that fill no batch and are left out.
    pub fn records(&self) -> u64 {
        match &self.table {
            Units::Planned(planned) => planned.records(),
            Units::Sharded(sharded) => sharded.records(),
        }
    }

    /// Records in an epoch that fill no batch and are left out.
    pub fn left_out(&self) -> u64 {
        match &self.table {
            Units::Planned(_) => 0,
            Units::Sharded(sharded) => sharded.left_out(),
        }
    }

    /// Whether batches were planned, so that a record may come more than once in an epoch.
    pub fn is_planned(&self) -> bool {
        matches!(self.table, Units::Planned(_))
    }

    /// Whether the rows of the first row group have words.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn has_words(&self) -> Result<bool> {
        let (number, group) = match &self.table {
            Units::Planned(planned) => planned.first(),
            Units::Sharded(sharded) => sharded.first(),
        };
        let file = &self.files[number];
        let found = OpenFiles::default().read(number, file, group, &["words"])?;
        Ok(found.num_columns() == 1)
    }

    /// The columns that hold the content of records.
    pub fn content_columns(&self, words: bool) -> Vec<&'static str> {
        let mut columns = vec!["id", "corpus"];
        columns.extend(self.kind.text_columns());
        match self.kind {
            Kind::Triplet => columns.push("negatives"),
            Kind::Scored => columns.push("score"),
            Kind::Text | Kind::Labelled | Kind::Pair => {}
        }
        if self.is_planned() {
            columns.push("topic");
        }
        if self.is_planned() && self.kind == Kind::Triplet {
            // Batches whose negatives no miner scored lack the last one.
            columns.extend(["positives", "ignored", "scores"]);
        }
        if words {
            columns.push("words");
        }
        columns
    }

    /// The permutation of the units of an epoch; `part` tells permutations apart.
    pub(super) fn permutation(&self, len: u64, epoch: u64, part: u64) -> Permutation {
        match self.shuffle {
            true => Permutation::new(len, self.seed, epoch, part),
            false => Permutation::identity(len),
        }
    }
}

impl Reader {
    /// A reader of these columns.
    pub fn new(source: Arc<Source>, columns: Vec<&'static str>) -> Reader {
        Reader {
            source,
            files: OpenFiles::default(),
            columns,
            sharded: sharded::State::default(),
        }
    }

    /// The rows of a batch.
    ///
    /// # Errors
    /// A file cannot be read or is not what its manifest and lists say.
    pub fn pieces(&mut self, cursor: Cursor) -> Result<Vec<Piece>> {
        let Reader {
            source,
            files,
            columns,
            sharded,
        } = self;
        match &source.table {
            Units::Planned(planned) => {
                let number = source
                    .permutation(planned.batches(), cursor.epoch, 0)
                    .at(cursor.position);
                Ok(vec![planned.piece(
                    number,
                    &source.files,
                    files,
                    columns,
                )?])
            }
            Units::Sharded(table) => sharded.pieces(table, source, cursor, files, columns),
        }
    }

    /// Appends the ids of the records of a batch.
    ///
    /// # Errors
    /// As [`Reader::pieces`].
    pub fn ids(&mut self, cursor: Cursor, out: &mut Vec<u128>) -> Result<()> {
        for piece in self.pieces(cursor)? {
            let ids = piece.ids()?;
            out.extend(piece.rows.iter().map(|&row| ids(row as usize)));
        }
        Ok(())
    }
}

impl Piece {
    /// The ids of the row group, by the number of the row.
    ///
    /// # Errors
    /// There is no such column.
    pub fn ids(&self) -> Result<impl Fn(usize) -> u128> {
        let column = self.batch.column_by_name("id");
        let ids = column
            .and_then(|column| column.as_fixed_size_binary_opt())
            .filter(|ids| ids.value_length() == ID_BYTES);
        let ids = ids.ok_or_else(|| self.wrong("it has no column `id` of 16 bytes".into()))?;
        Ok(move |row: usize| {
            let bytes = ids.value(row).try_into().expect("the width was checked");
            u128::from_be_bytes(bytes)
        })
    }

    /// An error about this row group.
    pub fn wrong(&self, message: String) -> Error {
        Error::Group {
            path: self.path.to_path_buf(),
            group: self.group,
            message,
        }
    }
}

/// The one kind that all batches have.
fn kind_of_batches(dir: &Path, manifest: &Manifest) -> Result<Kind> {
    let mut kinds =
        manifest
            .files_of(Table::Rows)
            .map(|file| match file.kind.unwrap_or(Kind::Text) {
                // Pairs are triplets without negatives there.
                Kind::Pair => Kind::Triplet,
                kind => kind,
            });
    let wrong = |message: &str| Error::Usage(format!("{}: {message}", dir.display()));
    let first = kinds
        .next()
        .ok_or_else(|| wrong("it has no batches; plan some with juzi batches"))?;
    match kinds.all(|kind| kind == first) {
        true => Ok(first),
        false => Err(wrong("its batches are of several kinds")),
    }
}
