//! Datasets, tokenizers and recipes that tests write.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::record_batch::RecordBatch;
use juzi_schemas::batch::{self, BatchBuilder, Description};
use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::manifest::{File, Manifest, Table, combined};
use juzi_schemas::record::{self, Kind, RowsBuilder, Split};
use juzi_schemas::rows_hash::RowsHash;
use juzi_schemas::shard::{FORMAT, ShardWriter};
use juzi_schemas::synonym::{Source, SynonymsBuilder};

use super::{Feed, Threads};
use crate::recipe::Recipe;

/// A directory of its own, removed at the end.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Place {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("juzi-trainer-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(&root).unwrap();
        Place(root)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, and says where in the way of options.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in this directory")).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One record of a test: texts, lengths of words, split.
#[derive(Clone)]
pub(crate) struct Row {
    pub id: u128,
    pub texts: Vec<String>,
    pub words: Vec<u16>,
    pub split: Split,
    pub score: f32,
    pub topic: Option<u32>,
    pub positives: Vec<u32>,
    pub ignored: Vec<u32>,
    pub scores: Vec<f32>,
}

impl Row {
    /// Texts whose words are written with spaces between; the last is a label if there is one.
    pub(crate) fn new(id: u128, kind: Kind, texts: &[&str]) -> Row {
        let language = kind.language_columns(texts.len());
        let words = texts[..language].iter();
        let words = words.flat_map(|text| text.split(' ').filter(|word| !word.is_empty()));
        Row {
            id,
            words: words.map(|word| word.chars().count() as u16).collect(),
            texts: texts.iter().map(|text| text.replace(' ', "")).collect(),
            split: Split::Train,
            score: id as f32 / 10.0,
            topic: (!id.is_multiple_of(3)).then_some(id as u32 % 7),
            positives: Vec::new(),
            ignored: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// Made-up text of 1 to 12 words.
    pub(crate) fn made_up(id: u128) -> Row {
        let count = 1 + id as usize * 7 % 12;
        let letter = |n: usize| char::from_u32(0x4e00 + (n * 31 % 50) as u32).unwrap();
        let words = (0..count).map(|at| {
            let length = 1 + (at + id as usize) % 3;
            (0..length)
                .map(|n| letter(id as usize * 13 + at * 5 + n))
                .collect::<String>()
        });
        let text = words.collect::<Vec<_>>().join(" ");
        Row::new(id * 0x1_0000_0000_0001, Kind::Text, &[&text])
    }
}

/// Rows of made-up text, with ids from `0`.
pub(crate) fn made_up(count: u128) -> Vec<Row> {
    (0..count).map(Row::made_up).collect()
}

/// Writes files of row groups under the name of a stage; gives the dataset's directory.
fn write(
    data: &Path,
    stage: &str,
    tables: Vec<(String, Table, Option<Kind>, Vec<RecordBatch>)>,
) -> PathBuf {
    let fingerprint = Fingerprint::of_json(&tables.iter().map(|t| t.3.len()).collect::<Vec<_>>());
    let writer = DatasetWriter::open(data, stage, &fingerprint).unwrap();
    let (mut files, mut hashes) = (Vec::new(), Vec::new());
    for (name, table, kind, groups) in tables {
        let file = writer.create(&name).unwrap();
        let schema = groups[0].schema();
        let mut shard = ShardWriter::new(file, schema, Path::new(&name)).unwrap();
        groups.iter().for_each(|group| shard.write(group).unwrap());
        let (file, hash) = shard.finish().unwrap();
        let note = serde_json::Value::Null;
        let entry = writer
            .commit(file, Durability::Durable, hash, note)
            .unwrap();
        if table == Table::Rows {
            hashes.push(hash);
        }
        files.push(File {
            name,
            table,
            kind,
            rows: entry.rows.rows,
            rows_hash: entry.rows.hex(),
            bytes: entry.bytes,
            bytes_hash: entry.bytes_hash,
        });
    }
    let all: RowsHash = combined(hashes);
    let manifest = Manifest {
        format: FORMAT,
        stage: stage.into(),
        fingerprint,
        rows: all.rows,
        rows_hash: all.hex(),
        kinds: Default::default(),
        corpora: vec!["甲".into(), "乙".into()],
        dropped: Default::default(),
        counts: Default::default(),
        measures: Default::default(),
        files,
        inputs: Vec::new(),
        dictionaries: Default::default(),
        plan: serde_json::Value::Null,
    };
    writer.finish(&manifest, &serde_json::Value::Null).unwrap();
    data.join(stage)
}

/// Shards of a kind: files of row groups of rows.
pub(crate) fn shards(data: &Path, kind: Kind, words: bool, files: &[Vec<Vec<Row>>]) -> PathBuf {
    let group = |rows: &Vec<Row>| {
        let mut builder = RowsBuilder::new(record::Layout {
            kind,
            words,
            corpora: vec!["甲".into(), "乙".into()],
        });
        for row in rows {
            let texts: Vec<&str> = row.texts.iter().map(String::as_str).collect();
            builder.push(&record::Row {
                id: row.id,
                corpus: (row.id % 2) as u16,
                split: row.split,
                texts: &texts,
                score: row.score,
                document: 0,
                position: 0,
                topic_key: None,
                group_key: None,
                words: &row.words,
            });
        }
        builder.finish().unwrap()
    };
    let tables = files.iter().enumerate().map(|(number, groups)| {
        let name = format!("part-{number:05}.parquet");
        (
            name,
            Table::Rows,
            Some(kind),
            groups.iter().map(group).collect(),
        )
    });
    write(data, "shards", tables.collect())
}

/// Planned batches: files of batches of rows, numbered as they stand.
pub(crate) fn batches(data: &Path, kind: Kind, words: bool, files: &[Vec<Vec<Row>>]) -> PathBuf {
    let (mut tables, mut list) = (Vec::new(), Vec::new());
    for (number, groups) in files.iter().enumerate() {
        let name = format!("part-{number:05}.parquet");
        let mut written = Vec::new();
        for (group, rows) in groups.iter().enumerate() {
            let mut builder = BatchBuilder::new(batch::Layout {
                kind,
                words,
                scores: rows.iter().any(|row| !row.scores.is_empty()),
            });
            for row in rows {
                let texts: Vec<&str> = row.texts.iter().map(String::as_str).collect();
                let corpus = if row.id % 2 == 0 { "甲" } else { "乙" };
                builder.push(
                    list.len() as u32,
                    &batch::Row {
                        id: row.id,
                        corpus,
                        topic: row.topic,
                        texts: &texts,
                        score: row.score,
                        positives: &row.positives,
                        ignored: &row.ignored,
                        scores: &row.scores,
                        words: &row.words,
                    },
                );
            }
            written.push(builder.finish().unwrap());
            list.push(Description {
                batch: list.len() as u32,
                file: name.clone(),
                row_group: group as u32,
                rows: rows.len() as u32,
                ..Description::default()
            });
        }
        tables.push((name, Table::Rows, Some(kind), written));
    }
    let list = vec![batch::descriptions(&list).unwrap()];
    tables.push(("batches.parquet".into(), Table::Batches, None, list));
    write(data, "batches", tables)
}

/// Synonyms of the letters of [`Row::made_up`], beside the datasets.
pub(crate) fn synonyms(data: &Path) -> PathBuf {
    let mut builder = SynonymsBuilder::default();
    for letter in 0..50u32 {
        let [word, one, two] =
            [0, 7, 11].map(|step| char::from_u32(0x4e00 + (letter + step) % 50).unwrap());
        builder.push(&word.to_string(), 1, &one.to_string(), None, Source::Import);
        builder.push(&word.to_string(), 2, &two.to_string(), None, Source::Import);
    }
    let table = vec![builder.finish().unwrap()];
    let name = "part-00000.parquet".into();
    write(data, "synonyms", vec![(name, Table::Rows, None, table)])
}

/// A tokenizer that makes a token of each Han character and of each Latin word, between `[CLS]` (2)
/// and `[SEP]` (3); `[PAD]` is 0, `[UNK]` 1, and the character U+4E00 + n is 10 + n.
pub(crate) fn tokenizer(place: &Place) -> PathBuf {
    let mut vocabulary = serde_json::Map::new();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    for (id, token) in (0u32..).zip(special) {
        vocabulary.insert(token.into(), id.into());
    }
    vocabulary.insert("abc".into(), 5.into());
    vocabulary.insert("##d".into(), 6.into());
    for n in 0..60 {
        let letter = char::from_u32(0x4e00 + n).unwrap();
        vocabulary.insert(letter.to_string(), (10 + n).into());
    }
    let added = (0u32..).zip(special).map(|(id, content)| {
        serde_json::json!({
            "id": id, "content": content, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        })
    });
    let token = |name: &str, id: u32| serde_json::json!({ name: { "id": name, "ids": [id], "tokens": [name] } });
    let mut specials = token("[CLS]", 2);
    specials["[SEP]"] = token("[SEP]", 3)["[SEP]"].take();
    let text = serde_json::json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                { "SpecialToken": { "id": "[CLS]", "type_id": 0 } },
                { "Sequence": { "id": "A", "type_id": 0 } },
                { "SpecialToken": { "id": "[SEP]", "type_id": 0 } },
            ],
            "pair": [
                { "SpecialToken": { "id": "[CLS]", "type_id": 0 } },
                { "Sequence": { "id": "A", "type_id": 0 } },
                { "SpecialToken": { "id": "[SEP]", "type_id": 0 } },
                { "Sequence": { "id": "B", "type_id": 1 } },
                { "SpecialToken": { "id": "[SEP]", "type_id": 1 } },
            ],
            "special_tokens": specials,
        },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    });
    let path = place.path("tokenizer.json");
    std::fs::write(&path, text.to_string()).unwrap();
    path
}

/// A recipe over a dataset; `lines` are more lines, such as tables.
pub(crate) fn recipe(place: &Place, dataset: &Path, lines: &str) -> Recipe {
    let mut table: toml::Table = lines.parse().unwrap();
    for (name, key, value) in [
        ("data", "dataset", dataset.to_path_buf()),
        ("tokenizer", "path", tokenizer(place)),
    ] {
        let empty = || toml::Value::Table(toml::Table::new());
        let entry = table.entry(name).or_insert_with(empty);
        let value = value.to_string_lossy().into_owned().into();
        entry.as_table_mut().unwrap().insert(key.into(), value);
    }
    let path = place.path("recipe.toml");
    std::fs::write(&path, table.to_string()).unwrap();
    Recipe::read(&path).unwrap()
}

/// Opens the feed of such a recipe.
pub(crate) fn feed(place: &Place, dataset: &Path, lines: &str) -> Feed {
    Feed::open(&recipe(place, dataset, lines), None).unwrap()
}

pub(crate) fn threads(workers: usize) -> Threads {
    Threads { workers, depth: 2 }
}

/// Lines for feeds without views.
pub(crate) const PLAIN: &str = "[views]\naugmented = 0\ncopies = 0\n";
