//! Vectors of anchors and documents, out of a dataset `embeddings`.

use std::collections::HashMap;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Float32Type;
use juzi_schemas::dataset;
use juzi_schemas::embedding::{STAGE, text_id};
use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::record::ID_BYTES;
use juzi_schemas::shard::Groups;

use super::Job;
use super::collect::{Collected, NONE};
use super::store::Store;
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::neighbors::dot;
use crate::size::Size;

/// Rows of unit length.
#[derive(Default)]
pub struct Vectors {
    /// Numbers in a row.
    pub dimension: usize,
    /// Rows of all documents, one after another.
    pub documents: Vec<f32>,
    /// Rows of all queries.
    pub queries: Vec<f32>,
}

/// The manifest of the plan's dataset of vectors.
///
/// # Errors
/// There is none, or it is another table.
pub fn manifest(job_plan: &crate::plan::Plan, dir: &Path) -> Result<Manifest> {
    let wrong = |message: String| Error::Plan {
        path: job_plan.path.clone(),
        message: format!("[negatives] embeddings: {message}"),
    };
    let manifest = Manifest::read(dir).map_err(|error| wrong(error.to_string()))?;
    if manifest.stage != STAGE {
        let message = format!(
            "{} holds `{}`, expected `{STAGE}`",
            dir.display(),
            manifest.stage
        );
        return Err(wrong(message));
    }
    dataset::check_sizes(dir, &manifest)?;
    Ok(manifest)
}

/// Reads the vectors of all anchors and documents.
///
/// # Errors
/// A text has no vector, or a vector is none; they do not fit into the plan's memory.
pub fn load(job: &Job<'_>, dir: &Path, collected: &Collected) -> Result<Vectors> {
    let manifest = manifest(job.plan, dir)?;
    let (wanted, texts) = wanted(collected)?;
    let (documents, queries) = (collected.documents.len(), collected.queries.len());
    let phase = Phase::of_rows("vectors", manifest.rows, job.options.quiet);
    let mut loader = Loader {
        job,
        dir,
        vectors: Vectors::default(),
        found: vec![false; documents + queries],
        rows: (documents, queries),
    };
    for file in manifest.files_of(Table::Rows) {
        let groups = Groups::open(&dir.join(&file.name), None)?;
        for group in 0..groups.len() {
            let batch = groups.read(group, Some(&["id", "embedding"]))?;
            let wrong = || Error::Content {
                path: dir.join(&file.name),
                message: "expected the columns id and embedding of the table `embeddings`".into(),
            };
            let ids = batch.column_by_name("id").ok_or_else(wrong)?;
            let ids = ids.as_fixed_size_binary_opt().ok_or_else(wrong)?;
            let lists = batch.column_by_name("embedding").ok_or_else(wrong)?;
            let lists = lists.as_list_opt::<i32>().ok_or_else(wrong)?;
            let values = lists.values().as_primitive_opt::<Float32Type>();
            let values = values.ok_or_else(wrong)?.values();
            if ids.value_length() != ID_BYTES {
                return Err(wrong());
            }
            for row in 0..batch.num_rows() {
                let id: [u8; 16] = ids.value(row).try_into().map_err(|_| wrong())?;
                if let Some(places) = wanted.get(&u128::from_be_bytes(id)) {
                    let ends = lists.value_offsets();
                    let vector = &values[ends[row] as usize..ends[row + 1] as usize];
                    loader.take(*places, vector)?;
                }
            }
            let rows = batch.num_rows() as u64;
            let counter = &phase.counters.rows;
            counter.fetch_add(rows, std::sync::atomic::Ordering::Relaxed);
        }
    }
    loader.finish(collected, texts)
}

/// Where the vector of each text goes: as a document, as a query.
type Places = (u32, u32);

fn wanted(collected: &Collected) -> Result<(HashMap<u128, Places>, usize)> {
    let mut wanted: HashMap<u128, Places> = HashMap::new();
    let mut buffer = Vec::new();
    let each = |store: &Store, buffer: &mut Vec<u8>, number: u32| -> Result<u128> {
        Ok(text_id(store.record(number, buffer)?.text))
    };
    for number in 0..collected.documents.len() as u32 {
        let id = each(&collected.documents, &mut buffer, number)?;
        wanted.insert(id, (number, NONE));
    }
    for number in 0..collected.queries.len() as u32 {
        let id = each(&collected.queries, &mut buffer, number)?;
        wanted.entry(id).or_insert((NONE, NONE)).1 = number;
    }
    let texts = wanted.len();
    Ok((wanted, texts))
}

struct Loader<'l> {
    job: &'l Job<'l>,
    dir: &'l Path,
    vectors: Vectors,
    found: Vec<bool>,
    /// Documents and queries.
    rows: (usize, usize),
}

impl Loader<'_> {
    fn take(&mut self, (document, query): Places, vector: &[f32]) -> Result<()> {
        if self.vectors.dimension == 0 {
            self.start(vector.len())?;
        }
        let dimension = self.vectors.dimension;
        let length = dot(vector, vector).sqrt();
        if vector.len() != dimension || !length.is_normal() {
            return Err(Error::Content {
                path: self.dir.into(),
                message: format!(
                    "a vector has {} numbers and the length {length}; expected {dimension} finite numbers, not all 0",
                    vector.len()
                ),
            });
        }
        let (documents, _) = self.rows;
        for (number, rows, first) in [
            (document, &mut self.vectors.documents, 0),
            (query, &mut self.vectors.queries, documents),
        ] {
            if number != NONE {
                let row = &mut rows[number as usize * dimension..][..dimension];
                row.iter_mut()
                    .zip(vector)
                    .for_each(|(to, from)| *to = from / length);
                self.found[first + number as usize] = true;
            }
        }
        Ok(())
    }

    fn start(&mut self, dimension: usize) -> Result<()> {
        let (documents, queries) = self.rows;
        // An index of its own may hold the documents once more.
        let bytes = ((documents * 2 + queries) * dimension * 4) as u64;
        let memory = self.job.table().memory;
        if bytes > memory.0 {
            return Err(Error::Resources(format!(
                "{}: [negatives] memory = {memory} is too small: {documents} documents and {queries} anchors of \
                 {dimension} numbers need {}; give more memory, or miner = \"bm25\"",
                self.job.plan.path.display(),
                Size(bytes)
            )));
        }
        self.vectors.dimension = dimension;
        self.vectors.documents = vec![0.0; documents * dimension];
        self.vectors.queries = vec![0.0; queries * dimension];
        Ok(())
    }

    fn finish(self, collected: &Collected, texts: usize) -> Result<Vectors> {
        let missing = self.found.iter().filter(|found| !**found).count();
        let Some(first) = self.found.iter().position(|found| !found) else {
            return Ok(self.vectors);
        };
        let mut buffer = Vec::new();
        let record = match first.checked_sub(self.rows.0) {
            None => collected.documents.record(first as u32, &mut buffer)?,
            Some(query) => collected.queries.record(query as u32, &mut buffer)?,
        };
        let start: String = record.text.chars().take(40).collect();
        Err(Error::Plan {
            path: self.job.plan.path.clone(),
            message: format!(
                "[negatives] embeddings: {missing} anchors and documents (of {texts} texts) have no vector in {}; the \
                 first is `{start}`; were the vectors made of these shards?",
                self.dir.display()
            ),
        })
    }
}
