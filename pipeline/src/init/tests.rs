//! Tests of the whole of `juzi init`, on files written here.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::plan;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("juzi-init-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Folder {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn zip(&self, name: &str, members: &[(&str, &str)]) -> &Folder {
        let mut writer = zip::ZipWriter::new(fs::File::create(self.0.join(name)).unwrap());
        for (member, content) in members {
            writer
                .start_file(*member, zip::write::SimpleFileOptions::default())
                .unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        self
    }

    fn text(&self) -> String {
        plan(std::slice::from_ref(&self.0), Some("test"), "default").unwrap()
    }

    /// The corpora of the plan, by name.
    fn corpora(&self) -> Vec<toml::Table> {
        corpora(&self.text())
    }
}

fn corpora(text: &str) -> Vec<toml::Table> {
    let table: toml::Table = text
        .parse()
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let list = table["corpora"].as_array().unwrap();
    list.iter()
        .map(|corpus| corpus.as_table().unwrap().clone())
        .collect()
}

fn texts(corpus: &toml::Table, key: &str) -> Vec<String> {
    let base = |text: &toml::Value| {
        let text = text.as_str().unwrap();
        if key == "columns" || key == "views" {
            text.to_string()
        } else {
            text.rsplit('/').next().unwrap().to_string()
        }
    };
    corpus
        .get(key)
        .map(|list| list.as_array().unwrap().iter().map(base).collect())
        .unwrap_or_default()
}

/// Name, reader, views.
fn short(corpora: &[toml::Table]) -> Vec<(String, String, Vec<String>)> {
    let text = |corpus: &toml::Table, key: &str| corpus[key].as_str().unwrap().to_string();
    corpora
        .iter()
        .map(|corpus| {
            (
                text(corpus, "name"),
                text(corpus, "reader"),
                texts(corpus, "views"),
            )
        })
        .collect()
}

fn one(folder: &Folder) -> toml::Table {
    let mut corpora = folder.corpora();
    assert_eq!(corpora.len(), 1, "{}", folder.text());
    corpora.remove(0)
}

fn row(name: &str, reader: &str, views: &[&str]) -> (String, String, Vec<String>) {
    (
        name.into(),
        reader.into(),
        views.iter().map(|view| view.to_string()).collect(),
    )
}

const NEWS: &str = "{\"news_id\": \"1\", \"keywords\": \"\", \"title\": \"标题\", \"desc\": \"\", \"source\": \"报\", \"time\": \"\", \"content\": \"内容。\"}\n";
const BAIKE: &str = "{\"qid\": \"qid_1\", \"category\": \"健康\", \"title\": \"问题\", \"desc\": \"\", \"answer\": \"回答。\"}\n";
const WEBTEXT: &str = "{\"qid\": 1, \"title\": \"问题\", \"desc\": \"\", \"topic\": \"电影\", \"star\": 3, \"content\": \"回答。\", \"answer_id\": 2, \"answerer_tags\": \"\"}\n";
const WIKI: &str = "{\"id\": \"53\", \"url\": \"https://a\", \"title\": \"经济学\", \"text\": \"经济学\\n\\n经济学是一门科学。\"}\n";
const TRANSLATION: &str = "{\"english\": \"A bird.\", \"chinese\": \"一只鸟。\"}\n";

