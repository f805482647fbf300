//! The outputs of an embedding: committed parts, one for each window, and the whole that is made of
//! them at the end.
//!
//! A file `OUT` has its parts in `OUT.parts`, whose journal proves them; the file itself appears
//! under its name when it is complete, and the parts go. A dataset is its parts.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use juzi_schemas::dataset::{self, DatasetWriter, Durability};
use juzi_schemas::embedding::{self, EmbeddingsBuilder};
use juzi_schemas::fault;
use juzi_schemas::manifest::{self, Manifest, Table, combined};
use juzi_schemas::rows_hash::RowsHash;
use juzi_schemas::shard::{self, FORMAT, ShardWriter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::encode::Vectors;
use super::identity::Identity;
use super::rows::{rows, schema};
use super::windows::Window;
use super::{Outcome, npy};
use crate::{Error, Result};

/// Rows of a row group.
const ROWS_PER_GROUP: usize = 4096;

/// In the directory of parts: what they are of.
const REQUEST: &str = "request.json";

/// What an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A NumPy array of `f32`, `[texts, dimension]`, in the order of the input.
    Npy,
    /// A table of `text` and `embedding`, in the order of the input.
    Parquet,
    /// A dataset `embeddings` of juzi: each different text once.
    Dataset,
}

/// An output before the work.
pub enum Output {
    /// It is there already.
    Made(Outcome),
    /// It is to be made, or to be made to its end.
    Unfinished(Parts),
}

/// The parts of an output.
pub struct Parts {
    format: Format,
    path: PathBuf,
    writer: DatasetWriter,
}

/// What the journal keeps of a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Rows of the output.
    pub rows: u64,
    /// Different texts.
    pub different: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Those that were cut.
    pub cut: u64,
    /// Length of a vector.
    pub dimension: usize,
}

impl Format {
    /// By the ending of a name.
    pub fn of(path: &Path) -> Format {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("npy") => Format::Npy,
            Some("parquet") => Format::Parquet,
            _ => Format::Dataset,
        }
    }

    fn part(self, number: usize) -> String {
        let ending = match self {
            Format::Npy => "f32",
            Format::Parquet | Format::Dataset => "parquet",
        };
        format!("part-{number:05}.{ending}")
    }
}

impl Output {
    /// Opens the parts of an output, or finds it made.
    ///
    /// # Errors
    /// The place holds something else, parts of another request, or cannot be written to.
    pub fn open(path: &Path, identity: &Identity) -> Result<Output> {
        let format = Format::of(path);
        let writer = match format {
            Format::Dataset if path.extension().is_some() => {
                return Err(Error::Usage(format!(
                    "{}: .npy and .parquet are written, and datasets under a name without an ending",
                    path.display()
                )));
            }
            Format::Dataset => {
                let (data, name) = place(path)?;
                let dir = dataset::directory(&data, &name, &identity.fingerprint);
                if dir.join(manifest::NAME).exists() {
                    let manifest = Manifest::read(&dir)?;
                    dataset::check_sizes(&dir, &manifest)?;
                    dataset::settle(&data, &name, &dir, &manifest)?;
                    return Ok(Output::Made(Outcome::of(&manifest)));
                }
                DatasetWriter::open(&data, &name, &identity.fingerprint)?
            }
            Format::Npy | Format::Parquet => {
                if path.is_dir() {
                    let message = "a directory is here; a file is to be written";
                    return Err(Error::Usage(format!("{}: {message}", path.display())));
                }
                let parts = parts(path);
                claim(&parts, identity)?;
                DatasetWriter::open(&parts, "embed", &identity.fingerprint)?
            }
        };
        Ok(Output::Unfinished(Parts {
            format,
            path: path.into(),
            writer,
        }))
    }
}

/// Where a dataset stands: the directory of data, and its name there.
fn place(path: &Path) -> Result<(PathBuf, String)> {
    let wrong = |message: String| Err(Error::Usage(format!("{}: {message}", path.display())));
    let name = path.file_name().map(|name| name.to_string_lossy());
    let Some(name) = name.filter(|name| !name.starts_with('.')) else {
        return wrong("a name for the dataset is wanted".into());
    };
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_symlink() => {
            return wrong("something that is no dataset of embeddings is here".into());
        }
        Ok(_) => match Manifest::read(path) {
            Ok(manifest) if manifest.stage != embedding::STAGE => {
                return wrong(format!("a dataset `{}` is here", manifest.stage));
            }
            _ => {}
        },
        Err(_) => {}
    }
    let data = path.parent().filter(|data| *data != Path::new(""));
    Ok((data.unwrap_or(Path::new(".")).into(), name.into_owned()))
}

