//! One run of an experiment: how it stands, and its training.

use std::path::{Path, PathBuf};

use candle_core::Device;
use juzi_schemas::manifest::Manifest;

use super::News;
use super::file::model_of;
use crate::events::{self, Reader};
use crate::loader::{self, Feed, Seen, Threads};
use crate::recipe::Recipe;
use crate::training::{Ending, Model, Setup, Start, Training};
use crate::{Error, Result, export, report};

/// A run to be: one arm, one seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// What a person calls it.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// Its recipe.
    pub recipe: Recipe,
    /// Whether another arm begins from it.
    pub is_followed: bool,
    /// Whether the gradient doctor looks at it.
    pub doctor: bool,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not begun.
    New,
    /// It was stopped or killed.
    Begun,
    /// All its steps were taken, so many.
    Complete(u64),
}

/// What the log of a run says of the whole of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// The step at which it came to its end.
    pub ended: Option<u64>,
    /// How long its steps took, over all times that it was resumed; what a kill lost is not in it.
    pub seconds: f64,
}

impl Told {
    /// Reads a log.
    ///
    /// # Errors
    /// It is damaged.
    pub fn of(run: &Path) -> Result<Told> {
        let mut told = Told::default();
        if !run.join(events::FILE).exists() {
            return Ok(told);
        }
        let mut since = 0.0;
        for event in Reader::open(run)? {
            let event = event?;
            match event["kind"].as_str() {
                Some("start" | "resume") => {
                    told.ended = None;
                    told.seconds += std::mem::take(&mut since);
                }
                Some("step") => since = event["time"]["seconds"].as_f64().unwrap_or(since),
                Some("stop") => {
                    let end = matches!(event["reason"].as_str(), Some("complete" | "early_stop"));
                    told.ended = event["step"].as_u64().filter(|_| end);
                }
                _ => {}
            }
        }
        told.seconds += since;
        Ok(told)
    }
}

impl Run {
    /// How it stands.
    ///
    /// # Errors
    /// The directory holds the run of another recipe or dataset; the keys that differ are named.
    pub fn standing(&self) -> Result<Standing> {
        let own = self.dir.join(loader::RECIPE);
        if !own.exists() {
            return Ok(Standing::New);
        }
        let differences = self.recipe.differences(&Recipe::read(&own)?);
        if !differences.is_empty() {
            return Err(Error::Usage(format!(
                "{}: the run is of another recipe:\n  {}\ngive the arm its old values or another \
                 name, or take the directory away",
                self.dir.display(),
                differences.join("\n  ")
            )));
        }
        let dataset = self.recipe.data.dir(None).map_err(Error::Usage)?;
        // A run that is complete may outlive its dataset.
        if self.dir.join(loader::FILE).exists() && dataset.exists() {
            let there = Seen::read(&self.dir)?.dataset;
            let here = Manifest::read(&dataset)?.fingerprint;
            if there != here {
                return Err(Error::Usage(format!(
                    "{}: the run is of another dataset: {there} there, {here} here; give the arm \
                     its old dataset or another name, or take the directory away",
                    self.dir.display()
                )));
            }
        }
        Ok(match Told::of(&self.dir)?.ended {
            Some(step) => Standing::Complete(step),
            None => Standing::Begun,
        })
    }

    /// Trains to the end, from wherever it stands. Gives its last step.
    ///
    /// # Errors
    /// As a training; or it was interrupted.
    pub fn train(
        &self,
        threads: Threads,
        stop: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<u64> {
        let start = match self.standing()? {
            Standing::Complete(step) => return self.exported(step),
            Standing::Begun => Start::Resume,
            Standing::New => Start::New,
        };
        if stop() {
            return Err(interrupted());
        }
        let recipe = self.recipe.clone();
        let model = Model::open(&recipe, &Device::cuda_if_available(0)?)?;
        for message in &model.encoder.messages {
            tell(News::Line(message));
        }
        let setup = Setup {
            feed: Feed::open(&recipe, None)?,
            recipe,
            model,
            run: self.dir.clone(),
            threads,
        };
        let found = match self.doctor && start == Start::New {
            true => Some(setup.examine()?),
            false => None,
        };
        if let Some(found) = &found {
            found.verdict()?;
        }
        let (mut training, messages) = Training::open(setup, start)?;
        messages.iter().for_each(|line| tell(News::Line(line)));
        if let Some(found) = &found {
            training.tell_doctor(found)?;
        }
        let ending = training.run(stop, &mut |progress| tell(News::Step(progress)));
        tell(News::Trained);
        if let Err(error) = report::write(&self.dir) {
            tell(News::Line(&format!("no report: {error}")));
        }
        match ending? {
            Ending::Interrupted => Err(interrupted()),
            Ending::Complete | Ending::EarlyStop => self.exported(training.position().step),
        }
    }

    /// Exports the model where another arm begins from it.
    fn exported(&self, step: u64) -> Result<u64> {
        let model = model_of(&self.dir);
        if self.is_followed && !model.exists() {
            export::open(&self.dir, None, false)?.write(&model)?;
        }
        Ok(step)
    }
}

/// What is said where a person stops an experiment.
pub fn interrupted() -> Error {
    Error::Interrupted {
        resume: String::new(),
    }
}
