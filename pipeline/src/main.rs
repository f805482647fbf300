//! `juzi`: the front door. Each subcommand is a few lines over the library.

mod cli;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use juzi_pipeline::flow::{interrupt, machine};
use juzi_pipeline::plan::Plan;
use juzi_pipeline::show::{self, Request};
use juzi_pipeline::stages::{
    self, Outcome, RunOptions, batches, negatives, shards, synonyms, topics,
};
use juzi_pipeline::{Error, Result, init, selftest, sibling, size::Size, status};

use crate::cli::{Cli, Command, Stage};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A terminal that is gone takes no message; the exit code still tells.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    match run(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "juzi: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: &Command) -> Result<()> {
    match command {
        Command::Init(args) => {
            let text = init::plan(&args.dirs, args.name.as_deref(), args.profile.name())
                .map_err(Error::Usage)?;
            say(&text)
        }
        Command::Run(stage) => {
            let (plan, options) = resolve(stage, "run")?;
            interrupt::listen();
            let stages = stages::of(&plan);
            // What a later stage lacks must be known before an earlier one takes hours.
            for stage in &stages {
                (stage.identity)(&plan, &options)?;
            }
            stages
                .iter()
                .try_for_each(|stage| make(stage.name, stage.run, &plan, &options))
        }
        Command::Shards(stage) => one(stage, shards::NAME, shards::run),
        Command::Synonyms(stage) => one(stage, synonyms::NAME, synonyms::run),
        Command::Topics(stage) => one(stage, topics::NAME, topics::run),
        Command::Negatives(stage) => one(stage, negatives::NAME, negatives::run),
        Command::Batches(stage) => one(stage, batches::NAME, batches::run),
        Command::Status(stage) => {
            let (plan, options) = resolve(stage, "status")?;
            let options = RunOptions {
                quiet: true,
                ..options
            };
            status::status(&plan, &options)?
                .iter()
                .try_for_each(|status| say(&format!("{status}\n")))
        }
        Command::Show(args) => {
            let request = Request {
                sql: args.sql.clone(),
                word: args.word.clone(),
                batch: args.batch,
                rows: args.rows,
                shard: args.shard,
            };
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            let shown = show::show(&args.dataset, &request, args.format, &mut out);
            let flushed = out.flush().map_err(|error| Error::Query(error.to_string()));
            ignore_closed_pipe(shown.and(flushed))
        }
        Command::Verify(args) => verify(&args.dataset, args.threads.unwrap_or_else(machine::cores)),
        Command::Prune(args) => {
            let (plan, options) = resolve(&args.stage, "prune")?;
            let options = RunOptions {
                quiet: true,
                ..options
            };
            let word = if args.dry_run {
                "would delete"
            } else {
                "deleted"
            };
            let gone = status::prune(&plan, &options, args.dry_run)?;
            gone.iter().try_for_each(|(path, bytes)| {
                say(&format!("{word} {} ({})\n", path.display(), Size(*bytes)))
            })
        }
        Command::Augment(args) => sibling::become_trainer("augment", &args.arguments),
        Command::Feed(args) => sibling::become_trainer("feed", &args.arguments),
        Command::Train(args) => sibling::become_trainer("train", &args.arguments),
        Command::Export(args) => sibling::become_trainer("export", &args.arguments),
        Command::Embed(args) => sibling::become_trainer("embed", &args.arguments),
        Command::Evaluate(args) => sibling::become_trainer("evaluate", &args.arguments),
        Command::Whiten(args) => sibling::become_trainer("whiten", &args.arguments),
        Command::Experiment(args) => sibling::become_trainer("experiment", &args.arguments),
        Command::Selftest(args) => {
            let program = std::env::current_exe().map_err(Error::input("juzi"))?;
            let tell = |line: &str| drop(writeln!(std::io::stderr(), "{line}"));
            let proof = selftest::crash_points(&program, &args.place, args.threads, tell)?;
            for (point, count) in &proof.points {
                say(&format!("{count:>6}  {point}\n"))?;
            }
            let total: u64 = proof.points.values().sum();
            say(&format!(
                "{total:>6}  crash points survived, every dataset byte for byte the same\n"
            ))
        }
    }
}

/// Makes the dataset of a stage.
type Make = fn(&Plan, &RunOptions) -> Result<Outcome>;

/// The subcommand of one stage.
fn one(stage: &Stage, name: &str, run: Make) -> Result<()> {
    let (plan, options) = resolve(stage, name)?;
    interrupt::listen();
    make(name, run, &plan, &options)
}

/// Makes the dataset of a stage and says what came of it.
fn make(name: &str, run: Make, plan: &Plan, options: &RunOptions) -> Result<()> {
    let outcome = run(plan, options)?;
    if options.quiet {
        return Ok(());
    }
    match outcome {
        Outcome::Fresh(dir) => say(&format!("{}: fresh, nothing to do\n", dir.display())),
        Outcome::Made(dir, summary) => {
            let link = options.data.join(name);
            let (link, dir) = (link.display(), dir.display());
            say(&format!("{summary}{link} -> {dir}\n"))
        }
    }
}

/// Reads the plan and turns flags into what a stage wants; `command` goes on after a stop.
fn resolve(stage: &Stage, command: &str) -> Result<(Plan, RunOptions)> {
    let plan = Plan::read(&stage.plan)?;
    let data = stage
        .data
        .clone()
        .unwrap_or_else(|| Path::new("data").join(&plan.name));
    let threads = stage.threads.unwrap_or_else(machine::cores).max(1);
    let flags = stage
        .data
        .as_ref()
        .map(|data| format!(" --data {}", data.display()))
        .unwrap_or_default();
    let resume = format!("juzi {command} {}{flags}", stage.plan.display());
    let options = RunOptions {
        data,
        threads,
        memory_bytes: stage.memory.0,
        quiet: stage.quiet,
        resume,
    };
    Ok((plan, options))
}

fn verify(dataset: &Path, threads: usize) -> Result<()> {
    let (manifest, findings) = status::verify(dataset, threads)?;
    for finding in &findings {
        say(&format!("{finding}\n"))?;
    }
    match findings.len() {
        0 => say(&format!(
            "{}: {} files, {} rows, rows_hash {}: all as the manifest says\n",
            dataset.display(),
            manifest.files.len(),
            manifest.rows,
            manifest.rows_hash
        )),
        count => Err(Error::Resources(format!(
            "{}: {count} of {} files are damaged",
            dataset.display(),
            manifest.files.len()
        ))),
    }
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
        Err(Error::Query(message)) if message.contains("Broken pipe") => Ok(()),
        Err(Error::Input { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => {
            Ok(())
        }
        other => other,
    }
}
