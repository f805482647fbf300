//! `juzi train`: trains, goes on with a training, or proves what one has seen.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use candle_core::Device;
use clap::Args;
use juzi_trainer::doctor::Report;
use juzi_trainer::loader::{self, Feed, Threads};
use juzi_trainer::recipe::Recipe;
use juzi_trainer::training::{Ending, Model, Progress, Setup, Start, Training, table};
use juzi_trainer::{Error, Result, interrupt, kernels, report};

use crate::{cores, say, tell};

/// Worker threads of the feed, if nothing else is said; the cores are the training's.
pub(super) const WORKERS_MAX: usize = 4;

/// Batches that wait for the training, for each worker.
pub(super) const DEPTH: usize = 4;

/// A terminal's line is written anew after this time.
const LINE: Duration = Duration::from_millis(250);

/// `juzi-train train`
#[derive(Debug, Args)]
#[command(
    override_usage = "juzi train <RECIPE> [OPTIONS]\n       juzi train --verify-data <RUN> [OPTIONS]"
)]
pub struct Train {
    /// The recipe, such as trainer/recipes/luse.toml
    #[arg(
        required_unless_present = "verify_data",
        conflicts_with = "verify_data"
    )]
    pub recipe: Option<PathBuf>,
    /// The dataset, in place of the one that the recipe names
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The directory of the run [default: runs/ and the name of the recipe]
    #[arg(long, value_name = "DIR", conflicts_with = "verify_data")]
    pub run: Option<PathBuf>,
    /// Go on with the run from its newest checkpoint
    #[arg(long, conflicts_with = "verify_data")]
    pub resume: bool,
    /// Worker threads of the feed; they never change a batch [default: the cores, 4 at most]
    #[arg(long, value_name = "N", value_parser = super::few(), conflicts_with = "verify_data")]
    pub workers: Option<usize>,
    /// Only let the gradient doctor look at the model, as it does before every training
    #[arg(long, conflicts_with_all = ["verify_data", "resume"])]
    pub doctor: bool,
    /// Instead of a training: compute again which records this run has seen, from ids alone, and
    /// compare
    #[arg(long, value_name = "RUN")]
    pub verify_data: Option<PathBuf>,
    /// Print what was verified as JSON
    #[arg(long, requires = "verify_data")]
    pub json: bool,
}

/// Does what was asked.
///
/// # Errors
/// As the library says.
pub fn run(args: &Train) -> Result<()> {
    match (&args.verify_data, &args.recipe) {
        (Some(run), _) => verify(run, args),
        (None, Some(recipe)) => train(recipe, args),
        (None, None) => unreachable!("one of them is required"),
    }
}

fn verify(run: &Path, args: &Train) -> Result<()> {
    let verified = loader::verify(run, args.data.as_deref())?;
    say(&match args.json {
        true => format!("{}\n", verified.to_json()),
        false => verified.to_string(),
    })
}

fn train(path: &Path, args: &Train) -> Result<()> {
    let mut recipe = Recipe::read(path)?;
    let wrong = |message| Error::Recipe {
        path: path.into(),
        message,
    };
    recipe.check_training().map_err(wrong)?;
    kernels::memory::keep_freed();
    let run = match &args.run {
        Some(run) => run.clone(),
        None => Path::new("runs").join(path.file_stem().unwrap_or_default()),
    };
    if recipe.rounds.is_some() {
        return super::rounds::train(&recipe, (path, args), &run);
    }
    if args.resume && args.data.is_none() && recipe.data.dataset.is_empty() {
        // The run knows where its data were.
        let own = run.join(loader::RECIPE);
        if own.exists() {
            recipe.data.dataset = Recipe::read(&own)?.data.dataset;
        }
    }
    let setup = prepare(recipe, args, &run)?;
    let start = match args.resume {
        true => Start::Resume,
        false => Start::New,
    };
    if !args.doctor {
        setup.check(start)?;
    }
    // A run that goes on was examined when it began.
    let found = match args.resume {
        true => None,
        false => Some(setup.examine()?),
    };
    if let Some(found) = &found {
        tell(found.to_string().trim_end());
        found.verdict()?;
    }
    match args.doctor {
        true => Ok(()),
        false => go(setup, start, found.as_ref(), &|| resume(path, args, &run)),
    }
}

