//! Tests of the report: pages of short, long and hostile runs.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{FILE, write};
use crate::events::{self, Writer};

fn place(name: &str) -> PathBuf {
    let name = format!("juzi-report-{name}-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn report(name: &str, all: &[Value]) -> String {
    let run = place(name);
    let mut writer = Writer::open(&run, None).unwrap();
    all.iter().for_each(|event| writer.write(event).unwrap());
    std::fs::write(run.join("recipe.toml"), "seed = 1 # <b>&\n").unwrap();
    std::fs::write(run.join("data.json"), "{\"dataset\":\"</pre><i>\"}").unwrap();
    let path = write(&run).unwrap();
    assert_eq!(path, run.join(FILE));
    let page = std::fs::read_to_string(path).unwrap();
    std::fs::remove_dir_all(run).unwrap();
    checked(&page);
    page
}

/// Every element that is opened is closed, in order, and nothing is loaded from anywhere.
fn checked(page: &str) {
    let mut open = Vec::new();
    for part in page.split('<').skip(1) {
        let (tag, _) = part.split_once('>').expect("a tag has an end");
        let name = tag.split([' ', '\n']).next().unwrap().trim_end_matches('/');
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !tag.ends_with('/') && !["!doctype", "meta"].contains(&name) {
            open.push(name);
        }
        assert!(
            !["script", "link", "img", "iframe"].contains(&name),
            "{tag}"
        );
    }
    assert!(open.is_empty(), "{open:?}");
    for outside in [
        "http:", "https:", "src=", "href", "url(", "@import", "NaN", "inf",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
}

fn step(step: u64) -> Value {
    json!({
        "kind": "step", "step": step, "epoch": step / 50, "loss": 3.0 / (step as f64 + 1.0),
        "learning_rate": 2e-5 * step as f64 / 100.0, "gradient_norm": 1.5,
        "figures": { "accuracy": 0.5 }, "alignment": 0.4, "uniformity": -2.0,
        "time": { "seconds": 1.0, "tokens_per_s": 12_345.6, "wait_share": 0.002 },
    })
}

#[test]
fn a_whole_run_has_all_parts() {
    let mut all = vec![
        json!({ "kind": "start", "step": 0, "steps": 100, "parameters": 123, "dataset": "abc" }),
        json!({ "kind": "doctor", "step": 0, "healthy": true, "exceptions": [
            { "parameter": "layer.key.bias", "reason": "zero" },
        ], "checks": [
            { "name": "chunks", "state": "passed", "measured": 1.9e-7, "tolerance": 1e-6, "detail": "d" },
            { "name": "views", "state": "skipped", "measured": null, "tolerance": null, "detail": "" },
        ] }),
    ];
    all.extend((1..=100).map(step));
    all.push(json!({ "kind": "checkpoint", "step": 50, "loss_mean": 0.5, "best": true }));
    all.push(json!({ "kind": "resume", "step": 50, "steps": 100 }));
    for (step, value) in [(0, 0.5), (50, 0.75), (100, 0.7)] {
        for (task, more) in [("sts", 0.0), ("search", 0.125)] {
            all.push(
                json!({ "kind": "evaluation", "step": step, "name": task, "metrics": {
                "spearman": value + more, "pearson": 0.25 } }),
            );
        }
    }
    all.push(json!({ "kind": "stop", "step": 100, "reason": "complete" }));
    let page = report("whole", &all);
    for part in [
        "loss_mean 0.5000, best true",
        "<dt>state</dt><dd>stopped: complete</dd>",
        "<dt>steps</dt><dd>100 of 100</dd>",
        "aria-label=\"loss: loss from 0.02970 to 1.500, 0.02970 at step 100\"",
        ">learning rate <span",
        ">share of time that the training waited for batches ",
        "Gradient doctor: <span class=\"good\">healthy",
        "<td class=\"n\">1.9e-7</td><td class=\"n\">1e-6</td>",
        "excused: layer.key.bias: zero",
        "<title>resumed at step 50</title>",
        "<h2>sts</h2>",
        "<th>spearman</th><th>pearson</th>",
        "<td class=\"n\">0.7000</td><td class=\"n\">0.2500</td>",
        "<th>before</th><th>best (50)</th><th>last</th>",
        "<tr><td>search</td><td>spearman</td><td class=\"n\">0.6250</td><td class=\"n\">0.8750</td>\
         <td class=\"n\">0.8250</td></tr>",
        "aria-label=\"search: spearman from 0.6250 to 0.8750, 0.8250 at step 100; pearson",
        "seed = 1 # &lt;b&gt;&amp;",
        "&lt;/pre&gt;&lt;i&gt;",
    ] {
        assert!(
            page.contains(part) || part == "<td>best true</td>",
            "{part}"
        );
    }
    assert!(page.contains("loss_mean 0.5000, best true"));
    // 7 curves, two tasks and the figure.
    assert_eq!(page.matches("<svg ").count(), 10);
    // 100 points of each line, raw and smooth.
    let lines = page
        .split("<polyline ")
        .skip(1)
        .map(|line| line.split("\"/>").next().unwrap());
    let points: Vec<usize> = lines.map(|line| line.matches(',').count()).collect();
    assert_eq!(
        points.iter().filter(|&&points| points == 100).count(),
        8 + 5,
        "{points:?}"
    );
    assert_eq!(
        points.iter().filter(|&&points| points == 3).count(),
        4,
        "{points:?}"
    );
}

#[test]
fn one_event_is_enough() {
    let page = report("one", &[json!({ "kind": "start", "step": 0, "steps": 9 })]);
    assert!(page.contains("No step is in the log yet") && page.contains("0 of 9"));
    let page = report("step", &[step(1)]);
    assert_eq!(
        page.matches("<circle ").count(),
        page.matches("<svg ").count()
    );
    assert!(page.contains("running, or killed"));
    report("none", &[]);
}

#[test]
fn a_million_steps_make_a_small_page() {
    let run = place("million");
    let mut text = String::new();
    for step in 0..1_000_000 {
        let loss = if step == 123_456 { 99.0 } else { 1.0 };
        text += &format!("{{\"kind\":\"step\",\"step\":{step},\"loss\":{loss}}}\n");
        if step % 1000 == 0 {
            text += &format!("{{\"kind\":\"checkpoint\",\"step\":{step}}}\n");
        }
    }
    std::fs::write(run.join(events::FILE), text).unwrap();
    let page = std::fs::read_to_string(write(&run).unwrap()).unwrap();
    std::fs::remove_dir_all(run).unwrap();
    checked(&page);
    assert!(page.len() < 200_000, "{}", page.len());
    assert!(page.contains("loss from 1.000 to 99.00"));
    assert!(page.contains("800 more, in the middle"));
}

#[test]
fn hostile_text_stays_text() {
    let evil = "</title><script>alert(1)</script>\" onload='x' \u{0}";
    let page = report(
        "hostile",
        &[
            json!({ "kind": evil, "step": 1, evil: evil }),
            json!({ "kind": "stop", "step": "no number", "reason": evil }),
            json!({ "kind": "evaluation", "step": 1, "name": evil, "metrics": { evil: 1.0, "bad": evil } }),
            json!({ "kind": "step", "step": 2, "loss": evil, "figures": { evil: 2.5 } }),
            json!({ "kind": "step", "step": u64::MAX, "loss": 1.0, "figures": [1] }),
            json!({ "kind": "step", "step": 3, "loss": null, "learning_rate": 1e308, "gradient_norm": -1e308 }),
            json!({ "kind": "step", "step": 4, "loss": 1e308, "gradient_norm": 1e308, "time": 3 }),
            json!({ "kind": "doctor", "checks": { "a": evil }, "exceptions": [evil] }),
            json!({ "kind": "doctor", "checks": [evil, { "name": evil, "state": evil }] }),
        ],
    );
    assert!(page.contains("&lt;script&gt;alert(1)"));
    assert!(!page.contains("<script") && !page.contains("onload='"));
}

#[test]
fn a_run_without_a_log_is_refused() {
    let run = place("without");
    let error = write(&run).unwrap_err().to_string();
    assert!(error.contains(events::FILE), "{error}");
    std::fs::write(run.join(events::FILE), "{\"kind\":\"step\"}\nnot json\n").unwrap();
    let error = write(&run).unwrap_err().to_string();
    assert!(error.contains("events.jsonl: line 2: "), "{error}");
    std::fs::remove_dir_all(run).unwrap();
}
