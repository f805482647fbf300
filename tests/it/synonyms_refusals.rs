//! What the stage `synonyms` refuses, and rows of vectors that it cannot use.

use std::os::unix::fs::FileExt;

use serde_json::{Value, json};

use crate::commands::small;
use crate::fixtures::{deflated, gz};
use crate::support::Place;
use crate::vectors::{Vectors, alone, table};

/// Runs on each plan; the run must end with the code and say all of the words.
fn refused(place: &Place, cases: &[(String, i32, &[&str])]) {
    for (plan, code, words) in cases {
        place.write("plan.toml", plan);
        let run = place.synonyms("data", &[]);
        assert!(run.code == Some(*code), "{plan}\n{run:#?}");
        run.expect(*code, words);
        assert!(!place.path("data/synonyms").exists());
    }
}

#[test]
fn wrong_tables_name_the_key() {
    let place = Place::new("tables");
    place.write("v.txt", Vectors::usual().text());
    place.write("s.json", "{\"好\": [\"佳\"]}");
    let usual = |lines: &str| alone("v.txt", lines);
    let cases: Vec<(String, i32, &[&str])> = vec![
        (
            small(&place, ""),
            1,
            &["plan.toml: no table [synonyms]", "vectors = \"FILE\""],
        ),
        (
            table("vocabulary = \"vectors\""),
            1,
            &["[synonyms] give either vectors = \"file\" or import = \"file\""],
        ),
        (usual("import = \"s.json\""), 1, &["either vectors"]),
        (
            usual("vector = \"v.txt\""),
            1,
            &["unknown field `vector`", "vectors"],
        ),
        (
            usual("") + "negations = true",
            1,
            &["unknown field `negations`", "antonyms"],
        ),
        (usual("k = 0"), 1, &["[synonyms] k: from 1 to 255"]),
        (usual("k = 256"), 1, &["k = 256"]),
        (usual("neighbors = 7"), 1, &["neighbors: at least k"]),
        (
            usual("neighbors = 1001"),
            1,
            &["neighbors: at least k, at most 1000"],
        ),
        (usual("cosine_min = 1.5"), 1, &["cosine_min: from -1 to 1"]),
        (usual("recall_min = 95"), 1, &["recall_min: from 0 to 1"]),
        (usual("recall_words = 0"), 1, &["recall_words: from 1"]),
        (usual("lists = 0"), 1, &["lists: at least 1"]),
        (usual("probes = 0"), 1, &["probes: at least 1"]),
        (usual("memory = \"much\""), 1, &["`much` is no size"]),
        (
            usual("index = \"annoy\""),
            1,
            &["unknown variant `annoy`", "exact", "ivf", "faiss"],
        ),
        (
            usual("factory = \"Flat\""),
            1,
            &["factory: only with index = \"faiss\""],
        ),
        (
            usual("").replace("\"vectors\"\n", "\"list\"\n"),
            1,
            &["vocabulary = \"list\" needs word_list = \"file\""],
        ),
        (
            usual("").replace("vocabulary = \"vectors\"", ""),
            1,
            &["no [[corpora]]"],
        ),
        (
            usual("format = \"csv\""),
            1,
            &["unknown variant `csv`", "text", "binary", "npy"],
        ),
    ];
    refused(&place, &cases);
    assert!(!place.path("data/.store").exists());
}

#[test]
fn missing_files_are_named_with_their_key() {
    let place = Place::new("missing");
    place.write("v.txt", Vectors::usual().text());
    let usual = |lines: &str| alone("v.txt", lines);
    let cases: Vec<(String, i32, &[&str])> = vec![
        (alone("none.txt", ""), 1, &["vectors: no file", "none.txt"]),
        (
            usual("dictionary = \"none.txt\""),
            1,
            &["dictionary: no file", "none.txt"],
        ),
        (
            usual("word_list = \"none.txt\""),
            1,
            &["word_list: no file"],
        ),
        (
            table("import = \"none.json\""),
            1,
            &["import: no file", "none.json"],
        ),
    ];
    refused(&place, &cases);
}

