//! What the stage `negatives` refuses.

use serde_json::json;

use crate::fixtures::{corpus, lines, prose};
use crate::negatives::plan;
use crate::support::Place;

#[test]
fn wrong_tables_name_the_key() {
    let place = Place::new("negative-tables");
    let with = |lines: &str| plan(&place, true, lines);
    let dense = "miner = \"embeddings\"\nembeddings = \"none\"\n";
    let cases: Vec<(String, &[&str])> = vec![
        (
            with("").replace("[negatives]", ""),
            &["no table [negatives]"],
        ),
        (with("k = 0"), &["[negatives] k: from 1 to 10000"]),
        (with("count = 0"), &["count: at least 1, at most k"]),
        (with("count = 101"), &["count: at least 1, at most k"]),
        (with("rank_min = 0"), &["1 <= rank_min <= rank_max <= k"]),
        (
            with("rank_min = 9\nrank_max = 8"),
            &["rank_min and rank_max"],
        ),
        (with("rank_max = 101"), &["rank_min and rank_max"]),
        (with("documents = []"), &["documents: \"positives\""]),
        (
            with("documents = [\"anchors\"]"),
            &["documents: \"positives\""],
        ),
        (
            with("documents = [\"all\"]"),
            &["unknown variant `all`", "positives", "anchors", "texts"],
        ),
        (
            with("miner = \"random\""),
            &["unknown variant `random`", "bm25", "embeddings", "both"],
        ),
        (
            with("miner = \"both\""),
            &["embeddings = \"DIR\" goes with"],
        ),
        (
            with("embeddings = \"v\""),
            &["embeddings = \"DIR\" goes with"],
        ),
        (
            with("sampling = \"best\""),
            &["unknown variant `best`", "top", "random"],
        ),
        (
            with("positive_share = 95"),
            &["positive_share: from 0 to 1"],
        ),
        (with("margin = -0.1"), &["margin: 0 or more"]),
        (with("score_min = nan"), &["score_min: a number"]),
        (with("score_max = inf"), &["score_max: a number"]),
        (
            with("near_duplicate = 2.0"),
            &["near_duplicate: from 0 to 1"],
        ),
        (with("near_ngram = 0"), &["near_ngram: from 1 to 16"]),
        (with("k1 = -1.0"), &["k1: from 0 to 10"]),
        (with("b = 1.5"), &["b: from 0 to 1"]),
        (with("common_share = 1.5"), &["common_share: from 0 to 1"]),
        (with("recall_min = 95"), &["recall_min: from 0 to 1"]),
        (with("recall_queries = 0"), &["recall_queries: from 1"]),
        (with("lists = 0"), &["lists: at least 1"]),
        (with("probes = 0"), &["probes: at least 1"]),
        (
            with("factory = \"Flat\""),
            &["factory: only with index = \"faiss\""],
        ),
        (with("memory = \"much\""), &["`much` is no size"]),
        (
            with("range_min = 3"),
            &["unknown field `range_min`", "rank_min"],
        ),
        (
            with("[negatives.consistency]\nk = 0"),
            &["consistency.k: from 1 to 1000"],
        ),
        (
            with("[negatives.consistency]\nchunk = 0"),
            &["consistency.chunk: from 1"],
        ),
        (
            with("[negatives.consistency]\nkeep = 2"),
            &["unknown field `keep`", "chunk"],
        ),
        (with(dense), &["[negatives] embeddings:"]),
        (
            with(""),
            &[
                "[negatives] needs the shards of this plan",
                "juzi shards plan.toml",
            ],
        ),
    ];
    for (plan, words) in cases {
        place.write("plan.toml", &plan);
        let run = place.negatives("data", &[]);
        assert!(run.code == Some(1), "{plan}\n{run:#?}");
        run.expect(1, words);
    }
    assert!(!place.path("data/negatives").exists());
}

#[test]
fn shards_without_pairs_and_filters_that_leave_nothing() {
    let place = Place::new("no-pairs");
    place.write("c.txt", prose(1, 3));
    let comments = corpus("c", "comments2019", "train = [\"c.txt\"]");
    let tail = "[shards]\nwords = true\n[negatives]\n";
    place.write("plan.toml", format!("name = \"it\"\n{comments}{tail}"));
    place.shards("data", &["--quiet"]).expect(0, &[]);
    let run = place.negatives("data", &[]);
    run.expect(1, &["the shards have no pairs or triplets of split train"]);
    let shared = "今天的天气真好。";
    let pairs = [
        json!([prose(1, 1), prose(2, 1) + shared]),
        json!([prose(3, 1) + shared, prose(4, 1)]),
    ];
    place.write("p.jsonl", lines(&pairs));
    let table = corpus("p", "embedding_training_data", "train = [\"p.jsonl\"]");
    place.write(
        "plan.toml",
        format!("name = \"it\"\n{table}{tail}score_max = 0.0\n"),
    );
    place.shards("data", &["--quiet"]).expect(0, &[]);
    let run = place.negatives("data", &[]);
    run.expect(
        1,
        &[
            "not one negative was found",
            "refused_above_score_max",
            "too strict",
        ],
    );
    assert!(!place.path("data/negatives").exists());
}
