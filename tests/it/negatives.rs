//! What every test of the stage `negatives` uses: a corpus, what was mined, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, UInt16Type, UInt32Type};
use juzi_pipeline::text::fold::fold;
use juzi_schemas::manifest::Table;
use juzi_schemas::record::Kind;
use juzi_schemas::words::{Texts, cut};
use serde_json::{Value, json};

use crate::fixtures::{corpus, lines, prose};
use crate::support::{Dataset, Place};

/// A pair or triplet of the shards, with the words of its texts.
pub struct Pair {
    pub id: u128,
    pub train: bool,
    pub anchor: String,
    pub positive: String,
    pub own: Vec<String>,
    pub group: Option<String>,
    pub words: BTreeMap<String, Vec<String>>,
}

/// What was mined for a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Mined {
    pub score: Option<f32>,
    pub rank: Option<u32>,
    pub negatives: Vec<(String, f32)>,
}

/// Letters and digits of a text: equal ones count as one text.
pub fn key(text: &str) -> Vec<u32> {
    let mut folded = Vec::new();
    fold(text, &mut folded);
    folded
}

/// All pairs and triplets, in order.
pub fn pairs(shards: &Dataset) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for file in shards.manifest.files_of(Table::Rows) {
        let kind = file.kind.unwrap();
        if !matches!(kind, Kind::Pair | Kind::Triplet) {
            continue;
        }
        for batch in juzi_schemas::shard::read(&shards.dir.join(&file.name)).unwrap() {
            let batch = batch.unwrap();
            let text = |name: &str, row: usize| {
                let column = batch.column_by_name(name).unwrap().as_string::<i32>();
                column.is_valid(row).then(|| column.value(row).to_string())
            };
            let ids = batch.column_by_name("id").unwrap().as_fixed_size_binary();
            for row in 0..batch.num_rows() {
                let own = batch.column_by_name("negatives").map(|lists| {
                    let list = lists.as_list::<i32>().value(row);
                    let texts = list.as_string::<i32>().iter().flatten();
                    texts.map(String::from).collect()
                });
                let mut words = BTreeMap::new();
                if let Some(texts) = Texts::of(&batch, kind) {
                    let each = |text: &str, lengths: &[u16]| {
                        let cut = cut(text, lengths).map(str::to_ascii_lowercase);
                        let cut = cut.filter(|word| word.chars().any(char::is_alphanumeric));
                        words.insert(text.to_string(), cut.collect());
                    };
                    texts.row(row, each).unwrap();
                }
                pairs.push(Pair {
                    id: u128::from_be_bytes(ids.value(row).try_into().unwrap()),
                    train: text("split", row).as_deref() == Some("train"),
                    anchor: text("anchor", row).unwrap(),
                    positive: text("positive", row).unwrap(),
                    own: own.unwrap_or_default(),
                    group: text("group_key", row),
                    words,
                });
            }
        }
    }
    pairs
}

/// What was mined, by id of the row, and the ids in order.
pub fn mined(dataset: &Dataset) -> (BTreeMap<u128, Mined>, Vec<u128>) {
    let (mut rows, mut order) = (BTreeMap::new(), Vec::new());
    for batch in dataset.batches(Table::Rows) {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let ids = column("id").as_fixed_size_binary();
        let scores = column("positive_score").as_primitive::<Float32Type>();
        let ranks = column("positive_rank").as_primitive::<UInt32Type>();
        for row in 0..batch.num_rows() {
            let texts = column("negatives").as_list::<i32>().value(row);
            let values = column("scores").as_list::<i32>().value(row);
            let texts = texts.as_string::<i32>().iter().flatten();
            let values = values.as_primitive::<Float32Type>().values().to_vec();
            let id = u128::from_be_bytes(ids.value(row).try_into().unwrap());
            order.push(id);
            let mined = Mined {
                score: scores.is_valid(row).then(|| scores.value(row)),
                rank: ranks.is_valid(row).then(|| ranks.value(row)),
                negatives: texts.map(String::from).zip(values).collect(),
            };
            assert!(rows.insert(id, mined).is_none());
        }
    }
    (rows, order)
}

/// What must hold of negatives: totals balance, lists are sorted and hold no text twice.
#[track_caller]
pub fn check(dataset: &Dataset) {
    let counts = &dataset.manifest.counts;
    let sum = |prefix: &str| {
        let named = counts.iter().filter(|(name, _)| name.starts_with(prefix));
        named.map(|(_, count)| count).sum::<u64>()
    };
    assert_eq!(
        counts["candidates"],
        counts["negatives_found"] + sum("refused_"),
        "{counts:?}"
    );
    assert_eq!(
        counts["drawn"],
        counts["drawn_refused"] + counts["negatives_random"]
    );
    let dropped: u64 = dataset.manifest.dropped.values().sum();
    assert_eq!(counts["pairs"], dataset.manifest.rows + dropped);
    let (rows, _) = mined(dataset);
    let wanted = dataset.manifest.plan["negatives"]["count"]
        .as_u64()
        .unwrap();
    let (mut found, mut random, mut short) = (0, 0, 0);
    for row in rows.values() {
        let texts: BTreeSet<Vec<u32>> = row.negatives.iter().map(|(text, _)| key(text)).collect();
        assert_eq!(texts.len(), row.negatives.len(), "{row:?}");
        assert!(row.negatives.len() as u64 <= wanted);
        short += u64::from((row.negatives.len() as u64) < wanted);
        let scored = row.negatives.iter().filter(|(_, score)| !score.is_nan());
        let scored: Vec<f32> = scored.map(|(_, score)| *score).collect();
        assert!(scored.is_sorted_by(|a, b| a >= b), "{row:?}");
        let nan = row.negatives.iter().skip(scored.len());
        assert!(nan.clone().all(|(_, score)| score.is_nan()), "{row:?}");
        found += scored.len() as u64;
        random += nan.count() as u64;
    }
    assert_eq!(counts["negatives_found"], found);
    assert_eq!(counts["negatives_random"], random);
    assert_eq!(counts["rows_short"], short);
    let asked = wanted * rows.len() as u64;
    assert_eq!(counts["negatives_asked"], asked);
    assert_eq!(counts["negatives_missing"], asked - found - random);
    if dataset.manifest.plan["negatives"]["miner"] == "bm25" {
        let batches = dataset.batches(Table::Rows);
        for batch in batches
            .iter()
            .filter(|b| b.column_by_name("words").is_some())
        {
            let words = batch.column_by_name("words").unwrap().as_list::<i32>();
            let texts = batch.column_by_name("negatives").unwrap().as_list::<i32>();
            for row in 0..batch.num_rows() {
                let lengths = words.value(row);
                let lengths = lengths.as_primitive::<UInt16Type>().values().iter();
                let texts = texts.value(row);
                let texts = texts.as_string::<i32>().iter().flatten();
                let characters: usize = texts.map(|text| text.chars().count()).sum();
                assert_eq!(lengths.map(|n| usize::from(*n)).sum::<usize>(), characters);
            }
        }
    }
}

