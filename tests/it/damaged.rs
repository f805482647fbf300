//! Bad input is data: every bad line has its ledger row, and every good line is kept.

use serde_json::{Value, json};
use zip::CompressionMethod;

use crate::fixtures::{corpus, deflated, gz, lines, news, plan, prose, tar, zip, zst};
use crate::support::Place;

/// A bad line and the reason for it.
fn bad_lines() -> Vec<(Vec<u8>, &'static str)> {
    let mut deep = b"{\"x\": ".to_vec();
    deep.extend(std::iter::repeat_n(b'[', 300_000));
    vec![
        (b"{\"title\": \"half a line".to_vec(), "invalid_json"),
        (b"[\"a\", \"b\"]".to_vec(), "invalid_json"),
        (b"{\"title\": \"a\"} {".to_vec(), "invalid_json"),
        (
            b"{\"title\": \"lone \\ud800 surrogate\"}".to_vec(),
            "invalid_json",
        ),
        (b"{\"title\": \"\xff\xfe\"}".to_vec(), "invalid_utf8"),
        (b"{\"title\": \"cut \xe4\xb8\"}".to_vec(), "invalid_utf8"),
        (b"{\"title\": \"a\0b\"}".to_vec(), "nul_byte"),
        (b"\0\0\0\0".to_vec(), "nul_byte"),
        (b"{\"title\": 12}".to_vec(), "wrong_type"),
        (b"{\"content\": [\"a\"]}".to_vec(), "wrong_type"),
        (b"{\"title\": null, \"content\": {}}".to_vec(), "wrong_type"),
        (b"{\"title\": null}".to_vec(), "empty"),
        (b"{}".to_vec(), "empty"),
        (deep, "invalid_json"),
    ]
}

#[test]
fn every_bad_line_has_its_ledger_row() {
    let place = Place::new("lines");
    let (mut bytes, mut expected, mut line) = (Vec::new(), Vec::new(), 0);
    for (number, (bad, reason)) in bad_lines().into_iter().enumerate() {
        let good = lines(&[news("", "", &prose(number as u64, 2))]);
        let blanks = "\n  \n".repeat(number % 3);
        bytes.extend_from_slice(good.as_bytes());
        bytes.extend_from_slice(blanks.as_bytes());
        line += 1 + blanks.lines().count();
        expected.push(vec![json!(reason), json!(bytes.len()), json!(line + 1)]);
        bytes.extend_from_slice(&bad);
        bytes.push(b'\n');
        line += 1;
    }
    for (name, content) in [
        ("c.json", bytes.clone()),
        ("c.json.gz", gz(&bytes)),
        ("c.tar", tar(&[("m", &bytes)])),
    ] {
        place.write(name, content);
        let table = corpus("c", "news2016zh", &format!("train = [\"{name}\"]"));
        for unit in ["16MiB", "1KiB"] {
            let text = plan(
                &table,
                &format!("dropped_ratio_max = 1.0\nunit_bytes = \"{unit}\""),
            );
            let dataset = place.make(&text);
            let rows =
                dataset.values("SELECT reason, \"offset\", line FROM dropped ORDER BY \"offset\"");
            assert_eq!(rows, expected, "{name} {unit}");
            assert_eq!(dataset.manifest.rows, 28, "{name} {unit}");
            let member = if name == "c.tar" {
                json!("m")
            } else {
                json!(null)
            };
            let files = dataset.values("SELECT DISTINCT file, member FROM dropped");
            assert_eq!(files, [vec![json!(name), member]]);
        }
    }
    let table = corpus("c", "news2016zh", "train = [\"c.json\"]");
    place.write("plan.toml", plan(&table, "dropped_ratio_max = 0.4"));
    let run = place.shards("strict", &[]);
    run.expect(
        1,
        &[
            "12 of 28 documents",
            "dropped_ratio_max allows 40.0 %",
            "invalid_json",
        ],
    );
}

