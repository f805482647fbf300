//! The output: for each file of pairs one of negatives, row for row, and the ledger.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{AsArray, RecordBatch};
use juzi_schemas::dataset::Durability;
use juzi_schemas::dropped::{self, Dropped, DroppedBuilder, Reason};
use juzi_schemas::journal::Entry;
use juzi_schemas::negative::{Negative, NegativesBuilder, schema};
use juzi_schemas::record::Split;
use juzi_schemas::shard::{Groups, ROWS_PER_GROUP, ShardWriter};

use super::Job;
use super::collect::Source;
use super::consistency::Ranks;
use super::counts::Counts;
use super::judge::{Judge, Row, Scratch};
use crate::error::{Error, Result};
use crate::flow::in_order;
use crate::flow::progress::Phase;

/// The drop ledger.
pub const LEDGER: &str = "dropped-00000.parquet";

/// Rows that a worker judges at a time, which are a row group then.
const ROWS: usize = 4096;

/// Longest text in a detail of the ledger, in characters.
const DETAIL_CHARS: usize = 80;

/// Rows of a row group of a shard.
struct Unit {
    group: usize,
    rows: Range<usize>,
    /// Number of the first of them among all rows of split train.
    start: usize,
}

/// What all files are made from.
pub struct Output<'o> {
    /// The run.
    pub job: &'o Job<'o>,
    /// Who chooses.
    pub judge: &'o Judge<'o>,
    /// Which rows stay; all, where nothing was ranked.
    pub ranks: Option<&'o Ranks>,
    /// Directory of the shards.
    pub shards: PathBuf,
    /// Whether negatives have words.
    pub words: bool,
    /// Where scores lie, for histograms.
    pub scale: (f64, f64),
}

