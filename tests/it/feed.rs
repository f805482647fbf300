//! The feed of a training from end to end: `juzi feed`, and the proof of what a run has seen.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::commands::small;
use crate::support::{Place, Run};
use crate::vectors::{UNGUARDED, Vectors, counted, has_letter};

/// Shards with words and synonyms of these words in `data`, a tokenizer of their characters, and a
/// recipe; `lines` are more lines of it.
fn prepare(place: &Place, lines: &str) -> u64 {
    let text = small(place, "words = true");
    let shards = place.make(&text);
    let words = counted(&shards).into_keys().filter(|word| has_letter(word));
    place.write("v.txt", Vectors::clustered(words.collect(), 12).text());
    let lines_of_stage = "[synonyms]\nvectors = \"v.txt\"\ncount_min = 1";
    place.make_synonyms("data", &format!("{text}{lines_of_stage}\n{UNGUARDED}"), &[]);
    place.write("model/tokenizer.json", tokenizer(&shards.texts()));
    recipe(place, lines);
    shards.manifest.kinds["text"]
}

fn recipe(place: &Place, lines: &str) {
    place.write(
        "recipe.toml",
        format!("{lines}\n[tokenizer]\npath = \"model\"\n"),
    );
}

/// A tokenizer as BERT has it, with a token for each Han character of some texts.
pub fn tokenizer(texts: &[String]) -> String {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from);
    let letters: BTreeSet<char> = texts.iter().flat_map(|text| text.chars()).collect();
    let letters = letters.into_iter().filter(|&letter| letter >= '一');
    let tokens = special.into_iter().chain(letters.map(String::from));
    let vocabulary: serde_json::Map<String, Value> = tokens
        .zip(0..)
        .map(|(token, id): (_, u32)| (token, id.into()))
        .collect();
    let added = vocabulary.iter().take(5).map(|(token, id)| {
        json!({
            "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    });
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    })
    .to_string()
}

fn feed(place: &Place, flags: &[&str]) -> Run {
    place.juzi(&[&["feed", "recipe.toml", "--data", "data/shards"], flags].concat())
}

/// The figures of a feed.
fn figures(place: &Place, flags: &[&str]) -> Value {
    let run = feed(place, &[&["--json"], flags].concat()).expect(0, &[]);
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn the_feed_says_what_it_delivers() {
    let place = Place::new("feed");
    let records = prepare(&place, "[data]\nsize = 4");
    let run = feed(&place, &["--steps", "20"]).expect(
        0,
        &[
            &format!("# data/shards: {records} records, {} batches", records / 4),
            "size = 4",
            "[views]",
        ],
    );
    for word in [
        "sequences",
        "tokens",
        "padding",
        "consumer waited",
        "worker 0",
        "verdict",
    ] {
        assert!(run.stdout.contains(word), "no `{word}` in {run:?}");
    }
    let figures = figures(&place, &["--steps", "20"]);
    assert_eq!(
        (&figures["batches"], &figures["records"]),
        (&json!(20), &json!(80))
    );
    assert_eq!(figures["sequences"], 80 * 9);
    assert!(figures["tokens"].as_u64() < figures["slots"].as_u64());
    assert_eq!(figures["verdict"], "data-bound");
    let slow = self::figures(&place, &["--steps", "20", "--consumer-ms", "30"]);
    assert_eq!(slow["batches"], 20);
    assert!(slow["seconds"].as_f64() > Some(0.6), "{slow}");
    let timed = self::figures(&place, &["--seconds", "0.3"]);
    assert!(timed["seconds"].as_f64() > Some(0.2), "{timed}");
}

#[test]
fn threads_do_not_change_what_is_fed() {
    let place = Place::new("feed-threads");
    prepare(&place, "[data]\nsize = 3");
    let proof = |flags: &[&str]| {
        let figures = figures(&place, &[&["--steps", "100"], flags].concat());
        (figures["proof"].clone(), figures["tokens"].clone())
    };
    let one = proof(&["--workers", "1"]);
    assert_eq!(proof(&["--workers", "5", "--depth", "1"]), one);
    assert_eq!(proof(&["--workers", "2", "--depth", "30"]), one);
    assert_ne!(proof(&["--from", "1"]), one);
    recipe(&place, "seed = 2\n[data]\nsize = 3");
    assert_ne!(proof(&[]), one);
}

#[test]
fn a_run_that_was_stopped_goes_on_and_is_proved() {
    let place = Place::new("feed-proof");
    let records = prepare(&place, "[data]\nsize = 5");
    let whole = figures(&place, &["--steps", "90", "--record", "whole"]);
    feed(&place, &["--steps", "37", "--record", "run"]).expect(0, &[]);
    feed(&place, &["--steps", "37", "--record", "run"])
        .expect(1, &["run: ", "go on with --from 37"]);
    let rest = figures(
        &place,
        &["--from", "37", "--steps", "53", "--record", "run"],
    );
    assert_eq!(rest["proof"], whole["proof"]);
    let verify = |flags: &[&str]| place.juzi(&[&["train", "--verify-data"], flags].concat());
    let run = verify(&["run"]).expect(0, &[]);
    assert!(run.stdout.contains("steps 0 to 90: 450 records"), "{run:?}");
    let left = records % 5;
    let words = format!(
        "complete: records seen 0 times {left} (left out {left}), once {}, twice 0",
        records - left
    );
    assert!(run.stdout.contains(&words), "no `{words}` in {run:?}");
    let run = verify(&["run", "--json"]).expect(0, &[]);
    let verified: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(verified["proof"], whole["proof"]);
    // A run that says it has seen other records than its recipe gives.
    let path = place.path("run/data.json");
    let mut seen: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let other =
        serde_json::from_slice::<Value>(&std::fs::read(place.path("whole/data.json")).unwrap());
    seen["marks"][0]["hash"] = other.unwrap()["marks"][0]["hash"].clone();
    std::fs::write(&path, seen.to_string()).unwrap();
    verify(&["run"]).expect(2, &["run: the first step that differs is one of 0 to 36"]);
    // Another dataset under the same name.
    place.make(&format!("seed = 9\n{}", small(&place, "words = true")));
    verify(&["whole"]).expect(2, &["whole: it was made with the dataset "]);
    verify(&["nowhere"]).expect(1, &["nowhere"]);
    place.juzi(&["train"]).expect(1, &["--verify-data"]);
}

#[test]
fn what_cannot_be_fed_is_refused() {
    let place = Place::new("feed-refusals");
    prepare(&place, "");
    let recipes = [
        ("[data]\nsise = 3", "sise"),
        ("[data]\nsize = 1000000", "fill no batch of 1000000"),
        (
            "[data]\nkind = \"pair\"",
            "0 records of kind pair in the split train",
        ),
        (
            "[views]\naugmented = 3",
            "[views] augmented = 3: [augment] makes 4",
        ),
        (
            "[views]\naugmented = 0\ncolumns = [\"anchor\"]",
            "the records have text",
        ),
        ("[data]\nsynonyms = \"none\"", "none"),
    ];
    for (lines, word) in recipes {
        recipe(&place, lines);
        feed(&place, &[]).expect(1, &["juzi-train: ", word]);
    }
    place.write("recipe.toml", "");
    feed(&place, &[]).expect(1, &["[tokenizer] path: no tokenizer is named"]);
    place.write("recipe.toml", "[tokenizer]\npath = \"none\"");
    feed(&place, &[]).expect(1, &["none"]);
    recipe(&place, "");
    place
        .juzi(&["feed", "recipe.toml"])
        .expect(1, &["[data] dataset", "--data DIR"]);
    feed(&place, &["--consumer-ms=-1"]).expect(1, &["--consumer-ms"]);
    let file = place.dataset("data").manifest.files[0].name.clone();
    std::fs::remove_file(place.path("data/shards").join(&file)).unwrap();
    feed(&place, &[]).expect(2, &[&file]);
}
