//! Views and layouts: which records each of them makes.

use serde_json::{Value, json};

use crate::fixtures::{baike, corpus, lines, parquet, plan, prose, translation, wiki};
use crate::support::{Dataset, Place};

fn strings(rows: Vec<Vec<Value>>) -> Vec<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(text).collect())
        .collect();
    rows.sort();
    rows
}

fn make(place: &Place, reader: &str, more: &str, shards: &str) -> Dataset {
    let table = corpus("c", reader, &format!("train = [\"c\"]\n{more}"));
    place.make(&plan(&table, shards))
}

#[test]
fn passages_lose_no_character() {
    let place = Place::new("passages");
    let long = "没有标点的长句子".repeat(20);
    let text = format!("{}\n\n{long}\n{}结尾", prose(1, 9), prose(2, 5));
    place.write("c", lines(&[wiki("题目在此", &text)]));
    for profile in ["luse", "default"] {
        let shards = format!(
            "profile = \"{profile}\"\n[shards.passages]\nchars_max = 50\n\
                              [shards.filters.repeats]\nenabled = false"
        );
        let dataset = make(&place, "wiki2019zh", "views = [\"passages\"]", &shards);
        let rows = dataset.values("SELECT text FROM rows ORDER BY position");
        let passages: Vec<&str> = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
        assert!(passages.iter().all(|passage| passage.chars().count() <= 50));
        let joined: String = passages.concat().split_whitespace().collect();
        let whole: String = format!("题目在此{text}").split_whitespace().collect();
        assert_eq!(joined, whole, "{profile}");
    }
}

#[test]
fn neighbors_are_adjacent_pieces() {
    let place = Place::new("neighbors");
    place.write(
        "c",
        lines(&[wiki("一个题目", "第一句在这。第二句在这！第三句在这？")]),
    );
    let views = "views = [\"neighbors(text)\"]";
    let shards = "[shards.neighbors]\npieces = \"sentences\"";
    let dataset = make(&place, "wiki2019zh", views, shards);
    let rows = strings(dataset.values("SELECT position, anchor, positive FROM rows"));
    let expected = [
        ["0", "第一句在这。", "第二句在这！"],
        ["1", "第二句在这！", "第三句在这？"],
    ];
    assert_eq!(rows, expected);
    let shards = "[shards.neighbors]\nchars_max = 12";
    let dataset = make(&place, "wiki2019zh", "views = [\"neighbors\"]", shards);
    let rows = strings(dataset.values("SELECT anchor, positive FROM rows"));
    let expected = [["一个题目\n第一句在这。", "第二句在这！第三句在这？"]];
    assert_eq!(rows, expected);
}

#[test]
fn questions_translations_and_columns() {
    let place = Place::new("pairs");
    let answer = "多喝热水。\n再好好睡一觉。";
    place.write(
        "c",
        lines(&[
            baike("感冒了怎么办", answer, "健康", "q1"),
            baike("没有回答", "", "", "q2"),
        ]),
    );
    let dataset = make(&place, "baike2018qa", "views = [\"title->answer\"]", "");
    let rows = strings(dataset.values("SELECT anchor, positive FROM rows"));
    assert_eq!(rows, [["感冒了怎么办", "多喝热水。 再好好睡一觉。"]]);
    assert_eq!(dataset.dropped("empty"), 1);
    place.write(
        "c",
        lines(&[translation("今天天气很好。", "It is a fine day today.")]),
    );
    let dataset = make(&place, "translation2019zh", "", "");
    let rows =
        strings(dataset.values("SELECT anchor, positive FROM rows WHERE anchor IS NOT NULL"));
    assert_eq!(rows, [["今天天气很好。", "It is a fine day today."]]);
    assert_eq!(dataset.column("text"), ["今天天气很好。"]);
    assert_eq!(
        dataset.manifest.kinds,
        [("pair".into(), 1), ("text".into(), 1)].into()
    );
}

#[test]
fn every_shape_of_embedding_training_data() {
    let place = Place::new("shapes");
    let shapes = [
        json!(["问题一在这里", "回答一在这里"]),
        json!(["问题二在这里", "回答二在这里", "反例二在这里"]),
        json!({"set": ["同义甲在这里", "同义乙在这里", "同义丙在这里"]}),
        json!({"query": "问题三在这里", "pos": ["回答三在这里", "回答四在这里"], "neg": ["反例三在这里", "反例四在这里"]}),
        json!({"query": "问题五在这里", "pos": ["回答五在这里"]}),
        json!({"guid": 5, "texts": ["问题六在这里", "回答六在这里"]}),
        json!({"context": "上文七在这里", "response": "下文七在这里"}),
        json!({"other": 1}),
        json!(["只有一个"]),
    ];
    place.write("c", lines(&shapes));
    let dataset = make(
        &place,
        "embedding_training_data",
        "",
        "dropped_ratio_max = 1.0",
    );
    let query = "SELECT anchor, positive, negatives FROM rows";
    let rows = strings(dataset.values(query));
    let expected = [
        ["下文七在这里", "上文七在这里", "null"],
        ["同义乙在这里", "同义丙在这里", "null"],
        ["同义甲在这里", "同义乙在这里", "null"],
        ["问题一在这里", "回答一在这里", "null"],
        [
            "问题三在这里",
            "回答三在这里",
            "[\"反例三在这里\",\"反例四在这里\"]",
        ],
        [
            "问题三在这里",
            "回答四在这里",
            "[\"反例三在这里\",\"反例四在这里\"]",
        ],
        ["问题二在这里", "回答二在这里", "[\"反例二在这里\"]"],
        ["问题五在这里", "回答五在这里", "null"],
        ["问题六在这里", "回答六在这里", "null"],
    ];
    assert_eq!(rows, expected);
    let groups = dataset.values("SELECT group_key FROM rows WHERE anchor = '问题六在这里'");
    assert_eq!(groups, [vec![json!("5")]]);
    let query = "SELECT COUNT(*) AS n FROM rows WHERE anchor = '问题三在这里' GROUP BY group_key";
    assert_eq!(dataset.values(query), [vec![json!(2)]]);
    assert_eq!(dataset.dropped("wrong_columns"), 2);
}

