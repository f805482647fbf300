//! The table `[negatives]` of a plan.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::IndexKind;
use crate::size::Size;

/// Who proposes negatives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Miner {
    /// Documents that share rare words with the anchor.
    #[default]
    Bm25,
    /// Documents whose vectors are near.
    Embeddings,
    /// Both lists, merged by reciprocal rank.
    Both,
}

/// Texts that may become negatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Documents {
    /// Positives of pairs and triplets, and the triplets' own negatives.
    Positives,
    /// Anchors of pairs and triplets.
    Anchors,
    /// Records of the kind `text`.
    Texts,
}

/// Which of the documents that pass are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// The hardest.
    #[default]
    Top,
    /// Any, each as likely.
    Random,
}

/// What becomes of a query whose positive the words cannot score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// Its candidates are refused: nothing says that they are worse than the positive.
    #[default]
    Refuse,
    /// `positive_share` and `margin` are not applied to them.
    Accept,
}

/// `[negatives.consistency]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsistencyOptions {
    /// Whether pairs are dropped whose own document is not found from their anchor.
    pub enabled: bool,
    /// The document must be among so many best; other positives of the anchor do not count.
    pub k: usize,
    /// Pairs whose documents are searched together.
    pub chunk: usize,
}

impl Default for ConsistencyOptions {
    fn default() -> Self {
        ConsistencyOptions {
            enabled: false,
            k: 2,
            chunk: 1_000_000,
        }
    }
}

/// `[negatives]`: every value here can change the rows. Files are relative to the plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NegativesOptions {
    /// Who proposes negatives: `bm25`, `embeddings` or `both`.
    pub miner: Miner,
    /// Directory of a dataset `embeddings` with the vectors of all anchors and documents.
    #[serde(skip_serializing)]
    pub embeddings: Option<String>,
    /// What is searched: `positives`, and where wanted `anchors` and `texts`.
    pub documents: Vec<Documents>,
    /// Documents that are searched for each anchor.
    pub k: usize,
    /// Negatives that are wanted for each pair.
    pub count: usize,
    /// Which of the candidates that pass are taken: `top` or `random`.
    pub sampling: Sampling,
    /// First rank that may be a negative, from 1, as the search gave it and before any filter.
    pub rank_min: usize,
    /// Last rank that may be a negative. Default: `k`.
    pub rank_max: Option<usize>,
    /// Keeps scores below this share of the positive's; 0 switches it off.
    pub positive_share: f64,
    /// Keeps scores below the positive's less this.
    pub margin: Option<f64>,
    /// Least score.
    pub score_min: Option<f64>,
    /// Highest score.
    pub score_max: Option<f64>,
    /// BM25: what becomes of an anchor that shares no word with a positive: `refuse` or `accept`.
    pub unmatched_positive: Unmatched,
    /// Similarity from which a document counts as a copy of the anchor, of a positive or of a
    /// negative taken before it: shared character n-grams of all n-grams (Jaccard); 0 switches it off.
    pub near_duplicate: f64,
    /// Characters of these n-grams, punctuation and white space not counted.
    pub near_ngram: usize,
    /// Fills up with random documents, whose score is NaN.
    pub random_fill: bool,
    /// BM25: how soon more occurrences of a word count no more.
    pub k1: f64,
    /// BM25: how much a long document is held against it, 0 to 1.
    pub b: f64,
    /// BM25: share of the documents above which a word scores, but brings in no candidate by itself.
    pub common_share: f64,
    /// Vectors: how neighbours are searched: `auto`, `exact`, `ivf` or `faiss`.
    pub index: IndexKind,
    /// Vectors, `faiss`: the index in the words of its factory. Default: `IVF<lists>,Flat`.
    pub factory: Option<String>,
    /// Vectors: inverted lists. Default: the square root of 32 times the number of documents.
    pub lists: Option<usize>,
    /// Vectors: lists that a search looks into. Default: as few as reach `recall_min`.
    pub probes: Option<usize>,
    /// Vectors: least share of the exact `k` nearest that a search must find.
    pub recall_min: f64,
    /// Vectors: anchors on which that is measured.
    pub recall_queries: usize,
    /// Memory that the tables and the index must fit into; the index comes in parts where it is large.
    pub memory: Size,
    /// Pairs that do not find themselves.
    pub consistency: ConsistencyOptions,
}

impl Default for NegativesOptions {
    fn default() -> Self {
        NegativesOptions {
            miner: Miner::Bm25,
            embeddings: None,
            documents: vec![Documents::Positives],
            k: 100,
            count: 7,
            sampling: Sampling::Top,
            rank_min: 1,
            rank_max: None,
            positive_share: 0.95,
            margin: None,
            score_min: None,
            score_max: None,
            unmatched_positive: Unmatched::Refuse,
            near_duplicate: 0.8,
            near_ngram: 3,
            random_fill: false,
            k1: 1.2,
            b: 0.75,
            common_share: 0.1,
            index: IndexKind::Auto,
            factory: None,
            lists: None,
            probes: None,
            recall_min: 0.95,
            recall_queries: 1000,
            memory: Size(8_000_000_000),
            consistency: ConsistencyOptions::default(),
        }
    }
}

