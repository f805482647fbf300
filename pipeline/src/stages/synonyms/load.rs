//! The vectors of the words that are needed: read once, kept as a scratch file of plain rows.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::Arc;

use juzi_schemas::dataset::{DatasetWriter, Durability, FileWriter};
use juzi_schemas::dropped::{self, Dropped, DroppedBuilder, Reason};
use juzi_schemas::rows_hash::RowsHash;
use juzi_schemas::shard::{ROWS_PER_GROUP, ShardWriter};
use serde::{Deserialize, Serialize};

use super::word_list::WordList;
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::plan::{Candidates, Plan, SynonymsPlan, Vocabulary};
use crate::stages::{RunOptions, base_name};
use crate::vectors::{self, Part, Run};

/// Scratch file of the rows: little-endian `f32`, unit length.
pub const VECTORS: &str = "vectors.f32";

/// Scratch file of their words and their numbers in the vector file.
const WORDS: &str = "words";

/// The drop ledger.
pub const LEDGER: &str = "dropped-00000.parquet";

/// What was read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Loaded {
    /// Rows of the vector file.
    pub rows: u64,
    /// Rows that were kept.
    pub kept: u64,
    /// Rows whose words nobody needs.
    pub skipped: u64,
    /// Rows that could not be used.
    pub bad: u64,
    /// Numbers in a row.
    pub dimension: usize,
    /// Ledger rows by reason.
    pub dropped: std::collections::BTreeMap<String, u64>,
}

/// Words of the vocabulary of about one frequency, and how many of them have a vector.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Band {
    /// Place by frequency of the band's last word, from 1.
    pub last: usize,
    /// Words of the band.
    pub words: u64,
    /// Words that have a vector.
    pub found: u64,
    /// How often the words stand in the shards.
    pub tokens: u64,
    /// How often those stand there that have a vector.
    pub found_tokens: u64,
}

/// Coverage by frequency: the first thousand words, up to ten thousand, and so on.
fn coverage(vocabulary: &WordList, have: &HashSet<&str>) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    for (at, (word, tokens)) in vocabulary.iter().enumerate() {
        if at == 0 || [1_000, 10_000, 100_000, 1_000_000].contains(&at) {
            bands.push(Band {
                last: 0,
                words: 0,
                found: 0,
                tokens: 0,
                found_tokens: 0,
            });
        }
        let band = bands.last_mut().expect("the first word begins one");
        let found = u64::from(have.contains(word));
        band.last = at + 1;
        band.words += 1;
        band.found += found;
        band.tokens += tokens;
        band.found_tokens += found * tokens;
    }
    bands
}

/// The kept words, in the order of the vector file.
pub struct Kept {
    /// The words.
    pub words: WordList,
    /// Ids of the words that get synonyms.
    pub queries: Vec<u32>,
    /// What was read.
    pub loaded: Loaded,
    /// How many words of the vocabulary have a vector, by frequency.
    pub coverage: Vec<Band>,
}

/// Reads the vector file, or finds it read.
///
/// # Errors
/// The vector file is none, or not one word has a vector; the disk; an interruption.
pub fn run(
    plan: &Plan,
    table: &SynonymsPlan,
    options: &RunOptions,
    writer: &DatasetWriter,
    vocabulary: &WordList,
) -> Result<Kept> {
    let numbers: HashMap<&str, u32> = (0..vocabulary.len())
        .map(|at| (vocabulary.word(at), at as u32))
        .collect();
    // The ledger is committed last, so that its presence stands for all three.
    let entry = [VECTORS, WORDS, LEDGER].map(|name| writer.committed(name));
    let (words, loaded) = match entry {
        [Some(_), Some(_), Some(ledger)] => {
            let loaded = serde_json::from_value(ledger.note);
            (
                WordList::read(&writer.dir().join(WORDS))?,
                loaded.expect("the journal's lines are checked"),
            )
        }
        _ => read(table, options, writer, vocabulary, &numbers)?,
    };
    let everything = table.options.vocabulary == Vocabulary::Vectors;
    let is_query = |id: &u32| everything || numbers.contains_key(words.word(*id as usize));
    let queries: Vec<u32> = (0..words.len() as u32).filter(is_query).collect();
    if queries.is_empty() {
        let path = table
            .vectors
            .as_ref()
            .map(|file| file.path.display().to_string());
        let message = format!(
            "not one of {} words of the vocabulary has a vector in {} ({} rows, {} of them bad); are they in the same \
             script and segmentation?",
            vocabulary.len(),
            path.unwrap_or_default(),
            loaded.rows,
            loaded.bad
        );
        return Err(Error::Plan {
            path: plan.path.clone(),
            message,
        });
    }
    let have: HashSet<&str> = words.iter().map(|(word, _)| word).collect();
    let coverage = coverage(vocabulary, &have);
    Ok(Kept {
        words,
        queries,
        loaded,
        coverage,
    })
}

