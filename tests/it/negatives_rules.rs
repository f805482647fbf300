//! What the stage `negatives` takes, refuses, fills up and reports.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::fixtures::{corpus, lines, prose};
use crate::negatives::{Mined, check_right, key, mined, pairs, plan, right};
use crate::support::Place;

#[test]
fn ranks_count_before_any_filter() {
    let place = Place::new("ranks");
    let all = "k = 60\ncount = 60\npositive_share = 0.0\nnear_duplicate = 0.0\n";
    let whole = place.mine("data", &plan(&place, false, all), &[]);
    let pairs = pairs(&place.dataset("data"));
    let (whole, _) = mined(&whole);
    let window = place.mine(
        "data",
        &plan(&place, false, &format!("{all}rank_min = 4\nrank_max = 20")),
        &[],
    );
    assert!(window.manifest.counts["refused_outside_ranks"] > 0);
    let (window, _) = mined(&window);
    let (right, mut shifted) = (right(&pairs), 0);
    for pair in pairs.iter().filter(|pair| pair.train) {
        let known = &right[&key(&pair.anchor)];
        // Of ranks 4 to 20 what is left are the survivors with these ranks, not the 4th to 20th of them.
        let inside = &window[&pair.id].negatives;
        assert!(inside.len() <= 17);
        if inside.is_empty() {
            continue;
        }
        let rest: Vec<_> = whole[&pair.id].negatives.clone();
        let start = rest
            .iter()
            .position(|text| Some(text) == inside.first())
            .unwrap();
        assert!(start <= 3, "{start}");
        shifted += usize::from(start < 3 && !known.is_empty());
        assert_eq!(inside[..], rest[start..start + inside.len()]);
    }
    assert!(
        shifted > 20,
        "{shifted} rows had a positive among the first three"
    );
}

#[test]
fn filling_up_never_takes_what_is_right() {
    let place = Place::new("fill");
    let table = "k = 10\ncount = 10\nscore_max = 0.0\nnear_duplicate = 0.0\nrandom_fill = true";
    let dataset = place.mine("data", &plan(&place, true, table), &[]);
    let all = pairs(&place.dataset("data"));
    let (rows, _) = mined(&dataset);
    check_right(&all, &rows);
    assert_eq!(dataset.manifest.counts["negatives_found"], 0);
    assert_eq!(dataset.manifest.counts["negatives_missing"], 0);
    assert!(dataset.manifest.counts["drawn_refused"] > 20);
    // Four documents, of which two are right: two can be drawn, and the rest is missing.
    let [a, b, c, d] = [1, 2, 3, 4].map(|at| prose(at, 1));
    let few = [
        json!([a, b]),
        json!([a, c]),
        json!([prose(9, 1), d]),
        json!([prose(8, 1), prose(7, 1)]),
    ];
    place.write("few.jsonl", lines(&few));
    let table = corpus("few", "embedding_training_data", "train = [\"few.jsonl\"]");
    let plan = format!(
        "name = \"it\"\n{table}[shards]\nwords = true\n[negatives]\nk = 5\ncount = 4\nscore_max = 0.0\nrandom_fill = true\n"
    );
    let dataset = place.mine("few", &plan, &[]);
    let all = pairs(&place.dataset("few"));
    let (rows, _) = mined(&dataset);
    check_right(&all, &rows);
    for pair in &all {
        let wanted = if key(&pair.anchor) == key(&a) { 2 } else { 3 };
        assert_eq!(rows[&pair.id].negatives.len(), wanted);
    }
    assert_eq!(dataset.manifest.counts["negatives_missing"], 2 * 2 + 2);
    assert_eq!(dataset.manifest.counts["rows_short"], 4);
}

#[test]
fn copies_of_one_document_are_one_negative() {
    let place = Place::new("copies");
    let variants: Vec<Value> = (0..12)
        .map(|at| {
            let end = ["甲", "乙", "丙", "丁", "戊", "己"][at % 6];
            let text = format!("软件包提供图形界面的安装工具，可以查找升级删除程序{end}");
            json!([prose(100 + at as u64, 1), text + ["", "。", "！"][at / 6]])
        })
        .chain([json!(["图形界面的软件包管理器", "软件包管理器有图形界面"])])
        .chain([json!([prose(200, 1), "图形界面需要软件包，程序员知道"])])
        .collect();
    place.write("few.jsonl", lines(&variants));
    let table = corpus("few", "embedding_training_data", "train = [\"few.jsonl\"]");
    let plan = |near: f64| {
        format!(
            "name = \"it\"\n{table}[shards]\nwords = true\n\
             [negatives]\ncount = 5\nnear_duplicate = {near:?}\n"
        )
    };
    let of_asked = |near: f64| {
        let dataset = place.mine("data", &plan(near), &[]);
        let (rows, _) = mined(&dataset);
        let pairs = pairs(&place.dataset("data"));
        let asked = pairs.iter().find(|pair| pair.anchor.starts_with("图形"));
        let refused = dataset.manifest.counts["refused_near_negative"];
        (rows[&asked.unwrap().id].negatives.len(), refused)
    };
    let (without, with) = (of_asked(0.0), of_asked(0.8));
    assert_eq!(without, (5, 0));
    assert_eq!(with.0, 2);
    assert!(with.1 >= 4, "{with:?}");
}