fn parts(path: &Path) -> PathBuf {
    path.with_added_extension("parts")
}

/// Writes down what parts are of, or compares with what is written down.
fn claim(dir: &Path, identity: &Identity) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(Error::input(dir))?;
    let path = dir.join(REQUEST);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = format!("{:#}\n", identity.to_json());
            return Ok(dataset::replace(&path, text.as_bytes())?);
        }
        Err(source) => return Err(Error::Input { path, source }),
    };
    // A file that is no JSON differs in everything.
    let other: Value = serde_json::from_slice(&text).unwrap_or_default();
    match identity.difference(&other) {
        same if same.is_empty() => Ok(()),
        difference => Err(Error::Usage(format!(
            "{}: parts of another request are here: {difference}; delete this directory to begin anew",
            dir.display()
        ))),
    }
}

impl Parts {
    /// Whether no text may come twice.
    pub fn once(&self) -> bool {
        self.format == Format::Dataset
    }

    /// Number of parts there are.
    pub fn number(&self) -> usize {
        self.writer.committed_under("part-").len()
    }

    /// Whether the part of a window is there.
    pub fn has(&self, number: usize) -> bool {
        self.writer.committed(&self.format.part(number)).is_some()
    }

    /// Commits the part of a window.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, window: &Window, vectors: &Vectors, note: &Note) -> Result<()> {
        let name = self.format.part(window.number);
        let mut file = self.writer.create(&name)?;
        let place = file.path();
        let note = serde_json::to_value(note).expect("numbers have a JSON form");
        let (file, rows) = match self.format {
            Format::Npy => {
                for places in window.places.chunks(ROWS_PER_GROUP) {
                    let values = places.iter().flat_map(|&place| vectors.of(place as usize));
                    let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
                    file.write_all(&bytes).map_err(Error::input(&place))?;
                }
                (file, RowsHash::default())
            }
            Format::Parquet => {
                let mut writer = ShardWriter::new(file, schema(), &place)?;
                for places in window.places.chunks(ROWS_PER_GROUP) {
                    writer.write(&rows(window, places, vectors))?;
                }
                writer.finish()?
            }
            Format::Dataset => {
                let schema = Arc::new(embedding::schema());
                let mut writer = ShardWriter::new(file, schema, &place)?;
                let mut builder = EmbeddingsBuilder::default();
                for (number, &id) in window.ids.iter().enumerate() {
                    builder.push(id, vectors.of(number));
                    if builder.rows() == ROWS_PER_GROUP || number + 1 == window.ids.len() {
                        let batch = builder.finish().map_err(schemas_error(&place))?;
                        writer.write(&batch)?;
                    }
                }
                writer.finish()?
            }
        };
        let durability = match self.format {
            Format::Dataset => Durability::Durable,
            Format::Npy | Format::Parquet => Durability::Scratch,
        };
        self.writer.commit(file, durability, rows, note)?;
        Ok(())
    }

    /// What is noted of each of so many parts.
    ///
    /// # Errors
    /// A part is missing, or the vectors are of several lengths.
    pub fn notes(&self, windows: usize) -> Result<Vec<Note>> {
        let note = |number| {
            let entry = self.writer.committed(&self.format.part(number));
            entry.and_then(|entry| serde_json::from_value(entry.note).ok())
        };
        let notes: Option<Vec<Note>> = (0..windows).map(note).collect();
        let notes = notes.filter(|_| self.number() == windows);
        notes.ok_or_else(|| Error::Defect(format!("not all of {windows} parts are there")))
    }

    /// Makes the output of its parts.
    ///
    /// # Errors
    /// The disk.
    pub fn finish(self, outcome: &Outcome, notes: &[Note], identity: &Identity) -> Result<()> {
        if self.format == Format::Dataset {
            let manifest = self.manifest(outcome, identity);
            let report = json!({ "request": identity.to_json(), "figures": outcome.to_json() });
            self.writer.finish(&manifest, &report)?;
            return Ok(());
        }
        let temporary = self.path.with_added_extension("tmp");
        let failed = || Error::input(&temporary);
        let mut file = BufWriter::new(File::create(&temporary).map_err(failed())?);
        let file = match self.format {
            Format::Npy => {
                let rows = notes.iter().map(|note| note.rows).sum();
                let header = npy::header(rows, outcome.dimension);
                file.write_all(&header).map_err(failed())?;
                for number in 0..notes.len() {
                    self.copy(number, &mut file, &temporary)?;
                }
                file
            }
            _ => {
                let mut writer = ShardWriter::new(file, schema(), &temporary)?;
                for number in 0..notes.len() {
                    let part = self.writer.dir().join(self.format.part(number));
                    for batch in shard::read_groups(&part, schema())? {
                        writer.write(&batch?)?;
                    }
                }
                writer.finish()?.0
            }
        };
        let file = file.into_inner().map_err(|error| Error::Input {
            path: temporary.clone(),
            source: error.into_error(),
        })?;
        file.sync_all().map_err(failed())?;
        fault::point("before renaming vectors");
        std::fs::rename(&temporary, &self.path).map_err(Error::input(&self.path))?;
        let parent = self.path.parent().filter(|parent| *parent != Path::new(""));
        let parent = parent.unwrap_or(Path::new("."));
        let synced = File::open(parent).and_then(|parent| parent.sync_all());
        synced.map_err(Error::input(parent))?;
        fault::point("before removing parts");
        self.forget();
        Ok(())
    }

    /// Deletes the parts; what cannot be deleted stays.
    pub fn forget(self) {
        let _ = match self.format {
            Format::Dataset => std::fs::remove_dir_all(self.writer.dir()),
            Format::Npy | Format::Parquet => std::fs::remove_dir_all(parts(&self.path)),
        };
    }

    fn copy(&self, number: usize, file: &mut impl Write, temporary: &Path) -> Result<()> {
        let part = self.writer.dir().join(self.format.part(number));
        let mut from = File::open(&part).map_err(Error::input(&part))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = from.read(&mut buffer).map_err(Error::input(&part))?;
            if read == 0 {
                return Ok(());
            }
            let written = file.write_all(&buffer[..read]);
            written.map_err(Error::input(temporary))?;
        }
    }

    fn manifest(&self, outcome: &Outcome, identity: &Identity) -> Manifest {
        let entries = self.writer.committed_under("part-");
        let rows = combined(entries.iter().map(|entry| entry.rows));
        let files = entries.into_iter().map(|entry| manifest::File {
            name: entry.name,
            table: Table::Rows,
            kind: None,
            rows: entry.rows.rows,
            rows_hash: entry.rows.hex(),
            bytes: entry.bytes,
            bytes_hash: entry.bytes_hash,
        });
        let mut inputs = identity.inputs.clone();
        inputs.sort();
        Manifest {
            format: FORMAT,
            stage: embedding::STAGE.into(),
            fingerprint: identity.fingerprint,
            rows: rows.rows,
            rows_hash: rows.hex(),
            kinds: Default::default(),
            corpora: Vec::new(),
            dropped: Default::default(),
            counts: outcome.counts(),
            measures: Default::default(),
            files: files.collect(),
            inputs,
            dictionaries: Default::default(),
            plan: identity.plan.clone(),
        }
    }
}

impl Outcome {
    /// The counts that a manifest keeps.
    fn counts(&self) -> std::collections::BTreeMap<String, u64> {
        let counts = [
            ("texts", self.texts),
            ("different", self.different),
            ("tokens", self.tokens),
            ("empty", self.empty),
            ("cut", self.cut),
            ("dimension", self.dimension as u64),
        ];
        counts.map(|(name, count)| (name.into(), count)).into()
    }

    /// What the manifest of a dataset says of its making.
    fn of(manifest: &Manifest) -> Outcome {
        let count = |name: &str| manifest.counts.get(name).copied().unwrap_or_default();
        let parts = manifest.files.len();
        Outcome {
            texts: count("texts"),
            different: count("different"),
            tokens: count("tokens"),
            empty: count("empty"),
            cut: count("cut"),
            dimension: count("dimension") as usize,
            parts,
            parts_found: parts,
            ..Outcome::default()
        }
    }
}

fn schemas_error(place: &Path) -> impl FnOnce(arrow::error::ArrowError) -> Error {
    let error = juzi_schemas::Error::parquet(place);
    move |source| error(source).into()
}
