//! The gradient doctor: looks at everything a training step does before the first step is done, on
//! a few short records of the first batch, in seconds.
//!
//! Defects of gradients are silent: a training with a layer that learns nothing still has a loss
//! that falls. So before every training it is asked
//! - whether each parameter gets a gradient that is a number and not 0;
//! - whether a second pass repeats the first bit by bit, and another view of a text differs;
//! - whether fused and plain operations agree, in vectors and in each gradient;
//! - whether GradCache has the gradients of the whole batch;
//! - whether the loss changes as its gradient says, when all parameters move;
//! - whether each parameter moves in a step of the optimizer.
//!
//! The values of all parameters are put back at the end, and no gradient is left. What has no
//! gradient by right is excused by name, with the reason.

mod changes;
mod cut;
mod gradients;
mod report;

use std::time::Instant;

use crate::Result;
use crate::collate::Batch;
use crate::encoder::{Kernels, Pass, Sequences};
use crate::gradcache::{Objective, StepValue};
use crate::losses::Loss;
use crate::parameters::Parameters;

pub use cut::cut;
pub use gradients::{Difference, Numbers};
pub use report::{Check, Report, State};

use gradients::largest;

/// Fused and plain vectors, over the largest number: two orders of adding in f32.
pub const VECTORS_MAX: f64 = 1e-5;
/// Fused and plain gradients, of each parameter over its largest. Where all vectors are nearly alike
/// the gradients are differences of equals, and sound kernels were seen to differ by 3e-4; a wrong
/// one is off by its size.
pub const GRADIENTS_MAX: f64 = 2e-3;
/// Gradients of GradCache and of the whole batch, all as one vector.
pub const CHUNKS_MAX: f64 = 1e-6;
/// What the rounding of chunks may add to it at most, four times what it does to the loss: as much as
/// a loss with scale 20 makes of vectors that are nearly alike.
pub const CHUNKS_ROUNDING_MAX: f64 = 4e-6;
/// The same of each parameter over its largest: sums that nearly cancel lose more digits, 3e-5 of
/// small models from scratch.
pub const CHUNKS_EACH_MAX: f64 = 2e-4;
/// A change of the loss and what the gradient says of it, over the usual size of such a change.
pub const CHANGE_MAX: f64 = 1e-2;

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Records at most.
    pub rows: usize,
    /// Tokens of a text at most.
    pub tokens: usize,
    /// Dropout, masks and directions follow from it.
    pub step_key: u64,
    /// Parameters that the recipe keeps as they are.
    pub frozen: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            rows: 4,
            tokens: 16,
            step_key: 1,
            frozen: Vec::new(),
        }
    }
}

/// Looks at a training on a few records of a batch. The keys of a momentum encoder are those of a
/// copy of the encoder. `optimizer` does one step on the gradients that it finds, with the recipe's
/// options and no warm-up.
///
/// # Errors
/// The batch does not fit the model or a loss, or the device fails. What the doctor finds is no
/// error here; [`Report::verdict`] makes it one.
pub fn examine(
    objective: &Objective<'_>,
    batch: &Batch,
    options: &Options,
    optimizer: &mut dyn FnMut(&Parameters) -> Result<()>,
) -> Result<Report> {
    let start = Instant::now();
    let batch = cut(batch, options.rows, options.tokens);
    let sequences = Sequences::of_columns(&batch.columns);
    let parameters = objective.parameters();
    // Keys are constants of a step: they must not move with the encoder.
    let wants_keys = objective.loss.is_some_and(|loss| loss.momentum().is_some());
    let own = wants_keys.then(|| objective.encoder.copy()).transpose()?;
    let mut doctor = Doctor {
        objective: Objective {
            keys: own.as_ref(),
            ..*objective
        },
        options,
        values: Numbers::values(&parameters)?,
        report: Report {
            step: batch.step,
            size: [batch.rows(), sequences.rows(), sequences.tokens()],
            ..Report::default()
        },
        parameters,
        batch,
        sequences,
    };
    let done = doctor.examine(optimizer);
    doctor.values.restore(&doctor.parameters)?;
    doctor.parameters.clear_gradients();
    done?;
    doctor.report.elapsed = start.elapsed();
    Ok(doctor.report)
}

struct Doctor<'a> {
    objective: Objective<'a>,
    options: &'a Options,
    parameters: Parameters,
    values: Numbers,
    batch: Batch,
    sequences: Sequences,
    report: Report,
}