#[test]
fn the_five_corpora_have_two_layouts_of_names() {
    let folder = Folder::new("five");
    folder
        .write("new2016zh/news2016zh_train.json", NEWS)
        .write("new2016zh/news2016zh_valid.json", NEWS);
    folder
        .write("baike2018qa/baike_qa_train.json", BAIKE)
        .write("webtext2019zh/web_text_zh_train.json", WEBTEXT);
    folder
        .write("webtext2019zh/web_text_zh_valid.json", WEBTEXT)
        .write("webtext2019zh/web_text_zh_testa.json", WEBTEXT);
    folder.write(
        "translation2019zh/translation2019zh_train.json",
        TRANSLATION,
    );
    folder
        .write("wiki_zh/AA/wiki_00", WIKI)
        .write("wiki_zh/AA/wiki_01", WIKI)
        .write("wiki_zh/AB/wiki_00", WIKI);
    folder
        .write("wiki_zh/AB/wiki_01", WIKI)
        .write("wiki_zh_2019/AA/wiki_00", WIKI)
        .write("comments2019/1.txt", "很好。\n不错！\n");
    folder
        .write("README.md", "# 说明")
        .write(".hidden.json", NEWS)
        .write("run.py", "print('中文')");
    let corpora = folder.corpora();
    let expected = [
        row(
            "baike2018qa",
            "baike2018qa",
            &["sentences", "title->answer"],
        ),
        row("comments2019", "comments2019", &["sentences"]),
        row("news2016zh", "news2016zh", &["sentences"]),
        row(
            "translation2019zh",
            "translation2019zh",
            &["sentences", "chinese->english"],
        ),
        row(
            "webtext2019zh",
            "webtext2019zh",
            &["sentences", "title->content"],
        ),
        row("wiki2019zh", "wiki2019zh", &["sentences"]),
    ];
    assert_eq!(short(&corpora), expected);
    assert_eq!(texts(&corpora[4], "test"), ["web_text_zh_testa.json"]);
    assert_eq!(texts(&corpora[4], "valid"), ["web_text_zh_valid.json"]);
    assert!(
        corpora[5]["train"][0]
            .as_str()
            .unwrap()
            .ends_with("/**/wiki_0*")
            || corpora[5]["train"][0]
                .as_str()
                .unwrap()
                .ends_with("/**/wiki_*")
    );
    assert!(!folder.text().contains("Not recognised"));
    let luse = plan(std::slice::from_ref(&folder.0), Some("test"), "luse").unwrap();
    assert!(
        super::tests::corpora(&luse)
            .iter()
            .all(|corpus| texts(corpus, "views") == ["sentences"])
    );
}

#[test]
fn content_outweighs_names() {
    let folder = Folder::new("claims");
    folder
        .write("news2016zh_train.json", BAIKE)
        .write("baike_qa_valid.txt", "第一行。\n第二行。\n");
    let text = folder.text();
    let found = corpora(&text);
    assert_eq!(
        short(&found)[0],
        row(
            "baike2018qa",
            "baike2018qa",
            &["sentences", "title->answer"]
        )
    );
    assert_eq!(short(&found)[1], row("baike_qa", "text", &["sentences"]));
    assert!(
        text.contains("news2016zh_train.json says news2016zh; the content is: baike2018qa"),
        "{text}"
    );
    assert!(text.contains("baike_qa_valid.txt says baike2018qa; the content is: plain text"));
}

#[test]
fn tables_are_told_by_their_values() {
    let folder = Folder::new("tables");
    folder.write(
        "lcqmc/train.tsv",
        "大家觉得她好看吗\t大家觉得跑男好看吗\t0\n求秋色之空漫画全集\t求秋色之空全集漫画\t1\n",
    );
    folder.write("lcqmc/dev.tsv", "学日语软件手机上的\t手机学日语的软件\t1\n");
    folder.write(
        "bq/train.tsv",
        "text_a\ttext_b\tlabel\n能借多少\t可以借多少\t1\n怎么还\t为什么\t0\n",
    );
    folder.write(
        "sts.tsv",
        "一架飞机要起飞了。\t一架飞机正在起飞。\t5.0\n一个人在吃。\t一个人在跑。\t0.6\n",
    );
    folder.write(
        "topic.tsv",
        "sports\t体育场馆很大。\nschool_work\t两家公司联手合作。\nsports\t他在跑步。\n",
    );
    folder.write(
        "chnsenti/train.tsv",
        "label\ttext_a\n1\t酒店很好\n0\t房间太小\n",
    );
    folder.write(
        "bitext.tsv",
        "The stadium is big.\t体育场馆很大。\nThe firms.\t两家公司。\n",
    );
    folder.write("questions.tsv", "怎么去\t坐车去\n吃什么\t吃饭\n");
    folder.write(
        "nli_for_simcse.csv",
        "sent0,sent1,hard_neg\n\"一个人, 在跑步\",有人在运动,没有人\n两只狗,有狗,没有狗\n",
    );
    folder.write("reviews.csv", "label,review\n1,\"很快, 好吃\"\n0,太慢\n");
    folder.write(
        "cnsd.tsv",
        "origin\tentailment\tcontradiction\n一个人在跑\t有人在动\t没有人\n",
    );
    let corpora = folder.corpora();
    let expected = [
        row("bitext", "tsv", &["chinese->english"]),
        row("bq", "tsv", &["text_a~text_b=label"]),
        row("chnsenti", "tsv", &["text_a=label"]),
        row("cnsd", "tsv", &["origin->entailment->contradiction"]),
        row("lcqmc", "tsv", &["sentence1~sentence2=label"]),
        row("nli_for_simcse", "nli", &["sent0->sent1->hard_neg"]),
        row("questions", "tsv", &["anchor->positive"]),
        row("reviews", "csv", &["review=label"]),
        row("sts", "tsv", &["sentence1~sentence2=score"]),
        row("topic", "tsv", &["text=label"]),
    ];
    assert_eq!(short(&corpora), expected);
    assert_eq!(texts(&corpora[4], "valid"), ["dev.tsv"]);
    assert_eq!(texts(&corpora[9], "columns"), ["label", "text"]);
    let header = |at: usize| corpora[at].get("header").and_then(toml::Value::as_bool);
    assert_eq!(
        (header(1), header(4), header(7)),
        (Some(true), None, Some(true))
    );
}

