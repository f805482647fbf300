//! The command line: flags name files and places; every value that changes a result is in the plan.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use juzi_pipeline::show::Format;
use juzi_pipeline::size::Size;

/// Turn Chinese corpora into clean, deduplicated, shuffled training data
#[derive(Debug, Parser)]
#[command(name = "juzi", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Recognise the corpora in directories and write a plan to stdout
    Init(Init),
    /// Make everything that the plan asks for, stage by stage, or go on where a run was stopped
    Run(Stage),
    /// Make the plan's shards, or go on where a run was stopped
    Shards(Stage),
    /// Make the plan's cache of synonyms, or go on where a run was stopped
    Synonyms(Stage),
    /// Give every record of the plan's shards a topic
    Topics(Stage),
    /// Mine hard negatives for the plan's pairs
    Negatives(Stage),
    /// Compose the plan's records into training batches
    Batches(Stage),
    /// Say what of a plan is fresh, stale and why, partial or missing
    Status(Stage),
    /// Look at the rows of a dataset, or query them with SQL
    Show(Show),
    /// Check every hash and count of a dataset
    Verify(Verify),
    /// Delete datasets that no plan points at any more
    Prune(Prune),
    /// Prove on this disk that a killed run loses nothing
    Selftest(Selftest),
    /// Look at the views that augmentation makes of a dataset, or audit them (juzi-train)
    #[command(disable_help_flag = true)]
    Augment(Forwarded),
    /// Run the feed of a training alone and measure it (juzi-train)
    #[command(disable_help_flag = true)]
    Feed(Forwarded),
    /// Train an encoder, or prove what a training has seen (juzi-train)
    #[command(disable_help_flag = true)]
    Train(Forwarded),
    /// Write a trained encoder as a sentence-transformers folder (juzi-train)
    #[command(disable_help_flag = true)]
    Export(Forwarded),
    /// Turn texts into vectors with an encoder (juzi-train)
    #[command(disable_help_flag = true)]
    Embed(Forwarded),
    /// Measure an encoder on tasks, beside other encoders and baselines (juzi-train)
    #[command(disable_help_flag = true)]
    Evaluate(Forwarded),
    /// Give an encoder a last layer that whitens its vectors (juzi-train)
    #[command(disable_help_flag = true)]
    Whiten(Forwarded),
    /// Train and measure several arms with several seeds, and compare them (juzi-train)
    #[command(disable_help_flag = true)]
    Experiment(Forwarded),
}

/// `juzi init`
#[derive(Debug, Args)]
pub struct Init {
    /// Directories or files to look at
    #[arg(required = true)]
    pub dirs: Vec<PathBuf>,
    /// Name of the plan
    #[arg(long)]
    pub name: Option<String>,
    /// How text is to be cleaned and split
    #[arg(long, default_value = "default")]
    pub profile: ProfileName,
}

/// The profiles of a plan.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ProfileName {
    /// LUSE's published procedure
    Luse,
    /// Careful cleaning and filters
    Default,
}

impl ProfileName {
    /// The word in a plan.
    pub fn name(self) -> &'static str {
        match self {
            ProfileName::Luse => "luse",
            ProfileName::Default => "default",
        }
    }
}

/// A subcommand of the sibling program, which reads the arguments itself.
#[derive(Debug, Args)]
pub struct Forwarded {
    /// Handed over as they are; --help tells of them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

/// A command over a plan.
#[derive(Debug, Args)]
pub struct Stage {
    /// The plan
    pub plan: PathBuf,
    /// Directory of the plan's datasets [default: data/<plan name>]
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Worker threads [default: all cores]
    #[arg(long)]
    pub threads: Option<usize>,
    /// Memory that shards stays within; synonyms takes it from the plan
    #[arg(long, default_value = "1GB")]
    pub memory: Size,
    /// Print nothing but errors
    #[arg(long)]
    pub quiet: bool,
}

/// `juzi show`
#[derive(Debug, Args)]
pub struct Show {
    /// A dataset, such as data/sample/shards
    pub dataset: PathBuf,
    /// Number of rows to show [default: 10; all of a word or a batch]
    #[arg(long)]
    pub rows: Option<usize>,
    /// Only this shard, counted from 0
    #[arg(long)]
    pub shard: Option<usize>,
    /// A query over the tables rows, dropped and, where there are, topics or batches
    #[arg(long)]
    pub sql: Option<String>,
    /// Only the synonyms of this word
    #[arg(long, conflicts_with = "sql")]
    pub word: Option<String>,
    /// Only this batch, counted from 0, as a page
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["sql", "word", "shard"])]
    pub batch: Option<u32>,
    /// How to print
    #[arg(long, default_value = "table")]
    pub format: Format,
}

/// `juzi verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// A dataset, such as data/sample/shards
    pub dataset: PathBuf,
    /// Worker threads [default: all cores]
    #[arg(long)]
    pub threads: Option<usize>,
}

/// `juzi prune`
#[derive(Debug, Args)]
pub struct Prune {
    /// The plan and its places
    #[command(flatten)]
    pub stage: Stage,
    /// Only say what would be deleted
    #[arg(long)]
    pub dry_run: bool,
}

/// `juzi selftest`
#[derive(Debug, Args)]
pub struct Selftest {
    /// Kill a small run at every crash point and compare
    #[arg(long, required = true)]
    pub crash_points: bool,
    /// Directory on the disk to test
    #[arg(long, default_value = ".")]
    pub place: PathBuf,
    /// Worker threads of the small run
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
}
