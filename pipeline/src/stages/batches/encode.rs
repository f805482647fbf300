//! Encoding: batches become row groups, some of them a file.

use std::ops::Range;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float32Type;
use juzi_schemas::batch::{BatchBuilder, Description, Layout, Row};
use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::journal::Entry;
use juzi_schemas::record::Kind;
use juzi_schemas::shard::ShardWriter;
use serde::{Deserialize, Serialize};

use super::block::{Columns, Stock, numbers, strings};
use super::hardness::HardnessMeter;
use super::inputs::{Inputs, id_at};
use crate::error::{Error, Result};
use crate::samplers::{MaskScratch, Masks, NO_TOPIC, Policy};
use crate::vectors::static_text::StaticText;

/// Most batches in a file: with 128 rows each, a file of some ten megabytes and a footer of half a one.
const BATCHES_MAX: usize = 1024;

/// Fewest, where there are so many.
const BATCHES_MIN: usize = 64;

/// Files that a window is cut into at least, so that workers have about as much to do each.
const FILES_MIN: usize = 16;

/// Batches in each file of a window with so many.
pub fn batches_per_file(batches: usize) -> usize {
    batches.div_ceil(FILES_MIN).clamp(BATCHES_MIN, BATCHES_MAX)
}

/// What is known of the batches of a file only after their texts were looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Texts of each batch.
    pub texts: Vec<u32>,
    /// Masked documents of each batch.
    pub masked: Vec<u32>,
    /// Hardness of each batch.
    pub hardness: Vec<Option<f32>>,
    /// Documents that count as negatives, over all anchors.
    pub negatives: u64,
    /// Those of them that are known positives.
    pub false_negatives: u64,
}

/// A file of batches that were composed.
pub struct Job {
    /// Number of the file.
    pub file: u32,
    /// Number of its first batch.
    pub first_batch: u32,
    /// Its batches, by their numbers in the window.
    pub batches: Range<usize>,
}

/// Encodes the batches of a window.
pub struct Encoder<'e> {
    /// Where files go.
    pub writer: &'e DatasetWriter,
    /// The inputs.
    pub inputs: &'e Inputs,
    /// The rows of the window.
    pub stock: &'e Stock,
    /// Columns of each block.
    pub columns: Vec<Columns>,
    /// Rows of each batch of the window.
    pub batches: &'e [Vec<u32>],
    /// The guards.
    pub policy: Policy,
    /// Vectors of words, for the hardness.
    pub vectors: Option<&'e StaticText>,
}

/// Memory that is used again from row to row, and what is known of the batches so far.
struct Work<'s> {
    texts: Vec<(&'s str, &'s [u16])>,
    strings: Vec<&'s str>,
    scores: Vec<f32>,
    words: Vec<u16>,
    masks: MaskScratch,
    meter: Option<HardnessMeter<'s>>,
    note: Note,
}

