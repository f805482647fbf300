//! The merge: one shard from its slice of every spill file.
//!
//! A shard is a range of places. Its records are sorted by place, equal records meet, the keeper is
//! chosen, the others go to the ledger, and rows leave in the order of their places.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use juzi_schemas::dropped::{self, DroppedBuilder, Reason};
use juzi_schemas::record::{Kind, Layout, Row, RowsBuilder, Split};
use juzi_schemas::rows_hash::RowsHash;
use juzi_schemas::shard::{BYTES_PER_GROUP, ROWS_PER_GROUP, ShardWriter};

use super::identity::Identity;
use super::prefetch::{AHEAD, prefetch};
use super::slices::{Spills, Task};
use super::spill::{LEDGER, SpillDrop, SpillRow};
use crate::error::Result;
use crate::plan::Profile;
use crate::text::words::Segmenter;

/// What a merged shard counted.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Merged {
    /// Records that another unit also had.
    pub duplicates: u64,
    /// Records with a near duplicate of lower rank.
    pub near_duplicates: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    place: u64,
    at: u32,
    unit: u32,
}

/// One worker's memory.
pub struct MergeWorker {
    identity: Identity,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    words: Vec<u16>,
}

/// Where rows and ledger rows of a merge go.
pub struct Outputs<R: Write + Send, D: Write + Send> {
    /// The shard of records.
    pub rows: ShardWriter<R>,
    /// The shard of the ledger.
    pub dropped: ShardWriter<D>,
}

impl MergeWorker {
    /// A worker of a plan with this profile.
    pub fn new(profile: Profile) -> MergeWorker {
        MergeWorker {
            identity: Identity::new(profile),
            bytes: Vec::new(),
            entries: Vec::new(),
            words: Vec::new(),
        }
    }

    /// Makes a shard of records; `near` maps a record to its near duplicate of lower rank.
    pub fn rows<R: Write + Send, D: Write + Send>(
        &mut self,
        spills: &Spills<'_>,
        task: Task,
        layout: Layout,
        near: &HashMap<u128, u128>,
        segmenter: Option<&Segmenter>,
        outputs: &mut Outputs<R, D>,
    ) -> Result<Merged> {
        let kind = Kind::ALL[task.table];
        self.load_rows(spills, task, kind)?;
        let MergeWorker {
            identity,
            bytes,
            entries,
            words,
        } = self;
        let (mut builder, mut ledger, mut merged) = (
            RowsBuilder::new(layout),
            DroppedBuilder::default(),
            Merged::default(),
        );
        let mut row = SpillRow::empty();
        let mut failed = None;
        let mut again = identity.clone();
        unique(
            bytes,
            entries,
            kind,
            spills,
            identity,
            |entry, duplicate_of| {
                if failed.is_some() {
                    return;
                }
                SpillRow::decode(bytes, entry.at as usize, kind, &mut row);
                let id = again.of(kind, &row.texts);
                let near_keeper = near.get(&id).copied();
                let (keeper, reason) = match duplicate_of {
                    Some(keeper) => (Some(keeper), Reason::Duplicate),
                    None => (near_keeper, Reason::NearDuplicate),
                };
                let written = if let Some(keeper) = keeper {
                    match reason {
                        Reason::Duplicate => merged.duplicates += 1,
                        _ => merged.near_duplicates += 1,
                    }
                    let detail = (reason == Reason::NearDuplicate).then(|| row.texts[0]);
                    let drop = SpillDrop {
                        reason,
                        offset: row.offset,
                        line: Some(row.line),
                        keeper: Some(keeper),
                        detail,
                    };
                    ledger.push(&spills.dropped(entry.unit, &drop));
                    flush_ledger(&mut ledger, &mut outputs.dropped, ROWS_PER_GROUP)
                } else {
                    words.clear();
                    if let Some(segmenter) = segmenter {
                        let language = kind.language_columns(row.texts.len());
                        row.texts[..language]
                            .iter()
                            .for_each(|text| segmenter.lengths(text, words));
                    }
                    builder.push(&full_row(id, &row, entry.unit, spills, words));
                    flush_rows(&mut builder, &mut outputs.rows, ROWS_PER_GROUP)
                };
                failed = written.err();
            },
        );
        if let Some(error) = failed {
            return Err(error);
        }
        flush_rows(&mut builder, &mut outputs.rows, 1)?;
        flush_ledger(&mut ledger, &mut outputs.dropped, 1)?;
        Ok(merged)
    }