/// `[negatives]`, resolved: options checked, files placed.
#[derive(Clone, Debug)]
pub struct NegativesPlan {
    /// The table.
    pub options: NegativesOptions,
    /// The dataset of vectors, if the miner wants one.
    pub embeddings: Option<PathBuf>,
}

impl NegativesPlan {
    /// Checks the bounds and places the files, which must be there only when the stage runs.
    ///
    /// # Errors
    /// The key and the accepted values.
    pub(super) fn resolve(
        mut options: NegativesOptions,
        base: &Path,
    ) -> Result<NegativesPlan, String> {
        options.documents.sort();
        options.documents.dedup();
        options.check()?;
        let embeddings = options.embeddings.as_ref().map(|name| base.join(name));
        Ok(NegativesPlan {
            options,
            embeddings,
        })
    }
}

fn check(fits: bool, message: &str) -> Result<(), String> {
    match fits {
        true => Ok(()),
        false => Err(message.to_string()),
    }
}

impl NegativesOptions {
    /// Whether words are searched.
    pub fn uses_words(&self) -> bool {
        self.miner != Miner::Embeddings
    }

    /// Whether vectors are searched.
    pub fn uses_vectors(&self) -> bool {
        self.miner != Miner::Bm25
    }

    /// The last rank that may be a negative.
    pub fn rank_last(&self) -> usize {
        self.rank_max.unwrap_or(self.k)
    }

    fn check(&self) -> Result<(), String> {
        check((1..=10_000).contains(&self.k), "k: from 1 to 10000")?;
        check(
            (1..=self.k).contains(&self.count),
            "count: at least 1, at most k",
        )?;
        check(
            self.rank_min >= 1 && self.rank_min <= self.rank_last() && self.rank_last() <= self.k,
            "rank_min and rank_max: 1 <= rank_min <= rank_max <= k",
        )?;
        check(
            self.documents.contains(&Documents::Positives),
            "documents: \"positives\", and where wanted \"anchors\" and \"texts\"",
        )?;
        check(
            self.embeddings.is_some() == self.uses_vectors(),
            "embeddings = \"DIR\" goes with miner = \"embeddings\" or \"both\", and only with these",
        )?;
        self.check_scores()?;
        self.check_search()?;
        let consistency = &self.consistency;
        check(
            (1..=1000).contains(&consistency.k),
            "consistency.k: from 1 to 1000",
        )?;
        check(
            (1..=100_000_000).contains(&consistency.chunk),
            "consistency.chunk: from 1 to 100000000",
        )
    }

    fn check_scores(&self) -> Result<(), String> {
        check(
            (0.0..=1.0).contains(&self.positive_share),
            "positive_share: from 0 to 1",
        )?;
        let finite = |value: Option<f64>| value.is_none_or(f64::is_finite);
        check(
            self.margin
                .is_none_or(|margin| margin >= 0.0 && margin.is_finite()),
            "margin: 0 or more",
        )?;
        check(finite(self.score_min), "score_min: a number")?;
        check(finite(self.score_max), "score_max: a number")?;
        check(
            (0.0..=1.0).contains(&self.near_duplicate),
            "near_duplicate: from 0 to 1",
        )?;
        check(
            (1..=16).contains(&self.near_ngram),
            "near_ngram: from 1 to 16",
        )
    }

    fn check_search(&self) -> Result<(), String> {
        check((0.0..=10.0).contains(&self.k1), "k1: from 0 to 10")?;
        check((0.0..=1.0).contains(&self.b), "b: from 0 to 1")?;
        check(
            (0.0..=1.0).contains(&self.common_share),
            "common_share: from 0 to 1",
        )?;
        check(
            (0.0..=1.0).contains(&self.recall_min),
            "recall_min: from 0 to 1",
        )?;
        check(
            (1..=100_000).contains(&self.recall_queries),
            "recall_queries: from 1 to 100000",
        )?;
        check(self.lists != Some(0), "lists: at least 1")?;
        check(self.probes != Some(0), "probes: at least 1")?;
        check(
            self.factory.is_none() || self.index == IndexKind::Faiss,
            "factory: only with index = \"faiss\"",
        )?;
        check(
            self.index != IndexKind::Faiss || cfg!(feature = "faiss"),
            "index = \"faiss\": this juzi was built without faiss; accepted are auto, exact, ivf",
        )
    }
}
