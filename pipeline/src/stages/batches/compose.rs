//! Composing: window after window of each pass, from units to written batches.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::Ordering;

use juzi_schemas::batch::{Description, descriptions};
use juzi_schemas::dataset::DatasetWriter;
use juzi_schemas::dropped::{Dropped, DroppedBuilder, Reason};
use juzi_schemas::journal::Entry;
use juzi_schemas::random::Draws;

use super::block::{Stock, strings};
use super::encode::{Encoder, Job, batches_per_file, describe};
use super::inputs::{Inputs, windows};
use super::load::Loader;
use super::table::Table;
use crate::error::Result;
use crate::flow::progress::Phase;
use crate::flow::workers::{Team, chunks};
use crate::plan::BatchesOptions;
use crate::samplers::{Composed, Memory, Walk, Window};
use crate::stages::RunOptions;
use crate::vectors::static_text::StaticText;

/// Stream of the draws of samplers.
const SAMPLING: u64 = 0x6261_7463;

/// Stream of the draws that shuffle batches.
const SHUFFLING: u64 = 0x7368_7566;

/// One in so many rows of a window may wait for the next.
const CARRIED_SHARE: usize = 8;

/// Batches of rows that may wait in any case.
const CARRIED_BATCHES: usize = 8;

/// Characters of a dropped text in the ledger.
const DETAIL_CHARS: usize = 200;

/// Sums of a run.
#[derive(Default)]
pub struct Totals {
    /// Files of batches.
    pub files: Vec<Entry>,
    /// Batches.
    pub batches: u64,
    /// Entries that were drawn.
    pub drawn: u64,
    /// Entries in batches, by corpus.
    pub placed: Vec<u64>,
    /// Entries that found no batch, by reason.
    pub dropped: BTreeMap<Reason, u64>,
    /// Windows.
    pub windows: u64,
    /// Entries that waited for a later window, once for each that they waited for.
    pub carried: u64,
    /// Negatives that repeat a text of their row, in the first pass.
    pub negatives_removed: u64,
    /// Negatives that are more than a row may have, in the first pass.
    pub negatives_over: u64,
    /// Batches of at least two corpora.
    pub mixed: u64,
    /// Documents that masks keep from counting.
    pub masked: u64,
    /// Documents that count as negatives.
    pub negatives: u64,
    /// Those that are known positives.
    pub false_negatives: u64,
    /// Sum and number of purities.
    pub purity: (f64, u64),
    /// Sum and number of hardnesses.
    pub hardness: (f64, u64),
}

/// Composes everything.
pub struct Composer<'c> {
    /// The table of the plan.
    pub table: &'c BatchesOptions,
    /// Seed of the plan.
    pub seed: u64,
    /// How the stage runs.
    pub options: &'c RunOptions,
    /// The inputs.
    pub inputs: &'c Inputs,
    /// Records of each corpus in a pass.
    pub quotas: &'c [u64],
    /// Which ones.
    pub walks: &'c [Walk],
    /// Places of topics.
    pub tour: &'c [u32],
    /// Vectors of words.
    pub vectors: Option<&'c StaticText>,
    /// Where files go.
    pub writer: &'c DatasetWriter,
}

/// What a run has open.
struct Open<'p> {
    totals: Totals,
    list: Table,
    ledger: Table,
    dropped: DroppedBuilder,
    phase: &'p Phase,
}

