//! What is no synonym however near it is, what a dictionary adds, and LUSE's file of synonyms.

use serde_json::{Value, json};

use crate::support::{Dataset, Place};
use crate::vectors::{Vectors, has_letter, rows, table};

/// The guards with the key of each, and pairs that each of them alone refuses.
const PAIRS: [(&str, &str, &[&str]); 6] = [
    ("stop_word", "stop_words", &["因为 由于", "</s> 标记"]),
    (
        "number",
        "numbers",
        &["三个 四个", "2018年 2019年", "一中 二中"],
    ),
    ("script", "scripts", &["計算機 计算机", "ＧＰＵ gpu"]),
    (
        "antonym",
        "antonyms",
        &["大型 小型", "成功 失败", "不好 好"],
    ),
    ("part_of_speech", "part_of_speech", &["学校 奔跑"]),
    ("co_hyponym", "co_hyponyms", &["苹果 香蕉"]),
];

/// Pairs that no guard refuses but `contains` the second one.
const GOOD: [&str; 2] = ["老师 教师", "校园 校园里"];

const CILIN: &str = "Aa01A01= 老师 教师\nBh07A14# 苹果 香蕉\nZz01A01@ 独一\n";

/// Each pair near in a plane of its own, so that its words are neighbours and no others are.
fn pairs() -> Vectors {
    let all = PAIRS
        .iter()
        .flat_map(|(_, _, pairs)| pairs.iter())
        .chain(&GOOD);
    let pairs: Vec<[&str; 2]> = all
        .map(|pair| pair.split_once(' ').unwrap().into())
        .collect();
    let dimension = pairs.len() * 2;
    let mut values = Vec::new();
    for at in 0..pairs.len() {
        for slope in [0.1, 0.4] {
            let mut row = vec![0.0; dimension];
            (row[at * 2], row[at * 2 + 1]) = (1.0, slope);
            values.extend(row);
        }
    }
    Vectors {
        words: pairs.concat().into_iter().map(String::from).collect(),
        dimension,
        values,
    }
}

/// A plan for these vectors with all guards as they are by default but `guards`.
fn guarded(lines: &str, guards: &str) -> String {
    let plan = table(&format!(
        "vocabulary = \"vectors\"\nvectors = \"v.txt\"\n{lines}"
    ));
    let end = plan.find("[synonyms.guards]").unwrap();
    format!("{}[synonyms.guards]\n{guards}\n", &plan[..end])
}

fn synonyms_of(dataset: &Dataset, word: &str) -> Vec<(String, Option<f32>, &'static str)> {
    let found = rows(dataset).into_iter().find(|(own, _)| own == word);
    found.map(|(_, synonyms)| synonyms).unwrap_or_default()
}

#[test]
fn each_guard_counts_what_it_refuses() {
    let place = Place::new("guards");
    place.write("v.txt", pairs().text());
    place.write("cilin.txt", CILIN);
    let lines = "dictionary = \"cilin.txt\"\nmerge = false";
    let make = |guards: &str| place.make_synonyms("data", &guarded(lines, guards), &[]);
    let count = |dataset: &Dataset, name: &str| {
        let count = dataset.manifest.counts.get(&format!("neighbors_{name}"));
        count.copied().unwrap_or_default()
    };
    let all = make("contains = true");
    for (name, _, pairs) in PAIRS {
        assert_eq!(count(&all, name), 2 * pairs.len() as u64, "{name}");
    }
    assert_eq!(count(&all, "contains"), 2);
    let left: Vec<String> = rows(&all).into_iter().map(|(word, _)| word).collect();
    assert_eq!(left, ["老师", "教师"]);
    let usual = make("");
    assert_eq!((count(&usual, "contains"), usual.manifest.rows), (0, 4));
    for (name, key, pairs) in PAIRS {
        let off = make(&format!("{key} = false"));
        assert_eq!(count(&off, name), 0, "{name}");
        assert_eq!(off.manifest.rows, 4 + 2 * pairs.len() as u64, "{name}");
        for pair in pairs {
            let (one, other) = pair.split_once(' ').unwrap();
            assert_eq!(synonyms_of(&off, one)[0].0, other);
        }
        for (other, _, pairs) in PAIRS.iter().filter(|(other, ..)| *other != name) {
            assert_eq!(count(&off, other), 2 * pairs.len() as u64, "{other}");
        }
    }
}

