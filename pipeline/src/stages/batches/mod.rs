//! The stage `batches`: the plan's records in the batches in which a trainer sees them.
//!
//! ```text
//! shards ─▶ inputs    count the records of each corpus; the law says how many a pass shows
//! topics ─▶ load      a window: some row groups, as hashes and text          (parallel)
//! negatives ▼ compose   a sampler makes batches of it, guards hold apart     (hashes only)
//!           ▼ encode    masks, hardness, one row group a batch, files        (parallel)
//! ```
//! Shards are in a random order, so any run of their row groups is a fair sample: nothing is sorted
//! or spilled, and memory is that of one window: about three times its text, `window` in the plan.
//! What finds no batch in a window waits for the next, at most an eighth of the window's rows and
//! eight batches; the rest, and what is left at the end of a pass, stands in the ledger. A window
//! ends its files, so that a stopped run composes again, which is cheap, and writes only the rest.

mod block;
mod compose;
mod encode;
mod hardness;
mod inputs;
mod known;
mod load;
mod report;
mod table;
mod tour;

use std::time::Instant;

use juzi_schemas::dataset::DatasetWriter;
use juzi_schemas::record::{Kind, Split};

use super::{Identity, Outcome, RunOptions, begin, input_of, negatives, shards, topics};
use crate::error::{Error, Result};
use crate::plan::{BatchKind, BatchesOptions, Plan};
use crate::samplers::{SameGroup, Walk, quotas};
use crate::size::Size;
use crate::vectors::static_text::StaticText;
use compose::Composer;
use inputs::Inputs;

pub use report::Summary;

/// Name of the stage: its table, its subcommand, its directory.
pub const NAME: &str = juzi_schemas::batch::STAGE;

/// The program, tables of the output, row groups on their way to disk.
const BASE_BYTES: u64 = 150 << 20;

/// Memory of a window in multiples of its text: the text, its facts, and what is being decoded.
const WINDOW_FACTOR: u64 = 3;

fn wrong(plan: &Plan, message: impl Into<String>) -> Error {
    Error::Plan {
        path: plan.path.clone(),
        message: message.into(),
    }
}

fn table(plan: &Plan) -> Result<&BatchesOptions> {
    match &plan.batches {
        Some(table) => Ok(&table.options),
        None => Err(wrong(plan, "no table [batches]; an empty one is enough")),
    }
}

/// Which records become batches.
fn kind_of(plan: &Plan, table: &BatchesOptions) -> BatchKind {
    table.kind.unwrap_or_else(|| {
        let kinds = plan.kinds();
        let pairs = kinds.contains(&Kind::Pair) || kinds.contains(&Kind::Triplet);
        match pairs {
            true => BatchKind::Pair,
            false => BatchKind::Text,
        }
    })
}

/// Whether mined negatives are taken: they are mined for the pairs of the training split.
fn uses_negatives(plan: &Plan, table: &BatchesOptions) -> bool {
    plan.negatives.is_some()
        && table.split == Split::Train
        && kind_of(plan, table) == BatchKind::Pair
}

/// Hashes the inputs and everything else that decides the rows.
///
/// # Errors
/// The plan has no table `[batches]`, or one that cannot be; an input cannot be read.
pub fn identity(plan: &Plan, options: &RunOptions) -> Result<Identity> {
    let table = table(plan)?;
    check(plan, table)?;
    let identities = [
        Some((shards::NAME, shards::identity(plan, options)?)),
        match plan.topics {
            Some(_) => Some((topics::NAME, topics::identity(plan, options)?)),
            None => None,
        },
        match uses_negatives(plan, table) {
            true => Some((negatives::NAME, negatives::identity(plan, options)?)),
            false => None,
        },
    ];
    let inputs = identities.into_iter().flatten();
    let inputs = inputs.map(|(earlier, identity)| input_of(NAME, earlier, &identity));
    let mut resolved = table.clone();
    resolved.kind = Some(kind_of(plan, table));
    let resolved = serde_json::json!({ "seed": plan.seed, "batches": resolved });
    Ok(Identity::new(NAME, inputs.collect(), &[], resolved))
}

