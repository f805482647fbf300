//! What a checkpoint knows besides tensors: where a training stands, and what its files hold.

use std::collections::BTreeMap;

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use super::exact;
use crate::loader::Proof;
use crate::schedule::Schedule;

/// Version of the layout.
pub const FORMAT: u32 = 1;

/// `state.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of the layout.
    pub format: u32,
    /// Where the training stands.
    pub position: Position,
    /// The schedule, with its length.
    pub schedule: Schedule,
    /// Hash of the recipe without places.
    pub recipe: Fingerprint,
    /// Fingerprint of the dataset.
    pub dataset: Fingerprint,
    /// Bytes of `events.jsonl` that belong to the steps so far.
    pub events: u64,
    /// What each other file holds.
    pub files: BTreeMap<String, FileProof>,
    /// Hash of all of this with a 0 here.
    pub check: Fingerprint,
}

/// Where a training stands: all its numbers that are no tensors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Steps of the optimizer that were taken.
    pub step: u64,
    /// The batches that were seen; the next one is the data state.
    pub proof: Proof,
    /// Running means that an exploding loss is told by.
    pub watch: Watch,
    /// Losses since the last line of the log.
    pub logged: Sum,
    /// Losses since the last checkpoint that was due.
    pub scored: Sum,
    /// The best checkpoint so far.
    pub best: Option<Best>,
    /// Checkpoints that were due since the best; where a metric decides, those that were measured.
    pub since_best: u64,
}

/// A checkpoint and how good it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its step.
    pub step: u64,
    /// The mean loss over the steps before it, or the metric that decides. It is called as it was
    /// before metrics could decide.
    #[serde(rename = "loss", with = "exact")]
    pub value: f64,
}

/// A sum over steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sum {
    /// How many.
    pub steps: u64,
    /// The sum of their losses.
    #[serde(with = "exact")]
    pub loss: f64,
}

/// Running means over the steps so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// How many steps there were.
    pub steps: u64,
    /// Mean of the size of the loss.
    #[serde(with = "exact")]
    pub loss: f64,
    /// Mean of the norm of the gradients.
    #[serde(with = "exact")]
    pub norm: f64,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProof {
    /// Its size.
    pub bytes: u64,
    /// Hash of its bytes.
    pub hash: Fingerprint,
}

impl Position {
    /// Nothing done yet.
    pub fn new() -> Position {
        Position {
            step: 0,
            proof: Proof::new(0),
            watch: Watch::default(),
            logged: Sum::default(),
            scored: Sum::default(),
            best: None,
            since_best: 0,
        }
    }

    /// Ends the losses since the last checkpoint that was due; gives their mean, of one at least.
    pub fn end_interval(&mut self) -> Option<f64> {
        std::mem::take(&mut self.scored).mean()
    }

    /// Whether a checkpoint of this step with this value is the best so far; of equal ones the first
    /// is.
    pub fn score(&mut self, value: f64, higher: bool) -> bool {
        let better = self.best.is_none_or(|best| match higher {
            true => value > best.value,
            false => value < best.value,
        });
        match better {
            true => {
                let step = self.step;
                self.best = Some(Best { step, value });
                self.since_best = 0;
            }
            false => self.since_best += 1,
        }
        better
    }
}

impl Default for Position {
    fn default() -> Position {
        Position::new()
    }
}

impl Sum {
    /// Adds a step.
    pub fn add(&mut self, loss: f64) {
        self.steps += 1;
        self.loss += loss;
    }

    /// The mean, of one step at least.
    pub fn mean(&self) -> Option<f64> {
        (self.steps > 0).then(|| self.loss / self.steps as f64)
    }
}

impl State {
    /// The same with its hash.
    pub fn sealed(mut self) -> State {
        self.check = self.seal();
        self
    }

    /// Whether its hash is that of the rest.
    pub fn is_whole(&self) -> bool {
        self.check == self.seal()
    }

    fn seal(&self) -> Fingerprint {
        let mut open = self.clone();
        open.check = Fingerprint(0);
        Fingerprint::of_json(&open)
    }
}
