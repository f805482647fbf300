//! The command line: flags name files and places; every value that changes a result is in the recipe.

pub mod embed;
pub mod evaluate;
pub mod experiment;
pub mod export;
mod rounds;
pub mod train;
pub mod whiten;

use std::path::PathBuf;

use clap::builder::{RangedU64ValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use juzi_trainer::show::Format;

/// Train sentence encoders on the datasets of juzi
#[derive(Debug, Parser)]
#[command(name = "juzi-train", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at the views that augmentation makes of a dataset, or audit all of them
    Augment(Augment),
    /// Run the feed of a training alone, and say what it delivers and what holds it up
    Feed(Feed),
    /// Train an encoder by a recipe, go on with a training, or prove what one has seen
    Train(train::Train),
    /// Write a trained model as a folder of sentence-transformers
    Export(export::Export),
    /// Make vectors of texts: a table, or a dataset for topics and negatives
    Embed(embed::Embed),
    /// Measure a model on tasks, beside other models and baselines
    Evaluate(evaluate::Evaluate),
    /// Give a model a last layer that whitens its vectors, or takes away what all of them share
    Whiten(whiten::Whiten),
    /// Train and measure several arms with several seeds, and compare them
    Experiment(experiment::Run),
}

/// `juzi-train augment`
#[derive(Debug, Args)]
pub struct Augment {
    /// Shards made with words, such as data/sample/shards
    pub dataset: PathBuf,
    /// Synonyms [default: the dataset `synonyms` beside the shards]
    #[arg(long, value_name = "DIR")]
    pub synonyms: Option<PathBuf>,
    /// The recipe whose table [augment] is meant [default: as LUSE does it]
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Number of rows to show
    #[arg(long, default_value_t = 10)]
    pub rows: usize,
    /// Count over the whole dataset instead of showing rows
    #[arg(long, conflicts_with = "rows")]
    pub audit: bool,
    /// For a look: another number of views than the recipe's
    #[arg(long, value_name = "N")]
    pub views: Option<u32>,
    /// For a look: another seed than the recipe's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// For a look: the epoch, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub epoch: u64,
    /// Worker threads of the audit [default: all cores]
    #[arg(long)]
    pub threads: Option<usize>,
    /// How to print
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `juzi-train feed`
#[derive(Debug, Args)]
pub struct Feed {
    /// The recipe, such as trainer/recipes/luse.toml
    pub recipe: PathBuf,
    /// The dataset, in place of the one that the recipe names
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Stop after this time [default: 20, unless --steps is given]
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<f64>,
    /// Stop after this many steps
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,
    /// The first step
    #[arg(long, value_name = "STEP", default_value_t = 0)]
    pub from: u64,
    /// Worker threads; they never change a batch [default: all cores]
    #[arg(long, value_name = "N", value_parser = few())]
    pub workers: Option<usize>,
    /// Batches that wait for the consumer, for each worker
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = few())]
    pub depth: usize,
    /// Pretend that the consumer works this long on each batch
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    pub consumer_ms: f64,
    /// Keep a record of what was seen in this directory, for juzi train --verify-data
    #[arg(long, value_name = "RUN")]
    pub record: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A number of threads, or of what waits for them.
fn few() -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<usize>::new().range(1..=1024)
}

/// This command as it was given, for a shell.
fn command() -> String {
    let arguments = std::env::args().skip(1).map(|argument| {
        let plain = |letter: char| letter.is_alphanumeric() || "-_./=:,+@%".contains(letter);
        match !argument.is_empty() && argument.chars().all(plain) {
            true => argument,
            false => format!("'{}'", argument.replace('\'', "'\\''")),
        }
    });
    format!("juzi {}", arguments.collect::<Vec<_>>().join(" "))
}