    /// Calls `visit` with id, split and strings of each record that exact duplicates leave.
    pub fn survivors(
        &mut self,
        spills: &Spills<'_>,
        task: Task,
        mut visit: impl FnMut(u128, Split, &[&str]),
    ) -> Result<()> {
        let kind = Kind::ALL[task.table];
        self.load_rows(spills, task, kind)?;
        let mut row = SpillRow::empty();
        let MergeWorker {
            identity,
            bytes,
            entries,
            ..
        } = self;
        let mut again = identity.clone();
        unique(
            bytes,
            entries,
            kind,
            spills,
            identity,
            |entry, duplicate_of| {
                if duplicate_of.is_none() {
                    SpillRow::decode(bytes, entry.at as usize, kind, &mut row);
                    let id = again.of(kind, &row.texts);
                    visit(
                        id,
                        spills.split(entry.unit),
                        &row.texts[..kind.language_columns(row.texts.len())],
                    );
                }
            },
        );
        Ok(())
    }

    fn load_rows(&mut self, spills: &Spills<'_>, task: Task, kind: Kind) -> Result<()> {
        let mut marks = Vec::new();
        spills.load(task, &mut self.bytes, |unit, at| marks.push((unit, at)))?;
        self.entries.clear();
        let mut row = SpillRow::empty();
        for (number, &(unit, start)) in marks.iter().enumerate() {
            let end = marks
                .get(number + 1)
                .map_or(self.bytes.len(), |next| next.1);
            let mut at = start;
            while at < end {
                let next = SpillRow::decode(&self.bytes, at, kind, &mut row);
                let place = spills.order.place(self.identity.of(kind, &row.texts));
                self.entries.push(Entry {
                    place,
                    at: at as u32,
                    unit,
                });
                at = next;
            }
        }
        self.entries
            .sort_unstable_by_key(|entry| (entry.place, entry.unit, entry.at));
        Ok(())
    }

    /// Makes a shard of what the units themselves dropped.
    pub fn ledger<D: Write + Send>(
        &mut self,
        spills: &Spills<'_>,
        task: Task,
        output: &mut ShardWriter<D>,
    ) -> Result<()> {
        debug_assert_eq!(task.table, LEDGER);
        let mut marks = Vec::new();
        spills.load(task, &mut self.bytes, |unit, at| marks.push((unit, at)))?;
        let mut rows = Vec::new();
        for (number, &(unit, start)) in marks.iter().enumerate() {
            let end = marks
                .get(number + 1)
                .map_or(self.bytes.len(), |next| next.1);
            let mut at = start;
            while at < end {
                let (place, _, next) = SpillDrop::decode(&self.bytes, at);
                rows.push(Entry {
                    place,
                    at: at as u32,
                    unit,
                });
                at = next;
            }
        }
        // Equal places are equal documents; their order must not depend on the order of the files.
        let whole = |entry: &Entry| {
            let drop = SpillDrop::decode(&self.bytes, entry.at as usize).1;
            let row = spills.dropped(entry.unit, &drop);
            (
                row.corpus, row.split, row.file, row.member, row.offset, row.detail,
            )
        };
        rows.sort_unstable_by(|a, b| a.place.cmp(&b.place).then_with(|| whole(a).cmp(&whole(b))));
        let mut builder = DroppedBuilder::default();
        for entry in &rows {
            let drop = SpillDrop::decode(&self.bytes, entry.at as usize).1;
            builder.push(&spills.dropped(entry.unit, &drop));
            flush_ledger(&mut builder, output, ROWS_PER_GROUP)?;
        }
        flush_ledger(&mut builder, output, 1)
    }
}