#[test]
fn a_long_line_is_read_and_a_longer_one_is_not() {
    let place = Place::new("long");
    let document = news("", "", &"长".repeat(10_000_000));
    place.write(
        "c.json",
        lines(&[
            news("", "", &prose(1, 1)),
            document,
            news("", "", &prose(2, 1)),
        ]),
    );
    let table = corpus("c", "news2016zh", "train = [\"c.json\"]");
    let dataset = place.make(&plan(&table, "profile = \"luse\""));
    assert_eq!(dataset.manifest.rows, 3);
    assert!(
        dataset
            .column("text")
            .iter()
            .any(|text| text.len() == 30_000_000)
    );
}

/// Whether a line is too long depends on the line, not on where its unit ends.
#[test]
fn the_longest_line_is_what_the_plan_says() {
    let place = Place::new("longest");
    let (mut text, mut expected) = (String::new(), Vec::new());
    for (number, chars) in [100, 300, 2_000, 150, 40_000, 90_000, 120, 330, 110]
        .into_iter()
        .enumerate()
    {
        let line = lines(&[json!({"content": format!("{number}{}", "字".repeat(chars))})]);
        if line.len() > 1_024 {
            expected.push(vec![
                json!("line_too_long"),
                json!(text.len()),
                json!(number + 1),
            ]);
        }
        text += &line;
    }
    expected.push(vec![json!("invalid_json"), json!(text.len()), json!(10)]);
    text += "broken\n";
    assert_eq!(expected.len(), 4);
    for (name, content) in [
        ("c.json", text.clone().into_bytes()),
        ("c.json.gz", gz(text.as_bytes())),
    ] {
        place.write(name, content);
        let table = corpus("c", "news2016zh", &format!("train = [\"{name}\"]"));
        for unit in ["1KiB", "5000", "64KiB", "16MiB"] {
            let sizes = format!("line_bytes_max = \"1KiB\"\nunit_bytes = \"{unit}\"");
            let shards = format!("profile = \"luse\"\ndropped_ratio_max = 1.0\n{sizes}");
            let dataset = place.make(&plan(&table, &shards));
            let query = "SELECT reason, \"offset\", line FROM dropped ORDER BY \"offset\"";
            assert_eq!(dataset.values(query), expected, "{name} {unit}");
            assert_eq!(dataset.manifest.rows, 6, "{name} {unit}");
        }
    }
}

#[test]
fn truncated_containers_give_what_they_hold() {
    let place = Place::new("truncated");
    let documents: Vec<Value> = (0..2_000).map(|at| news("", "", &prose(at, 2))).collect();
    let text = lines(&documents);
    let cut = |mut bytes: Vec<u8>, share: f64| {
        bytes.truncate((bytes.len() as f64 * share) as usize);
        bytes
    };
    let bytes = text.as_bytes();
    let (first, second) = bytes.split_at(text[..text.len() / 2].rfind('\n').unwrap() + 1);
    let members: [(&str, &[u8]); 3] = [("d/", b""), ("d/one.json", first), ("d/two.json", second)];
    let stored = zip(&members, CompressionMethod::Stored);
    for (name, content) in [
        ("c.json.gz", cut(gz(bytes), 0.8)),
        ("c.json.zst", cut(zst(bytes), 0.8)),
        ("c.tar", cut(tar(&[("c.json", bytes)]), 0.8)),
        ("c.tgz", cut(gz(&tar(&[("c.json", bytes)])), 0.8)),
        ("c.zip", cut(deflated(&[("c.json", bytes)]), 0.8)),
        ("folder.zip", cut(deflated(&members), 0.8)),
        ("stored.zip", cut(stored, 0.8)),
    ] {
        place.write(name, content);
        let table = corpus("c", "news2016zh", &format!("train = [\"{name}\"]"));
        place.write("plan.toml", plan(&table, "dropped_ratio_max = 0.0"));
        place
            .shards("strict", &[])
            .expect(1, &["cannot be read further", name]);
        for unit in ["16MiB", "3KiB"] {
            let text = plan(
                &table,
                &format!("dropped_ratio_max = 0.5\nunit_bytes = \"{unit}\""),
            );
            place.write("plan.toml", text);
            let run = place.shards("data", &[]).expect(0, &[]);
            assert!(
                run.stdout.contains("DAMAGED") && run.stdout.contains(name),
                "{run:?}"
            );
            let dataset = place.dataset("data");
            assert_eq!(dataset.dropped("damaged_container"), 1, "{name}");
            assert_eq!(
                dataset.manifest.dropped.len(),
                1,
                "{name}: {:?}",
                dataset.manifest.dropped
            );
            let rows = dataset.manifest.rows;
            assert!(
                (2_000..4_000).contains(&rows),
                "{name} {unit}: {rows} of 4000 rows"
            );
        }
    }
}