#[test]
fn files_that_are_no_vectors_are_named() {
    let place = Place::new("no-vectors");
    let vectors = Vectors::usual();
    let text = vectors.text();
    place.write("v.txt", &text);
    place.write("more.txt", text.replacen("600 12", "601 12", 1));
    place.write("wide.txt", text.replacen("600 12", "600 13", 1));
    place.write("v.bin", vectors.binary());
    place.write("v.npy", vectors.npy());
    place.write("words.txt", vectors.list());
    place.write("few.txt", vectors.list().replacen("天闰\n", "", 1));
    place.write("prose.txt", "这里没有向量。\n一句话。\n");
    place.write("empty.txt", "");
    let packed = gz(text.as_bytes());
    place.write("half.txt.gz", &packed[..packed.len() / 2]);
    place.write("packed.txt", &packed);
    let members: [(&str, &[u8]); 2] = [("a.txt", text.as_bytes()), ("b.txt", text.as_bytes())];
    place.write("two.zip", deflated(&members));
    let cases: Vec<(String, i32, &[&str])> = vec![
        (
            alone("more.txt", ""),
            1,
            &["more.txt: the header says 601 rows, but 600 were found"],
        ),
        (
            alone("wide.txt", ""),
            1,
            &["rows of 12 numbers: the header's dimension is wrong"],
        ),
        (
            alone("v.bin", "format = \"text\""),
            1,
            &[
                "`format` is `text`, but the file holds word2vec binary, dimension 12",
                "auto, text",
            ],
        ),
        (
            alone("v.txt", "format = \"binary\""),
            1,
            &["the file holds word2vec text"],
        ),
        (
            alone("v.npy", "vector_words = \"few.txt\""),
            1,
            &["few.txt: holds 599 words, but the matrix has 600 rows"],
        ),
        (
            alone("prose.txt", ""),
            1,
            &["prose.txt: holds no word vectors"],
        ),
        (alone("empty.txt", ""), 1, &["the file is empty"]),
        (alone("half.txt.gz", ""), 1, &["half.txt.gz: ", "truncated"]),
        (
            alone("packed.txt", ""),
            1,
            &["packed.txt: ", "does not end in `.gz`"],
        ),
        (
            alone("two.zip::*.txt", ""),
            1,
            &["two.zip: ", "2 members", "a.txt, b.txt"],
        ),
        (alone("two.zip::*.vec", ""), 1, &["0 members fit `*.vec`"]),
    ];
    refused(&place, &cases);
}

/// The keys of a plan, not those of a library behind it.
#[test]
fn words_of_a_matrix_are_named_by_their_key() {
    let place = Place::new("matrix-words");
    let vectors = Vectors::usual();
    place.write("v.npy", vectors.npy());
    place.write("v.txt", vectors.text());
    place.write("words.txt", vectors.list());
    let cases: Vec<(String, i32, &[&str])> = vec![
        (alone("v.npy", ""), 1, &["v.npy: ", "vector_words"]),
        (
            alone("v.txt", "vector_words = \"words.txt\""),
            1,
            &["v.txt: ", "vector_words"],
        ),
    ];
    refused(&place, &cases);
}

#[test]
fn searches_that_cannot_do_what_is_asked_are_refused() {
    let place = Place::new("no-search");
    place.write("v.txt", Vectors::usual().text());
    place.write("other.txt", "甲乙\n丙丁\n");
    place.write("prose.txt", "这不是词林\n");
    place.write("s.json", "{\"好\":\n [\"佳\", 3]}");
    place.write("cut.json", "{\"好\": [\"佳\"],\n\"坏\": [\"差\"");
    place.write("none.json", "{}");
    let usual = |lines: &str| alone("v.txt", lines);
    let lists = "index = \"ivf\"\nlists = 50\nprobes = 1\nk = 30\nneighbors = 30\nrecall_min = 1.0";
    let cases: Vec<(String, i32, &[&str])> = vec![
        (
            table("vocabulary = \"list\"\nword_list = \"other.txt\"\nvectors = \"v.txt\""),
            1,
            &[
                "not one of 2 words of the vocabulary has a vector",
                "v.txt (600 rows, 0 of them bad)",
            ],
        ),
        (
            usual("memory = \"1MB\""),
            2,
            &[
                "[synonyms] memory = 1.0 MB is too small",
                "600 vectors of 12 numbers",
            ],
        ),
        (
            usual("memory = \"1MB\"").replace(
                "vocabulary = \"vectors\"",
                "vocabulary = \"list\"\nword_list = \"list.txt\"",
            ),
            2,
            &["[synonyms] memory = 1.0 MB is too small", "2 vectors"],
        ),
        (
            usual(lists),
            1,
            &[
                "plan.toml: the search found 0.",
                "recall_min is 1;",
                "more probes (now 1)",
            ],
        ),
        (
            usual("index = \"faiss\"\nfactory = \"Nonsense\""),
            1,
            &["faiss: factory = \"Nonsense\": "],
        ),
        (
            usual("cosine_min = 1.0").replace("v.txt", "apart.txt"),
            1,
            &["not one word has a synonym", "cosine_min too high"],
        ),
        (
            usual("dictionary = \"prose.txt\""),
            1,
            &[
                "prose.txt: line 1: it begins with `这不是词林`",
                "Aa01A01= word word",
            ],
        ),
        (
            table("import = \"s.json\""),
            1,
            &["s.json: ", "expected a string at line 2 column"],
        ),
        (
            table("import = \"cut.json\""),
            1,
            &[
                "cut.json: ",
                "EOF while parsing a list at line 2",
                "[\"synonym\", …]",
            ],
        ),
        (
            table("import = \"prose.txt\""),
            1,
            &["prose.txt: ", "line 1"],
        ),
        (
            table("import = \"none.json\""),
            1,
            &["not one usable synonym"],
        ),
    ];
    place.write("list.txt", "天闰\n天余\n");
    place.write("apart.txt", "天闰 1 0\n天余 0 1\n");
    refused(&place, &cases);
}

