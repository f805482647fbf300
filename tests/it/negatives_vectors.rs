//! The stage `negatives` with vectors: against comparing everything, and merged with words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::embedding::{EmbeddingsBuilder, STAGE, schema, text_id};
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::manifest::{File, Manifest, Table};
use juzi_schemas::random::Draws;
use juzi_schemas::shard::{FORMAT, ShardWriter};

use crate::negatives::{Pair, check_right, key, mined, pairs, plan, right};
use crate::support::Place;

const DIMENSION: usize = 24;

/// A made-up vector: texts that begin alike lie near each other. Its length is not 1.
fn vector(text: &str) -> Vec<f32> {
    let start: String = text.chars().take(6).collect();
    let part = |text: &str| {
        let mut draws = Draws::new(3, 0, 0, text_id(text), 0);
        (0..DIMENSION)
            .map(move |_| draws.unit() as f32 - 0.5)
            .collect::<Vec<f32>>()
    };
    let (first, rest) = (part(&start), part(text));
    first.iter().zip(rest).map(|(a, b)| 2.0 * a + b).collect()
}

/// Writes the vectors of all texts of pairs as a dataset; `skip` leaves one out.
fn write_vectors(place: &Place, pairs: &[Pair], skip: Option<&str>) {
    let texts = pairs
        .iter()
        .flat_map(|pair| [&pair.anchor, &pair.positive].into_iter().chain(&pair.own));
    let texts: BTreeSet<&String> = texts.filter(|text| Some(text.as_str()) != skip).collect();
    let hash = Fingerprint::of(format!("{skip:?}").as_bytes());
    let data = place.path("vectors");
    std::fs::create_dir_all(data.join(".store")).unwrap();
    let writer = DatasetWriter::open(&data, STAGE, &hash).unwrap();
    let mut builder = EmbeddingsBuilder::default();
    texts
        .iter()
        .for_each(|text| builder.push(text_id(text), &vector(text)));
    let output = writer.create("part-00000.parquet").unwrap();
    let mut output = ShardWriter::new(output, Arc::new(schema()), &data).unwrap();
    output.write(&builder.finish().unwrap()).unwrap();
    let (file, rows) = output.finish().unwrap();
    let entry = writer
        .commit(file, Durability::Durable, rows, serde_json::Value::Null)
        .unwrap();
    let manifest = Manifest {
        format: FORMAT,
        stage: STAGE.into(),
        fingerprint: hash,
        rows: entry.rows.rows,
        rows_hash: entry.rows.hex(),
        kinds: BTreeMap::new(),
        corpora: Vec::new(),
        dropped: BTreeMap::new(),
        counts: BTreeMap::new(),
        measures: BTreeMap::new(),
        files: vec![File {
            name: entry.name,
            table: Table::Rows,
            kind: None,
            rows: entry.rows.rows,
            rows_hash: entry.rows.hex(),
            bytes: entry.bytes,
            bytes_hash: entry.bytes_hash,
        }],
        inputs: Vec::new(),
        dictionaries: BTreeMap::new(),
        plan: serde_json::Value::Null,
    };
    writer.finish(&manifest, &serde_json::Value::Null).unwrap();
}

fn prepared(name: &str) -> (Place, Vec<Pair>) {
    let place = Place::new(name);
    let shards = place.make(&plan(&place, true, ""));
    let pairs = pairs(&shards);
    write_vectors(&place, &pairs, None);
    (place, pairs)
}

const DENSE: &str = "miner = \"embeddings\"\nembeddings = \"vectors/embeddings\"\n";

fn cosine(a: &str, b: &str) -> f64 {
    let (a, b) = (vector(a), vector(b));
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    };
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

#[test]
fn vectors_find_what_comparing_all_finds() {
    let (place, pairs) = prepared("dense-oracle");
    let lines = format!("{DENSE}k = 1000\ncount = 6\nnear_duplicate = 0.0\nmargin = 0.05");
    let dataset = place.mine("data", &plan(&place, true, &lines), &[]);
    assert_eq!(dataset.manifest.measures["recall"], 1.0);
    let (rows, _) = mined(&dataset);
    check_right(&pairs, &rows);
    let right = right(&pairs);
    let train: Vec<&Pair> = pairs.iter().filter(|pair| pair.train).collect();
    // Of texts that count as one, the first has the vector.
    let (mut documents, mut anchors) = (BTreeMap::new(), BTreeMap::new());
    for pair in &train {
        anchors.entry(key(&pair.anchor)).or_insert(&pair.anchor);
        for text in std::iter::once(&pair.positive).chain(&pair.own) {
            documents.entry(key(text)).or_insert(text);
        }
    }
    let (mut negative, mut full) = (0, 0);
    for pair in &train {
        let anchor = anchors[&key(&pair.anchor)];
        let known = &right[&key(anchor)];
        let scores: Vec<f64> = known
            .iter()
            .filter_map(|k| documents.get(k))
            .map(|text| cosine(anchor, text))
            .collect();
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        negative += usize::from(least < 0.0);
        let bound = (least - least.abs() * 0.05).min(least - 0.05);
        let allowed = documents.iter().filter(|(name, _)| {
            !known.contains(*name)
                && **name != key(anchor)
                && pair.own.iter().all(|own| key(own) != **name)
        });
        let mut expected: Vec<f64> = allowed
            .map(|(_, text)| cosine(anchor, text))
            .filter(|score| *score < bound)
            .collect();
        expected.sort_by(|a, b| b.total_cmp(a));
        full += usize::from(expected.len() > 6);
        expected.truncate(6);
        let found = &rows[&pair.id].negatives;
        assert_eq!(found.len(), expected.len(), "{anchor}");
        for ((text, score), wanted) in found.iter().zip(expected) {
            assert!((f64::from(*score) - wanted).abs() < 1e-4);
            assert!((cosine(anchor, documents[&key(text)]) - wanted).abs() < 1e-4);
        }
    }
    assert!(negative > 5 && full > 50, "{negative} {full}");
}

