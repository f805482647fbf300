//! The table `[batches]` of a plan.

use std::collections::BTreeMap;

use juzi_schemas::record::{Kind, Split};
use serde::{Deserialize, Serialize};

use crate::samplers::{Policy, Repeated, SameGroup, SamplerOptions, Shuffled};
use crate::size::Size;

/// Which records become batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchKind {
    /// Texts.
    Text,
    /// Texts with labels.
    Labelled,
    /// Pairs and triplets together: a pair is a triplet without negatives.
    Pair,
    /// Scored pairs.
    Scored,
}

impl BatchKind {
    /// The name in a plan.
    pub fn name(self) -> &'static str {
        match self {
            BatchKind::Text => "text",
            BatchKind::Labelled => "labelled",
            BatchKind::Pair => "pair",
            BatchKind::Scored => "scored",
        }
    }

    /// Kinds of the records that it takes from the shards.
    pub fn records(self) -> &'static [Kind] {
        match self {
            BatchKind::Text => &[Kind::Text],
            BatchKind::Labelled => &[Kind::Labelled],
            BatchKind::Pair => &[Kind::Pair, Kind::Triplet],
            BatchKind::Scored => &[Kind::Scored],
        }
    }

    /// Kind of the rows of its batches.
    pub fn layout(self) -> Kind {
        match self {
            BatchKind::Text => Kind::Text,
            BatchKind::Labelled => Kind::Labelled,
            BatchKind::Pair => Kind::Triplet,
            BatchKind::Scored => Kind::Scored,
        }
    }
}

/// `[batches.sources]`: how many records of each corpus a pass shows.
///
/// Corpus c with n records gets a share in proportion to n^alpha × weight, in whole records by the
/// largest remainder, so that shares are exact over the pass. No corpus gets more than
/// `repeats_max` × n; what that takes away goes to the others in their proportion. As long as
/// everything is shown once (`repeats_max = 1` and no `records`) a law has no room, so `alpha` and
/// `weights` then need one of the two.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourcesOptions {
    /// 1: in proportion to the sizes of the corpora; 0: all alike.
    pub alpha: f64,
    /// Weights of corpora by name; 1 for the others, 0 leaves a corpus out.
    pub weights: BTreeMap<String, f64>,
    /// How often a record may be shown in a pass, on average over its corpus.
    pub repeats_max: f64,
    /// Records in a pass. Default: as many as there are.
    pub records: Option<u64>,
}

impl Default for SourcesOptions {
    fn default() -> Self {
        SourcesOptions {
            alpha: 1.0,
            weights: BTreeMap::new(),
            repeats_max: 1.0,
            records: None,
        }
    }
}

/// `[batches.guards]`: which records may not share a batch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardOptions {
    /// Rows with an equal text (letters and digits count) in roles that conflict: `apart`, `mask`
    /// (the column `ignored` names what must not count) or `off`.
    pub repeated: Repeated,
    /// Rows of one group: `apart`, `mask` (the column `positives` names the others) or `off`.
    pub same_group: SameGroup,
    /// Whether texts that share a MinHash band count as repeated; finds 92 in 100 pairs of
    /// similarity 0.8, and a few less similar ones, and costs about as much as reading the texts.
    pub near: bool,
}

/// `[batches]`: every value here can change the rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchesOptions {
    /// Which records: `pair`, `text`, `labelled` or `scored`. Default: pairs if the plan makes any.
    pub kind: Option<BatchKind>,
    /// Which part of the corpora: `train`, `valid` or `test`.
    pub split: Split,
    /// Rows of a batch.
    pub size: usize,
    /// How batches are composed: `{ name = "…", … }`.
    pub sampler: SamplerOptions,
    /// Passes over the data, each composed anew.
    pub passes: u32,
    /// Most negatives of a row: its own first, then mined ones.
    pub negatives_max: usize,
    /// Whether a last batch with fewer rows is dropped instead of written.
    pub drop_last: bool,
    /// Text that is composed at a time: larger windows mix better and need more memory.
    pub window: Size,
    /// How many records of each corpus.
    pub sources: SourcesOptions,
    /// Which records may not share a batch.
    pub guards: GuardOptions,
}

impl Default for BatchesOptions {
    fn default() -> Self {
        BatchesOptions {
            kind: None,
            split: Split::Train,
            size: 128,
            sampler: SamplerOptions::Shuffled(Shuffled::default()),
            passes: 1,
            negatives_max: 7,
            drop_last: true,
            window: Size(256_000_000),
            sources: SourcesOptions::default(),
            guards: GuardOptions::default(),
        }
    }
}

impl BatchesOptions {
    /// The guards as samplers see them.
    pub fn policy(&self) -> Policy {
        Policy {
            same_group: self.guards.same_group,
            repeated: self.guards.repeated,
        }
    }

    fn check(&self) -> Result<(), String> {
        let check = |fits: bool, message: &str| match fits {
            true => Ok(()),
            false => Err(message.to_string()),
        };
        check(
            (2..=65_536).contains(&self.size),
            "size: from 2 to 65536 rows",
        )?;
        check(
            (1..=10_000).contains(&self.passes),
            "passes: from 1 to 10000",
        )?;
        check(self.negatives_max <= 1000, "negatives_max: from 0 to 1000")?;
        check(self.window.0 > 0, "window: at least 1 byte")?;
        let sources = &self.sources;
        check(
            (0.0..=1.0).contains(&sources.alpha),
            "sources.alpha: from 0 to 1",
        )?;
        check(
            sources
                .weights
                .values()
                .all(|weight| (0.0..=1e6).contains(weight)),
            "sources.weights: from 0 to 1000000",
        )?;
        check(
            (1.0..=1e6).contains(&sources.repeats_max),
            "sources.repeats_max: from 1 to 1000000",
        )?;
        check(
            sources.records != Some(0),
            "sources.records: at least 1; leave it out for all",
        )?;
        check(
            !self.guards.near || self.guards.repeated != Repeated::Off,
            "guards.near: only with repeated = \"apart\" or \"mask\"",
        )?;
        match self.sampler.sampler().problem(self.size) {
            Some(problem) => Err(format!("sampler: {problem}")),
            None => Ok(()),
        }
    }
}

/// `[batches]`, resolved: options checked, files placed.
#[derive(Clone, Debug)]
pub struct BatchesPlan {
    /// The table.
    pub options: BatchesOptions,
}

impl BatchesPlan {
    /// Checks the bounds; the stage reads no files of its own.
    ///
    /// # Errors
    /// The key and the accepted values.
    pub(super) fn resolve(
        options: BatchesOptions,
        _base: &std::path::Path,
    ) -> Result<BatchesPlan, String> {
        options.check()?;
        Ok(BatchesPlan { options })
    }
}