impl Encoder<'_> {
    /// Writes a file, or finds it written by the run that was stopped.
    ///
    /// # Errors
    /// The disk; words that do not fit their texts.
    pub fn encode(&self, job: &Job) -> Result<(Entry, Note)> {
        let name = format!("part-{:05}.parquet", job.file);
        if let Some(entry) = self.writer.committed(&name) {
            let note = serde_json::from_value(entry.note.clone());
            return Ok((entry, note.expect("the journal's lines are checked")));
        }
        let mut builder = BatchBuilder::new(Layout {
            kind: self.inputs.kind.layout(),
            words: self.inputs.words,
            scores: self.inputs.mined(),
        });
        let place = self.writer.dir().join(&name);
        let file = self.writer.create(&name)?;
        let mut output = ShardWriter::new(file, builder.schema(), &place)?;
        let mut work = Work {
            texts: Vec::new(),
            strings: Vec::new(),
            scores: Vec::new(),
            words: Vec::new(),
            masks: MaskScratch::default(),
            meter: self.vectors.map(HardnessMeter::new),
            note: Note::default(),
        };
        for (number, rows) in (job.first_batch..).zip(&self.batches[job.batches.clone()]) {
            self.push(number, rows, &mut builder, &mut work)?;
            let batch = builder.finish();
            output.write(&batch.map_err(juzi_schemas::Error::parquet(&place))?)?;
        }
        let (file, rows) = output.finish()?;
        let note = serde_json::to_value(&work.note).expect("plain numbers have a JSON form");
        let entry = self.writer.commit(file, Durability::Durable, rows, note)?;
        Ok((entry, work.note))
    }

    /// Appends a batch to the builder and what is known of it to the note.
    fn push<'s>(
        &'s self,
        number: u32,
        rows: &[u32],
        builder: &mut BatchBuilder,
        work: &mut Work<'s>,
    ) -> Result<()> {
        self.touch(rows);
        let kind = self.inputs.kind.layout();
        let masks =
            (kind == Kind::Triplet).then(|| work.masks.masks(&self.stock.rows, rows, self.policy));
        let list = |of: fn(&Masks) -> &Vec<Vec<u32>>, at: usize| {
            masks.as_ref().map_or(&[][..], |masks| &of(masks)[at])
        };
        let mut texts = 0;
        for (at, &row) in rows.iter().enumerate() {
            let (block, inside) = self.stock.places[row as usize];
            let (block, inside) = (block as usize, inside as usize);
            let columns = &self.columns[block];
            self.texts(block, inside, &mut work.texts)?;
            texts += work.texts.len();
            if let Some(meter) = &mut work.meter {
                meter.push(&work.texts[..kind.language_columns(work.texts.len())]);
            }
            work.strings.clear();
            work.words.clear();
            for (text, words) in &work.texts {
                work.strings.push(text);
                work.words.extend_from_slice(words);
            }
            scores_of(columns, inside, &mut work.scores);
            let facts = &self.stock.rows;
            let topic = facts.topics[row as usize];
            let scores = columns.scores.as_ref();
            builder.push(
                number,
                &Row {
                    id: id_at(&columns.ids, inside),
                    corpus: &self.inputs.corpora[usize::from(facts.corpora[row as usize])],
                    topic: (topic != NO_TOPIC).then_some(topic),
                    texts: &work.strings,
                    score: scores.map_or(0.0, |scores| scores.value(inside)),
                    positives: list(|masks| &masks.positives, at),
                    ignored: list(|masks| &masks.ignored, at),
                    scores: &work.scores,
                    words: &work.words,
                },
            );
        }
        let meter = work.meter.as_mut();
        let hardness = meter.and_then(|meter| meter.measure(masks.as_ref()));
        let masks = masks.unwrap_or_default();
        let note = &mut work.note;
        note.texts.push(texts as u32);
        note.masked.push(masks.masked() as u32);
        note.hardness.push(hardness);
        note.negatives += masks.negatives;
        note.false_negatives += masks.false_negatives;
        Ok(())
    }

    /// Looks at what a batch needs, field by field: its rows lie far apart in memory, and in plain
    /// loops the processor fetches several of them at once.
    fn touch(&self, rows: &[u32]) {
        let facts = &self.stock.rows;
        let mut sum = 0;
        for &row in rows {
            sum ^= facts.groups[row as usize] ^ u64::from(facts.topics[row as usize]);
            sum ^= facts.texts(row).first().copied().unwrap_or_default();
        }
        let columns = rows.iter().map(|&row| {
            let (block, inside) = self.stock.places[row as usize];
            (&self.columns[block as usize], inside as usize)
        });
        for (columns, inside) in columns.clone() {
            sum ^= u64::from(columns.ids.value_data()[inside * 16]);
            for texts in &columns.texts {
                sum ^= texts.value_offsets()[inside] as u64;
            }
        }
        for (columns, inside) in columns {
            for texts in &columns.texts {
                let start = texts.value_offsets()[inside] as usize;
                sum ^= u64::from(texts.value_data().get(start).copied().unwrap_or_default());
            }
        }
        std::hint::black_box(sum);
    }

    /// Finds the texts of a row, each with the lengths of its words.
    fn texts<'s>(
        &'s self,
        block: usize,
        row: usize,
        texts: &mut Vec<(&'s str, &'s [u16])>,
    ) -> Result<()> {
        let columns = &self.columns[block];
        let language = self
            .inputs
            .kind
            .layout()
            .language_columns(columns.texts.len());
        let (own, mined) = (
            strings(&columns.negatives, row),
            strings(&columns.mined, row),
        );
        let (mut words, mut mined_words) = (
            Words::new(numbers(&columns.words, row), self.inputs.words),
            Words::new(numbers(&columns.mined_words, row), self.inputs.words),
        );
        texts.clear();
        for (at, column) in columns.texts.iter().enumerate() {
            let text = column.value(row);
            let lengths = match at < language {
                true => words.next(text),
                false => Some(&[][..]),
            };
            texts.push((text, lengths.ok_or_else(|| self.mismatch(block, row))?));
        }
        let kept = numbers(&columns.kept, row);
        let (of_own, of_mined) =
            kept.split_at(kept.partition_point(|at| usize::from(*at) < own.len()));
        let lists = [
            (own, of_own, &mut words, 0),
            (mined, of_mined, &mut mined_words, own.len()),
        ];
        for (list, kept, words, before) in lists {
            // The words of those left out stand between those of the others.
            let last = kept
                .last()
                .map_or(0, |last| usize::from(*last) + 1 - before);
            for number in 0..last {
                let text = list.get(number);
                let lengths = words.next(text).ok_or_else(|| self.mismatch(block, row))?;
                if kept.binary_search(&((number + before) as u16)).is_ok() {
                    texts.push((text, lengths));
                }
            }
        }
        Ok(())
    }

    fn mismatch(&self, block: usize, row: usize) -> Error {
        let source = &self.inputs.sources[self.stock.blocks[block].source];
        let row = self.columns[block].lines.value(row);
        Error::Content {
            path: source.path.clone(),
            message: format!("row {row}: the lengths of the words do not add up to the texts"),
        }
    }
}

