//! The inputs: shards with their topics and negatives, cut into units of one row group each.

use std::path::{Path, PathBuf};

use arrow::array::{AsArray, FixedSizeBinaryArray};
use arrow::datatypes::{UInt8Type, UInt16Type};
use arrow::record_batch::RecordBatch;
use juzi_schemas::manifest::{File, Manifest, Table};
use juzi_schemas::record::{Kind, Layout};
use juzi_schemas::shard::Groups;

use super::NAME;
use super::known::KnownPositives;
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::flow::workers::{Team, chunks};
use crate::plan::{BatchKind, BatchesOptions, Plan};
use crate::stages::{RunOptions, dataset_of, negatives, shards, topics};

/// A file of shards, with what stands beside it.
pub struct Source {
    /// Its name.
    pub name: String,
    /// Shape of its rows.
    pub layout: Layout,
    /// Where it is.
    pub path: PathBuf,
    /// Topics of its rows.
    pub topics: Option<PathBuf>,
    /// Mined negatives of the rows that were kept.
    pub negatives: Option<PathBuf>,
    rows: u64,
}

/// A row group of shards.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its file, as a place in [`Inputs::sources`].
    pub source: usize,
    /// Its number in the file.
    pub group: usize,
    /// Rows of the file before it.
    pub first_row: u64,
    /// Rows of the file of negatives before its own.
    pub first_mined: u64,
    /// Decoded bytes.
    pub bytes: u64,
    /// Rows that are wanted, by corpus.
    pub counts: Vec<u64>,
    /// Rows that are wanted of all units before it, by corpus.
    pub before: Vec<u64>,
}

/// Everything that batches are made of.
pub struct Inputs {
    /// What is taken from the shards.
    pub kind: BatchKind,
    /// Names of the corpora.
    pub corpora: Vec<String>,
    /// Whether rows have words.
    pub words: bool,
    /// Files.
    pub sources: Vec<Source>,
    /// Row groups, those of several kinds interleaved.
    pub units: Vec<Unit>,
    /// Rows that are wanted, by corpus.
    pub counts: Vec<u64>,
    /// The dataset `topics`, if the plan makes one.
    pub topics: Option<(PathBuf, Manifest)>,
    /// Positives of anchors and groups that have several.
    pub known: KnownPositives,
}

impl Inputs {
    /// Whether a miner found negatives, with scores.
    pub fn mined(&self) -> bool {
        self.sources.iter().any(|source| source.negatives.is_some())
    }

    /// Opens the datasets and counts the rows that are wanted.
    ///
    /// # Errors
    /// A dataset is missing or does not fit the others; an interruption.
    pub fn open(plan: &Plan, table: &BatchesOptions, options: &RunOptions) -> Result<Inputs> {
        let kind = super::kind_of(plan, table);
        let open = |earlier, identity: crate::stages::Identity| {
            dataset_of(plan, options, NAME, earlier, &identity)
        };
        let (dir, manifest) = open(shards::NAME, shards::identity(plan, options)?)?;
        let topics = match plan.topics {
            Some(_) => Some(open(topics::NAME, topics::identity(plan, options)?)?),
            None => None,
        };
        let mined = match super::uses_negatives(plan, table) {
            true => Some(open(negatives::NAME, negatives::identity(plan, options)?)?),
            false => None,
        };
        let corpora = plan.corpus_names();
        let mut sources = Vec::new();
        for file in manifest.files_of(Table::Rows) {
            let Some(own) = file.kind.filter(|own| kind.records().contains(own)) else {
                continue;
            };
            let beside = |dataset: &Option<(PathBuf, Manifest)>| match dataset {
                None => Ok(None),
                Some((dir, manifest)) => beside(dir, manifest, file).map(Some),
            };
            let layout = Layout {
                kind: own,
                words: plan.shards.words,
                corpora: corpora.clone(),
            };
            sources.push(Source {
                name: file.name.clone(),
                layout,
                path: dir.join(&file.name),
                topics: beside(&topics)?,
                negatives: beside(&mined)?,
                rows: file.rows,
            });
        }
        let units = count(&sources, &corpora, table, options)?;
        let wanted = (&corpora[..], table.split.name());
        let team = Team {
            threads: options.threads,
            name: "known",
            resume: &options.resume,
            done: None,
        };
        let known = KnownPositives::read(&sources, &units, wanted, options.memory_bytes, &team)?;
        let mut inputs = Inputs {
            kind,
            counts: vec![0; corpora.len()],
            corpora,
            words: plan.shards.words,
            units: interleave(&sources, units),
            sources,
            topics,
            known,
        };
        for unit in &mut inputs.units {
            unit.before = inputs.counts.clone();
            let counts = inputs.counts.iter_mut().zip(&unit.counts);
            counts.for_each(|(all, own)| *all += own);
        }
        Ok(inputs)
    }