#[test]
fn a_damaged_member_does_not_hide_the_others() {
    let place = Place::new("member");
    let texts: Vec<String> = (0..3)
        .map(|at| {
            lines(
                &(0..50)
                    .map(|n| news("", "", &prose(at * 50 + n, 1)))
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    let names = ["one.json", "two.json", "three.json"];
    let members: Vec<(&str, &[u8])> = names
        .into_iter()
        .zip(texts.iter().map(String::as_bytes))
        .collect();
    let mut bytes = zip(&members, CompressionMethod::Stored);
    let at = bytes
        .windows(8)
        .position(|found| found == b"two.json")
        .unwrap();
    bytes[at + 500] ^= 0x20;
    place.write("c.zip", bytes);
    let table = corpus("c", "news2016zh", "train = [\"c.zip\"]");
    let dataset = place.make(&plan(&table, "dropped_ratio_max = 0.5"));
    let ledger = dataset.values("SELECT member FROM dropped WHERE reason = 'damaged_container'");
    assert_eq!(ledger, [vec![json!("two.json")]]);
    assert!(dataset.manifest.rows >= 149, "{}", dataset.manifest.rows);
}

#[test]
fn wrong_columns_and_empty_files() {
    let place = Place::new("columns");
    let table = "甲一在这里\t乙一在这里\n\n只有一列\n甲二在这里\t乙二在这里\t多一列\r\n甲三在这里\t乙三在这里";
    place.write("c.tsv", table);
    place.write("empty.tsv", "");
    place.write("blank.tsv", "\n \r\n\n");
    let files = "train = [\"*.tsv\"]\ncolumns = [\"anchor\", \"positive\"]";
    let dataset = place.make(&plan(&corpus("c", "tsv", files), "dropped_ratio_max = 0.5"));
    assert_eq!(dataset.manifest.rows, 2);
    let rows =
        dataset.values("SELECT reason, file, \"offset\", line, detail FROM dropped ORDER BY line");
    let second = table.find("甲二").unwrap();
    let row = |offset: usize, line: u32, detail: &str| {
        vec![
            json!("wrong_columns"),
            json!("c.tsv"),
            json!(offset),
            json!(line),
            json!(detail),
        ]
    };
    let first = table.find("只有").unwrap();
    assert_eq!(
        rows,
        [
            row(first, 3, "1 column, expected 2"),
            row(second, 4, "3 columns, expected 2")
        ]
    );
    for name in [
        "none.json",
        "none.json.gz",
        "none.json.zst",
        "none.zip",
        "none.tar",
    ] {
        let content = match name {
            "none.json" => Vec::new(),
            "none.json.gz" => gz(b""),
            "none.json.zst" => zst(b""),
            "none.zip" => deflated(&[("a.json", b"")]),
            _ => tar(&[("a.json", b"")]),
        };
        place.write(name, content);
        let alone = corpus("c", "news2016zh", &format!("train = [\"{name}\"]"));
        place.write("alone.toml", plan(&alone, ""));
        let run = place.juzi(&["shards", "alone.toml", "--data", "alone"]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(
            run.stderr.contains("not one record of 0 documents"),
            "{run:?}"
        );
        assert!(!place.path("alone/shards").exists());
        place.write("one.json", lines(&[news("天地玄黄", "", "")]));
        let table = corpus(
            "c",
            "news2016zh",
            &format!("train = [\"{name}\", \"one.json\"]"),
        );
        let dataset = place.make(&plan(&table, ""));
        let counts = (
            dataset.manifest.rows,
            dataset.manifest.counts["documents_in"],
        );
        assert_eq!(counts, (1, 1), "{name}");
    }
}
