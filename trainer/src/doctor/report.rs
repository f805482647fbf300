//! What the doctor found: for the terminal, for the run's files, and as a yes or no.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Error, Result};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What was asked.
    pub name: &'static str,
    /// What came of it.
    pub state: State,
    /// The figure, and the largest one that passes.
    pub measured: Option<(f64, f64)>,
    /// What was found, with the names of parameters.
    pub detail: String,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it must be.
    Passed,
    /// Not as it must be.
    Failed,
    /// It could not be asked; the detail says why.
    Skipped,
}

/// What the doctor found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The step whose batch was looked at.
    pub step: u64,
    /// Records, sequences and tokens that were looked at.
    pub size: [usize; 3],
    /// All checks in their order.
    pub checks: Vec<Check>,
    /// Parameters that need no gradient, and why.
    pub exceptions: Vec<(String, &'static str)>,
    /// How long it took.
    pub elapsed: Duration,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Passed => "passed",
            State::Failed => "failed",
            State::Skipped => "skipped",
        }
    }
}

impl Report {
    /// Whether nothing failed.
    pub fn healthy(&self) -> bool {
        self.checks.iter().all(|check| check.state != State::Failed)
    }

    /// A check by its name.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// Refuses to train what is not healthy.
    ///
    /// # Errors
    /// Every check that failed, with the parameters that it names.
    pub fn verdict(&self) -> Result<()> {
        let failed = self
            .checks
            .iter()
            .filter(|check| check.state == State::Failed);
        let failed: Vec<String> = failed.map(|check| format!("{check}")).collect();
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Error::Training {
                step: self.step,
                message: format!("the gradient doctor refuses: {}", failed.join("; ")),
            }),
        }
    }

    /// The report for files; only `time` differs between two runs of the same training.
    pub fn to_json(&self) -> Value {
        let checks = self.checks.iter().map(|check| {
            json!({
                "name": check.name,
                "state": check.state.word(),
                "measured": check.measured.map(|(measured, _)| measured),
                "tolerance": check.measured.map(|(_, tolerance)| tolerance),
                "detail": check.detail,
            })
        });
        let exceptions = self.exceptions.iter();
        let exceptions =
            exceptions.map(|(name, reason)| json!({ "parameter": name, "reason": reason }));
        let [records, sequences, tokens] = self.size;
        json!({
            "healthy": self.healthy(),
            "step": self.step,
            "records": records,
            "sequences": sequences,
            "tokens": tokens,
            "checks": checks.collect::<Vec<_>>(),
            "exceptions": exceptions.collect::<Vec<_>>(),
            "time": { "seconds": self.elapsed.as_secs_f64() },
        })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.name)?;
        if let Some((measured, tolerance)) = self.measured {
            write!(out, ": {measured:.1e} (at most {tolerance:.0e})")?;
        }
        match self.detail.is_empty() {
            true => Ok(()),
            false => write!(out, ": {}", self.detail),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [records, sequences, tokens] = self.size;
        let word = if self.healthy() {
            "healthy"
        } else {
            "not healthy"
        };
        writeln!(
            out,
            "gradient doctor: {word}   {records} records, {sequences} sequences, {tokens} tokens \
             of step {}   {:.1} s",
            self.step,
            self.elapsed.as_secs_f64()
        )?;
        for check in &self.checks {
            writeln!(out, "  {:<8}{check}", check.state.word())?;
        }
        for (name, reason) in &self.exceptions {
            writeln!(out, "  excused {name}: {reason}")?;
        }
        Ok(())
    }
}