fn read(
    table: &SynonymsPlan,
    options: &RunOptions,
    writer: &DatasetWriter,
    vocabulary: &WordList,
    numbers: &HashMap<&str, u32>,
) -> Result<(WordList, Loaded)> {
    let file = table.vectors.as_ref().expect("an import reads no vectors");
    let everything = table.options.vocabulary == Vocabulary::Vectors
        || table.options.candidates == Candidates::Vectors;
    let wanted = |word: &str| everything || numbers.contains_key(word);
    let bytes = std::fs::metadata(&file.path).map_or(0, |metadata| metadata.len());
    let phase = Phase::start("vectors", bytes, options.quiet);
    let run = Run {
        threads: options.threads,
        resume: &options.resume,
        bytes: &phase.counters.bytes,
        rows: &phase.counters.rows,
    };
    let mut values = writer.create(VECTORS)?;
    let mut ledger = Ledger::new(writer, super::NAME, base_name(&file.path))?;
    let mut words = WordList::default();
    let place = writer.dir().join(VECTORS);
    let totals = vectors::read(file, &wanted, &run, &mut |part: Part| {
        for (word, row) in part.words.iter().zip(&part.rows) {
            words.push(word, *row);
        }
        write_values(&mut values, &part.values).map_err(juzi_schemas::Error::io(&place))?;
        part.dropped.iter().try_for_each(|row| {
            ledger.push(
                row.reason,
                row.member.as_deref(),
                row.offset,
                row.line,
                row.detail.as_deref(),
            )
        })
    })?;
    drop(phase);
    let have: HashSet<&str> = words.iter().map(|(word, _)| word).collect();
    for (word, _) in vocabulary.iter().filter(|(word, _)| !have.contains(word)) {
        ledger.push(Reason::NoVector, None, 0, None, Some(word))?;
    }
    writer.commit(
        values,
        Durability::Scratch,
        RowsHash::default(),
        serde_json::Value::Null,
    )?;
    words.commit(writer, WORDS, serde_json::Value::Null)?;
    let mut loaded = Loaded {
        rows: totals.rows,
        kept: totals.wanted,
        skipped: totals.skipped,
        bad: totals.dropped,
        dimension: totals.dimension,
        ..Loaded::default()
    };
    ledger.commit(writer, &mut loaded)?;
    Ok((words, loaded))
}

fn write_values(file: &mut FileWriter, values: &[f32]) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(values.len().min(1 << 16) * 4);
    for values in values.chunks(1 << 16) {
        bytes.clear();
        values
            .iter()
            .for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        file.write_all(&bytes)?;
    }
    Ok(())
}

/// The drop ledger on its way to disk.
pub struct Ledger {
    output: ShardWriter<FileWriter>,
    builder: DroppedBuilder,
    counts: [u64; Reason::ALL.len()],
    stage: &'static str,
    file: String,
}

impl Ledger {
    /// The ledger of a stage about one input file, by its base name.
    ///
    /// # Errors
    /// The disk.
    pub fn new(writer: &DatasetWriter, stage: &'static str, file: String) -> Result<Ledger> {
        let place = writer.dir().join(LEDGER);
        let output = writer.create(LEDGER)?;
        Ok(Ledger {
            output: ShardWriter::new(output, Arc::new(dropped::schema()), &place)?,
            builder: DroppedBuilder::default(),
            counts: [0; Reason::ALL.len()],
            stage,
            file,
        })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// The disk.
    pub fn push(
        &mut self,
        reason: Reason,
        member: Option<&str>,
        offset: u64,
        line: Option<u64>,
        detail: Option<&str>,
    ) -> Result<()> {
        self.counts[reason as usize] += 1;
        self.builder.push(&Dropped {
            reason,
            corpus: self.stage,
            split: "",
            file: &self.file,
            member,
            offset,
            line,
            keeper: None,
            detail,
        });
        if self.builder.rows() == ROWS_PER_GROUP {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let batch = self.builder.finish();
        let batch = batch.map_err(juzi_schemas::Error::parquet(LEDGER))?;
        Ok(self.output.write(&batch)?)
    }

    /// Commits the ledger; its counts go into `loaded`, and that into the journal.
    ///
    /// # Errors
    /// The disk.
    pub fn commit(mut self, writer: &DatasetWriter, loaded: &mut Loaded) -> Result<()> {
        if self.builder.rows() > 0 {
            self.flush()?;
        }
        let counts = Reason::ALL.iter().zip(self.counts);
        loaded.dropped = counts
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.name().to_string(), count))
            .collect();
        let (file, rows) = self.output.finish()?;
        let note = serde_json::to_value(&*loaded).expect("plain numbers have a JSON form");
        writer.commit(file, Durability::Durable, rows, note)?;
        Ok(())
    }
}