/// The miner's scores of a row's positive and of the negatives it keeps.
fn scores_of(columns: &Columns, row: usize, scores: &mut Vec<f32>) {
    scores.clear();
    let known = columns.positive_scores.as_ref();
    let known = known.filter(|known| known.is_valid(row));
    scores.push(known.map_or(f32::NAN, |known| known.value(row)));
    let own = strings(&columns.negatives, row).len();
    let mined = columns.mined_scores.as_ref();
    let mined = mined.map(|mined| (mined.value_offsets()[row] as usize, mined.values()));
    for &kept in numbers(&columns.kept, row) {
        let number = usize::from(kept).checked_sub(own);
        scores.push(
            number
                .zip(mined)
                .map_or(f32::NAN, |(number, (start, mined))| {
                    mined.as_primitive::<Float32Type>().value(start + number)
                }),
        );
    }
}

/// Lengths of the words of several texts, one after another.
struct Words<'w> {
    left: &'w [u16],
    there: bool,
}

impl<'w> Words<'w> {
    fn new(left: &'w [u16], there: bool) -> Words<'w> {
        Words { left, there }
    }

    /// The lengths of the next text's words; nothing if they do not add up.
    fn next(&mut self, text: &str) -> Option<&'w [u16]> {
        if !self.there {
            return Some(&[]);
        }
        let mut characters = text.chars().count();
        let mut count = 0;
        while characters > 0 {
            let length = usize::from(*self.left.get(count)?);
            characters = characters.checked_sub(length).filter(|_| length > 0)?;
            count += 1;
        }
        let (own, rest) = self.left.split_at(count);
        self.left = rest;
        Some(own)
    }
}

/// What is known of a batch without its texts; `topics` tells whether rows have any.
pub fn describe(inputs: &Inputs, stock: &Stock, rows: &[u32], topics: bool) -> Description {
    let mut of_topic: Vec<u32> = rows
        .iter()
        .map(|&row| stock.rows.topics[row as usize])
        .collect();
    of_topic.sort_unstable();
    let runs = of_topic.chunk_by(|a, b| a == b);
    // The first of equally frequent topics.
    let most = runs.max_by_key(|run| (run.len(), std::cmp::Reverse(run[0])));
    let mut counts = vec![0u32; inputs.corpora.len()];
    for &row in rows {
        counts[usize::from(stock.rows.corpora[row as usize])] += 1;
    }
    let named = inputs.corpora.iter().cloned().zip(counts);
    let mut corpora: Vec<(String, u32)> = named.filter(|(_, count)| *count > 0).collect();
    corpora.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let purity = most.map(|run| run.len() as f32 / rows.len() as f32);
    Description {
        rows: rows.len() as u32,
        topic: most.map(|run| run[0]).filter(|topic| *topic != NO_TOPIC),
        purity: purity.filter(|_| topics),
        corpora,
        ..Description::default()
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn words_of_texts_in_turn() {
        let mut words = Words::new(&[2, 1, 1, 3], true);
        assert_eq!(words.next("你好吗"), Some(&[2, 1][..]));
        assert_eq!(words.next(""), Some(&[][..]));
        assert_eq!(words.next("是"), Some(&[1][..]));
        assert_eq!(words.next("不是"), None);
        assert_eq!(Words::new(&[2, 0], true).next("三个字"), None);
        assert_eq!(Words::new(&[], false).next("三个字"), Some(&[][..]));
    }
}
