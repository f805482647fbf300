//! Topics of the corpora's own keys, and of the vectors of an encoder.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::AsArray;
use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::embedding::{self, EmbeddingsBuilder, text_id};
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::manifest::{self, File, Manifest, Table};
use juzi_schemas::shard::{FORMAT, ShardWriter};
use serde_json::Value;

use crate::support::{Dataset, Place};
use crate::topics::{placed, plan, subject_of, topics_of, write_corpora};

#[test]
fn keys_of_the_corpora() {
    let place = Place::new("topics-keys");
    write_corpora(&place, 60);
    let plan_of = |table: &str| {
        plan(
            "shard_bytes = \"6KiB\"",
            &format!("source = \"keys\"\n{table}"),
        )
    };
    let topics = place.make_topics("data", &plan_of("size_min = 5"), &[]);
    let names = |topics: &Dataset| -> BTreeSet<String> {
        let names = topics_of(topics).into_iter();
        names
            .map(|topic| topic["name"].as_str().unwrap().to_string())
            .collect()
    };
    let five = ["保险", "体育", "<script>", "电脑", "(other)"].map(String::from);
    assert_eq!(names(&topics), BTreeSet::from(five));
    for (text, topic, distance) in placed(&topics, &place.dataset("data")) {
        assert_eq!(distance, None);
        if text.contains("银行银行银行") {
            let other = &topics_of(&topics)[topic.unwrap() as usize];
            assert_eq!(
                (&other["name"], &other["count"]),
                (&"(other)".into(), &1.into())
            );
        } else if text.contains("银行银行") {
            assert_eq!(topic, None, "white space is no key");
        }
    }
    let counts = &topics.manifest.counts;
    let pairs = topics.manifest.kinds["pair"];
    assert_eq!(
        counts["records_with_topic"],
        pairs - 1,
        "text of wiki has no key"
    );
    let page = std::fs::read_to_string(topics.dir.join(manifest::PAGE)).unwrap();
    assert!(page.contains("&lt;script&gt;") && page.matches("<script>").count() == 1);
    let topics = place.make_topics("data", &plan_of("size_min = 5\nkeys_by_corpus = true"), &[]);
    assert!(names(&topics).contains("web/电脑"));
    let topics = place.make_topics("data", &plan_of("size_min = 1\ntopics = 2"), &[]);
    assert_eq!(topics_of(&topics).len(), 3, "two keys and the others");
}

/// Writes a dataset of embeddings as an encoder would; gives its directory.
fn embeddings(place: &Place, name: &str, vectors: &[(String, Vec<f32>)]) -> String {
    let data = place.path(name);
    std::fs::create_dir_all(data.join(".store")).unwrap();
    let fingerprint = Fingerprint::of(name.as_bytes());
    let writer = DatasetWriter::open(&data, embedding::STAGE, &fingerprint).unwrap();
    let file = writer.create("part-00000.parquet").unwrap();
    let path = writer.dir().join("part-00000.parquet");
    let mut output = ShardWriter::new(file, Arc::new(embedding::schema()), &path).unwrap();
    for part in vectors.chunks(37) {
        let mut builder = EmbeddingsBuilder::default();
        part.iter()
            .for_each(|(text, vector)| builder.push(text_id(text), vector));
        output.write(&builder.finish().unwrap()).unwrap();
    }
    let (file, rows) = output.finish().unwrap();
    let entry = writer
        .commit(file, Durability::Durable, rows, Value::Null)
        .unwrap();
    let manifest = Manifest {
        format: FORMAT,
        stage: embedding::STAGE.into(),
        fingerprint,
        rows: rows.rows,
        rows_hash: rows.hex(),
        kinds: BTreeMap::new(),
        corpora: Vec::new(),
        dropped: BTreeMap::new(),
        counts: BTreeMap::new(),
        measures: BTreeMap::new(),
        files: vec![File {
            name: entry.name.clone(),
            table: Table::Rows,
            kind: None,
            rows: rows.rows,
            rows_hash: rows.hex(),
            bytes: entry.bytes,
            bytes_hash: entry.bytes_hash,
        }],
        inputs: Vec::new(),
        dictionaries: BTreeMap::new(),
        plan: Value::Null,
    };
    writer.finish(&manifest, &Value::Null).unwrap();
    format!("{name}/embeddings")
}

/// Every text of the shards, once.
fn all_texts(shards: &Dataset) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for batch in shards.batches(Table::Rows) {
        for name in ["text", "anchor", "positive"] {
            if let Some(column) = batch.column_by_name(name) {
                let column = column.as_string::<i32>().iter();
                texts.extend(column.map(|text| text.unwrap().to_string()));
            }
        }
    }
    texts
}

#[test]
fn embeddings_of_an_encoder() {
    let place = Place::new("topics-embeddings");
    write_corpora(&place, 60);
    place.write(
        "plan.toml",
        plan("shard_bytes = \"6KiB\"", "source = \"keys\""),
    );
    place.shards("data", &[]).expect(0, &[]);
    let shards = place.dataset("data");
    let texts = all_texts(&shards);
    let vector = |text: &String| {
        let mut vector = vec![0.1; 9];
        vector[subject_of(text)? + 2] = 3.0;
        (!text.contains("银行银行")).then(|| (text.clone(), vector))
    };
    let mut vectors: Vec<(String, Vec<f32>)> = texts.iter().filter_map(vector).collect();
    vectors.push(("nowhere".into(), vec![0.0; 9]));
    let dir = embeddings(&place, "encoder", &vectors);
    let table = format!("source = \"embeddings\"\nembeddings = \"{dir}\"\ntopics = 4");
    let topics = place.make_topics("data", &plan("shard_bytes = \"6KiB\"", &table), &[]);
    let mut of = BTreeMap::new();
    for (text, topic, distance) in placed(&topics, &shards) {
        match topic {
            None => assert!(text.contains("银行银行"), "{text}"),
            Some(topic) => {
                of.entry(topic)
                    .or_insert_with(BTreeSet::new)
                    .insert(subject_of(&text));
                assert!(distance.unwrap() < 1e-4);
            }
        }
    }
    assert!(
        of.len() == 4 && of.values().all(|subjects| subjects.len() == 1),
        "{of:?}"
    );
    let counts = &topics.manifest.counts;
    assert_eq!(counts["texts_with_vector"], vectors.len() as u64 - 1);
    assert_eq!(counts["texts_without_direction"], 1);
    assert_eq!(counts["records_without_topic"], 2);
    // Texts that all point the same way are split by chance, and still fit.
    let same: Vec<_> = texts
        .iter()
        .map(|text| (text.clone(), vec![1.0, 2.0]))
        .collect();
    let dir = embeddings(&place, "same", &same);
    let table =
        format!("source = \"embeddings\"\nembeddings = \"{dir}\"\nsize_max = 50\nsize_min = 5");
    let topics = place.make_topics("data", &plan("shard_bytes = \"6KiB\"", &table), &[]);
    let sizes = topics_of(&topics);
    assert!(
        sizes
            .iter()
            .all(|topic| topic["count"].as_u64().unwrap() <= 50),
        "{sizes:?}"
    );
    assert!(sizes.len() > 4);
}
