//! Order of a few candidates for each query.
//!
//! The layout is that of MTEB and of sentence-transformers' `RerankingEvaluator`: one object a line
//! with `query`, `positive` and `negative`. Those put the positive ones first, so that a model which
//! gives all the same score has a perfect order; here candidates with equal scores stand in the
//! order of their texts.

use std::collections::{BTreeMap, BTreeSet};

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use super::lines::{Lines, check_place};
use super::search::Product;
use super::{Better, Embedder, Evaluator, Make, Role, Scores};
use crate::Result;
use crate::metrics::ranking;

/// Options of the evaluator `reranking`.
///
/// Metrics, each the mean over queries: `map` over all candidates (primary), `mrr@10`, `ndcg@10`.
/// Queries without a positive or without a negative candidate are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reranking {
    /// A file with a line {"query": TEXT, "positive": [TEXT, …], "negative": [TEXT, …]} for each
    /// query.
    pub file: String,
    /// "dot", as [`Embedder::embed`] means it, or "cosine", for models whose vectors are not of
    /// length 1 but are compared so ["dot"].
    pub similarity: Product,
}

#[derive(Deserialize)]
struct Line {
    query: String,
    positive: Vec<String>,
    negative: Vec<String>,
}

/// A query and its candidates.
struct Query {
    text: String,
    /// Numbers of candidates in the order of their texts, and whether they are positive.
    candidates: Vec<(usize, bool)>,
}

/// Queries and all texts of candidates.
struct Task {
    queries: Vec<Query>,
    candidates: Vec<String>,
    left_out: usize,
    similarity: Product,
    fingerprint: Fingerprint,
}

impl Make for Reranking {
    fn check(&self) -> std::result::Result<(), String> {
        check_place("file", &self.file)
    }

    fn files(&mut self) -> Vec<&mut String> {
        vec![&mut self.file]
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        let lines = Lines::read(&self.file)?;
        let all = lines.objects::<Line>("an object with query, positive and negative")?;
        for (number, line) in &all {
            lines.text(*number, "query", &line.query)?;
            let mut texts = line.positive.iter().chain(&line.negative);
            if texts.any(|text| text.trim().is_empty()) {
                return Err(lines.wrong(*number, "a candidate is empty"));
            }
            let mut positive = line.positive.iter();
            if let Some(text) = positive.find(|text| line.negative.contains(text)) {
                let message = format!("`{text}` is positive and negative");
                return Err(lines.wrong(*number, message));
            }
        }
        let (used, left_out): (Vec<_>, Vec<_>) = all
            .into_iter()
            .map(|(_, line)| line)
            .partition(|line| !line.positive.is_empty() && !line.negative.is_empty());
        if used.is_empty() {
            return Err(lines.wrong_whole("no query has both a positive and a negative candidate"));
        }
        let candidates: BTreeSet<&String> = used
            .iter()
            .flat_map(|line| line.positive.iter().chain(&line.negative))
            .collect();
        let numbers: BTreeMap<&String, usize> = candidates.iter().copied().zip(0..).collect();
        let fingerprint = ("reranking", self.similarity, lines.fingerprint());
        Ok(Box::new(Task {
            queries: used.iter().map(|line| Query::new(line, &numbers)).collect(),
            candidates: candidates.into_iter().cloned().collect(),
            left_out: left_out.len(),
            similarity: self.similarity,
            fingerprint: Fingerprint::of_json(&fingerprint),
        }))
    }
}

impl Query {
    fn new(line: &Line, numbers: &BTreeMap<&String, usize>) -> Query {
        let positive = line.positive.iter().map(|text| (numbers[text], true));
        let negative = line.negative.iter().map(|text| (numbers[text], false));
        let candidates: BTreeMap<usize, bool> = positive.chain(negative).collect();
        Query {
            text: line.query.clone(),
            candidates: candidates.into_iter().collect(),
        }
    }

    /// Gains in the order of scores, one for each candidate.
    fn gains(&self, scores: &[f64]) -> Vec<f64> {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));
        let gain = |at: usize| f64::from(u8::from(self.candidates[at].1));
        order.into_iter().map(gain).collect()
    }
}

