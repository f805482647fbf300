//! The stage `topics` from end to end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, UInt32Type};
use juzi_pipeline::vectors::static_text::StaticText;
use juzi_schemas::manifest::{self, Manifest, Table};
use juzi_schemas::words::Texts;
use serde_json::Value;

use crate::fixtures::{corpus, lines, webtext, wiki};
use crate::support::{Dataset, Place, Run};

/// Words of four subjects, each of which jieba knows.
const SUBJECTS: [[&str; 8]; 4] = [
    [
        "保险", "理赔", "投保", "赔偿", "合同", "条款", "事故", "银行",
    ],
    [
        "足球", "比赛", "球员", "教练", "冠军", "球队", "联赛", "体育",
    ],
    [
        "米饭", "面条", "饺子", "蔬菜", "水果", "牛肉", "鸡蛋", "豆腐",
    ],
    [
        "电脑", "软件", "程序", "网络", "硬盘", "系统", "数据", "代码",
    ],
];

/// A sentence about a subject; no two numbers below 300 give the same.
fn sentence(subject: usize, number: usize) -> String {
    let words = SUBJECTS[subject];
    let at = [
        number % 8,
        number / 8 % 8,
        number / 64 % 8,
        number % 7,
        number % 5,
    ];
    let chosen: Vec<&str> = at.iter().map(|&at| words[at]).collect();
    chosen.join("的") + "。"
}

/// Vectors of all words but 银行: near those of their subject, and of 的, which is in every text.
fn vectors() -> String {
    let mut text = String::new();
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 16) / 65_536.0 - 0.5
    };
    for (subject, words) in SUBJECTS.iter().enumerate() {
        for word in words.iter().filter(|word| **word != "银行") {
            let _ = write!(text, "{word}");
            for place in 0..6 {
                let value = f64::from(u8::from(place == subject)) + 0.2 * noise() + 0.3;
                let _ = write!(text, " {value:.4}");
            }
            text.push('\n');
        }
    }
    text + "的 1 1 1 1 1 1\n银行 1 x 1 1 1 1\n"
}

/// Text of every subject and pairs with keys; the last pairs have no word with a vector.
pub fn write_corpora(place: &Place, each: usize) {
    let mut articles = Vec::new();
    let mut answers = Vec::new();
    for subject in 0..4 {
        let text: String = (0..each).map(|at| sentence(subject, at)).collect();
        articles.push(wiki("", &text));
        for at in 0..each / 2 {
            let (question, answer) = (sentence(subject, at + 200), sentence(subject, at + 150));
            let key = ["保险", "体育", "<script>", "电脑"][subject];
            answers.push(webtext(at as u64, &question, &answer, key));
        }
    }
    answers.push(webtext(900, "银行银行银行", "忽然忽然忽然", "少见"));
    answers.push(webtext(901, "银行银行", "忽然忽然忽然忽然", " "));
    place.write("wiki.json", lines(&articles));
    place.write("web.json", lines(&answers));
    place.write("v.txt", vectors());
}

/// A plan over these corpora.
pub fn plan(shards: &str, topics: &str) -> String {
    let wiki = "train = [\"wiki.json\"]\nviews = [\"sentences\"]";
    let web = "train = [\"web.json\"]\nviews = [\"title->content\"]";
    let corpora = corpus("wiki", "wiki2019zh", wiki) + &corpus("web", "webtext2019zh", web);
    format!("name = \"it\"\n{corpora}[shards]\n{shards}\n[topics]\n{topics}\n")
}

/// Lines of `[shards]` that topics of vectors need.
pub const WORDS: &str = "words = true\nshard_bytes = \"6KiB\"";

/// Text, topic and distance of each record.
pub fn placed(topics: &Dataset, shards: &Dataset) -> Vec<(String, Option<u32>, Option<f32>)> {
    let mut texts = Vec::new();
    for batch in shards.batches(Table::Rows) {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .map(|c| c.as_string::<i32>().clone())
        };
        let (text, anchor) = (column("text"), column("anchor"));
        let own = text.or(anchor).unwrap();
        texts.extend(own.iter().map(|text| text.unwrap().to_string()));
    }
    let mut found = Vec::new();
    for batch in topics.batches(Table::Rows) {
        let topics = batch.column_by_name("topic").unwrap();
        let topics = topics.as_primitive::<UInt32Type>();
        let distances = batch.column_by_name("distance").unwrap();
        let distances = distances.as_primitive::<Float32Type>();
        found.extend(topics.iter().zip(distances));
    }
    assert_eq!(texts.len(), found.len());
    let all = texts.into_iter().zip(found);
    all.map(|(text, (topic, distance))| (text, topic, distance))
        .collect()
}

