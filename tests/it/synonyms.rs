//! Synonyms from word vectors: the same from every format, the nearest words and nothing else.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::commands::small;
use crate::fixtures::{deflated, gz, zst};
use crate::support::Place;
use crate::vectors::{Vectors, alone, made_up, rows};

#[test]
fn every_format_gives_the_same_rows() {
    let place = Place::new("formats");
    let vectors = Vectors::usual();
    let text = vectors.text();
    let members: [(&str, &[u8]); 3] = [
        ("about.md", b"# About"),
        ("in/", b""),
        ("in/v.txt", text.as_bytes()),
    ];
    let tabs = format!("\u{feff}{}", vectors.lines().replace(' ', "\t"));
    place.write("lines.txt", vectors.lines());
    place.write("tabs.txt", tabs.replace('\n', "\r\n"));
    place.write("v.txt.gz", gz(text.as_bytes()));
    place.write("v.vec.zst", zst(text.as_bytes()));
    place.write("v.zip", deflated(&members));
    place.write("v.bin", vectors.binary());
    place.write("v.npy", vectors.npy());
    place.write("words.txt", vectors.list());
    place.write("v.txt", &text);
    let first = place.make_synonyms("text", &alone("v.txt", ""), &[]);
    assert!(first.manifest.rows > 3_000);
    let list = "vector_words = \"words.txt\"";
    for (file, lines) in [
        ("lines.txt", ""),
        ("tabs.txt", ""),
        ("v.txt.gz", "format = \"text\""),
        ("v.vec.zst", ""),
        ("v.zip::*.txt", ""),
        ("v.bin", ""),
        ("v.bin", "format = \"binary\""),
        ("v.npy", list),
        ("v.npy", &format!("format = \"npy\"\n{list}")),
    ] {
        let other = place.make_synonyms("other", &alone(file, lines), &[]);
        assert_eq!(
            other.manifest.rows_hash, first.manifest.rows_hash,
            "{file} {lines}"
        );
        assert_eq!(other.manifest.counts, first.manifest.counts, "{file}");
        assert_ne!(other.manifest.fingerprint, first.manifest.fingerprint);
    }
}

#[test]
fn threads_do_not_show() {
    let place = Place::new("synonym-threads");
    place.write("v.txt", Vectors::clustered(made_up(3_000), 12).text());
    for (name, lines) in [
        ("exact", "index = \"exact\""),
        ("ivf", "index = \"ivf\"\nlists = 40"),
        ("half", "precision = \"f16\""),
    ] {
        let plan = alone("v.txt", lines);
        let one = place.make_synonyms(&format!("{name}1"), &plan, &["--threads", "1"]);
        let more = place.make_synonyms(&format!("{name}8"), &plan, &["--threads", "8"]);
        assert_eq!(more.bytes(), one.bytes(), "{name}");
        assert!(one.manifest.measures["recall"] >= 0.95, "{name}");
        let again = place
            .synonyms(&format!("{name}1"), &["--quiet"])
            .expect(0, &[]);
        assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", ""));
    }
    let run = place.synonyms("half1", &[]).expect(0, &[]);
    assert!(run.stdout.contains("fresh, nothing to do"), "{run:?}");
}

/// The nearest words by comparing all, equal ones by their order in the file.
fn nearest(vectors: &Vectors, word: usize, k: usize, floor: f64) -> Vec<usize> {
    let others = (0..vectors.words.len()).filter(|&other| other != word);
    let mut near: Vec<(f64, usize)> = others
        .map(|other| (vectors.cosine(word, other), other))
        .filter(|(cosine, _)| *cosine >= floor)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    near.truncate(k);
    near.into_iter().map(|(_, other)| other).collect()
}

