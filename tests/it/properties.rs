//! Properties over inputs that nobody thought of.

use std::collections::BTreeSet;

use juzi_pipeline::readers::{Document, READERS, ReaderOptions, reader};
use juzi_pipeline::text::clean::{CleanOptions, Cleaner};
use juzi_pipeline::text::{fold, luse, split};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Rng, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::json;

use crate::fixtures::{corpus, deflated, gz, lines, news, parquet, plan, prose, tar, zst};
use crate::stages::luse_rule;
use crate::support::Place;

/// Text of the characters that decide something.
const TEXT: &str = "([天地玄黄]|[。？！.?!…“”\"（）《》，；：]|[ \t\r\n\u{3000}\u{a0}\u{1f}]|[a-z0-9]|<br>|&nbsp;|\\PC){0,40}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn luse_keeps_the_set_of_the_rule(
        documents in vec((TEXT, TEXT, TEXT), 0..40), files in 1..4_usize, unit in 1024..4096_u32,
    ) {
        let place = Place::new("oracle");
        let mut expected = BTreeSet::new();
        let mut texts = vec![String::new(); files];
        let clean = |text: &String| text.replace('\0', "");
        // A dataset without rows is refused, so there is always one.
        expected.insert("天地玄黄".to_string());
        texts[0] += &lines(&[news("天地玄黄", "", "")]);
        for (number, (title, desc, content)) in documents.iter().enumerate() {
            let fields = [clean(title), clean(desc), clean(content)];
            expected.extend(fields.iter().flat_map(|text| luse_rule(text)));
            texts[number % files] += &lines(&[news(&fields[0], &fields[1], &fields[2])]);
        }
        for (number, text) in texts.iter().enumerate() {
            place.write(&format!("{number}.json"), text);
        }
        let table = corpus("c", "news2016zh", "train = [\"*.json\"]");
        let shards = format!("profile = \"luse\"\nunit_bytes = {unit}\nshard_bytes = {unit}");
        let dataset = place.make(&plan(&table, &shards));
        let kept = dataset.column("text");
        prop_assert_eq!(kept.len(), expected.len());
        prop_assert_eq!(kept.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn splitters_and_cleaner_keep_their_promises(text in TEXT) {
        prop_assert_eq!(split::spans(&text).collect::<String>(), text.as_str());
        prop_assert!(split::spans(&text).all(|span| !span.is_empty()));
        let mut pieces = Vec::new();
        luse::sentences(&text, &mut String::new(), |piece| pieces.push(piece.to_string()));
        pieces.retain(|piece| piece.chars().count() > 1);
        prop_assert_eq!(pieces, luse_rule(&text));
        for options in [CleanOptions::default(), CleanOptions { simplified: true, ..CleanOptions::default() }] {
            let cleaner = Cleaner::new(&options).unwrap();
            let once = cleaner.clean(&text, &mut String::new()).to_string();
            let twice = cleaner.clean(&once, &mut String::new()).to_string();
            prop_assert_eq!(twice, once);
        }
        fold::fold(&text, &mut Vec::new());
    }

    #[test]
    fn readers_take_any_line(raw in "(\\PC|[\"\\\\{}\\[\\],:\t\r\n])*", structure in 0..5_usize) {
        let shaped = match structure {
            0 => raw.clone(),
            1 => json!({"title": raw, "text": 1, "pos": [raw], "query": raw}).to_string(),
            2 => format!("{{\"title\": {raw}, \"qid\": -1e999}}"),
            3 => format!("[\"{raw}\", \"b\"]"),
            _ => raw.repeat(40),
        };
        for (name, _) in READERS {
            let columns = ["text", "label", "c"].map(String::from).to_vec();
            let made = [Vec::new(), columns].into_iter().find_map(|columns| {
                reader(name, &ReaderOptions { columns, ..ReaderOptions::default() }).ok()
            });
            let reader = made.unwrap();
            let mut document = Document::default();
            document.clear(reader.columns().len());
            reader.is_header(&shaped);
            if let Err(reject) = reader.read(&shaped, &mut document) {
                prop_assert!(!reject.detail.is_empty());
            }
        }
    }
}

fn below(random: &mut TestRng, bound: usize) -> usize {
    random.next_u32() as usize % bound.max(1)
}

fn noise(random: &mut TestRng, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    random.fill_bytes(&mut bytes);
    bytes
}

/// A container with some of its bytes changed, or cut.
fn damage(random: &mut TestRng, good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let at = below(random, good.len());
    match below(random, 4) {
        0 => bytes.truncate(at),
        1 => bytes = noise(random, at % 300),
        2 => {
            let end = good.len().min(at + below(random, 40));
            bytes[at..end].copy_from_slice(&noise(random, end - at));
        }
        _ => {
            for _ in 0..1 + below(random, 4) {
                let at = below(random, good.len());
                bytes[at] ^= 1 << below(random, 8);
            }
        }
    }
    bytes
}

#[test]
fn damaged_containers_never_panic() {
    let place = Place::new("fuzz");
    let text = lines(
        &(0..20)
            .map(|at| news(&prose(at, 1), "", &prose(at, 2)))
            .collect::<Vec<_>>(),
    );
    let row = (text.as_str(), "另一列", 0.5);
    let good = [
        (
            "c.zip",
            deflated(&[("a.json", text.as_bytes()), ("b.json", text.as_bytes())]),
        ),
        ("c.gz", gz(text.as_bytes())),
        ("c.zst", zst(text.as_bytes())),
        ("c.tar", tar(&[("a.json", text.as_bytes())])),
        ("c.parquet", parquet(["title", "desc"], &[row; 5])),
    ];
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for round in 0..12 {
        for (name, bytes) in &good {
            let damaged = damage(&mut random, bytes);
            place.write(name, &damaged);
            let table = match *name {
                "c.parquet" => "columns = [\"title\", \"desc\"]",
                _ => "",
            };
            let reader = if *name == "c.parquet" {
                "parquet"
            } else {
                "news2016zh"
            };
            let table = corpus("c", reader, &format!("train = [\"{name}\"]\n{table}"));
            place.write("plan.toml", plan(&table, "dropped_ratio_max = 1.0"));
            let run = place.shards("data", &["--threads", "2", "--quiet"]);
            let talk = &run.stderr;
            let fine = matches!(run.code, Some(0 | 1)) && !talk.contains("panicked");
            if !fine {
                place.write(&format!("bad-{round}-{name}"), &damaged);
            }
            assert!(fine, "{name}, round {round}: {run:?}");
            if run.code == Some(0) {
                place.dataset("data");
            }
        }
    }
}
