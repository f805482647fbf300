//! Batches as people make them: every record once, the law of the sources, refusals, resume.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::batches_read::{Batches, batches, corpora, make};
use crate::fixtures::{corpus, lines, prose};
use crate::support::{Place, Run};

#[test]
fn batches_hold_every_record_once() {
    let place = Place::new("batches");
    let tables = corpora(&place, "");
    let triplets: Vec<Value> = (0..60)
        .map(|at| {
            json!([
                prose(at + 30_000, 1),
                prose(at + 31_000, 1),
                prose(at + 32_000, 1)
            ])
        })
        .collect();
    place.write("t.jsonl", lines(&triplets));
    let tables = tables.replace(
        "[shards]",
        &(corpus("t", "embedding_training_data", "train = [\"t.jsonl\"]") + "[shards]"),
    );
    let made = make(
        &place,
        "data",
        &format!("{tables}[batches]\nsize = 20"),
        &[],
    );
    assert_eq!((made.all.len(), made.manifest.rows), (33, 660));
    let shown = made.shown(0);
    assert_eq!(shown.len(), 660);
    let shards: BTreeSet<u128> = place.dataset("data").ids();
    assert!(shown.keys().all(|id| shards.contains(id)));
    let mut negatives = 0;
    for batch in made.rows() {
        let anchors: BTreeSet<&String> = batch.iter().map(|row| &row.anchor).collect();
        assert_eq!(anchors.len(), 20);
        negatives += batch.iter().map(|row| row.negatives.len()).sum::<usize>();
        assert!(
            batch
                .iter()
                .all(|row| row.negatives.is_empty() || row.corpus == "t")
        );
    }
    assert_eq!(negatives, 60);
    let texts: u64 = made
        .list()
        .iter()
        .map(|one| one["texts"].as_u64().unwrap())
        .sum();
    assert_eq!(texts, 660 * 2 + 60);
    assert_eq!(made.manifest.kinds["triplet"], 660);
    assert_eq!(made.manifest.measures["share_false_negatives"], 0.0);
    // Pairs and triplets are mixed.
    let with = made
        .rows()
        .iter()
        .filter(|batch| batch.iter().any(|row| row.corpus == "t"))
        .count();
    assert!(with > 20, "{with}");
}

#[test]
fn threads_do_not_show_and_windows_are_free() {
    let place = Place::new("batches-threads");
    let tables = corpora(&place, "");
    let samplers = [
        "sampler = { name = \"shuffled\" }",
        "sampler = { name = \"corpus\" }",
        "sampler = { name = \"proportional\" }",
        "sampler = { name = \"round_robin\" }",
        "sampler = { name = \"halves\", distinct = false }",
    ];
    for (number, sampler) in samplers.iter().enumerate() {
        for (window, windows_min) in [("256MB", 1), ("30kB", 3)] {
            let plan = format!("{tables}[batches]\nsize = 10\nwindow = \"{window}\"\n{sampler}");
            let name = |threads| format!("d{threads}{number}{window}");
            let one = make(&place, &name(1), &plan, &["--threads", "1"]);
            let eight = make(&place, &name(8), &plan, &["--threads", "8"]);
            assert_eq!(one.bytes(), eight.bytes(), "{plan}");
            assert!(
                one.manifest.counts["windows"] >= windows_min,
                "{:?}",
                one.manifest.counts
            );
            let most = match number {
                3 => 300,
                _ => 600,
            };
            assert!(
                one.manifest.rows + 60 > most,
                "{sampler} {window} {}",
                one.manifest.rows
            );
            assert!(one.shown(0).values().all(|count| *count == 1));
            let run = batches(&place, &name(1), &[]).expect(0, &[]);
            assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
        }
    }
}

