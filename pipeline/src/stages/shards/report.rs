//! The report: what came in, what was kept and what was not, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use juzi_schemas::dropped::Reason;
use juzi_schemas::manifest::{File, Manifest, Table, combined};
use juzi_schemas::shard::FORMAT;
use serde_json::json;

use super::NAME;
use super::shard_pass::Made;
use super::spill::Counts;
use crate::error::{Error, Result};
use crate::flow::machine;
use crate::inputs::total_bytes;
use crate::plan::Plan;
use crate::size::Size;
use crate::stages::Identity;

/// Totals of a run.
pub struct Summary {
    /// Counts of the cutting pass, duplicates of the merge added.
    counts: Counts,
    kept: BTreeMap<String, u64>,
    rows: u64,
    ledger_rows: u64,
    bytes_in: u64,
    bytes_out: u64,
    damaged: Vec<String>,
    notes: Vec<String>,
    /// Duration of the run that finished the dataset.
    pub seconds: f64,
}

impl Summary {
    /// Sums over everything that was made.
    pub fn new(
        plan: &Plan,
        mut counts: Counts,
        damaged: Vec<String>,
        made: &[Made],
        notes: Vec<String>,
    ) -> Summary {
        counts.dropped.resize(Reason::ALL.len(), 0);
        let mut kept = BTreeMap::new();
        let (mut rows, mut ledger_rows) = (0, 0);
        for file in made {
            counts.dropped[Reason::Duplicate as usize] += file.merged.duplicates;
            counts.dropped[Reason::NearDuplicate as usize] += file.merged.near_duplicates;
            match file.kind {
                Some(kind) => {
                    *kept.entry(kind.name().to_string()).or_default() += file.entry.rows.rows;
                    rows += file.entry.rows.rows;
                }
                None => ledger_rows += file.entry.rows.rows,
            }
        }
        Summary {
            counts,
            kept,
            rows,
            ledger_rows,
            bytes_in: total_bytes(&plan.inputs),
            bytes_out: made.iter().map(|file| file.entry.bytes).sum(),
            damaged,
            notes,
            seconds: 0.0,
        }
    }

    /// In = out + dropped, counted on both sides: when the input was cut and when rows were written.
    ///
    /// # Errors
    /// The figures, when they differ.
    pub fn check_balance(&self) -> Result<()> {
        let came = self.counts.records + self.counts.documents_dropped;
        let (kept, dropped) = (self.rows, self.counts.dropped_total());
        if came == kept + dropped && dropped == self.ledger_rows {
            return Ok(());
        }
        let detail = format!(
            "{} records and {} bad documents came in, {kept} rows were kept, {dropped} counted as dropped, {} stand in \
             the ledger",
            self.counts.records, self.counts.documents_dropped, self.ledger_rows
        );
        Err(juzi_schemas::Error::Unbalanced {
            stage: NAME.into(),
            detail,
        }
        .into())
    }

    /// A dataset without rows is a mistake in the plan; the stable name must not point at it.
    ///
    /// # Errors
    /// Nothing was kept; the counts by reason.
    pub fn check_kept(&self, plan: &Plan) -> Result<()> {
        if self.rows > 0 {
            return Ok(());
        }
        let counts = self.dropped();
        let counts = counts
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect::<Vec<_>>();
        let message = format!(
            "not one record of {} documents was kept ({}); do reader, columns and views fit the files?",
            self.counts.documents,
            counts.join(", ")
        );
        Err(Error::Plan {
            path: plan.path.clone(),
            message,
        })
    }

    /// What is said even when nothing else is.
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    fn dropped(&self) -> BTreeMap<String, u64> {
        let counts = Reason::ALL
            .iter()
            .map(|reason| (reason.name().to_string(), self.counts.dropped_for(*reason)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        let counts = [
            ("documents_in", self.counts.documents),
            ("documents_dropped", self.counts.documents_dropped),
            ("records_in", self.counts.records),
            ("dropped", self.counts.dropped_total()),
            ("bytes_in", self.bytes_in),
            ("document_bytes", self.counts.bytes),
            ("bytes_unread", self.counts.bytes_unread),
        ];
        counts
            .into_iter()
            .map(|(name, count)| (name.to_string(), count))
            .collect()
    }

    /// The report as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "rows": self.rows,
            "kinds": self.kept,
            "dropped": self.dropped(),
            "counts": self.counts(),
            "bytes_out": self.bytes_out,
            "seconds": self.seconds,
            "megabytes_per_second": self.bytes_in as f64 / 1e6 / self.seconds.max(1e-9),
            "memory_peak_bytes": machine::memory_peak_bytes(),
            "damaged": self.damaged,
            "notes": self.notes,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |count: u64| count as f64 * 100.0 / self.counts.records.max(1) as f64;
        writeln!(out, "documents in         {:>14}", self.counts.documents)?;
        writeln!(out, "records in           {:>14}", self.counts.records)?;
        writeln!(
            out,
            "kept                 {:>14}  {:5.1} %",
            self.rows,
            share(self.rows)
        )?;
        for (kind, rows) in self.kept.iter().filter(|_| self.kept.len() > 1) {
            writeln!(out, "  {kind:<19}{rows:>14}")?;
        }
        writeln!(
            out,
            "dropped              {:>14}  {:5.1} %",
            self.counts.dropped_total(),
            share(self.counts.dropped_total())
        )?;
        for reason in Reason::ALL {
            let count = self.counts.dropped_for(reason);
            if count > 0 {
                writeln!(
                    out,
                    "  {:<19}{count:>14}  {:5.1} %  {}",
                    reason.name(),
                    share(count),
                    reason.explain()
                )?;
            }
        }
        let rate = self.bytes_in as f64 / 1e6 / self.seconds.max(1e-9);
        writeln!(
            out,
            "bytes in, out        {:>14}  {}",
            Size(self.bytes_in).to_string(),
            Size(self.bytes_out)
        )?;
        writeln!(
            out,
            "seconds              {:>14.2}  {rate:.0} MB/s",
            self.seconds
        )?;
        if let Some(bytes) = machine::memory_peak_bytes() {
            writeln!(out, "memory peak          {:>14}", Size(bytes).to_string())?;
        }
        self.damaged
            .iter()
            .try_for_each(|damage| writeln!(out, "DAMAGED  {damage}"))?;
        self.notes
            .iter()
            .try_for_each(|note| writeln!(out, "{note}"))
    }
}

/// The manifest of the finished dataset.
pub fn manifest(identity: &Identity, plan: &Plan, summary: &Summary, made: &[Made]) -> Manifest {
    let files = made.iter().map(|file| File {
        name: file.entry.name.clone(),
        table: if file.kind.is_some() {
            Table::Rows
        } else {
            Table::Dropped
        },
        kind: file.kind,
        rows: file.entry.rows.rows,
        rows_hash: file.entry.rows.hex(),
        bytes: file.entry.bytes,
        bytes_hash: file.entry.bytes_hash,
    });
    Manifest {
        format: FORMAT,
        stage: NAME.into(),
        fingerprint: identity.fingerprint,
        rows: summary.rows,
        rows_hash: combined(
            made.iter()
                .filter(|file| file.kind.is_some())
                .map(|file| file.entry.rows),
        )
        .hex(),
        kinds: summary.kept.clone(),
        corpora: plan.corpus_names(),
        dropped: summary.dropped(),
        counts: summary.counts(),
        measures: BTreeMap::new(),
        files: files.collect(),
        inputs: identity.inputs.clone(),
        dictionaries: identity.dictionaries.clone(),
        plan: identity.plan.clone(),
    }
}
