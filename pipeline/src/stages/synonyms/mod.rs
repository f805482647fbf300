//! The stage `synonyms`: for each word of the vocabulary the words that may stand in its place.
//!
//! ```text
//! shards ─▶ vocabulary ─▶ load       vectors of the words that are needed ─▶ rows on disk
//!                          ▼ search   exact, ivf or faiss, in blocks; recall on a sample
//! dictionary, guards ────▶ assemble  floor, guards, the dictionary's own synonyms ─▶ shards
//! ```
//! Or, with `import`, a file of LUSE's form is taken over as it is.

mod assemble;
mod choose;
mod estimate;
mod import;
pub(super) mod load;
mod report;
mod search;
pub(super) mod vocabulary;
pub(super) mod word_list;

use std::time::Instant;

use juzi_schemas::dataset::DatasetWriter;

use super::figures::Phases;
use super::{Identity, Outcome, RunOptions, begin, file_inputs, input_of, shards};
use crate::error::{Error, Result};
use crate::plan::{Plan, SynonymsPlan, Vocabulary};
use crate::vectors;
use assemble::Lexicon;
use estimate::Need;

pub use report::Summary;

/// Name of the stage: its table, its subcommand, its directory.
pub const NAME: &str = juzi_schemas::synonym::STAGE;

/// Dictionaries that the stage uses, by file name.
pub const DICTIONARIES: [(&str, &str); 3] = [
    (
        "stop_words.txt",
        include_str!("../../../../dictionaries/stop_words.txt"),
    ),
    (
        "antonyms.txt",
        include_str!("../../../../dictionaries/antonyms.txt"),
    ),
    shards::DICTIONARIES[1],
];

fn table(plan: &Plan) -> Result<&SynonymsPlan> {
    plan.synonyms.as_ref().ok_or_else(|| Error::Plan {
        path: plan.path.clone(),
        message: "no table [synonyms]; it needs at least vectors = \"FILE\"".into(),
    })
}

/// Hashes the inputs and everything else that decides the rows.
///
/// # Errors
/// The plan has no table `[synonyms]`; an input cannot be read.
pub fn identity(plan: &Plan, options: &RunOptions) -> Result<Identity> {
    let table = table(plan)?;
    table.check_files().map_err(|message| Error::Plan {
        path: plan.path.clone(),
        message: format!("[synonyms] {message}"),
    })?;
    let mut inputs = file_inputs(NAME, &table.files, table.vectors.as_ref(), options)?;
    if table.options.uses_shards() {
        let shards = shards::identity(plan, options)?;
        inputs.push(input_of(NAME, shards::NAME, &shards));
    }
    let resolved = serde_json::json!({ "seed": plan.seed, "synonyms": table.options });
    Ok(Identity::new(NAME, inputs, &DICTIONARIES, resolved))
}

/// Makes the dataset of a plan, or finds it made, or goes on where a run was stopped.
///
/// # Errors
/// Input, disk or memory; too low a recall; an interruption.
pub fn run(plan: &Plan, options: &RunOptions) -> Result<Outcome> {
    let started = Instant::now();
    let table = table(plan)?;
    let (identity, made) = begin(NAME, plan, options, identity)?;
    if let Some(dir) = made {
        return Ok(Outcome::Fresh(dir));
    }
    let writer = DatasetWriter::open(&options.data, NAME, &identity.fingerprint)?;
    let mut phases = Phases::default();
    let mut summary = match &table.vectors {
        None => Summary::imported(import::run(table, &writer)?),
        Some(file) => {
            let header = vectors::header(file)?;
            let lexicon = Lexicon::open(table)?;
            if let (Vocabulary::Vectors, Some(rows)) = (table.options.vocabulary, header.rows) {
                // Everything is kept, so it is known before the reading what will not fit.
                let rows = rows as usize;
                Need::new(
                    &table.options,
                    options.threads,
                    rows,
                    rows,
                    header.dimension,
                )
                .check(plan, options)?;
            }
            let (words, counted) = vocabulary::run(plan, table, options, &writer)?;
            phases.end("vocabulary");
            let kept = load::run(plan, table, options, &writer, &words)?;
            phases.end("vectors");
            let need = need(plan, table, options, &kept)?;
            let found = search::run(plan, &table.options, options, &writer, &kept, &need)?;
            phases.end("search");
            let chosen = assemble::run(table, &lexicon, options, &writer, &words, &kept, &found)?;
            phases.end("choose");
            let ledger = writer
                .committed(load::LEDGER)
                .filter(|entry| entry.rows.rows > 0);
            Summary::searched(words.len(), counted, kept, &need, &found, chosen, ledger)
        }
    };
    summary.check_balance()?;
    summary.check_kept(plan)?;
    summary.seconds = started.elapsed().as_secs_f64();
    summary.phases = phases.ended;
    let manifest = summary.manifest(&identity);
    let dir = writer.finish(&manifest, &summary.to_json())?;
    Ok(Outcome::Made(dir, Box::new(summary)))
}

/// What the search needs; said, and refused where it cannot fit.
fn need(
    plan: &Plan,
    table: &SynonymsPlan,
    options: &RunOptions,
    kept: &load::Kept,
) -> Result<Need> {
    let mut need = Need::new(
        &table.options,
        options.threads,
        kept.words.len(),
        kept.queries.len(),
        kept.loaded.dimension,
    );
    need.calibrate(options.threads);
    if !options.quiet {
        crate::flow::progress::say(&format!("estimate: {need}"));
    }
    need.check(plan, options)?;
    Ok(need)
}
