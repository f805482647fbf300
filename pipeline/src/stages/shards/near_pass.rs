//! The near-duplicate pass: band keys of every record on disk, grouped, resolved, and handed to the
//! shards. Both steps are committed file by file, and neither holds more than its part in memory.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::journal::Entry;
use juzi_schemas::random::{Order, fold};
use juzi_schemas::record::Kind;
use juzi_schemas::rows_hash::RowsHash;
use serde::{Deserialize, Serialize};

use super::merge::MergeWorker;
use super::near::{self, BandEntry, Partitions, Rank};
use super::shard_pass::Keepers;
use super::slices::{Spills, Task};
use super::spill::{PARTITIONS, partition};
use crate::error::Result;
use crate::flow::progress::Phase;
use crate::flow::workers;
use crate::plan::{Plan, Profile};
use crate::stages::RunOptions;
use crate::text::minhash::{MinHashScratch, MinHasher, s_curve_table};

/// Groups of dropped records by place; a shard reads the groups that it overlaps.
const GROUPS: usize = 256;

/// Tables that are looked at: a pair is not near another because its longer text is, and its
/// texts are not compared apart.
const NEAR_TABLES: [usize; 2] = [Kind::Text as usize, Kind::Labelled as usize];

/// Seed of the hash functions.
const MINHASH_SEED: u64 = 1;

/// Bytes of band keys that are resolved at once.
const RESOLVED_BYTES: u64 = 64 << 20;

/// Bytes of band keys that a worker holds before it writes.
const BUFFERED_BYTES: usize = 16 << 20;

/// What the pass leaves.
pub struct Near {
    order: Order,
    drops: Vec<Entry>,
    /// For the report.
    pub notes: Vec<String>,
}

/// What the journal remembers of a file of blocks: which partition each block belongs to.
#[derive(Default, Serialize, Deserialize)]
struct Blocks {
    blocks: Vec<(usize, u64)>,
    records: u64,
}

/// Finds near duplicates among what exact duplicates leave, when the plan asks for it.
///
/// # Errors
/// Disk; an interruption.
pub fn run(
    plan: &Plan,
    options: &RunOptions,
    threads: usize,
    writer: &DatasetWriter,
    spills: &Spills<'_>,
) -> Result<Near> {
    let mut near = Near {
        order: spills.order,
        drops: Vec::new(),
        notes: Vec::new(),
    };
    let settings = &plan.shards.near_duplicates;
    if !settings.enabled {
        return Ok(near);
    }
    let tasks: Vec<Task> = spills
        .tasks(plan.shards.shard_bytes.0)
        .into_iter()
        .filter(|task| NEAR_TABLES.contains(&task.table))
        .collect();
    let bytes: u64 = spills
        .units
        .iter()
        .flat_map(|unit| NEAR_TABLES.map(|table| unit.note.table_bytes[table]))
        .sum();
    // Records are at least some sixty bytes long, so this bounds the keys.
    let state = near::state_bytes(bytes / 60, settings.bands);
    let partitions = (state.div_ceil(RESOLVED_BYTES) as usize).clamp(1, PARTITIONS);
    // The plan's seed orders rows; which rows there are must not depend on it.
    let hasher = MinHasher::new(settings, MINHASH_SEED);
    let phase = Phase::start("near", bytes, options.quiet);
    let name = |number: usize| format!("near/bands-{number:05}");
    each(threads, tasks.len(), options, |number| {
        if writer.committed(&name(number)).is_none() {
            write_bands(
                plan.shards.profile,
                spills,
                tasks[number],
                &hasher,
                partitions,
                writer,
                &name(number),
            )?;
        }
        phase
            .counters
            .bytes
            .fetch_add(spills.task_bytes(tasks[number])?, Ordering::Relaxed);
        Ok(())
    })?;
    let bands = writer.committed_under("near/bands-");
    let name = |number: usize| format!("near/drops-{number:05}");
    each(threads, partitions, options, |number| {
        match writer.committed(&name(number)) {
            Some(_) => Ok(()),
            None => write_drops(spills, &bands, number, writer, &name(number)),
        }
    })?;
    near.drops = writer.committed_under("near/drops-");
    let records: u64 = bands.iter().map(|entry| blocks(entry).records).sum();
    let state: u64 = bands.iter().map(|entry| entry.bytes).sum();
    near.notes.push(format!(
        "near duplicates: {records} records had {} bands of {} rows, {} on disk; probability that two texts of a \
         given similarity meet:\n{}",
        settings.bands,
        settings.rows,
        crate::size::Size(state),
        s_curve_table(settings.bands, settings.rows)
    ));
    Ok(near)
}

/// Runs `work` for each number below `count`.
fn each(
    threads: usize,
    count: usize,
    options: &RunOptions,
    work: impl Fn(usize) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    workers::run(threads, "near", &options.resume, |stop| {
        while !stop.stopped() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            work(number)?;
        }
        Ok(())
    })
}