/// Opens what a training is made of, and tells of it.
fn prepare(recipe: Recipe, args: &Train, run: &Path) -> Result<Setup> {
    let feed = Feed::open(&recipe, args.data.as_deref())?;
    let model = Model::open(&recipe, &Device::cuda_if_available(0)?)?;
    for message in &model.encoder.messages {
        tell(&format!("# {message}"));
    }
    tell(&format!(
        "# {}: {} records, {} batches in an epoch\n# {} parameters\n{}",
        feed.source().dir.display(),
        feed.source().records(),
        feed.source().batches(),
        model.parameters().elements(),
        recipe.to_toml()
    ));
    Ok(Setup {
        recipe,
        feed,
        model,
        run: run.into(),
        threads: Threads {
            workers: args.workers.unwrap_or_else(|| cores().min(WORKERS_MAX)),
            depth: DEPTH,
        },
    })
}

/// Trains until an end, and tells of it; `resume` gives the command that goes on.
fn go(
    setup: Setup,
    start: Start,
    found: Option<&Report>,
    resume: &dyn Fn() -> String,
) -> Result<()> {
    interrupt::listen();
    let evaluation = setup.recipe.evaluation.as_ref();
    if start == Start::New && evaluation.is_some_and(|evaluation| evaluation.before) {
        tell("# measuring the model before the first step");
    }
    let decides = evaluation.map_or(String::new(), |evaluation| evaluation.decides.clone());
    let (run, mut line) = (
        setup.run.clone(),
        Line::new(setup.recipe.training.log_steps),
    );
    let (mut training, messages) = Training::open(setup, start)?;
    messages
        .iter()
        .for_each(|message| tell(&format!("# {message}")));
    if start == Start::Resume {
        tell(&format!("# resumed at step {}", training.position().step));
    }
    if let Some(found) = found {
        training.tell_doctor(found)?;
    }
    line.hear(&mut training);
    let ending = training.run(&interrupt::asked, &mut |progress| line.show(progress));
    line.end();
    match report::write(&run) {
        Ok(page) => tell(&format!("# report: {}", page.display())),
        // The training is what counts; a page can be written again.
        Err(error) => tell(&format!("# no report: {error}")),
    }
    let (ending, step) = (ending?, training.position().step);
    match ending {
        Ending::Complete => tell(&format!("# complete after {step} steps: {}", run.display())),
        Ending::EarlyStop => tell(&format!(
            "# stopped early after {step} steps, no checkpoint was better: {}",
            run.display()
        )),
        Ending::Interrupted => return Err(Error::Interrupted { resume: resume() }),
    }
    say(&table::table(&training.evaluations()?, &decides))
}

/// The command that goes on.
pub(super) fn resume(recipe: &Path, args: &Train, run: &Path) -> String {
    let data = args.data.as_ref();
    let data = data.map_or(String::new(), |dir| format!(" --data {}", dir.display()));
    let (recipe, run) = (recipe.display(), run.display());
    format!("; to go on: juzi train {recipe}{data} --run {run} --resume")
}

/// The line of progress: one that is written anew on a terminal, some lines elsewhere.
pub(super) struct Line {
    terminal: bool,
    log_steps: u64,
    shown: Option<Instant>,
}

impl Line {
    pub(super) fn new(log_steps: u64) -> Line {
        Line {
            terminal: std::io::stderr().is_terminal(),
            log_steps,
            shown: None,
        }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        let last = progress.step == progress.steps;
        if !self.terminal {
            if last || progress.step.is_multiple_of(self.log_steps) {
                tell(&progress.to_string());
            }
            return;
        }
        if last || self.shown.is_none_or(|shown| shown.elapsed() >= LINE) {
            self.shown = Some(Instant::now());
            // A terminal that is gone takes no line; the training goes on.
            let _ = write!(std::io::stderr(), "\r\x1b[K{progress}");
        }
    }

    /// Evaluations have a line each, which stays.
    fn hear(&self, training: &mut Training) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        training.on_evaluation(move |own| tell(&format!("{clear}{}", table::line(own))));
    }

    pub(super) fn end(&self) {
        if self.terminal && self.shown.is_some() {
            tell("");
        }
    }
}
