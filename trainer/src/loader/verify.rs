//! `--verify-data`: what a run has seen, computed again from ids alone and compared.
//!
//! No text is read. To count how often each record was seen, the ids are walked again in parts of at
//! most a few million, so memory is bounded for any number of records.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use juzi_schemas::rows_hash::RowsHash;
use serde_json::{Value, json};

use super::proof::{RECIPE, Seen, hash_of, hash_of_id};
use super::{Cursor, Proof, Reader, Source};
use crate::recipe::Recipe;
use crate::{Error, Result};

/// Ids that are sorted at once: 256 MiB of them.
const IDS_MAX: u64 = 16 << 20;

/// Ids that are shown of those not seen once.
const SHOWN: usize = 5;

/// What a run has seen.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The proof, as recorded and as computed again.
    pub proof: Proof,
    /// Each epoch that the run touched.
    pub epochs: Vec<Epoch>,
}

/// How often the records of an epoch were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// Number of the epoch.
    pub epoch: u64,
    /// The steps of it that the run has taken.
    pub steps: Range<u64>,
    /// Whether these are all.
    pub complete: bool,
    /// Records seen never, once, twice and more often.
    pub seen: [u64; 4],
    /// Records that fill no batch and are left out of the epoch.
    pub left_out: u64,
    /// Some of those seen more than once.
    pub repeated: Vec<u128>,
}

/// Computes again what a run has seen, and compares; `data` is another place of its dataset.
///
/// # Errors
/// There is no such run, its dataset is gone or another, or it has not seen what its recipe says.
pub fn verify(run: &Path, data: Option<&Path>) -> Result<Verified> {
    let seen = Seen::read(run)?;
    let recipe = Recipe::read(&run.join(RECIPE))?;
    let dir = recipe.data.dir(data).map_err(Error::Usage)?;
    let source = Arc::new(Source::open(&recipe.data, &dir, seen.seed)?);
    let differs = |message: String| Error::Mismatch {
        path: run.into(),
        message,
    };
    let pairs = [
        ("dataset", seen.dataset, source.fingerprint),
        ("recipe", seen.recipe, recipe.fingerprint()),
    ];
    for (what, recorded, now) in pairs {
        if recorded != now {
            let text = format!("it was made with the {what} {recorded}; this is {now}");
            return Err(differs(text));
        }
    }
    let proof = compare(&seen, &source).and_then(|found| found.map_err(&differs))?;
    let mut epochs = Vec::new();
    let batches = source.batches();
    for epoch in proof.from_step / batches..=proof.step.saturating_sub(1) / batches {
        let steps = epoch * batches..(epoch + 1) * batches;
        let taken = proof.from_step.max(steps.start)..proof.step.min(steps.end);
        if !taken.is_empty() {
            let counted = count(&source, epoch, taken.clone(), taken == steps)?;
            epochs.push(counted);
        }
    }
    let verified = Verified { proof, epochs };
    match verified.epochs.iter().find(|epoch| epoch.is_wrong(&source)) {
        Some(epoch) => Err(differs(format!(
            "its records were not seen once in epoch {}\n{verified}",
            epoch.epoch
        ))),
        None => Ok(verified),
    }
}

/// Walks all steps and compares the hashes of their records; the inner error says what differs.
fn compare(seen: &Seen, source: &Arc<Source>) -> Result<std::result::Result<Proof, String>> {
    let mut walk = Walk::new(source);
    let mut proof = Proof::new(seen.proof.from_step);
    for mark in &seen.marks {
        let steps = proof.step..mark.step;
        let mut hash = RowsHash::default();
        for step in steps.clone() {
            let (epoch, ids) = walk.step(step)?;
            hash.extend(&hash_of(ids));
            proof.push(epoch, ids);
        }
        if hash != mark.hash {
            return explain(&mut walk, steps, mark.hash).map(Err);
        }
    }
    Ok(match proof == seen.proof {
        true => Ok(proof),
        false => Err(format!(
            "its marks hold, but its proof over steps {} to {} does not",
            seen.proof.from_step, seen.proof.step
        )),
    })
}

/// Says which of some steps is the first that differs, if one was left out or came twice; else only
/// that one of them does.
fn explain(walk: &mut Walk, steps: Range<u64>, recorded: RowsHash) -> Result<String> {
    let count = (steps.end - steps.start) as usize;
    let mut hashes = Vec::new();
    for step in steps.start..steps.end + 1 {
        hashes.push(hash_of(walk.step(step)?.1));
    }
    // The run is right up to some step; from there on it is one step ahead, or one behind.
    let mut before = RowsHash::default();
    for at in 0..count {
        let from = |rest: &[RowsHash]| {
            let mut hash = before;
            rest.iter().for_each(|step| hash.extend(step));
            hash
        };
        let step = steps.start + at as u64;
        if from(&hashes[at + 1..]) == recorded {
            return Ok(format!("step {step} differs: its batch was left out"));
        }
        if at > 0 && from(&hashes[at - 1..count - 1]) == recorded {
            return Ok(format!(
                "step {step} differs: it has the batch of step {} again",
                step - 1
            ));
        }
        before.extend(&hashes[at]);
    }
    Ok(format!(
        "the first step that differs is one of {} to {}",
        steps.start,
        steps.end - 1
    ))
}

