//! Who is kept of equal records, and which corpus and split they belong to.

use serde_json::json;

use crate::fixtures::{baike, corpus, lines, plan, webtext, wiki};
use crate::support::Place;

#[test]
fn a_text_of_valid_is_not_in_train() {
    let place = Place::new("splits");
    place.write(
        "a.json",
        lines(&[wiki("", "大家都有的一句话。只在训练里的一句话。")]),
    );
    place.write(
        "b.json",
        lines(&[wiki("", "大家都有的一句话。只在验证里的一句话。")]),
    );
    place.write(
        "c.json",
        lines(&[wiki("", "大家都有的一句话。只在测试里的一句话。")]),
    );
    let two = corpus(
        "c",
        "wiki2019zh",
        "train = [\"a.json\"]\nvalid = [\"b.json\"]",
    );
    let dataset = place.make(&plan(&two, ""));
    let rows = dataset.values("SELECT split, text FROM rows ORDER BY text");
    let expected = [
        vec![json!("train"), json!("只在训练里的一句话。")],
        vec![json!("valid"), json!("只在验证里的一句话。")],
        vec![json!("valid"), json!("大家都有的一句话。")],
    ];
    assert_eq!(rows, expected);
    let drop = dataset.values("SELECT split, file, keeper FROM dropped");
    let id = dataset.values("SELECT id FROM rows WHERE text = '大家都有的一句话。'");
    assert_eq!(
        drop,
        [vec![json!("train"), json!("a.json"), id[0][0].clone()]]
    );
    // Across corpora too, whatever their names.
    let other = corpus("a", "wiki2019zh", "train = [\"a.json\"]")
        + &corpus("b", "wiki2019zh", "valid = [\"b.json\"]")
        + &corpus("z", "wiki2019zh", "test = [\"c.json\"]");
    let dataset = place.make(&plan(&other, ""));
    let query = "SELECT split, corpus FROM rows WHERE text = '大家都有的一句话。'";
    assert_eq!(dataset.values(query), [vec![json!("test"), json!("z")]]);
    assert_eq!(dataset.dropped("duplicate"), 2);
}

#[test]
fn exact_duplicates_name_their_keeper() {
    let place = Place::new("duplicates");
    place.write(
        "a.json",
        lines(&[wiki("", "第一句话在这里。第二句话在这里。")]),
    );
    let twice = "第二句话在这里。第三句话在这里。第三句话在这里。";
    place.write("b.json", lines(&[wiki("", twice), wiki("", twice)]));
    let tables = corpus("one", "wiki2019zh", "train = [\"a.json\"]")
        + &corpus("two", "wiki2019zh", "train = [\"b.json\"]");
    let dataset = place.make(&plan(&tables, ""));
    assert_eq!(
        (dataset.manifest.rows, dataset.dropped("duplicate")),
        (3, 5)
    );
    let query = "SELECT rows.text AS text, dropped.corpus AS corpus, COUNT(*) AS n FROM dropped \
                 JOIN rows ON rows.id = dropped.keeper GROUP BY rows.text, dropped.corpus ORDER BY n";
    let expected = [
        vec![json!("第二句话在这里。"), json!("two"), json!(2)],
        vec![json!("第三句话在这里。"), json!("two"), json!(3)],
    ];
    assert_eq!(dataset.values(query), expected);
    let kept = dataset.values("SELECT corpus FROM rows WHERE text = '第二句话在这里。'");
    assert_eq!(kept, [vec![json!("one")]]);
    // Case and white space make no difference to the default profile, and do to LUSE's.
    place.write(
        "b.json",
        lines(&[wiki("", "这是 Rust 语言。"), wiki("", "这是 rust语言。")]),
    );
    let table = corpus("c", "wiki2019zh", "train = [\"b.json\"]");
    assert_eq!(place.make(&plan(&table, "")).manifest.rows, 1);
    assert_eq!(
        place
            .make(&plan(&table, "profile = \"luse\""))
            .manifest
            .rows,
        2
    );
}

#[test]
fn topics_and_groups_come_from_the_corpus() {
    let place = Place::new("topics");
    place.write(
        "b.json",
        lines(&[baike(
            "怎么学会游泳",
            "多练习就可以学会。",
            "健康-运动",
            "qid_9",
        )]),
    );
    let answers = [
        webtext(7, "怎么做饭比较好吃", "先把米淘洗干净。", "生活"),
        webtext(7, "怎么做饭比较好吃", "再往锅里放点水。", "生活"),
        webtext(8, "今天应该吃什么", "随便吃一点就好。", ""),
    ];
    place.write("w.json", lines(&answers));
    let tables = corpus("b", "baike2018qa", "train = [\"b.json\"]")
        + &corpus(
            "w",
            "webtext2019zh",
            "train = [\"w.json\"]\nviews = [\"title->content\"]",
        );
    let dataset = place.make(&plan(&tables, ""));
    let query = "SELECT topic_key, group_key, positive FROM rows WHERE anchor IS NOT NULL ORDER BY positive";
    let row =
        |topic: serde_json::Value, group: &str, text: &str| vec![topic, json!(group), json!(text)];
    let expected = [
        row(json!("生活"), "7", "先把米淘洗干净。"),
        row(json!("生活"), "7", "再往锅里放点水。"),
        row(json!("健康-运动"), "qid_9", "多练习就可以学会。"),
        row(json!(null), "8", "随便吃一点就好。"),
    ];
    assert_eq!(dataset.values(query), expected);
    let query = "SELECT topic_key, group_key FROM rows WHERE text = '怎么学会游泳'";
    assert_eq!(
        dataset.values(query),
        [vec![json!("健康-运动"), json!("qid_9")]]
    );
}
