//! Corpora in their published layouts, written by the tests, and files that hold them.

use std::io::Write;

use arrow::array::{ArrayRef, Float32Array, StringArray};
use arrow::record_batch::RecordBatch;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::sync::Arc;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::support::Place;

/// A plan with these tables and lines below `[shards]`.
pub fn plan(corpora: &str, shards: &str) -> String {
    format!("name = \"it\"\n{corpora}\n[shards]\n{shards}\n")
}

/// A table of a plan; `lines` are more lines of it.
pub fn corpus(name: &str, reader: &str, lines: &str) -> String {
    format!("[[corpora]]\nname = \"{name}\"\nreader = \"{reader}\"\n{lines}\n")
}

/// JSON lines.
pub fn lines(documents: &[Value]) -> String {
    documents.iter().map(|value| format!("{value}\n")).collect()
}

/// A document of wiki2019zh.
pub fn wiki(title: &str, text: &str) -> Value {
    json!({"id": "53", "url": "https://zh.wikipedia.org/wiki?curid=53", "title": title, "text": text})
}

/// A document of news2016zh.
pub fn news(title: &str, desc: &str, content: &str) -> Value {
    json!({
        "news_id": "610130831", "keywords": "导游，门票", "title": title, "desc": desc,
        "source": "看看新闻", "time": "03-21 12:00", "content": content,
    })
}

/// A document of baike2018qa.
pub fn baike(title: &str, answer: &str, category: &str, qid: &str) -> Value {
    json!({"qid": qid, "category": category, "title": title, "desc": "", "answer": answer})
}

/// A document of webtext2019zh.
pub fn webtext(qid: u64, title: &str, content: &str, topic: &str) -> Value {
    json!({
        "qid": qid, "title": title, "desc": "", "topic": topic, "star": 3,
        "content": content, "answer_id": 1, "answerer_tags": "",
    })
}

/// A document of translation2019zh.
pub fn translation(chinese: &str, english: &str) -> Value {
    json!({"english": english, "chinese": chinese})
}

/// The same Chinese prose for the same number: `sentences` sentences of about 20 characters.
pub fn prose(number: u64, sentences: usize) -> String {
    const LETTERS: &str = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜\
                           金生丽水玉出昆冈剑号巨阙珠称夜光果珍李柰菜重芥姜海咸河淡鳞潜羽翔";
    let letters: Vec<char> = LETTERS.chars().filter(|c| !c.is_whitespace()).collect();
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    for _ in 0..sentences {
        for at in 0..20 {
            state = state.wrapping_mul(6_364_136_223_846_793_005) + 1_442_695_040_888_963_407;
            text.push(letters[(state >> 33) as usize % letters.len()]);
            if at == 9 {
                text.push('，');
            }
        }
        text.push('。');
    }
    text
}

/// gzip.
pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Zstandard.
pub fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// A zip of these members.
pub fn zip(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, content) in members {
        match name.strip_suffix('/') {
            Some(dir) => writer.add_directory(dir, options).unwrap(),
            None => {
                writer.start_file(*name, options).unwrap();
                writer.write_all(content).unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner()
}

/// A deflated zip of these members.
pub fn deflated(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip(members, CompressionMethod::Deflated)
}

/// A tar of these members.
pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Parquet with these columns of text and a last column `score`, in row groups of three rows.
pub fn parquet(names: [&str; 2], rows: &[(&str, &str, f32)]) -> Vec<u8> {
    let text = |pick: fn(&(&str, &str, f32)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(pick)))
    };
    let scores: ArrayRef = Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.2)));
    let columns = [
        (names[0], text(|row| row.0.into())),
        (names[1], text(|row| row.1.into())),
        ("score", scores),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = parquet::file::properties::WriterProperties::builder();
    let properties = properties.set_max_row_group_row_count(Some(3)).build();
    let mut bytes = Vec::new();
    let writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties));
    let mut writer = writer.unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// A corpus of every layout and container, with duplicates, two splits and bad lines; gives the