#[test]
fn lists_of_ones_own_are_added() {
    let place = Place::new("own-lists");
    place.write("v.txt", pairs().text());
    place.write("stop.txt", "\u{feff}# mine\n校園\r\n");
    place.write("antonyms.txt", "# mine\n老师 教师\n");
    let lines = "stop_words = \"stop.txt\"\nantonyms = \"antonyms.txt\"";
    let plan = guarded(lines, "part_of_speech = false");
    let dataset = place.make_synonyms("data", &plan, &[]);
    let counts = &dataset.manifest.counts;
    assert_eq!(counts["neighbors_stop_word"], 4 + 2);
    assert_eq!(counts["neighbors_antonym"], 6 + 2);
    let left: Vec<String> = rows(&dataset).into_iter().map(|(word, _)| word).collect();
    assert_eq!(left, ["学校", "奔跑", "苹果", "香蕉"]);
}

/// Four words near each other, and a list that names two more without vectors.
fn teachers(place: &Place) -> String {
    place.write(
        "v.txt",
        "老师 1 0.1\n教师 1 0.2\n先生 1 0.3\n讲师 1 0.4\n远处 -1 0\n",
    );
    place.write("list.txt", "老师\n教师\n先生\n讲师\n学者\n路人\n远处\n");
    place.write(
        "cilin.txt",
        "Aa01A01= 老师 学者 讲师 没列出\nAa01A02# 老师 先生\nAa01A03= 远处 之\n",
    );
    "vocabulary = \"list\"\nword_list = \"list.txt\"\nvectors = \"v.txt\"\n\
     dictionary = \"cilin.txt\"\nk = 3"
        .into()
}

#[test]
fn the_dictionary_comes_first() {
    let place = Place::new("merge");
    let lines = teachers(&place);
    let dataset = place.make_synonyms("data", &table(&lines), &[]);
    let texts = |dataset: &Dataset, word: &str| -> Vec<String> {
        let synonyms = synonyms_of(dataset, word).into_iter();
        let text = |(text, cosine, source): (String, Option<f32>, &str)| {
            format!("{text} {source} {}", cosine.is_some())
        };
        synonyms.map(text).collect()
    };
    // Nearest first, those without a vector last; only then the neighbours.
    assert_eq!(
        texts(&dataset, "老师"),
        [
            "讲师 dictionary true",
            "学者 dictionary false",
            "教师 vectors true"
        ]
    );
    assert_eq!(
        texts(&dataset, "学者"),
        ["老师 dictionary false", "讲师 dictionary false"]
    );
    assert_eq!(texts(&dataset, "教师").len(), 3);
    assert!(texts(&dataset, "路人").is_empty() && texts(&dataset, "远处").is_empty());
    let counts = &dataset.manifest.counts;
    assert_eq!(counts["words_named_only"], 1);
    assert_eq!(counts["synonyms_of_dictionary"], 6);
    assert_eq!(counts["neighbors_in_dictionary"], 2);
    let cosine = synonyms_of(&dataset, "老师")[0].1.unwrap();
    let wanted = 1.04 / (1.01f32 * 1.16).sqrt();
    assert!((cosine - wanted).abs() < 1e-5, "{cosine} {wanted}");
    let plain = place.make_synonyms("data", &table(&(lines + "\nmerge = false")), &[]);
    assert_eq!(plain.manifest.counts["synonyms_of_dictionary"], 0);
    assert_eq!(
        texts(&plain, "老师"),
        [
            "教师 vectors true",
            "先生 vectors true",
            "讲师 vectors true"
        ]
    );
    assert!(texts(&plain, "学者").is_empty());
}

