//! `juzi-train embed`: texts to vectors.

use std::path::PathBuf;

use clap::Args;
use juzi_trainer::embed::{self, Outcome, Request, Sizes};
use juzi_trainer::model::Model;
use juzi_trainer::{Error, Result, interrupt, kernels};

use super::{command, few};
use crate::{cores, say, tell};

/// `juzi-train embed`
#[derive(Debug, Args)]
pub struct Embed {
    /// The folder of a model, as Hugging Face and sentence-transformers lay it out
    pub model: PathBuf,
    /// Texts: a file with a text a line, .tsv, .csv or .parquet, or a dataset of juzi
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Where to: .npy, .parquet, or else a dataset for topics and negatives, such as
    /// data/sample/embeddings
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// The column of texts, by its name; in .tsv and .csv without a header by its number from 1. Of
    /// datasets the default is all columns of texts
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,
    /// What to put before each text: a prompt of the model by its name, or a text [default: the
    /// model's own]
    #[arg(long, value_name = "NAME|TEXT")]
    pub prompt: Option<String>,
    /// Threads of the model's arithmetic; they never change a vector [default: all cores]
    #[arg(long, value_name = "N", value_parser = few())]
    pub threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs it; run again after an interruption, it goes on.
pub fn run(args: &Embed) -> Result<()> {
    interrupt::listen();
    kernels::memory::keep_freed();
    let request = Request {
        model: args.model.clone(),
        inputs: args.inputs.clone(),
        column: args.column.clone(),
        prompt: args.prompt.clone(),
        output: args.output.clone(),
    };
    let threads = args.threads.unwrap_or_else(cores);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("embed-model-{number}"))
        .build()
        .map_err(|error| Error::Usage(format!("--threads {threads}: {error}")))?;
    let stop = |_| interrupt::asked();
    let done = pool.install(|| {
        let model = Model::open(&request.model)?;
        model.encoder.messages.iter().for_each(|line| tell(line));
        let sizes = Sizes::of(model.encoder.device());
        let sizes = Sizes {
            tokenizers: sizes.tokenizers.max(threads.div_ceil(8)),
            ..sizes
        };
        embed::run(&model, &request, sizes, &stop, &tell)
    });
    let outcome = done.map_err(|error| match error {
        Error::Interrupted { .. } => Error::Interrupted {
            resume: format!("; to go on, run the same command again: {}", command()),
        },
        other => other,
    })?;
    if outcome.empty > 0 {
        tell(&format!(
            "{} texts are empty: their vectors are those of the special tokens alone",
            outcome.empty
        ));
    }
    if outcome.cut > 0 {
        tell(&format!(
            "{} texts were cut at the limit of the model",
            outcome.cut
        ));
    }
    say(&match args.json {
        true => format!("{}\n", outcome.to_json()),
        false => figures(&outcome, &request),
    })
}

fn figures(outcome: &Outcome, request: &Request) -> String {
    let (texts, tokens) = outcome.embedded;
    let seconds = outcome.seconds.max(1e-9);
    format!(
        "texts               {}, {} of them empty\nvectors             {} of {} numbers, in {}\n\
         this run            {texts} texts, {tokens} tokens in {seconds:.1} s: {:.0} texts/s, {:.0} tokens/s\n",
        outcome.texts,
        outcome.empty,
        match embed::is_table(&request.output) {
            true => outcome.texts,
            false => outcome.different,
        },
        outcome.dimension,
        request.output.display(),
        texts as f64 / seconds,
        tokens as f64 / seconds,
    )
}
