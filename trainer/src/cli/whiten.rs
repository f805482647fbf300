//! `juzi whiten`: a model with one layer more, fitted on texts.

use std::path::PathBuf;

use clap::Args;
use juzi_trainer::whiten::{self, Method, Request};
use juzi_trainer::{Error, Result, interrupt, kernels};

use super::few;
use crate::{cores, say, tell};

/// `juzi-train whiten`
#[derive(Debug, Args)]
pub struct Whiten {
    /// A run, a checkpoint of one, or the folder of a model
    pub model: PathBuf,
    /// Texts to fit on, of the training and never of an evaluation: a file with a text a line, .tsv,
    /// .csv or .parquet, or a dataset of juzi
    #[arg(required = true, value_name = "TEXTS")]
    pub inputs: Vec<PathBuf>,
    /// The folder to write; it must not exist
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// What the layer does
    #[arg(long, value_enum, default_value_t)]
    pub method: Method,
    /// Of whitening: length of the new vectors [default: as many directions as vary]
    #[arg(long, value_name = "N")]
    pub dimensions: Option<usize>,
    /// Of top: how many directions are removed [default: a hundredth of the length, 1 at least]
    #[arg(long, value_name = "K")]
    pub components: Option<usize>,
    /// Different texts to fit on; of more, as many are drawn
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(2..=100_000_000))]
    pub rows: u64,
    /// The column of texts, by its name; in .tsv and .csv without a header by its number from 1. Of
    /// datasets the default is all columns of texts
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,
    /// What to put before each text: a prompt of the model by its name, or a text [default: the
    /// model's own]
    #[arg(long, value_name = "NAME|TEXT")]
    pub prompt: Option<String>,
    /// Threads of the model's arithmetic; they never change a value [default: all cores]
    #[arg(long, value_name = "N", value_parser = few())]
    pub threads: Option<usize>,
}

/// Does what was asked.
///
/// # Errors
/// As the library says.
pub fn run(args: &Whiten) -> Result<()> {
    interrupt::listen();
    kernels::memory::keep_freed();
    let request = Request {
        model: args.model.clone(),
        inputs: args.inputs.clone(),
        column: args.column.clone(),
        prompt: args.prompt.clone(),
        method: args.method,
        dimensions: args.dimensions,
        components: args.components,
        rows_max: usize::try_from(args.rows).unwrap_or(usize::MAX),
        output: args.output.clone(),
    };
    let threads = args.threads.unwrap_or_else(cores);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("whiten-{number}"))
        .build()
        .map_err(|error| Error::Usage(format!("--threads {threads}: {error}")))?;
    let outcome = pool.install(|| whiten::run(&request, &interrupt::asked, &tell))?;
    let (from, to) = outcome.dimensions;
    say(&format!(
        "texts               {}, of which {} different ones were taken\n\
         layer               {}, vectors of {from} to {to}, {:.2} % of the variance\n\
         model               {}, read back and compared\n",
        outcome.texts,
        outcome.rows,
        request.method.what(),
        100.0 * outcome.kept,
        request.output.display(),
    ))
}
