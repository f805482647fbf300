//! `juzi export`: a trained model becomes a folder of sentence-transformers.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use juzi_trainer::Result;
use juzi_trainer::export::{self, Step};

use crate::tell;

/// `juzi-train export`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["step", "best", "latest"]))]
pub struct Export {
    /// A run, a checkpoint of one, or the folder of a model
    pub source: PathBuf,
    /// The folder to write; it must not exist
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// The checkpoint of this step
    #[arg(long, value_name = "N")]
    pub step: Option<u64>,
    /// The best checkpoint
    #[arg(long)]
    pub best: bool,
    /// The newest checkpoint; so it is without any of these
    #[arg(long)]
    pub latest: bool,
    /// Keep what only training needs (the head of a masked language model, a decoder, a learned
    /// scale) in a file of its own
    #[arg(long)]
    pub keep_heads: bool,
}

/// Does what was asked.
///
/// # Errors
/// As the library says.
pub fn run(args: &Export) -> Result<()> {
    let step = match (args.step, args.best, args.latest) {
        (Some(number), ..) => Some(Step::Number(number)),
        (None, true, _) => Some(Step::Best),
        (None, false, true) => Some(Step::Latest),
        (None, false, false) => None,
    };
    let export = export::open(&args.source, step, args.keep_heads)?;
    for message in &export.encoder.messages {
        tell(&format!("# {message}"));
    }
    export.write(&args.out)?;
    tell(&format!(
        "# {}: {} parameters, vectors of {}, read back and compared",
        args.out.display(),
        export.encoder.parameters.elements(),
        export.encoder.dimension()
    ));
    Ok(())
}
