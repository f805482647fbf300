//! Vectors of a dataset `embeddings`: rows on disk, found by the id of the text.
//!
//! Memory holds 20 bytes for each text, never the vectors: these lie in a scratch file of plain
//! rows and are read where they stand. An encoder writes them about in the order of the shards, so
//! that mostly the next row is wanted next.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Float32Type;
use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::embedding::{self, text_id};
use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::rows_hash::RowsHash;
use juzi_schemas::shard;

use super::source::TextVectors;
use crate::error::{Error, Result};
use crate::flow::interrupt;
use crate::neighbors::number;
use crate::stages::RunOptions;
use crate::vectors::static_text::normalize;

/// Scratch files: rows of little-endian `f32`, and the ids in their order.
const VALUES: &str = "embeddings.f32";
const IDS: &str = "embeddings.ids";

/// The vectors of texts.
pub struct Stored {
    file: File,
    place: std::path::PathBuf,
    dimension: usize,
    /// Ids of the texts, ascending, and the row of each.
    ids: Vec<u128>,
    rows: Vec<u32>,
    /// Rows that are no vectors: zeros, or not numbers.
    pub bad: u64,
}

/// The manifest of a dataset of embeddings.
///
/// # Errors
/// There is none, or it is of another stage; the key and what is accepted.
pub fn manifest(dir: &Path) -> std::result::Result<Manifest, String> {
    let manifest = Manifest::read(dir).map_err(|error| format!("embeddings: {error}"))?;
    match manifest.stage == embedding::STAGE {
        true => Ok(manifest),
        false => Err(format!(
            "embeddings: {} holds {}; accepted is a dataset of embeddings",
            dir.display(),
            manifest.stage
        )),
    }
}

impl Stored {
    /// Lays the vectors out, or finds them laid out.
    ///
    /// # Errors
    /// The dataset cannot be read, or its ids do not fit into the memory; the disk.
    pub fn open(dir: &Path, options: &RunOptions, writer: &DatasetWriter) -> Result<Stored> {
        let manifest = Manifest::read(dir)?;
        let need = manifest.rows * 60;
        if need > options.memory_bytes {
            return Err(Error::Resources(format!(
                "[topics] embeddings: {} texts need {}, more than --memory",
                manifest.rows,
                crate::size::Size(need)
            )));
        }
        let (dimension, bad) = match (writer.committed(VALUES), writer.committed(IDS)) {
            (Some(_), Some(entry)) => {
                serde_json::from_value(entry.note).expect("the journal's lines are checked")
            }
            _ => lay_out(dir, &manifest, options, writer)?,
        };
        let place = writer.dir().join(IDS);
        let bytes = std::fs::read(&place).map_err(Error::input(&place))?;
        let id = |bytes: &[u8]| u128::from_le_bytes(bytes.try_into().expect("16 bytes"));
        let ids = bytes.chunks_exact(16).map(id);
        let mut sorted: Vec<(u128, u32)> = ids.zip(0..).collect();
        drop(bytes);
        sorted.sort_unstable();
        let place = writer.dir().join(VALUES);
        Ok(Stored {
            file: File::open(&place).map_err(Error::input(&place))?,
            place,
            dimension,
            ids: sorted.iter().map(|(id, _)| *id).collect(),
            rows: sorted.iter().map(|(_, row)| *row).collect(),
            bad,
        })
    }

    /// Number of texts that have a vector.
    pub fn texts(&self) -> usize {
        self.ids.len()
    }
}

impl TextVectors for Stored {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn embed(&self, text: &str, _: &[u16], out: &mut [f32]) -> Result<bool> {
        let id = text_id(text);
        let at = self.ids.partition_point(|&other| other < id);
        if self.ids.get(at) != Some(&id) {
            return Ok(false);
        }
        let mut bytes = vec![0; self.dimension * 4];
        let start = u64::from(self.rows[at]) * bytes.len() as u64;
        let read = self.file.read_exact_at(&mut bytes, start);
        read.map_err(Error::input(&self.place))?;
        let numbers = bytes.chunks_exact(4).map(number);
        out.iter_mut()
            .zip(numbers)
            .for_each(|(out, value)| *out = value);
        Ok(true)
    }
}

/// Writes ids and unit vectors as plain rows; gives the dimension and the number of bad rows.
fn lay_out(
    dir: &Path,
    manifest: &Manifest,
    options: &RunOptions,
    writer: &DatasetWriter,
) -> Result<(usize, u64)> {
    let (mut values, mut ids) = (writer.create(VALUES)?, writer.create(IDS)?);
    let (mut dimension, mut bad) = (0, 0);
    for file in manifest.files_of(Table::Rows) {
        let path = dir.join(&file.name);
        let wrong = || Error::Content {
            path: path.clone(),
            message: "no table of ids and embeddings of one length".into(),
        };
        for batch in shard::read(&path)? {
            if interrupt::asked() {
                let resume = options.resume.clone();
                return Err(Error::Interrupted { resume });
            }
            let batch = batch?;
            let keys = batch.column_by_name("id").ok_or_else(wrong)?;
            let keys = keys.as_fixed_size_binary_opt().ok_or_else(wrong)?;
            let lists = batch.column_by_name("embedding").ok_or_else(wrong)?;
            let lists = lists.as_list_opt::<i32>().ok_or_else(wrong)?;
            let numbers = lists.values().as_primitive_opt::<Float32Type>();
            let numbers = numbers.ok_or_else(wrong)?.values();
            let mut bytes = Vec::new();
            for row in 0..batch.num_rows() {
                let ends = &lists.value_offsets()[row..];
                let mut vector = numbers[ends[0] as usize..ends[1] as usize].to_vec();
                if dimension == 0 {
                    dimension = vector.len();
                }
                if vector.len() != dimension || dimension == 0 || keys.value_length() != 16 {
                    return Err(wrong());
                }
                if !normalize(&mut vector) {
                    bad += 1;
                    continue;
                }
                let id = u128::from_be_bytes(keys.value(row).try_into().expect("16 bytes"));
                ids.write_all(&id.to_le_bytes())
                    .map_err(juzi_schemas::Error::io(writer.dir().join(IDS)))?;
                vector
                    .iter()
                    .for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
            }
            values
                .write_all(&bytes)
                .map_err(juzi_schemas::Error::io(writer.dir().join(VALUES)))?;
        }
    }
    let rows = RowsHash::default;
    let null = serde_json::Value::Null;
    writer.commit(values, Durability::Scratch, rows(), null)?;
    let note = serde_json::to_value((dimension, bad)).expect("numbers have a JSON form");
    writer.commit(ids, Durability::Scratch, rows(), note)?;
    Ok((dimension, bad))
}
