//! The stage `shards` on small corpora: what is kept, what is dropped, and why.

use std::collections::{BTreeMap, BTreeSet};

use juzi_pipeline::text::minhash::{MinHashScratch, MinHasher, NearOptions};
use serde_json::{Value, json};

use crate::fixtures::{corpus, lines, mixed, news, plan, prose, wiki};
use crate::support::Place;

/// The rule of the LUSE script: split at eight marks, delete white space, keep two characters.
pub fn luse_rule(text: &str) -> Vec<String> {
    let space = |c: &char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(c);
    let pieces = text.split(['\n', '\r', '。', '？', '！', '.', '?', '!']);
    let pieces = pieces.map(|piece| piece.chars().filter(|c| !space(c)).collect::<String>());
    pieces.filter(|piece| piece.chars().count() > 1).collect()
}

fn single(reader: &str, shards: &str) -> String {
    plan(&corpus("c", reader, "train = [\"c.json\"]"), shards)
}

#[test]
fn luse_is_the_published_rule() {
    let place = Place::new("luse");
    let documents = [
        news(
            "圆周率是3.14吗？对！",
            "省略……还没完",
            "第一句。第二句\u{3000}有\u{a0}空\t格\u{2003}在\u{1f}里面！\r\n单。?!.三．没断…… 一\u{85}二",
        ),
        news(
            "Hello World. ok",
            "第一句",
            "\u{200b}零宽留下。<b>标签</b>也留下！",
        ),
        news("", "", "甲 。 乙\n  \n丙丁\r戊己"),
    ];
    place.write("c.json", lines(&documents));
    let dataset = place.make(&single("news2016zh", "profile = \"luse\""));
    let mut golden = [
        "圆周率是3",
        "14吗",
        "省略……还没完",
        "第一句",
        "第二句有空格在里面",
        "三．没断……一二",
        "HelloWorld",
        "ok",
        "\u{200b}零宽留下",
        "<b>标签</b>也留下",
        "丙丁",
        "戊己",
    ];
    golden.sort_unstable();
    assert_eq!(dataset.texts(), golden);
    assert_eq!(dataset.dropped("too_short"), 4);
    assert_eq!(dataset.dropped("duplicate"), 1);
    let fields = |document: &Value| {
        let field = |name: &str| document[name].as_str().unwrap().to_string();
        ["title", "desc", "content"].map(field)
    };
    let rule = documents
        .iter()
        .flat_map(fields)
        .flat_map(|text| luse_rule(&text));
    assert_eq!(
        rule.collect::<BTreeSet<_>>(),
        dataset.texts().into_iter().collect()
    );
}

#[test]
fn default_cleans_splits_and_filters() {
    let place = Place::new("default");
    let text = "圆周率是 ３.14 左右，大家都知道。<br>今天天气很好……我们出去玩吧！好的。\
                责任编辑：张三李四\n12345678901234567890\nThis line has no Chinese in it.\n\
                “真的吗？”他问了两遍。联系电话：13912345678，请打电话给我们。哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈";
    place.write("c.json", lines(&[wiki("数学", text)]));
    let dataset = place.make(&single("wiki2019zh", ""));
    let mut expected = [
        "圆周率是3.14左右，大家都知道。",
        "今天天气很好……",
        "我们出去玩吧！",
        "“真的吗？”",
        "他问了两遍。",
    ];
    expected.sort_unstable();
    assert_eq!(dataset.texts(), expected);
    for reason in [
        "too_short",
        "boilerplate",
        "low_han_share",
        "contact",
        "repeated_characters",
    ] {
        assert!(
            dataset.dropped(reason) > 0,
            "{reason}: {:?}",
            dataset.manifest.dropped
        );
    }
    let reasons = dataset.values("SELECT reason, detail FROM dropped");
    assert!(
        reasons.contains(&vec![json!("too_short"), json!("数学")]),
        "{reasons:?}"
    );
}

#[test]
fn words_add_up_to_the_characters_of_every_text() {
    let place = Place::new("words");
    let tables = mixed(&place, "in").concat();
    let dataset = place.make(&plan(&tables, "words = true\ndropped_ratio_max = 1.0"));
    for (number, columns) in [
        ("text", vec!["text"]),
        ("pair", vec!["anchor", "positive"]),
        ("scored", vec!["sentence1", "sentence2"]),
        ("triplet", vec!["anchor", "positive", "negatives"]),
    ] {
        assert!(dataset.manifest.kinds[number] > 0);
        let wanted = columns.iter().map(|name| format!("{name} IS NOT NULL"));
        let wanted = wanted.collect::<Vec<_>>().join(" AND ");
        for row in dataset.sql(&format!("SELECT * FROM rows WHERE {wanted}")) {
            let triplet = number != "triplet" && !row["negatives"].is_null();
            let words = row["words"].as_array().unwrap().iter();
            let lengths: u64 = words.map(|length| length.as_u64().unwrap()).sum();
            let chars = |text: &Value| text.as_str().unwrap().chars().count() as u64;
            let count = |name: &&str| match row[*name].as_array() {
                Some(list) => list.iter().map(chars).sum::<u64>(),
                None => chars(&row[*name]),
            };
            let expected: u64 = columns.iter().map(count).sum();
            assert!(triplet || lengths == expected, "{row}");
        }
    }
}

