//! The feed alone: batches are made, counted and thrown away.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::loader::{Feed, Proof, Record, Telemetry, Threads};
use crate::recipe::Recipe;
use crate::{Result, interrupt};

/// How long the feed runs, and what the consumer does.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The first step.
    pub from_step: u64,
    /// Steps to take.
    pub steps: Option<u64>,
    /// Time after which no further step is taken.
    pub time: Option<Duration>,
    /// How long the consumer pretends to work on each batch.
    pub consumer: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Time from the start to the first batch: threads, first row groups.
    pub first: Duration,
    /// The figures.
    pub telemetry: Telemetry,
    /// Hashes of the records seen.
    pub proof: Proof,
}

/// Takes batches as a training would, until a limit or a stop by Ctrl-C; `record` is a directory that keeps what was seen.
///
/// # Errors
/// A batch cannot be made, or the record cannot be written.
pub fn run(
    (feed, recipe): (&Feed, &Recipe),
    threads: Threads,
    limits: Limits,
    record: Option<&Path>,
) -> Result<Outcome> {
    let start = Instant::now();
    let from = limits.from_step;
    let mut record = match record {
        Some(run) => Some(Record::open(run, recipe, feed.source(), from)?),
        None => None,
    };
    let end = limits
        .steps
        .map_or(u64::MAX, |steps| from.saturating_add(steps));
    let mut loader = feed.load(from..end, threads)?;
    let (mut proof, mut first) = (Proof::new(from), Duration::ZERO);
    while limits.time.is_none_or(|time| start.elapsed() < time) && !interrupt::asked() {
        let Some(batch) = loader.next() else {
            break;
        };
        let batch = batch?;
        if batch.step == from {
            first = start.elapsed();
        }
        proof.push(batch.epoch, &batch.record_ids);
        if let Some(record) = &mut record {
            record.push(&batch)?;
        }
        if !limits.consumer.is_zero() {
            std::thread::sleep(limits.consumer);
        }
    }
    let telemetry = loader.telemetry();
    if let Some(record) = record {
        proof = record.finish()?;
    }
    Ok(Outcome {
        first,
        telemetry,
        proof,
    })
}
