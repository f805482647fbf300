//! What a run was measured at: `evaluations/step-000250.json`, one file for each evaluation.

use std::path::{Path, PathBuf};

use juzi_schemas::{Error as Fault, dataset};

use crate::checkpoint::name;
use crate::evaluators::{Evaluation, FORMAT};
use crate::{Error, Result};

/// Directory of the evaluations in that of a run.
pub const DIR: &str = "evaluations";

fn path(run: &Path, step: u64) -> PathBuf {
    run.join(DIR).join(format!("{}.json", name(step)))
}

/// Writes the evaluation of a step as a whole. Without times, so that the same model gives the same
/// file.
///
/// # Errors
/// The disk refuses.
pub fn write(run: &Path, step: u64, evaluation: &Evaluation) -> Result<()> {
    let mut evaluation = evaluation.clone();
    let tasks = evaluation.tasks.values_mut();
    tasks.for_each(|task| task.seconds = 0.0);
    let text = serde_json::to_string_pretty(&evaluation).expect("scores have a JSON form");
    let path = path(run, step);
    std::fs::create_dir_all(run.join(DIR)).map_err(Error::input(run.join(DIR)))?;
    Ok(dataset::replace(&path, (text + "\n").as_bytes())?)
}

/// The evaluation of a step; none where there was none.
///
/// # Errors
/// The file is damaged, or of another version of juzi.
pub fn read(run: &Path, step: u64) -> Result<Option<Evaluation>> {
    let path = path(run, step);
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(Error::input(&path))?,
    };
    let wrong = |message: String| Fault::Json {
        path: path.clone(),
        what: "evaluation of a run",
        message,
    };
    let evaluation: Evaluation =
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    match evaluation.format {
        FORMAT => Ok(Some(evaluation)),
        other => Err(Error::Usage(format!(
            "{}: its format is {other}; this juzi reads {FORMAT}",
            path.display()
        ))),
    }
}

/// Deletes the evaluations of steps from `first` on: those that a run has lost.
///
/// # Errors
/// The disk refuses.
pub fn cut(run: &Path, first: u64) -> Result<()> {
    let dir = run.join(DIR);
    let files = match std::fs::read_dir(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        files => files.map_err(Error::input(&dir))?,
    };
    for file in files {
        let path = file.map_err(Error::input(&dir))?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let step = stem.strip_prefix("step-");
        let step = step.and_then(|step| step.parse::<u64>().ok());
        if step.is_some_and(|step| step >= first) {
            std::fs::remove_file(&path).map_err(Error::input(&path))?;
        }
    }
    Ok(())
}
