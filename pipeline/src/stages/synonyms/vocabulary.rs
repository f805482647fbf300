//! The vocabulary: the words of the plan's shards with their counts, and the words of a list.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use juzi_schemas::dataset::DatasetWriter;
use juzi_schemas::manifest::{File, Manifest, Table};
use juzi_schemas::shard;
use juzi_schemas::words::{Texts, cut};
use serde::{Deserialize, Serialize};

use super::word_list::WordList;
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::flow::workers;
use crate::plan::{Plan, SynonymsPlan};
use crate::stages::{RunOptions, dataset_of, shards};

/// Scratch file that holds it.
const NAME: &str = "vocabulary";

/// What was counted on the way to the vocabulary.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Counted {
    /// Words of the shards, each as often as it stands there.
    pub tokens: u64,
    /// Different words of the shards.
    pub words: u64,
    /// Different words with neither letter nor digit.
    pub without_letters: u64,
    /// Different words that are too rare.
    pub rare: u64,
    /// Words that only the list has.
    pub listed: u64,
}

/// The vocabulary, most frequent word first, counted or found counted.
///
/// # Errors
/// There are no shards with words; the list cannot be read; an interruption.
pub fn run(
    plan: &Plan,
    table: &SynonymsPlan,
    options: &RunOptions,
    writer: &DatasetWriter,
) -> Result<(WordList, Counted)> {
    if let Some(entry) = writer.committed(NAME) {
        let counted = serde_json::from_value(entry.note).expect("the journal's lines are checked");
        return Ok((WordList::read(&writer.dir().join(NAME))?, counted));
    }
    let mut counted = Counted::default();
    let mut counts = HashMap::new();
    if table.options.uses_shards() {
        let (dir, manifest) = shards_of(plan, options, (super::NAME, "vocabulary = \"shards\""))?;
        counts = count(&dir, &manifest, options)?;
        counted.tokens = counts.values().sum();
        counted.words = counts.len() as u64;
        counts.retain(|word, _| word.chars().any(char::is_alphanumeric));
        counted.without_letters = counted.words - counts.len() as u64;
        counts.retain(|_, count| *count >= table.options.count_min);
        counted.rare = counted.words - counted.without_letters - counts.len() as u64;
    }
    if let Some(path) = table.file("word_list") {
        for word in listed(path)? {
            counts.entry(word.into()).or_insert_with(|| {
                counted.listed += 1;
                0
            });
        }
    }
    let mut sorted: Vec<(Box<str>, u64)> = counts.into_iter().collect();
    sorted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut list = WordList::default();
    sorted
        .iter()
        .for_each(|(word, count)| list.push(word, *count));
    let note = serde_json::to_value(counted).expect("plain numbers have a JSON form");
    list.commit(writer, NAME, note)?;
    Ok((list, counted))
}

/// Words of a file, one a line.
fn listed(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(Error::input(path))?;
    let words = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    Ok(words
        .filter(|word| !word.is_empty())
        .map(String::from)
        .collect())
}

/// Directory of the plan's own shards, which must be made and have words; `why` is the stage, its
/// table and the key that needs them.
///
/// # Errors
/// There are none, or they have no words.
pub fn shards_of(
    plan: &Plan,
    options: &RunOptions,
    (stage, why): (&str, &str),
) -> Result<(std::path::PathBuf, Manifest)> {
    if !plan.shards.words {
        return Err(Error::Plan {
            path: plan.path.clone(),
            message: format!(
                "[{stage}] {why}: the shards have no words; set [shards] words = true"
            ),
        });
    }
    let identity = shards::identity(plan, options)?;
    dataset_of(plan, options, stage, shards::NAME, &identity)
}

/// How often each word stands somewhere.
pub type Counts = HashMap<Box<str>, u64>;

/// Counts the words of all shards.
///
/// # Errors
/// A shard cannot be read or has no words; an interruption.
pub fn count(dir: &Path, manifest: &Manifest, options: &RunOptions) -> Result<Counts> {
    let files: Vec<&File> = manifest.files_of(Table::Rows).collect();
    let total = files.iter().map(|file| file.bytes).sum();
    let phase = Phase::start("count", total, options.quiet);
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Counts::new());
    workers::run(options.threads, "count", &options.resume, |stop| {
        let mut own = Counts::new();
        while !stop.stopped()
            && let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed))
        {
            count_file(dir, file, &mut own)?;
            phase
                .counters
                .bytes
                .fetch_add(file.bytes, Ordering::Relaxed);
            phase.counters.rows.fetch_add(file.rows, Ordering::Relaxed);
        }
        let mut all = all.lock().expect("no holder panics");
        if all.len() < own.len() {
            std::mem::swap(&mut *all, &mut own);
        }
        own.into_iter()
            .for_each(|(word, count)| *all.entry(word).or_default() += count);
        Ok(())
    })?;
    Ok(all.into_inner().expect("no holder panics"))
}

fn count_file(dir: &Path, file: &File, counts: &mut Counts) -> Result<()> {
    let path = dir.join(&file.name);
    let wrong = |message: String| Error::Content {
        path: path.clone(),
        message,
    };
    let kind = file
        .kind
        .ok_or_else(|| wrong("a file of rows without a kind".into()))?;
    let mut first_row = 0;
    for batch in shard::read(&path)? {
        let batch = batch?;
        let texts =
            Texts::of(&batch, kind).ok_or_else(|| wrong("no column `words`".to_string()))?;
        for row in 0..batch.num_rows() {
            let each = |text: &str, lengths: &[u16]| {
                for word in cut(text, lengths) {
                    match counts.get_mut(word) {
                        Some(count) => *count += 1,
                        None => drop(counts.insert(word.into(), 1)),
                    }
                }
            };
            texts.row(row, each).map_err(|_| {
                wrong(format!(
                    "row {}: the lengths of the words do not add up to the texts",
                    first_row + row
                ))
            })?;
        }
        first_row += batch.num_rows();
    }
    Ok(())
}
