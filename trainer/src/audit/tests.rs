//! Audits of a small dataset on disk, made by the real writers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::manifest::{File, Manifest, Table, combined};
use juzi_schemas::record::Kind;
use juzi_schemas::shard::{FORMAT, ShardWriter};

use super::walk;
use crate::augment::fixtures::synonyms;
use crate::augment::{Augmenter, Name, Options, StopWords};
use crate::rows::Shards;
use crate::rows::tests::batch;

/// A directory that is gone when the test ends.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let name = format!("juzi-trainer-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Place(dir)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes a dataset with one file for each batch.
fn dataset(data: &Path, stage: &str, batches: &[(Kind, arrow::array::RecordBatch)]) -> PathBuf {
    let fingerprint = Fingerprint::of(stage.as_bytes());
    let writer = DatasetWriter::open(data, stage, &fingerprint).unwrap();
    let mut files = Vec::new();
    let mut hashes = Vec::new();
    for (number, (kind, batch)) in batches.iter().enumerate() {
        let name = format!("part-{number:05}.parquet");
        let file = writer.create(&name).unwrap();
        let mut shard = ShardWriter::new(file, batch.schema(), Path::new(&name)).unwrap();
        shard.write(batch).unwrap();
        let (file, rows) = shard.finish().unwrap();
        let note = serde_json::Value::Null;
        let entry = writer
            .commit(file, Durability::Scratch, rows, note)
            .unwrap();
        hashes.push(rows);
        files.push(File {
            name,
            table: Table::Rows,
            kind: Some(*kind),
            rows: rows.rows,
            rows_hash: rows.hex(),
            bytes: entry.bytes,
            bytes_hash: entry.bytes_hash,
        });
    }
    let whole = combined(hashes);
    let manifest = Manifest {
        format: FORMAT,
        stage: stage.into(),
        fingerprint,
        rows: whole.rows,
        rows_hash: whole.hex(),
        kinds: Default::default(),
        corpora: vec!["a".into()],
        dropped: Default::default(),
        counts: Default::default(),
        measures: Default::default(),
        files,
        inputs: Vec::new(),
        dictionaries: Default::default(),
        plan: serde_json::Value::Null,
    };
    writer.finish(&manifest, &serde_json::Value::Null).unwrap()
}

const TEXT: (&[&str], &[u16]) = (&["今天天气很好。"], &[2, 2, 1, 1, 1]);

#[test]
fn counts_are_the_same_for_all_numbers_of_threads() {
    let place = Place::new("threads");
    let pair: (&[&str], &[u16]) = (&["天气", "你好吗"], &[2, 1, 1, 1]);
    let texts = batch(Kind::Text, true, &vec![TEXT; 9000]);
    let pairs = batch(Kind::Pair, true, &vec![pair; 500]);
    let batches = [
        (Kind::Text, texts.clone()),
        (Kind::Text, texts),
        (Kind::Pair, pairs),
    ];
    let dir = dataset(&place.0, "shards", &batches);
    let shards = Shards::open(&dir).unwrap();
    assert_eq!((shards.files.len(), shards.rows), (3, 18_500));
    let table = synonyms(&[("天气", &["气候"]), ("很", &["非常"])]);
    let stop = StopWords::parse("很\n。");
    let augmenter = Augmenter::new(&Options::default(), table.clone(), &stop, 1);
    let audit = |threads, epoch| {
        let report = walk(&shards, &augmenter, (&table, &stop), epoch, threads).unwrap();
        report.counts
    };
    let counts = audit(1, 0);
    for threads in [2, 8] {
        assert_eq!(audit(threads, 0), counts);
    }
    assert_ne!(audit(1, 1), counts);
    assert_eq!(
        (counts.rows, counts.texts, counts.views),
        (18_500, 19_000, 76_000)
    );
    assert_eq!(counts.distances.iter().sum::<u64>(), 76_000);
    assert_eq!(counts.distances[0], counts.unchanged);
    assert_eq!(counts.words, (18_000 * 5 + 500 * 4, 18_000 * 2 + 500));
    assert_eq!(counts.content_words, (18_000 * 3 + 500 * 4, 18_500));
    assert_eq!(counts.texts_with_synonyms, 18_500);
    let views: u64 = counts.operators.values().map(|count| count.0).sum();
    assert_eq!((views, counts.operators.len()), (76_000, 4));
    // Replacement fails only for the text without synonyms.
    let (replaced, same) = counts.operators[&Name::SynonymReplacement];
    assert!(same > 0 && same < replaced / 20);
}

#[test]
fn reports_as_text_and_json() {
    let place = Place::new("report");
    let dir = dataset(
        &place.0,
        "shards",
        &[(Kind::Text, batch(Kind::Text, true, &[TEXT; 100]))],
    );
    let table = synonyms(&[("天气", &["气候"])]);
    let stop = StopWords::default();
    let augmenter = Augmenter::new(&Options::default(), table.clone(), &stop, 1);
    let shards = Shards::open(&dir).unwrap();
    let report = walk(&shards, &augmenter, (&table, &stop), 0, 2).unwrap();
    let text = report.to_string();
    for word in [
        "100 rows, 100 texts, 400 views",
        "synonym_replacement",
        "views/s",
        "64+",
    ] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    let json = report.to_json();
    assert_eq!(json["synonym_coverage"]["words"], 0.2);
    assert_eq!(json["synonym_coverage"]["texts"], 1.0);
    assert_eq!(json["edit_distance"].as_array().unwrap().len(), 65);
    let shares = json["operators"].as_object().unwrap().values();
    let sum: f64 = shares.map(|value| value["share"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9);
}

#[test]
fn a_damaged_row_stops_all_threads() {
    let place = Place::new("damaged");
    let mut rows = vec![TEXT; 30_000];
    rows[20_123].1 = &[2, 2, 1, 1];
    let table = Arc::default();
    let augmenter = Augmenter::new(
        &Options::default(),
        Arc::clone(&table),
        &StopWords::default(),
        1,
    );
    let dir = dataset(
        &place.0,
        "shards",
        &[(Kind::Text, batch(Kind::Text, true, &rows))],
    );
    let shards = Shards::open(&dir).unwrap();
    for threads in [1, 4] {
        let error = walk(
            &shards,
            &augmenter,
            (&table, &StopWords::default()),
            0,
            threads,
        );
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("part-00000.parquet: row 20123: "),
            "{message}"
        );
    }
}

#[test]
fn other_datasets_are_refused() {
    let place = Place::new("refused");
    let without = batch(Kind::Text, false, &[(&["今天"], &[])]);
    let dir = dataset(&place.0, "shards", &[(Kind::Text, without)]);
    let error = Shards::open(&dir).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("set [shards] words = true and run juzi shards")
    );
    assert_eq!(error.exit_code(), 1);
    let dir = dataset(&place.0, "synonyms", &[]);
    let error = Shards::open(&dir).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it holds `synonyms`, not `shards`"),
        "{error}"
    );
    assert_eq!(
        Shards::open(&place.0.join("nowhere"))
            .unwrap_err()
            .exit_code(),
        1
    );
}