/// The subject that a text is about.
pub fn subject_of(text: &str) -> Option<usize> {
    SUBJECTS
        .iter()
        .position(|words| words.iter().any(|word| text.contains(word)))
}

/// The topics as the report tells them.
pub fn topics_of(dataset: &Dataset) -> Vec<Value> {
    let text = std::fs::read_to_string(dataset.dir.join(manifest::REPORT)).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    report["topics"].as_array().unwrap().clone()
}

#[test]
fn clear_clusters_are_found() {
    let place = Place::new("topics-clear");
    write_corpora(&place, 120);
    let plan = plan(WORDS, "vectors = \"v.txt\"\ntopics = 4\nsize_min = 5");
    let topics = place.make_topics("data", &plan, &[]);
    let shards = place.dataset("data");
    let mut of = BTreeMap::new();
    let mut without = 0;
    for (text, topic, distance) in placed(&topics, &shards) {
        assert_eq!(topic.is_some(), distance.is_some());
        assert!(distance.is_none_or(|distance| (0.0..=2.0).contains(&distance)));
        match topic {
            None => without += 1,
            Some(topic) => {
                let own = of.entry(topic).or_insert_with(BTreeSet::new);
                own.insert(subject_of(&text).unwrap());
            }
        }
    }
    assert_eq!(of.len(), 4);
    assert!(of.values().all(|subjects| subjects.len() == 1), "{of:?}");
    assert_eq!(without, 2, "texts without a vector");
    for topic in topics_of(&topics) {
        let subject = of[&(topic["topic"].as_u64().unwrap() as u32)]
            .first()
            .unwrap();
        let words = topic["telling_words"].as_array().unwrap();
        let own = |word: &Value| SUBJECTS[*subject].contains(&word.as_str().unwrap());
        assert!(words.len() >= 5 && words.iter().all(own), "{topic}");
        let name = topic["name"].as_str().unwrap();
        assert!(
            name.split(" · ")
                .all(|word| SUBJECTS[*subject].contains(&word)),
            "{name}"
        );
        assert_eq!(topic["examples"].as_array().unwrap().len(), 3);
        assert_eq!(topic["corpora"].as_object().unwrap().len(), 2);
    }
    let Manifest {
        measures, dropped, ..
    } = &topics.manifest;
    let rows = topics.manifest.rows as f64;
    assert!((measures["coverage"] - (rows - 2.0) / rows).abs() < 1e-9);
    assert!(measures["mean_distance"] < 0.3, "{measures:?}");
    assert_eq!(
        dropped.values().sum::<u64>(),
        1,
        "the bad row of the vectors"
    );
    assert!(topics.dir.join(manifest::PAGE).is_file());
}

#[test]
fn words_and_middles_give_the_distances_again() {
    let place = Place::new("topics-again");
    write_corpora(&place, 60);
    let topics = place.make_topics("data", &plan(WORDS, "vectors = \"v.txt\"\ntopics = 5"), &[]);
    let text = StaticText::open(&topics.dir, &topics.manifest)
        .unwrap()
        .unwrap();
    assert_eq!(text.dimension(), 6);
    let mut middles = Vec::new();
    for batch in topics.batches(Table::Middles) {
        let lists = batch.column_by_name("vector").unwrap().as_list::<i32>();
        let lists = lists.iter().map(|list| list.unwrap());
        middles.extend(lists.map(|list| list.as_primitive::<Float32Type>().values().to_vec()));
    }
    let shards = place.dataset("data");
    let all = placed(&topics, &shards);
    let mut at = 0;
    for (file, batch) in shards
        .manifest
        .files_of(Table::Rows)
        .zip(shards.batches(Table::Rows))
    {
        let texts = Texts::of(&batch, file.kind.unwrap()).unwrap();
        for row in 0..batch.num_rows() {
            let mut sum = [0f32; 6];
            texts
                .row(row, |own, lengths| {
                    let mut vector = [0f32; 6];
                    if text.embed(own, lengths, &mut vector) {
                        sum.iter_mut().zip(vector).for_each(|(a, b)| *a += b);
                    }
                })
                .unwrap();
            let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
            if let (_, Some(topic), Some(distance)) = &all[at] {
                let dot = sum
                    .iter()
                    .zip(&middles[*topic as usize])
                    .map(|(a, b)| a * b)
                    .sum::<f32>();
                assert!((1.0 - dot / length - distance).abs() < 1e-5);
            } else {
                assert!(length < 1e-4);
            }
            at += 1;
        }
    }
    assert_eq!(at, all.len());
}

