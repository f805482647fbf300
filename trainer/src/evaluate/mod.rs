//! An evaluation asked for by a user: models and baselines side by side on some tasks, with what is
//! known of each and a look for the tasks' texts in the training text.
//!
//! ```text
//! MODEL, baselines ─▶ contenders ─┐
//! TASKS ─▶ recognition ───────────┴▶ measure ─▶ Evaluation of each ─┐
//! datasets ─▶ leaks ────────────────────────────────────────────────┴▶ Report ─▶ table, JSON
//! ```

mod about;
mod contenders;
mod recognition;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;

use juzi_schemas::manifest::Manifest;
use serde::{Deserialize, Serialize};

use crate::evaluators::{Evaluation, FORMAT, Task};
use crate::export::Step;
use crate::leaks::{self, Leaks};
use crate::{Error, Result};

pub use contenders::BASELINES;
use contenders::Contender;
use recognition::Set;
pub use table::Style;

/// What to evaluate, and on what.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Runs, checkpoints, folders of models, or baselines by name; the first one is what the others
    /// stand beside.
    pub models: Vec<String>,
    /// Whether all baselines stand beside them.
    pub baselines: bool,
    /// Word vectors for the baseline of averaged word vectors.
    pub words: Option<PathBuf>,
    /// Files of tasks, files and folders that are recognised as tasks.
    pub tasks: Vec<PathBuf>,
    /// Datasets with training text; empty for those that the runs were trained on.
    pub data: Vec<PathBuf>,
    /// Which checkpoint of the runs is meant.
    pub step: Option<Step>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the layout.
    pub format: u32,
    /// What each model scored, in the order in which they were named.
    pub evaluations: Vec<Evaluation>,
    /// What could not be measured or looked for, and why.
    pub notes: Vec<String>,
    /// Datasets that the texts of the tasks were looked for in.
    pub datasets: Vec<PathBuf>,
    /// What was found there, by task; empty without datasets.
    pub leaks: BTreeMap<String, Leaks>,
}

/// Evaluates; `tell` gets the talk.
///
/// # Errors
/// A task or a model is not what it should be; a model cannot be measured.
pub fn run(request: &Request, tell: &mut dyn FnMut(&str)) -> Result<Report> {
    let sets = recognition::read(&request.tasks)?;
    for dataset in &request.data {
        Manifest::read(dataset)?;
    }
    let mut contenders = contenders::open(request, tell)?;
    let mut report = Report {
        format: FORMAT,
        evaluations: Vec::new(),
        notes: Vec::new(),
        datasets: Vec::new(),
        leaks: BTreeMap::new(),
    };
    for contender in &mut contenders {
        let evaluation = measure(contender, &sets, &mut report.notes, tell)?;
        report.evaluations.push(evaluation);
    }
    report.datasets = datasets(request, &contenders, &mut report.notes);
    if !report.datasets.is_empty() {
        tell("# looking for the texts of the tasks in the training text");
        let tasks = sets.iter().flat_map(|set| &set.tasks);
        let tasks = tasks.map(|task| (task.name.as_str(), task.evaluator.texts()));
        report.leaks = leaks::search(&tasks.collect::<Vec<_>>(), &report.datasets)?;
    }
    Ok(report)
}

/// Measures one contender on all tasks. A baseline may be of no use for a task, which is a note; a
/// model must be.
fn measure(
    contender: &mut Contender,
    sets: &[Set],
    notes: &mut Vec<String>,
    tell: &mut dyn FnMut(&str),
) -> Result<Evaluation> {
    let mut whole = Evaluation {
        format: FORMAT,
        model: contender.name.clone(),
        step: contender.step,
        about: about::of(contender, sets)?,
        tasks: BTreeMap::new(),
    };
    for set in sets {
        for task in &set.tasks {
            tell(&format!("# {}: {}", contender.name, task.name));
            let one = std::slice::from_ref::<Task>(task);
            match contender.measure(&set.prompts, one) {
                Ok(evaluation) => whole.tasks.extend(evaluation.tasks),
                Err(Error::Task { task, source }) if contender.is_baseline() => {
                    notes.push(format!("{}: task {task}: {source}", contender.name));
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(whole)
}

/// Where training text is: as it was asked, or as the runs say.
fn datasets(request: &Request, contenders: &[Contender], notes: &mut Vec<String>) -> Vec<PathBuf> {
    if !request.data.is_empty() {
        return request.data.clone();
    }
    let mut found: Vec<PathBuf> = Vec::new();
    for contender in contenders {
        match &contender.dataset {
            Some(dataset) if !dataset.join("manifest.json").exists() => notes.push(format!(
                "{}: its training text, {}, is not here: no look for leaks; name it with --data DIR",
                contender.name,
                dataset.display()
            )),
            Some(dataset) if !found.contains(dataset) => found.push(dataset.clone()),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
