//! The cutting pass: every block of the inputs becomes a spill file, each committed on its own.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::dropped::Reason;
use juzi_schemas::rows_hash::RowsHash;

use super::documents;
use super::pieces::Cutter;
use super::slices::Unit;
use super::spill::{Counts, UnitNote};
use super::unit::{Tools, UnitWorker};
use crate::error::{Error, Result};
use crate::flow::progress::Phase;
use crate::flow::workers;
use crate::inputs::{Block, Content, Sources, UnitKey, total_bytes};
use crate::plan::Plan;
use crate::readers::{Document, Role, parquet};
use crate::stages::RunOptions;
use crate::text::filters::Filters;
use crate::text::filters::boilerplate::phrases;
use crate::text::leaks::LeakGate;

/// Directory of spill files inside the dataset.
pub const DIRECTORY: &str = "spill/";

/// What the pass leaves.
pub struct Cut {
    /// All spill files, sorted by unit.
    pub units: Vec<Unit>,
    /// Sums over all units.
    pub counts: Counts,
    /// Containers that could not be read to their end.
    pub damaged: Vec<String>,
    /// Bad documents, for people.
    examples: Vec<String>,
}

fn name(key: UnitKey) -> String {
    format!("{DIRECTORY}{:05}-{:06}", key.source, key.index)
}

/// Cuts every block that is not yet cut.
///
/// # Errors
/// Input or disk; an interruption.
pub fn run(
    plan: &Plan,
    options: &RunOptions,
    threads: usize,
    writer: &DatasetWriter,
    gate: Option<LeakGate>,
) -> Result<Cut> {
    let wrong = |message: String| Error::Plan {
        path: plan.path.clone(),
        message,
    };
    let tools = Tools {
        plan,
        cutter: Cutter::new(&plan.shards).map_err(wrong)?,
        filters: Filters::new(&plan.filters(), &phrases(super::DICTIONARIES[0].1))
            .map_err(wrong)?,
        gate,
    };
    let sources = Sources::new(&plan.inputs, plan.limits())?;
    let phase = Phase::start("cut", sources.total(), options.quiet);
    let done = |key: UnitKey| writer.committed(&name(key)).is_some();
    workers::run(threads, "cut", &options.resume, |stop| {
        let (mut worker, mut block) = (UnitWorker::new(&tools), Block::default());
        while !stop.stopped() && sources.next(&mut block, &done)? {
            let mut file = writer.create(&name(block.key))?;
            let note = worker.run(&block, &plan.inputs[block.input], &mut file)?;
            phase
                .counters
                .rows
                .fetch_add(note.counts.records, Ordering::Relaxed);
            phase
                .counters
                .bytes
                .store(sources.consumed.load(Ordering::Relaxed), Ordering::Relaxed);
            let note = serde_json::to_value(note).expect("a note has a JSON form");
            writer.commit(file, Durability::Scratch, RowsHash::default(), note)?;
        }
        Ok(())
    })?;
    Ok(collect(plan, writer))
}

/// Everything the journal says of the spill files; lines are counted on from block to block.
fn collect(plan: &Plan, writer: &DatasetWriter) -> Cut {
    let mut cut = Cut {
        units: Vec::new(),
        counts: Counts::default(),
        damaged: Vec::new(),
        examples: Vec::new(),
    };
    for entry in writer.committed_under(DIRECTORY) {
        let note: UnitNote =
            serde_json::from_value(entry.note).expect("the journal's lines are checked");
        cut.units.push(Unit {
            path: writer.dir().join(&entry.name),
            note,
            line: 0,
        });
    }
    cut.units.sort_by_key(|unit| unit.note.unit);
    let mut lines: HashMap<(u32, Option<String>), u64> = HashMap::new();
    for unit in &mut cut.units {
        let line = lines
            .entry((unit.note.unit.0, unit.note.member.clone()))
            .or_default();
        unit.line = *line;
        *line += unit.note.lines;
        cut.counts.add(&unit.note.counts);
        let file = plan.inputs[unit.note.input].path.display();
        let place = match &unit.note.member {
            Some(member) => format!("{file} ({member})"),
            None => file.to_string(),
        };
        cut.damaged.extend(
            unit.note
                .damage
                .iter()
                .map(|damage| format!("{place} cannot be read further {damage}")),
        );
        cut.examples.extend(
            unit.note
                .examples
                .iter()
                .map(|example| format!("{place}: {example}")),
        );
    }
    cut
}