#[test]
fn sampling_takes_any_of_those_that_pass() {
    let place = Place::new("sampling");
    let usual = "k = 100\ncount = 3\npositive_share = 0.0\n";
    let (top, _) = mined(&place.mine("data", &plan(&place, false, usual), &[]));
    let random = format!("{usual}sampling = \"random\"");
    let (random, _) = mined(&place.mine("data", &plan(&place, false, &random), &[]));
    let pairs = pairs(&place.dataset("data"));
    check_right(&pairs, &random);
    let mean = |rows: &BTreeMap<u128, Mined>| {
        let scores = rows
            .values()
            .flat_map(|row| row.negatives.iter().map(|(_, score)| *score));
        let scores: Vec<f32> = scores.collect();
        scores.iter().sum::<f32>() / scores.len() as f32
    };
    assert!(mean(&random) < mean(&top) * 0.9);
    let full = random.values().filter(|row| row.negatives.len() == 3);
    assert!(full.count() > 100);
    let different: BTreeSet<_> = random
        .values()
        .filter_map(|row| Some(&row.negatives.first()?.0))
        .collect();
    assert!(different.len() > 30, "{}", different.len());
}

#[test]
fn a_positive_without_common_words() {
    let place = Place::new("unmatched");
    let english = [
        "A good morning to you",
        "The weather is fine today",
        "Where is the station",
    ];
    let both = |at: u64| {
        let (one, shared) = (prose(at + 20, 1), "今天的天气真好。");
        let positive = format!("{one}{shared}{}", prose(at, 1));
        json!([one + shared, positive])
    };
    let mut documents: Vec<Value> = (0..3).map(both).collect();
    documents.extend((0..3).map(|at| json!([prose(at, 1), english[at as usize]])));
    place.write("p.jsonl", lines(&documents));
    let table = corpus("p", "embedding_training_data", "train = [\"p.jsonl\"]");
    let plan = |lines: &str| {
        format!(
            "name = \"it\"\n{table}[shards]\nwords = true\n[shards.filters.han]\nenabled = false\n[negatives]\nnear_duplicate = 0.0\n{lines}"
        )
    };
    let (strict, _) = mined(&place.mine("data", &plan(""), &[]));
    let loose = place.mine("data", &plan("unmatched_positive = \"accept\""), &[]);
    let (loose, rows) = mined(&loose);
    let pairs = pairs(&place.dataset("data"));
    assert_eq!(rows.len(), 6);
    for pair in pairs.iter().filter(|pair| pair.positive.is_ascii()) {
        assert_eq!(strict[&pair.id].score, Some(0.0));
        assert_eq!(strict[&pair.id].rank, None);
        assert!(strict[&pair.id].negatives.is_empty());
        assert!(!loose[&pair.id].negatives.is_empty());
    }
}

#[test]
fn inconsistent_pairs_go_to_the_ledger() {
    let place = Place::new("consistency");
    let mut documents: Vec<Value> = (0..40)
        .map(|at| json!([prose(at, 1), prose(at, 1) + &prose(at + 100, 1)]))
        .collect();
    // The positive of these belongs to another anchor's text.
    documents.extend((0..5).map(|at| json!([prose(at + 20, 1) + "吗", prose(at + 900, 1)])));
    place.write("p.jsonl", lines(&documents));
    let table = corpus("p", "embedding_training_data", "train = [\"p.jsonl\"]");
    let plan = |lines: &str| {
        format!(
            "name = \"it\"\n{table}[shards]\nwords = true\n[negatives]\nrandom_fill = true\n[negatives.consistency]\nenabled = true\n{lines}"
        )
    };
    let dataset = place.mine("data", &plan(""), &[]);
    assert_eq!(
        dataset.dropped("inconsistent"),
        5,
        "{:?}",
        dataset.manifest.counts
    );
    assert_eq!(dataset.manifest.rows, 40);
    let details = dataset.values("SELECT detail, file, line FROM dropped");
    for row in &details {
        let detail = row[0].as_str().unwrap();
        assert!(detail.contains("吗 → "), "{detail}");
        assert!(
            detail.starts_with("rank ") || detail.starts_with("not among"),
            "{detail}"
        );
    }
    // Alone in its chunk every pair finds itself.
    let alone = place.mine("data", &plan("chunk = 1"), &[]);
    assert!(alone.dropped("inconsistent") < 5);
    // Four answers to one question do not push each other out.
    let many: Vec<Value> = (0..30)
        .map(|at| json!([prose(at / 5, 1), prose(at / 5, 1) + &prose(at + 100, 1)]))
        .collect();
    place.write("p.jsonl", lines(&many));
    let dataset = place.mine("many", &plan("k = 1"), &[]);
    assert_eq!(dataset.manifest.rows, 30, "{:?}", dataset.manifest.dropped);
}

#[test]
fn the_page_shows_texts_and_runs_none() {
    let place = Place::new("page");
    let bad = "<script>alert('坏')</script>";
    let documents: Vec<Value> = (0..8)
        .map(|at| json!([prose(at, 1) + bad, prose(at, 2) + bad]))
        .collect();
    place.write("p.jsonl", lines(&documents));
    let table = corpus("p", "embedding_training_data", "train = [\"p.jsonl\"]");
    let plan = format!(
        "name = \"it\"\n{table}[shards]\nwords = true\nprofile = \"luse\"\n[negatives]\nrandom_fill = true\n"
    );
    let dataset = place.mine("data", &plan, &[]);
    let page = std::fs::read_to_string(dataset.dir.join("report.html")).unwrap();
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("&lt;script"), "{page}");
    assert_eq!(
        page.matches("<section>").count(),
        dataset.manifest.rows as usize
    );
    assert!(page.contains("<svg") && page.contains("class=\"positive\""));
    let report: Value =
        serde_json::from_slice(&std::fs::read(dataset.dir.join("report.json")).unwrap()).unwrap();
    let bins = report["scores"]["positives"]["counts"].as_array().unwrap();
    let scored: u64 = bins.iter().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(scored, dataset.manifest.rows);
}
