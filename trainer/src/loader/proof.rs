//! The proof of what a training has seen: hashes over the ids of its records, in their order.
//!
//! The hash is the polynomial of `juzi_schemas::rows_hash`, so it can be kept in a checkpoint and
//! continued, and a record that is left out, doubled or moved changes it.

use std::path::{Path, PathBuf};

use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::random::fold;
use juzi_schemas::rows_hash::RowsHash;
use juzi_schemas::{Error as Fault, dataset};
use serde::{Deserialize, Serialize};

use super::Source;
use crate::collate::Batch;
use crate::recipe::Recipe;
use crate::{Error, Result};

/// The record of what a run has seen, in its directory.
pub const FILE: &str = "data.json";

/// The recipe of a run, resolved.
pub const RECIPE: &str = "recipe.toml";

/// Steps after which the record is written, with a hash of their own.
pub const MARK_STEPS: u64 = 1000;

/// Version of the record.
const FORMAT: u32 = 1;

/// What a training has seen so far: part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The first step.
    pub from_step: u64,
    /// The step that comes next.
    pub step: u64,
    /// The epoch of the step before it.
    pub epoch: u64,
    /// Hash of the records of that epoch, since `from_step`.
    pub epoch_hash: RowsHash,
    /// Hash of all records since `from_step`.
    pub hash: RowsHash,
}

/// Hash of the records of some steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The step after the last of them; the first is that of the mark before.
    pub step: u64,
    /// Hash of their records.
    pub hash: RowsHash,
}

/// What a run has seen, as it stands in its directory. It holds no time and no path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Version of this record.
    pub format: u32,
    /// Fingerprint of the dataset.
    pub dataset: Fingerprint,
    /// Hash of the recipe without places.
    pub recipe: Fingerprint,
    /// Seed of the order.
    pub seed: u64,
    /// Records in a batch; none where batches were planned.
    pub size: Option<usize>,
    /// Batches in an epoch.
    pub batches: u64,
    /// The proof over all steps.
    pub proof: Proof,
    /// Hashes of intervals, so that a difference can be found.
    pub marks: Vec<Mark>,
}

/// Writes what a run sees, every [`MARK_STEPS`] steps.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    seen: Seen,
    open: RowsHash,
}

impl Proof {
    /// Nothing seen yet; `from_step` comes first.
    pub fn new(from_step: u64) -> Proof {
        Proof {
            from_step,
            step: from_step,
            epoch: 0,
            epoch_hash: RowsHash::default(),
            hash: RowsHash::default(),
        }
    }

    /// Adds the records of the next step.
    pub fn push(&mut self, epoch: u64, ids: &[u128]) {
        let own = hash_of(ids);
        if epoch != self.epoch {
            self.epoch = epoch;
            self.epoch_hash = RowsHash::default();
        }
        self.epoch_hash.extend(&own);
        self.hash.extend(&own);
        self.step += 1;
    }
}

/// Hash of some records in their order.
pub(super) fn hash_of(ids: &[u128]) -> RowsHash {
    let mut hash = RowsHash::default();
    ids.iter().for_each(|&id| hash.push(hash_of_id(id)));
    hash
}

/// Hash of one record.
pub(super) fn hash_of_id(id: u128) -> u64 {
    fold(
        id as u64 ^ 0x9e37_79b9_7f4a_7c15,
        (id >> 64) as u64 ^ 0xd6e8_feb8_6659_fd93,
    )
}

impl Seen {
    /// Reads the record of a run.
    ///
    /// # Errors
    /// There is none, or it is no record.
    pub fn read(run: &Path) -> Result<Seen> {
        let path = run.join(FILE);
        let text = std::fs::read(&path).map_err(Error::input(&path))?;
        let seen: Seen = serde_json::from_slice(&text).map_err(|error| Fault::Json {
            path: path.clone(),
            what: "record of a run",
            message: error.to_string(),
        })?;
        match seen.format {
            FORMAT => Ok(seen),
            other => Err(Error::Usage(format!(
                "{}: its format is {other}; this juzi reads {FORMAT}",
                path.display()
            ))),
        }
    }
}