#[test]
fn every_index_gives_the_same_rows() {
    let (place, pairs) = prepared("dense-index");
    let with = |lines: &str| plan(&place, true, &format!("{DENSE}k = 30\n{lines}"));
    let exact = place.mine("data", &with("index = \"exact\""), &["--threads", "1"]);
    let (rows, _) = mined(&exact);
    check_right(&pairs, &rows);
    let lists = "index = \"ivf\"\nlists = 9\nrecall_min = 1.0";
    let flat = "index = \"faiss\"\nfactory = \"Flat\"";
    for lines in [lists, flat, "index = \"auto\""] {
        let other = place.mine("data", &with(lines), &["--threads", "3"]);
        assert_eq!(
            other.manifest.rows_hash, exact.manifest.rows_hash,
            "{lines}"
        );
        assert_eq!(other.manifest.measures["recall"], 1.0);
    }
    place.write(
        "plan.toml",
        with("index = \"ivf\"\nlists = 40\nprobes = 1\nrecall_min = 1.0"),
    );
    let run = place.negatives("data", &[]);
    run.expect(
        1,
        &["[negatives] recall_min is 1", "give more probes (now 1)"],
    );
}

#[test]
fn both_lists_are_merged_by_rank() {
    let (place, pairs) = prepared("both");
    let lines = |miner: &str| {
        let embeddings = match miner {
            "bm25" => "",
            _ => "embeddings = \"vectors/embeddings\"\n",
        };
        format!(
            "miner = \"{miner}\"\n{embeddings}k = 1000\ncount = 1000\nnear_duplicate = 0.0\npositive_share = 0.8"
        )
    };
    let [words, vectors, both] = ["bm25", "embeddings", "both"].map(|miner| {
        let dataset = place.mine("data", &plan(&place, true, &lines(miner)), &[]);
        mined(&dataset).0
    });
    check_right(&pairs, &both);
    let mut in_two = 0;
    for (id, row) in &both {
        let texts = |row: &BTreeMap<u128, crate::negatives::Mined>| -> BTreeSet<Vec<u32>> {
            row[id]
                .negatives
                .iter()
                .map(|(text, _)| key(text))
                .collect()
        };
        let (one, other) = (texts(&words), texts(&vectors));
        let merged: BTreeSet<Vec<u32>> = row.negatives.iter().map(|(text, _)| key(text)).collect();
        assert_eq!(merged, one.union(&other).cloned().collect());
        in_two += one.intersection(&other).count();
        assert!(
            row.negatives
                .iter()
                .all(|(_, score)| *score > 0.0 && *score <= 2.0 / 61.0)
        );
    }
    assert!(in_two > 100, "{in_two}");
}

#[test]
fn vectors_decide_what_is_consistent() {
    let (place, _) = prepared("dense-consistent");
    let with = |lines: &str| {
        plan(
            &place,
            true,
            &format!("{DENSE}random_fill = true\n[negatives.consistency]\nenabled = true\n{lines}"),
        )
    };
    let whole = place.mine("data", &with("k = 2"), &[]);
    let chunks = place.mine("data", &with("k = 2\nchunk = 40"), &[]);
    let [whole, chunks] = [whole, chunks].map(|dataset| dataset.dropped("inconsistent"));
    assert!(whole > chunks && chunks > 0, "{whole} {chunks}");
}

#[test]
fn missing_vectors_are_refused() {
    let (place, pairs) = prepared("no-vectors");
    let left_out = &pairs.iter().find(|pair| pair.train).unwrap().anchor;
    write_vectors(&place, &pairs, Some(left_out));
    place.write("plan.toml", plan(&place, true, DENSE));
    let start: String = left_out.chars().take(10).collect();
    let run = place.negatives("data", &[]);
    run.expect(1, &["[negatives] embeddings: ", "have no vector", &start]);
    place.write(
        "plan.toml",
        plan(
            &place,
            true,
            &DENSE.replace("vectors/embeddings", "data/shards"),
        ),
    );
    let run = place.negatives("data", &[]);
    run.expect(1, &["holds `shards`, expected `embeddings`"]);
    place.write(
        "plan.toml",
        plan(&place, true, &DENSE.replace("vectors/embeddings", "none")),
    );
    let run = place.negatives("data", &[]);
    run.expect(1, &["[negatives] embeddings:", "no such directory"]);
}
