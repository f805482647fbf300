//! The same plan and inputs give the same bytes, however they are worked through.

use std::collections::BTreeMap;

use juzi_schemas::manifest::Table;

use crate::fixtures::{corpus, lines, mixed, news, plan, prose};
use crate::support::{Dataset, Place};

const SMALL: &str = "dropped_ratio_max = 1.0\nunit_bytes = \"4KiB\"\nshard_bytes = \"8KiB\"\n\
                     [shards.near_duplicates]\nenabled = true\nbands = 20\nrows = 3";

#[test]
fn threads_and_memory_do_not_show() {
    let place = Place::new("threads");
    let text = plan(&mixed(&place, "in").concat(), SMALL);
    let first = place.make_in("one", &text, &["--threads", "1"]);
    assert!(first.manifest.files_of(Table::Rows).count() > 5);
    assert!(first.dropped("near_duplicate") > 5 && first.dropped("duplicate") > 20);
    for (data, flags) in [
        ("two", ["--threads", "2", "--memory", "1GB"]),
        ("eight", ["--threads", "8", "--memory", "3GiB"]),
        ("narrow", ["--threads", "8", "--memory", "200MB"]),
    ] {
        let other = place.make_in(data, &text, &flags);
        assert_eq!(other.bytes(), first.bytes(), "{data}");
    }
    place
        .shards("none", &["--memory", "1MB"])
        .expect(2, &["--memory 1.0 MB is too small"]);
}

#[test]
fn order_in_the_plan_and_names_of_directories_do_not_show() {
    let place = Place::new("order");
    let mut tables = mixed(&place, "in");
    let first = place.make_in("one", &plan(&tables.concat(), SMALL), &[]);
    tables.reverse();
    tables[8] = tables[8].replace(
        "\"in/b/news_train.json\", \"in/a/news_train.json\"",
        "\"in/a/news_train.json\", \"in/b/news_train.json\"",
    );
    let second = place.make_in("two", &plan(&tables.concat(), SMALL), &[]);
    assert_eq!(second.bytes(), first.bytes());
    std::fs::rename(place.path("in/a"), place.path("in/x")).unwrap();
    std::fs::rename(place.path("in"), place.path("elsewhere")).unwrap();
    let moved = tables
        .concat()
        .replace("in/a/", "in/x/")
        .replace("\"in/", "\"elsewhere/");
    let third = place.make_in("three", &plan(&moved, SMALL), &[]);
    assert_eq!(third.bytes(), first.bytes());
}

/// Two files of one name and one length, whose documents meet at equal offsets of their units.
#[test]
fn directories_may_change_their_places() {
    let place = Place::new("directories");
    let unit: Vec<String> = (0..6)
        .map(|at| lines(&[news("", "", &prose(at, 15))]))
        .collect();
    assert!(unit.iter().all(|line| line.len() == unit[0].len()));
    place.write(
        "a/f.json",
        [0, 1, 2, 3].map(|at| unit[at].as_str()).concat(),
    );
    place.write(
        "b/f.json",
        [4, 5, 0, 1].map(|at| unit[at].as_str()).concat(),
    );
    let table = corpus("c", "news2016zh", "train = [\"*/f.json\"]");
    let shards = format!("unit_bytes = {}", unit[0].len());
    let first = place.make_in("one", &plan(&table, &shards), &[]);
    std::fs::rename(place.path("a"), place.path("z")).unwrap();
    let second = place.make_in("two", &plan(&table, &shards), &[]);
    assert_eq!(second.bytes(), first.bytes());
}

#[test]
fn sizes_of_units_and_shards_do_not_change_the_rows() {
    let place = Place::new("sizes");
    let tables = mixed(&place, "in").concat();
    let make = |data: &str, sizes: &str| {
        let text = plan(&tables, &format!("dropped_ratio_max = 1.0\n{sizes}"));
        let dataset = place.make_in(data, &text, &[]);
        let keys = |reason: &str| {
            let query = format!(
                "SELECT reason, corpus, split, file, member, \"offset\", line, keeper, detail FROM dropped \
                 WHERE reason = '{reason}' ORDER BY corpus, file, member, \"offset\", keeper"
            );
            dataset.values(&query)
        };
        let bad = keys("invalid_json");
        (dataset, bad)
    };
    let (first, bad) = make("one", "");
    assert_eq!(bad.len(), 1);
    let units = ["1KiB", "3000", "64KiB"];
    for (number, unit) in units.into_iter().enumerate() {
        let sizes = format!(
            "unit_bytes = \"{unit}\"\nshard_bytes = \"{}KiB\"",
            5 + number * 40
        );
        let (other, other_bad) = make(unit, &sizes);
        assert_eq!(
            other.manifest.rows_hash, first.manifest.rows_hash,
            "{sizes}"
        );
        assert_eq!(other.manifest.dropped, first.manifest.dropped, "{sizes}");
        assert_eq!(other_bad, bad, "{sizes}");
        assert_ne!(other.manifest.fingerprint, first.manifest.fingerprint);
    }
}

fn multiset(dataset: &Dataset) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for text in dataset.column("text") {
        *counts.entry(text).or_default() += 1;
    }
    counts
}

#[test]
fn a_seed_is_an_order_and_nothing_else() {
    let place = Place::new("seed");
    let documents: Vec<_> = (0..80).map(|at| news("", "", &prose(at, 3))).collect();
    place.write("c.json", lines(&documents));
    let table = corpus("c", "news2016zh", "train = [\"c.json\"]");
    let seeded = |seed: u64| {
        let text = format!("seed = {seed}\n{}", plan(&table, "profile = \"luse\""));
        place.make_in(&seed.to_string(), &text, &[])
    };
    let (one, two) = (seeded(1), seeded(2));
    assert_eq!(one.ids(), two.ids());
    assert_eq!(multiset(&one), multiset(&two));
    assert_ne!(one.column("text"), two.column("text"));
    assert_ne!(one.manifest.rows_hash, two.manifest.rows_hash);
    let mut expected = BTreeMap::new();
    let sentences = (0..80).flat_map(|at| crate::stages::luse_rule(&prose(at, 3)));
    sentences.for_each(|sentence| *expected.entry(sentence).or_insert(0) = 1);
    assert_eq!(multiset(&one), expected);
    // Neighbours in the corpus are not neighbours in the dataset.
    let order = one.column("text");
    let places: BTreeMap<&str, usize> = order.iter().map(String::as_str).zip(0..).collect();
    let corpus: Vec<String> = (0..80)
        .flat_map(|at| crate::stages::luse_rule(&prose(at, 3)))
        .collect();
    let near = corpus
        .windows(2)
        .filter(|pair| places[pair[0].as_str()].abs_diff(places[pair[1].as_str()]) < 3);
    assert!(near.count() < corpus.len() / 10);
}
