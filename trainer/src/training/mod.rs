//! The training loop: batches in, weights out, and at any moment a checkpoint to go on from.
//!
//! ```text
//! DataLoader ─▶ gradients ─▶ norm, watch ─▶ AdamW ─▶ clamp ─▶ average, keys ─▶ Loss::advance
//!                              │ no number                                        │
//!                              ▼                                                  ▼
//!                        failed-step-N.json            events.jsonl, checkpoints/, data.json
//!                                                      evaluations/ ◀─ Measuring: every n steps
//! ```
//! All that a step follows from is in the checkpoint before it, the recipe and the dataset. So a
//! run that is killed at any moment and resumed has the same losses and weights, to the bit, as one
//! that was not.

mod evaluation;
pub mod evaluations;
mod examine;
mod failure;
pub mod gradient;
mod measuring;
mod model;
mod open;
mod options;
mod progress;
mod provenance;
mod save;
mod step;
pub mod table;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use juzi_schemas::lock::Lock;
use serde_json::json;

use crate::Result;
use crate::checkpoint::{Checkpoints, Position};
use crate::encoder::Encoder;
use crate::events::Writer;
use crate::loader::{DataLoader, Feed, Record, Source, Threads};
use crate::optimizer::Optimizer;
use crate::parameters::Parameters;
use crate::recipe::Recipe;
use crate::schedule::Schedule;

use measuring::Measuring;

pub use evaluation::EvaluationOptions;
pub use model::{Model, offer};
pub use open::Start;
pub use options::TrainingOptions;
pub use progress::Progress;

/// What a training is made of.
pub struct Setup {
    /// The recipe.
    pub recipe: Recipe,
    /// Its batches.
    pub feed: Feed,
    /// The encoder as it is before the first step, and its losses.
    pub model: Model,
    /// The directory of the run.
    pub run: PathBuf,
    /// Threads of the feed; they change no result.
    pub threads: Threads,
}

/// A training between two steps. Dropping it is what a kill is: the run goes on from its newest
/// checkpoint.
pub struct Training {
    recipe: Recipe,
    source: Arc<Source>,
    batches: DataLoader,
    model: Model,
    average: Option<Parameters>,
    keys: Option<Encoder>,
    optimizer: Optimizer,
    schedule: Schedule,
    run: PathBuf,
    record: Record,
    events: Writer,
    checkpoints: Checkpoints,
    measuring: Option<Measuring>,
    position: Position,
    /// The step of the newest checkpoint.
    checkpointed: Option<u64>,
    _lock: Lock,
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps were taken.
    Complete,
    /// No checkpoint was better for as long as `[training] early_stop` says.
    EarlyStop,
    /// It was asked to stop; the newest checkpoint is of this moment.
    Interrupted,
}

impl Training {
    /// Takes steps until all are done, `stop` says so, or one fails; `tell` hears of each.
    ///
    /// # Errors
    /// Loss or gradients are no numbers, a batch cannot be made, or a file cannot be written.
    pub fn run(
        &mut self,
        stop: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(&Progress),
    ) -> Result<Ending> {
        let ending = loop {
            if let Some(ending) = self.ended() {
                break ending;
            }
            if stop() {
                break Ending::Interrupted;
            }
            tell(&self.step()?);
        };
        let step = self.position.step;
        let measuring = self.measuring.as_ref();
        if ending != Ending::Interrupted && measuring.is_some_and(|own| own.at(step).is_none()) {
            self.evaluate()?;
            // Its line in the log belongs to the checkpoint.
            self.checkpointed = None;
        }
        if self.checkpointed != Some(step) {
            self.checkpoint(false)?;
        }
        self.events.write(&json!({
            "kind": "stop",
            "step": self.position.step,
            "reason": match ending {
                Ending::Complete => "complete",
                Ending::EarlyStop => "early_stop",
                Ending::Interrupted => "interrupted",
            },
        }))?;
        Ok(ending)
    }

    /// Why there is no further step, if there is none.
    pub fn ended(&self) -> Option<Ending> {
        let patience = self.recipe.training.early_stop;
        if self.position.step >= self.schedule.steps {
            return Some(Ending::Complete);
        }
        (patience > 0 && self.position.since_best >= patience).then_some(Ending::EarlyStop)
    }

    /// Where the training stands.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Steps in all, and their learning rates.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The model as it stands.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The moving average of all parameters, where the recipe wants one.
    pub fn average(&self) -> Option<&Parameters> {
        self.average.as_ref()
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod measuring_tests;
#[cfg(test)]
mod tests;
