//! Tasks: which texts a model is measured on, and by which evaluator.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{Embedder, Evaluation, Evaluator, FORMAT, Options, TaskScores};
use crate::{Error, Result};

/// A file of tasks, and the same tables in a recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tasks {
    /// What stands before texts.
    pub prompts: Prompts,
    /// The tasks by name: `[tasks.NAME]` with `evaluator` and its keys.
    pub tasks: BTreeMap<String, Options>,
}

/// What stands before texts, in place of the model's own prompts; "" for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prompts {
    /// Before queries [the model's prompt `query`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Before documents [the model's prompt `document`, `passage` or `corpus`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Before all other texts [the model's default prompt].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A task whose files were read.
pub struct Task {
    /// Its name.
    pub name: String,
    /// Name of its evaluator.
    pub kind: &'static str,
    /// What it is measured by.
    pub evaluator: Box<dyn Evaluator>,
}

impl Tasks {
    /// Reads a file of tasks; files named in it are relative to it.
    ///
    /// # Errors
    /// It cannot be read, or says something that cannot be.
    pub fn read(path: &Path) -> Result<Tasks> {
        let text = std::fs::read_to_string(path).map_err(Error::input(path))?;
        let wrong = |message| Error::Recipe {
            path: path.into(),
            message,
        };
        let mut tasks: Tasks = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        tasks.check().map_err(wrong)?;
        if tasks.tasks.is_empty() {
            return Err(wrong(
                "no task is named; write [tasks.NAME] with `evaluator`".into(),
            ));
        }
        tasks.place_files(path.parent().unwrap_or(Path::new("")));
        Ok(tasks)
    }

    /// Checks the values of all tasks.
    ///
    /// # Errors
    /// The task, the key, its value and what is accepted.
    pub fn check(&self) -> std::result::Result<(), String> {
        for (name, options) in &self.tasks {
            let checked = options.check();
            checked.map_err(|message| format!("[tasks.{name}] {message}"))?;
        }
        Ok(())
    }

    /// Makes places relative to a directory into places.
    pub fn place_files(&mut self, base: &Path) {
        self.tasks
            .values_mut()
            .for_each(|task| task.place_files(base));
    }

    /// Takes places away: what is left is what results follow from, besides the files.
    pub fn clear_files(&mut self) {
        self.tasks.values_mut().for_each(Options::clear_files);
    }

    /// Reads the files of all tasks.
    ///
    /// # Errors
    /// A file is missing or is not what it should be.
    pub fn open(&self) -> Result<Vec<Task>> {
        let all = self.tasks.iter();
        all.map(|(name, options)| {
            Ok(Task {
                name: name.clone(),
                kind: options.kind(),
                evaluator: options.open()?,
            })
        })
        .collect()
    }
}

/// Measures an embedder on tasks, one after another; `tell` hears the name of each before it begins.
///
/// # Errors
/// As [`Evaluator::evaluate`], with the name of the task.
pub fn measure(
    tasks: &[Task],
    embedder: &mut dyn Embedder,
    model: &str,
    tell: &mut dyn FnMut(&str),
) -> Result<Evaluation> {
    let mut evaluation = Evaluation {
        format: FORMAT,
        model: model.into(),
        step: None,
        about: BTreeMap::new(),
        tasks: BTreeMap::new(),
    };
    for task in tasks {
        tell(&task.name);
        // What was counted for the task before is of no use for this one.
        embedder.fit(&[]);
        let started = Instant::now();
        let scores = task.evaluator.evaluate(embedder);
        let scores = scores.map_err(|error| Error::Task {
            task: task.name.clone(),
            source: Box::new(error),
        })?;
        let found = TaskScores {
            evaluator: task.kind.into(),
            fingerprint: task.evaluator.fingerprint(),
            scores,
            seconds: started.elapsed().as_secs_f64(),
        };
        evaluation.tasks.insert(task.name.clone(), found);
    }
    Ok(evaluation)
}