#[test]
fn threads_make_no_difference() {
    let place = Place::new("topics-threads");
    write_corpora(&place, 120);
    let tables = [
        "vectors = \"v.txt\"\ntopics = 3\nsize_max = 60\nsize_min = 20",
        "source = \"keys\"",
    ];
    for (number, table) in tables.iter().enumerate() {
        let one = format!("one{number}");
        let eight = format!("eight{number}");
        let one = place.make_topics(&one, &plan(WORDS, table), &["--threads", "1"]);
        let eight = place.make_topics(&eight, &plan(WORDS, table), &["--threads", "8"]);
        assert_eq!(one.bytes(), eight.bytes());
        let page = |dataset: &Dataset| std::fs::read(dataset.dir.join(manifest::PAGE)).unwrap();
        assert_eq!(page(&one), page(&eight));
    }
}

#[test]
fn sizes_keep_to_their_bounds() {
    let place = Place::new("topics-bounds");
    write_corpora(&place, 120);
    for (number, (topics, min, max)) in [(2, 10, 40), (60, 12, 300), (4, 1, 7)].iter().enumerate() {
        let table = format!("topics = {topics}\nsize_min = {min}\nsize_max = {max}");
        let plan = plan(WORDS, &format!("vectors = \"v.txt\"\n{table}"));
        let topics = place.make_topics(&format!("data{number}"), &plan, &[]);
        let counts = &topics.manifest.counts;
        assert_eq!(counts["topics_above_size_max"], 0, "{counts:?}");
        let sizes: Vec<u64> = topics_of(&topics)
            .iter()
            .map(|topic| topic["count"].as_u64().unwrap())
            .collect();
        assert!(sizes.iter().all(|size| size <= max), "{sizes:?}");
        assert!(sizes.windows(2).all(|pair| pair[0] >= pair[1]), "{sizes:?}");
        let small = sizes.iter().filter(|size| *size < min).count() as u64;
        assert_eq!(small, counts["topics_below_size_min"]);
        // A small one may stay only where no other has room for it.
        let room = |size: &u64| sizes.iter().filter(|other| *other + size <= *max).count() > 1;
        assert!(
            !sizes.iter().any(|size| size < min && room(size)),
            "{sizes:?}"
        );
    }
}

/// Runs with a crash point on one thread; nothing if the run came to its end.
fn crash(place: &Place, data: &str, point: u64) -> Option<()> {
    let mut command = place.command();
    command.args(["topics", "plan.toml", "--data", data, "--threads", "1"]);
    command.env(juzi_schemas::fault::VARIABLE, point.to_string());
    let run = Run::from(command.output().unwrap());
    assert!(
        run.code == Some(0) || run.signal == Some(libc::SIGKILL),
        "{run:?}"
    );
    run.signal.map(|_| ())
}

#[test]
fn a_killed_run_goes_on() {
    let place = Place::new("topics-points");
    write_corpora(&place, 60);
    let table = "vectors = \"v.txt\"\ntopics = 2\nsize_max = 60\nsize_min = 10";
    let good = place.make_topics("data", &plan(WORDS, table), &[]);
    assert!(good.manifest.counts["clusters_split"] > 0);
    let wanted = good.bytes();
    let topics: Vec<_> = place.store("data");
    let topics = topics
        .iter()
        .find(|dir| {
            dir.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("topics-")
        })
        .unwrap();
    let mut point = 1;
    loop {
        std::fs::remove_dir_all(topics).unwrap();
        if crash(&place, "data", point).is_none() {
            break;
        }
        place.topics("data", &["--threads", "2"]).expect(0, &[]);
        let again = place.topics_in("data");
        assert_eq!(again.bytes(), wanted, "point {point}");
        let left = std::fs::read_dir(topics).unwrap().count();
        assert_eq!(left, again.manifest.files.len() + 3, "point {point}");
        point += 1;
    }
    assert!(point > 40, "{point}");
}
