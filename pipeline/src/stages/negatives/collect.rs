//! The collection: different anchors and documents, and the rows as numbers of these.
//!
//! Shards are read once, row group by row group. Texts go to scratch files as they come; only a
//! hash and a number stay in memory for each, about 60 bytes for each text and row together.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::record::Kind;
use juzi_schemas::rows_hash::RowsHash;
use juzi_schemas::shard::Groups;
use serde::{Deserialize, Serialize};

use super::prepare::{COLUMNS, Piece, Prepared, Terms, prepare};
use super::store::{Store, StoreWriter};
use crate::error::{Error, Result};
use crate::flow::in_order;
use crate::flow::progress::Phase;
use crate::plan::{Documents, Plan};
use crate::size::Size;
use crate::stages::RunOptions;

/// No number.
pub const NONE: u32 = u32::MAX;

const DOCUMENTS: &str = "collect/documents";
const QUERIES: &str = "collect/queries";
const ROWS: &str = "collect/rows";
const OWN: &str = "collect/own";
const FREQUENCIES: &str = "collect/frequencies";
/// Committed last: with it, the collection is whole.
const TWINS: &str = "collect/twins";

/// Memory for each text and row, and each term: hash tables at their fullest, starts, links.
const TEXT_BYTES: u64 = 48;
const ROW_BYTES: u64 = 36;
const TERM_BYTES: u64 = 32;

/// A row of split train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of its anchor among the queries.
    pub query: u32,
    /// Number of its positive among the documents.
    pub positive: u32,
    /// Number of its group, or [`NONE`].
    pub group: u32,
}

/// A file of the shards whose rows are mined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its name, which is also the name of the file made for it.
    pub name: String,
    /// Kind of its records.
    pub kind: Kind,
    /// Number of its first row among all rows of split train.
    pub start: usize,
    /// Its rows of split train.
    pub rows: usize,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gathered {
    /// Rows of other splits, which are not mined.
    pub others: u64,
    /// Different anchors.
    pub queries: usize,
    /// Different documents.
    pub documents: usize,
    /// Terms of all documents, each as often as it stands there.
    pub tokens: u64,
    /// Different groups.
    pub groups: usize,
    /// Pair and triplet files in their order.
    pub sources: Vec<Source>,
}

/// Everything that was collected.
pub struct Collected {
    /// Counts.
    pub gathered: Gathered,
    /// Texts that may be negatives.
    pub documents: Store,
    /// Anchors.
    pub queries: Store,
    /// Rows of split train, in the order of the shards.
    pub rows: Vec<Entry>,
    /// Row and document of each negative that a triplet has by itself, by row.
    pub own: Vec<(u32, u32)>,
    /// In how many documents each term stands.
    pub frequencies: Vec<u32>,
    /// For each query the document with the same text.
    pub twins: Vec<u32>,
}

impl Collected {
    /// The negatives that a row has by itself.
    pub fn own_of(&self, row: usize) -> &[(u32, u32)] {
        let row = row as u32;
        let start = self.own.partition_point(|(other, _)| *other < row);
        let length = self.own[start..].partition_point(|(other, _)| *other == row);
        &self.own[start..start + length]
    }
}

/// Collects, or finds collected.
///
/// # Errors
/// A shard cannot be read; the tables do not fit into `memory`; the disk; an interruption.
pub fn run(
    plan: &Plan,
    options: &RunOptions,
    writer: &DatasetWriter,
    shards: &(PathBuf, Manifest),
) -> Result<Collected> {
    let gathered = match writer.committed(TWINS) {
        Some(entry) => serde_json::from_value(entry.note).expect("the journal's lines are checked"),
        None => gather(plan, options, writer, shards)?,
    };
    load(plan, writer, gathered)
}

/// Bytes of a mined file's table that are read back.
fn load(plan: &Plan, writer: &DatasetWriter, gathered: Gathered) -> Result<Collected> {
    let table = &plan.negatives.as_ref().expect("the stage runs").options;
    let path = |name: &str| writer.dir().join(name);
    let numbers = |name: &str| -> Result<Vec<u32>> {
        let bytes = std::fs::read(path(name)).map_err(Error::input(path(name)))?;
        let fours = bytes.as_chunks::<4>().0.iter();
        Ok(fours.map(|bytes| u32::from_le_bytes(*bytes)).collect())
    };
    let rows = numbers(ROWS)?;
    let rows = rows.as_chunks::<3>().0.iter();
    let entry = |&[query, positive, group]: &[u32; 3]| Entry {
        query,
        positive,
        group,
    };
    let own = numbers(OWN)?;
    let own = own.as_chunks::<2>().0.iter();
    let held_max = table.memory.0 / 8;
    Ok(Collected {
        documents: Store::open(&path(DOCUMENTS), held_max)?,
        queries: Store::open(&path(QUERIES), held_max)?,
        rows: rows.map(entry).collect(),
        own: own.map(|&[row, document]| (row, document)).collect(),
        frequencies: numbers(FREQUENCIES)?,
        twins: numbers(TWINS)?,
        gathered,
    })
}

