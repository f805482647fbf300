//! The subcommands around the stage: init, status, show, verify and prune.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fixtures::{corpus, lines, mixed, news, plan, prose};
use crate::support::Place;

/// A small corpus `c` and its plan; `shards` are lines below `[shards]`.
pub fn small(place: &Place, shards: &str) -> String {
    let documents: Vec<Value> = (0..40)
        .map(|at| news(&prose(at % 30, 1), "", &prose(at + 60, 2)))
        .collect();
    place.write("c.json", lines(&documents));
    plan(&corpus("c", "news2016zh", "train = [\"c.json\"]"), shards)
}

#[test]
fn init_writes_a_plan_that_runs() {
    let place = Place::new("init");
    mixed(&place, "in");
    std::fs::remove_file(place.path("in/translation.zip")).unwrap();
    for profile in ["default", "luse"] {
        let run = place
            .juzi(&["init", "in", "--name", "it", "--profile", profile])
            .expect(0, &[]);
        let text = run
            .stdout
            .replace("[shards]", "[shards]\ndropped_ratio_max = 1.0");
        let table: toml::Table = text.parse().unwrap();
        let corpora = table["corpora"].as_array().unwrap();
        let readers: BTreeSet<&str> = corpora
            .iter()
            .map(|corpus| corpus["reader"].as_str().unwrap())
            .collect();
        let expected = [
            "baike2018qa",
            "comments2019",
            "embedding_training_data",
            "news2016zh",
            "nli",
            "parquet",
            "tsv",
            "webtext2019zh",
        ];
        let missing: Vec<_> = expected
            .iter()
            .filter(|name| !readers.contains(**name))
            .collect();
        assert!(
            missing.iter().all(|name| **name == "comments2019"),
            "{missing:?}\n{text}"
        );
        let dataset = place.make_in(profile, &text, &[]);
        assert!(dataset.manifest.rows > 100);
        assert_eq!(dataset.manifest.plan["shards"]["profile"], profile);
    }
    let run = place.juzi(&["init", "in/a", "in/lcqmc.tsv"]).expect(0, &[]);
    assert!(
        run.stdout.contains("name = ") && run.stdout.contains("tsv"),
        "{run:?}"
    );
    std::fs::create_dir(place.path("empty")).unwrap();
    place
        .juzi(&["init", "empty"])
        .expect(1, &["no corpus found"]);
    place.juzi(&["init", "nowhere"]).expect(1, &["nowhere"]);
    place
        .juzi(&["init", "in", "--profile", "other"])
        .expect(1, &["luse", "default"]);
}

#[test]
fn status_says_what_and_why() {
    let place = Place::new("status");
    let text = small(&place, "");
    place.write("plan.toml", &text);
    let status = || {
        place
            .juzi(&["status", "plan.toml", "--data", "data"])
            .expect(0, &[])
            .stdout
    };
    assert!(status().contains("missing"), "{}", status());
    let mut command = place.command();
    command.args(["shards", "plan.toml", "--data", "data"]);
    command
        .env(juzi_schemas::fault::VARIABLE, "7")
        .output()
        .unwrap();
    assert!(
        status().contains("partial") && status().contains("files committed"),
        "{}",
        status()
    );
    let dataset = place.make(&text);
    let fresh = status();
    assert!(fresh.contains("fresh") && fresh.contains(&format!("{} rows", dataset.manifest.rows)));
    place.shards("data", &[]).expect(0, &[]);
    for (shards, words) in [
        (
            "profile = \"luse\"",
            "shards.profile was \"default\", is \"luse\"",
        ),
        ("words = true", "shards.words was false, is true"),
        (
            "[shards.filters.length]\nchars_min = 9",
            "shards.filters.length.chars_min was 4, is 9",
        ),
    ] {
        place.write("plan.toml", small(&place, shards));
        assert!(
            status().contains("stale") && status().contains(words),
            "{}",
            status()
        );
    }
    place.write("plan.toml", format!("seed = 5\n{text}"));
    assert!(status().contains("plan: seed was 1, is 5"), "{}", status());
    place.write("plan.toml", &text);
    place.write("c.json", lines(&[news("改了的内容", "", &prose(1, 1))]));
    assert!(
        status().contains("input c.json of c has changed"),
        "{}",
        status()
    );
    place.write("plan.toml", text.replace("c.json", "*.json"));
    place.write("d.json", "{}\n");
    assert!(
        status().contains("input d.json of c is new"),
        "{}",
        status()
    );
    place.write("plan.toml", text.replace("c.json", "d.json"));
    assert!(
        status().contains("input c.json of c is gone"),
        "{}",
        status()
    );
}

#[test]
fn an_old_dataset_is_fresh_again_without_work() {
    let place = Place::new("again");
    let text = small(&place, "");
    let first = place.make(&text).bytes();
    let second = place.make(&small(&place, "profile = \"luse\"")).bytes();
    assert_ne!(first, second);
    place.write("plan.toml", &text);
    let run = place.shards("data", &[]).expect(0, &[]);
    assert!(run.stdout.contains("fresh, nothing to do"), "{run:?}");
    assert_eq!(place.dataset("data").bytes(), first);
    assert_eq!(place.store("data").len(), 2);
}