#[test]
fn passes_differ_and_cover_evenly() {
    let place = Place::new("batches-passes");
    let tables = corpora(&place, "");
    let table = "[batches]\nsize = 6\npasses = 4\nwindow = \"60kB\"\n[batches.sources]\nrecords = 240\nalpha = 0.0";
    let made = make(&place, "data", &format!("{tables}{table}"), &[]);
    let mut all = BTreeMap::<u128, u32>::new();
    let mut passes = BTreeSet::new();
    for pass in 0..4 {
        let shown = made.shown(pass);
        assert!(shown.len() >= 234, "{}", shown.len());
        shown
            .iter()
            .for_each(|(id, count)| *all.entry(*id).or_default() += count);
        let first: Vec<u128> = made.rows()[pass as usize * 40]
            .iter()
            .map(|row| row.id)
            .collect();
        assert!(passes.insert(first));
    }
    assert!(all.values().all(|count| *count <= 4));
    let counts = &made.manifest.counts;
    for name in ["a", "b", "c"] {
        assert_eq!(counts[&format!("wanted:{name}")], 320, "{counts:?}");
    }
    // 80 of 300, 200 and 100 in each of four passes: all of the smaller two, and of c three or four.
    assert_eq!(counts["records_not_drawn"], 0);
    let (a, c) = (300, 100);
    let by_count = |wanted: u32| all.values().filter(|count| **count == wanted).count();
    assert!(all.len() <= 600 && all.len() + 20 >= 600, "{}", all.len());
    assert!(by_count(3) + by_count(4) + 12 >= c && by_count(1) + 12 >= a - 20);
}

#[test]
fn sources_follow_the_law() {
    let place = Place::new("batches-law");
    let tables = corpora(&place, "");
    for (sources, wanted) in [
        ("", [300, 200, 100]),
        ("weights = { a = 0 }", [0, 200, 100]),
        ("records = 300", [150, 100, 50]),
        ("records = 301\nweights = { b = 3.0 }", [90, 181, 30]),
        ("alpha = 0.0\nrepeats_max = 2.0", [200, 200, 200]),
        ("alpha = 0.0\nrepeats_max = 1.5", [225, 225, 150]),
    ] {
        let plan = format!("{tables}[batches]\nsize = 2\n[batches.sources]\n{sources}");
        let data = format!("d{}", sources.len());
        let made = make(&place, &data, &plan, &[]);
        let counts = &made.manifest.counts;
        let found = ["a", "b", "c"].map(|name| counts[&format!("wanted:{name}")]);
        assert_eq!(found, wanted, "{sources}");
        let given: u64 = ["a", "b", "c"]
            .iter()
            .map(|name| counts[&format!("given:{name}")])
            .sum();
        assert_eq!(given, made.manifest.rows);
        let most = made.shown(0).values().max().copied();
        assert_eq!(
            most,
            Some(if sources.contains("repeats") { 2 } else { 1 }),
            "{sources}"
        );
    }
}

#[test]
fn what_cannot_be_is_refused_by_its_key() {
    let place = Place::new("batches-refusals");
    let tables = corpora(&place, "");
    place.write("plan.toml", format!("{tables}[batches]"));
    batches(&place, "none", &[]).expect(1, &["[batches] needs the shards", "juzi shards"]);
    place.shards("data", &["--quiet"]).expect(0, &[]);
    for (table, words) in [
        ("[batches]\nsize = 1", ["size", "from 2 to 65536"]),
        ("[batches]\nsizes = 1", ["unknown field", "sizes"]),
        ("[batches]\npasses = 0", ["passes", "from 1"]),
        ("[batches]\nkind = \"pairs\"", ["unknown variant", "scored"]),
        (
            "[batches]\nkind = \"scored\"",
            ["kind = \"scored\"", "make pair, triplet"],
        ),
        (
            "[batches]\nsampler = { name = \"topics\" }",
            ["unknown variant", "topic"],
        ),
        (
            "[batches]\nsampler = { name = \"topic\" }",
            ["sampler", "[topics]"],
        ),
        (
            "[batches]\nsampler = { name = \"halves\", parts = 3 }",
            ["parts = 3", "multiple"],
        ),
        ("[batches]\nwindow = \"9GB\"", ["window", "--memory"]),
        (
            "[batches.sources]\nalpha = 2.0",
            ["sources.alpha", "from 0 to 1"],
        ),
        (
            "[batches.sources]\nweights = { x = 1.0 }",
            ["no corpus `x`", "a, b, c"],
        ),
        (
            "[batches.sources]\nrecords = 601",
            ["records = 601", "600 at most"],
        ),
        (
            "[batches.sources]\nalpha = 0.5",
            ["change nothing", "repeats_max"],
        ),
        (
            "[batches.sources]\nrepeats_max = 0.5",
            ["sources.repeats_max", "from 1"],
        ),
        (
            "[batches.guards]\nrepeated = \"never\"",
            ["unknown variant", "apart"],
        ),
        (
            "[batches]\nsplit = \"valid\"",
            ["not one batch", "no records"],
        ),
        (
            "[batches]\nsize = 1000",
            ["not one batch of 1000", "incomplete_batch 600"],
        ),
    ] {
        place.write("plan.toml", format!("{tables}{table}"));
        let run = batches(&place, "data", &[]);
        let code = if words[1] == "--memory" { 2 } else { 1 };
        run.expect(code, &words);
    }
    place.write("plan.toml", tables);
    batches(&place, "data", &[]).expect(1, &["no table [batches]"]);
}