/// A hash table whose keys are hashes already.
type Numbers = HashMap<u64, u32, BuildHasherDefault<Plain>>;

/// Takes a hash as it is.
#[derive(Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("keys are single words")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A row group of a file.
struct Unit {
    file: usize,
    group: usize,
}

fn gather(
    plan: &Plan,
    options: &RunOptions,
    writer: &DatasetWriter,
    (dir, manifest): &(PathBuf, Manifest),
) -> Result<Gathered> {
    let table = &plan.negatives.as_ref().expect("the stage runs").options;
    let terms = match (table.uses_words(), plan.shards.words) {
        (false, _) => Terms::None,
        (true, true) => Terms::Words,
        (true, false) => Terms::Bigrams,
    };
    let texts = table.documents.contains(&Documents::Texts);
    let mut files = Vec::new();
    for file in manifest.files_of(Table::Rows) {
        let kind = file.kind.expect("files of rows have a kind");
        if matches!(kind, Kind::Pair | Kind::Triplet) || (texts && kind == Kind::Text) {
            files.push((file, kind, Groups::open(&dir.join(&file.name), None)?));
        }
    }
    let units: Vec<Unit> = files
        .iter()
        .enumerate()
        .flat_map(|(file, (_, _, groups))| (0..groups.len()).map(move |group| Unit { file, group }))
        .collect();
    let total = files.iter().map(|(file, ..)| file.rows).sum();
    let phase = Phase::of_rows("collect", total, options.quiet);
    let next = AtomicUsize::new(0);
    let mut gatherer = Gatherer::new(plan, writer)?;
    in_order::run(
        options.threads,
        "collect",
        &options.resume,
        || (),
        |()| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(unit) = units.get(number) else {
                return Ok(None);
            };
            let (file, kind, groups) = &files[unit.file];
            let batch = groups.read(unit.group, Some(&COLUMNS))?;
            let prepared = prepare(&batch, *kind, terms, &dir.join(&file.name))?;
            let rows = batch.num_rows() as u64;
            Ok(Some((number as u64, (unit.file, rows, prepared))))
        },
        |(file, rows, prepared)| {
            let (file, kind, _) = &files[file];
            gatherer.take(&file.name, *kind, &prepared)?;
            phase.counters.rows.fetch_add(rows, Ordering::Relaxed);
            Ok(())
        },
    )?;
    gatherer.commit(writer)
}

/// Gives texts their numbers, in the order in which they come.
struct Gatherer<'g> {
    plan: &'g Plan,
    gathered: Gathered,
    queries: (Numbers, StoreWriter),
    documents: (Numbers, StoreWriter),
    groups: Numbers,
    terms: Numbers,
    frequencies: Vec<u32>,
    rows: Vec<u32>,
    own: Vec<u32>,
    numbers: Vec<u32>,
}

