//! Tests of the leak report: texts that were planted in a dataset, and some that were not.

use juzi_schemas::record::{Kind, Split};

use super::{Leaks, fold, search};
use crate::loader::fixtures::{Place, Row, made_up, shards};

fn folded(text: &str) -> String {
    let mut folded = Vec::new();
    fold(text, &mut folded);
    folded.into_iter().collect()
}

#[test]
fn letters_and_digits_stay_in_one_form() {
    assert_eq!(folded(" “Ａｂｃ－１２３”，你好！\n"), "abc123你好");
    assert_eq!(folded("……——　。？"), "");
    assert_eq!(folded("Café İstanbul 人々は〇"), "caféistanbul人々は〇");
}

#[test]
fn planted_texts_are_found_and_no_others() {
    let place = Place::new();
    let pair = |id, texts: [&str; 2]| Row::new(id, Kind::Pair, &texts);
    let mut rows = vec![
        pair(1, ["医疗保险，由公司支付吗？", "不支付"]),
        pair(
            2,
            [
                "另一个问题",
                "常言道：“如何取得租金保险（ＡＢＣ）”，就是这样。",
            ],
        ),
        pair(3, ["短的话里有人寿保险", "如何取得租金保险"]),
        pair(4, ["哪里可以买长期护理保险呢", "测试里的"]),
    ];
    rows[3].split = Split::Test;
    let further = vec![pair(5, ["医疗保险由公司支付吗", "好的"])];
    let dataset = shards(
        &place.path("data"),
        Kind::Pair,
        true,
        &[vec![rows, further]],
    );
    let one = vec![
        // Equal but for signs, twice with other signs, which is one text.
        "医疗保险由公司支付吗？",
        "医疗保险 由公司 支付吗",
        // Whole inside a longer one.
        "如何取得租金保险(abc)",
        // Inside a longer one, but too short to be searched there.
        "人寿保险",
        // Only its beginning is there.
        "如何取得租金保险abc和更多",
        // In the test split, which no training sees.
        "哪里可以买长期护理保险呢",
        // Too short for anything.
        "好的",
    ];
    let tasks = [
        ("one", one),
        ("two", vec!["如何取得租金保险", "不在里面的一句话"]),
    ];
    let found = search(&tasks, std::slice::from_ref(&dataset)).unwrap();
    let one = &found["one"];
    assert_eq!((one.texts, one.equal, one.held, one.short), (5, 1, 1, 1));
    assert_eq!(one.share, 0.4);
    let examples: Vec<(&str, &str)> = one
        .examples
        .iter()
        .map(|example| (example.text.as_str(), example.training.as_str()))
        .collect();
    assert_eq!(
        examples,
        [
            ("医疗保险由公司支付吗？", "医疗保险，由公司支付吗？"),
            (
                "如何取得租金保险(abc)",
                "常言道：“如何取得租金保险（ＡＢＣ）”，就是这样。"
            ),
        ]
    );
    assert_eq!(one.examples[0].dataset, dataset);
    let two = &found["two"];
    assert_eq!((two.texts, two.equal, two.held, two.short), (2, 1, 0, 0));
}

#[test]
fn runs_anywhere_in_a_text_are_found() {
    let place = Place::new();
    let letters: Vec<char> = ('\u{4e00}'..).take(60).collect();
    let training: String = letters.iter().collect();
    let row = Row::new(1, Kind::Text, &[&training]);
    let dataset = shards(&place.path("data"), Kind::Text, true, &[vec![vec![row]]]);
    let runs: Vec<String> = (10..60)
        .flat_map(|length| letters.windows(length))
        .map(|run| run.iter().collect())
        .collect();
    let texts: Vec<&str> = runs.iter().map(String::as_str).collect();
    let found = search(&[("all", texts)], &[dataset]).unwrap();
    assert_eq!((found["all"].equal, found["all"].held), (0, runs.len()));
}

#[test]
fn without_leaks_there_are_none() {
    let place = Place::new();
    let dataset = shards(&place.path("data"), Kind::Text, true, &[vec![made_up(50)]]);
    let found = search(
        &[
            ("none", vec!["保险问题的一个答案在这里"]),
            ("empty", vec![]),
        ],
        &[dataset],
    );
    let found = found.unwrap();
    let none = Leaks {
        texts: 1,
        ..Leaks::default()
    };
    assert_eq!(
        (&found["none"], &found["empty"]),
        (&none, &Leaks::default())
    );
    let missing = search(&[], &[place.path("nowhere")]).unwrap_err();
    assert!(missing.to_string().contains("nowhere"), "{missing}");
}
