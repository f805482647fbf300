//! What a run will need, before it starts: memory a worker, space on the disk.

use std::collections::BTreeMap;
use std::path::Path;

use juzi_schemas::dataset::STORE;

use crate::error::{Error, Result};
use crate::flow::machine;
use crate::inputs::Input;
use crate::plan::Plan;
use crate::size::Size;
use crate::stages::RunOptions;

/// The program, its dictionaries and the sorted edges of all spill files.
const BASE_BYTES: u64 = 120 << 20;

/// Workers that fit into the memory, at most as many as threads were asked for.
///
/// A cutting worker holds a block, the records made of it and their sorted copy; a merging worker
/// the slices of a shard, their order, and a row group on its way to disk.
///
/// # Errors
/// Not even one fits.
pub fn workers(plan: &Plan, options: &RunOptions) -> Result<usize> {
    let cutting = plan.shards.unit_bytes.0 * 4;
    let merging = plan.shards.shard_bytes.0 * 2 + (64 << 20);
    let each = cutting.max(merging);
    let fit = options.memory_bytes.saturating_sub(BASE_BYTES) / each;
    match (fit as usize).min(options.threads) {
        0 => Err(Error::Resources(format!(
            "--memory {} is too small: one worker needs {} and the program {}; give more memory or a smaller \
             [shards] shard_bytes",
            Size(options.memory_bytes),
            Size(each),
            Size(BASE_BYTES)
        ))),
        workers => Ok(workers),
    }
}

/// Refuses to start what the disk cannot hold: spill files and shards stand side by side.
///
/// # Errors
/// The free space is smaller than the estimate.
pub fn check_space(plan: &Plan, options: &RunOptions) -> Result<()> {
    let files: BTreeMap<&Path, u64> = plan
        .inputs
        .iter()
        .map(|input| (input.path.as_path(), decoded_bytes(input)))
        .collect();
    let decoded: u64 = files.values().sum();
    let views = plan
        .corpora
        .iter()
        .map(|corpus| corpus.views.len())
        .max()
        .unwrap_or(1) as u64;
    // Spilled records are as long as their text and a little more, shards half as long.
    let wanted = decoded * views * 3 / 2;
    let have = used(&options.data.join(STORE));
    match machine::free_bytes(&options.data) {
        Some(free) if free + have < wanted => Err(Error::Resources(format!(
            "{}: {} free, and about {} are needed for {} of input; give another place with --data DIR",
            options.data.display(),
            Size(free),
            Size(wanted),
            Size(decoded)
        ))),
        _ => Ok(()),
    }
}

fn decoded_bytes(input: &Input) -> u64 {
    let packed = ["gz", "tgz", "zst", "zstd", "tzst", "zip", "parquet"];
    let ending = input
        .path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    input.bytes
        * if packed.contains(&ending.as_str()) {
            3
        } else {
            1
        }
}

/// Bytes of unfinished work that already lies there.
fn used(store: &Path) -> u64 {
    let entries = std::fs::read_dir(store).into_iter().flatten().flatten();
    let unfinished =
        entries.filter(|entry| entry.path().join(juzi_schemas::journal::NAME).exists());
    unfinished.map(|entry| tree_bytes(&entry.path())).sum()
}

/// Bytes of all files below a directory.
pub fn tree_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            entry.metadata().map_or(0, |data| {
                if data.is_dir() {
                    tree_bytes(&entry.path())
                } else {
                    data.len()
                }
            })
        })
        .sum()
}
