//! Tests of search in a collection.

use proptest::prelude::{Just, ProptestConfig, Strategy, prop, prop_assert_eq, proptest};

use super::Retrieval;
use crate::Result;
use crate::evaluators::fixtures::Given;
use crate::evaluators::{Evaluator, Make, Product, Scores};
use crate::loader::fixtures::Place;

const CORPUS: &str = "{\"_id\": \"a\", \"title\": \"甲\", \"text\": \"一\", \"metadata\": {}}\n\
                      {\"_id\": 2, \"title\": \"\", \"text\": \"二\"}\n\
                      {\"_id\": \"q1\", \"text\": \"三\"}\n";
const QUERIES: &str = "{\"_id\": \"q1\", \"text\": \"问\"}\n{\"_id\": \"q2\", \"text\": \"答\"}\n";
const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\ta\t1\nq1\t2\t2\nq2\ta\t0\n";

fn open(files: [&str; 3], options: &Retrieval) -> Result<Box<dyn Evaluator>> {
    let place = Place::new();
    let names = ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"];
    for (name, text) in names.iter().zip(files) {
        place.write(name, text);
    }
    let options = Retrieval {
        dir: place.path("").to_string_lossy().into_owned(),
        ..options.clone()
    };
    options.check().unwrap();
    options.open()
}

fn given() -> Given {
    Given::new([
        ("甲 一", vec![1.0, 0.0]),
        ("二", vec![0.0, 3.0]),
        ("三", vec![4.0, 4.0]),
        ("问", vec![1.0, 0.5]),
    ])
}

fn value(scores: &Scores, name: &str) -> f64 {
    scores.get(name).unwrap().value
}

#[test]
fn a_small_collection() {
    let task = open([CORPUS, QUERIES, QRELS], &Retrieval::default()).unwrap();
    assert_eq!(task.texts(), ["问"]);
    let scores = task.evaluate(&mut given()).unwrap();
    // By product: 三 6, 二 1.5, 甲 1; by cosine: 三, 甲, 二.
    let log = |rank: f64| (rank + 1.0).log2();
    let ideal = 2.0 + 1.0 / log(2.0);
    assert_eq!(scores.primary().name, "ndcg@10");
    assert!((scores.primary().value - (2.0 / log(2.0) + 1.0 / log(3.0)) / ideal).abs() < 1e-12);
    assert_eq!(value(&scores, "mrr@10"), 0.5);
    assert_eq!(value(&scores, "map@100"), (1.0 / 2.0 + 2.0 / 3.0) / 2.0);
    assert_eq!(
        (value(&scores, "accuracy@1"), value(&scores, "accuracy@3")),
        (0.0, 1.0)
    );
    assert_eq!(value(&scores, "precision@5"), 0.4);
    assert_eq!(
        (scores.counts["queries"], scores.counts["queries_left_out"]),
        (1, 1)
    );
    assert_eq!(
        (scores.counts["documents"], scores.counts["relevant"]),
        (3, 2)
    );
    assert!(scores.warnings[0].starts_with("1 of 2 queries have no relevant"));
    let options = Retrieval {
        similarity: Product::Cosine,
        exclude_same_id: true,
        ..Retrieval::default()
    };
    let task = open([CORPUS, QUERIES, QRELS], &options).unwrap();
    let scores = task.evaluate(&mut given()).unwrap();
    assert!((scores.primary().value - (1.0 + 2.0 / log(2.0)) / ideal).abs() < 1e-12);
    assert_eq!(value(&scores, "accuracy@1"), 1.0);
}

#[test]
fn the_header_of_judgements_may_be_missing() {
    let (_, qrels) = QRELS.split_once('\n').unwrap();
    let with = open([CORPUS, QUERIES, QRELS], &Retrieval::default()).unwrap();
    let without = open([CORPUS, QUERIES, qrels], &Retrieval::default()).unwrap();
    assert_eq!(
        with.evaluate(&mut given()).unwrap(),
        without.evaluate(&mut given()).unwrap()
    );
    assert_ne!(with.fingerprint(), without.fingerprint());
    let options = Retrieval {
        ks: vec![2],
        ..Retrieval::default()
    };
    let other = open([CORPUS, QUERIES, QRELS], &options).unwrap();
    assert_ne!(with.fingerprint(), other.fingerprint());
}

