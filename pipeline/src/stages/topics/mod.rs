//! The stage `topics`: for each record of the shards a topic, and what the topics are.
//!
//! ```text
//! keys        shards ─▶ keys, counted                                     ─┐
//! vectors     shards, word vectors ─▶ words: weighed, component removed ─┐ ├▶ assign: a file for
//! embeddings  dataset of an encoder ─▶ rows on disk ─────────────────────┤ │  each file of shards
//!                                      sample ─▶ k-means ─▶ split, merge ┘─┘        ▼ describe
//! ```
//! Shards are only ever streamed, row group by row group. Memory holds the sample, the vectors of the words
//! (or 20 bytes for each embedded text), and a few texts and sampled words for each topic.

mod assign;
mod cluster;
mod describe;
mod draw;
mod keys;
mod merge;
mod page;
mod records;
mod report;
mod source;
mod stored;
mod words;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::journal::Entry;
use juzi_schemas::manifest::{self, Table};
use juzi_schemas::shard::ShardWriter;
use juzi_schemas::topic::{self, Topic};

use super::{Identity, Outcome, RunOptions, begin, file_inputs, input_of, shards, synonyms};
use crate::error::{Error, Result};
use crate::plan::{Plan, Source, TopicsPlan};
use keys::Keys;
use records::Records;
use source::TextVectors;
use stored::Stored;

pub use report::Summary;

/// Name of the stage: its table, its subcommand, its directory.
pub const NAME: &str = topic::STAGE;

/// Dictionaries that the stage uses, by file name.
pub const DICTIONARIES: [(&str, &str); 1] = [synonyms::DICTIONARIES[0]];

/// Files of the tables beside the rows.
const TOPICS: &str = "topics-00000.parquet";
const MIDDLES: &str = "middles-00000.parquet";
const WORDS: &str = "words-00000.parquet";
const LEDGER: &str = synonyms::load::LEDGER;

fn wrong(plan: &Plan) -> impl Fn(String) -> Error {
    let path = plan.path.clone();
    move |message| Error::Plan {
        path: path.clone(),
        message: format!("[topics] {message}"),
    }
}

fn table(plan: &Plan) -> Result<&TopicsPlan> {
    plan.topics.as_ref().ok_or_else(|| Error::Plan {
        path: plan.path.clone(),
        message: "no table [topics]; it needs vectors = \"FILE\", or source = \"keys\"".into(),
    })
}

/// Hashes the inputs and everything else that decides the rows.
///
/// # Errors
/// The plan has no table `[topics]`; an input cannot be read.
pub fn identity(plan: &Plan, options: &RunOptions) -> Result<Identity> {
    let table = table(plan)?;
    table.check_files().map_err(wrong(plan))?;
    if table.options.source == Source::Vectors && !plan.shards.words {
        let message = "source = \"vectors\": the shards have no words; set [shards] words = true";
        return Err(wrong(plan)(message.into()));
    }
    let mut inputs = file_inputs(NAME, &table.files, table.vectors.as_ref(), options)?;
    if let Some(dir) = &table.embeddings {
        inputs.push(embeddings_input(dir).map_err(wrong(plan))?);
    }
    inputs.push(input_of(
        NAME,
        shards::NAME,
        &shards::identity(plan, options)?,
    ));
    let resolved = serde_json::json!({ "seed": plan.seed, "topics": table.options });
    Ok(Identity::new(NAME, inputs, &DICTIONARIES, resolved))
}

/// An encoder may give other numbers on another machine, so the rows themselves count.
fn embeddings_input(dir: &Path) -> std::result::Result<manifest::Input, String> {
    let made = stored::manifest(dir)?;
    Ok(manifest::Input {
        corpus: NAME.into(),
        split: "embeddings".into(),
        file: made.stage.clone(),
        bytes: 0,
        hash: Fingerprint::of_json(&(&made.fingerprint, &made.rows_hash)),
    })
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
    let records = Records::open(plan, table, options)?;
    let writer = DatasetWriter::open(&options.data, NAME, &identity.fingerprint)?;
    let stage = Stage {
        plan,
        table,
        options,
        records: &records,
        writer: &writer,
        since: started,
    };
    let mut summary = match table.options.source {
        Source::Keys => stage.by_keys()?,
        Source::Vectors => stage.by_vectors()?,
        Source::Embeddings => stage.by_embeddings()?,
    };
    summary.check_balance(&records.manifest)?;
    summary.seconds = started.elapsed().as_secs_f64();
    let manifest = summary.manifest(&identity, &records.manifest);
    writer.write_page(&summary.to_page(&plan.name, &records.manifest))?;
    let report = summary.to_json();
    let dir = writer.finish(&manifest, &report)?;
    Ok(Outcome::Made(dir, Box::new(summary)))
}

/// Everything that the parts share.
struct Stage<'s> {
    plan: &'s Plan,
    table: &'s TopicsPlan,
    options: &'s RunOptions,
    records: &'s Records<'s>,
    writer: &'s DatasetWriter,
    since: Instant,
}

