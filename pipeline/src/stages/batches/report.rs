//! The report: what was drawn, placed and left over, and how good the batches are.

use std::collections::BTreeMap;
use std::fmt;

use juzi_schemas::journal::Entry;
use juzi_schemas::manifest::{File, Manifest, Table, combined};
use juzi_schemas::record::Kind;
use juzi_schemas::shard::FORMAT;
use serde_json::{Value, json};

use super::NAME;
use super::compose::Totals;
use super::inputs::Inputs;
use crate::error::{Error, Result};
use crate::flow::machine;
use crate::plan::{BatchesOptions, Plan};
use crate::stages::{Identity, figures};

/// Totals of a run.
pub struct Summary {
    kind: Kind,
    files: Vec<Entry>,
    list: Entry,
    ledger: Option<Entry>,
    dropped: BTreeMap<String, u64>,
    /// Counts that the manifest keeps, in the order in which they are shown.
    counts: Vec<(String, u64)>,
    measures: BTreeMap<String, f64>,
    /// Name, records, wanted and given of each corpus.
    sources: Vec<(String, u64, u64, u64)>,
    drawn: u64,
    wanted: u64,
    size: usize,
    /// Duration of the run that finished the dataset.
    pub seconds: f64,
}

impl Summary {
    /// Sums up a run.
    pub fn new(
        plan: &Plan,
        table: &BatchesOptions,
        inputs: &Inputs,
        quotas: &[u64],
        totals: Totals,
        list: Entry,
        ledger: Option<Entry>,
    ) -> Summary {
        let passes = u64::from(table.passes);
        let wanted = quotas.iter().sum::<u64>() * passes;
        let shown = quotas.iter().zip(&inputs.counts);
        // Record i is shown at least once if the walk passes it once.
        let missed = shown.map(|(quota, count)| count.saturating_sub(quota * passes));
        let placed: u64 = totals.placed.iter().sum();
        let mut counts = vec![
            ("records".to_string(), inputs.records()),
            ("records_not_drawn".into(), missed.sum()),
            ("passes".into(), passes),
            ("windows".into(), totals.windows),
            ("entries_drawn".into(), totals.drawn),
            ("entries_placed".into(), placed),
            ("entries_carried".into(), totals.carried),
            ("batches".into(), totals.batches),
            ("batches_of_two_corpora".into(), totals.mixed),
            ("negatives_removed".into(), totals.negatives_removed),
            ("negatives_over".into(), totals.negatives_over),
            ("documents_masked".into(), totals.masked),
            ("documents_as_negatives".into(), totals.negatives),
            ("false_negatives".into(), totals.false_negatives),
        ];
        let mut sources = Vec::new();
        for (at, name) in plan.corpus_names().into_iter().enumerate() {
            let (wanted, given) = (quotas[at] * passes, totals.placed[at]);
            counts.push((format!("wanted:{name}"), wanted));
            counts.push((format!("given:{name}"), given));
            sources.push((name, inputs.counts[at], wanted, given));
        }
        let share = |part: u64, whole: u64| (part as f64, whole);
        let shares = [
            ("purity", totals.purity),
            ("hardness", totals.hardness),
            ("share_of_two_corpora", share(totals.mixed, totals.batches)),
            (
                "share_masked",
                share(totals.masked, totals.negatives + totals.masked),
            ),
            (
                "share_false_negatives",
                share(totals.false_negatives, totals.negatives),
            ),
        ];
        let measures = shares
            .into_iter()
            .filter(|(_, (_, count))| *count > 0)
            .map(|(name, (sum, count))| (name.to_string(), sum / count as f64));
        let dropped = totals.dropped.iter();
        Summary {
            kind: inputs.kind.layout(),
            files: totals.files,
            list,
            ledger,
            dropped: dropped
                .map(|(reason, count)| (reason.name().to_string(), *count))
                .collect(),
            counts,
            measures: measures.collect(),
            sources,
            drawn: totals.drawn,
            wanted,
            size: table.size,
            seconds: 0.0,
        }
    }

    fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows.rows).sum()
    }

    fn count(&self, name: &str) -> u64 {
        let found = self.counts.iter().find(|(known, _)| known == name);
        found.map_or(0, |(_, count)| *count)
    }

    /// Everything that was drawn must be in a batch or in the ledger.
    ///
    /// # Errors
    /// The figures, when they do not add up.
    pub fn check_balance(&self) -> Result<()> {
        let ledger = self.ledger.as_ref().map_or(0, |entry| entry.rows.rows);
        let dropped: u64 = self.dropped.values().sum();
        let placed = self.count("entries_placed");
        for (what, came, went) in [
            ("entries of the law", self.wanted, self.drawn),
            ("entries", self.drawn, self.rows() + ledger),
            ("entries in batches", placed, self.rows()),
            ("entries in the ledger", dropped, ledger),
            ("batches", self.count("batches"), self.list.rows.rows),
        ] {
            if came != went {
                return Err(juzi_schemas::Error::Unbalanced {
                    stage: NAME.into(),
                    detail: format!("{came} {what} came in, {went} are accounted for"),
                }
                .into());
            }
        }
        Ok(())
    }

    /// A dataset without batches is a mistake in the plan.
    ///
    /// # Errors
    /// Not one batch; where the rows went.
    pub fn check_kept(&self, plan: &Plan) -> Result<()> {
        if !self.files.is_empty() {
            return Ok(());
        }
        let dropped = self.dropped.iter();
        let dropped: Vec<String> = dropped
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        let reasons = match dropped.is_empty() {
            true => "the split has no records of this kind".to_string(),
            false => dropped.join(", "),
        };
        Err(Error::Plan {
            path: plan.path.clone(),
            message: format!(
                "[batches] not one batch of {} rows: {} records were drawn ({reasons})",
                self.size, self.drawn
            ),
        })
    }

    /// The manifest of the finished dataset.
    pub fn manifest(&self, identity: &Identity) -> Manifest {
        let file = |table: Table, entry: &Entry| File {
            name: entry.name.clone(),
            table,
            kind: (table == Table::Rows).then_some(self.kind),
            rows: entry.rows.rows,
            rows_hash: entry.rows.hex(),
            bytes: entry.bytes,
            bytes_hash: entry.bytes_hash,
        };
        let rows = self.files.iter().map(|entry| file(Table::Rows, entry));
        let ledger = self.ledger.iter().map(|entry| file(Table::Dropped, entry));
        let list = std::iter::once(file(Table::Batches, &self.list));
        Manifest {
            format: FORMAT,
            stage: NAME.into(),
            fingerprint: identity.fingerprint,
            rows: self.rows(),
            rows_hash: combined(self.files.iter().map(|entry| entry.rows)).hex(),
            kinds: BTreeMap::from([(self.kind.name().to_string(), self.rows())]),
            corpora: self.sources.iter().map(|(name, ..)| name.clone()).collect(),
            dropped: self.dropped.clone(),
            counts: self.counts.iter().cloned().collect(),
            measures: self.measures.clone(),
            files: rows.chain(list).chain(ledger).collect(),
            inputs: identity.inputs.clone(),
            dictionaries: identity.dictionaries.clone(),
            plan: identity.plan.clone(),
        }
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let sources = self.sources.iter().map(|(name, records, wanted, given)| {
            json!({ "corpus": name, "records": records, "wanted": wanted, "given": given })
        });
        json!({
            "rows": self.rows(),
            "counts": self.counts.iter().cloned().collect::<BTreeMap<_, _>>(),
            "dropped": self.dropped,
            "measures": self.measures,
            "sources": sources.collect::<Vec<_>>(),
            "seconds": self.seconds,
            "memory_peak_bytes": machine::memory_peak_bytes(),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts.iter().filter(|(name, _)| !name.contains(':'));
        let counts = counts.map(|(name, count)| (name.as_str(), *count));
        figures::counted(out, counts, &self.dropped, &self.measures)?;
        figures::ending(out, self.rows(), self.seconds)?;
        writeln!(
            out,
            "\n{:<30}{:>14}{:>14}{:>14}{:>10}",
            "corpus", "records", "wanted", "given", "share"
        )?;
        for (name, records, wanted, given) in &self.sources {
            let share = *given as f64 * 100.0 / self.rows().max(1) as f64;
            writeln!(
                out,
                "{name:<30}{records:>14}{wanted:>14}{given:>14}{share:>8.1} %"
            )?;
        }
        Ok(())
    }
}
