//! One step: its batches, its gradients, and what moves.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::gradient::{self, step_key};
use super::{Progress, Training, failure};
use crate::alignment;
use crate::collate::Batch;
use crate::gradcache::StepValue;
use crate::optimizer::{follow, norm};
use crate::{Error, Result};

/// A step whose gradients are known.
struct Found {
    batches: Vec<Batch>,
    values: Vec<StepValue>,
    loss: f64,
    norm: f64,
    learning_rate: f64,
}

impl Training {
    /// Takes the next step.
    ///
    /// # Errors
    /// Loss or gradients are no numbers: the batches are in a file then, the weights are as before.
    /// Or a batch cannot be made, or a file cannot be written.
    pub fn step(&mut self) -> Result<Progress> {
        let found = self.find()?;
        let Found {
            loss,
            norm,
            learning_rate,
            ..
        } = found;
        self.apply(&found)?;
        self.position.step += 1;
        self.position.watch.add(loss, norm);
        self.position.logged.add(loss);
        if self.model.steady() {
            self.position.scored.add(loss);
        }
        for batch in &found.batches {
            let ids = &batch.record_ids;
            self.position.proof.push(batch.epoch, ids);
            self.record.push(batch)?;
        }
        let mean = self.position.logged.mean().unwrap_or(loss);
        let (step, last) = (
            self.position.step,
            self.position.step == self.schedule.steps,
        );
        if last || step.is_multiple_of(self.recipe.training.log_steps) {
            self.log(&found)?;
        }
        let measuring = self.measuring.as_ref();
        let measured = measuring.is_some_and(|own| last || own.due(step));
        if measured {
            self.evaluate()?;
        }
        // The best checkpoint is of the very step that was measured.
        let decided = measured && self.decided().is_some();
        if last || decided || step.is_multiple_of(self.recipe.training.checkpoint_steps) {
            self.checkpoint(true)?;
        }
        Ok(self.progress(mean, learning_rate))
    }

    /// The gradients of the next step.
    fn find(&mut self) -> Result<Found> {
        let accumulation = self.recipe.optimizer.accumulation;
        let factor = self.schedule.factor(self.position.step);
        let mut found = Found {
            batches: Vec::new(),
            values: Vec::new(),
            loss: 0.0,
            norm: 0.0,
            learning_rate: self.recipe.optimizer.learning_rate * factor,
        };
        let scale = 1.0 / accumulation as f64;
        for _ in 0..accumulation {
            let batch = self.batches.next().unwrap_or_else(|| {
                let step = self.position.step;
                Err(Error::Defect(format!("no batch came for step {step}")))
            })?;
            let key = step_key(self.recipe.seed, batch.step);
            let chunk = self.recipe.training.chunk;
            let keys = self.keys.as_ref();
            let value = gradient::gradients(&self.model, keys, &batch, (key, chunk), scale)?;
            let finite = value.loss.is_finite();
            found.loss += value.loss * scale;
            found.batches.push(batch);
            found.values.push(value);
            if !finite {
                // Of several batches only this one is at fault.
                found.batches.drain(..found.batches.len() - 1);
                break;
            }
        }
        found.norm = norm(&self.model.parameters())?;
        let explosion = self.recipe.training.explosion;
        let (loss, norm) = (found.loss, found.norm);
        match self.position.watch.check(explosion, loss, norm) {
            Ok(()) => Ok(found),
            Err(message) => Err(self.fail(&found, &message)),
        }
    }

    /// Moves all that moves.
    fn apply(&mut self, found: &Found) -> Result<()> {
        let parameters = self.model.parameters();
        self.optimizer
            .step(&parameters, found.learning_rate, found.norm)?;
        if let Some(loss) = &self.model.loss {
            loss.clamp()?;
        }
        if let Some(average) = &self.average {
            follow(average, &parameters, self.recipe.training.ema_decay)?;
        }
        let Some(loss) = &mut self.model.loss else {
            return Ok(());
        };
        if let (Some(keys), Some(momentum)) = (&self.keys, loss.momentum()) {
            follow(&keys.parameters, &self.model.encoder.parameters, momentum)?;
        }
        for (batch, value) in found.batches.iter().zip(&found.values) {
            loss.advance(&value.inputs(batch))?;
        }
        Ok(())
    }

    /// Writes a line of the log. What follows from a clock is in `time`; all else is the same in
    /// every run of the recipe.
    fn log(&mut self, found: &Found) -> Result<()> {
        let logged = std::mem::take(&mut self.position.logged);
        let telemetry = self.batches.telemetry();
        let vectors = &found.values[0].vectors;
        let (alignment, uniformity) = alignment::of_batch(vectors)?;
        let mut figures = Map::new();
        for (name, value) in found.values.iter().flat_map(|value| &value.figures) {
            let sum = figures.get(*name).and_then(Value::as_f64).unwrap_or(0.0);
            let share = value / found.values.len() as f64;
            figures.insert((*name).into(), json!(sum + share));
        }
        self.events.write(&json!({
            "kind": "step",
            "step": self.position.step,
            "epoch": self.position.proof.epoch,
            "batches": self.position.proof.step,
            "records": self.position.proof.hash.rows,
            "loss": found.loss,
            "loss_mean": logged.mean(),
            "learning_rate": found.learning_rate,
            "gradient_norm": found.norm,
            "figures": figures,
            "alignment": alignment,
            "uniformity": uniformity,
            "time": {
                "seconds": telemetry.elapsed.as_secs_f64(),
                "tokens_per_s": telemetry.rate(telemetry.tokens),
                "sequences_per_s": telemetry.rate(telemetry.sequences),
                "wait_share": telemetry.waited_share(),
            },
        }))
    }

    fn progress(&self, loss: f64, learning_rate: f64) -> Progress {
        let telemetry = self.batches.telemetry();
        let (step, steps) = (self.position.step, self.schedule.steps);
        let batches = telemetry.batches.max(1) as f64;
        let left = (steps - step) * self.recipe.optimizer.accumulation;
        let left = telemetry.elapsed.as_secs_f64() / batches * left as f64;
        Progress {
            step,
            steps,
            loss,
            learning_rate,
            tokens_per_s: telemetry.rate(telemetry.tokens),
            wait_share: telemetry.waited_share(),
            left: Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX),
        }
    }

    /// Leaves what a person needs to look into a step that must not happen; gives the error.
    fn fail(&mut self, found: &Found, message: &str) -> Error {
        let step = self.position.step;
        let happened = json!({
            "message": message,
            "loss": found.loss.to_string(),
            "gradient_norm": found.norm.to_string(),
            "learning_rate": found.learning_rate,
            "running_means": self.position.watch,
        });
        let corpora = &self.source.corpora;
        let written = failure::write(&self.run, step, &happened, &found.batches, corpora);
        let told = self.events.write(&json!({
            "kind": "stop",
            "step": step,
            "reason": "failed",
            "message": message,
        }));
        let place = match (written, told) {
            (Ok(path), Ok(())) => format!("its batch is in {}", path.display()),
            (Err(error), _) | (_, Err(error)) => format!("its batch could not be kept: {error}"),
        };
        let kept = match self.checkpointed {
            Some(step) => format!("the checkpoint of step {step} holds"),
            None => "there is no checkpoint yet".into(),
        };
        Error::Training {
            step,
            message: format!("{message}; {place}; {kept}"),
        }
    }
}
