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
mod load;
mod report;
mod search;
mod vocabulary;
mod word_list;

use std::path::PathBuf;
use std::time::Instant;

use juzi_schemas::dataset::{self, DatasetWriter};
use juzi_schemas::manifest;

use super::{Identity, RunOptions, base_name, hashes, shards};
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

/// How a run ended.
pub enum Outcome {
    /// The dataset was there.
    Fresh(PathBuf),
    /// The dataset was made.
    Made(PathBuf, Box<Summary>),
}

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
    let paths: Vec<PathBuf> = table.files.iter().map(|(_, path)| path.clone()).collect();
    let hashes = hashes(&paths, options)?;
    let mut inputs = Vec::new();
    for ((key, path), hash) in table.files.iter().zip(hashes) {
        let members = table
            .vectors
            .as_ref()
            .and_then(|file| file.members.as_ref());
        let members = members.filter(|_| *key == "vectors");
        let name = base_name(path);
        inputs.push(manifest::Input {
            corpus: NAME.into(),
            split: key.to_string(),
            file: members.map_or(name.clone(), |members| format!("{name}::{members}")),
            bytes: std::fs::metadata(path).map_err(Error::input(path))?.len(),
            hash,
        });
    }
    if table.options.uses_shards() {
        let shards = shards::identity(plan, options)?;
        inputs.push(manifest::Input {
            corpus: NAME.into(),
            split: shards::NAME.into(),
            file: shards::NAME.into(),
            bytes: 0,
            hash: shards.fingerprint,
        });
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
    let store = options.data.join(dataset::STORE);
    std::fs::create_dir_all(&store).map_err(juzi_schemas::Error::io(&store))?;
    let identity = identity(plan, options)?;
    if let Some(dir) = identity.made(NAME, options)? {
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

/// Seconds of each part of a run, for the report.
struct Phases {
    since: Instant,
    ended: Vec<(&'static str, f64)>,
}

impl Default for Phases {
    fn default() -> Self {
        Phases {
            since: Instant::now(),
            ended: Vec::new(),
        }
    }
}

impl Phases {
    fn end(&mut self, name: &'static str) {
        self.ended.push((name, self.since.elapsed().as_secs_f64()));
        self.since = Instant::now();
    }
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
