//! Reads batches back, row group by row group, and checks what must hold of all of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, UInt16Type, UInt32Type};
use arrow::record_batch::RecordBatch;
use juzi_schemas::manifest::{Manifest, Table};
use juzi_schemas::shard::Groups;
use serde_json::{Value, json};

use crate::fixtures::{corpus, lines, prose};
use crate::support::{Place, Run};

/// A finished dataset of batches.
pub struct Batches {
    /// Its stable name.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Every row group, in order, with the file that holds it.
    pub all: Vec<(String, u32, RecordBatch)>,
}

/// One row, read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub id: u128,
    pub corpus: String,
    pub topic: Option<u32>,
    pub anchor: String,
    pub positive: String,
    pub negatives: Vec<String>,
    pub positives: Vec<u32>,
    pub ignored: Vec<u32>,
    /// -1 where there is none.
    pub scores: Vec<f32>,
    pub words: Vec<u16>,
}

/// Rows of a batch of pairs.
pub fn rows(batch: &RecordBatch) -> Vec<Row> {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let text = |name: &str| column(name).as_string::<i32>().clone();
    let list = |name: &str, row: usize| column(name).as_list::<i32>().value(row);
    let numbers = |name: &str, row| {
        list(name, row)
            .as_primitive::<UInt32Type>()
            .values()
            .to_vec()
    };
    let (corpora, anchors, positives) = (text("corpus"), text("anchor"), text("positive"));
    let topics = column("topic").as_primitive::<UInt32Type>();
    let row = |row: usize| Row {
        id: id(batch, row),
        corpus: corpora.value(row).into(),
        topic: topics.is_valid(row).then(|| topics.value(row)),
        anchor: anchors.value(row).into(),
        positive: positives.value(row).into(),
        negatives: {
            let texts = list("negatives", row);
            let texts = texts.as_string::<i32>().iter();
            texts.map(|text| text.unwrap().to_string()).collect()
        },
        positives: numbers("positives", row),
        ignored: numbers("ignored", row),
        scores: match batch.column_by_name("scores") {
            Some(_) => list("scores", row)
                .as_primitive::<Float32Type>()
                .values()
                .iter()
                .map(|score| if score.is_nan() { -1.0 } else { *score })
                .collect(),
            None => Vec::new(),
        },
        words: match batch.column_by_name("words") {
            Some(_) => list("words", row)
                .as_primitive::<UInt16Type>()
                .values()
                .to_vec(),
            None => Vec::new(),
        },
    };
    (0..batch.num_rows()).map(row).collect()
}

/// The id of a row.
pub fn id(batch: &RecordBatch, row: usize) -> u128 {
    let ids = batch.column_by_name("id").unwrap().as_fixed_size_binary();
    u128::from_be_bytes(ids.value(row).try_into().unwrap())
}

impl Batches {
    /// Reads a dataset and checks what must hold of every one.
    #[track_caller]
    pub fn read(place: &Place, data: &str) -> Batches {
        let dir = place.path(data).join("batches");
        let manifest = Manifest::read(&dir).unwrap();
        let (_, findings) = juzi_pipeline::status::verify(&dir, 1).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        let mut all = Vec::new();
        for file in manifest.files_of(Table::Rows) {
            let groups = Groups::open(&dir.join(&file.name), None).unwrap();
            for group in 0..groups.len() {
                let batch = groups.read(group, None).unwrap();
                all.push((file.name.clone(), group as u32, batch));
            }
        }
        let batches = Batches { dir, manifest, all };
        batches.check();
        batches
    }

    #[track_caller]
    fn check(&self) {
        let Manifest { counts, plan, .. } = &self.manifest;
        assert_eq!(counts["batches"], self.all.len() as u64);
        let ledger: u64 = self
            .manifest
            .files_of(Table::Dropped)
            .map(|file| file.rows)
            .sum();
        assert_eq!(ledger, self.manifest.dropped.values().sum::<u64>());
        assert_eq!(counts["entries_drawn"], self.manifest.rows + ledger);
        assert_eq!(counts["entries_placed"], self.manifest.rows);
        let size = plan["batches"]["size"].as_u64().unwrap() as usize;
        let short = self
            .all
            .iter()
            .filter(|(_, _, batch)| batch.num_rows() != size)
            .count();
        assert!(
            short == 0 || plan["batches"]["drop_last"] == false,
            "{short}"
        );
        let list = self.list();
        for (number, ((file, group, batch), listed)) in self.all.iter().zip(&list).enumerate() {
            assert_eq!(listed["batch"], number);
            assert_eq!(listed["file"], file.as_str());
            assert_eq!(listed["row_group"], *group);
            assert_eq!(listed["rows"], batch.num_rows());
            let numbers = batch
                .column_by_name("batch")
                .unwrap()
                .as_primitive::<UInt32Type>();
            assert!(numbers.values().iter().all(|at| *at as usize == number));
            let mut corpora = BTreeMap::<&str, u64>::new();
            let names = batch.column_by_name("corpus").unwrap().as_string::<i32>();
            names
                .iter()
                .for_each(|name| *corpora.entry(name.unwrap()).or_default() += 1);
            assert_eq!(listed["corpora"], json!(corpora));
        }
        assert_eq!(list.len(), self.all.len());
    }

