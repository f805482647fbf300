//! The gradient doctor's place in a training: before it, on its first batch.

use super::gradient::step_key;
use super::{Setup, Training};
use crate::Result;
use crate::doctor::{self, Report};
use crate::optimizer::{Optimizer, norm};

impl Setup {
    /// Lets the doctor look at the model on the first batch; all is as before after it.
    ///
    /// # Errors
    /// The batch does not fit the model or a loss, or the device fails. What the doctor finds is in
    /// the report.
    pub fn examine(&self) -> Result<Report> {
        let batch = self.feed.maker().batch(0)?;
        self.model.check(&batch)?;
        let options = doctor::Options {
            step_key: step_key(self.recipe.seed, 0),
            ..doctor::Options::default()
        };
        let mut optimizer = Optimizer::new(&self.recipe.optimizer);
        let rate = self.recipe.optimizer.learning_rate;
        let chunk = self.recipe.training.chunk;
        let report = self.model.with_objective(None, chunk, |objective| {
            doctor::examine(objective, &batch, &options, &mut |parameters| {
                optimizer.step(parameters, rate, norm(parameters)?)
            })
        });
        // A gradient of zeros would count as one that a parameter had.
        self.model.parameters().drop_gradients();
        report
    }
}

impl Training {
    /// Writes into the log what the doctor found.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn tell_doctor(&mut self, report: &Report) -> Result<()> {
        let mut event = report.to_json();
        event["kind"] = "doctor".into();
        event["step"] = self.position.step.into();
        self.events.write(&event)
    }
}