#[test]
fn synonyms_are_the_nearest_words() {
    let place = Place::new("nearest");
    let vectors = Vectors::usual();
    place.write("v.txt", vectors.text());
    let plan = alone("v.txt", "k = 6\ncosine_min = 0.9");
    let dataset = place.make_synonyms("data", &plan, &[]);
    let mut found: BTreeMap<String, _> = rows(&dataset).into_iter().collect();
    let (mut full, mut none, mut ties) = (0, 0, 0);
    for (at, word) in vectors.words.iter().enumerate() {
        let expected = nearest(&vectors, at, 6, 0.9);
        let synonyms = found.remove(word).unwrap_or_default();
        let texts: Vec<&String> = synonyms.iter().map(|(text, ..)| text).collect();
        let names: Vec<&String> = expected.iter().map(|&at| &vectors.words[at]).collect();
        assert_eq!(texts, names, "{word}");
        for (&other, (_, cosine, source)) in expected.iter().zip(&synonyms) {
            let wanted = vectors.cosine(at, other);
            assert!(
                (f64::from(cosine.unwrap()) - wanted).abs() < 1e-5,
                "{word} {cosine:?} {wanted}"
            );
            assert_eq!(*source, "vectors");
        }
        full += usize::from(synonyms.len() == 6);
        none += usize::from(synonyms.is_empty());
        ties += synonyms
            .windows(2)
            .filter(|pair| pair[0].1 == pair[1].1)
            .count();
    }
    assert!(found.is_empty(), "{found:?}");
    assert!(
        full > 20 && none > 20 && ties > 50,
        "{full} full, {none} empty, {ties} ties"
    );
    let order: Vec<String> = rows(&dataset).into_iter().map(|(word, _)| word).collect();
    let kept = vectors.words.iter().filter(|word| order.contains(word));
    assert!(order.iter().eq(kept), "words come in the order of the file");
    assert_eq!(dataset.manifest.measures["recall"], 1.0);
    assert_eq!(
        dataset.manifest.counts["words_without_synonyms"],
        none as u64
    );
}

#[test]
fn faiss_finds_what_the_exact_search_finds() {
    let place = Place::new("faiss");
    place.write("v.txt", Vectors::usual().text());
    let exact = place.make_synonyms("exact", &alone("v.txt", "index = \"exact\""), &[]);
    let factory = "index = \"faiss\"\nfactory = \"Flat\"";
    let flat = place.make_synonyms("flat", &alone("v.txt", factory), &[]);
    assert_eq!(flat.manifest.measures["recall"], 1.0);
    assert_eq!(flat.manifest.rows_hash, exact.manifest.rows_hash);
    let lists = place.make_synonyms(
        "lists",
        &alone("v.txt", "index = \"faiss\"\nlists = 20"),
        &[],
    );
    assert!(lists.manifest.measures["recall"] >= 0.95);
}

#[test]
fn one_word_can_be_looked_at() {
    let place = Place::new("word");
    let vectors = Vectors::usual();
    place.write("v.txt", vectors.text());
    let dataset = place.make_synonyms("data", &alone("v.txt", ""), &[]);
    let show = |flags: &[&str]| place.juzi(&[&["show", "data/synonyms"], flags].concat());
    let (word, synonyms) = &rows(&dataset)[17];
    let run = show(&["--word", word, "--format", "json"]).expect(0, &[]);
    let shown: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(shown.len(), synonyms.len());
    for (rank, (row, (text, cosine, source))) in (1..).zip(shown.iter().zip(synonyms)) {
        assert_eq!(
            (&row["word"], &row["rank"]),
            (&Value::from(word.as_str()), &Value::from(rank))
        );
        assert_eq!(row["synonym"], text.as_str());
        assert_eq!(row["source"], *source);
        assert_eq!(
            row["cosine"].as_f64().map(|cosine| cosine as f32),
            Some(cosine.unwrap())
        );
    }
    let run = show(&["--word", word]).expect(0, &[]);
    assert!(run.stdout.starts_with("word") && run.stdout.contains(&synonyms[0].0));
    let run = show(&["--word", "没有的词", "--format", "json"]).expect(0, &[]);
    assert_eq!(run.stdout, "");
    show(&["--word", word, "--sql", "SELECT 1"]).expect(1, &["cannot be used with"]);
    let run = place.juzi(&["verify", "data/synonyms"]).expect(0, &[]);
    assert!(run.stdout.contains(&dataset.manifest.rows_hash), "{run:?}");
    place.make(&small(&place, ""));
    place
        .juzi(&["show", "data/shards", "--word", word])
        .expect(1, &["--word is for synonyms", "holds shards"]);
    place
        .juzi(&["show", "data/shards", "--format", "luse"])
        .expect(1, &["holds `shards`, not `synonyms`"]);
}