#[test]
fn the_dictionary_judges_the_neighbours() {
    let place = Place::new("quality");
    let lines = teachers(&place);
    let report = |dataset: &Dataset| -> Value {
        let text = std::fs::read_to_string(dataset.dir.join("report.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let dataset = place.make_synonyms("data", &table(&lines), &[]);
    let quality = &report(&dataset)["quality"];
    assert_eq!(quality["words"], 6);
    // The three nearest of five words; the dictionary knows all of these words but 教师.
    let ranks = quality["by_rank"].as_array().unwrap();
    let sum = |key: &str| -> u64 { ranks.iter().map(|row| row[key].as_u64().unwrap()).sum() };
    assert_eq!((ranks.len(), sum("neighbors")), (3, 15));
    assert!(sum("judged") > 5 && sum("judged") < 15, "{quality}");
    let floors = quality["by_floor"].as_array().unwrap();
    let high = floors.last().unwrap();
    assert_eq!(high["floor"].as_f64().map(|floor| floor as f32), Some(0.9));
    // The four words with each other; six of those twelve directed pairs are known to it.
    assert_eq!(
        [&high["neighbors"], &high["judged"], &high["words"]],
        [&json!(12), &json!(6), &json!(4)]
    );
    let third = Some(2.0 / 6.0);
    assert_eq!(high["synonym_share"].as_f64(), third);
    assert_eq!(high["related_share"].as_f64(), third);
    let printed = place.make_synonyms("other", &table(&lines), &[]);
    assert_eq!(printed.bytes(), dataset.bytes());
    let run = place.synonyms("third", &[]).expect(0, &[]);
    for word in ["rank", "cosine", "floor", "judged", "of all"] {
        assert!(run.stdout.contains(word), "{run:?}");
    }
    let without = lines.replace("dictionary = \"cilin.txt\"\n", "");
    let dataset = place.make_synonyms("data", &table(&without), &[]);
    assert_eq!(report(&dataset)["quality"], Value::Null);
}

#[test]
fn luse_goes_in_and_comes_out_the_same() {
    let place = Place::new("luse");
    let text = "{\"高兴\": [\"愉快\", \"开心\"], \"\\\"引\\\\号\": [\"A b\", \"😀\"], \"医生\": [\"大夫\"]}";
    place.write("s.json", text);
    let dataset = place.make_synonyms("data", &table("import = \"s.json\""), &[]);
    assert_eq!(
        (dataset.manifest.rows, dataset.manifest.dropped.len()),
        (5, 0)
    );
    let show = || place.juzi(&["show", "data/synonyms", "--format", "luse"]);
    assert_eq!(show().expect(0, &[]).stdout, text);
    place.write("again.json", show().expect(0, &[]).stdout);
    let again = place.make_synonyms("data", &table("import = \"again.json\""), &[]);
    assert_eq!(again.manifest.rows_hash, dataset.manifest.rows_hash);
    assert!(rows(&again).iter().all(|(word, _)| has_letter(word)));
    // What the search made goes the same way, but for cosines and sources.
    place.write("v.txt", Vectors::usual().text());
    let lines = "vocabulary = \"vectors\"\nvectors = \"v.txt\"";
    let searched = place.make_synonyms("data", &table(lines), &[]);
    place.write("searched.json", show().expect(0, &[]).stdout);
    let taken = place.make_synonyms("data", &table("import = \"searched.json\""), &[]);
    let bare = |dataset: &Dataset| {
        let mut rows = rows(dataset);
        let synonyms = rows.iter_mut().flat_map(|(_, synonyms)| synonyms);
        synonyms.for_each(|(_, cosine, source)| (*cosine, *source) = (None, ""));
        rows
    };
    assert_eq!(bare(&taken), bare(&searched));
    assert_eq!(taken.dropped("unusable_synonym"), 0);
}

#[test]
fn luse_entries_that_are_none_stand_in_the_ledger() {
    let place = Place::new("luse-ledger");
    let text = "\u{feff}{\"好\": [\"好\", \"佳\", \" \", \"佳\", \"良\"], \"\": [\"空\"],\n \"好\": [\"善\"], \"独\": []}";
    place.write("s.json", text);
    let dataset = place.make_synonyms("data", &table("import = \"s.json\""), &[]);
    let show = place.juzi(&["show", "data/synonyms", "--format", "luse"]);
    assert_eq!(show.expect(0, &[]).stdout, "{\"好\": [\"佳\", \"良\"]}");
    assert_eq!(dataset.dropped("unusable_synonym"), 6);
    let ledger = dataset.values("SELECT reason, file, detail FROM dropped");
    let expected = [
        "好 -> 好: the synonym is the word itself",
        "好 ->  : the synonym is empty or white space",
        "好 -> 佳: the word has the synonym twice",
        ": the word is empty or white space",
        "好: the word was there before; its first synonyms are used",
        "独: the word has no synonym that can be used",
    ];
    let expected =
        expected.map(|detail| vec![json!("unusable_synonym"), json!("s.json"), json!(detail)]);
    assert_eq!(ledger, expected);
}

#[test]
fn a_word_has_at_most_255_synonyms() {
    let place = Place::new("many");
    let vectors = Vectors::usual();
    let all = serde_json::to_string(&vectors.words[..300]).unwrap();
    place.write("s.json", format!("{{\"好\": {all}}}"));
    let dataset = place.make_synonyms("data", &table("import = \"s.json\""), &[]);
    assert_eq!(
        (dataset.manifest.rows, dataset.dropped("unusable_synonym")),
        (255, 45)
    );
    let texts: Vec<String> = synonyms_of(&dataset, "好")
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(texts, vectors.words[..255]);
    place.write("v.txt", vectors.text());
    let lines = "k = 255\nneighbors = 300\ncosine_min = -1.0\nvocabulary = \"vectors\"\nvectors = \"v.txt\"";
    let dataset = place.make_synonyms("data", &table(lines), &[]);
    assert_eq!(dataset.manifest.rows, 600 * 255);
    assert_eq!(dataset.manifest.counts["neighbors_after_k"], 600 * 45);
}