#[test]
fn json_lines_are_told_by_their_keys() {
    let folder = Folder::new("json");
    folder.write(
        "pairs.jsonl",
        "[\"问\", \"答\"]\n{\"set\": [\"甲\", \"乙\"]}\n",
    );
    folder.write(
        "beir/corpus.jsonl",
        "{\"_id\": \"1\", \"title\": \"题\", \"text\": \"文章。\"}\n",
    );
    folder.write("afqmc/train.json", "{\"sentence1\": \"借钱\", \"sentence2\": \"借款\", \"label\": \"1\"}\n{\"sentence1\": \"还钱\", \"sentence2\": \"账单\", \"label\": \"0\"}\n");
    folder.write(
        "web/part-0.jsonl",
        "{\"text\": \"很长的网页。\", \"url\": \"http://a\", \"tags\": [1]}\n",
    );
    let corpora = folder.corpora();
    let expected = [
        row("afqmc", "jsonl", &["sentence1~sentence2=label"]),
        row("beir", "jsonl", &["sentences"]),
        row("pairs", "embedding_training_data", &["records"]),
        row("web", "jsonl", &["sentences(text)"]),
    ];
    assert_eq!(short(&corpora), expected);
    assert_eq!(texts(&corpora[1], "columns"), ["title", "text"]);
    assert_eq!(texts(&corpora[3], "columns"), ["text"]);
}

#[test]
fn plain_text_may_be_paragraphs_or_another_encoding() {
    let folder = Folder::new("text");
    folder
        .write(
            "book/1.txt",
            "第一段第一行\n第一段第二行\n\n第二段一\n第二段二\n",
        )
        .write("book/2.txt", "甲\n乙\n\n丙\n丁\n戊\n");
    let (old, _, _) = encoding_rs::GB18030.encode("这是一行旧编码的文字。\n第二行也是。\n");
    folder
        .write("old.txt", old)
        .write("utf16.txt", [0xff, 0xfe, 0x2d, 0x4e, 0x87, 0x65, 10, 0]);
    folder
        .write("english.txt", "No Chinese at all.\n")
        .write("picture.txt", b"\x89PNG\x00\x01");
    let text = folder.text();
    let corpora = corpora(&text);
    let names: Vec<_> = short(&corpora).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names.len(), 3, "{text}");
    let book = corpora
        .iter()
        .find(|corpus| corpus.get("paragraphs").is_some())
        .unwrap();
    assert_eq!(
        (book["name"].as_str(), texts(book, "train").len()),
        (Some("book"), 2)
    );
    let encodings: Vec<_> = corpora
        .iter()
        .filter_map(|corpus| corpus.get("encoding")?.as_str())
        .collect();
    assert_eq!(encodings.len(), 2);
    assert!(encodings.contains(&"gb18030") && encodings.contains(&"utf-16le"));
    assert!(
        text.contains("english.txt: no Chinese text") && text.contains("picture.txt: not text")
    );
}