impl Output<'_> {
    /// Writes all files, or finds them written; gives them with the counts of all rows.
    ///
    /// # Errors
    /// The disk; an interruption.
    pub fn files(&self, sources: &[Source]) -> Result<(Vec<Entry>, Counts)> {
        let total: usize = sources.iter().map(|source| source.rows).sum();
        let phase = Phase::of_rows("choose", total as u64, self.job.options.quiet);
        let (mut files, mut counts) = (Vec::new(), Counts::new(self.scale));
        for source in sources {
            let entry = match self.job.writer.committed(&source.name) {
                Some(entry) => {
                    let rows = &phase.counters.rows;
                    rows.fetch_add(source.rows as u64, Ordering::Relaxed);
                    entry
                }
                None => self.file(source, &phase)?,
            };
            let note = serde_json::from_value(entry.note.clone());
            let own: Counts = note.expect("the journal's lines are checked");
            counts.add(&own);
            files.push(entry);
        }
        Ok((files, counts))
    }

    fn file(&self, source: &Source, phase: &Phase) -> Result<Entry> {
        let groups = Groups::open(&self.shards.join(&source.name), None)?;
        let units = units(&groups, source)?;
        let options = self.job.options;
        let place = self.job.writer.dir().join(&source.name);
        let output = self.job.writer.create(&source.name)?;
        let mut output = ShardWriter::new(output, Arc::new(schema(self.words)), &place)?;
        let mut counts = Counts::new(self.scale);
        let next = AtomicUsize::new(0);
        in_order::run(
            options.threads,
            "choose",
            &options.resume,
            Scratch::default,
            |scratch| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                match units.get(number) {
                    None => Ok(None),
                    Some(unit) => Ok(Some((number as u64, self.unit(&groups, unit, scratch)?))),
                }
            },
            |(batch, own): (RecordBatch, Counts)| {
                counts.add(&own);
                let rows = own.rows + own.inconsistent;
                phase.counters.rows.fetch_add(rows, Ordering::Relaxed);
                match batch.num_rows() {
                    0 => Ok(()),
                    _ => Ok(output.write(&batch)?),
                }
            },
        )?;
        let (file, rows) = output.finish()?;
        let note = serde_json::to_value(&counts).expect("plain numbers have a JSON form");
        let writer = self.job.writer;
        Ok(writer.commit(file, Durability::Durable, rows, note)?)
    }

    fn unit(
        &self,
        groups: &Groups,
        unit: &Unit,
        scratch: &mut Scratch,
    ) -> Result<(RecordBatch, Counts)> {
        let batch = groups.read(unit.group, Some(&["id", "split"]))?;
        let mut builder = NegativesBuilder::new(self.words);
        let mut counts = Counts::new(self.scale);
        let mut number = unit.start;
        for at in unit.rows.clone() {
            let Some(id) = train_id(&batch, at) else {
                continue;
            };
            match self.ranks.is_none_or(|ranks| ranks.keeps(number)) {
                true => self.row(Row { number, id }, scratch, &mut builder, &mut counts)?,
                false => counts.inconsistent += 1,
            }
            number += 1;
        }
        let batch = builder.finish();
        Ok((
            batch.map_err(juzi_schemas::Error::parquet("negatives"))?,
            counts,
        ))
    }

    fn row(
        &self,
        row: Row,
        scratch: &mut Scratch,
        builder: &mut NegativesBuilder,
        counts: &mut Counts,
    ) -> Result<()> {
        let choice = self.judge.choose(row, scratch, counts)?;
        let mut buffer = Vec::new();
        let mut texts = Vec::with_capacity(choice.kept.len());
        for kept in &choice.kept {
            let documents = &self.judge.collected.documents;
            let record = documents.record(kept.document, &mut buffer)?;
            let words: Vec<u16> = record.lengths().collect();
            texts.push((record.text.to_string(), words));
        }
        let each = choice.kept.iter().zip(&texts);
        let negatives: Vec<Negative> = each
            .map(|(kept, (text, words))| Negative {
                text,
                score: kept.score,
                words,
            })
            .collect();
        let positive = (choice.positive_score, choice.positive_rank);
        builder.push(row.id, positive, &negatives);
        Ok(())
    }

    /// The id of a row, out of its shard.
    ///
    /// # Errors
    /// The disk.
    pub fn id_of(&self, number: usize) -> Result<u128> {
        let sources = &self.judge.collected.gathered.sources;
        let at = sources.partition_point(|source| source.start + source.rows <= number);
        let source = &sources[at];
        let groups = Groups::open(&self.shards.join(&source.name), None)?;
        let mut left = number - source.start;
        for group in 0..groups.len() {
            let batch = groups.read(group, Some(&["id", "split"]))?;
            for id in (0..batch.num_rows()).filter_map(|row| train_id(&batch, row)) {
                match left {
                    0 => return Ok(id),
                    _ => left -= 1,
                }
            }
        }
        Err(changed(source))
    }

    /// Writes the ledger of the rows that were dropped, if there are any.
    ///
    /// # Errors
    /// The disk.
    pub fn ledger(&self, sources: &[Source]) -> Result<Option<Entry>> {
        let Some(ranks) = self.ranks else {
            return Ok(None);
        };
        if let Some(entry) = self.job.writer.committed(LEDGER) {
            return Ok(Some(entry));
        }
        if (0..ranks.ranks.len()).all(|row| ranks.keeps(row)) {
            return Ok(None);
        }
        let place = self.job.writer.dir().join(LEDGER);
        let output = self.job.writer.create(LEDGER)?;
        let mut output = ShardWriter::new(output, Arc::new(dropped::schema()), &place)?;
        let mut builder = DroppedBuilder::default();
        for source in sources {
            for row in source.start..source.start + source.rows {
                if !ranks.keeps(row) {
                    builder.push(&Dropped {
                        reason: Reason::Inconsistent,
                        corpus: super::NAME,
                        split: Split::Train.name(),
                        file: &source.name,
                        member: None,
                        offset: 0,
                        line: Some((row - source.start) as u64 + 1),
                        keeper: None,
                        detail: Some(&self.detail(row, ranks)?),
                    });
                }
                if builder.rows() == ROWS_PER_GROUP {
                    let batch = builder.finish();
                    output.write(&batch.map_err(juzi_schemas::Error::parquet(LEDGER))?)?;
                }
            }
        }
        if builder.rows() > 0 {
            let batch = builder.finish();
            output.write(&batch.map_err(juzi_schemas::Error::parquet(LEDGER))?)?;
        }
        let (file, rows) = output.finish()?;
        let (writer, note) = (self.job.writer, serde_json::Value::Null);
        Ok(Some(writer.commit(
            file,
            Durability::Durable,
            rows,
            note,
        )?))
    }

    /// The rank, then anchor and positive.
    fn detail(&self, row: usize, ranks: &Ranks) -> Result<String> {
        let collected = self.judge.collected;
        let entry = collected.rows[row];
        let mut buffer = Vec::new();
        let start = |text: &str| -> String { text.chars().take(DETAIL_CHARS).collect() };
        let anchor = start(collected.queries.record(entry.query, &mut buffer)?.text);
        let documents = &collected.documents;
        let positive = start(documents.record(entry.positive, &mut buffer)?.text);
        let rank = match ranks.ranks[row] {
            0 => format!("not among the best {}", ranks.depth),
            rank => format!("rank {rank}"),
        };
        Ok(format!("{rank}: {anchor} → {positive}"))
    }
}

/// The id of a row of split train.
fn train_id(batch: &RecordBatch, row: usize) -> Option<u128> {
    let splits = batch.column_by_name("split")?.as_string_opt::<i32>()?;
    let ids = batch.column_by_name("id")?.as_fixed_size_binary_opt()?;
    let id = ids.value(row).try_into().ok()?;
    (splits.value(row) == Split::Train.name()).then(|| u128::from_be_bytes(id))
}

/// Cuts a file into pieces of its row groups and numbers its rows.
fn units(groups: &Groups, source: &Source) -> Result<Vec<Unit>> {
    let mut units = Vec::new();
    let mut number = source.start;
    for group in 0..groups.len() {
        let batch = groups.read(group, Some(&["id", "split"]))?;
        for start in (0..batch.num_rows()).step_by(ROWS) {
            let rows = start..(start + ROWS).min(batch.num_rows());
            let first = number;
            number += rows
                .clone()
                .filter(|&row| train_id(&batch, row).is_some())
                .count();
            units.push(Unit {
                group,
                rows,
                start: first,
            });
        }
    }
    match number == source.start + source.rows {
        true => Ok(units),
        false => Err(changed(source)),
    }
}

fn changed(source: &Source) -> Error {
    Error::Content {
        path: PathBuf::from(&source.name),
        message: "the shard has other rows than when it was collected".into(),
    }
}
