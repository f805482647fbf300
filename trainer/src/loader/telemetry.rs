//! What the feed did and who waited for whom.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::collate::{Batch, Times};

/// Share of the time that the consumer may wait before the feed counts as what holds it up.
pub const WAIT_SHARE_MAX: f64 = 0.05;

/// One worker and its channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerTelemetry {
    /// Batches received from it.
    pub batches: u64,
    /// Sum over these of the batches that waited in its channel when the consumer came.
    pub waiting: u64,
    /// How long it waited for room in its channel.
    pub blocked: Duration,
    /// How long the parts of its work took, over the batches received.
    pub times: Times,
}

/// The figures of a feed, all over the batches received.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// Since the first batch was asked for.
    pub elapsed: Duration,
    /// How long the consumer waited for batches.
    pub waited: Duration,
    /// Batches received.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Sequences in all columns.
    pub sequences: u64,
    /// Tokens, padding not counted.
    pub tokens: u64,
    /// Tokens with padding.
    pub slots: u64,
    /// Bytes of text that were tokenized.
    pub bytes: u64,
    /// Each worker.
    pub workers: Vec<WorkerTelemetry>,
}

impl Telemetry {
    /// Of a feed with this many workers, before its first batch.
    pub fn new(workers: usize) -> Telemetry {
        Telemetry {
            workers: vec![WorkerTelemetry::default(); workers],
            ..Telemetry::default()
        }
    }

    /// Counts a batch of a worker: how many waited in its channel, how long the consumer waited.
    pub fn count(&mut self, worker: usize, batch: &Batch, waiting: usize, waited: Duration) {
        self.waited += waited;
        self.batches += 1;
        self.records += batch.rows() as u64;
        self.sequences += batch.sequences() as u64;
        self.tokens += batch.tokens();
        self.slots += batch.slots();
        self.bytes += batch.bytes;
        let worker = &mut self.workers[worker];
        worker.batches += 1;
        worker.waiting += waiting as u64;
        worker.times.add(&batch.times);
    }

    /// How long the parts of all workers' work took.
    pub fn times(&self) -> Times {
        let mut times = Times::default();
        self.workers
            .iter()
            .for_each(|worker| times.add(&worker.times));
        times
    }

    /// Share of the time that the consumer waited.
    pub fn waited_share(&self) -> f64 {
        share(self.waited, self.elapsed)
    }

    /// Share of tokens that only fill up.
    pub fn padding_share(&self) -> f64 {
        1.0 - self.tokens as f64 / (self.slots as f64).max(1.0)
    }

    /// `data-bound` if the consumer waits more than [`WAIT_SHARE_MAX`] of the time, so that more
    /// workers would make it faster; else `trainer-bound`.
    pub fn verdict(&self) -> &'static str {
        match self.waited_share() > WAIT_SHARE_MAX {
            true => "data-bound",
            false => "trainer-bound",
        }
    }

    /// Something per second.
    pub fn rate(&self, count: u64) -> f64 {
        count as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The figures as JSON; times in seconds.
    pub fn to_json(&self) -> Value {
        let times = self.times();
        let workers = self.workers.iter().map(|worker| {
            json!({
                "batches": worker.batches,
                "depth_mean": worker.depth_mean(),
                "blocked_s": worker.blocked.as_secs_f64(),
                "busy_s": worker.times.total().as_secs_f64(),
            })
        });
        json!({
            "seconds": self.elapsed.as_secs_f64(),
            "batches": self.batches,
            "records": self.records,
            "sequences": self.sequences,
            "tokens": self.tokens,
            "slots": self.slots,
            "bytes": self.bytes,
            "sequences_per_s": self.rate(self.sequences),
            "tokens_per_s": self.rate(self.tokens),
            "padding_share": self.padding_share(),
            "consumer_waited_s": self.waited.as_secs_f64(),
            "consumer_waited_share": self.waited_share(),
            "work": {
                "read": share(times.read, times.total()),
                "augment": share(times.augment, times.total()),
                "tokenize": share(times.tokenize, times.total()),
                "pad": share(times.pad, times.total()),
            },
            "workers": workers.collect::<Vec<_>>(),
            "verdict": self.verdict(),
        })
    }
}

impl WorkerTelemetry {
    /// Mean number of batches that waited in its channel.
    pub fn depth_mean(&self) -> f64 {
        self.waiting as f64 / (self.batches as f64).max(1.0)
    }
}

impl fmt::Display for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |count| format!("{count}, {:.0}/s", self.rate(count));
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let (times, total) = (self.times(), self.times().total());
        let parts = [
            ("read", times.read),
            ("augment", times.augment),
            ("tokenize", times.tokenize),
            ("pad", times.pad),
        ];
        let parts = parts.map(|(name, part)| format!("{name} {}", percent(share(part, total))));
        let (megabytes, waited) = (self.bytes as f64 / 1e6, self.waited.as_secs_f64());
        let lines = [
            ("time", format!("{:.1} s", self.elapsed.as_secs_f64())),
            ("batches", rate(self.batches)),
            ("sequences", rate(self.sequences)),
            ("tokens", rate(self.tokens)),
            (
                "padding",
                format!("{} of {} places", percent(self.padding_share()), self.slots),
            ),
            (
                "text",
                format!("{megabytes:.1} MB, {:.1} MB/s", self.rate(self.bytes) / 1e6),
            ),
            (
                "consumer waited",
                format!("{waited:.2} s, {}", percent(self.waited_share())),
            ),
            ("work", parts.join(", ")),
        ];
        for (name, value) in lines {
            writeln!(f, "{name:<20}{value}")?;
        }
        for (number, worker) in self.workers.iter().enumerate() {
            writeln!(
                f,
                "{:<20}{} batches, busy {:.2} s, waited for room {:.2} s, {:.1} waited in its channel",
                format!("worker {number}"),
                worker.batches,
                worker.times.total().as_secs_f64(),
                worker.blocked.as_secs_f64(),
                worker.depth_mean(),
            )?;
        }
        let limit = percent(WAIT_SHARE_MAX);
        let rule = format!("data-bound: the consumer waits more than {limit} of the time");
        writeln!(f, "{:<20}{} ({rule})", "verdict", self.verdict())
    }
}

fn share(part: Duration, whole: Duration) -> f64 {
    match whole.is_zero() {
        true => 0.0,
        false => part.as_secs_f64() / whole.as_secs_f64(),
    }
}
