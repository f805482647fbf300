//! `juzi-train evaluate`: what models are worth on tasks, beside each other and beside baselines.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use juzi_trainer::evaluate::{self, Report, Request, Style};
use juzi_trainer::export::Step;
use juzi_trainer::{Error, Result, kernels};

use super::few;
use crate::{cores, say, tell};

/// `juzi-train evaluate`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["step", "best"]))]
pub struct Evaluate {
    /// A run, a checkpoint of one, the folder of a model, or a baseline: tfidf, bm25, words=FILE
    pub model: String,
    /// Tasks: a .toml file of tasks, a folder in BEIR's layout, a folder with train.tsv and test.tsv
    /// (label, text), or a .tsv file of pairs with or without a score
    #[arg(required = true)]
    pub tasks: Vec<PathBuf>,
    /// Another model or baseline to stand beside it; untrained is the first one before training
    #[arg(long, value_name = "MODEL")]
    pub beside: Vec<String>,
    /// Let all baselines stand beside it
    #[arg(long)]
    pub baselines: bool,
    /// Word vectors, as word2vec or GloVe write them: their mean stands beside it
    #[arg(long, value_name = "FILE")]
    pub words: Option<PathBuf>,
    /// A dataset of training text in which to look for the tasks' texts [default: those that the
    /// runs were trained on]
    #[arg(long, value_name = "DIR")]
    pub data: Vec<PathBuf>,
    /// Write all that was found to this file, as JSON
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Show every metric, not only the primary one of each task
    #[arg(long)]
    pub all: bool,
    /// Of runs, the checkpoint of this step [default: the newest]
    #[arg(long, value_name = "N")]
    pub step: Option<u64>,
    /// Of runs, the best checkpoint
    #[arg(long)]
    pub best: bool,
    /// Threads of the model's arithmetic; they never change a score [default: all cores]
    #[arg(long, value_name = "N", value_parser = few())]
    pub threads: Option<usize>,
}

/// Does what was asked.
///
/// # Errors
/// As the library says.
pub fn run(args: &Evaluate) -> Result<()> {
    kernels::memory::keep_freed();
    let step = match (args.step, args.best) {
        (Some(number), _) => Some(Step::Number(number)),
        (None, true) => Some(Step::Best),
        (None, false) => None,
    };
    let request = Request {
        models: [std::slice::from_ref(&args.model), &args.beside].concat(),
        baselines: args.baselines,
        words: args.words.clone(),
        tasks: args.tasks.clone(),
        data: args.data.clone(),
        step,
    };
    // Before the work: a place that cannot be written to would lose it.
    if let Some(parent) = args.output.as_ref().and_then(|path| path.parent()) {
        std::fs::create_dir_all(parent).map_err(Error::input(parent))?;
    }
    let threads = args.threads.unwrap_or_else(cores);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("evaluate-{number}"))
        .build()
        .map_err(|error| Error::Usage(format!("--threads {threads}: {error}")))?;
    let report = pool.install(|| evaluate::run(&request, &mut tell))?;
    if let Some(path) = &args.output {
        write(path, &json(&report))?;
        tell(&format!("# {}", path.display()));
    }
    let style = Style {
        all: args.all,
        bold: std::io::stdout().is_terminal(),
    };
    say(&match args.json {
        true => json(&report),
        false => report.table(style),
    })
}

fn json(report: &Report) -> String {
    let text = serde_json::to_string_pretty(report).expect("a report has a JSON form");
    text + "\n"
}

/// Writes under another name and renames, so that nobody reads half a file.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(".partial");
    std::fs::write(&hidden, text).map_err(Error::input(path))?;
    std::fs::rename(&hidden, path).map_err(Error::input(path))
}
