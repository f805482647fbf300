//! Blocks of rows in file order: numbered, freed of repeated words, counted, handed on.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use juzi_schemas::dropped::Reason;

use super::open::several;
use super::probe::Found;
use super::rows::{Place, Rows, excerpt};
use super::{BadRow, Header, Part, Run, Totals, VectorFile};
use crate::error::{Error, Result};

/// Takes the blocks of one file.
pub(super) struct Collector<'a> {
    file: &'a VectorFile,
    header: Header,
    member: Option<String>,
    run: &'a Run<'a>,
    sink: &'a mut dyn FnMut(Part) -> Result<()>,
    /// Words that were kept.
    words: HashSet<u128>,
    totals: Totals,
    /// Lines before the next block.
    pub(super) lines: u64,
}

impl<'a> Collector<'a> {
    pub(super) fn new(
        file: &'a VectorFile,
        found: &Found,
        run: &'a Run<'a>,
        sink: &'a mut dyn FnMut(Part) -> Result<()>,
    ) -> Collector<'a> {
        let dimension = found.header.dimension;
        Collector {
            file,
            header: found.header,
            member: found.member.clone(),
            run,
            sink,
            words: HashSet::new(),
            totals: Totals {
                dimension,
                ..Totals::default()
            },
            lines: 0,
        }
    }

    /// Takes the next block.
    pub(super) fn take(&mut self, mut rows: Rows) -> Result<()> {
        if let Some(second) = &rows.second {
            let first = self.member.as_deref().unwrap_or_default();
            return Err(several(self.file, first, second));
        }
        rows.trim();
        let repeated: Vec<bool> = rows
            .hashes
            .iter()
            .map(|&hash| !self.words.insert(hash))
            .collect();
        if repeated.contains(&true) {
            drop_repeated(&mut rows, &repeated, self.totals.dimension);
        }
        let Rows {
            words,
            rows: mut numbers,
            values,
            mut dropped,
            ..
        } = rows;
        numbers
            .iter_mut()
            .for_each(|number| *number += self.totals.rows);
        for row in &mut dropped {
            row.line = row.line.map(|line| self.lines + line + 1);
            row.member.clone_from(&self.member);
        }
        self.totals.rows += rows.seen;
        self.totals.skipped += rows.skipped;
        self.totals.wanted += words.len() as u64;
        self.totals.dropped += dropped.len() as u64;
        self.lines += rows.lines;
        self.run.rows.fetch_add(rows.seen, Ordering::Relaxed);
        self.run.bytes.fetch_add(rows.consumed, Ordering::Relaxed);
        if !words.is_empty() || !dropped.is_empty() {
            (self.sink)(Part {
                words,
                rows: numbers,
                values,
                dropped,
            })?;
        }
        match rows.damage {
            None => Ok(()),
            Some(detail) => Err(self.wrong(format!(
                "cannot be read further after row {}: {detail}; the file is likely truncated or damaged",
                self.totals.rows
            ))),
        }
    }

    /// The totals, once all blocks are taken.
    pub(super) fn finish(self) -> Result<Totals> {
        let totals = self.totals;
        match self.header.rows {
            Some(rows) if rows != totals.rows => Err(self.wrong(format!(
                "the header says {rows} rows, but {} were found: the file is likely truncated, or \
                 its header wrong",
                totals.rows
            ))),
            _ if totals.rows != totals.wanted + totals.skipped + totals.dropped => {
                Err(self.wrong(format!("the rows do not add up: {totals:?}")))
            }
            _ => Ok(totals),
        }
    }

    fn wrong(&self, message: String) -> Error {
        Error::Content {
            path: self.file.path.clone(),
            message,
        }
    }
}

/// Moves rows whose word was kept before to the ledger.
fn drop_repeated(rows: &mut Rows, repeated: &[bool], dimension: usize) {
    let mut kept = 0;
    for (at, &again) in repeated.iter().enumerate() {
        if again {
            let Place { offset, line } = rows.places[at];
            rows.dropped.push(BadRow {
                reason: Reason::DuplicateWord,
                member: None,
                offset,
                line: Some(line),
                detail: Some(excerpt(rows.words[at].as_bytes())),
            });
            continue;
        }
        rows.words.swap(kept, at);
        rows.rows.swap(kept, at);
        rows.values
            .copy_within(at * dimension..(at + 1) * dimension, kept * dimension);
        kept += 1;
    }
    rows.words.truncate(kept);
    rows.rows.truncate(kept);
    rows.values.truncate(kept * dimension);
    rows.dropped.sort_by_key(|row| row.offset);
}