/// What is right for each anchor: positives of it, and texts of its groups.
pub fn right(pairs: &[Pair]) -> BTreeMap<Vec<u32>, BTreeSet<Vec<u32>>> {
    let mut right: BTreeMap<Vec<u32>, BTreeSet<Vec<u32>>> = BTreeMap::new();
    let train = || pairs.iter().filter(|pair| pair.train);
    for pair in train() {
        let known = right.entry(key(&pair.anchor)).or_default();
        known.insert(key(&pair.positive));
        for other in train().filter(|other| other.group.is_some() && other.group == pair.group) {
            known.insert(key(&other.positive));
            known.insert(key(&other.anchor));
        }
        known.remove(&key(&pair.anchor));
    }
    right
}

/// No negative is the anchor, right for it, or already there.
#[track_caller]
pub fn check_right(pairs: &[Pair], rows: &BTreeMap<u128, Mined>) {
    let right = right(pairs);
    for pair in pairs.iter().filter(|pair| pair.train) {
        let Some(row) = rows.get(&pair.id) else {
            continue;
        };
        for (text, _) in &row.negatives {
            let key_of = key(text);
            assert_ne!(key_of, key(&pair.anchor), "{text}");
            assert!(!right[&key(&pair.anchor)].contains(&key_of), "{text}");
            assert!(pair.own.iter().all(|own| key(own) != key_of), "{text}");
        }
    }
}

/// Pairs with everything that goes wrong elsewhere: anchors with one to four positives, anchors that
/// differ in their signs alone, groups, triplets, copies, texts that are anchor here and positive
/// there, a second split.
pub fn write_corpus(place: &Place) -> String {
    let mut documents: Vec<Value> = Vec::new();
    for at in 0..60 {
        let positive = prose(at + 300, 2);
        // The anchor shares half of its positive.
        let anchor: String = positive.chars().take(20 + at as usize % 7).collect();
        documents.push(json!([anchor, positive]));
        for more in 0..at % 4 {
            let anchor = anchor.replace('，', ["、", " ", "，"][more as usize % 3]);
            documents.push(json!([anchor, prose(at + 1000 + more * 100, 1) + &anchor]));
        }
        if at % 9 == 0 {
            let copy = positive.replace('。', "！");
            documents.push(json!([prose(at + 2000, 1), copy]));
            let near = positive.replacen('，', "，吗", 1);
            documents.push(json!([prose(at + 2100, 1), near]));
        }
    }
    for at in 0..12 {
        let shared = prose(at + 3000, 1);
        let set = [
            shared.clone() + "甲",
            shared.clone() + "乙",
            shared + "丙丁",
        ];
        documents.push(json!({"set": set}));
        let anchor: String = prose(at + 300, 1).chars().take(15).collect();
        documents.push(json!({
            "query": anchor, "pos": [prose(at + 300, 1), prose(at + 4000, 1) + &anchor],
            "neg": [prose(at + 301, 2), prose(at + 5000, 1) + &anchor],
        }));
    }
    place.write("train.jsonl", lines(&documents));
    let valid: Vec<Value> = (0..9)
        .map(|at| json!([prose(at, 1), prose(at + 90, 1)]))
        .collect();
    place.write("valid.jsonl", lines(&valid));
    let files = "train = [\"train.jsonl\"]\nvalid = [\"valid.jsonl\"]";
    corpus("pairs", "embedding_training_data", files)
}

/// A plan over [`write_corpus`] in small shards.
pub fn plan(place: &Place, words: bool, lines: &str) -> String {
    let corpora = write_corpus(place);
    format!(
        "name = \"it\"\n{corpora}\n[shards]\nwords = {words}\nshard_bytes = \"10KiB\"\n[negatives]\n{lines}\n"
    )
}

impl Place {
    /// Writes a plan, makes its shards where they are missing, and its negatives.
    #[track_caller]
    pub fn mine(&self, data: &str, plan: &str, flags: &[&str]) -> Dataset {
        self.write("plan.toml", plan);
        self.shards(data, &["--quiet"]).expect(0, &[]);
        self.negatives(data, flags).expect(0, &[]);
        self.negatives_in(data)
    }
}
