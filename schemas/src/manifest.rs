//! The manifest: list and proof of a dataset, written last.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::record::Kind;
use crate::rows_hash::RowsHash;
use crate::{Error, Result};

/// A report for people and scripts, with times; the manifest does not vouch for it.
pub const REPORT: &str = "report.json";

/// The same for a browser, where a stage has a page to show.
pub const PAGE: &str = "report.html";

/// File name inside a dataset directory.
pub const NAME: &str = "manifest.json";

/// What a file of a dataset holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Records that were kept.
    Rows,
    /// The drop ledger.
    Dropped,
    /// What each topic of `topics` is.
    Topics,
    /// Middles of the topics, as named vectors.
    Middles,
    /// Words of the static text vectors, as named vectors.
    Words,
    /// The list of `batches`.
    Batches,
}

impl Table {
    /// All tables, those of records first.
    pub const ALL: [Table; 6] = [
        Table::Rows,
        Table::Dropped,
        Table::Topics,
        Table::Middles,
        Table::Words,
        Table::Batches,
    ];

    /// The name in manifests and queries.
    pub fn name(self) -> &'static str {
        ["rows", "dropped", "topics", "middles", "words", "batches"][self as usize]
    }
}

/// One file that the manifest vouches for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// Name below the dataset directory.
    pub name: String,
    /// What it holds.
    pub table: Table,
    /// Kind of its records, for [`Table::Rows`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<Kind>,
    /// Number of rows.
    pub rows: u64,
    /// Order-sensitive hash of the rows.
    pub rows_hash: String,
    /// Size in bytes.
    pub bytes: u64,
    /// XXH3-128 of the bytes.
    pub bytes_hash: Fingerprint,
}

/// One input file that the dataset follows from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Input {
    /// Corpus that it belongs to.
    pub corpus: String,
    /// Split that it belongs to.
    pub split: String,
    /// Base name.
    pub file: String,
    /// Size in bytes.
    pub bytes: u64,
    /// XXH3-128 over the hashes of its 64 MiB pieces.
    pub hash: Fingerprint,
}

/// The manifest of a dataset. It holds no time and no path: equal data gives equal bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format on disk.
    pub format: u32,
    /// Stage that made the dataset.
    pub stage: String,
    /// Hash of everything the dataset follows from.
    pub fingerprint: Fingerprint,
    /// Number of records kept.
    pub rows: u64,
    /// Order-sensitive hash over all kept rows, shard after shard.
    pub rows_hash: String,
    /// Records kept by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Names of the corpora.
    pub corpora: Vec<String>,
    /// Records and documents dropped by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Other counts, so that totals can be checked.
    pub counts: BTreeMap<String, u64>,
    /// Measured qualities between 0 and 1, such as the recall of an approximate search.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub measures: BTreeMap<String, f64>,
    /// All files but this one and the report.
    pub files: Vec<File>,
    /// The inputs, sorted.
    pub inputs: Vec<Input>,
    /// Dictionaries by name and hash.
    pub dictionaries: BTreeMap<String, Fingerprint>,
    /// The resolved table of the plan.
    pub plan: serde_json::Value,
}

impl Manifest {
    /// Reads the manifest of a dataset directory.
    pub fn read(dir: &Path) -> Result<Manifest> {
        let path = dir.join(NAME);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let reason = match dir.is_dir() {
                    true => "it has no manifest.json (unfinished, or not made by juzi)".into(),
                    false => "no such directory".into(),
                };
                return Err(Error::NoDataset {
                    path: dir.into(),
                    reason,
                });
            }
            Err(source) => return Err(Error::Io { path, source }),
        };
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| Error::Json {
            path: path.clone(),
            what: "manifest",
            message: error.to_string(),
        })?;
        if manifest.format > crate::shard::FORMAT {
            let reason = format!(
                "its format {} is newer than this juzi reads ({})",
                manifest.format,
                crate::shard::FORMAT
            );
            return Err(Error::NoDataset {
                path: dir.into(),
                reason,
            });
        }
        Ok(manifest)
    }

    /// Files of one table, in order.
    pub fn files_of(&self, table: Table) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.table == table)
    }

    /// The manifest as it stands on disk.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a manifest has a JSON form");
        text.push('\n');
        text
    }
}

/// Combines the hashes of shards into that of the dataset.
pub fn combined(parts: impl IntoIterator<Item = RowsHash>) -> RowsHash {
    let mut whole = RowsHash::default();
    parts.into_iter().for_each(|part| whole.extend(&part));
    whole
}
