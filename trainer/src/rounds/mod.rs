//! Rounds: trainings one after another, each on hard negatives that the one before it mined (ANCE).
//!
//! ```text
//! round 1 ─▶ model ─▶ vectors of all texts ─▶ juzi run: negatives, batches ─▶ round 2 ─▶ …
//! ```
//! Xiong et al., "Approximate Nearest Neighbor Negative Contrastive Learning for Dense Text
//! Retrieval" (2020), with the index made anew between trainings instead of beside one. Each part
//! is left as it is once it is complete. The front program is met on disk and by its command line.

mod mine;
mod plan;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::experiment::{News, Run, Standing, model_of};
use crate::loader::Threads;
use crate::recipe::Recipe;
use crate::{Error, Result};

/// `[rounds]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoundsOptions {
    /// Trainings, each from the weights of the one before.
    pub number: usize,
    /// The plan whose `[negatives]` and `[batches]` are made again before each training, relative to
    /// the recipe; its other datasets are those beside the recipe's.
    pub plan: String,
    /// Whether they are made again before the first training too, by the model that it begins from;
    /// else that one sees the recipe's own dataset.
    pub mine_first: bool,
}

impl Default for RoundsOptions {
    fn default() -> RoundsOptions {
        RoundsOptions {
            number: 3,
            plan: String::new(),
            mine_first: false,
        }
    }
}

impl RoundsOptions {
    /// Checks all values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> std::result::Result<(), String> {
        if !(1..=1000).contains(&self.number) {
            let number = self.number;
            return Err(format!("[rounds] number = {number}: 1 to 1000 is accepted"));
        }
        match self.plan.is_empty() {
            true => Err("[rounds] plan: no plan is named".into()),
            false => Ok(()),
        }
    }

    /// Puts the names of files below the directory of the recipe.
    pub fn place_files(&mut self, base: &Path) {
        if !self.plan.is_empty() {
            self.plan = base.join(&self.plan).to_string_lossy().into_owned();
        }
    }
}

/// What rounds need besides their recipe.
#[derive(Clone, Debug)]
pub struct Request {
    /// The directory of all rounds.
    pub run: PathBuf,
    /// The dataset of the first round, in place of the recipe's.
    pub data: Option<PathBuf>,
    /// Threads of the feed; they change no result.
    pub threads: Threads,
    /// The front program.
    pub program: PathBuf,
    /// Whether the gradient doctor looks at the first training.
    pub doctor: bool,
}

/// The directory of a round, from 1 on.
pub fn dir_of(run: &Path, number: usize) -> PathBuf {
    run.join(format!("round-{number}"))
}

/// The front program: beside this one, else by its name.
pub fn front_program() -> PathBuf {
    let beside = std::env::current_exe().ok();
    let beside = beside.map(|program| program.with_file_name("juzi"));
    beside
        .filter(|program| program.is_file())
        .unwrap_or_else(|| "juzi".into())
}

/// Trains all rounds, or goes on where a run of them was stopped. Gives the run of the last one.
///
/// # Errors
/// As a training, as embedding; the front program fails; a round is there by another recipe.
pub fn run(
    recipe: &Recipe,
    request: &Request,
    stop: &(dyn Fn() -> bool + Sync),
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Run> {
    let Some(rounds) = &recipe.rounds else {
        return Err(Error::Defect("rounds without their table".into()));
    };
    // Better now than after the first training.
    std::fs::metadata(&rounds.plan).map_err(Error::input(&rounds.plan))?;
    // The datasets that the plan has made stand beside that of the first round.
    let first = recipe.data.dir(request.data.as_deref());
    let first = std::path::absolute(first.map_err(Error::Usage)?);
    let first = first.map_err(Error::input(&request.run))?;
    let made = first.parent().unwrap_or(Path::new("")).to_path_buf();
    let run_dir = std::path::absolute(&request.run).map_err(Error::input(&request.run))?;
    let mut last = None;
    for number in 1..=rounds.number {
        let dir = dir_of(&run_dir, number);
        let mut own = recipe.clone();
        own.rounds = None;
        own.data.dataset = first.to_string_lossy().into_owned();
        let model = (number > 1).then(|| model_of(&dir_of(&run_dir, number - 1)));
        if let Some(model) = &model {
            begin_from(&mut own, model);
        }
        let mut run = Run {
            name: format!("round {number}"),
            dir,
            recipe: own,
            is_followed: true,
            doctor: request.doctor && number == 1,
        };
        tell(News::Line(&format!(
            "round {number} of {}: {}",
            rounds.number,
            run.dir.display()
        )));
        if number > 1 || rounds.mine_first {
            run.recipe.data.dataset = mine::batches_of(&run.dir).to_string_lossy().into_owned();
            if run.recipe.data.synonyms.is_empty() {
                let synonyms = made.join("synonyms").to_string_lossy().into_owned();
                run.recipe.data.synonyms = synonyms;
            }
            // A training that has begun has its batches.
            if !mine::is_made(&run.dir) || run.standing()? == Standing::New {
                let from = mine::Mining {
                    run: &run,
                    rounds,
                    made: &made,
                    program: &request.program,
                    model,
                };
                from.run(stop, tell)?;
            }
        }
        run.train(request.threads, stop, tell)?;
        last = Some(run);
    }
    last.ok_or_else(|| Error::Usage("[rounds] number = 0: 1 or more is accepted".into()))
}

/// Lets a recipe begin from a model.
fn begin_from(recipe: &mut Recipe, model: &Path) {
    if let Some(encoder) = &mut recipe.encoder {
        encoder.config = None;
        // It was cut already.
        encoder.layers = 0;
        encoder.path = model.to_string_lossy().into_owned();
    }
}

#[cfg(test)]
mod tests;
