//! Finding a checkpoint of a run, and which of its files hold the weights that are used.

use std::path::{Path, PathBuf};

use super::{AVERAGE, BEST, CONFIG, DIR, HEADS, LATEST, MODEL, STATE, name};
use crate::loader::{FILE, RECIPE};
use crate::{Error, Result};

/// Which checkpoint of a run is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Step {
    /// The newest.
    #[default]
    Latest,
    /// The best.
    Best,
    /// That of a step.
    Number(u64),
}

/// Whether a directory is that of a run: a recipe alone does not make one.
pub fn is_run(dir: &Path) -> bool {
    let begun = dir.join(DIR).exists() || dir.join(FILE).exists();
    // No path means none, not the directory where juzi was started.
    !dir.as_os_str().is_empty() && begun && dir.join(RECIPE).exists()
}

/// Whether a directory is a checkpoint.
pub fn is_checkpoint(dir: &Path) -> bool {
    !dir.as_os_str().is_empty() && dir.join(STATE).exists() && dir.join(CONFIG).exists()
}

/// The run that a checkpoint stands in; none where the directory is no checkpoint of a run.
pub fn run_of(dir: &Path) -> Option<PathBuf> {
    let whole = dir.canonicalize().ok().filter(|_| is_checkpoint(dir))?;
    let run = whole.ancestors().nth(2)?;
    run.join(RECIPE).exists().then(|| run.into())
}

/// The directory of a checkpoint of a run.
///
/// # Errors
/// There is no such checkpoint; those that there are.
pub fn find(run: &Path, step: Step) -> Result<PathBuf> {
    let all = run.join(DIR);
    let name = match step {
        Step::Number(number) => name(number),
        Step::Latest | Step::Best => {
            let path = all.join(if step == Step::Best { BEST } else { LATEST });
            if !path.exists() {
                return Err(Error::Usage(format!(
                    "{}: no checkpoint is called so; the run has not come to one yet",
                    path.display()
                )));
            }
            let text = std::fs::read_to_string(&path).map_err(Error::input(&path))?;
            text.trim().trim_matches('"').to_string()
        }
    };
    let dir = all.join(&name);
    if dir.join(CONFIG).exists() {
        return Ok(dir);
    }
    let files = std::fs::read_dir(&all).map_err(Error::input(&all))?;
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("step-")).collect();
    names.sort();
    Err(Error::Usage(format!(
        "{}: no checkpoint {name}; there are {}",
        all.display(),
        names.join(", ")
    )))
}

/// The file of a checkpoint with the weights that are used: the moving average where there is one.
pub fn weights(checkpoint: &Path) -> &'static str {
    match checkpoint.join(AVERAGE).exists() {
        true => AVERAGE,
        false => MODEL,
    }
}

/// All files of those weights, heads of the training too.
pub fn weight_files(checkpoint: &Path) -> Vec<PathBuf> {
    let mut files = vec![checkpoint.join(weights(checkpoint))];
    let heads = checkpoint.join(HEADS);
    // The average is one of heads too.
    if weights(checkpoint) == MODEL && heads.exists() {
        files.push(heads);
    }
    files
}
