//! Checkpoints: each a directory that is there as a whole or not at all.
//!
//! ```text
//! checkpoints/latest                 "step-002000", replaced by rename
//!             best                   the same, where one is kept
//!             step-002000/state.json     position, schedule, hashes of recipe, data and all files
//!                         config.json, model.safetensors      the encoder, as Hugging Face names it
//!                         heads.safetensors                   parameters of losses
//!                         optimizer.safetensors               moments
//!                         average.safetensors, keys.safetensors, loss.safetensors   where there are
//!                         data.json                           what was seen
//! ```
//! Files are written into a hidden directory and synced, then this is renamed and its parent synced.
//! So what has a name is complete; what was damaged later is found by its hash, and refused.

mod exact;
mod find;
mod open;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::{Tensor, safetensors};
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::{Error as Fault, dataset, fault, space};

use crate::{Error, Result};

pub use find::{Step, find, is_checkpoint, is_run, run_of, weight_files, weights};
pub use open::{Checkpoint, Newest};
pub use state::{Best, FORMAT, FileProof, Position, State, Sum, Watch};

/// Directory of the checkpoints in that of a run.
pub const DIR: &str = "checkpoints";

/// The small file that names the newest checkpoint.
pub const LATEST: &str = "latest";

/// The small file that names the best checkpoint.
pub const BEST: &str = "best";

/// The encoder.
pub const MODEL: &str = "model.safetensors";

/// Sizes of the encoder.
pub const CONFIG: &str = "config.json";

/// Parameters of losses.
pub const HEADS: &str = "heads.safetensors";

/// Moments.
pub const OPTIMIZER: &str = "optimizer.safetensors";

/// Moving average of all parameters.
pub const AVERAGE: &str = "average.safetensors";

/// The encoder of keys.
pub const KEYS: &str = "keys.safetensors";

/// State of the loss.
pub const LOSS: &str = "loss.safetensors";

/// What was seen.
pub const SEEN: &str = "data.json";

const STATE: &str = "state.json";

/// Beside its tensors a checkpoint is small; this much is asked for too.
const SPARE_BYTES: u64 = 1 << 20;

/// The checkpoints of a run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    dir: PathBuf,
    /// How many of the newest are kept.
    pub keep_last: usize,
    /// Whether the best is kept too.
    pub keep_best: bool,
}

/// What goes into a checkpoint.
#[derive(Clone, Debug)]
pub struct Contents {
    /// All but `files` and `check`, which are found while writing.
    pub state: State,
    /// Files of tensors by name; empty ones are left out.
    pub tensors: Vec<(&'static str, BTreeMap<String, Tensor>)>,
    /// Other files by name.
    pub texts: Vec<(&'static str, String)>,
}

/// Name of the checkpoint of a step.
pub fn name(step: u64) -> String {
    format!("step-{step:06}")
}

/// The step of a checkpoint's name.
fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.parse().ok()
}

impl Contents {
    /// Bytes that it will take on the disk, rounded up.
    pub fn bytes(&self) -> u64 {
        let tensors = self
            .tensors
            .iter()
            .flat_map(|(_, tensors)| tensors.values());
        let bytes =
            tensors.map(|tensor| (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64);
        bytes.sum::<u64>() + SPARE_BYTES
    }
}

impl Checkpoints {
    /// The checkpoints of a run.
    pub fn new(run: &Path, keep_last: usize, keep_best: bool) -> Checkpoints {
        Checkpoints {
            dir: run.join(DIR),
            keep_last,
            keep_best,
        }
    }

    /// Writes a checkpoint as a whole, points at it, and deletes those that are not kept.
    ///
    /// # Errors
    /// The disk has too little room or refuses; what was there before is still whole.
    pub fn write(&self, contents: Contents) -> Result<PathBuf> {
        let step = contents.state.position.step;
        self.room(step, contents.bytes())?;
        let temporary = self.hidden(&name(step));
        remove(&temporary)?;
        let position = contents.state.position;
        if let Err(error) = fill(&temporary, contents) {
            // Half a checkpoint only takes room away; the error is what matters.
            let _ = remove(&temporary);
            return Err(error);
        }
        let path = self.dir.join(name(step));
        if path.exists() {
            self.delete(&name(step))?;
        }
        fault::point("before renaming a checkpoint");
        std::fs::rename(&temporary, &path).map_err(Fault::io(&path))?;
        dataset::sync_directory(&self.dir)?;
        fault::point("after renaming a checkpoint");
        self.settle(&position)?;
        Ok(path)
    }

