//! Search in a collection of documents, in the layout of BEIR: `corpus.jsonl`, `queries.jsonl` and
//! `qrels/SPLIT.tsv`.
//!
//! The search is exact. Of documents with equal scores that with the smaller row in `corpus.jsonl`
//! comes first: ids are text, and their order (a10 before a9) says no more than that of the file.

mod beir;

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use self::beir::Collection;
use super::lines::check_place;
use super::search::{Product, search};
use super::{Better, Embedder, Evaluator, Make, Role, Scores};
use crate::Result;
use crate::metrics::ranking;

/// Documents that MAP looks at.
const MAP_DEPTH: usize = 100;

/// Options of the evaluator `retrieval`.
///
/// Metrics, each the mean over the queries that have a relevant document: `ndcg@10` (primary, gains
/// as judged), `mrr@10`, `map@100`, and `accuracy@k`, `recall@k`, `precision@k`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retrieval {
    /// The folder with the three files.
    pub dir: String,
    /// Which judgements: `qrels/SPLIT.tsv` ["test"].
    pub split: String,
    /// Numbers of documents that a user looks at [1, 3, 5, 10, 100].
    pub ks: Vec<usize>,
    /// "dot", as [`Embedder::embed`] means it, or "cosine", for models whose vectors are not of
    /// length 1 but are compared so ["dot"].
    pub similarity: Product,
    /// Whether a document is never found for the query with the same id, as in collections whose
    /// queries are documents [false].
    pub exclude_same_id: bool,
}

impl Default for Retrieval {
    fn default() -> Retrieval {
        Retrieval {
            dir: String::new(),
            split: "test".into(),
            ks: vec![1, 3, 5, 10, 100],
            similarity: Product::Dot,
            exclude_same_id: false,
        }
    }
}

/// A collection and how it is searched.
struct Task {
    options: Retrieval,
    collection: Collection,
    fingerprint: Fingerprint,
}

impl Make for Retrieval {
    fn check(&self) -> std::result::Result<(), String> {
        check_place("dir", &self.dir)?;
        if self.split.is_empty() || self.split.contains(['/', '\\']) {
            return Err(format!(
                "split = \"{}\"; the name of a file in qrels is wanted, without .tsv",
                self.split
            ));
        }
        if self.ks.is_empty() || self.ks.contains(&0) || !self.ks.is_sorted_by(|a, b| a < b) {
            return Err(format!(
                "ks = {:?}; rising numbers from 1 are wanted",
                self.ks
            ));
        }
        Ok(())
    }

    fn files(&mut self) -> Vec<&mut String> {
        vec![&mut self.dir]
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        let (collection, fingerprints) = Collection::read(&self.dir, &self.split)?;
        let mut options = self.clone();
        options.dir.clear();
        let all = ("retrieval", &options, fingerprints);
        Ok(Box::new(Task {
            fingerprint: Fingerprint::of_json(&all),
            options,
            collection,
        }))
    }
}

impl Task {
    /// For each query the gains of the documents in the order found.
    fn rankings(&self, embedder: &mut dyn Embedder) -> Result<Vec<Vec<f64>>> {
        let documents = self.collection.texts();
        embedder.fit(&documents);
        let similarity = self.options.similarity;
        let documents = similarity.prepare(embedder.embed(&documents, Role::Document)?);
        let queries = similarity.prepare(embedder.embed(&self.texts(), Role::Query)?);
        let excludes = self.options.exclude_same_id;
        let depth = self.options.ks.iter().copied().fold(MAP_DEPTH, usize::max);
        let found = search(&queries, &documents, depth + usize::from(excludes))?;
        let gains = found.iter().zip(&self.collection.queries);
        let gains = gains.map(|(hits, query)| {
            let own = query.own_document.filter(|_| excludes);
            let hits = hits.iter().filter(|hit| Some(hit.document) != own);
            let hits = hits.take(depth);
            hits.map(|hit| query.gain(hit.document)).collect()
        });
        Ok(gains.collect())
    }
}

impl Evaluator for Task {
    fn texts(&self) -> Vec<&str> {
        let queries = self.collection.queries.iter();
        queries.map(|query| query.text.as_str()).collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores> {
        let rankings = self.rankings(embedder)?;
        let queries = &self.collection.queries;
        let ideals: Vec<Vec<f64>> = queries.iter().map(|query| query.ideal()).collect();
        let mean = |metric: &dyn Fn(&[f64], &[f64]) -> f64| {
            let all = rankings.iter().zip(&ideals);
            all.map(|(gains, ideal)| metric(gains, ideal)).sum::<f64>() / queries.len() as f64
        };
        let mut scores = Scores::default();
        let mut push = |name: String, metric: &dyn Fn(&[f64], &[f64]) -> f64| {
            scores.push(name, mean(metric), Better::Higher);
        };
        push("ndcg@10".into(), &|gains, ideal| {
            ranking::ndcg(gains, ideal, 10)
        });
        push("mrr@10".into(), &|gains, _| {
            ranking::reciprocal_rank(gains, 10)
        });
        push(format!("map@{MAP_DEPTH}"), &|gains, ideal| {
            ranking::average_precision(gains, ideal, MAP_DEPTH)
        });
        for &k in &self.options.ks {
            push(format!("accuracy@{k}"), &|gains, _| {
                ranking::accuracy(gains, k)
            });
            push(format!("recall@{k}"), &|gains, ideal| {
                ranking::recall(gains, ideal, k)
            });
            push(format!("precision@{k}"), &|gains, _| {
                ranking::precision(gains, k)
            });
        }
        let left_out = self.collection.left_out;
        if left_out > 0 {
            scores.warnings.push(format!(
                "{left_out} of {} queries have no relevant document in qrels/{}.tsv and are left out",
                left_out + queries.len(),
                self.options.split
            ));
        }
        let relevant = queries.iter().map(|query| query.gains.len()).sum();
        scores.count("queries", queries.len());
        scores.count("queries_left_out", left_out);
        scores.count("documents", self.collection.documents.len());
        scores.count("relevant", relevant);
        Ok(scores)
    }
}

#[cfg(test)]
mod tests;