/// Lines of a user's own list count from its own beginning.
#[test]
fn a_wrong_line_of_a_list_is_named_by_its_number() {
    let place = Place::new("wrong-line");
    place.write("v.txt", Vectors::usual().text());
    place.write("antonyms.txt", "老师 学生\n大 小 多\n");
    let plan = alone("v.txt", "antonyms = \"antonyms.txt\"");
    let words: &[&str] = &["antonyms.txt: ", "line 2: `大 小 多` has not two words"];
    refused(&place, &[(plan, 1, words)]);
}

#[test]
fn rows_that_cannot_be_used_stand_in_the_ledger() {
    let place = Place::new("bad-rows");
    let mut file = b"16 3\n\xe5\xa4\xa9\xe5\x9c\xb0 1 0 0.1\n".to_vec();
    for line in [
        "短行 1 2",
        "长行 1 2 3 4",
        "坏数 1 2 x3",
        "非数 NaN 1 2",
        "无穷 1 inf 2",
        "零 0 0.0 -0",
        "天地 0 1 0",
        " 1 2 3",
        "",
        "宇宙 1 0 0.2",
        "没人要 1 2",
        "也没人要 1 2 3",
        "两个 字 1 0 0.3",
    ] {
        file.extend(line.bytes());
        file.push(b'\n');
    }
    file.extend(b"\xff\xfe 1 2 3\n");
    file.extend("洪荒 1 0 0.4\n断 1 2".bytes());
    place.write("v.txt", &file);
    let words = "天地\n短行\n长行\n坏数\n非数\n无穷\n零\n宇宙\n两个 字\n洪荒\n断\n";
    place.write("list.txt", words);
    let lines = "vocabulary = \"list\"\nword_list = \"list.txt\"\nvectors = \"v.txt\"";
    let dataset = place.make_synonyms("data", &table(lines), &["--threads", "1"]);
    let counts = &dataset.manifest.counts;
    let count = |name: &str| counts[&format!("vector_rows{name}")];
    assert_eq!(
        [count(""), count("_kept"), count("_skipped"), count("_bad")],
        [16, 4, 1, 11]
    );
    let query =
        "SELECT reason, line, detail FROM dropped WHERE reason <> 'no_vector' ORDER BY line";
    let ledger = dataset.values(query);
    let row = |reason: &str, line: u64, detail: Option<&str>| -> Vec<Value> {
        vec![json!(reason), json!(line), json!(detail)]
    };
    let expected = [
        row(
            "wrong_dimension",
            3,
            Some("2 numbers instead of 3: 短行 1 2"),
        ),
        row(
            "wrong_dimension",
            4,
            Some("4 numbers instead of 3: 长行 1 2 3 4"),
        ),
        row("bad_number", 5, Some("坏数: number 3 is `x3`")),
        row("not_finite", 6, Some("非数")),
        row("not_finite", 7, Some("无穷")),
        row("zero_vector", 8, Some("零")),
        row("duplicate_word", 9, Some("天地")),
        row("empty_word", 10, None),
        row(
            "wrong_dimension",
            13,
            Some("2 numbers instead of 3: 没人要 1 2"),
        ),
        row("invalid_utf8", 16, Some("\u{fffd}\u{fffd}")),
        row("truncated_row", 18, Some("2 numbers instead of 3: 断 1 2")),
    ];
    assert_eq!(ledger, expected);
    // Each of them can be found in the file.
    let opened = std::fs::File::open(place.path("v.txt")).unwrap();
    for row in dataset.sql("SELECT \"offset\", line, file FROM dropped WHERE line IS NOT NULL") {
        let (offset, line) = (
            row["offset"].as_u64().unwrap(),
            row["line"].as_u64().unwrap(),
        );
        let mut before = vec![0; offset as usize];
        opened.read_exact_at(&mut before, 0).unwrap();
        let lines = before.iter().filter(|&&byte| byte == b'\n').count() as u64;
        assert_eq!((lines + 1, row["file"].as_str()), (line, Some("v.txt")));
    }
    assert_eq!(dataset.dropped("no_vector"), 11 - 4);
    place.juzi(&["verify", "data/synonyms"]).expect(0, &[]);
    let more = place.make_synonyms("more", &table(lines), &["--threads", "8"]);
    assert_eq!(more.bytes(), dataset.bytes());
}
