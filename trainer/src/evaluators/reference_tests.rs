//! Evaluators against other implementations, on given vectors.
//!
//! The vectors and what others say of them are made in `fixtures/evaluators` by
//! `python scores.py DIR-OF-METRICS_REF > scores.json`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::evaluators::fixtures::Given;
use crate::evaluators::{Options, Scores};
use crate::loader::fixtures::Place;

type Row = Vec<f32>;
type Metrics = BTreeMap<String, f64>;

#[derive(Deserialize)]
struct Expected {
    pairs: Pairs,
    random: Collection,
    tied: Collection,
    reranking: Reranking,
    bitext: Bitext,
}

#[derive(Deserialize)]
struct Pairs {
    a: Vec<Row>,
    b: Vec<Row>,
    graded: Vec<f64>,
    binary: Vec<f64>,
    correlations: Metrics,
    binary_correlations: Metrics,
    parts: [Metrics; 2],
    mean: Metrics,
    classified: Metrics,
}

#[derive(Deserialize)]
struct Collection {
    queries: Vec<Row>,
    documents: Vec<Row>,
    judged: BTreeMap<usize, BTreeMap<usize, u8>>,
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Reranking {
    tasks: Vec<Candidates>,
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Candidates {
    query: Row,
    positive: Vec<Row>,
    negative: Vec<Row>,
}

#[derive(Deserialize)]
struct Bitext {
    one: Vec<Row>,
    other: Vec<Row>,
    metrics: Metrics,
}

fn expected() -> Expected {
    serde_json::from_str(include_str!("../../fixtures/evaluators/scores.json")).unwrap()
}

/// Texts that stand for vectors.
#[derive(Default)]
struct Texts(Given);

impl Texts {
    fn text(&mut self, row: &Row) -> String {
        let text = format!("{row:?}");
        self.0.vectors.insert(text.clone(), row.clone());
        text
    }

    fn evaluate(&mut self, toml: &str) -> Scores {
        let options: Options = toml::from_str(toml).unwrap();
        options.check().unwrap();
        options.open().unwrap().evaluate(&mut self.0).unwrap()
    }
}

fn assert_near(scores: &Scores, expected: &Metrics) {
    for (name, &value) in expected {
        let found = scores.get(name).expect(name).value;
        assert!(
            (found - value).abs() < 1e-6,
            "{name}: {found} is not {value}"
        );
    }
}

impl Pairs {
    /// A file of some pairs, and what a vector is called in it.
    fn table(&self, gold: &[f64], texts: &mut Texts) -> String {
        let pairs = self.a.iter().zip(&self.b).zip(gold);
        let rows = pairs.map(|((a, b), gold)| {
            let (a, b) = (texts.text(a), texts.text(b));
            format!("{a}\t{b}\t{gold}\n")
        });
        rows.collect()
    }
}

#[test]
fn similarity_over_all_and_by_file() {
    let (pairs, mut texts, place) = (expected().pairs, Texts::default(), Place::new());
    let graded = pairs.table(&pairs.graded, &mut texts);
    let file = place.write("all.tsv", &graded);
    let scores = texts.evaluate(&format!("evaluator = 'similarity'\nfiles = ['{file}']"));
    assert_near(&scores, &pairs.correlations);
    assert_eq!(scores.primary().name, "spearman");
    assert_eq!(scores.metrics.len(), pairs.correlations.len());
    let binary = pairs.table(&pairs.binary, &mut texts);
    let file = place.write("binary.tsv", &binary);
    let scores = texts.evaluate(&format!("evaluator = 'similarity'\nfiles = ['{file}']"));
    assert_near(&scores, &pairs.binary_correlations);
    assert_eq!(scores.metrics.len(), pairs.binary_correlations.len());

    let lines: Vec<&str> = graded.lines().collect();
    let one = place.write("a/sts.12.tsv", &lines[..40].join("\n"));
    let other = place.write("b/sts13.tsv", &lines[40..].join("\n"));
    let toml = format!("evaluator = 'similarity'\nfiles = ['{one}', '{other}']");
    let all = texts.evaluate(&toml);
    assert_near(&all, &pairs.correlations);
    let mean = texts.evaluate(&format!("{toml}\naggregation = 'mean'"));
    assert_near(&mean, &pairs.mean);
    for scores in [all, mean] {
        let found = |name: &str| scores.get(name).expect(name).value;
        assert!((found("spearman_all") - pairs.correlations["spearman"]).abs() < 1e-6);
        assert!((found("spearman_mean") - pairs.mean["spearman"]).abs() < 1e-6);
        assert!((found("spearman/sts_12") - pairs.parts[0]["spearman"]).abs() < 1e-6);
        assert!((found("spearman/sts13") - pairs.parts[1]["spearman"]).abs() < 1e-6);
    }
}

#[test]
fn pairs_are_classified() {
    let (pairs, mut texts, place) = (expected().pairs, Texts::default(), Place::new());
    let table = pairs.table(&pairs.binary, &mut texts);
    let file = place.write("binary.tsv", &format!("one\tother\tlabel\n{table}"));
    let columns = "columns = ['one', 'other', 'label']";
    let toml = format!("evaluator = 'pair_classification'\nfile = '{file}'\n{columns}");
    let scores = texts.evaluate(&toml);
    assert_near(&scores, &pairs.classified);
    assert_eq!(scores.metrics.len(), pairs.classified.len());
    assert_eq!(scores.primary().name, "ap");
}

#[test]
fn documents_are_found() {
    let Expected { random, tied, .. } = expected();
    for (collection, similarity) in [(random, "cosine"), (tied, "dot")] {
        let (mut texts, place) = (Texts::default(), Place::new());
        let mut objects = |rows: &[Row]| -> String {
            let object = |(row, vector): (usize, &Row)| {
                let text = texts.text(vector);
                format!("{{\"_id\": \"{row}\", \"text\": \"{text}\"}}\n")
            };
            rows.iter().enumerate().map(object).collect()
        };
        place.write("corpus.jsonl", &objects(&collection.documents));
        place.write("queries.jsonl", &objects(&collection.queries));
        let mut qrels = "query-id\tcorpus-id\tscore\n".to_string();
        for (query, gains) in &collection.judged {
            for (document, gain) in gains {
                qrels += &format!("{query}\t{document}\t{gain}\n");
            }
        }
        place.write("qrels/test.tsv", &qrels);
        let dir = place.path("").to_string_lossy().into_owned();
        let scores = texts.evaluate(&format!(
            "evaluator = 'retrieval'\ndir = '{dir}'\nsimilarity = '{similarity}'"
        ));
        let mut expected = collection.metrics.clone();
        for (count, name) in [
            ("queries", "queries"),
            ("skipped", "queries_left_out"),
            ("docs", "documents"),
        ] {
            assert_eq!(
                scores.counts[name] as f64,
                expected.remove(count).unwrap(),
                "{name}"
            );
        }
        assert_near(&scores, &expected);
        assert_eq!(scores.metrics.len(), expected.len());
    }
}

#[test]
fn candidates_are_put_into_order() {
    let (reranking, mut texts, place) = (expected().reranking, Texts::default(), Place::new());
    let mut lines = String::new();
    for task in &reranking.tasks {
        let positive: Vec<String> = task.positive.iter().map(|row| texts.text(row)).collect();
        let negative: Vec<String> = task.negative.iter().map(|row| texts.text(row)).collect();
        let query = texts.text(&task.query);
        lines += &format!(
            "{{\"query\": {query:?}, \"positive\": {positive:?}, \"negative\": {negative:?}}}\n"
        );
    }
    let file = place.write("test.jsonl", &lines);
    let scores = texts.evaluate(&format!(
        "evaluator = 'reranking'\nfile = '{file}'\nsimilarity = 'cosine'"
    ));
    assert_near(&scores, &reranking.metrics);
    assert_eq!(scores.metrics.len(), reranking.metrics.len());
}

#[test]
fn translations_are_mined() {
    let (bitext, mut texts, place) = (expected().bitext, Texts::default(), Place::new());
    let pairs = bitext.one.iter().zip(&bitext.other);
    let lines = pairs.map(|(one, other)| format!("{}\t{}\n", texts.text(one), texts.text(other)));
    let lines: String = lines.collect();
    let file = place.write("test.tsv", &lines);
    let scores = texts.evaluate(&format!("evaluator = 'bitext'\nfile = '{file}'"));
    assert_near(&scores, &bitext.metrics);
    assert_eq!(scores.metrics.len(), bitext.metrics.len());
}