#[test]
fn wrong_files_are_named_with_lines() {
    let options = Retrieval::default();
    let wrong = |files: [&str; 3], message: &str| {
        let error = match open(files, &options) {
            Ok(_) => panic!("{message} was accepted"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(message), "{error} is not {message}");
    };
    let line = "q9\ta\t1\n";
    wrong(
        [CORPUS, QUERIES, &format!("{QRELS}{line}")],
        "qrels/test.tsv: line 5: the id `q9` is not in queries.jsonl",
    );
    wrong(
        [CORPUS, QUERIES, "q1\tz\t1\n"],
        "line 1: the id `z` is not in corpus.jsonl",
    );
    wrong(
        [CORPUS, QUERIES, &format!("{QRELS}q1\t2\t1\n")],
        "line 5: `q1` and `2` have another score above",
    );
    wrong([CORPUS, QUERIES, "q1\ta\n"], "line 1: 2 columns where 3");
    wrong(
        [CORPUS, QUERIES, &format!("{QRELS}q1\ta\thigh\n")],
        "line 5: score is `high`",
    );
    wrong([CORPUS, QUERIES, "q1\ta\t0\n"], "no query has a document");
    wrong(
        [
            &format!("{CORPUS}{{\"_id\": \"2\", \"text\": \"\"}}"),
            QUERIES,
            QRELS,
        ],
        "corpus.jsonl: line 4: the id `2` stands there twice",
    );
    wrong(
        [CORPUS, "{\"_id\": \"q1\"}", QRELS],
        "queries.jsonl: line 1: missing field `text`",
    );
    wrong(
        [CORPUS, "{\"_id\": \"q1\", \"text\": \" \"}", QRELS],
        "text is empty",
    );
    wrong(["", QUERIES, QRELS], "corpus.jsonl: no line");
}

#[test]
fn options_are_checked() {
    let wrong = |toml: &str, message: &str| {
        let options: Retrieval = toml::from_str(toml).unwrap();
        let error = options.check().unwrap_err();
        assert!(error.contains(message), "{error}");
    };
    wrong("", "dir = \"\"");
    wrong("dir = 'x'\nsplit = '../a'", "split = ");
    for ks in ["[]", "[0, 1]", "[3, 1]", "[1, 1]"] {
        wrong(&format!("dir = 'x'\nks = {ks}"), "rising numbers from 1");
    }
    assert!(toml::from_str::<Retrieval>("similarity = 'l2'").is_err());
}

/// Metrics by their definitions, from scores of all documents.
fn naive(scores: &[f64], gains: &[f64], k: usize) -> [f64; 6] {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&one, &other| scores[other].partial_cmp(&scores[one]).unwrap());
    let mut best = gains.to_vec();
    best.sort_by(|one, other| other.partial_cmp(one).unwrap());
    let relevant = gains.iter().filter(|gain| **gain > 0.0).count() as f64;
    let (mut dcg, mut ideal, mut hits, mut precisions, mut first) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (rank, &document) in (1..=k).zip(&order) {
        let discount = ((rank + 1) as f64).log2();
        dcg += gains[document] / discount;
        ideal += best[rank - 1] / discount;
        if gains[document] > 0.0 {
            hits += 1.0;
            precisions += hits / rank as f64;
            if first == 0.0 {
                first = 1.0 / rank as f64;
            }
        }
    }
    [
        dcg / ideal,
        first,
        precisions / relevant.min(k as f64),
        f64::from(u8::from(hits > 0.0)),
        hits / relevant,
        hits / k as f64,
    ]
}

/// Points of documents, a query, gains of documents, and an order of the documents.
type Collection = (Vec<(i8, i8)>, (i8, i8), Vec<u8>, Vec<usize>);

fn collections() -> impl Strategy<Value = Collection> {
    (2usize..30).prop_flat_map(|documents| {
        (
            prop::collection::vec((-3i8..4, -3i8..4), documents),
            (-3i8..4, -3i8..4),
            prop::collection::vec(0u8..4, documents),
            Just((0..documents).collect::<Vec<_>>()).prop_shuffle(),
        )
    })
}

fn evaluate(points: &[(i8, i8)], query: (i8, i8), gains: &[u8], order: &[usize]) -> Option<Scores> {
    let vector = |point: (i8, i8)| vec![f32::from(point.0), f32::from(point.1)];
    let (mut corpus, mut qrels) = (String::new(), "query-id\tcorpus-id\tscore\n".to_string());
    let mut given = Given::new([("问", vector(query))]);
    for &document in order {
        let text = format!("文{document}");
        corpus += &format!("{{\"_id\": \"{document}\", \"text\": \"{text}\"}}\n");
        qrels += &format!("q\t{document}\t{}\n", gains[document]);
        given.vectors.insert(text, vector(points[document]));
    }
    let options = Retrieval {
        ks: vec![10],
        ..Retrieval::default()
    };
    let queries = "{\"_id\": \"q\", \"text\": \"问\"}\n";
    let task = open([&corpus, queries, &qrels], &options).ok()?;
    Some(task.evaluate(&mut given).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn metrics_are_those_of_the_definitions((points, query, gains, _) in collections()) {
        let order: Vec<usize> = (0..points.len()).collect();
        let Some(scores) = evaluate(&points, query, &gains, &order) else {
            return Ok(());
        };
        let product = |point: &(i8, i8)| f64::from(point.0 * query.0 + point.1 * query.1);
        let products: Vec<f64> = points.iter().map(product).collect();
        let gains: Vec<f64> = gains.iter().copied().map(f64::from).collect();
        let (ten, hundred) = (naive(&products, &gains, 10), naive(&products, &gains, 100));
        let names = ["ndcg@10", "mrr@10", "map@100", "accuracy@10", "recall@10", "precision@10"];
        for (at, name) in names.iter().enumerate() {
            let expected = if at == 2 { hundred[at] } else { ten[at] };
            let found = scores.get(name).unwrap().value;
            proptest::prop_assert!((found - expected).abs() < 1e-12, "{name}: {found} {expected}");
        }
    }

    #[test]
    fn the_order_of_documents_matters_to_ties_only((points, query, gains, order) in collections()) {
        // Of documents with equal products the first one stays.
        let product = |at: usize| points[at].0 * query.0 + points[at].1 * query.1;
        let mut kept: Vec<usize> = Vec::new();
        for document in order {
            if kept.iter().all(|&it| product(it) != product(document)) {
                kept.push(document);
            }
        }
        let mut sorted = kept.clone();
        sorted.sort_unstable();
        prop_assert_eq!(
            evaluate(&points, query, &gains, &kept),
            evaluate(&points, query, &gains, &sorted)
        );
    }
}