/// What the table asks of the rest of the plan.
fn check(plan: &Plan, table: &BatchesOptions) -> Result<()> {
    let kind = kind_of(plan, table);
    if !plan
        .kinds()
        .iter()
        .any(|made| kind.records().contains(made))
    {
        let made: Vec<&str> = plan.kinds().into_iter().map(Kind::name).collect();
        return Err(wrong(
            plan,
            format!(
                "[batches] kind = \"{}\": the views of this plan make {}",
                kind.name(),
                made.join(", ")
            ),
        ));
    }
    if table.sampler.sampler().needs_topics() && plan.topics.is_none() {
        return Err(wrong(
            plan,
            "[batches] sampler = { name = \"topic\" } needs a table [topics]",
        ));
    }
    if kind != BatchKind::Pair && table.guards.same_group == SameGroup::Mask {
        return Err(wrong(
            plan,
            "[batches.guards] same_group = \"mask\": only for kind = \"pair\"; accepted are apart, off",
        ));
    }
    if kind != BatchKind::Pair && table.guards.repeated == crate::samplers::Repeated::Mask {
        return Err(wrong(
            plan,
            "[batches.guards] repeated = \"mask\": only for kind = \"pair\"; accepted are apart, off",
        ));
    }
    let names = plan.corpus_names();
    match table
        .sources
        .weights
        .keys()
        .find(|name| !names.contains(name))
    {
        None => Ok(()),
        Some(name) => Err(wrong(
            plan,
            format!(
                "[batches.sources] weights: no corpus `{name}`; the plan has {}",
                names.join(", ")
            ),
        )),
    }
}

/// Records of each corpus in a pass.
fn law(plan: &Plan, table: &BatchesOptions, inputs: &Inputs) -> Result<Vec<u64>> {
    let sources = &table.sources;
    let weight = |name: &String| sources.weights.get(name).copied().unwrap_or(1.0);
    let weights: Vec<f64> = inputs.corpora.iter().map(weight).collect();
    let cap = |(&count, &weight): (&u64, &f64)| match weight > 0.0 {
        true => (count as f64 * sources.repeats_max) as u64,
        false => 0,
    };
    let caps: Vec<u64> = inputs.counts.iter().zip(&weights).map(cap).collect();
    let most: u64 = caps.iter().sum();
    if let Some(records) = sources.records.filter(|records| *records > most) {
        return Err(wrong(
            plan,
            format!(
                "[batches.sources] records = {records}: repeats_max = {} allows {most} at most",
                sources.repeats_max
            ),
        ));
    }
    let records = sources
        .records
        .unwrap_or_else(|| inputs.records())
        .min(most);
    let mut found = quotas(&inputs.counts, sources.alpha, &weights, &caps, records);
    let asked = sources.alpha != 1.0 || weights.iter().any(|weight| *weight != 1.0);
    let several = inputs.counts.iter().filter(|count| **count > 0).count() > 1;
    if asked && several && found == inputs.counts {
        return Err(wrong(
            plan,
            "[batches.sources] alpha and weights change nothing while every record is shown once; \
             set records = N below their number, or repeats_max above 1",
        ));
    }
    table.sampler.sampler().limit(&mut found, table.size);
    Ok(found)
}

/// Makes the dataset of a plan, or finds it made, or goes on where a run was stopped.
///
/// # Errors
/// Input, disk or memory; an interruption.
pub fn run(plan: &Plan, options: &RunOptions) -> Result<Outcome> {
    let started = Instant::now();
    let table = table(plan)?;
    let (identity, made) = begin(NAME, plan, options, identity)?;
    if let Some(dir) = made {
        return Ok(Outcome::Fresh(dir));
    }
    let need = table.window.0 * WINDOW_FACTOR + BASE_BYTES;
    if need > options.memory_bytes {
        return Err(Error::Resources(format!(
            "--memory {} is too small: a window of {} needs {}; give more memory or a smaller [batches] window",
            Size(options.memory_bytes),
            table.window,
            Size(need)
        )));
    }
    let inputs = Inputs::open(plan, table, options)?;
    let quotas = law(plan, table, &inputs)?;
    let counts = inputs.counts.iter().zip(&quotas);
    let walks: Vec<Walk> = counts
        .map(|(&count, &quota)| Walk::new(count, quota))
        .collect();
    let (mut tour, mut vectors) = (Vec::new(), None);
    if let Some((dir, manifest)) = &inputs.topics {
        if table.sampler.sampler().needs_topics() {
            tour = tour::read(dir, manifest)?;
        }
        if inputs.words && inputs.kind != BatchKind::Scored {
            vectors = StaticText::open(dir, manifest)?;
        }
    }
    let writer = DatasetWriter::open(&options.data, NAME, &identity.fingerprint)?;
    let composer = Composer {
        table,
        seed: plan.seed,
        options,
        inputs: &inputs,
        quotas: &quotas,
        walks: &walks,
        tour: &tour,
        vectors: vectors.as_ref(),
        writer: &writer,
    };
    let (totals, list, ledger) = composer.run()?;
    let mut summary = Summary::new(plan, table, &inputs, &quotas, totals, list, ledger);
    summary.check_balance()?;
    summary.check_kept(plan)?;
    summary.seconds = started.elapsed().as_secs_f64();
    let manifest = summary.manifest(&identity);
    let dir = writer.finish(&manifest, &summary.to_json())?;
    Ok(Outcome::Made(dir, Box::new(summary)))
}
