//! The words of the static text vectors: counted, read, weighed, freed of what all texts share.

use std::sync::Arc;

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::journal::Entry;
use juzi_schemas::shard::{ROWS_PER_GROUP, ShardWriter};
use juzi_schemas::topic;
use serde::{Deserialize, Serialize};

use super::draw::Lot;
use super::records::Records;
use super::{LEDGER, NAME, WORDS};
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::plan::{Plan, TopicsPlan};
use crate::stages::synonyms::load::{Ledger, Loaded};
use crate::stages::synonyms::vocabulary::{Counts, count};
use crate::stages::{RunOptions, base_name};
use crate::vectors::static_text::StaticText;
use crate::vectors::{self, Part, Run, sif};

/// Records on whose texts the common component is measured.
const COMPONENT_RECORDS: f64 = 20_000.0;

/// What became of the words of the shards.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WordCounts {
    /// Words of the shards with a letter or digit, each as often as it stands there.
    pub tokens: u64,
    /// Those that have a vector.
    pub tokens_found: u64,
    /// Different words of the shards with a letter or digit.
    pub words: u64,
    /// Those that have a vector.
    pub words_found: u64,
    /// What was read of the vector file.
    pub loaded: Loaded,
}

/// The words with their final vectors, made or found made.
///
/// # Errors
/// The vectors cannot be read, or not one word has one; the disk; an interruption.
pub fn run(
    plan: &Plan,
    table: &TopicsPlan,
    options: &RunOptions,
    records: &Records<'_>,
    writer: &DatasetWriter,
) -> Result<(StaticText, WordCounts, Entry)> {
    if let Some(entry) = writer.committed(WORDS) {
        let counted = serde_json::from_value(entry.note.clone());
        let counted = counted.expect("the journal's lines are checked");
        if let Some(text) = StaticText::read(&[writer.dir().join(WORDS)])? {
            return Ok((text, counted, entry));
        }
    }
    let counts = count(&records.dir, &records.manifest, options)?;
    let (mut text, loaded) = load(table, options, writer, &counts)?;
    if text.is_empty() {
        return Err(Error::Plan {
            path: plan.path.clone(),
            message: format!(
                "[topics] vectors: not one of {} words of the shards has a vector ({} rows, {} of \
                 them bad); are they in the same script and segmentation?",
                counts.len(),
                loaded.rows,
                loaded.bad
            ),
        });
    }
    let own: Vec<u64> = (0..text.len()).map(|at| counts[text.word(at)]).collect();
    let mut counted = WordCounts {
        loaded,
        ..WordCounts::default()
    };
    for (word, count) in &counts {
        let lettered = word.chars().any(char::is_alphanumeric);
        if lettered {
            let found = u64::from(text.vector(word).is_some());
            counted.words += 1;
            counted.words_found += found;
            counted.tokens += count;
            counted.tokens_found += count * found;
        }
    }
    let (dimension, tokens) = (text.dimension(), counts.values().sum());
    sif::weigh(
        text.values_mut(),
        dimension,
        &own,
        tokens,
        table.options.sif_a,
    );
    let unit = component(plan, records, &text)?;
    sif::remove(text.values_mut(), &unit);
    let note = serde_json::to_value(&counted).expect("plain numbers have a JSON form");
    let entry = write(writer, WORDS, &text, note)?;
    Ok((text, counted, entry))
}

/// Reads the vectors of counted words; bad rows go to the ledger.
fn load(
    table: &TopicsPlan,
    options: &RunOptions,
    writer: &DatasetWriter,
    counts: &Counts,
) -> Result<(StaticText, Loaded)> {
    let file = table.vectors.as_ref().expect("the source is vectors");
    let wanted = |word: &str| counts.contains_key(word);
    let bytes = std::fs::metadata(&file.path).map_or(0, |metadata| metadata.len());
    let phase = Phase::start("vectors", bytes, options.quiet);
    let run = Run {
        threads: options.threads,
        resume: &options.resume,
        bytes: &phase.counters.bytes,
        rows: &phase.counters.rows,
    };
    let mut ledger = Ledger::new(writer, NAME, base_name(&file.path))?;
    let (mut words, mut values) = (Vec::new(), Vec::new());
    let totals = vectors::read(file, &wanted, &run, &mut |part: Part| {
        words.extend(part.words);
        values.extend(part.values);
        part.dropped.iter().try_for_each(|row| {
            let (member, detail) = (row.member.as_deref(), row.detail.as_deref());
            ledger.push(row.reason, member, row.offset, row.line, detail)
        })
    })?;
    let mut loaded = Loaded {
        rows: totals.rows,
        kept: totals.wanted,
        skipped: totals.skipped,
        bad: totals.dropped,
        dimension: totals.dimension,
        ..Loaded::default()
    };
    ledger.commit(writer, &mut loaded)?;
    debug_assert!(writer.committed(LEDGER).is_some());
    let words = words.iter().map(String::as_str);
    Ok((StaticText::new(words, values, totals.dimension), loaded))
}

/// What all texts share, measured on the texts of a sample of records.
fn component(plan: &Plan, records: &Records<'_>, text: &StaticText) -> Result<Vec<f32>> {
    let lot = Lot::new(plan.seed, COMPONENT_RECORDS, records.manifest.rows);
    let vectors = records.each_group("common", |_, rows| {
        let mut vectors = Vec::new();
        let mut vector = vec![0.0; text.dimension()];
        for row in (0..rows.len()).filter(|&row| lot.draws(rows.id(row))) {
            rows.texts(row, |own, lengths| {
                if text.embed(own, lengths, &mut vector) {
                    vectors.extend_from_slice(&vector);
                }
            })?;
        }
        Ok(vectors)
    })?;
    Ok(sif::component(&vectors.concat(), text.dimension()))
}

fn write(
    writer: &DatasetWriter,
    name: &str,
    text: &StaticText,
    note: serde_json::Value,
) -> Result<Entry> {
    let names: Vec<&str> = (0..text.len()).map(|at| text.word(at)).collect();
    write_vectors(writer, name, &names, text.values(), note)
}

/// Commits a table of named vectors.
///
/// # Errors
/// The disk.
pub fn write_vectors(
    writer: &DatasetWriter,
    name: &str,
    names: &[&str],
    values: &[f32],
    note: serde_json::Value,
) -> Result<Entry> {
    let place = writer.dir().join(name);
    let dimension = values.len() / names.len().max(1);
    let output = writer.create(name)?;
    let mut output = ShardWriter::new(output, Arc::new(topic::vectors_schema()), &place)?;
    let parts = names.chunks(ROWS_PER_GROUP);
    for (names, values) in parts.zip(values.chunks((ROWS_PER_GROUP * dimension).max(1))) {
        let batch = topic::vectors(names, values);
        output.write(&batch.map_err(juzi_schemas::Error::parquet(&place))?)?;
    }
    let (file, rows) = output.finish()?;
    Ok(writer.commit(file, Durability::Durable, rows, note)?)
}