/// tables of the plan. The names of the directories are the caller's.
pub fn mixed(place: &Place, directory: &str) -> Vec<String> {
    let file = |name: &str, content: &[u8]| {
        place.write(&format!("{directory}/{name}"), content);
    };
    let mut articles: Vec<Value> = (0..60)
        .map(|at| news(&prose(at % 50, 1), "", &prose(at % 40 + 100, 4)))
        .collect();
    let near = |number| prose(number, 1).replace('。', "呀。");
    articles.extend((0..10).map(|at| news("", "", &near(at))));
    let bad = "{\"title\": \"半行\n\n";
    file("a/news_train.json", (lines(&articles) + bad).as_bytes());
    file("b/news_train.json", lines(&articles[30..]).as_bytes());
    file("news_valid.json", lines(&articles[..5]).as_bytes());
    let answers: Vec<Value> = (0..40)
        .map(|at| {
            baike(
                &prose(at % 30 + 200, 1),
                &prose(at % 20 + 300, 2),
                "健康",
                &format!("qid_{at}"),
            )
        })
        .collect();
    file("baike.json.gz", &gz(lines(&answers).as_bytes()));
    let web: Vec<Value> = (0..40)
        .map(|at| webtext(at / 3, &prose(at / 3 + 400, 1), &prose(at + 440, 2), "电影"))
        .collect();
    file("web.json.zst", &zst(lines(&web).as_bytes()));
    let pairs: Vec<Value> = (0..30)
        .map(|at| translation(&prose(at + 600, 1), &format!("Sentence number {at}.")))
        .collect();
    let both = [
        ("t_train.json", lines(&pairs)),
        ("t_valid.json", lines(&pairs[..4])),
    ];
    let members: Vec<(&str, &[u8])> = both.iter().map(|(n, t)| (*n, t.as_bytes())).collect();
    file("translation.zip", &deflated(&members));
    let shapes = [
        json!([prose(700, 1), prose(701, 1)]),
        json!([prose(702, 1), prose(703, 1), prose(704, 1)]),
        json!({"set": [prose(705, 1), prose(706, 1), prose(707, 1)]}),
        json!({"query": prose(708, 1), "pos": [prose(709, 1)], "neg": [prose(710, 1)]}),
    ];
    file(
        "pairs.tar.gz",
        &gz(&tar(&[("in/pairs.jsonl", lines(&shapes).as_bytes())])),
    );
    let table: String = (0..30)
        .map(|at| {
            format!(
                "{}\t{}\t{}\n",
                prose(at + 800, 1),
                prose(at + 840, 1),
                at % 2
            )
        })
        .collect();
    file("lcqmc.tsv", table.as_bytes());
    let nli: String = (0..20)
        .map(|at| {
            format!(
                "{},\"{}\",{}\n",
                prose(at + 900, 1),
                prose(at + 920, 1),
                prose(at + 940, 1)
            )
        })
        .collect();
    file("nli.csv", format!("sent0,sent1,hard_neg\n{nli}").as_bytes());
    let comments: String = (0..40).map(|at| prose(at % 35 + 1000, 2) + "\n").collect();
    file("comments.txt", comments.as_bytes());
    let (one, two) = (prose(1100, 1), prose(1101, 1));
    let rows = [
        (one.as_str(), two.as_str(), 0.5),
        (two.as_str(), one.as_str(), 1.0),
    ];
    file(
        "scored.parquet",
        &parquet(["sentence1", "sentence2"], &rows),
    );
    let columns = "columns = [\"sentence1\", \"sentence2\"";
    let at = |split: &str, name: &str| format!("{split} = [\"{directory}/{name}\"]\n");
    vec![
        corpus(
            "news",
            "news2016zh",
            &format!(
                "train = [\"{directory}/b/news_train.json\", \"{directory}/a/news_train.json\"]\n{}\
                 views = [\"sentences\", \"neighbors\"]",
                at("valid", "news_valid.json")
            ),
        ),
        corpus("baike", "baike2018qa", &at("train", "baike.json.gz")),
        corpus("web", "webtext2019zh", &at("train", "web.json.zst")),
        corpus(
            "translation",
            "translation2019zh",
            &(at("train", "translation.zip::*train*") + &at("valid", "translation.zip::*valid*")),
        ),
        corpus(
            "pairs",
            "embedding_training_data",
            &at("train", "pairs.tar.gz"),
        ),
        corpus(
            "lcqmc",
            "tsv",
            &format!("{}{columns}, \"label\"]", at("test", "lcqmc.tsv")),
        ),
        corpus("nli", "nli", &at("train", "nli.csv")),
        corpus("comments", "comments2019", &at("train", "comments.txt")),
        corpus(
            "scored",
            "parquet",
            &format!("{}{columns}, \"score\"]", at("train", "scored.parquet")),
        ),
    ]
}