#[test]
fn tables_give_scored_labelled_and_triplets() {
    let place = Place::new("tables");
    place.write("c", "喜欢打篮球的男生\t爱打篮球的男生\t1\n我手机丢了怎么办\t我想换个手机\t0\n没有分数的句子\t另外一个句子\t无\n");
    let columns = "columns = [\"sentence1\", \"sentence2\", \"label\"]";
    let dataset = make(&place, "tsv", columns, "dropped_ratio_max = 1.0");
    let rows = strings(dataset.values("SELECT sentence1, sentence2, score FROM rows"));
    let expected = [
        ["喜欢打篮球的男生", "爱打篮球的男生", "1.0"],
        ["我手机丢了怎么办", "我想换个手机", "0.0"],
    ];
    assert_eq!(rows, expected);
    assert_eq!(dataset.dropped("bad_score"), 1);
    place.write(
        "c",
        "sent0,sent1,hard_neg\n\"他，在家\"\"里\"\"吃饭\",他在吃晚饭,他在公司上班\n",
    );
    let dataset = make(&place, "nli", "", "");
    let rows = strings(dataset.values("SELECT anchor, positive, negatives FROM rows"));
    assert_eq!(
        rows,
        [["他，在家\"里\"吃饭", "他在吃晚饭", "[\"他在公司上班\"]"]]
    );
    place.write(
        "c",
        "text\tlabel\n今天股市又跌了\t财经\n主队赢了比赛\t体育\n",
    );
    let dataset = make(
        &place,
        "tsv",
        "columns = [\"text\", \"label\"]\nheader = true",
        "",
    );
    let rows = strings(dataset.values("SELECT text, label FROM rows"));
    assert_eq!(rows, [["主队赢了比赛", "体育"], ["今天股市又跌了", "财经"]]);
    place.write(
        "c",
        "第一段的第一行，\n第一段的第二行。\n\n第二段在这里。\n",
    );
    let dataset = make(
        &place,
        "text",
        "paragraphs = true\nviews = [\"passages\"]",
        "",
    );
    assert_eq!(dataset.manifest.counts["documents_in"], 2);
    assert_eq!(dataset.manifest.rows, 2);
}

#[test]
fn parquet_and_json_lines_name_their_columns() {
    let place = Place::new("columns");
    let rows: Vec<(&str, &str, f32)> = vec![
        ("第一个句子", "第二个句子", 0.25),
        ("第三个句子", "第四个句子", 5.0),
        ("第五个句子", "", 1.0),
        ("第七个句子", "第八个句子", 2.5),
    ];
    place.write("c", parquet(["sentence1", "sentence2"], &rows));
    let columns = "columns = [\"sentence1\", \"sentence2\", \"score\"]";
    let dataset = make(&place, "parquet", columns, "unit_bytes = \"1KiB\"");
    let found = strings(dataset.values("SELECT sentence1, score FROM rows"));
    assert_eq!(
        found,
        [
            ["第一个句子", "0.25"],
            ["第七个句子", "2.5"],
            ["第三个句子", "5.0"]
        ]
    );
    let ledger = dataset.values("SELECT reason, line FROM dropped");
    assert_eq!(ledger, [vec![json!("empty"), json!(3)]]);
    place.write(
        "c",
        lines(&[json!({"body": "正文里的句子。", "n": 1, "name": "名字里的句子。"})]),
    );
    let columns = "columns = [\"name\", \"body\"]\nviews = [\"name->body\", \"sentences(body)\"]";
    let dataset = make(&place, "jsonl", columns, "");
    assert_eq!(dataset.column("anchor"), ["名字里的句子。"]);
    assert_eq!(dataset.column("text"), ["正文里的句子。"]);
}

#[test]
fn an_unwanted_negative_goes_alone() {
    let place = Place::new("negatives");
    let lines = [
        r#"{"query": "如何学习英语口语呢", "pos": ["多听多说多练习就好"], "neg": ["短", "今天的天气非常好"]}"#,
        r#"{"query": "怎么办理护照最快呢", "pos": ["去出入境大厅办理吧"], "neg": ["短"]}"#,
    ];
    place.write("triplets.jsonl", lines.join("\n"));
    let table = corpus(
        "c",
        "embedding_training_data",
        "train = [\"triplets.jsonl\"]",
    );
    let dataset = place.make(&plan(&table, ""));
    let kinds = &dataset.manifest.kinds;
    assert_eq!((kinds["triplet"], kinds["pair"]), (1, 1));
    assert_eq!(dataset.dropped("too_short"), 2);
    assert_eq!(
        dataset.sql("SELECT detail FROM dropped"),
        [json!({"detail": "短"}), json!({"detail": "短"})]
    );
}

#[test]
fn passages_longer_than_the_filter_allows_are_refused() {
    let place = Place::new("lengths");
    place.write("text.txt", "一句话。\n");
    let table = corpus(
        "c",
        "text",
        "train = [\"text.txt\"]\nviews = [\"passages\"]",
    );
    place.write("plan.toml", plan(&table, "passages = { chars_max = 2000 }"));
    let run = place.juzi(&["shards", "plan.toml"]);
    run.expect(
        1,
        &["passages.chars_max is 2000", "filters.length.chars_max"],
    );
}