impl<'g> Gatherer<'g> {
    fn new(plan: &'g Plan, writer: &DatasetWriter) -> Result<Gatherer<'g>> {
        Ok(Gatherer {
            plan,
            gathered: Gathered::default(),
            queries: (Numbers::default(), StoreWriter::new(writer, QUERIES)?),
            documents: (Numbers::default(), StoreWriter::new(writer, DOCUMENTS)?),
            groups: Numbers::default(),
            terms: Numbers::default(),
            frequencies: Vec::new(),
            rows: Vec::new(),
            own: Vec::new(),
            numbers: Vec::new(),
        })
    }

    fn wants(&self, documents: Documents) -> bool {
        let table = self.plan.negatives.as_ref().expect("the stage runs");
        table.options.documents.contains(&documents)
    }

    fn take(&mut self, name: &str, kind: Kind, prepared: &Prepared) -> Result<()> {
        let mut at = 0;
        if kind != Kind::Text {
            self.gathered.others += prepared.others;
            let start = self.rows.len() / 3;
            let sources = &mut self.gathered.sources;
            if sources.last().is_none_or(|last| last.name != name) {
                sources.push(Source {
                    name: name.into(),
                    kind,
                    start,
                    rows: 0,
                });
            }
            let last = sources.last_mut().expect("one was pushed");
            last.rows += prepared.rows.len();
        }
        for &(texts, group) in &prepared.rows {
            let end = at + texts as usize;
            match kind {
                Kind::Text => drop(self.document(&prepared.piece(at))?),
                _ => self.row(prepared, at..end, group)?,
            }
            at = end;
        }
        self.check_memory()
    }

    fn row(
        &mut self,
        prepared: &Prepared,
        texts: std::ops::Range<usize>,
        group: Option<u64>,
    ) -> Result<()> {
        let row = (self.rows.len() / 3) as u32;
        let anchor = prepared.piece(texts.start);
        let query = self.query(&anchor)?;
        if self.wants(Documents::Anchors) {
            self.document(&anchor)?;
        }
        // The positive is needed to say what is right, even where it is not to be found.
        let positive = self.document(&prepared.piece(texts.start + 1))?;
        for at in texts.start + 2..texts.end {
            let document = self.document(&prepared.piece(at))?;
            self.own.extend([row, document]);
        }
        let next = self.groups.len() as u32;
        let group = group.map_or(NONE, |group| *self.groups.entry(group).or_insert(next));
        self.rows.extend([query, positive, group]);
        Ok(())
    }

    fn query(&mut self, piece: &Piece<'_>) -> Result<u32> {
        let next = self.queries.0.len() as u32;
        let number = *self.queries.0.entry(piece.key).or_insert(next);
        if number == next {
            self.number(piece.terms);
            let numbers = &self.numbers;
            self.queries.1.push(piece.text, piece.lengths, numbers)?;
        }
        Ok(number)
    }

    fn document(&mut self, piece: &Piece<'_>) -> Result<u32> {
        let next = self.documents.0.len() as u32;
        let number = *self.documents.0.entry(piece.key).or_insert(next);
        if number == next {
            self.number(piece.terms);
            let numbers = &self.numbers;
            self.gathered.tokens += numbers.len() as u64;
            for same in numbers.chunk_by(|a, b| a == b) {
                self.frequencies[same[0] as usize] += 1;
            }
            self.documents.1.push(piece.text, piece.lengths, numbers)?;
        }
        Ok(number)
    }

    /// Numbers of terms, sorted, into `numbers`.
    fn number(&mut self, terms: &[u64]) {
        self.numbers.clear();
        for &term in terms {
            let next = self.terms.len() as u32;
            let number = *self.terms.entry(term).or_insert(next);
            if number == next {
                self.frequencies.push(0);
            }
            self.numbers.push(number);
        }
        self.numbers.sort_unstable();
    }

    fn check_memory(&self) -> Result<()> {
        let table = &self
            .plan
            .negatives
            .as_ref()
            .expect("the stage runs")
            .options;
        let texts = (self.queries.0.len() + self.documents.0.len()) as u64;
        let (rows, terms) = (self.rows.len() as u64 / 3, self.terms.len() as u64);
        let bytes = texts * TEXT_BYTES + rows * ROW_BYTES + terms * TERM_BYTES;
        if bytes <= table.memory.0 / 2 {
            return Ok(());
        }
        Err(Error::Resources(format!(
            "{}: [negatives] memory = {} is too small: the tables of {texts} texts, {rows} rows and {terms} terms so \
             far need {}, and as much must be left for the search; give more memory, or fewer documents",
            self.plan.path.display(),
            table.memory,
            Size(bytes)
        )))
    }

    fn commit(mut self, writer: &DatasetWriter) -> Result<Gathered> {
        self.gathered.queries = self.queries.0.len();
        self.gathered.documents = self.documents.0.len();
        self.gathered.groups = self.groups.len();
        let mut twins = vec![NONE; self.gathered.queries];
        // A hash table has no order, but each place is written once.
        for (key, query) in &self.queries.0 {
            if let Some(document) = self.documents.0.get(key) {
                twins[*query as usize] = *document;
            }
        }
        self.queries.1.commit(writer)?;
        self.documents.1.commit(writer)?;
        for (name, numbers) in [
            (ROWS, &self.rows),
            (OWN, &self.own),
            (FREQUENCIES, &self.frequencies),
        ] {
            keep(writer, name, numbers, serde_json::Value::Null)?;
        }
        let note = serde_json::to_value(&self.gathered).expect("plain numbers have a JSON form");
        keep(writer, TWINS, &twins, note)?;
        Ok(self.gathered)
    }
}

/// Commits numbers as a scratch file.
///
/// # Errors
/// The disk.
pub fn keep(
    writer: &DatasetWriter,
    name: &str,
    numbers: &[u32],
    note: serde_json::Value,
) -> Result<()> {
    let mut file = writer.create(name)?;
    let failed = |error| juzi_schemas::Error::io(writer.dir().join(name))(error);
    for numbers in numbers.chunks(1 << 18) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        file.write_all(&bytes).map_err(failed)?;
    }
    writer.commit(file, Durability::Scratch, RowsHash::default(), note)?;
    Ok(())
}