#[test]
fn archives_are_opened() {
    let folder = Folder::new("archives");
    folder
        .write("baike2018qa/baike_qa_train.json", BAIKE)
        .zip("baike2018qa.zip", &[("baike_qa_train.json", BAIKE)]);
    folder.zip(
        "new2016zh.zip",
        &[
            ("news2016zh_train.json", NEWS),
            ("news2016zh_valid.json", NEWS),
            ("__MACOSX/x", "x"),
        ],
    );
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(TRANSLATION.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    folder.write("translation2019zh_valid.json.gz", &gzip);
    folder
        .write("copy/t_train.json", TRANSLATION)
        .write("copy/t_train.json.gz", &gzip);
    folder.write("wiki_00.zst", zstd::encode_all(WIKI.as_bytes(), 1).unwrap());
    let text = folder.text();
    let corpora = corpora(&text);
    let names: Vec<_> = short(&corpora).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(
        names,
        [
            "baike2018qa",
            "news2016zh",
            "translation2019zh",
            "wiki2019zh"
        ]
    );
    assert_eq!(texts(&corpora[0], "train"), ["baike_qa_train.json"]);
    assert!(
        text.contains("baike2018qa.zip, which holds the same files"),
        "{text}"
    );
    let members = |split| texts(&corpora[1], split);
    assert_eq!(members("train"), ["new2016zh.zip::news2016zh_train.json"]);
    assert_eq!(members("valid"), ["new2016zh.zip::news2016zh_valid.json"]);
    assert_eq!(texts(&corpora[2], "train"), ["t_train.json"]);
    assert_eq!(
        texts(&corpora[2], "valid"),
        ["translation2019zh_valid.json.gz"]
    );
    assert!(text.contains("t_train.json.gz, which holds the same"));
}

#[test]
fn members_of_an_archive_go_to_their_splits_and_layouts() {
    let folder = Folder::new("members");
    folder.zip(
        "webtext2019zh.zip",
        &[
            ("web_text_zh_testa.json", WEBTEXT),
            ("web_text_zh_train.json", WEBTEXT),
            ("web_text_zh_valid.json", WEBTEXT),
            ("README.md", "# 说明"),
        ],
    );
    folder.zip(
        "wiki.zip",
        &[("wiki_zh/AA/wiki_00", WIKI), ("wiki_zh/AB/wiki_00", WIKI)],
    );
    folder.zip(
        "mixed.zip",
        &[
            ("news [1].json", NEWS),
            ("b.txt", "一行。\n"),
            ("c.dat", "x"),
        ],
    );
    folder.zip(
        "qa.zip",
        &[
            ("qa/train/00.json", BAIKE),
            ("qa/train/01.json", BAIKE),
            ("qa/dev/train_00.json", BAIKE),
            ("qa/dev/00.json", BAIKE),
        ],
    );
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["t/t_train.json", "t/t_valid.json"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(TRANSLATION.len() as u64);
        header.set_cksum();
        tar.append_data(&mut header, name, TRANSLATION.as_bytes())
            .unwrap();
    }
    folder.write("t.tar", tar.into_inner().unwrap());
    let text = folder.text();
    let corpora = corpora(&text);
    let raw = |at: usize, split: &str| -> Vec<String> {
        let list = corpora[at].get(split).and_then(toml::Value::as_array);
        let folder = format!("{}/", folder.0.display());
        list.into_iter()
            .flatten()
            .map(|item| item.as_str().unwrap().replace(&folder, ""))
            .collect()
    };
    let names: Vec<_> = short(&corpora).into_iter().map(|(name, ..)| name).collect();
    let expected = [
        "b",
        "baike2018qa",
        "news2016zh",
        "translation2019zh",
        "webtext2019zh",
        "wiki2019zh",
    ];
    assert_eq!(names, expected, "{text}");
    assert_eq!(raw(0, "train"), ["mixed.zip::b.txt"]);
    // A member's own name goes before that of its folder.
    assert_eq!(
        raw(1, "train"),
        [
            "qa.zip::qa/dev/train_00.json",
            "qa.zip::qa/train/00.json",
            "qa.zip::qa/train/01.json"
        ]
    );
    assert_eq!(raw(1, "valid"), ["qa.zip::qa/dev/00.json"]);
    assert_eq!(raw(2, "train"), ["mixed.zip::news [[]1[]].json"]);
    assert_eq!(raw(3, "train"), ["t.tar::t/t_train.json"]);
    assert_eq!(raw(3, "valid"), ["t.tar::t/t_valid.json"]);
    let zip = |split| raw(4, split);
    assert_eq!(zip("train"), ["webtext2019zh.zip::web_text_zh_train.json"]);
    assert_eq!(zip("valid"), ["webtext2019zh.zip::web_text_zh_valid.json"]);
    assert_eq!(zip("test"), ["webtext2019zh.zip::web_text_zh_testa.json"]);
    assert_eq!(raw(5, "train"), ["wiki.zip"]);
    assert!(text.contains("Not read: c.dat in mixed.zip (no Chinese text"));
    assert!(!text.contains("README"));
    // The plan reads what it says: each pattern finds its member.
    let path = folder.0.join("plan.toml");
    let plan = crate::plan::Plan::parse(&text, &path).unwrap();
    for input in plan
        .inputs
        .iter()
        .filter(|input| input.name.contains("zip"))
    {
        let found = crate::inputs::archive::zip_members(&input.path, input.members.as_ref());
        assert!(!found.unwrap().is_empty(), "{}", input.name);
    }
}

#[test]
fn what_lies_unpacked_beside_an_archive_is_read_once() {
    let folder = Folder::new("beside");
    folder.write("new2016zh/news2016zh_train.json", NEWS).zip(
        "new2016zh.zip",
        &[
            ("news2016zh_train.json", NEWS),
            ("news2016zh_valid.json", NEWS),
        ],
    );
    let text = folder.text();
    let corpus = one(&folder);
    assert_eq!(texts(&corpus, "train"), ["news2016zh_train.json"]);
    assert_eq!(
        texts(&corpus, "valid"),
        ["new2016zh.zip::news2016zh_valid.json"]
    );
    assert!(text.contains("what lies beside it: news2016zh_train.json"));
}

#[test]
fn evaluation_sets_are_commented_out_but_ready() {
    let folder = Folder::new("evaluation");
    folder.write("news.json", NEWS);
    folder
        .write("eval/inews/dev.tsv", "1\t很好的新闻\n0\t不好的新闻\n")
        .write("eval/inews/train.tsv", "1\t好\n0\t不好\n");
    folder.write(
        "search/corpus.jsonl",
        "{\"_id\": \"1\", \"title\": \"\", \"text\": \"文章。\"}\n",
    );
    folder
        .write(
            "search/queries.jsonl",
            "{\"_id\": \"q\", \"text\": \"查询\"}\n",
        )
        .write(
            "search/qrels/test.tsv",
            "query-id\tcorpus-id\tscore\nq\t1\t1\n",
        );
    let text = folder.text();
    assert_eq!(
        short(&corpora(&text)),
        [row("news2016zh", "news2016zh", &["sentences"])]
    );
    let whole: String = text
        .lines()
        .map(|line| {
            let code = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
            format!("{}\n", code.unwrap_or(line))
        })
        .collect();
    let table: toml::Table = whole
        .parse()
        .unwrap_or_else(|error| panic!("{error}\n{whole}"));
    let names: Vec<_> = table["evaluation"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| set["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["inews", "search_corpus", "search_queries"]);
    assert!(!text.contains("inews/train.tsv"));
    assert!(table["shards"]["near_duplicates"].is_table() && table["shards"]["leaks"].is_table());
    let error = plan(&[folder.0.join("eval")], None, "default").unwrap_err();
    assert!(
        error.contains("only evaluation sets found (inews)"),
        "{error}"
    );
}

#[test]
fn equal_names_are_told_apart_and_the_order_of_directories_is_nothing() {
    let folder = Folder::new("names");
    folder
        .write("a/pairs.jsonl", "[\"问\", \"答\"]\n")
        .write("b/pairs.jsonl", "[\"甲\", \"乙\"]\n");
    let dirs = [folder.0.join("a"), folder.0.join("b")];
    let turned = [
        dirs[1].clone(),
        dirs[0].clone(),
        dirs[0].join("pairs.jsonl"),
    ];
    let text = plan(&dirs, None, "default").unwrap();
    assert_eq!(text, plan(&turned[..2], None, "default").unwrap());
    assert_eq!(
        corpora(&text).len(),
        corpora(&plan(&turned, None, "default").unwrap()).len()
    );
    let names: Vec<_> = short(&corpora(&text))
        .into_iter()
        .map(|(name, ..)| name)
        .collect();
    assert_eq!(names, ["a_pairs", "b_pairs"]);
}

#[test]
fn links_in_a_circle_end_and_nothing_is_an_error() {
    let folder = Folder::new("links");
    folder.write("a/notes.dat", "Nothing Chinese.\n");
    std::os::unix::fs::symlink(&folder.0, folder.0.join("a/up")).unwrap();
    std::os::unix::fs::symlink(folder.0.join("gone"), folder.0.join("broken.txt")).unwrap();
    let error = plan(std::slice::from_ref(&folder.0), None, "default").unwrap_err();
    assert!(
        error.contains("no corpus found. Looked for")
            && error.contains("notes.dat: no Chinese text"),
        "{error}"
    );
    folder.write("a/text.txt", "一行中文。\n");
    assert_eq!(texts(&one(&folder), "train"), ["text.txt"]);
    assert!(
        plan(&[], None, "other")
            .unwrap_err()
            .contains("profiles are default, luse")
    );
    assert!(
        plan(&[], Some("a/b"), "default")
            .unwrap_err()
            .contains("letters, digits")
    );
    assert!(
        plan(&[Path::new("/nowhere").into()], None, "default")
            .unwrap_err()
            .starts_with("/nowhere")
    );
}

#[test]
fn parquet_is_told_by_its_columns() {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    let folder = Folder::new("parquet");
    let text = || -> ArrayRef { std::sync::Arc::new(StringArray::from(vec!["甲"])) };
    let number = || -> ArrayRef { std::sync::Arc::new(Int64Array::from(vec![1])) };
    let tables: [(&str, Vec<(&str, ArrayRef)>); 3] = [
        (
            "stsb/train-00000-of-00001.parquet",
            vec![
                ("sentence1", text()),
                ("sentence2", text()),
                ("score", number()),
            ],
        ),
        ("web.parquet", vec![("url", text()), ("content", text())]),
        ("numbers.parquet", vec![("n", number())]),
    ];
    for (name, columns) in tables {
        folder.write(name, "");
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = fs::File::create(folder.0.join(name)).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
    let plan = folder.text();
    let found = corpora(&plan);
    let expected = [
        row("stsb", "parquet", &["sentence1~sentence2=score"]),
        row("web", "parquet", &["sentences"]),
    ];
    assert_eq!(short(&found), expected);
    assert_eq!(texts(&found[1], "columns"), ["content"]);
    assert!(plan.contains("numbers.parquet: no column of text; its columns are n"));
}

#[test]
fn short_texts_are_announced() {
    let folder = Folder::new("short");
    let riddle = |at: usize| format!("[\"上联的第{at}句话\", \"短\"]\n");
    let answer = |at: usize| format!("[\"问题第{at}号在这里\", \"回答第{at}号在这里\"]\n");
    folder.write("riddles.jsonl", (0..30).map(riddle).collect::<String>());
    folder.write("answers.jsonl", (0..30).map(answer).collect::<String>());
    let text = folder.text();
    let warning = "about 100 in 100 hold a text of fewer than 4 characters";
    assert_eq!(text.matches(warning).count(), 1, "{text}");
    assert_eq!(
        text.matches("characters and will be dropped").count(),
        1,
        "{text}"
    );
}
