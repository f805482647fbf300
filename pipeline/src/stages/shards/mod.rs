//! The stage `shards`: clean, deduplicated, globally shuffled Parquet from raw corpora.
//!
//! ```text
//! inputs ─▶ hash ─▶ fingerprint ─▶ complete? done
//!   │
//!   ▼ cut      each block: read, split, filter, leak gate, id, sort by place ─▶ spill file
//!   ▼ near     only when asked: band keys of what exact duplicates leave, grouped on disk
//!   ▼ merge    each range of places: slices of all spill files, sort, keeper, words ─▶ shard
//!   ▼ totals balance ─▶ report ─▶ manifest
//! ```
//! A record's place is a keyed hash of its id, so the order of rows follows from the seed alone.

mod cut;
mod documents;
mod estimate;
mod identity;
mod merge;
mod near;
mod near_pass;
mod pieces;
mod prefetch;
mod records;
mod report;
mod shard_pass;
mod slices;
mod sorter;
mod spill;
mod unit;

use std::path::PathBuf;
use std::time::Instant;

use juzi_schemas::dataset::DatasetWriter;
use juzi_schemas::manifest;
use juzi_schemas::random::Order;

use super::{Identity, Outcome, RunOptions, begin};
use crate::error::{Error, Result};
use crate::flow::progress;
use crate::inputs::Input;
use crate::plan::Plan;
use crate::text::leaks::LeakGate;

pub use estimate::tree_bytes;
pub use report::Summary;

/// Name of the stage: its table, its subcommand, its directory.
pub const NAME: &str = "shards";

/// Dictionaries that the stage uses, by file name.
pub const DICTIONARIES: [(&str, &str); 2] = [
    (
        "boilerplate.txt",
        include_str!("../../../../dictionaries/boilerplate.txt"),
    ),
    (
        "user_words.txt",
        include_str!("../../../../dictionaries/user_words.txt"),
    ),
];

/// Hashes the inputs and everything else that decides the rows.
///
/// # Errors
/// An input cannot be read.
pub fn identity(plan: &Plan, options: &RunOptions) -> Result<Identity> {
    let all: Vec<&Input> = plan.inputs.iter().chain(&plan.evaluation_inputs).collect();
    let paths: Vec<PathBuf> = all.iter().map(|input| input.path.clone()).collect();
    let hashes = super::hashes(&paths, options)?;
    let corpora = plan
        .inputs
        .iter()
        .map(|input| &plan.corpora[usize::from(input.corpus)].name);
    let sets = plan
        .evaluation_inputs
        .iter()
        .map(|input| &plan.evaluation[usize::from(input.corpus)].name);
    let names = corpora
        .cloned()
        .chain(sets.map(|name| format!("evaluation/{name}")));
    let inputs = all
        .iter()
        .zip(names)
        .zip(hashes)
        .map(|((input, corpus), hash)| manifest::Input {
            corpus,
            split: input.split.name().into(),
            file: input.name.clone(),
            bytes: input.bytes,
            hash,
        })
        .collect();
    Ok(Identity::new(NAME, inputs, &DICTIONARIES, plan.resolved()))
}

/// Makes the dataset of a plan, or finds it made, or goes on where a run was stopped.
///
/// # Errors
/// Input, disk or memory; an interruption; more bad input than the plan allows.
pub fn run(plan: &Plan, options: &RunOptions) -> Result<Outcome> {
    let started = Instant::now();
    if plan.corpora.is_empty() {
        return Err(Error::Plan {
            path: plan.path.clone(),
            message: "no [[corpora]] to make shards of".into(),
        });
    }
    let (identity, made) = begin(NAME, plan, options, identity)?;
    if let Some(dir) = made {
        return Ok(Outcome::Fresh(dir));
    }
    let workers = estimate::workers(plan, options)?;
    let writer = DatasetWriter::open(&options.data, NAME, &identity.fingerprint)?;
    estimate::check_space(plan, options)?;
    let gate = leak_gate(plan)?;
    let cut = cut::run(plan, options, workers, &writer, gate)?;
    cut.check_quality(plan)?;
    let order = Order::new(plan.seed);
    let spills = slices::Spills {
        units: cut.units,
        inputs: &plan.inputs,
        corpora: plan.corpus_names(),
        order,
    };
    let near = near_pass::run(plan, options, workers, &writer, &spills)?;
    let shards = shard_pass::run(plan, options, workers, &writer, &spills, &near)?;
    let mut summary = Summary::new(plan, cut.counts, cut.damaged, &shards, near.notes);
    summary.check_balance()?;
    summary.check_kept(plan)?;
    let manifest = report::manifest(&identity, plan, &summary, &shards);
    summary.seconds = started.elapsed().as_secs_f64();
    let dir = writer.finish(&manifest, &summary.to_json())?;
    // Said even to those who want to hear of errors only: what is lost is not in the ledger.
    for damage in summary.damaged() {
        progress::say(&format!("juzi: DAMAGED {damage}"));
    }
    Ok(Outcome::Made(dir, Box::new(summary)))
}

/// The gate against the plan's evaluation sets, if it has any.
fn leak_gate(plan: &Plan) -> Result<Option<LeakGate>> {
    if plan.evaluation_inputs.is_empty() {
        return Ok(None);
    }
    let mut builder = LeakGate::builder(plan.shards.leaks.clone());
    cut::evaluation_texts(plan, |set, text| builder.add(set, text))?;
    let gate = builder.build();
    match gate.texts() {
        0 => Err(Error::Plan {
            path: plan.path.clone(),
            message: "the files of [[evaluation]] hold no text".into(),
        }),
        _ => Ok(Some(gate)),
    }
}