impl Cut {
    /// Fails when more of the input was bad than the plan allows.
    ///
    /// # Errors
    /// Shares, the worst reason and the first examples.
    pub fn check_quality(&self, plan: &Plan) -> Result<()> {
        let bad: u64 = Reason::ALL
            .iter()
            .filter(|r| r.is_bad_input())
            .map(|&r| self.counts.dropped_for(r))
            .sum();
        let total = total_bytes(&plan.inputs);
        let documents = bad as f64 / self.counts.documents.max(1) as f64;
        let unread = self.counts.bytes_unread as f64 / total.max(1) as f64;
        let max = plan.shards.dropped_ratio_max;
        if documents <= max && unread <= max {
            return Ok(());
        }
        let mut message = format!(
            "{bad} of {} documents ({:.1} %) are bad and {:.1} % of the bytes could not be read; \
             [shards] dropped_ratio_max allows {:.1} %",
            self.counts.documents,
            documents * 100.0,
            unread * 100.0,
            max * 100.0
        );
        for line in self.damaged.iter().chain(&self.examples).take(8) {
            message.push_str("\n  ");
            message.push_str(line);
        }
        Err(Error::TooManyDropped(message))
    }
}

/// Calls `add` with the name of the set and every text of the plan's evaluation files.
///
/// # Errors
/// A file that cannot be read, or a document that its reader refuses: a gate must not have holes.
pub fn evaluation_texts(plan: &Plan, mut add: impl FnMut(&str, &str)) -> Result<()> {
    let sources = Sources::new(&plan.evaluation_inputs, plan.limits())?;
    let mut block = Block::default();
    while sources.next(&mut block, &|_| false)? {
        let input = &plan.evaluation_inputs[block.input];
        let set = &plan.evaluation[usize::from(input.corpus)].name;
        let bad = |message: String| Error::Content {
            path: input.path.clone(),
            message,
        };
        if let Some(damage) = &block.damage {
            return Err(bad(format!(
                "cannot be read further at byte {}: {}",
                damage.offset, damage.detail
            )));
        }
        let columns = input.reader.columns();
        let wanted = |at: usize| columns[at].role == Role::Text;
        if let Content::RowGroup(group) = block.content {
            let read = parquet::read_row_group(&input.path, group, columns, |_, _, values| {
                (0..values.len())
                    .filter(|&at| wanted(at))
                    .for_each(|at| add(set, &values[at]));
            });
            read.map_err(bad)?;
            continue;
        }
        let mut failed = None;
        let mut header_possible = block.first;
        documents::visit(input.reader.framing(), block.text(), |raw| {
            let Ok(line) = std::str::from_utf8(raw.bytes) else {
                failed.get_or_insert(bad(format!("line {}: not UTF-8", raw.line + 1)));
                return;
            };
            if std::mem::take(&mut header_possible) && input.reader.is_header(line) {
                return;
            }
            let mut document = Document::default();
            document.clear(columns.len());
            if let Err(reject) = input
                .reader
                .read(line.trim_start_matches('\u{feff}'), &mut document)
            {
                failed.get_or_insert(bad(format!("line {}: {}", raw.line + 1, reject.detail)));
                return;
            }
            let values = document
                .columns
                .iter()
                .enumerate()
                .filter(|(at, _)| wanted(*at))
                .map(|(_, text)| text);
            values
                .chain(document.records.iter().flat_map(|record| &record.texts))
                .for_each(|text| add(set, text));
        });
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(())
}
