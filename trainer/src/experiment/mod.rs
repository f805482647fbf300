//! Experiments: arms × seeds, each trained and measured alike, and one score card of all.
//!
//! ```text
//! FILE ─▶ arms × seeds ─▶ recipe ─▶ training ─▶ scores ─┐
//!                            └─ what it begins from ─▶ scores ─▶ card
//! ```
//! All that is complete is left as it is, so an experiment that was stopped or killed goes on where
//! it was. It goes seed by seed over all arms: one that ends early leaves whole seeds.

mod card;
mod file;
mod measure;
mod spread;
mod training;

use std::path::PathBuf;

use crate::baselines::{Bm25, Tfidf, WordVectors};
use crate::evaluators::Tasks;
use crate::loader::Threads;
use crate::training::Progress;
use crate::{Error, Result, export};

pub use card::{Arm as ArmCard, Card, Difference, MetricCard, Row, Verdict};
pub use file::{Arm, BEFORE, Experiment, model_of};
pub use measure::{Measures, Opened, Subject};
pub use spread::{Spread, t};
pub use training::{Run, Standing, Told, interrupted};

/// What of an experiment is wanted.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where runs and cards are kept.
    pub out: PathBuf,
    /// Only these arms are trained, and those that they come after; none named: all.
    pub only: Vec<String>,
    /// Other seeds than those of the file; none: those of the file.
    pub seeds: Vec<u64>,
    /// Threads of the feed; they change no result.
    pub threads: Threads,
}

/// What a person hears while it runs.
pub enum News<'a> {
    /// Something is told.
    Line(&'a str),
    /// A training took a step.
    Step(&'a Progress),
    /// A training is over.
    Trained,
}

/// What says whether a person wants it stopped, and what hears the news.
pub(crate) type Listeners<'a> = (&'a dyn Fn() -> bool, &'a mut dyn FnMut(News<'_>));

/// Runs that failed, and what hears the news.
type Failures<'a> = (&'a mut Vec<String>, &'a mut dyn FnMut(News<'_>));

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The score card of all that is there.
    pub card: Card,
    /// Runs that failed, and why.
    pub failed: Vec<String>,
}

/// Trains and measures what is missing; writes the card after each run. A run that fails stops no
/// other.
///
/// # Errors
/// The file, its tasks or a recipe says something that cannot be; a run is of another recipe; a
/// file cannot be written; a person stops it.
pub fn run(
    experiment: &Experiment,
    request: &Request,
    stop: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Outcome> {
    let tasks = Tasks::read(&experiment.place(&experiment.tasks)?)?;
    let measures = Measures {
        tasks: tasks.open()?,
        prompts: tasks.prompts,
    };
    let runs = runs(experiment, request)?;
    for run in &runs {
        run.standing()?;
    }
    let out = &request.out;
    std::fs::create_dir_all(out).map_err(Error::input(out))?;
    let mut failed = Vec::new();
    for name in experiment.beside() {
        let done = untrained(experiment, name, (&measures, request), (stop, tell));
        keep(done, name, (&mut failed, tell))?;
    }
    for run in &runs {
        tell(News::Line(&format!("{}: {}", run.name, run.dir.display())));
        let done = one(run, (&measures, request), (stop, tell));
        keep(done, &run.name, (&mut failed, tell))?;
        Card::of(experiment, request, &measures)?.write(out)?;
    }
    let card = Card::of(experiment, request, &measures)?;
    card.write(out)?;
    Ok(Outcome { card, failed })
}

/// Keeps a failure and goes on; not where a person stops it.
fn keep(done: Result<()>, name: &str, (failed, tell): Failures<'_>) -> Result<()> {
    match done {
        Ok(()) => Ok(()),
        Err(error @ Error::Interrupted { .. }) => Err(error),
        Err(error) => {
            failed.push(format!("{name}: {error}"));
            tell(News::Line(&format!("{name} failed: {error}")));
            Ok(())
        }
    }
}

/// The runs that are wanted, in their order.
fn runs(experiment: &Experiment, request: &Request) -> Result<Vec<Run>> {
    let mut wanted = vec![request.only.is_empty(); experiment.arms.len()];
    for name in &request.only {
        let found = experiment.arms.iter().position(|arm| &arm.name == name);
        let number = found.ok_or_else(|| {
            Error::Usage(format!(
                "--only {name}: no arm has this name; there are {}",
                experiment.names().join(", ")
            ))
        })?;
        wanted[number] = true;
    }
    for (number, arm) in experiment.arms.iter().enumerate().rev() {
        let before = experiment
            .arms
            .iter()
            .position(|other| other.name == arm.after);
        if let Some(before) = before {
            wanted[before] |= wanted[number];
        }
    }
    let seeds = match request.seeds.is_empty() {
        true => &experiment.seeds,
        false => &request.seeds,
    };
    let mut runs = Vec::new();
    for (place, &seed) in seeds.iter().enumerate() {
        for (arm, _) in experiment
            .arms
            .iter()
            .zip(&wanted)
            .filter(|(_, wanted)| **wanted)
        {
            runs.push(Run {
                name: format!("{}, seed {seed}", arm.name),
                dir: arm.run(seed, &request.out),
                recipe: experiment.recipe_of(arm, seed, &request.out)?,
                is_followed: experiment.arms.iter().any(|other| other.after == arm.name),
                doctor: experiment.doctor && place == 0,
            });
        }
    }
    Ok(runs)
}

/// Trains and measures one run.
fn one(
    run: &Run,
    (measures, request): (&Measures, &Request),
    (stop, tell): Listeners<'_>,
) -> Result<()> {
    let start = measure::identity(&run.recipe)?;
    let file = request.out.join(format!("starts/{}.json", start.short()));
    let before = Subject {
        name: "before",
        step: None,
        file: &file,
    };
    let open = || measure::beginning(&run.recipe);
    let found = measures.measure(&before, &open, (stop, &mut *tell))?;
    let step = run.train(request.threads, stop, &mut *tell)?;
    measure::write(&measure::before_of(&run.dir), &found)?;
    let last = Subject {
        name: &run.name,
        step: Some(step),
        file: &measure::last_of(&run.dir),
    };
    measures.measure(&last, &|| measure::trained(run), (stop, tell))?;
    Ok(())
}

/// Measures a model that is not trained.
fn untrained(
    experiment: &Experiment,
    name: &str,
    (measures, request): (&Measures, &Request),
    (stop, tell): Listeners<'_>,
) -> Result<()> {
    let subject = Subject {
        name,
        step: None,
        file: &card::untrained_of(&request.out, name),
    };
    let open = || opened(experiment, name);
    measures.measure(&subject, &open, (stop, tell))?;
    Ok(())
}

/// Opens a baseline or a model.
fn opened(experiment: &Experiment, name: &str) -> Result<Opened> {
    if !experiment.baselines.iter().any(|baseline| baseline == name) {
        let model = export::open(&experiment.place(name)?, None, false)?.into_model()?;
        return Ok(Opened::Model(Box::new(model)));
    }
    Ok(Opened::Baseline(match name.strip_prefix(file::WORDS) {
        Some(words) => Box::new(WordVectors::read(&experiment.place(words)?)?),
        None if name == "bm25" => Box::<Bm25>::default(),
        None => Box::<Tfidf>::default(),
    }))
}

#[cfg(test)]
mod tests;
