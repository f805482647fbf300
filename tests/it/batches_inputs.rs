//! Batches with what other stages know: topics and mined negatives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use juzi_pipeline::plan::Plan;
use juzi_pipeline::stages::{Identity, RunOptions, negatives, topics};
use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::journal::Entry;
use juzi_schemas::manifest::{File, Manifest, Table};
use juzi_schemas::negative::{Negative, NegativesBuilder};
use juzi_schemas::record::Kind;
use juzi_schemas::shard::{FORMAT, ShardWriter, read};
use juzi_schemas::topic::{self, TopicsBuilder};
use serde_json::{Value, json};

use crate::batches_read::{Batches, batches, corpora, id};
use crate::fixtures::{corpus, lines, prose};
use crate::support::Place;

/// A dataset that the test writes in the place of a stage.
struct Written {
    writer: DatasetWriter,
    files: Vec<File>,
}

impl Written {
    fn open(
        place: &Place,
        data: &str,
        stage: &str,
        identity: fn(&Plan, &RunOptions) -> juzi_pipeline::Result<Identity>,
    ) -> (Written, Identity) {
        let plan = Plan::read(&place.path("plan.toml")).unwrap();
        let options = RunOptions {
            data: place.path(data),
            threads: 1,
            memory_bytes: 1 << 30,
            quiet: true,
            resume: String::new(),
        };
        let identity = identity(&plan, &options).unwrap();
        let writer = DatasetWriter::open(&options.data, stage, &identity.fingerprint).unwrap();
        let files = Vec::new();
        (Written { writer, files }, identity)
    }

    fn write(&mut self, name: &str, table: Table, batches: &[arrow::record_batch::RecordBatch]) {
        let place = self.writer.dir().join(name);
        let file = self.writer.create(name).unwrap();
        let mut output = ShardWriter::new(file, batches[0].schema(), &place).unwrap();
        batches
            .iter()
            .for_each(|batch| output.write(batch).unwrap());
        let (file, rows) = output.finish().unwrap();
        let Entry {
            name,
            rows,
            bytes,
            bytes_hash,
            ..
        } = self
            .writer
            .commit(file, Durability::Durable, rows, Value::Null)
            .unwrap();
        let (rows_hash, rows) = (rows.hex(), rows.rows);
        self.files.push(File {
            name,
            table,
            kind: None,
            rows,
            rows_hash,
            bytes,
            bytes_hash,
        });
    }

    fn finish(self, stage: &str, identity: Identity) {
        let manifest = Manifest {
            format: FORMAT,
            stage: stage.into(),
            fingerprint: identity.fingerprint,
            rows: 0,
            rows_hash: String::new(),
            kinds: BTreeMap::new(),
            corpora: Vec::new(),
            dropped: BTreeMap::new(),
            counts: BTreeMap::new(),
            measures: BTreeMap::new(),
            files: self.files,
            inputs: identity.inputs,
            dictionaries: identity.dictionaries,
            plan: identity.plan,
        };
        self.writer.finish(&manifest, &Value::Null).unwrap();
    }
}

fn shard_files(place: &Place, data: &str) -> Vec<(String, Kind, PathBuf)> {
    let shards = place.dataset(data);
    let files = shards.manifest.files_of(Table::Rows);
    files
        .map(|file| {
            (
                file.name.clone(),
                file.kind.unwrap(),
                shards.dir.join(&file.name),
            )
        })
        .collect()
}

