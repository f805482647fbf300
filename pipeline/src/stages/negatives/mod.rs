//! The stage `negatives`: for each pair the texts that look right and are not.
//!
//! ```text
//! shards ─▶ collect     different anchors and documents on disk; rows as numbers of these
//!             ▼ search   words (BM25) and vectors: blocks of anchors, each committed
//!             ▼ rank     where asked: pairs that do not find themselves go to the ledger
//!             ▼ choose   each row: right ones, scores, copies, how many ─▶ one file for each of pairs
//! ```
//! Memory holds a few numbers for each text and row (about 60 bytes), a part of the index by words,
//! and blocks of `k` hits; all texts and hits lie on disk. A row's own positive is always scored,
//! so that every score is held against it, whether the search found it or not.
//!
//! Texts that have the same letters and digits are one text. A group's texts are never negatives of
//! its rows. With `both`, each list is filtered by its own scores first; then a document scores the
//! sum of 1 / (60 + rank) over the lists that it is left in.

mod collect;
mod consistency;
mod counts;
mod dense;
mod judge;
mod known;
mod lexical;
mod lists;
mod near;
mod page;
mod prepare;
mod report;
mod scores;
mod store;
mod vectors;
mod write;

use std::time::Instant;

use juzi_schemas::dataset::DatasetWriter;
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::manifest;

use super::figures::Phases;
use super::{Identity, Outcome, RunOptions, begin, dataset_of, input_of, shards};
use crate::error::{Error, Result};
use crate::plan::{NegativesOptions, NegativesPlan, Plan};
use collect::Collected;
use judge::{Judge, Miner, Scorer};
use known::Known;
use near::Near;
use write::Output;

pub use report::Summary;

/// Name of the stage: its table, its subcommand, its directory.
pub const NAME: &str = juzi_schemas::negative::STAGE;

/// Everything that the parts of a run share.
struct Job<'j> {
    plan: &'j Plan,
    options: &'j RunOptions,
    writer: &'j DatasetWriter,
}

impl Job<'_> {
    fn table(&self) -> &NegativesOptions {
        &self
            .plan
            .negatives
            .as_ref()
            .expect("the stage runs")
            .options
    }
}

fn table(plan: &Plan) -> Result<&NegativesPlan> {
    plan.negatives.as_ref().ok_or_else(|| Error::Plan {
        path: plan.path.clone(),
        message: "no table [negatives]; an empty one mines by BM25".into(),
    })
}

/// Hashes the inputs and everything else that decides the rows.
///
/// # Errors
/// The plan has no table `[negatives]`; an input cannot be read.
pub fn identity(plan: &Plan, options: &RunOptions) -> Result<Identity> {
    let table = table(plan)?;
    let shards = shards::identity(plan, options)?;
    let mut inputs = vec![input_of(NAME, shards::NAME, &shards)];
    if let Some(dir) = &table.embeddings {
        let manifest = vectors::manifest(plan, dir)?;
        inputs.push(manifest::Input {
            corpus: NAME.into(),
            split: "embeddings".into(),
            file: "embeddings".into(),
            bytes: 0,
            // The rows, whoever made them and however.
            hash: Fingerprint::of(manifest.rows_hash.as_bytes()),
        });
    }
    let resolved = serde_json::json!({ "seed": plan.seed, "negatives": table.options });
    Ok(Identity::new(NAME, inputs, &[], resolved))
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
    let shards = shards::identity(plan, options)?;
    let shards = dataset_of(plan, options, NAME, shards::NAME, &shards)?;
    let writer = DatasetWriter::open(&options.data, NAME, &identity.fingerprint)?;
    let job = Job {
        plan,
        options,
        writer: &writer,
    };
    let mut phases = Phases::default();
    let collected = collect::run(plan, options, &writer, &shards)?;
    check_rows(plan, &collected)?;
    let known = Known::new(&collected.rows, collected.twins.clone());
    phases.end("collect");
    let miners = miners(&job, table, &collected)?;
    phases.end("search");
    let ranks = consistency::run(&job, &collected, &known, &miners)?;
    phases.end("consistency");
    let judge = Judge {
        table: &table.options,
        seed: plan.seed,
        collected: &collected,
        known: &known,
        miners: &miners,
        near: Near {
            share: table.options.near_duplicate,
            ngram: table.options.near_ngram,
        },
    };
    let output = Output {
        job: &job,
        judge: &judge,
        ranks: ranks.as_ref(),
        shards: shards.0,
        words: plan.shards.words,
        scale: report::scale(table.options.miner),
    };
    let sources = &collected.gathered.sources;
    let (files, counts) = output.files(sources)?;
    let ledger = output.ledger(sources)?;
    phases.end("choose");
    let search = report::search(&miners);
    let mut summary = Summary::new(plan, &collected, search, files, ledger, counts);
    summary.check_balance()?;
    summary.seconds = started.elapsed().as_secs_f64();
    writer.write_page(&page::page(&summary, &output)?)?;
    summary.phases = phases.ended;
    let manifest = summary.manifest(&identity);
    let dir = writer.finish(&manifest, &summary.to_json())?;
    Ok(Outcome::Made(dir, Box::new(summary)))
}

/// Searches with every miner of the plan.
fn miners<'c>(
    job: &Job<'_>,
    table: &NegativesPlan,
    collected: &'c Collected,
) -> Result<Vec<Miner<'c>>> {
    let k = table.options.k;
    let queries: Vec<u32> = (0..collected.queries.len() as u32).collect();
    let documents: Vec<u32> = (0..collected.documents.len() as u32).collect();
    let mut miners = Vec::new();
    if table.options.uses_words() {
        let words = lexical::Words::new(job, collected);
        let lists = words.lists(job, "search/words", &documents, &queries, k)?;
        let scorer = Scorer::Words(words);
        miners.push(Miner { lists, scorer });
    }
    if let Some(dir) = &table.embeddings {
        let vectors = vectors::load(job, dir, collected)?;
        let nearest = dense::Nearest::new(job, vectors)?;
        let lists = nearest.lists(job, "search/vectors", &queries, k)?;
        let scorer = Scorer::Vectors(nearest);
        miners.push(Miner { lists, scorer });
    }
    Ok(miners)
}

fn check_rows(plan: &Plan, collected: &Collected) -> Result<()> {
    match collected.rows.len() {
        0 => Err(Error::Plan {
            path: plan.path.clone(),
            message: format!(
                "[negatives] the shards have no pairs or triplets of split train ({} of other splits); does a corpus \
                 give pairs?",
                collected.gathered.others
            ),
        }),
        _ => Ok(()),
    }
}
