//! The report: coverage, what was refused and why, recall, and what the dictionary confirms.

use std::collections::BTreeMap;
use std::fmt;

use juzi_schemas::journal::Entry;
use juzi_schemas::manifest::{File, Manifest, Table, combined};
use juzi_schemas::shard::FORMAT;
use serde_json::{Value, json};

use super::NAME;
use super::assemble::Assembled;
use super::choose::Counts;
use super::estimate::Need;
use super::import::Imported;
use super::load::{Band, Kept, Loaded};
use super::search::Found;
use super::vocabulary::Counted;
use crate::error::{Error, Result};
use crate::flow::machine;
use crate::lexicon::guards::Guard;
use crate::lexicon::quality::Quality;
use crate::plan::{IndexKind, Plan};
use crate::stages::{Identity, figures};

/// Totals of a run.
pub struct Summary {
    files: Vec<Entry>,
    ledger: Option<Entry>,
    dropped: BTreeMap<String, u64>,
    /// Counts that the manifest keeps, in the order in which they are shown.
    counts: Vec<(String, u64)>,
    measures: BTreeMap<String, f64>,
    search: Option<(String, IndexKind, usize)>,
    quality: Option<Quality>,
    coverage: Vec<Band>,
    balance: std::result::Result<(), String>,
    /// Duration of the run that finished the dataset.
    pub seconds: f64,
    /// Durations of its parts.
    pub phases: Vec<(&'static str, f64)>,
}

impl Summary {
    /// Sums up a search.
    pub fn searched(
        vocabulary: usize,
        counted: Counted,
        kept: Kept,
        need: &Need,
        found: &Found,
        made: Assembled,
        ledger: Option<Entry>,
    ) -> Summary {
        let (counts, loaded) = (&made.counts, kept.loaded);
        let named = |(name, count): (&str, u64)| (name.to_string(), count);
        let first = [
            ("tokens", counted.tokens),
            ("shard_words", counted.words),
            ("shard_words_without_letters", counted.without_letters),
            ("shard_words_rare", counted.rare),
            ("list_words", counted.listed),
            ("vocabulary", vocabulary as u64),
            ("vector_rows", loaded.rows),
            ("vector_rows_kept", loaded.kept),
            ("vector_rows_skipped", loaded.skipped),
            ("vector_rows_bad", loaded.bad),
            ("words_searched", need.queries as u64),
            ("words_named_only", made.named_only),
            ("words_with_synonyms", counts.words),
            ("words_without_synonyms", counts.without),
            ("neighbors", counts.neighbors),
            ("neighbors_below_cosine_min", counts.below),
        ];
        let mut all: Vec<(String, u64)> = first.map(named).to_vec();
        let refused = Guard::ALL.iter().zip(counts.refused);
        all.extend(refused.map(|(guard, count)| (format!("neighbors_{}", guard.name()), count)));
        let rest = [
            ("neighbors_in_dictionary", counts.known),
            ("neighbors_after_k", counts.after),
            ("synonyms_of_vectors", counts.kept),
            ("synonyms_of_dictionary", counts.merged),
        ];
        all.extend(rest.map(named));
        let mut measures = BTreeMap::from([("recall".to_string(), found.recall)]);
        let sum = |count: fn(&Band) -> u64| kept.coverage.iter().map(count).sum::<u64>();
        let shares = [
            (
                "coverage_words",
                sum(|band| band.found),
                sum(|band| band.words),
            ),
            (
                "coverage_tokens",
                sum(|band| band.found_tokens),
                sum(|band| band.tokens),
            ),
        ];
        for (name, found, all) in shares.into_iter().filter(|(_, _, all)| *all > 0) {
            measures.insert(name.into(), found as f64 / all as f64);
        }
        Summary {
            balance: balance(&loaded, counts, need, &made),
            files: made.files,
            ledger,
            dropped: loaded.dropped,
            counts: all,
            measures,
            search: Some((need.to_string(), need.index, found.probes)),
            quality: made.quality,
            coverage: kept.coverage,
            seconds: 0.0,
            phases: Vec::new(),
        }
    }

    /// Sums up an import.
    pub fn imported(made: Imported) -> Summary {
        let rows: u64 = made.files.iter().map(|file| file.rows.rows).sum();
        let balance = match made.synonyms == rows {
            true => Ok(()),
            false => Err(format!(
                "{} synonyms came in, {rows} were written",
                made.synonyms
            )),
        };
        Summary {
            files: made.files,
            ledger: made.ledger,
            dropped: made.dropped,
            counts: vec![
                ("words_imported".into(), made.words),
                ("synonyms_imported".into(), made.synonyms),
            ],
            measures: BTreeMap::new(),
            search: None,
            quality: None,
            coverage: Vec::new(),
            balance,
            seconds: 0.0,
            phases: Vec::new(),
        }
    }

    fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows.rows).sum()
    }

    /// Everything that came in must have gone somewhere.
    ///
    /// # Errors
    /// The figures, when they do not add up.
    pub fn check_balance(&self) -> Result<()> {
        let unbalanced = |detail: &String| juzi_schemas::Error::Unbalanced {
            stage: NAME.into(),
            detail: detail.clone(),
        };
        let ledger = self.ledger.as_ref().map_or(0, |entry| entry.rows.rows);
        let dropped: u64 = self.dropped.values().sum();
        if ledger != dropped {
            let detail = format!("{ledger} rows stand in the ledger, {dropped} are counted");
            return Err(unbalanced(&detail).into());
        }
        Ok(self.balance.as_ref().map_err(unbalanced).copied()?)
    }

    /// A dataset without rows is a mistake in the plan.
    ///
    /// # Errors
    /// Not one word has a synonym; the counts.
    pub fn check_kept(&self, plan: &Plan) -> Result<()> {
        if self.rows() > 0 {
            return Ok(());
        }
        let counts = self.counts.iter().filter(|(_, count)| *count > 0);
        let counts: Vec<String> = counts
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        Err(Error::Plan {
            path: plan.path.clone(),
            message: match counts.is_empty() {
                true => "[synonyms] import: the file has not one usable synonym".to_string(),
                false => format!(
                    "not one word has a synonym ({}); is [synonyms] cosine_min too high?",
                    counts.join(", ")
                ),
            },
        })
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
        Manifest {
            format: FORMAT,
            stage: NAME.into(),
            fingerprint: identity.fingerprint,
            rows: self.rows(),
            rows_hash: combined(self.files.iter().map(|entry| entry.rows)).hex(),
            kinds: BTreeMap::new(),
            corpora: Vec::new(),
            dropped: self.dropped.clone(),
            counts: self.counts_by_name(),
            measures: self.measures.clone(),
            files: rows.chain(ledger).collect(),
            inputs: identity.inputs.clone(),
            dictionaries: identity.dictionaries.clone(),
            plan: identity.plan.clone(),
        }
    }

    fn counts_by_name(&self) -> BTreeMap<String, u64> {
        self.counts.iter().cloned().collect()
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let search = self.search.as_ref().map(|(estimate, index, probes)| {
            json!({ "estimate": estimate, "index": index.name(), "probes": probes })
        });
        json!({
            "rows": self.rows(),
            "counts": self.counts_by_name(),
            "dropped": self.dropped,
            "measures": self.measures,
            "search": search,
            "quality": self.quality,
            "coverage": self.coverage,
            "seconds": self.seconds,
            "phases": self.phases.iter().copied().collect::<BTreeMap<_, _>>(),
            "memory_peak_bytes": machine::memory_peak_bytes(),
        })
    }
}

/// Rows of the vector file, neighbours and words must each add up.
fn balance(
    loaded: &Loaded,
    counts: &Counts,
    need: &Need,
    made: &Assembled,
) -> std::result::Result<(), String> {
    let check = |what: &str, came: u64, went: u64| match came == went {
        true => Ok(()),
        false => Err(format!("{came} {what} came in, {went} are accounted for")),
    };
    check(
        "rows of vectors",
        loaded.rows,
        loaded.kept + loaded.skipped + loaded.bad,
    )?;
    let refused: u64 = counts.refused.iter().sum();
    check(
        "neighbours",
        counts.neighbors,
        counts.below + refused + counts.known + counts.after + counts.kept,
    )?;
    check(
        "words",
        need.queries as u64 + made.named_only,
        counts.words + counts.without,
    )?;
    let rows: u64 = made.files.iter().map(|file| file.rows.rows).sum();
    check("synonyms", counts.kept + counts.merged, rows)
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self
            .counts
            .iter()
            .map(|(name, count)| (name.as_str(), *count));
        figures::counted(out, counts, &self.dropped, &self.measures)?;
        if let Some((_, index, probes)) = &self.search {
            let probes = match probes {
                0 => String::new(),
                probes => format!(", {probes} probes"),
            };
            writeln!(out, "{:<30}{:>14}{probes}", "index", index.name())?;
        }
        figures::ending(out, self.rows(), self.seconds)?;
        if !self.coverage.is_empty() {
            let columns = format!(
                "{:>12}{:>12}{:>14}{:>12}",
                "words", "vectors", "tokens", "vectors"
            );
            writeln!(out, "\n{:<16}{columns}", "frequency")?;
        }
        let mut first = 1;
        for band in &self.coverage {
            let place = format!("{first} to {}", band.last);
            let share = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
            let words = share(band.found, band.words);
            let tokens = share(band.found_tokens, band.tokens);
            let (all, seen) = (band.words, band.tokens);
            writeln!(
                out,
                "{place:<16}{all:>12}{words:>10.1} %{seen:>14}{tokens:>10.1} %"
            )?;
            first = band.last + 1;
        }
        match &self.quality {
            None => Ok(()),
            Some(quality) => write!(out, "\n{quality}"),
        }
    }
}
