//! All spill files of a run, and the slices of them that make a shard.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use juzi_schemas::dropped::Dropped;
use juzi_schemas::random::Order;
use juzi_schemas::record::Split;
use xxhash_rust::xxh3::xxh3_64;

use super::spill::{INDEX_BYTES, PARTITIONS, SpillDrop, TABLES, UnitNote};
use crate::error::{Error, Result};
use crate::inputs::Input;

/// One spill file as the merge sees it.
pub struct Unit {
    /// Where it lies.
    pub path: PathBuf,
    /// What the journal says of it.
    pub note: UnitNote,
    /// Line of the block's first line in its file or member, from 0.
    pub line: u64,
}

/// All spill files and what names their rows.
pub struct Spills<'p> {
    /// The files, sorted by unit.
    pub units: Vec<Unit>,
    /// The plan's inputs.
    pub inputs: &'p [Input],
    /// Names of the corpora.
    pub corpora: Vec<String>,
    /// The global order.
    pub order: Order,
}

/// One shard to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Table that it belongs to.
    pub table: usize,
    /// Its first partition and the one after its last.
    pub partitions: (usize, usize),
}

impl Spills<'_> {
    /// Cuts every table into shards of about `shard_bytes`.
    pub fn tasks(&self, shard_bytes: u64) -> Vec<Task> {
        let mut tasks = Vec::new();
        for table in 0..TABLES {
            let bytes: u64 = self
                .units
                .iter()
                .map(|unit| unit.note.table_bytes[table])
                .sum();
            let shards = (bytes.div_ceil(shard_bytes.max(1)) as usize).min(PARTITIONS);
            let edge = |shard: usize| shard * PARTITIONS / shards;
            tasks.extend((0..shards).map(|shard| Task {
                table,
                partitions: (edge(shard), edge(shard + 1)),
            }));
        }
        tasks
    }

    /// Bytes that a task reads.
    ///
    /// # Errors
    /// A spill file cannot be read.
    pub fn task_bytes(&self, task: Task) -> Result<u64> {
        let mut bytes = 0;
        for unit in self
            .units
            .iter()
            .filter(|unit| unit.note.table_bytes[task.table] > 0)
        {
            bytes += Slice::find(unit, task)
                .map_err(Error::input(&unit.path))?
                .bytes();
        }
        Ok(bytes)
    }

    /// Reads a task's slice of every spill file; `mark` learns where each unit's slice starts.
    pub fn load(
        &self,
        task: Task,
        bytes: &mut Vec<u8>,
        mut mark: impl FnMut(u32, usize),
    ) -> Result<()> {
        bytes.clear();
        for (number, unit) in self.units.iter().enumerate() {
            if unit.note.table_bytes[task.table] == 0 {
                continue;
            }
            let slice = Slice::find(unit, task).map_err(Error::input(&unit.path))?;
            if slice.bytes() > 0 {
                let at = bytes.len();
                bytes.resize(at + slice.bytes() as usize, 0);
                slice.read(&unit.path, &mut bytes[at..])?;
                mark(number as u32, at);
            }
        }
        Ok(())
    }

    /// Split of a unit.
    pub fn split(&self, unit: u32) -> Split {
        self.inputs[self.units[unit as usize].note.input].split
    }

    /// Corpus of a unit.
    pub fn corpus(&self, unit: u32) -> u16 {
        self.inputs[self.units[unit as usize].note.input].corpus
    }

    /// The ledger row of something in a unit.
    pub fn dropped<'a>(&'a self, unit: u32, drop: &SpillDrop<'a>) -> Dropped<'a> {
        let unit = &self.units[unit as usize];
        let input = &self.inputs[unit.note.input];
        Dropped {
            reason: drop.reason,
            corpus: &self.corpora[usize::from(input.corpus)],
            split: input.split.name(),
            file: &input.name,
            member: unit.note.member.as_deref(),
            offset: unit.note.offset + drop.offset,
            line: drop.line.map(|line| unit.line + line + 1),
            keeper: drop.keeper,
            detail: drop.detail,
        }
    }
}

/// The bytes of a task in a unit's file.
struct Slice {
    file: File,
    start: u64,
    /// Where each partition starts and the last one ends, from the start of the table.
    offsets: Vec<u32>,
    hashes: Vec<u64>,
}

impl Slice {
    /// Looks the task up in the index at the end of the file.
    fn find(unit: &Unit, task: Task) -> std::io::Result<Slice> {
        let file = File::open(&unit.path)?;
        let table_bytes = &unit.note.table_bytes;
        let start: u64 = table_bytes[..task.table].iter().sum();
        let before = table_bytes[..task.table]
            .iter()
            .filter(|&&bytes| bytes > 0)
            .count();
        let index = table_bytes.iter().sum::<u64>() + (before * INDEX_BYTES) as u64;
        let (first, last) = task.partitions;
        let mut bytes = vec![0; (last - first + 1) * 4];
        file.read_exact_at(&mut bytes, index + first as u64 * 4)?;
        let offsets = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|four| u32::from_le_bytes(*four))
            .collect();
        bytes.resize((last - first) * 8, 0);
        file.read_exact_at(
            &mut bytes,
            index + ((PARTITIONS + 1) * 4 + first * 8) as u64,
        )?;
        let hashes = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|eight| u64::from_le_bytes(*eight))
            .collect();
        Ok(Slice {
            file,
            start,
            offsets,
            hashes,
        })
    }

    fn bytes(&self) -> u64 {
        u64::from(self.offsets[self.offsets.len() - 1].saturating_sub(self.offsets[0]))
    }

    /// Reads the slice and compares every partition with its hash.
    fn read(&self, path: &Path, out: &mut [u8]) -> Result<()> {
        let first = self.offsets[0];
        self.file
            .read_exact_at(out, self.start + u64::from(first))
            .map_err(Error::input(path))?;
        for (ends, hash) in self.offsets.windows(2).zip(&self.hashes) {
            let partition =
                out.get((ends[0] - first) as usize..(ends[1].wrapping_sub(first)) as usize);
            if partition.is_none_or(|partition| xxh3_64(partition) != *hash) {
                return Err(Error::Dataset(juzi_schemas::Error::Damaged {
                    path: path.into(),
                    what: "hash of a partition",
                    found: "another".into(),
                    expected: format!("{hash:016x}; delete the file and run the stage again"),
                }));
            }
        }
        Ok(())
    }
}
