//! What the stage `topics` refuses, each with the key, and what it does without a key.

use crate::support::Place;
use crate::topics::{WORDS, plan, write_corpora};

#[test]
fn wrong_plans_name_the_key() {
    let place = Place::new("topics-refusals");
    write_corpora(&place, 20);
    let good = "vectors = \"v.txt\"\n";
    let cases: [(&str, String, &[&str]); 16] = [
        (
            WORDS,
            String::new(),
            &["[topics] vectors", "[synonyms] vectors"],
        ),
        (
            WORDS,
            "vectors = \"none.txt\"".into(),
            &["[topics] vectors: no file", "none.txt"],
        ),
        (
            "",
            good.into(),
            &["[topics] source = \"vectors\"", "[shards] words = true"],
        ),
        (
            WORDS,
            "source = \"words\"".into(),
            &["unknown variant `words`", "embeddings"],
        ),
        (WORDS, good.to_string() + "topics = 1", &["topics: from 2"]),
        (
            WORDS,
            good.to_string() + "size_min = 5\nsize_max = 9",
            &["size_max: at least", "size_min"],
        ),
        (
            WORDS,
            good.to_string() + "sample = 5\ntopics = 6",
            &["sample: at least"],
        ),
        (WORDS, good.to_string() + "sif_a = 0.0", &["sif_a: above 0"]),
        (
            WORDS,
            good.to_string() + "rounds = 0",
            &["rounds: from 1 to 1000"],
        ),
        (
            WORDS,
            good.to_string() + "kmeans = \"other\"",
            &["unknown variant `other`", "own", "faiss"],
        ),
        (
            WORDS,
            good.to_string() + "size = 4",
            &["unknown field `size`", "size_max"],
        ),
        (
            WORDS,
            good.to_string() + "keys_by_corpus = true",
            &["keys_by_corpus: only with source"],
        ),
        (
            WORDS,
            "source = \"keys\"\nvectors = \"v.txt\"".into(),
            &["vectors: only with source"],
        ),
        (
            WORDS,
            "source = \"keys\"\nsize_max = 99".into(),
            &["size_max: not with source"],
        ),
        (
            WORDS,
            "source = \"embeddings\"".into(),
            &["embeddings = \"DIR\""],
        ),
        (
            WORDS,
            "source = \"embeddings\"\nembeddings = \"gone\"".into(),
            &["[topics] embeddings", "gone"],
        ),
    ];
    for (shards, table, words) in cases {
        place.write("plan.toml", plan(shards, &table));
        place.topics("data", &[]).expect(1, words);
    }
    place.write("plan.toml", plan(WORDS, good));
    let first = [
        "[topics] needs the shards of this plan",
        "juzi shards plan.toml",
    ];
    place.topics("data", &[]).expect(1, &first);
    place.shards("data", &[]).expect(0, &[]);
    let table = "source = \"embeddings\"\nembeddings = \"data/shards\"";
    place.write("plan.toml", plan(WORDS, table));
    place
        .topics("data", &[])
        .expect(1, &["[topics] embeddings", "holds shards"]);
    place.write("other.txt", "word 1 2\nmore 3 4\n");
    place.write("plan.toml", plan(WORDS, "vectors = \"other.txt\""));
    let none = ["[topics] vectors: not one of", "same script"];
    place.topics("data", &[]).expect(1, &none);
}

#[test]
fn vectors_of_the_synonyms_are_the_default() {
    let place = Place::new("topics-default");
    write_corpora(&place, 20);
    let own = place.make_topics("own", &plan(WORDS, "vectors = \"v.txt\""), &[]);
    let text = plan(WORDS, "") + "[synonyms]\nvectors = \"v.txt\"\n";
    let other = place.make_topics("other", &text, &[]);
    assert_eq!(own.bytes(), other.bytes());
}