fn ids(path: &Path) -> Vec<u128> {
    let batches = read(path).unwrap().map(Result::unwrap);
    batches
        .flat_map(|batch| {
            (0..batch.num_rows())
                .map(move |row| id(&batch, row))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The topic that the tests give a record.
fn topic_of(id: u128) -> Option<u32> {
    (!id.is_multiple_of(11)).then_some((id % 5) as u32)
}

/// Writes topics of all records, and vectors of all words that are one Han character.
fn write_topics(place: &Place, data: &str) {
    let (mut written, identity) = Written::open(place, data, "topics", topics::identity);
    for (name, _, path) in shard_files(place, data) {
        let mut builder = TopicsBuilder::default();
        let mut parts = Vec::new();
        // Row groups with other borders than the shards have.
        for chunk in ids(&path).chunks(7) {
            chunk
                .iter()
                .for_each(|&id| builder.push(id, topic_of(id), None));
            parts.push(builder.finish().unwrap());
        }
        written.write(&name, Table::Rows, &parts);
    }
    let names: Vec<String> = (0..5).map(|at| format!("t{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let middles: Vec<f32> = (0..5)
        .flat_map(|at| [(at as f32).cos(), (at as f32).sin()])
        .collect();
    written.write(
        "middles-00000.parquet",
        Table::Middles,
        &[topic::vectors(&names, &middles).unwrap()],
    );
    let words: BTreeSet<char> = (0..200)
        .flat_map(|at| prose(at, 3).chars().collect::<Vec<_>>())
        .collect();
    let words: Vec<String> = words.into_iter().map(String::from).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let values: Vec<f32> = (0..words.len())
        .flat_map(|at| [(at as f32).cos(), (at as f32).sin()])
        .collect();
    written.write(
        "words-00000.parquet",
        Table::Words,
        &[topic::vectors(&words, &values).unwrap()],
    );
    written.finish("topics", identity);
}

#[test]
fn topics_are_kept_together() {
    let place = Place::new("batches-topics");
    let tables = corpora(&place, "words = true") + "[topics]\nsource = \"keys\"\n";
    let table = "[batches]\nsize = 8\nsampler = { name = \"topic\" }";
    place.write("plan.toml", format!("{tables}{table}"));
    place.shards("data", &["--quiet"]).expect(0, &[]);
    batches(&place, "data", &[]).expect(1, &["[batches] needs the topics", "juzi topics"]);
    write_topics(&place, "data");
    batches(&place, "data", &[]).expect(0, &[]);
    let made = Batches::read(&place, "data");
    let mut pure = 0;
    for batch in made.rows() {
        let topics: BTreeSet<Option<u32>> = batch.iter().map(|row| row.topic).collect();
        let corpora: BTreeSet<&String> = batch.iter().map(|row| &row.corpus).collect();
        assert!(corpora.len() >= 2, "{corpora:?}");
        assert!(batch.iter().all(|row| row.topic == topic_of(row.id)));
        assert!(batch.iter().all(|row| !row.words.is_empty()));
        pure += usize::from(topics.len() == 1);
    }
    assert!(
        pure * 10 >= made.all.len() * 8,
        "{pure} of {}",
        made.all.len()
    );
    let measures = &made.manifest.measures;
    assert!(measures["purity"] > 0.9 && measures["share_of_two_corpora"] == 1.0);
    assert!((-1.0..=1.0).contains(&measures["hardness"]));
    assert!(made.list().iter().all(|one| one["hardness"].is_number()));
    write_plan_and_compare(&place, &tables, &made);
}

/// Random batches of the same records are less pure.
fn write_plan_and_compare(place: &Place, tables: &str, made: &Batches) {
    place.write("plan.toml", format!("{tables}[batches]\nsize = 8"));
    batches(place, "data", &["--threads", "3"]).expect(0, &[]);
    let random = Batches::read(place, "data");
    let purity = |batches: &Batches| batches.manifest.measures["purity"];
    assert!(purity(&random) + 0.2 < purity(made));
}

#[test]
fn mined_negatives_come_after_own_ones() {
    let place = Place::new("batches-negatives");
    let triplets: Vec<Value> = (0..40)
        .map(|at| {
            json!([
                prose(at, 1),
                prose(at + 100, 1),
                prose(at + 200, 1),
                prose(at + 300, 1)
            ])
        })
        .collect();
    let pairs: Vec<Value> = (0..80)
        .map(|at| json!([prose(at + 400, 1), prose(at + 500, 1)]))
        .collect();
    place.write("t.jsonl", lines(&triplets));
    place.write("p.jsonl", lines(&pairs));
    let tables = format!(
        "name = \"it\"\n{}{}[shards]\nwords = true\nunit_bytes = \"4KiB\"\nshard_bytes = \"4KiB\"\n[negatives]\n",
        corpus("p", "embedding_training_data", "train = [\"p.jsonl\"]"),
        corpus("t", "embedding_training_data", "train = [\"t.jsonl\"]"),
    );
    place.write(
        "plan.toml",
        format!("{tables}[batches]\nsize = 5\nnegatives_max = 4\ndrop_last = false\n"),
    );
    place.shards("data", &["--quiet"]).expect(0, &[]);
    let (mut written, identity) = Written::open(&place, "data", "negatives", negatives::identity);
    let mut kept = BTreeSet::new();
    for (name, _, path) in shard_files(&place, "data")
        .iter()
        .filter(|(_, kind, _)| *kind != Kind::Text)
    {
        let mut builder = NegativesBuilder::new(true);
        let mut parts = Vec::new();
        for batch in read(path).unwrap().map(Result::unwrap) {
            let positives = batch.column_by_name("positive").unwrap();
            let positives = arrow::array::AsArray::as_string::<i32>(positives);
            for row in 0..batch.num_rows() {
                let id = id(&batch, row);
                // One in four pairs was dropped; the others get two texts and their own positive.
                if !id.is_multiple_of(4) {
                    let mined = |text, score, words| Negative { text, score, words };
                    let own = positives.value(row);
                    let words = vec![1; own.chars().count()];
                    let list = [
                        mined("挖来的一", 0.4, &[2, 2]),
                        mined(own, 0.3, &words),
                        mined("挖来的二", 0.2, &[3, 1]),
                        mined("挖来的三", 0.1, &[4]),
                    ];
                    builder.push(id, (Some(0.5), Some(1)), &list);
                    kept.insert(id);
                }
                if builder.rows() == 3 {
                    parts.push(builder.finish().unwrap());
                }
            }
        }
        parts.push(builder.finish().unwrap());
        written.write(name, Table::Rows, &parts);
    }
    written.finish("negatives", identity);
    batches(&place, "data", &[]).expect(0, &[]);
    let made = Batches::read(&place, "data");
    assert_eq!(made.shown(0).keys().copied().collect::<BTreeSet<_>>(), kept);
    assert_eq!(made.manifest.counts["negatives_removed"], kept.len() as u64);
    for row in made.rows().iter().flatten() {
        let (own, mined): (Vec<&String>, Vec<&String>) = row
            .negatives
            .iter()
            .partition(|text| !text.starts_with("挖来"));
        assert_eq!(own.len(), if row.corpus == "t" { 2 } else { 0 });
        assert_eq!(mined.len(), if row.corpus == "t" { 2 } else { 3 });
        assert!(
            row.negatives
                .iter()
                .take(own.len())
                .all(|text| !text.starts_with("挖来"))
        );
        // Own negatives have no score, and that of the one left out is gone.
        let wanted: &[f32] = match row.corpus.as_str() {
            "t" => &[0.5, -1.0, -1.0, 0.4, 0.2],
            _ => &[0.5, 0.4, 0.2, 0.1],
        };
        assert_eq!(row.scores, wanted);
        let mined_words = &row.words[row.words.len() - if row.corpus == "t" { 4 } else { 5 }..];
        assert_eq!(mined_words[..4], [2, 2, 3, 1]);
        let characters: usize = [&row.anchor, &row.positive]
            .into_iter()
            .chain(&row.negatives)
            .map(|text| text.chars().count())
            .sum();
        assert_eq!(
            row.words
                .iter()
                .map(|length| usize::from(*length))
                .sum::<usize>(),
            characters
        );
    }
}