impl Record {
    /// Opens the record of a run that goes on at a step; begins one where there is none.
    ///
    /// # Errors
    /// The directory holds the record of another recipe or dataset, or of a run that stands at
    /// another step; or it cannot be written.
    pub fn open(run: &Path, recipe: &Recipe, source: &Source, from_step: u64) -> Result<Record> {
        let path = run.join(FILE);
        let size = (!source.is_planned()).then_some(recipe.data.size);
        let new = Seen {
            format: FORMAT,
            dataset: source.fingerprint,
            recipe: recipe.fingerprint(),
            seed: recipe.seed,
            size,
            batches: source.batches(),
            proof: Proof::new(from_step),
            marks: Vec::new(),
        };
        let seen = match path.exists() {
            false => new,
            true => {
                let seen = Seen::read(run)?;
                let refuse = |what: String| Err(Error::Usage(format!("{}: {what}", run.display())));
                if (seen.dataset, seen.recipe) != (new.dataset, new.recipe) {
                    return refuse("a run of another recipe or dataset is recorded here".into());
                }
                if seen.proof.step != from_step {
                    let step = seen.proof.step;
                    return refuse(format!(
                        "a run that stands at step {step} is recorded here; go on with --from \
                         {step}, or name another directory"
                    ));
                }
                seen
            }
        };
        let record = Record {
            path,
            seen,
            open: RowsHash::default(),
        };
        record.begin(run, recipe, source)?;
        Ok(record)
    }

    /// Opens the record of a run that goes on from a checkpoint, where it stood as `seen` says.
    ///
    /// # Errors
    /// It is the record of another recipe or dataset, or it cannot be written.
    pub fn resume(run: &Path, recipe: &Recipe, source: &Source, seen: Seen) -> Result<Record> {
        let own = (source.fingerprint, recipe.fingerprint());
        if (seen.dataset, seen.recipe) != own {
            return Err(Error::Usage(format!(
                "{}: its checkpoint is of another recipe or dataset",
                run.display()
            )));
        }
        let record = Record {
            path: run.join(FILE),
            seen,
            open: RowsHash::default(),
        };
        record.begin(run, recipe, source)?;
        Ok(record)
    }

    fn begin(&self, run: &Path, recipe: &Recipe, source: &Source) -> Result<()> {
        std::fs::create_dir_all(run).map_err(Error::input(run))?;
        let mut placed = recipe.placed()?;
        placed.data.dataset = std::path::absolute(&source.dir)
            .map_err(Error::input(&source.dir))?
            .to_string_lossy()
            .into_owned();
        dataset::replace(&run.join(RECIPE), placed.to_toml().as_bytes())?;
        self.write()
    }

    /// Adds a batch that was seen.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn push(&mut self, batch: &Batch) -> Result<()> {
        self.seen.proof.push(batch.epoch, &batch.record_ids);
        self.open.extend(&hash_of(&batch.record_ids));
        match self.seen.proof.step % MARK_STEPS {
            0 => self.mark(),
            _ => Ok(()),
        }
    }

    /// Writes what is not yet written; gives the proof.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn finish(mut self) -> Result<Proof> {
        self.mark()?;
        Ok(self.seen.proof)
    }

    /// What was seen so far, up to the last mark.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Ends an interval, and writes the record: at a checkpoint, so that the two agree.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn mark(&mut self) -> Result<()> {
        if self.open.rows > 0 {
            self.seen.marks.push(Mark {
                step: self.seen.proof.step,
                hash: std::mem::take(&mut self.open),
            });
            self.write()?;
        }
        Ok(())
    }

    fn write(&self) -> Result<()> {
        let mut text = serde_json::to_string_pretty(&self.seen).expect("a record has a JSON form");
        text.push('\n');
        Ok(dataset::replace(&self.path, text.as_bytes())?)
    }
}