#[test]
fn near_duplicates_follow_the_bands_and_the_rank() {
    let place = Place::new("near");
    let mut articles = Vec::new();
    for number in 0..40 {
        let text = prose(number, 3).replace('。', "，");
        articles.push(wiki("", &text));
        let other: String = text.chars().skip(2).collect();
        articles.push(wiki("", &(format!("变化{number}次") + &other)));
        if number % 4 == 0 {
            articles.push(wiki("", &format!("{text}以上就是全部内容了")));
        }
    }
    place.write("train.json", lines(&articles[7..]));
    place.write("valid.json", lines(&articles[..7]));
    let files = "train = [\"train.json\"]\nvalid = [\"valid.json\"]";
    let options = NearOptions {
        enabled: true,
        bands: 20,
        rows: 4,
        ..NearOptions::default()
    };
    let table = |enabled: bool| {
        let near = format!("[shards.near_duplicates]\nenabled = {enabled}\nbands = 20\nrows = 4");
        format!(
            "seed = 7\n{}",
            plan(&corpus("c", "wiki2019zh", files), &near)
        )
    };
    let all = place.make_in("all", &table(false), &[]);
    let rows = all.values("SELECT split, id, text FROM rows");
    let hasher = MinHasher::new(&options, 7);
    let mut bands: BTreeMap<u64, Vec<(u8, String)>> = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let mut ranked = BTreeMap::new();
    for row in &rows {
        let rank = (u8::from(row[0] == "train"), text(&row[1]).to_lowercase());
        let mut keys = Vec::new();
        hasher.bands(
            &[row[2].as_str().unwrap()],
            &mut keys,
            &mut MinHashScratch::default(),
        );
        for key in &keys {
            bands.entry(*key).or_default().push(rank.clone());
        }
        ranked.insert(rank, keys);
    }
    let mut expected = BTreeMap::new();
    for (rank, keys) in &ranked {
        let others = keys.iter().flat_map(|key| &bands[key]);
        if let Some(keeper) = others.filter(|other| *other < rank).min() {
            expected.insert(rank.1.clone(), keeper.1.clone());
        }
    }
    assert!(expected.len() > 20, "{}", expected.len());
    let near = place.make_in("near", &table(true), &["--threads", "2"]);
    let kept: BTreeSet<u128> = ranked
        .keys()
        .map(|rank| id(&rank.1))
        .filter(|id_| !expected.keys().any(|dropped| id(dropped) == *id_))
        .collect();
    assert_eq!(near.ids(), kept);
    let mut keepers: Vec<String> = near
        .values("SELECT keeper FROM dropped WHERE reason = 'near_duplicate'")
        .iter()
        .map(|row| text(&row[0]).to_lowercase())
        .collect();
    keepers.sort();
    let mut wanted: Vec<String> = expected.into_values().collect();
    wanted.sort();
    assert_eq!(keepers, wanted);
}

fn id(hexadecimal: &str) -> u128 {
    u128::from_str_radix(hexadecimal, 16).unwrap()
}

#[test]
fn texts_of_evaluation_sets_stay_out() {
    let place = Place::new("leaks");
    let secret = "中国的首都是北京，它有三千多年的建城历史和八百年的建都历史";
    let near = "中国的首都是北京，它有三千多年的建城历史和六百年的建都历史";
    let texts = [
        secret,
        near,
        "一个完全没有关系的句子，谁也不认识它",
        "明天会下雨吗",
    ];
    let inside = format!("大家知道，{secret}，对不对");
    let mut documents: Vec<Value> = texts.iter().map(|text| wiki("", text)).collect();
    documents.push(wiki("", &inside));
    place.write("c.json", lines(&documents));
    place.write("eval.tsv", format!("{secret}\t明天会下雨吗\t0\n"));
    let evaluation = "[[evaluation]]\nname = \"set\"\nreader = \"tsv\"\nfiles = [\"eval.tsv\"]\n\
                      columns = [\"sentence1\", \"sentence2\", \"label\"]\n";
    let tables = corpus("c", "wiki2019zh", "train = [\"c.json\"]") + evaluation;
    let dataset = place.make(&plan(&tables, ""));
    assert_eq!(dataset.texts(), ["一个完全没有关系的句子，谁也不认识它"]);
    assert_eq!(dataset.dropped("leak"), 3);
    assert_eq!(dataset.dropped("near_leak"), 1);
    let inputs: Vec<&str> = dataset
        .manifest
        .inputs
        .iter()
        .map(|i| i.corpus.as_str())
        .collect();
    assert_eq!(inputs, ["c", "evaluation/set"]);
    place.write("plan.toml", plan(&tables.replace("eval.tsv", "c.json"), ""));
    place
        .shards("data", &[])
        .expect(1, &["c.json", "line 1", "1 column, expected 3"]);
    place.write("eval.tsv", "短\t短\t0\n");
    place.write("plan.toml", plan(&tables, ""));
    place
        .shards("data", &[])
        .expect(1, &["[[evaluation]] hold no text"]);
}
