//! Containers, encodings and file names: the same corpus comes out the same.

use encoding_rs::{GB18030, GBK};
use zip::CompressionMethod;

use crate::fixtures::{corpus, deflated, gz, lines, news, plan, prose, tar, zip, zst};
use crate::support::{Dataset, Place};

/// A corpus with blank lines and a bad line, so that the ledger has something to say.
fn content() -> String {
    let documents: Vec<_> = (0..25)
        .map(|at| news(&prose(at, 1), "", &prose(at + 50, 3)))
        .collect();
    let text = lines(&documents);
    let (head, tail) = text.split_at(text.find("\n{").unwrap() + 1);
    format!("{head}\n{{\"title\": 半\n  \n{tail}")
}

fn make(place: &Place, train: &str, more: &str, shards: &str) -> Dataset {
    let table = corpus("c", "news2016zh", &format!("train = [\"{train}\"]\n{more}"));
    place.make(&plan(&table, &format!("dropped_ratio_max = 1.0\n{shards}")))
}

const LEDGER: &str = "SELECT reason, \"offset\", line, detail FROM dropped ORDER BY \"offset\"";

#[test]
fn containers_do_not_change_the_rows() {
    let place = Place::new("containers");
    let text = content();
    let bytes = text.as_bytes();
    let half = text.find("\n{").unwrap() + 1;
    let member = ("sub/news_train.json", bytes);
    let other = (
        "sub/news_valid.json",
        b"{\"title\": \"another\"}\n".as_slice(),
    );
    let junk = ("__MACOSX/._news_train.json", b"\x00\x05".as_slice());
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("c.json", bytes.into()),
        ("c.json.gz", gz(bytes)),
        (
            "joined.json.gz",
            [gz(&bytes[..half]), gz(&bytes[half..])].concat(),
        ),
        ("c.json.zst", zst(bytes)),
        ("c.zip", deflated(&[("sub/", b""), member, junk])),
        ("stored.zip", zip(&[member], CompressionMethod::Stored)),
        ("both.zip", deflated(&[other, member])),
        ("c.tar", tar(&[member])),
        ("both.tar", tar(&[member, other])),
        ("c.tar.gz", gz(&tar(&[member]))),
        ("c.tgz", gz(&tar(&[member]))),
        ("c.tar.zst", zst(&tar(&[member]))),
    ];
    files
        .iter()
        .for_each(|(name, content)| drop(place.write(name, content)));
    for unit in ["16MiB", "2KiB"] {
        let shards = format!("unit_bytes = \"{unit}\"");
        let first = make(&place, "c.json", "", &shards);
        let (hash, ledger) = (first.manifest.rows_hash.clone(), first.values(LEDGER));
        assert_eq!((first.manifest.rows, ledger.len()), (100, 1));
        for (name, _) in &files {
            let pattern = if name.starts_with("both") {
                "::*train*"
            } else {
                ""
            };
            let dataset = make(&place, &format!("{name}{pattern}"), "", &shards);
            assert_eq!(dataset.manifest.rows_hash, hash, "{name} {unit}");
            assert_eq!(dataset.values(LEDGER), ledger, "{name} {unit}");
        }
    }
}

