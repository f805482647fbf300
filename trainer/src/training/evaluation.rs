//! `[evaluation]`: what a training is measured on while it goes on, and what of it decides.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::evaluators::Tasks;

/// `[evaluation]`.
///
/// The tasks stand in `[evaluation.tasks.NAME]` and what stands before texts in
/// `[evaluation.prompts]`, as in a file of tasks. Where there is a moving average, the average is
/// measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationOptions {
    /// Steps from evaluation to evaluation; 0: only before the first step and after the last.
    pub steps: u64,
    /// Whether the model is measured before the first step too.
    pub before: bool,
    /// What says which checkpoint is the best: `task.metric`, or `task` for its primary metric; "":
    /// the mean loss. Where a metric decides, there is a checkpoint at each evaluation, and only
    /// these count for `[training] keep_best` and `early_stop`.
    pub decides: String,
    /// A file of tasks in place of the tables, relative to the recipe.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// The tasks.
    #[serde(flatten)]
    pub tasks: Tasks,
}

impl Default for EvaluationOptions {
    fn default() -> EvaluationOptions {
        EvaluationOptions {
            steps: 0,
            before: true,
            decides: String::new(),
            file: String::new(),
            tasks: Tasks::default(),
        }
    }
}

impl EvaluationOptions {
    /// Checks all values that can be checked without files.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> std::result::Result<(), String> {
        let named = |message: String| message.replacen("[tasks.", "[evaluation.tasks.", 1);
        self.tasks.check().map_err(named)?;
        if !self.decides.is_empty() && !self.before {
            return Err(
                "[evaluation] before = false: where a metric decides, true is accepted; what \
                 metrics a task has is known once it was measured"
                    .into(),
            );
        }
        match (self.file.is_empty(), self.tasks == Tasks::default()) {
            (true, _) => self.check_task(),
            (false, true) => Ok(()),
            (false, false) => Err(
                "[evaluation] file: only one of it and the tables [evaluation.tasks] and \
                 [evaluation.prompts] is accepted"
                    .into(),
            ),
        }
    }

    /// Whether there are tasks, and that which decides is one of them.
    fn check_task(&self) -> std::result::Result<(), String> {
        let tasks = &self.tasks.tasks;
        if tasks.is_empty() {
            return Err(
                "[evaluation]: no task is named; write [evaluation.tasks.NAME] or file".into(),
            );
        }
        let task = self.decides.rsplit_once('.').map(|(task, _)| task);
        let known = |name: &str| tasks.contains_key(name);
        match self.decides.is_empty() || known(&self.decides) || task.is_some_and(known) {
            true => Ok(()),
            false => {
                let names: Vec<&str> = tasks.keys().map(String::as_str).collect();
                Err(format!(
                    "[evaluation] decides = \"{}\": a task, or a task and a metric with a dot \
                     between; the tasks are {}",
                    self.decides,
                    names.join(", ")
                ))
            }
        }
    }

    /// Makes places relative to a directory into places.
    pub fn place_files(&mut self, base: &Path) {
        if !self.file.is_empty() {
            self.file = base.join(&self.file).to_string_lossy().into_owned();
        }
        self.tasks.place_files(base);
    }

    /// Takes places away.
    pub fn clear_files(&mut self) {
        self.file.clear();
        self.tasks.clear_files();
    }

    /// Takes the tasks from the file that is named, where one is: its values are those of the
    /// recipe then.
    ///
    /// # Errors
    /// It cannot be read, or does not fit the rest.
    pub fn take_file(&mut self) -> Result<()> {
        if self.file.is_empty() {
            return Ok(());
        }
        let file = std::mem::take(&mut self.file);
        self.tasks = Tasks::read(Path::new(&file))?;
        self.check_task().map_err(crate::Error::Usage)
    }

    /// Whether the model is measured after a step that is not the last.
    pub fn due(&self, step: u64) -> bool {
        self.steps > 0 && step.is_multiple_of(self.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::EvaluationOptions;

    const TASK: &str = "[tasks.sts]\nevaluator = 'similarity'\nfiles = ['sts.tsv']\n";

    fn read(text: &str) -> Result<EvaluationOptions, String> {
        let options: EvaluationOptions = toml::from_str(text).map_err(|error| error.to_string())?;
        options.check().map(|()| options)
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            (String::new(), "no task is named"),
            (
                format!("decides = 'stz.spearman'\n{TASK}"),
                "\"stz.spearman\": a task, or a task and a metric with a dot between; the tasks are sts",
            ),
            (format!("decides = 'spearman'\n{TASK}"), "the tasks are sts"),
            (
                format!("decides = 'sts'\nbefore = false\n{TASK}"),
                "before = false",
            ),
            (format!("file = 'tasks.toml'\n{TASK}"), "only one of it"),
            (format!("step = 5\n{TASK}"), "step"),
            (
                "[tasks.sts]\nevaluator = 'similarity'".into(),
                "[evaluation.tasks.sts] file",
            ),
        ] {
            let message = read(&text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for head in [
            "",
            "steps = 5\ndecides = 'sts.spearman'\n",
            "before = false\n",
        ] {
            let prompts = "[prompts]\nquery = 'q: '\n";
            let options = read(&format!("{head}{prompts}{TASK}")).unwrap();
            let text = toml::to_string(&options).unwrap();
            assert_eq!(read(&text).unwrap(), options, "{text}");
        }
        let options = read("file = 'tasks.toml'\ndecides = 'x.y'").unwrap();
        assert!((1..20).all(|step| !options.due(step)));
    }
}