#[test]
fn other_kinds_become_batches_too() {
    let place = Place::new("batches-kinds");
    let text: String = (0..90).map(|at| prose(at, 1) + "\n").collect();
    place.write("t.txt", &text);
    let table = |at: u64| (prose(at + 1000, 1), prose(at + 2000, 1), at % 4);
    let labelled = (0..50).map(|at| format!("{}\t{}\n", table(at).0, table(at).2));
    place.write("l.tsv", labelled.collect::<String>());
    let scored = (0..50).map(|at| format!("{}\t{}\t{}\n", table(at).0, table(at).1, table(at).2));
    place.write("s.tsv", scored.collect::<String>());
    let tables = format!(
        "name = \"it\"\n{}{}{}[shards]\nwords = true\n",
        corpus("t", "text", "train = [\"t.txt\"]"),
        corpus(
            "l",
            "tsv",
            "train = [\"l.tsv\"]\ncolumns = [\"text\", \"label\"]"
        ),
        corpus(
            "s",
            "tsv",
            "train = [\"s.tsv\"]\ncolumns = [\"sentence1\", \"sentence2\", \"score\"]"
        ),
    );
    for (kind, rows, columns) in [
        ("text", 90, vec!["text"]),
        ("labelled", 50, vec!["text", "label"]),
        ("scored", 50, vec!["sentence1", "sentence2", "score"]),
    ] {
        let plan = format!("{tables}[batches]\nkind = \"{kind}\"\nsize = 16\ndrop_last = false");
        let made = make(&place, kind, &plan, &[]);
        assert_eq!(made.manifest.rows, rows, "{kind}");
        let sizes: Vec<usize> = made
            .all
            .iter()
            .map(|(_, _, batch)| batch.num_rows())
            .collect();
        assert_eq!(
            sizes.iter().filter(|size| **size == 16).count() as u64,
            rows / 16
        );
        for name in columns {
            assert!(
                made.all[0].2.column_by_name(name).is_some(),
                "{kind} {name}"
            );
        }
        for (_, _, batch) in &made.all {
            let layout =
                juzi_schemas::words::Texts::of(batch, serde_json::from_value(json!(kind)).unwrap());
            let texts = layout.unwrap();
            (0..batch.num_rows()).for_each(|row| texts.row(row, |_, _| {}).unwrap());
        }
        let dropped = format!("{tables}[batches]\nkind = \"{kind}\"\nsize = 16");
        let made = make(&place, &format!("{kind}2"), &dropped, &[]);
        assert_eq!(
            made.manifest.dropped["incomplete_batch"],
            rows % 16,
            "{kind}"
        );
    }
}

#[test]
fn a_killed_run_goes_on_and_ends_the_same() {
    let place = Place::new("batches-resume");
    let tables = corpora(&place, "");
    let table =
        "[batches]\nsize = 10\nwindow = \"50kB\"\npasses = 2\nsampler = { name = \"corpus\" }";
    let good = make(&place, "good", &format!("{tables}{table}"), &[]);
    let mut kills = 0;
    for point in 1.. {
        place.shards("killed", &["--quiet"]).expect(0, &[]);
        let mut command = place.command();
        command.args([
            "batches",
            "plan.toml",
            "--data",
            "killed",
            "--threads",
            "1",
            "--quiet",
        ]);
        command.env(juzi_schemas::fault::VARIABLE, (5 * point).to_string());
        let run = Run::from(command.output().unwrap());
        if run.signal.is_none() {
            run.expect(0, &[]);
            break;
        }
        kills += 1;
        batches(&place, "killed", &[]).expect(0, &[]);
        assert_eq!(
            Batches::read(&place, "killed").bytes(),
            good.bytes(),
            "{}",
            5 * point
        );
        std::fs::remove_dir_all(place.path("killed")).unwrap();
    }
    assert!(kills > 10, "{kills}");
}