#[test]
fn show_prints_rows_shards_and_queries() {
    let place = Place::new("show");
    let dataset = place.make(&small(&place, "shard_bytes = \"2KiB\""));
    let show = |flags: &[&str]| place.juzi(&[&["show", "data/shards"], flags].concat());
    let run = show(&["--rows", "3", "--format", "json"]).expect(0, &[]);
    let rows: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let texts: Vec<&str> = rows
        .iter()
        .map(|row| row["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, dataset.column("text")[..3]);
    assert_eq!(rows[0]["id"].as_str().unwrap().len(), 32);
    let run = show(&[]).expect(0, &[]);
    assert_eq!(run.stdout.lines().count(), 12, "{run:?}");
    assert!(run.stdout.starts_with("id "), "{run:?}");
    let run = show(&["--format", "csv", "--rows", "2"]).expect(0, &[]);
    assert!(
        run.stdout
            .starts_with("id,corpus,split,text,document,position,"),
        "{run:?}"
    );
    assert_eq!(run.stdout.lines().count(), 3);
    let first = dataset.manifest.files[0].rows;
    let run = show(&["--shard", "0", "--rows", "1000", "--format", "json"]).expect(0, &[]);
    assert_eq!(run.stdout.lines().count() as u64, first);
    show(&["--shard", "99"]).expect(1, &["no shard 99"]);
    let count = dataset.values("SELECT COUNT(*) AS n FROM rows WHERE corpus = 'c'");
    assert_eq!(count, [vec![json!(dataset.manifest.rows)]]);
    let dropped = dataset.values("SELECT reason, COUNT(*) AS n FROM dropped GROUP BY reason");
    assert_eq!(
        dropped,
        [vec![
            json!("duplicate"),
            json!(dataset.dropped("duplicate"))
        ]]
    );
    show(&["--sql", "SELECT nothing FROM rows"]).expect(1, &["query:", "nothing"]);
    show(&["--sql", "no sql"]).expect(1, &["query:"]);
    show(&["--format", "xml"]).expect(1, &["table, json, csv"]);
    place
        .juzi(&["show", "nowhere"])
        .expect(1, &["nowhere", "no dataset here"]);
    place
        .juzi(&["show", "data"])
        .expect(1, &["no manifest.json"]);
    let words = place.make(&small(&place, "words = true"));
    assert!(words.sql("SELECT words FROM rows LIMIT 1")[0]["words"].is_array());
    let run = show(&["--format", "csv", "--rows", "2"]).expect(0, &[]);
    assert!(run.stdout.contains(",words\n"), "{run:?}");
}

#[test]
fn verify_finds_every_kind_of_damage() {
    let place = Place::new("verify");
    let dataset = place.make(&small(&place, ""));
    let verify = || place.juzi(&["verify", "data/shards"]);
    let run = verify().expect(0, &[]);
    assert!(run.stdout.contains(&dataset.manifest.rows_hash), "{run:?}");
    for file in &dataset.manifest.files {
        let path = dataset.dir.join(&file.name);
        let good = std::fs::read(&path).unwrap();
        for at in [0, good.len() / 3, good.len() - 1] {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, bytes).unwrap();
            let run = verify().expect(2, &["damaged"]);
            assert!(
                run.stdout.contains(&file.name) && run.stdout.contains("hash of bytes"),
                "{run:?}"
            );
        }
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        let run = verify().expect(2, &["1 of"]);
        assert!(run.stdout.contains("size"), "{run:?}");
        std::fs::remove_file(&path).unwrap();
        let run = verify().expect(2, &["1 of"]);
        assert!(run.stdout.contains("No such file"), "{run:?}");
        std::fs::write(&path, good).unwrap();
        verify().expect(0, &[]);
    }
    let manifest = dataset.dir.join("manifest.json");
    let rows = format!(
        "\"rows_hash\": \"{}\",\n  \"kinds\"",
        dataset.manifest.rows_hash
    );
    let other = dataset
        .bytes()
        .replace(&rows, "\"rows_hash\": \"0000000000000000\",\n  \"kinds\"");
    assert_ne!(other, dataset.bytes());
    std::fs::write(&manifest, other).unwrap();
    verify().expect(2, &["damaged"]);
    std::fs::write(&manifest, "{").unwrap();
    verify().expect(2, &["not a valid manifest"]);
    std::fs::remove_file(&manifest).unwrap();
    verify().expect(1, &["no manifest.json"]);
}

#[test]
fn prune_deletes_what_nobody_names() {
    let place = Place::new("prune");
    let old = small(&place, "profile = \"luse\"");
    place.make(&old);
    let old_dir = place.store("data").pop().unwrap();
    let dataset = place.make(&small(&place, ""));
    assert_eq!(place.store("data").len(), 2);
    let prune =
        |flags: &[&str]| place.juzi(&[&["prune", "plan.toml", "--data", "data"], flags].concat());
    let run = prune(&["--dry-run"]).expect(0, &[]);
    let name = old_dir.file_name().unwrap().to_string_lossy().into_owned();
    assert!(
        run.stdout.contains("would delete") && run.stdout.contains(&name),
        "{run:?}"
    );
    assert_eq!(
        (run.stdout.lines().count(), place.store("data").len()),
        (1, 2)
    );
    // What the plan names now and what the stable name points at both stay.
    place.write("plan.toml", small(&place, "words = true"));
    let mut command = place.command();
    command.args(["shards", "plan.toml", "--data", "data"]);
    command
        .env(juzi_schemas::fault::VARIABLE, "8")
        .output()
        .unwrap();
    assert_eq!(place.store("data").len(), 3);
    let run = prune(&[]).expect(0, &[]);
    assert!(
        run.stdout.starts_with("deleted ") && run.stdout.lines().count() == 1,
        "{run:?}"
    );
    assert!(!old_dir.exists() && place.store("data").len() == 2);
    assert_eq!(place.dataset("data").bytes(), dataset.bytes());
    place.shards("data", &[]).expect(0, &[]);
    assert!(prune(&[]).expect(0, &[]).stdout.contains("deleted"));
    assert_eq!(place.store("data").len(), 1);
    place.dataset("data");
}