    /// The list of batches.
    pub fn list(&self) -> Vec<Value> {
        let mut list = Vec::new();
        for file in self.manifest.files_of(Table::Batches) {
            for batch in juzi_schemas::shard::read(&self.dir.join(&file.name)).unwrap() {
                let batch = batch.unwrap();
                let column = |name: &str| batch.column_by_name(name).unwrap();
                let number = |name: &str, row| column(name).as_primitive::<UInt32Type>().value(row);
                let share = |name: &str, row| {
                    let column = column(name).as_primitive::<Float32Type>();
                    column.is_valid(row).then(|| column.value(row))
                };
                for row in 0..batch.num_rows() {
                    let names = column("corpora").as_list::<i32>().value(row);
                    let counts = column("rows_by_corpus").as_list::<i32>().value(row);
                    let counts = counts.as_primitive::<UInt32Type>().values();
                    let names = names.as_string::<i32>().iter().map(Option::unwrap);
                    let corpora: BTreeMap<_, _> = names.zip(counts.iter().copied()).collect();
                    list.push(json!({
                        "batch": number("batch", row),
                        "file": column("file").as_string::<i32>().value(row),
                        "row_group": number("row_group", row),
                        "rows": number("rows", row),
                        "texts": number("texts", row),
                        "pass": number("pass", row),
                        "masked": number("masked", row),
                        "purity": share("purity", row),
                        "hardness": share("hardness", row),
                        "corpora": corpora,
                    }));
                }
            }
        }
        list
    }

    /// Rows of all batches of pairs.
    pub fn rows(&self) -> Vec<Vec<Row>> {
        self.all.iter().map(|(_, _, batch)| rows(batch)).collect()
    }

    /// How often each record stands in the batches of a pass.
    pub fn shown(&self, pass: u32) -> BTreeMap<u128, u32> {
        let mut shown = BTreeMap::new();
        for ((_, _, batch), listed) in self.all.iter().zip(self.list()) {
            if listed["pass"] == pass {
                (0..batch.num_rows())
                    .for_each(|row| *shown.entry(id(batch, row)).or_default() += 1);
            }
        }
        shown
    }

    /// The manifest as it stands on disk.
    pub fn bytes(&self) -> String {
        std::fs::read_to_string(self.dir.join("manifest.json")).unwrap()
    }
}

/// Runs the stage on `plan.toml`.
pub fn batches(place: &Place, data: &str, flags: &[&str]) -> Run {
    let arguments = ["batches", "plan.toml", "--data", data, "--quiet"];
    place.juzi(&[&arguments, flags].concat())
}

/// Writes a plan and makes its shards and batches.
#[track_caller]
pub fn make(place: &Place, data: &str, plan: &str, flags: &[&str]) -> Batches {
    place.write("plan.toml", plan);
    place.shards(data, &["--quiet"]).expect(0, &[]);
    batches(place, data, flags).expect(0, &[]);
    Batches::read(place, data)
}

/// `count` pairs whose texts all differ; `first` tells corpora apart.
pub fn pairs(first: u64, count: u64) -> String {
    let pair = |at| json!([prose(first + 2 * at, 1), prose(first + 2 * at + 1, 1)]);
    lines(&(0..count).map(pair).collect::<Vec<_>>())
}

/// Three corpora of 300, 200 and 100 pairs in many small shards; gives the tables of the plan.
pub fn corpora(place: &Place, lines_of_shards: &str) -> String {
    let mut plan = String::from("name = \"it\"\n");
    for (name, first, count) in [("a", 0, 300), ("b", 10_000, 200), ("c", 20_000, 100)] {
        place.write(&format!("{name}.jsonl"), pairs(first, count));
        let file = format!("train = [\"{name}.jsonl\"]");
        plan += &corpus(name, "embedding_training_data", &file);
    }
    format!("{plan}[shards]\nunit_bytes = \"8KiB\"\nshard_bytes = \"8KiB\"\n{lines_of_shards}\n")
}
