//! `juzi-train`: the trainer's front door. Each subcommand is a few lines over the library.
//!
//! A feed and a training stop cleanly at Ctrl-C; what else there is has no state that it could hurt, so the
//! signal ends the process as it stands. A shell reports both as exit code 130.

mod cli;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use juzi_schemas::synonym::Synonyms;
use juzi_trainer::augment::{Augmenter, StopWords};
use juzi_trainer::feed::{self, Limits};
use juzi_trainer::loader::{self, Threads};
use juzi_trainer::recipe::Recipe;
use juzi_trainer::rows::Shards;
use juzi_trainer::show::{self, Format};
use juzi_trainer::{Error, Result, audit, interrupt};

use crate::cli::{Augment, Cli, Command, Feed};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A terminal that is gone takes no message; the exit code still tells.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    let done = match &cli.command {
        Command::Augment(args) => augment(args),
        Command::Export(args) => cli::export::run(args),
        Command::Feed(args) => run_feed(args),
        Command::Train(args) => cli::train::run(args),
        Command::Embed(args) => cli::embed::run(args),
        Command::Evaluate(args) => cli::evaluate::run(args),
        Command::Whiten(args) => cli::whiten::run(args),
        Command::Experiment(args) => cli::experiment::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("juzi-train: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

fn augment(args: &Augment) -> Result<()> {
    let recipe = resolve(args)?;
    let shards = Shards::open(&args.dataset)?;
    let stop_words = StopWords::read(recipe.augment.stop_words())?;
    let dir = synonyms_dir(args);
    let synonyms = Arc::new(match &dir {
        Some(dir) => Synonyms::open(dir)?,
        None => Synonyms::default(),
    });
    let mut augmenter = Augmenter::new(&recipe.augment, synonyms.clone(), &stop_words, recipe.seed);
    if augmenter.wants_synonyms() && dir.is_none() {
        let wanted = args.dataset.with_file_name("synonyms");
        return Err(Error::Usage(format!(
            "{}: no synonyms here, and the recipe needs them; run juzi synonyms, or name them with --synonyms DIR",
            wanted.display()
        )));
    }
    tell(&format!(
        "# synonyms: {} words in {}\n# epoch {}\n{}",
        synonyms.words(),
        dir.map_or("no dataset".into(), |dir| dir.display().to_string()),
        args.epoch,
        recipe.to_toml()
    ));
    if args.audit {
        let threads = args.threads.unwrap_or_else(cores);
        let tables = (&*synonyms, &stop_words);
        let report = audit::walk(&shards, &augmenter, tables, args.epoch, threads)?;
        return say(&match args.format {
            Format::Text => report.to_string(),
            Format::Json => format!("{}\n", report.to_json()),
        });
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let shown = show::show(
        &shards,
        &mut augmenter,
        (args.epoch, args.rows),
        args.format,
        &mut out,
    );
    let flushed = out.flush().map_err(Error::input("stdout"));
    ignore_closed_pipe(shown.and(flushed))
}

fn run_feed(args: &Feed) -> Result<()> {
    let recipe = Recipe::read(&args.recipe)?;
    let seconds = |key: &str, seconds: f64| {
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| Error::Usage(format!("{key} {seconds}: a time from 0 on is wanted")))
    };
    let unlimited = args.seconds.is_none() && args.steps.is_none();
    let time = args.seconds.or(unlimited.then_some(20.0));
    let limits = Limits {
        from_step: args.from,
        steps: args.steps,
        time: time.map(|time| seconds("--seconds", time)).transpose()?,
        consumer: seconds("--consumer-ms", args.consumer_ms / 1e3)?,
    };
    let threads = Threads {
        workers: args.workers.unwrap_or_else(cores),
        depth: args.depth,
    };
    let feed = loader::Feed::open(&recipe, args.data.as_deref())?;
    let source = feed.source();
    tell(&format!(
        "# {}: {} records, {} batches in an epoch\n{}",
        source.dir.display(),
        source.records(),
        source.batches(),
        recipe.to_toml()
    ));
    interrupt::listen();
    let outcome = feed::run((&feed, &recipe), threads, limits, args.record.as_deref())?;
    let proof = outcome.proof;
    say(&match args.json {
        true => {
            let mut figures = outcome.telemetry.to_json();
            figures["first_batch_s"] = outcome.first.as_secs_f64().into();
            figures["proof"] = serde_json::json!(proof);
            figures["hash"] = proof.hash.hex().into();
            format!("{figures}\n")
        }
        false => format!(
            "{}first batch         after {:.2} s\nsteps               {} to {}, {} records, hash {}\n",
            outcome.telemetry,
            outcome.first.as_secs_f64(),
            proof.from_step,
            proof.step,
            proof.hash.rows,
            proof.hash.hex()
        ),
    })?;
    match interrupt::asked() {
        false => Ok(()),
        true => Err(Error::Interrupted {
            resume: args.record.as_ref().map_or(String::new(), |run| {
                let (recipe, run) = (args.recipe.display(), run.display());
                let data = args.data.as_ref();
                let data = data.map_or(String::new(), |dir| format!(" --data {}", dir.display()));
                format!(
                    "; to go on: juzi feed {recipe}{data} --from {} --record {run}",
                    proof.step
                )
            }),
        }),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Reads the recipe and lets flags replace what is only looked at.
fn resolve(args: &Augment) -> Result<Recipe> {
    let mut recipe = match &args.recipe {
        Some(path) => Recipe::read(path)?,
        None => Recipe::default(),
    };
    if let Some(seed) = args.seed {
        recipe.seed = seed;
    }
    if let Some(views) = args.views {
        recipe.augment = recipe.augment.with_views(views);
        recipe.augment.check().map_err(Error::Usage)?;
    }
    Ok(recipe)
}

/// The synonyms named, or those beside the shards if there are any.
fn synonyms_dir(args: &Augment) -> Option<PathBuf> {
    let beside = || Some(args.dataset.with_file_name("synonyms")).filter(|dir| dir.is_dir());
    args.synonyms.clone().or_else(beside)
}

/// Writes talk to stderr.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes data to stdout; a reader that has seen enough is no error.
fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    ignore_closed_pipe(
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(Error::input("stdout")),
    )
}

fn ignore_closed_pipe(result: Result<()>) -> Result<()> {
    match result {
        Err(Error::Input { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => {
            Ok(())
        }
        other => other,
    }
}
