//! `juzi experiment`: arms × seeds, trained and measured, and their score card.

use std::path::{Path, PathBuf};

use clap::Args;
use juzi_trainer::experiment::{self, Experiment, News, Request};
use juzi_trainer::loader::Threads;
use juzi_trainer::{Error, Result, interrupt, kernels};

use super::few;
use super::train::{DEPTH, Line, WORKERS_MAX};
use crate::{cores, say, tell};

/// Steps from line to line where there is no terminal.
const LOG_STEPS: u64 = 50;

/// `juzi-train experiment`
#[derive(Debug, Args)]
pub struct Run {
    /// The file with the arms
    pub file: PathBuf,
    /// Where runs and the card are kept [default: runs/ and the name of the file]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Only this arm, and those that it comes after; again for more
    #[arg(long, value_name = "ARM")]
    pub only: Vec<String>,
    /// Other seeds than the file's
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub seeds: Vec<u64>,
    /// Threads of the arithmetic, and of the feed; they never change a result [default: all cores]
    #[arg(long, value_name = "N", value_parser = few())]
    pub threads: Option<usize>,
    /// Print the card as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs it; run again after an interruption, it goes on.
///
/// # Errors
/// As the library says; or runs failed, which are named.
pub fn run(args: &Run) -> Result<()> {
    interrupt::listen();
    kernels::memory::keep_freed();
    let experiment = Experiment::read(&args.file)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(args.file.file_stem().unwrap_or_default()));
    let threads = args.threads.unwrap_or_else(cores);
    let request = Request {
        out,
        only: args.only.clone(),
        seeds: args.seeds.clone(),
        threads: Threads {
            workers: threads.min(WORKERS_MAX),
            depth: DEPTH,
        },
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("experiment-{number}"))
        .build()
        .map_err(|error| Error::Usage(format!("--threads {threads}: {error}")))?;
    let mut line = Line::new(LOG_STEPS);
    let mut hear = |news: News<'_>| match news {
        News::Line(text) => tell(&format!("# {text}")),
        News::Step(progress) => line.show(progress),
        News::Trained => {
            line.end();
            line = Line::new(LOG_STEPS);
        }
    };
    let done = pool.install(|| {
        // The pool hands the work to one of its threads; what talks comes along.
        experiment::run(&experiment, &request, &interrupt::asked, &mut hear)
    });
    let outcome = done.map_err(|error| match error {
        Error::Interrupted { .. } => Error::Interrupted {
            resume: format!(
                "; to go on, run the same command again: {}",
                super::command()
            ),
        },
        other => other,
    })?;
    say(&match args.json {
        true => format!("{}\n", serde_json::json!(outcome.card)),
        false => outcome.card.page(),
    })?;
    tell(&format!(
        "# card: {}",
        request.out.join("card.md").display()
    ));
    match outcome.failed.is_empty() {
        true => Ok(()),
        false => Err(Error::Failed(outcome.failed.join("; "))),
    }
}