impl Evaluator for Task {
    fn texts(&self) -> Vec<&str> {
        let queries = self.queries.iter();
        queries.map(|query| query.text.as_str()).collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores> {
        let candidates: Vec<&str> = self.candidates.iter().map(String::as_str).collect();
        embedder.fit(&candidates);
        let documents = embedder.embed(&candidates, Role::Document)?;
        let documents = self.similarity.prepare(documents);
        let queries = embedder.embed(&self.texts(), Role::Query)?;
        let queries = self.similarity.prepare(queries);
        let mut sums = [0.0; 3];
        let mut tied = 0;
        for (row, query) in self.queries.iter().enumerate() {
            let candidates = query.candidates.iter();
            let found: Vec<f64> = candidates
                .map(|&(candidate, _)| queries.dot(row, &documents, candidate) + 0.0)
                .collect();
            let gains = query.gains(&found);
            let positive = gains.iter().filter(|gain| **gain > 0.0).count();
            let ideal = vec![1.0; positive];
            sums[0] += ranking::average_precision(&gains, &ideal, gains.len());
            sums[1] += ranking::reciprocal_rank(&gains, 10);
            sums[2] += ranking::ndcg(&gains, &ideal, 10);
            tied += usize::from(found.windows(2).all(|pair| pair[0] == pair[1]));
        }
        let mut scores = Scores::default();
        for (name, sum) in ["map", "mrr@10", "ndcg@10"].into_iter().zip(sums) {
            scores.push(name, sum / self.queries.len() as f64, Better::Higher);
        }
        if self.left_out > 0 {
            scores.warnings.push(format!(
                "{} of {} queries lack a positive or a negative candidate and are left out",
                self.left_out,
                self.left_out + self.queries.len()
            ));
        }
        if tied > 0 {
            let warning = format!("{tied} queries have candidates of one score, in no real order");
            scores.warnings.push(warning);
        }
        let candidates = self.queries.iter().map(|query| query.candidates.len());
        scores.count("queries", self.queries.len());
        scores.count("queries_left_out", self.left_out);
        scores.count("candidates", candidates.sum());
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::Reranking;
    use crate::evaluators::fixtures::Given;
    use crate::evaluators::{Evaluator, Make};
    use crate::loader::fixtures::Place;
    use crate::{Error, Result};

    fn open(text: &str) -> Result<Box<dyn Evaluator>> {
        let place = Place::new();
        let options = Reranking {
            file: place.write("test.jsonl", text),
            ..Reranking::default()
        };
        options.check().map_err(Error::Usage)?;
        options.open()
    }

    #[test]
    fn positives_have_no_advantage_in_ties() {
        let text = "{\"query\": \"问\", \"positive\": [\"丙\", \"丙\"], \"negative\": [\"乙\", \"丁\"]}\n\
                    {\"query\": \"答\", \"positive\": [], \"negative\": [\"乙\"]}\n";
        let task = open(text).unwrap();
        assert_eq!(task.texts(), ["问"]);
        let with = |vectors: [f32; 3]| {
            let texts = ["乙", "丙", "丁"].into_iter().zip(vectors);
            let mut given = Given::new(texts.map(|(text, value)| (text, vec![value])));
            given.vectors.insert("问".into(), vec![1.0]);
            let scores = task.evaluate(&mut given).unwrap();
            assert_eq!(scores.counts["candidates"], 3);
            (scores.primary().value, scores.warnings.len())
        };
        // 丁 is U+4E01, 丙 U+4E19, 乙 U+4E59.
        assert_eq!(with([0.5; 3]), (0.5, 2));
        assert_eq!(with([0.5, 0.5, 0.4]), (1.0, 1));
        assert_eq!(with([0.5, 0.4, 0.6]), (1.0 / 3.0, 1));
    }

    #[test]
    fn wrong_files_are_named() {
        let wrong = |text: &str, message: &str| {
            let error = open(text).err().unwrap().to_string();
            assert!(error.contains(message), "{error}");
        };
        wrong(
            "{\"query\": \"a\", \"positive\": [\"b\"]}",
            "line 1: missing field `negative`",
        );
        wrong(
            "{\"query\": \"a\", \"positive\": [\"b\"], \"negative\": [\"b\"]}",
            "line 1: `b` is positive and negative",
        );
        wrong(
            "{\"query\": \"a\", \"positive\": [\"b\"], \"negative\": [\"\"]}",
            "line 1: a candidate is empty",
        );
        wrong(
            "{\"query\": \"a\", \"positive\": [\"b\"], \"negative\": []}",
            "no query has both",
        );
        wrong("", "no line");
    }
}