impl Stage<'_> {
    fn by_keys(&self) -> Result<Summary> {
        let keys = Keys::count(self.records, &self.table.options)?;
        let mut summary = Summary::default();
        self.end(&mut summary, "keys");
        let (files, totals) = assign::run(self.records, self.writer, |rows| Ok(keys.of(rows)))?;
        (summary.files, summary.placed) = (files, totals.placed);
        self.end(&mut summary, "assign");
        summary.counts.push(("keys", keys.keys));
        self.describe(&mut summary, keys.names.len(), Some(&keys.names))?;
        Ok(summary)
    }

    fn by_vectors(&self) -> Result<Summary> {
        let (text, counted, words) = words::run(
            self.plan,
            self.table,
            self.options,
            self.records,
            self.writer,
        )?;
        let mut summary = Summary::default();
        self.end(&mut summary, "words");
        summary.dropped = counted.loaded.dropped;
        summary.others.push((Table::Words, words));
        let ledger = self.writer.committed(LEDGER);
        let ledger = ledger.filter(|entry| entry.rows.rows > 0);
        summary
            .others
            .extend(ledger.map(|entry| (Table::Dropped, entry)));
        summary.counts.extend([
            ("tokens", counted.tokens),
            ("tokens_with_vector", counted.tokens_found),
            ("words", counted.words),
            ("words_with_vector", counted.words_found),
            ("vector_rows_bad", counted.loaded.bad),
        ]);
        let share = counted.tokens_found as f64 / counted.tokens.max(1) as f64;
        summary.measures.insert("coverage_tokens".into(), share);
        self.cluster(&text, &mut summary)?;
        Ok(summary)
    }

    fn by_embeddings(&self) -> Result<Summary> {
        let dir = self.table.embeddings.as_ref().expect("checked by the plan");
        let stored = Stored::open(dir, self.options, self.writer)?;
        let mut summary = Summary::default();
        self.end(&mut summary, "embeddings");
        let texts = stored.texts() as u64;
        summary.counts.extend([
            ("texts_with_vector", texts),
            ("texts_without_direction", stored.bad),
        ]);
        self.cluster(&stored, &mut summary)?;
        Ok(summary)
    }

    /// Makes clusters of the records' vectors, and a topic of each.
    fn cluster(&self, source: &dyn TextVectors, summary: &mut Summary) -> Result<()> {
        let clusters = cluster::Job {
            plan: self.plan,
            table: &self.table.options,
            options: self.options,
            records: self.records,
            writer: self.writer,
            source,
        }
        .run()?;
        self.end(summary, "cluster");
        let of = |rows: &records::Rows<'_>| assign::nearest(rows, source, &clusters);
        let (files, totals) = assign::run(self.records, self.writer, of)?;
        (summary.files, summary.placed) = (files, totals.placed);
        self.end(summary, "assign");
        let merged = &clusters.merged;
        summary.sizes.clone_from(&merged.sizes);
        summary.counts.extend([
            ("sample", clusters.trained.sample),
            ("clusters_trained", clusters.trained.clusters),
            ("clusters_split", clusters.trained.split),
            ("clusters_merged", merged.merged),
            ("topics_below_size_min", merged.below),
            ("topics_above_size_max", merged.above),
        ]);
        let millionths = |sum: u64, count: u64| sum as f64 / 1e6 / count.max(1) as f64;
        let distance = millionths(totals.distance_millionths, totals.placed);
        let trained = millionths(clusters.trained.distance_millionths, 1);
        summary.measures.insert("mean_distance".into(), distance);
        summary
            .measures
            .insert("mean_distance_trained".into(), trained);
        self.describe(summary, merged.sizes.len(), None)?;
        let middles: Vec<f32> = merged
            .leaves
            .iter()
            .flat_map(|&leaf| clusters.cells.middle(leaf).iter().copied())
            .collect();
        let names: Vec<String> = (0..merged.leaves.len()).map(|at| at.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let null = serde_json::Value::Null;
        let entry = words::write_vectors(self.writer, MIDDLES, &names, &middles, null)?;
        summary.others.push((Table::Middles, entry));
        Ok(())
    }

    fn describe(
        &self,
        summary: &mut Summary,
        count: usize,
        names: Option<&[String]>,
    ) -> Result<()> {
        let seed = self.plan.seed;
        summary.topics = describe::run(self.records, self.writer, seed, count, names)?;
        self.end(summary, "describe");
        let entry = self.write_topics(&summary.topics)?;
        summary.others.push((Table::Topics, entry));
        let rows = self.records.manifest.rows;
        let share = summary.placed as f64 / rows.max(1) as f64;
        summary.measures.insert("coverage".into(), share);
        summary.counts.extend([
            ("records", rows),
            ("records_with_topic", summary.placed),
            ("records_without_topic", rows - summary.placed),
            ("topics", summary.topics.len() as u64),
        ]);
        Ok(())
    }

    fn write_topics(&self, topics: &[Topic]) -> Result<Entry> {
        let place = self.writer.dir().join(TOPICS);
        let output = self.writer.create(TOPICS)?;
        let mut output = ShardWriter::new(output, Arc::new(topic::names_schema()), &place)?;
        let batch = topic::names(topics);
        output.write(&batch.map_err(juzi_schemas::Error::parquet(&place))?)?;
        let (file, rows) = output.finish()?;
        let null = serde_json::Value::Null;
        Ok(self.writer.commit(file, Durability::Durable, rows, null)?)
    }

    /// Notes how long the part that ends here took.
    fn end(&self, summary: &mut Summary, name: &'static str) {
        let before: f64 = summary.phases.iter().map(|(_, seconds)| seconds).sum();
        let seconds = self.since.elapsed().as_secs_f64() - before;
        summary.phases.push((name, seconds));
    }
}
