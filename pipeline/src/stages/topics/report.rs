//! The report: how many topics, how large, how near, and what they are.

use std::collections::BTreeMap;
use std::fmt;

use juzi_schemas::journal::Entry;
use juzi_schemas::manifest::{File, Manifest, Table, combined};
use juzi_schemas::shard::FORMAT;
use juzi_schemas::topic::Topic;
use serde_json::{Value, json};

use super::NAME;
use super::page::page;
use crate::error::Result;
use crate::flow::machine;
use crate::stages::{Identity, figures};

/// Topics that the terminal shows.
const SHOWN: usize = 12;

/// Totals of a run.
#[derive(Default)]
pub struct Summary {
    /// A file for each file of the shards, in order.
    pub files: Vec<Entry>,
    /// Files of other tables.
    pub others: Vec<(Table, Entry)>,
    /// The topics, by number.
    pub topics: Vec<Topic>,
    /// Counts that the manifest keeps, in the order in which they are shown.
    pub counts: Vec<(&'static str, u64)>,
    /// Measured qualities.
    pub measures: BTreeMap<String, f64>,
    /// Ledger rows by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Records that have a topic, by what was written.
    pub placed: u64,
    /// Sizes of the topics, by what was counted before; none for keys.
    pub sizes: Vec<u64>,
    /// Duration of the run that finished the dataset.
    pub seconds: f64,
    /// Durations of its parts.
    pub phases: Vec<(&'static str, f64)>,
}

impl Summary {
    fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows.rows).sum()
    }

    /// Every record must have come out again, and sizes must be the same however they are counted.
    ///
    /// # Errors
    /// The figures, when they do not add up.
    pub fn check_balance(&self, shards: &Manifest) -> Result<()> {
        let check = |what: &str, came: u64, went: u64| match came == went {
            true => Ok(()),
            false => Err(juzi_schemas::Error::Unbalanced {
                stage: NAME.into(),
                detail: format!("{came} {what} came in, {went} are accounted for"),
            }),
        };
        check("records", shards.rows, self.rows())?;
        for (file, entry) in shards.files_of(Table::Rows).zip(&self.files) {
            check(
                &format!("records of {}", file.name),
                file.rows,
                entry.rows.rows,
            )?;
        }
        let described: u64 = self.topics.iter().map(|topic| topic.count).sum();
        check("records with a topic", self.placed, described)?;
        for (topic, &size) in self.topics.iter().zip(&self.sizes) {
            check(
                &format!("records of topic {}", topic.topic),
                size,
                topic.count,
            )?;
        }
        let ledger = self
            .others
            .iter()
            .filter(|(table, _)| *table == Table::Dropped);
        let ledger: u64 = ledger.map(|(_, entry)| entry.rows.rows).sum();
        check("rows of the ledger", self.dropped.values().sum(), ledger)?;
        Ok(())
    }

    /// The manifest of the finished dataset.
    pub fn manifest(&self, identity: &Identity, shards: &Manifest) -> Manifest {
        let file = |table: Table, entry: &Entry| File {
            name: entry.name.clone(),
            table,
            kind: None,
            rows: entry.rows.rows,
            rows_hash: entry.rows.hex(),
            bytes: entry.bytes,
            bytes_hash: entry.bytes_hash,
        };
        let rows = self.files.iter().zip(shards.files_of(Table::Rows));
        let rows = rows.map(|(entry, shard)| File {
            kind: shard.kind,
            ..file(Table::Rows, entry)
        });
        let others = self.others.iter().map(|(table, entry)| file(*table, entry));
        Manifest {
            format: FORMAT,
            stage: NAME.into(),
            fingerprint: identity.fingerprint,
            rows: self.rows(),
            rows_hash: combined(self.files.iter().map(|entry| entry.rows)).hex(),
            kinds: shards.kinds.clone(),
            corpora: shards.corpora.clone(),
            dropped: self.dropped.clone(),
            counts: self.counts_by_name(),
            measures: self.measures.clone(),
            files: rows.chain(others).collect(),
            inputs: identity.inputs.clone(),
            dictionaries: identity.dictionaries.clone(),
            plan: identity.plan.clone(),
        }
    }

    fn counts_by_name(&self) -> BTreeMap<String, u64> {
        let counts = self.counts.iter();
        counts
            .map(|(name, count)| (name.to_string(), *count))
            .collect()
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let topic = |topic: &Topic| {
            let corpora: BTreeMap<&str, u64> = topic
                .corpora
                .iter()
                .map(|(name, count)| (name.as_str(), *count))
                .collect();
            json!({
                "topic": topic.topic, "name": topic.name, "count": topic.count, "corpora": corpora,
                "telling_words": topic.words, "examples": topic.examples,
            })
        };
        json!({
            "rows": self.rows(),
            "counts": self.counts_by_name(),
            "dropped": self.dropped,
            "measures": self.measures,
            "topics": self.topics.iter().map(topic).collect::<Vec<_>>(),
            "seconds": self.seconds,
            "phases": self.phases.iter().copied().collect::<BTreeMap<_, _>>(),
            "memory_peak_bytes": machine::memory_peak_bytes(),
        })
    }

    /// The report as a page.
    pub fn to_page(&self, plan: &str, shards: &Manifest) -> String {
        let counts = self.counts.iter();
        let counts = counts.map(|(name, count)| (name.replace('_', " "), count.to_string()));
        let measures = self.measures.iter();
        let measures =
            measures.map(|(name, value)| (name.replace('_', " "), format!("{value:.4}")));
        let figures: Vec<(String, String)> = counts.chain(measures).collect();
        let title = format!("{plan}: {} topics", self.topics.len());
        page(&title, &shards.corpora, &self.topics, &figures)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts.iter().copied();
        figures::counted(out, counts, &self.dropped, &self.measures)?;
        figures::ending(out, self.rows(), self.seconds)?;
        writeln!(out, "\n{:>6}{:>12}  name", "topic", "records")?;
        let mut sorted: Vec<&Topic> = self.topics.iter().collect();
        sorted.sort_by_key(|topic| (u64::MAX - topic.count, topic.topic));
        for topic in sorted.iter().take(SHOWN) {
            writeln!(out, "{:>6}{:>12}  {}", topic.topic, topic.count, topic.name)?;
        }
        match sorted.len().checked_sub(SHOWN + 1) {
            None => Ok(()),
            Some(more) => writeln!(out, "       and {} more", more + 1),
        }
    }
}