/// The ids of steps, read one after another.
struct Walk {
    reader: Reader,
    batches: u64,
    ids: Vec<u128>,
}

impl Walk {
    fn new(source: &Arc<Source>) -> Walk {
        Walk {
            reader: Reader::new(source.clone(), vec!["id"]),
            batches: source.batches(),
            ids: Vec::new(),
        }
    }

    /// Epoch and ids of a step.
    fn step(&mut self, step: u64) -> Result<(u64, &[u128])> {
        let cursor = Cursor::of(step, self.batches);
        self.ids.clear();
        self.reader.ids(cursor, &mut self.ids)?;
        Ok((cursor.epoch, &self.ids))
    }
}

/// Counts how often each record was seen in steps of one epoch.
fn count(source: &Arc<Source>, epoch: u64, steps: Range<u64>, complete: bool) -> Result<Epoch> {
    let mut found = Epoch {
        epoch,
        steps: steps.clone(),
        complete,
        left_out: source.left_out(),
        ..Epoch::default()
    };
    let parts = u128::from(source.records().div_ceil(IDS_MAX).max(1));
    let mut ids = Vec::new();
    for part in 0..parts {
        ids.clear();
        let mut walk = Walk::new(source);
        let mut read = |steps: Range<u64>, ids: &mut Vec<u128>| -> Result<()> {
            for step in steps {
                let own = walk.step(step)?.1.iter().copied();
                ids.extend(own.filter(|&id| u128::from(hash_of_id(id)) % parts == part));
            }
            ids.sort_unstable();
            Ok(())
        };
        if source.is_planned() && !complete {
            // A plan may repeat records, so that how many there are is known only from all ids.
            let batches = source.batches();
            read(epoch * batches..(epoch + 1) * batches, &mut ids)?;
            ids.dedup();
            found.seen[0] += ids.len() as u64;
            ids.clear();
        }
        read(steps.clone(), &mut ids)?;
        for same in ids.chunk_by(|a, b| a == b) {
            found.seen[same.len().min(3)] += 1;
            if same.len() > 1 && found.repeated.len() < SHOWN {
                found.repeated.push(same[0]);
            }
        }
    }
    let distinct: u64 = found.seen[1..].iter().sum();
    found.seen[0] = match source.is_planned() {
        true => found.seen[0].saturating_sub(distinct),
        false => source.records().saturating_sub(distinct),
    };
    Ok(found)
}

impl Epoch {
    /// Whether the order itself is wrong: a record came twice, or one is missing. What a plan
    /// repeats is right.
    fn is_wrong(&self, source: &Source) -> bool {
        let [never, _, twice, more] = self.seen;
        let missing = self.complete && never != self.left_out;
        !source.is_planned() && (twice + more > 0 || missing)
    }
}

impl Verified {
    /// The figures as JSON.
    pub fn to_json(&self) -> Value {
        let epochs = self.epochs.iter().map(|epoch| {
            let [never, once, twice, more] = epoch.seen;
            json!({
                "epoch": epoch.epoch,
                "from_step": epoch.steps.start,
                "to_step": epoch.steps.end,
                "complete": epoch.complete,
                "seen": {"0": never, "1": once, "2": twice, "more": more},
                "left_out": epoch.left_out,
                "repeated": epoch.repeated.iter().map(|id| format!("{id:032x}")).collect::<Vec<_>>(),
            })
        });
        let hash = self.proof.hash.hex();
        json!({ "proof": self.proof, "hash": hash, "epochs": epochs.collect::<Vec<_>>() })
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proof {
            from_step,
            step,
            hash,
            ..
        } = self.proof;
        let (rows, hex) = (hash.rows, hash.hex());
        writeln!(f, "steps {from_step} to {step}: {rows} records, hash {hex}")?;
        for epoch in &self.epochs {
            let [never, once, twice, more] = epoch.seen;
            let whole = if epoch.complete {
                "complete"
            } else {
                "in part"
            };
            let Range { start, end } = epoch.steps;
            writeln!(
                f,
                "epoch {}, steps {start} to {end}, {whole}: records seen 0 times {never} (left out \
                 {}), once {once}, twice {twice}, more often {more}",
                epoch.epoch, epoch.left_out
            )?;
            for id in &epoch.repeated {
                writeln!(f, "  more than once: {id:032x}")?;
            }
        }
        Ok(())
    }
}
