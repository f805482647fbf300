//! The table `[shards]` of a plan.

use serde::{Deserialize, Serialize};

use crate::size::Size;
use crate::text::clean::CleanOptions;
use crate::text::filters::FilterOptions;
use crate::text::leaks::LeakOptions;
use crate::text::minhash::NearOptions;

/// How text is cleaned and split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// LUSE's published procedure, character for character.
    Luse,
    /// Careful cleaning, a sentence splitter for real text, filters.
    #[default]
    Default,
}

/// The pieces that `neighbors` pairs up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pieces {
    /// Sentences.
    Sentences,
    /// Sentences packed up to `chars_max`.
    #[default]
    Passages,
}

/// `[shards.neighbors]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NeighborOptions {
    /// What a piece is.
    pub pieces: Pieces,
    /// Longest piece in characters, for packed pieces.
    pub chars_max: usize,
}

impl Default for NeighborOptions {
    fn default() -> Self {
        NeighborOptions {
            pieces: Pieces::Passages,
            chars_max: 128,
        }
    }
}

/// `[shards.passages]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PassageOptions {
    /// Longest passage in characters. The default fills 512 tokens of a Chinese BERT, where most
    /// characters are a token, less its two special tokens.
    pub chars_max: usize,
}

impl Default for PassageOptions {
    fn default() -> Self {
        PassageOptions { chars_max: 510 }
    }
}

/// `[shards]`: every value here can change the rows or the files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShardsOptions {
    /// How text is cleaned and split.
    pub profile: Profile,
    /// Adds the column `words`: jieba's word lengths.
    pub words: bool,
    /// Text in one shard; shards come out within a few percent of it.
    pub shard_bytes: Size,
    /// Input that is one unit of work; a crash loses at most this much per thread.
    pub unit_bytes: Size,
    /// Longest line that is read; a longer one goes to the ledger.
    pub line_bytes_max: Size,
    /// Share of bad documents, and of bytes that could not be read, above which the stage fails.
    pub dropped_ratio_max: f64,
    /// Profile `default`: what cleaning does.
    pub clean: CleanOptions,
    /// What is kept of clean text. Default: all filters for profile `default`, two characters
    /// and more for profile `luse`.
    pub filters: Option<FilterOptions>,
    /// The view `passages`.
    pub passages: PassageOptions,
    /// The view `neighbors`.
    pub neighbors: NeighborOptions,
    /// Near duplicates.
    pub near_duplicates: NearOptions,
    /// How strictly texts of `[[evaluation]]` are kept out.
    pub leaks: LeakOptions,
}

impl Default for ShardsOptions {
    fn default() -> Self {
        ShardsOptions {
            profile: Profile::Default,
            words: false,
            shard_bytes: Size(64_000_000),
            unit_bytes: Size(16 << 20),
            line_bytes_max: Size(64_000_000),
            dropped_ratio_max: 0.01,
            clean: CleanOptions::default(),
            filters: None,
            passages: PassageOptions::default(),
            neighbors: NeighborOptions::default(),
            near_duplicates: NearOptions::default(),
            leaks: LeakOptions::default(),
        }
    }
}

impl ShardsOptions {
    /// Looks at every bound.
    ///
    /// # Errors
    /// The key and the accepted values.
    pub fn check(&self) -> Result<(), String> {
        let options = self;
        let check = |fits: bool, message: &str| {
            if fits {
                Ok(())
            } else {
                Err(message.to_string())
            }
        };
        check(
            (1 << 10..=1 << 30).contains(&options.unit_bytes.0),
            "unit_bytes: from 1KiB to 1GiB",
        )?;
        check(
            (1 << 10..=1 << 30).contains(&options.shard_bytes.0),
            "shard_bytes: from 1KiB to 1GiB",
        )?;
        check(
            (1 << 10..=1 << 30).contains(&options.line_bytes_max.0),
            "line_bytes_max: from 1KiB to 1GiB",
        )?;
        check(
            (0.0..=1.0).contains(&options.dropped_ratio_max),
            "dropped_ratio_max: from 0 to 1",
        )?;
        let problem = |problem: Option<String>| problem.map_or(Ok(()), Err);
        problem(options.leaks.problem()).map_err(|message| format!("leaks: {message}"))?;
        problem(options.near_duplicates.problem())
            .map_err(|message| format!("near_duplicates: {message}"))?;
        check(
            options.passages.chars_max > 0,
            "passages.chars_max: at least 1",
        )?;
        check(
            options.neighbors.chars_max > 0,
            "neighbors.chars_max: at least 1",
        )
    }
}