fn write_bands(
    profile: Profile,
    spills: &Spills<'_>,
    task: Task,
    hasher: &MinHasher,
    partitions: usize,
    writer: &DatasetWriter,
    name: &str,
) -> Result<()> {
    let mut file = writer.create(name)?;
    let mut note = Blocks::default();
    let mut records = 0;
    let write = |partition: usize, bytes: &[u8]| {
        note.blocks.push((partition, bytes.len() as u64));
        file.write_all(bytes)
    };
    let mut sorted = Partitions::new(partitions, BUFFERED_BYTES, write);
    let (mut keys, mut scratch, mut failed) = (Vec::new(), MinHashScratch::default(), None);
    // Records of different kinds are never each other's duplicates.
    let kind_key = fold(task.table as u64 + 1, 0x9e37_79b9_7f4a_7c15);
    MergeWorker::new(profile).survivors(spills, task, |id, split, texts| {
        keys.clear();
        if failed.is_some() || !hasher.bands(texts, &mut keys, &mut scratch) {
            return;
        }
        records += 1;
        let rank = Rank {
            split: split as u8,
            id,
        };
        for key in &keys {
            let entry = BandEntry {
                key: key ^ kind_key,
                rank,
            };
            let partition = near::partition_of_key(entry.key, partitions);
            failed = failed
                .take()
                .or(sorted.push(partition, &near::encode(&entry)).err());
        }
    })?;
    let finished = failed.map_or(Ok(()), Err).and_then(|()| sorted.finish());
    finished.map_err(juzi_schemas::Error::io(writer.dir().join(name)))?;
    note.records = records;
    commit(writer, file, &note)
}

fn write_drops(
    spills: &Spills<'_>,
    bands: &[Entry],
    partition: usize,
    writer: &DatasetWriter,
    name: &str,
) -> Result<()> {
    let mut entries = Vec::new();
    read_blocks(writer, bands, |block| block == partition, &mut entries)?;
    let mut file = writer.create(name)?;
    let mut note = Blocks::default();
    let place = writer.dir().join(name);
    let write = |group: usize, bytes: &[u8]| {
        note.blocks.push((group, bytes.len() as u64));
        file.write_all(bytes)
    };
    let mut sorted = Partitions::new(GROUPS, BUFFERED_BYTES, write);
    let mut failed = None;
    let resolved = near::resolve(&mut entries, |dropped, keeper| {
        let group = group_of(partition_of(spills.order, dropped.id));
        failed = failed.take().or(sorted
            .push(group, &near::encode_drop(dropped, keeper))
            .err());
    });
    let finished = resolved
        .and(failed.map_or(Ok(()), Err))
        .and_then(|()| sorted.finish());
    finished.map_err(juzi_schemas::Error::io(&place))?;
    commit(writer, file, &note)
}

fn partition_of(order: Order, id: u128) -> usize {
    partition(order.place(id))
}

fn group_of(partition: usize) -> usize {
    partition / (PARTITIONS / GROUPS)
}

fn commit(
    writer: &DatasetWriter,
    file: juzi_schemas::dataset::FileWriter,
    note: &Blocks,
) -> Result<()> {
    let note = serde_json::to_value(note).expect("plain numbers have a JSON form");
    writer.commit(file, Durability::Scratch, RowsHash::default(), note)?;
    Ok(())
}

fn blocks(entry: &Entry) -> Blocks {
    serde_json::from_value(entry.note.clone()).expect("the journal's lines are checked")
}

/// Appends the blocks of the wanted partitions of all files.
fn read_blocks(
    writer: &DatasetWriter,
    files: &[Entry],
    wanted: impl Fn(usize) -> bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    for entry in files {
        let path = writer.dir().join(&entry.name);
        let file = File::open(&path).map_err(juzi_schemas::Error::io(&path))?;
        let mut offset = 0;
        for (partition, bytes) in blocks(entry).blocks {
            if wanted(partition) {
                let at = out.len();
                out.resize(at + bytes as usize, 0);
                file.read_exact_at(&mut out[at..], offset)
                    .map_err(juzi_schemas::Error::io(&path))?;
            }
            offset += bytes;
        }
    }
    Ok(())
}

impl Near {
    /// Near duplicates among the records of a shard, each with its keeper.
    ///
    /// # Errors
    /// A file of the pass cannot be read.
    pub fn keepers(&self, writer: &DatasetWriter, task: Task) -> Result<Keepers> {
        let (first, last) = task.partitions;
        let groups = group_of(first)..=group_of(last.saturating_sub(1).max(first));
        let (mut bytes, mut drops) = (Vec::new(), Vec::new());
        read_blocks(
            writer,
            &self.drops,
            |group| groups.contains(&group),
            &mut bytes,
        )?;
        near::decode_drops(&bytes, &mut drops).map_err(juzi_schemas::Error::io(writer.dir()))?;
        drops.retain(|(dropped, _)| (first..last).contains(&partition_of(self.order, dropped.id)));
        near::merge(&mut drops);
        Ok(drops
            .into_iter()
            .map(|(dropped, keeper)| (dropped.id, keeper.id))
            .collect())
    }
}