impl Composer<'_> {
    /// Makes all batches; gives the totals, the list and the ledger if there is one.
    ///
    /// # Errors
    /// The inputs do not fit each other; the disk; an interruption.
    pub fn run(&self) -> Result<(Totals, Entry, Option<Entry>)> {
        let rows = self.quotas.iter().sum::<u64>() * u64::from(self.table.passes);
        let phase = Phase::of_rows("batches", rows, self.options.quiet);
        let mut open = Open {
            totals: Totals {
                placed: vec![0; self.inputs.corpora.len()],
                ..Totals::default()
            },
            list: Table::new("batches-00000.parquet"),
            ledger: Table::new("dropped-00000.parquet"),
            dropped: DroppedBuilder::default(),
            phase: &phase,
        };
        for pass in 0..self.table.passes {
            let (mut memory, mut carry) = (Memory::default(), Stock::default());
            let windows = windows(&self.inputs.units, self.table.window.0, pass);
            let last = windows.len() - 1;
            for (number, window) in windows.into_iter().enumerate() {
                let stock = self.load(pass, window, carry, &mut open.totals)?;
                carry = self.window(
                    (pass, number, number == last),
                    stock,
                    &mut memory,
                    &mut open,
                )?;
            }
        }
        self.flush_ledger(&mut open, 1)?;
        // A list of no batches is a list too.
        let empty = descriptions(&[]).expect("columns of one length");
        open.list.open(self.writer, &empty)?;
        let list = open.list.commit(self.writer)?;
        let ledger = open.ledger.commit(self.writer)?;
        Ok((open.totals, list.expect("the list was opened"), ledger))
    }

    fn team<'t>(&'t self, name: &'t str) -> Team<'t> {
        Team {
            threads: self.options.threads,
            name,
            resume: &self.options.resume,
            done: None,
        }
    }

    /// The rows of a window, with those that waited, in random order.
    fn load(
        &self,
        pass: u32,
        window: Range<usize>,
        carry: Stock,
        totals: &mut Totals,
    ) -> Result<Stock> {
        let units = &self.inputs.units[window];
        let loader = Loader::new(self.inputs, self.table, self.walks, self.seed, pass);
        let parts = chunks(&self.team("load"), units.len(), 1, |range| {
            loader.load(&units[range.start])
        })?;
        let mut stock = carry;
        for part in parts {
            totals.drawn += part.entries.len() as u64;
            if pass == 0 {
                totals.negatives_removed += part.removed;
                totals.negatives_over += part.over;
            }
            stock.add(part);
        }
        stock.entries.sort_unstable();
        totals.windows += 1;
        Ok(stock)
    }

    /// Composes and writes a window; gives what waits for the next.
    fn window(
        &self,
        (pass, number, last): (u32, usize, bool),
        stock: Stock,
        memory: &mut Memory,
        open: &mut Open<'_>,
    ) -> Result<Stock> {
        let row_of: Vec<u32> = stock.entries.iter().map(|(_, row)| *row).collect();
        let draws = |stream| Draws::new(self.seed, stream, u64::from(pass), number as u128, 0);
        let mut window = Window {
            rows: &stock.rows,
            entries: &row_of,
            size: self.table.size,
            policy: self.table.policy(),
            shares: self.quotas,
            tour: self.tour,
            draws: draws(SAMPLING),
            last,
            incomplete: last && !self.table.drop_last,
        };
        let sampler = self.table.sampler.sampler();
        let composed = sampler.compose(&mut window, memory);
        let mut order: Vec<usize> = (0..composed.len()).collect();
        if !sampler.keeps_order() {
            let mut draws = draws(SHUFFLING);
            for at in (1..order.len()).rev() {
                order.swap(at, draws.below(at + 1));
            }
        }
        let rows = |batch: usize| composed.batch(batch).iter().map(|&e| row_of[e as usize]);
        let batches: Vec<Vec<u32>> = order.into_iter().map(|at| rows(at).collect()).collect();
        self.write(pass, &stock, &batches, open)?;
        self.settle(last, &stock, composed, open)
    }

    /// Writes the batches of a window and what is known of them.
    fn write(
        &self,
        pass: u32,
        stock: &Stock,
        batches: &[Vec<u32>],
        open: &mut Open<'_>,
    ) -> Result<()> {
        let totals = &mut open.totals;
        let each = batches_per_file(batches.len());
        let starts = (0..batches.len()).step_by(each);
        let jobs: Vec<Job> = (totals.files.len() as u32..)
            .zip(starts)
            .map(|(file, start)| Job {
                file,
                first_batch: totals.batches as u32 + start as u32,
                batches: start..(start + each).min(batches.len()),
            })
            .collect();
        let names = self.inputs.kind.layout().text_columns();
        let encoder = Encoder {
            writer: self.writer,
            inputs: self.inputs,
            stock,
            columns: stock
                .blocks
                .iter()
                .map(|block| block.columns(names))
                .collect(),
            batches,
            policy: self.table.policy(),
            vectors: self.vectors,
        };
        let written = chunks(&self.team("encode"), jobs.len(), 1, |range| {
            let job = &jobs[range.start];
            let written = encoder.encode(job)?;
            let rows: usize = batches[job.batches.clone()].iter().map(Vec::len).sum();
            let done = &open.phase.counters.rows;
            done.fetch_add(rows as u64, Ordering::Relaxed);
            Ok(written)
        })?;
        let mut list = Vec::new();
        for (job, (entry, note)) in jobs.iter().zip(written) {
            for (at, rows) in batches[job.batches.clone()].iter().enumerate() {
                let topics = self.inputs.topics.is_some();
                let known = describe(self.inputs, stock, rows, topics);
                list.push(Description {
                    batch: job.first_batch + at as u32,
                    file: entry.name.clone(),
                    row_group: at as u32,
                    texts: note.texts[at],
                    pass,
                    hardness: note.hardness[at],
                    masked: note.masked[at],
                    ..known
                });
            }
            totals.negatives += note.negatives;
            totals.false_negatives += note.false_negatives;
            totals.files.push(entry);
        }
        for known in &list {
            totals.add(known);
        }
        for row in batches.iter().flatten() {
            totals.placed[usize::from(stock.rows.corpora[*row as usize])] += 1;
        }
        if list.is_empty() {
            return Ok(());
        }
        let batch = descriptions(&list).expect("columns of one length");
        open.list.open(self.writer, &batch)?;
        open.list.write(&batch)
    }

    /// Keeps what found no batch for the next window, as much as may wait; the rest goes into the
    /// ledger.
    fn settle(
        &self,
        last: bool,
        stock: &Stock,
        composed: Composed,
        open: &mut Open<'_>,
    ) -> Result<Stock> {
        let room = stock.entries.len() / CARRIED_SHARE + CARRIED_BATCHES * self.table.size;
        let kept = match last {
            true => 0,
            false => room.min(composed.left.len()),
        };
        let (waiting, dropped) = composed.left.split_at(kept);
        for &(entry, reason) in dropped {
            let (_, row) = stock.entries[entry as usize];
            self.push_dropped(stock, row, reason, &mut open.dropped);
            *open.totals.dropped.entry(reason).or_default() += 1;
            self.flush_ledger(open, juzi_schemas::shard::ROWS_PER_GROUP)?;
        }
        open.totals.carried += kept as u64;
        open.phase
            .counters
            .rows
            .fetch_add(dropped.len() as u64, Ordering::Relaxed);
        let waiting: Vec<u32> = waiting.iter().map(|(entry, _)| *entry).collect();
        Ok(stock.carry(&waiting))
    }

    /// One row of the ledger: `file` is the file of shards, `offset` the row in it.
    fn push_dropped(&self, stock: &Stock, row: u32, reason: Reason, ledger: &mut DroppedBuilder) {
        let (block, inside) = stock.places[row as usize];
        let (block, inside) = (&stock.blocks[block as usize], inside as usize);
        let columns = block.columns(self.inputs.kind.layout().text_columns());
        let mut detail = String::new();
        for column in &columns.texts {
            if !detail.is_empty() {
                detail.push_str(" | ");
            }
            detail.extend(column.value(inside).chars().take(DETAIL_CHARS));
        }
        if !strings(&columns.negatives, inside).is_empty() {
            detail.push_str(" | …");
        }
        let corpus = usize::from(stock.rows.corpora[row as usize]);
        ledger.push(&Dropped {
            reason,
            corpus: &self.inputs.corpora[corpus],
            split: self.table.split.name(),
            file: &self.inputs.sources[block.source].name,
            member: None,
            offset: u64::from(columns.lines.value(inside)),
            line: None,
            keeper: None,
            detail: Some(&detail),
        });
    }

    fn flush_ledger(&self, open: &mut Open<'_>, rows_min: usize) -> Result<()> {
        if open.dropped.rows() < rows_min.max(1) {
            return Ok(());
        }
        let batch = open.dropped.finish().expect("columns of one length");
        open.ledger.open(self.writer, &batch)?;
        open.ledger.write(&batch)
    }
}

impl Totals {
    fn add(&mut self, known: &Description) {
        self.batches += 1;
        self.mixed += u64::from(known.corpora.len() > 1);
        self.masked += u64::from(known.masked);
        for (sum, value) in [
            (&mut self.purity, known.purity),
            (&mut self.hardness, known.hardness),
        ] {
            if let Some(value) = value {
                sum.0 += f64::from(value);
                sum.1 += 1;
            }
        }
    }
}