#[test]
fn encodings_marks_and_line_ends_do_not_change_the_rows() {
    let place = Place::new("encodings");
    let text = content();
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let hash = {
        place.write("c.json", &text);
        make(&place, "c.json", "", "").manifest.rows_hash
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "gb.json",
            GB18030.encode(&text).0.into(),
            "encoding = \"gb18030\"",
        ),
        (
            "gbk.json.gz",
            gz(&GBK.encode(&text).0),
            "encoding = \"gbk\"",
        ),
        ("wide.json", wide(&text), "encoding = \"utf-16le\""),
        (
            "wide_mark.json",
            wide(&format!("\u{feff}{text}")),
            "encoding = \"utf-16le\"",
        ),
        ("mark.json", format!("\u{feff}{text}").into(), ""),
        ("mark.json.gz", gz(format!("\u{feff}{text}").as_bytes()), ""),
        ("crlf.json", text.replace('\n', "\r\n").into(), ""),
        (
            "both.json",
            format!("\u{feff}{}", text.replace('\n', "\r\n")).into(),
            "",
        ),
        ("open.json", text.trim_end().into(), ""),
        ("open.json.gz", gz(text.trim_end().as_bytes()), ""),
        ("utf8.json", text.clone().into(), "encoding = \"utf-8\""),
    ];
    for (name, bytes, more) in &cases {
        place.write(name, bytes);
        for unit in ["16MiB", "1KiB"] {
            let dataset = make(&place, name, more, &format!("unit_bytes = \"{unit}\""));
            assert_eq!(dataset.manifest.rows_hash, hash, "{name} {unit}");
            assert_eq!(dataset.dropped("invalid_json"), 1, "{name}");
        }
    }
    // What is not valid in the encoding is a bad line, and the lines around it are kept.
    let mut bytes: Vec<u8> = GB18030.encode(&text).0.into();
    let line_end = bytes.iter().rposition(|&byte| byte == b'}').unwrap();
    bytes.splice(line_end..line_end, [0xff, 0xff]);
    place.write("gb.json", bytes);
    let dataset = make(&place, "gb.json", "encoding = \"gb18030\"", "");
    assert_eq!(
        (dataset.manifest.rows, dataset.dropped("invalid_utf8")),
        (96, 1)
    );
}

#[test]
fn an_encoding_is_part_of_the_identity() {
    let place = Place::new("identity");
    place.write("a/f.txt", GB18030.encode("今天天气很好。\n").0);
    place.write("b/f.txt", GB18030.encode("明天天气更好。\n").0);
    place.write("e.txt", GB18030.encode("明天天气更好。\n").0);
    let fingerprint = |a: &str, evaluation: &str| {
        let tables = corpus(
            "a",
            "text",
            &format!("train = [\"a/f.txt\"]\nencoding = \"{a}\""),
        ) + &corpus("b", "text", "train = [\"b/f.txt\"]\nencoding = \"gb18030\"")
            + "[[evaluation]]\nname = \"e\"\nreader = \"text\"\nfiles = [\"e.txt\"]\nencoding = \""
            + evaluation
            + "\"\n";
        let dataset = place.make(&plan(&tables, "dropped_ratio_max = 1.0"));
        dataset.manifest.fingerprint
    };
    let first = fingerprint("gb18030", "gb18030");
    assert_ne!(
        fingerprint("big5", "gb18030"),
        first,
        "of two files of one name"
    );
    assert_ne!(
        fingerprint("gb18030", "windows-1252"),
        first,
        "of an evaluation set"
    );
}

#[test]
fn directories_and_globs() {
    let place = Place::new("globs");
    for at in 0..4 {
        let name = format!("d/{}/part_{at:02}", ["AA", "AB"][at % 2]);
        place.write(&name, lines(&[news("", "", &prose(at as u64, 2))]));
    }
    place.write("d/.hidden", "{\"title\": \"这里不应该被读到。\"}\n");
    place.write("d/AA/.hidden", "{\"title\": \"这里不应该被读到。\"}\n");
    let hashes = ["d", "d/*/*", "d/**/part_*", "d/A?/part_0[0-3]"].map(|pattern| {
        let dataset = make(&place, pattern, "", "");
        let files = dataset
            .manifest
            .inputs
            .iter()
            .map(|input| input.file.clone());
        assert_eq!(
            files.collect::<Vec<_>>(),
            ["part_00", "part_01", "part_02", "part_03"],
            "{pattern}"
        );
        dataset.manifest.rows_hash
    });
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    place.write("a b [1]/文件 名.json", lines(&[news("", "", &prose(9, 2))]));
    assert_eq!(
        make(&place, "a b [1]/文件 名.json", "", "").manifest.rows,
        2
    );
}

#[test]
fn a_pattern_of_members_that_fits_none_is_a_wrong_plan() {
    let place = Place::new("members");
    place.write("c.zip", deflated(&[("train.json", content().as_bytes())]));
    let table = corpus("c", "news2016zh", "train = [\"c.zip::*valid*\"]");
    place.write("plan.toml", plan(&table, ""));
    place.shards("data", &[]).expect(1, &["c.zip", "*valid*"]);
}
