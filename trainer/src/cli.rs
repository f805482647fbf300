//! The command line: flags name files and places; every value that changes a result is in the recipe.

use std::path::PathBuf;

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