    /// Records that are wanted.
    pub fn records(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The file of another dataset that belongs to a file of shards: the one of its name.
fn beside(dir: &Path, manifest: &Manifest, file: &File) -> Result<PathBuf> {
    let mut files = manifest.files_of(Table::Rows);
    match files.find(|other| other.name == file.name) {
        Some(other) => Ok(dir.join(&other.name)),
        None => Err(Error::Content {
            path: dir.into(),
            message: format!("no file {} as the shards have; make it again", file.name),
        }),
    }
}

/// Units of every file, counted in parallel.
fn count(
    sources: &[Source],
    corpora: &[String],
    table: &BatchesOptions,
    options: &RunOptions,
) -> Result<Vec<Unit>> {
    let total = sources.iter().map(|source| source.rows).sum();
    let phase = Phase::of_rows("count", total, options.quiet);
    let team = Team {
        threads: options.threads,
        name: "count",
        resume: &options.resume,
        done: None,
    };
    let units = chunks(&team, sources.len(), 1, |range| {
        let source = &sources[range.start];
        let units = units(source, range.start, corpora, table.split.name())?;
        let rows = &phase.counters.rows;
        rows.fetch_add(source.rows, std::sync::atomic::Ordering::Relaxed);
        Ok(units)
    })?;
    Ok(units.into_iter().flatten().collect())
}

fn units(source: &Source, number: usize, corpora: &[String], split: &str) -> Result<Vec<Unit>> {
    let groups = Groups::open(&source.path, Some(source.layout.schema_in_memory().into()))?;
    let mut mined = match &source.negatives {
        Some(path) => Some(Mined::open(path)?),
        None => None,
    };
    let columns: &[&str] = match mined {
        Some(_) => &["id", "corpus", "split"],
        None => &["corpus", "split"],
    };
    let (mut units, mut first_row) = (Vec::new(), 0);
    for group in 0..groups.len() {
        let mut unit = Unit {
            source: number,
            group,
            first_row,
            first_mined: mined.as_ref().map_or(0, |mined| mined.at),
            bytes: groups.bytes(group),
            counts: vec![0; corpora.len()],
            before: Vec::new(),
        };
        if groups.rows(group) > 0 {
            let batch = groups.read(group, Some(columns))?;
            let chosen = Chosen::of(&batch, corpora, split, &source.path)?;
            for row in 0..batch.num_rows() {
                if let Some(corpus) = chosen.corpus(row)
                    && match &mut mined {
                        None => true,
                        Some(mined) => mined.advance(id(&batch, row))?,
                    }
                {
                    unit.counts[usize::from(corpus)] += 1;
                }
            }
        }
        first_row += groups.rows(group) as u64;
        units.push(unit);
    }
    match mined {
        Some(mined) => mined.finish().map(|()| units),
        None => Ok(units),
    }
}

/// The id of a row.
pub fn id(batch: &RecordBatch, row: usize) -> u128 {
    let ids = batch
        .column_by_name("id")
        .expect("the column was asked for");
    id_at(ids.as_fixed_size_binary(), row)
}

/// The id at a place of a column of ids.
pub fn id_at(ids: &FixedSizeBinaryArray, row: usize) -> u128 {
    u128::from_be_bytes(ids.value(row).try_into().expect("an id has sixteen bytes"))
}

/// Which rows of a batch are wanted, by corpus.
pub struct Chosen {
    corpora: Vec<Option<u16>>,
    corpus_keys: Vec<u16>,
    splits: Vec<bool>,
    split_keys: Vec<u8>,
}

impl Chosen {
    /// Looks the corpora and the split up, once for each of their names.
    ///
    /// # Errors
    /// A corpus that the plan does not have.
    pub fn of(
        batch: &RecordBatch,
        corpora: &[String],
        split: &str,
        place: &Path,
    ) -> Result<Chosen> {
        let column = |name| {
            batch
                .column_by_name(name)
                .expect("the column was asked for")
        };
        let (names, splits) = (
            column("corpus").as_dictionary::<UInt16Type>(),
            column("split").as_dictionary::<UInt8Type>(),
        );
        let find = |name: Option<&str>| {
            let at = corpora
                .iter()
                .position(|corpus| Some(corpus.as_str()) == name);
            at.map(|at| at as u16)
        };
        let values = names.values().as_string::<i32>();
        let chosen = Chosen {
            corpora: values.iter().map(find).collect(),
            corpus_keys: names.keys().values().to_vec(),
            splits: splits
                .values()
                .as_string::<i32>()
                .iter()
                .map(|name| name == Some(split))
                .collect(),
            split_keys: splits.keys().values().to_vec(),
        };
        match chosen.corpora.iter().position(Option::is_none) {
            None => Ok(chosen),
            Some(at) => Err(Error::Content {
                path: place.into(),
                message: format!("the plan has no corpus `{}`", values.value(at)),
            }),
        }
    }

    /// The corpus of a row that is wanted.
    #[inline]
    pub fn corpus(&self, row: usize) -> Option<u16> {
        match self.splits[usize::from(self.split_keys[row])] {
            true => self.corpora[usize::from(self.corpus_keys[row])],
            false => None,
        }
    }
}

/// Ids of a file of negatives, walked along those of the shards.
struct Mined {
    path: PathBuf,
    groups: Groups,
    group: usize,
    ids: Option<RecordBatch>,
    row: usize,
    at: u64,
}

impl Mined {
    fn open(path: &Path) -> Result<Mined> {
        Ok(Mined {
            path: path.into(),
            groups: Groups::open(path, None)?,
            group: 0,
            ids: None,
            row: 0,
            at: 0,
        })
    }

    /// Reads on until there is a next id, or the end.
    fn next(&mut self) -> Result<Option<u128>> {
        loop {
            match &self.ids {
                Some(ids) if self.row < ids.num_rows() => return Ok(Some(id(ids, self.row))),
                _ if self.group == self.groups.len() => return Ok(None),
                _ => {
                    let rows = self.groups.rows(self.group);
                    self.ids = match rows {
                        0 => None,
                        _ => Some(self.groups.read(self.group, Some(&["id"]))?),
                    };
                    (self.group, self.row) = (self.group + 1, 0);
                }
            }
        }
    }

    /// Whether the next row is that of an id; goes on to the one after it then.
    fn advance(&mut self, id: u128) -> Result<bool> {
        let same = self.next()? == Some(id);
        self.row += usize::from(same);
        self.at += u64::from(same);
        Ok(same)
    }

    fn finish(mut self) -> Result<()> {
        match self.next()? {
            None => Ok(()),
            Some(id) => Err(Error::Content {
                path: self.path,
                message: format!(
                    "row {}: id {id:032x} is not where it is in the shards",
                    self.at
                ),
            }),
        }
    }
}

/// Units in the order of the places of their rows in their kind: any run of them has its share of
/// each kind.
fn interleave(sources: &[Source], units: Vec<Unit>) -> Vec<Unit> {
    let total = |kind: Kind| {
        let of_kind = sources.iter().filter(|source| source.layout.kind == kind);
        of_kind.map(|source| source.rows).sum::<u64>().max(1)
    };
    let mut before = vec![0; sources.len()];
    for at in 0..sources.len() {
        let earlier = sources[..at]
            .iter()
            .filter(|source| source.layout.kind == sources[at].layout.kind);
        before[at] = earlier.map(|source| source.rows).sum();
    }
    let mut placed: Vec<(u128, Unit)> = units
        .into_iter()
        .map(|unit| {
            let place = u128::from(before[unit.source] + unit.first_row) << 64;
            let total = total(sources[unit.source].layout.kind);
            (place / u128::from(total), unit)
        })
        .collect();
    placed.sort_by_key(|(place, unit)| (*place, unit.source, unit.group));
    placed.into_iter().map(|(_, unit)| unit).collect()
}

/// Runs of units whose text is about `window_bytes`, evenly. Later passes begin with a part of a
/// window, so that their borders lie elsewhere.
pub fn windows(units: &[Unit], window_bytes: u64, pass: u32) -> Vec<std::ops::Range<usize>> {
    let total: u64 = units.iter().map(|unit| unit.bytes).sum();
    let even = total.div_ceil(total.div_ceil(window_bytes).max(1)).max(1);
    let part = f64::from(pass.reverse_bits()) / 2f64.powi(32);
    let mut limit = even - (even as f64 * part) as u64;
    let (mut windows, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, unit) in units.iter().enumerate() {
        bytes += unit.bytes;
        // A single window has no borders that could be moved.
        if bytes >= limit && even < total && at + 1 < units.len() {
            windows.push(start..at + 1);
            (start, limit) = (at + 1, limit + even);
        }
    }
    windows.push(start..units.len());
    windows
}

#[cfg(test)]
mod tests {
    use super::{Unit, windows};

    fn units(sizes: &[u64]) -> Vec<Unit> {
        let unit = |(group, &bytes): (usize, &u64)| Unit {
            source: 0,
            group,
            first_row: 0,
            first_mined: 0,
            bytes,
            counts: Vec::new(),
            before: Vec::new(),
        };
        sizes.iter().enumerate().map(unit).collect()
    }

    #[test]
    fn windows_cover_all_units_evenly() {
        let units = units(&[10; 100]);
        for (bytes, pass, count) in [
            (10_000, 0, 1),
            (10_000, 1, 1),
            (250, 0, 4),
            (250, 1, 5),
            (300, 0, 4),
            (1, 0, 100),
        ] {
            let windows = windows(&units, bytes, pass);
            assert_eq!(windows.len(), count, "{bytes} {pass}");
            let covered: Vec<usize> = windows.iter().cloned().flatten().collect();
            assert_eq!(covered, (0..100).collect::<Vec<_>>());
            assert!(
                windows
                    .iter()
                    .all(|window| window.len() as u64 * 10 <= bytes.max(10))
            );
        }
        let borders = |pass| {
            windows(&units, 250, pass)
                .iter()
                .map(|w| w.end)
                .collect::<Vec<_>>()
        };
        assert_eq!(borders(0), [25, 50, 75, 100]);
        assert_eq!(borders(1), [13, 38, 63, 88, 100]);
        assert_ne!(borders(2), borders(3));
    }
}