    /// Points at the newest checkpoint and the best one, and deletes those that are not kept: after
    /// each is written, and when a run goes on, since a kill may have come between.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn settle(&self, position: &Position) -> Result<()> {
        self.point(LATEST, position.step)?;
        let best = position.best.map(|best| best.step);
        let best = best.filter(|&step| self.keep_best && self.dir.join(name(step)).exists());
        if let Some(step) = best {
            self.point(BEST, step)?;
        }
        self.prune(position.step, best)
    }

    /// Refuses a disk that has no room for so many bytes.
    ///
    /// # Errors
    /// How much is needed, and how much there is.
    pub fn room(&self, step: u64, needed: u64) -> Result<()> {
        std::fs::create_dir_all(&self.dir).map_err(Fault::io(&self.dir))?;
        let free = space::free(&self.dir)?;
        Room { free, needed }.check(&self.dir, step)
    }

    fn point(&self, file: &str, step: u64) -> Result<()> {
        let text = format!("{}\n", name(step));
        Ok(dataset::replace(&self.dir.join(file), text.as_bytes())?)
    }

    /// Steps that have a checkpoint, the newest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let mut steps = self.names()?;
        steps.sort_unstable_by(|one, other| other.cmp(one));
        Ok(steps)
    }

    fn names(&self) -> Result<Vec<u64>> {
        let entries = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(Fault::io(&self.dir))?,
        };
        let mut steps = Vec::new();
        for entry in entries {
            let name = entry.map_err(Fault::io(&self.dir))?.file_name();
            steps.extend(step_of(&name.to_string_lossy()));
        }
        Ok(steps)
    }

    /// Deletes all up to a step but the newest and the best, and what a crash left half done. Later
    /// ones are damaged, or the run would stand there; they count for nothing.
    fn prune(&self, newest: u64, best: Option<u64>) -> Result<()> {
        let steps = self.steps()?.into_iter().filter(|&step| step <= newest);
        for step in steps.skip(self.keep_last.max(1)) {
            if Some(step) != best {
                self.delete(&name(step))?;
            }
        }
        for entry in std::fs::read_dir(&self.dir).map_err(Fault::io(&self.dir))? {
            let path = entry.map_err(Fault::io(&self.dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(".step-") {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Hides a checkpoint and deletes it, so that none is ever half there under its name.
    fn delete(&self, name: &str) -> Result<()> {
        let hidden = self.dir.join(format!(".{name}.old"));
        remove(&hidden)?;
        let path = self.dir.join(name);
        std::fs::rename(&path, &hidden).map_err(Fault::io(&path))?;
        fault::point("before deleting a checkpoint");
        remove(&hidden)
    }

    fn hidden(&self, name: &str) -> PathBuf {
        self.dir.join(format!(".{name}.tmp"))
    }
}

/// Room on a disk, in bytes.
struct Room {
    free: u64,
    needed: u64,
}

impl Room {
    fn check(&self, dir: &Path, step: u64) -> Result<()> {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        match self.free >= self.needed {
            true => Ok(()),
            false => Err(Error::Training {
                step,
                message: format!(
                    "{}: a checkpoint takes {:.1} MB, and {:.1} MB are free; make room and go on \
                     with --resume",
                    dir.display(),
                    megabytes(self.needed),
                    megabytes(self.free)
                ),
            }),
        }
    }
}

/// Writes and syncs all files of a checkpoint into a new directory.
fn fill(dir: &Path, contents: Contents) -> Result<()> {
    let Contents {
        mut state,
        tensors,
        texts,
    } = contents;
    let step = state.position.step;
    std::fs::create_dir_all(dir).map_err(Fault::io(dir))?;
    for (name, tensors) in tensors {
        if tensors.is_empty() {
            continue;
        }
        let path = dir.join(name);
        let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
        let saved = safetensors::save(&tensors, &path);
        saved.map_err(|error| Error::Training {
            step,
            message: format!(
                "{}: {error}; the checkpoints before it hold",
                path.display()
            ),
        })?;
        fault::point("after writing tensors");
        state.files.insert(name.into(), prove(&path)?);
    }
    for (name, text) in texts {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(Fault::io(&path))?;
        state.files.insert(name.into(), prove(&path)?);
    }
    let path = dir.join(STATE);
    let state = serde_json::to_string_pretty(&state.sealed());
    let state = state.expect("a state has a JSON form");
    std::fs::write(&path, state + "\n").map_err(Fault::io(&path))?;
    prove(&path)?;
    fault::point("after writing a state");
    Ok(dataset::sync_directory(dir)?)
}

/// Syncs a file; gives what it holds.
fn prove(path: &Path) -> Result<FileProof> {
    let synced = File::open(path).and_then(|file| {
        file.sync_all()?;
        file.metadata()
    });
    Ok(FileProof {
        bytes: synced.map_err(Fault::io(path))?.len(),
        hash: Fingerprint::of_file(path)?,
    })
}

fn remove(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Fault::io(dir)(error).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