/// Walks over sorted entries; of equal records the first by split, corpus, document, position and
/// text is kept, and the others are visited with its id.
fn unique(
    bytes: &[u8],
    entries: &mut [Entry],
    kind: Kind,
    spills: &Spills<'_>,
    identity: &mut Identity,
    mut visit: impl FnMut(Entry, Option<u128>),
) {
    let decode = |entry: &Entry| {
        let mut row = SpillRow::empty();
        SpillRow::decode(bytes, entry.at as usize, kind, &mut row);
        row
    };
    let mut from = 0;
    while from < entries.len() {
        let place = entries[from].place;
        if let Some(ahead) = entries.get(from + AHEAD) {
            prefetch(bytes, ahead.at as usize);
        }
        let run = 1 + entries[from + 1..]
            .iter()
            .take_while(|entry| entry.place == place)
            .count();
        if run == 1 {
            visit(entries[from], None);
        } else {
            let ranked = entries[from..from + run].iter().map(|&entry| {
                let row = decode(&entry);
                let rank = (
                    identity.of(kind, &row.texts),
                    spills.split(entry.unit),
                    spills.corpus(entry.unit),
                );
                (rank, row, entry)
            });
            let mut ranked: Vec<_> = ranked.collect();
            // Offsets count from the start of the file: where its units end must not show.
            let origin = |entry: &Entry, row: &SpillRow<'_>| {
                let note = &spills.units[entry.unit as usize].note;
                (&spills.inputs[note.input].name, note.offset + row.offset)
            };
            ranked.sort_by(|(left_rank, left, a), (right_rank, right, b)| {
                let rest = |row: &SpillRow<'_>| (row.document, row.position);
                left_rank
                    .cmp(right_rank)
                    .then_with(|| rest(left).cmp(&rest(right)))
                    .then_with(|| left.texts.cmp(&right.texts))
                    .then_with(|| origin(a, left).cmp(&origin(b, right)))
            });
            let mut keeper = None;
            for ((id, ..), _, entry) in ranked {
                visit(entry, (keeper == Some(id)).then_some(id));
                keeper = Some(id);
            }
        }
        from += run;
    }
}

fn full_row<'a>(
    id: u128,
    row: &'a SpillRow<'a>,
    unit: u32,
    spills: &Spills<'_>,
    words: &'a [u16],
) -> Row<'a> {
    Row {
        id,
        corpus: spills.corpus(unit),
        split: spills.split(unit),
        texts: &row.texts,
        score: row.score,
        document: row.document,
        position: row.position,
        topic_key: row.topic_key,
        group_key: row.group_key,
        words,
    }
}

fn flush_rows<W: Write + Send>(
    builder: &mut RowsBuilder,
    output: &mut ShardWriter<W>,
    rows: usize,
) -> Result<()> {
    if builder.rows() < rows && builder.bytes() < BYTES_PER_GROUP {
        return Ok(());
    }
    let batch = builder
        .finish()
        .expect("the builder's columns fit its own schema");
    Ok(output.write(&batch)?)
}

fn flush_ledger<W: Write + Send>(
    builder: &mut DroppedBuilder,
    output: &mut ShardWriter<W>,
    rows: usize,
) -> Result<()> {
    if builder.rows() < rows {
        return Ok(());
    }
    let batch = builder
        .finish()
        .expect("the builder's columns fit its own schema");
    Ok(output.write(&batch)?)
}

/// Starts a ledger shard.
///
/// # Errors
/// The Parquet library refuses.
pub fn ledger_writer<W: Write + Send>(
    output: W,
    place: &std::path::Path,
) -> Result<ShardWriter<W>> {
    Ok(ShardWriter::new(
        output,
        Arc::new(dropped::schema()),
        place,
    )?)
}

/// Hash and output of a finished shard.
///
/// # Errors
/// The footer cannot be written.
pub fn finish<W: Write + Send>(writer: ShardWriter<W>) -> Result<(W, RowsHash)> {
    Ok(writer.finish()?)
}