impl Doctor<'_> {
    fn examine(&mut self, optimizer: &mut dyn FnMut(&Parameters) -> Result<()>) -> Result<()> {
        let whole = Objective {
            chunk: 0,
            ..self.objective
        };
        let first = self.step(&whole)?;
        if self.waits_for_keys(&first.1) {
            let why = "the queue of keys is empty: the loss is constant in the first step";
            self.skip("gradients", why);
            return self.look_at_views();
        }
        self.look_at_gradients(&first);
        self.look_at_views()?;
        self.look_at_kernels(&whole, &first)?;
        self.look_at_chunks(&whole, &first)?;
        self.look_at_changes(&whole, &first.1)?;
        self.look_at_repetition(&whole, &first)?;
        self.look_at_moves(optimizer)
    }

    /// Whether a loss has nothing yet to tell its rows apart from: the first keys come after the
    /// first step.
    fn waits_for_keys(&self, gradients: &Numbers) -> bool {
        let wants = |loss: &dyn Loss| loss.momentum().is_some();
        let zero = |values: &Vec<f32>| values.iter().all(|&value| value == 0.0);
        self.objective.loss.is_some_and(wants)
            && self.objective.token_losses.is_empty()
            && gradients.0.values().all(zero)
    }

    /// Why a parameter needs no gradient.
    fn excuse(&self, name: &str) -> Option<&'static str> {
        if self.options.frozen.iter().any(|frozen| frozen == name) {
            return Some("the recipe keeps it as it is");
        }
        name.ends_with("key.bias")
            .then_some("zero by symmetry: it adds the same to all scores of a query")
    }

    /// The value and the gradients of a step; the gradients stay with the parameters, too.
    fn step(&self, objective: &Objective<'_>) -> Result<(StepValue, Numbers)> {
        self.parameters.clear_gradients();
        let value = objective.step(&self.batch, self.options.step_key, 1.0)?;
        Ok((value, Numbers::gradients(&self.parameters)?))
    }

    fn note(&mut self, name: &'static str, passed: bool, detail: String) {
        let state = if passed { State::Passed } else { State::Failed };
        self.report.checks.push(Check {
            name,
            state,
            measured: None,
            detail,
        });
    }

    fn measure(&mut self, name: &'static str, figure: (f64, f64), detail: String) {
        // What is not a number passes nothing.
        self.note(name, figure.0 <= figure.1, detail);
        let last = self.report.checks.last_mut().expect("it was just noted");
        last.measured = Some(figure);
    }

    fn skip(&mut self, name: &'static str, why: &str) {
        let (state, detail) = (State::Skipped, why.to_string());
        self.report.checks.push(Check {
            name,
            state,
            measured: None,
            detail,
        });
    }

    fn look_at_gradients(&mut self, (value, gradients): &(StepValue, Numbers)) {
        let (mut bad, mut good) = (Vec::new(), 0);
        for parameter in self.parameters.iter() {
            let name = &parameter.name;
            let size = gradients.0.get(name).map(|own| largest(own));
            let fault = match size {
                None => "has no gradient",
                Some(0.0) => "has a gradient of zeros",
                Some(size) if !size.is_finite() => "has a gradient that is not a number",
                Some(_) => {
                    good += 1;
                    continue;
                }
            };
            match self
                .excuse(name)
                .filter(|_| size.is_none_or(|size| size == 0.0))
            {
                Some(_) => good += 1,
                None => bad.push(format!("`{name}` {fault}")),
            }
        }
        for parameter in self.parameters.iter() {
            let name = &parameter.name;
            self.report
                .exceptions
                .extend(self.excuse(name).map(|why| (name.clone(), why)));
        }
        let finite = value.loss.is_finite();
        if !finite {
            bad.insert(0, format!("the loss is {}", value.loss));
        }
        let detail = match bad.is_empty() {
            true => format!("loss {:.4}, all {good} parameters have one", value.loss),
            false => listed(&bad),
        };
        self.note("gradients", bad.is_empty(), detail);
    }

    fn look_at_repetition(
        &mut self,
        whole: &Objective<'_>,
        first: &(StepValue, Numbers),
    ) -> Result<()> {
        let again = self.step(whole)?;
        let pairs = first.1.0.iter().filter(|(name, own)| {
            let others = again.1.of(name);
            let bits = |values: &[f32]| values.iter().map(|own| own.to_bits()).collect::<Vec<_>>();
            bits(own) != bits(others)
        });
        let mut differing: Vec<String> =
            pairs.map(|(name, _)| format!("`{name}` differs")).collect();
        if first.0.loss.to_bits() != again.0.loss.to_bits() {
            differing.insert(0, format!("loss {}, then {}", first.0.loss, again.0.loss));
        }
        let detail = match differing.is_empty() {
            true => "a second pass has the same bits".into(),
            false => listed(&differing),
        };
        self.note("repetition", differing.is_empty(), detail);
        Ok(())
    }

    /// One text twice in a batch: only dropout tells the two apart.
    fn look_at_views(&mut self) -> Result<()> {
        let encoder = self.objective.encoder;
        let config = &encoder.config;
        if config.hidden_dropout_prob <= 0.0 && config.attention_probs_dropout_prob <= 0.0 {
            self.skip("views", "the encoder has no dropout");
            return Ok(());
        }
        let ids = &self.sequences.ids[self.sequences.span(0)];
        let twice = Sequences::new([ids, ids]);
        let pass = Pass::training(self.objective.kernels, self.options.step_key).untracked();
        let vectors = encoder.embed(&twice, &pass)?.detach();
        let rows = vectors
            .to_device(&candle_core::Device::Cpu)?
            .to_vec2::<f32>()?;
        let (passed, detail) = match rows[0] != rows[1] {
            true => (true, "two copies of a text differ by their dropout"),
            false => (
                false,
                "two copies of a text have one vector: dropout does nothing",
            ),
        };
        self.note("views", passed, detail.into());
        Ok(())
    }

    fn look_at_kernels(
        &mut self,
        whole: &Objective<'_>,
        (value, gradients): &(StepValue, Numbers),
    ) -> Result<()> {
        if whole.kernels == Kernels::Plain {
            self.skip(
                "kernels: vectors",
                "this training uses plain operations only",
            );
            return Ok(());
        }
        let plain = Objective {
            kernels: Kernels::Plain,
            ..*whole
        };
        let (plain_value, plain) = self.step(&plain)?;
        let mut most = (value.loss - plain_value.loss).abs() / plain_value.loss.abs().max(1e-3);
        for (own, plain) in value.vectors.iter().zip(&plain_value.vectors) {
            if own.texts > 0 {
                let off = (&own.vectors - &plain.vectors)?.abs()?.max_all()?;
                let size = plain.vectors.abs()?.max_all()?;
                let (off, size) = (off.to_scalar::<f32>()?, size.to_scalar::<f32>()?);
                most = most.max(f64::from(off / size));
            }
        }
        let detail = "fused and plain operations, largest vector and loss".to_string();
        self.measure("kernels: vectors", (most, VECTORS_MAX), detail);
        let off = plain.difference(gradients, |name| self.excuse(name).is_some());
        let detail = format!("`{}` differs most", off.worst);
        self.measure("kernels: gradients", (off.worst_by, GRADIENTS_MAX), detail);
        Ok(())
    }

    fn look_at_chunks(
        &mut self,
        whole: &Objective<'_>,
        (value, gradients): &(StepValue, Numbers),
    ) -> Result<()> {
        let rows = self.sequences.rows();
        if rows < 2 {
            self.skip("chunks", "there is one sequence only");
            return Ok(());
        }
        let chunked = Objective {
            chunk: rows.div_ceil(2),
            ..*whole
        };
        let (chunked_value, chunked) = self.step(&chunked)?;
        let off = gradients.difference(&chunked, |name| self.excuse(name).is_some());
        let losses = format!("loss {} and {}", value.loss, chunked_value.loss);
        // Chunks round otherwise than the whole; a steep loss makes more of it, and its own change
        // says how much.
        let change = (chunked_value.loss - value.loss).abs() / value.loss.abs().max(1e-3);
        let most = CHUNKS_MAX + (4.0 * change).min(CHUNKS_ROUNDING_MAX);
        self.measure("chunks: all gradients", (off.total, most), losses);
        let detail = format!("`{}` differs most", off.worst);
        self.measure(
            "chunks: each gradient",
            (off.worst_by, CHUNKS_EACH_MAX),
            detail,
        );
        Ok(())
    }

    /// A step of the optimizer on the gradients that the last pass left.
    fn look_at_moves(
        &mut self,
        optimizer: &mut dyn FnMut(&Parameters) -> Result<()>,
    ) -> Result<()> {
        optimizer(&self.parameters)?;
        let after = Numbers::values(&self.parameters)?;
        let mut bad = Vec::new();
        for (name, after) in &after.0 {
            if self.excuse(name).is_none() && after == self.values.of(name) {
                bad.push(format!("`{name}` does not move"));
            }
            if !largest(after).is_finite() {
                bad.push(format!("`{name}` is not a number after it"));
            }
        }
        let detail = match bad.is_empty() {
            true => "a step of the optimizer moves every parameter".into(),
            false => listed(&bad),
        };
        self.values.restore(&self.parameters)?;
        self.note("moves", bad.is_empty(), detail);
        Ok(())
    }
}

/// The first few, and how many more there are.
fn listed(all: &[String]) -> String {
    let first: Vec<&str> = all.iter().take(5).map(String::as_str).collect();
    match all.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
