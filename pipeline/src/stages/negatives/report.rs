//! The report: what was asked for and found, and by which filter the rest was refused.

use std::collections::BTreeMap;
use std::fmt;

use juzi_schemas::dropped::Reason;
use juzi_schemas::journal::Entry;
use juzi_schemas::manifest::{File, Manifest, Table, combined};
use juzi_schemas::shard::FORMAT;
use serde_json::{Value, json};

use super::NAME;
use super::collect::Collected;
use super::counts::{Counts, Filter};
use super::judge::{Miner as Mined, Scorer};
use crate::error::{Error, Result};
use crate::flow::machine;
use crate::plan::{Miner, Plan};
use crate::stages::{Identity, figures};

/// Where the scores of a miner lie, for histograms.
pub fn scale(miner: Miner) -> (f64, f64) {
    match miner {
        Miner::Bm25 => (0.0, 40.0),
        Miner::Embeddings => (-1.0, 1.0),
        Miner::Both => (0.0, 0.04),
    }
}

/// How the vectors were searched.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    index: &'static str,
    probes: usize,
    recall: f64,
}

/// How the vectors were searched, where they were.
pub fn search(miners: &[Mined<'_>]) -> Option<Search> {
    miners.iter().find_map(|miner| match &miner.scorer {
        Scorer::Words(_) => None,
        Scorer::Vectors(nearest) => Some(Search {
            index: nearest.kind.name(),
            probes: nearest.probes,
            recall: nearest.recall,
        }),
    })
}

/// Totals of a run.
pub struct Summary {
    plan: std::path::PathBuf,
    pairs: u64,
    sizes: [(&'static str, u64); 5],
    search: Option<Search>,
    files: Vec<Entry>,
    ledger: Option<Entry>,
    /// What became of rows and candidates.
    pub counts: Counts,
    /// Duration of the run that finished the dataset.
    pub seconds: f64,
    /// Durations of its parts.
    pub phases: Vec<(&'static str, f64)>,
}

impl Summary {
    /// Sums up a run.
    pub fn new(
        plan: &Plan,
        collected: &Collected,
        search: Option<Search>,
        files: Vec<Entry>,
        ledger: Option<Entry>,
        counts: Counts,
    ) -> Summary {
        let gathered = &collected.gathered;
        Summary {
            plan: plan.path.clone(),
            pairs: collected.rows.len() as u64,
            sizes: [
                ("pairs", collected.rows.len() as u64),
                ("pairs_of_other_splits", gathered.others),
                ("anchors", gathered.queries as u64),
                ("documents", gathered.documents as u64),
                ("groups", gathered.groups as u64),
            ],
            search,
            files,
            ledger,
            counts,
            seconds: 0.0,
            phases: Vec::new(),
        }
    }

    fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows.rows).sum()
    }

    /// Everything that came in must have gone somewhere, and something must have come out.
    ///
    /// # Errors
    /// The figures, when they do not add up; the counts, when there is not one negative.
    pub fn check_balance(&self) -> Result<()> {
        let counts = &self.counts;
        let ledger = self.ledger.as_ref().map_or(0, |entry| entry.rows.rows);
        let rows = [
            ("pairs", self.pairs, counts.rows + counts.inconsistent),
            ("rows", self.rows(), counts.rows),
            ("ledger rows", ledger, counts.inconsistent),
        ];
        let wrong = rows.iter().find(|(_, came, went)| came != went);
        let rows = wrong.map_or(Ok(()), |(what, came, went)| {
            Err(format!("{came} {what}, {went} are accounted for"))
        });
        rows.and_then(|()| counts.balance()).map_err(|detail| {
            let stage = NAME.into();
            Error::Dataset(juzi_schemas::Error::Unbalanced { stage, detail })
        })?;
        if counts.found + counts.filled > 0 {
            return Ok(());
        }
        let all = self.counts_by_name();
        let all = all.iter().filter(|(_, count)| **count > 0);
        let all: Vec<String> = all.map(|(name, count)| format!("{name} {count}")).collect();
        Err(Error::Plan {
            path: self.plan.clone(),
            message: format!(
                "[negatives] not one negative was found ({}); are the filters too strict?",
                all.join(", ")
            ),
        })
    }

    fn dropped(&self) -> BTreeMap<String, u64> {
        let count = self.counts.inconsistent;
        let named = (Reason::Inconsistent.name().to_string(), count);
        [named]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Counts in the order in which they are shown.
    fn named_counts(&self) -> Vec<(String, u64)> {
        let counts = &self.counts;
        let named = |(name, count): (&str, u64)| (name.to_string(), count);
        let mut all: Vec<(String, u64)> = self.sizes.map(named).to_vec();
        let rows = [
            ("rows_full", counts.rows - counts.short_rows),
            ("rows_short", counts.short_rows),
            ("rows_without_negatives", counts.empty_rows),
            ("positives_unranked", counts.positives_unranked),
            ("negatives_asked", counts.asked),
            ("negatives_found", counts.found),
            ("negatives_random", counts.filled),
            ("negatives_missing", counts.missing),
            ("candidates", counts.candidates),
        ];
        all.extend(rows.map(named));
        let refused = Filter::ALL.iter().zip(counts.refused);
        all.extend(refused.map(|(filter, count)| (format!("refused_{}", filter.name()), count)));
        all.extend(
            [
                ("drawn", counts.drawn),
                ("drawn_refused", counts.drawn_refused),
            ]
            .map(named),
        );
        all
    }

    fn counts_by_name(&self) -> BTreeMap<String, u64> {
        self.named_counts().into_iter().collect()
    }

    /// The manifest of the finished dataset.
    pub fn manifest(&self, identity: &Identity) -> Manifest {
        let file = |table: Table, entry: &Entry| File {
            name: entry.name.clone(),
            table,
            kind: None,
            rows: entry.rows.rows,
            rows_hash: entry.rows.hex(),
            bytes: entry.bytes,
            bytes_hash: entry.bytes_hash,
        };
        let rows = self.files.iter().map(|entry| file(Table::Rows, entry));
        let ledger = self.ledger.iter().map(|entry| file(Table::Dropped, entry));
        let measures = self.search.map(|search| ("recall".into(), search.recall));
        Manifest {
            format: FORMAT,
            stage: NAME.into(),
            fingerprint: identity.fingerprint,
            rows: self.rows(),
            rows_hash: combined(self.files.iter().map(|entry| entry.rows)).hex(),
            kinds: BTreeMap::new(),
            corpora: Vec::new(),
            dropped: self.dropped(),
            counts: self.counts_by_name(),
            measures: measures.into_iter().collect(),
            files: rows.chain(ledger).collect(),
            inputs: identity.inputs.clone(),
            dictionaries: identity.dictionaries.clone(),
            plan: identity.plan.clone(),
        }
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let counts = &self.counts;
        let short = Filter::ALL.iter().zip(counts.short_refused);
        let short: BTreeMap<&str, u64> = short
            .map(|(filter, count)| (filter.name(), count))
            .collect();
        let search = self.search.map(|search| {
            json!({ "index": search.index, "probes": search.probes, "recall": search.recall })
        });
        json!({
            "rows": self.rows(),
            "counts": self.counts_by_name(),
            "dropped": self.dropped(),
            "search": search,
            "short_rows": {
                "rows": counts.short_rows,
                "missing": counts.missing,
                "candidates": counts.short_candidates,
                "refused": short,
            },
            "scores": { "positives": counts.positives, "negatives": counts.negatives },
            "seconds": self.seconds,
            "phases": self.phases.iter().copied().collect::<BTreeMap<_, _>>(),
            "memory_peak_bytes": machine::memory_peak_bytes(),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.named_counts();
        let counts = counts.iter().map(|(name, count)| (name.as_str(), *count));
        figures::counted(out, counts, &self.dropped(), &BTreeMap::new())?;
        if let Some(search) = &self.search {
            let Search {
                index,
                probes,
                recall,
            } = search;
            let probes = match probes {
                0 => String::new(),
                probes => format!(", {probes} probes"),
            };
            writeln!(
                out,
                "{:<30}{index:>14}{probes}, recall {recall:.4}",
                "index"
            )?;
        }
        if self.counts.short_rows > 0 {
            let counts = &self.counts;
            writeln!(
                out,
                "\nof the {} short rows' candidates ({}):",
                counts.short_rows, counts.short_candidates
            )?;
            for (filter, count) in Filter::ALL.iter().zip(counts.short_refused) {
                if count > 0 {
                    let name = filter.name().replace('_', " ");
                    writeln!(out, "  {name:<28}{count:>14}")?;
                }
            }
        }
        figures::ending(out, self.rows(), self.seconds)
    }
}
