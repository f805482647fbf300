//! A run of the stage `synonyms` that is stopped by anything goes on and ends the same.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Place, Run};
use crate::vectors::{Vectors, alone, made_up, table};

/// A plan that uses everything: a list of words, lists of vectors, a ledger, a dictionary.
fn whole_plan(place: &Place) {
    let vectors = Vectors::clustered(made_up(200), 12);
    let words = &vectors.words;
    place.write("v.txt", vectors.lines() + "坏行 1 2 3\n");
    let list: Vec<&str> = words[..150].iter().map(String::as_str).collect();
    place.write("list.txt", list.join("\n") + "\n没有的词\n也没有\n");
    let named = format!("Aa01A01= {} {} 没有的词\n", words[0], words[3]);
    place.write("cilin.txt", named);
    let lines = "vocabulary = \"list\"\nword_list = \"list.txt\"\nvectors = \"v.txt\"\nk = 5\n\
                 candidates = \"vectors\"\nindex = \"ivf\"\nlists = 9\ndictionary = \"cilin.txt\"";
    place.write("plan.toml", table(lines));
}

/// Runs with a crash point on one thread; nothing if the run came to its end.
fn crash(place: &Place, data: &str, point: u64) -> Option<Run> {
    let mut command = place.command();
    command.args(["synonyms", "plan.toml", "--data", data, "--threads", "1"]);
    command.env(juzi_schemas::fault::VARIABLE, point.to_string());
    let run = Run::from(command.output().unwrap());
    assert!(
        run.code == Some(0) || run.signal == Some(libc::SIGKILL),
        "{run:?}"
    );
    run.signal.map(|_| run)
}

/// Goes on, and compares with a manifest of an undisturbed run.
#[track_caller]
fn ends_as(place: &Place, data: &str, wanted: &str, what: &str) {
    place.synonyms(data, &["--threads", "2"]).expect(0, &[]);
    let dataset = place.synonyms_in(data);
    assert_eq!(dataset.bytes(), wanted, "{what}");
    let left: Vec<_> = std::fs::read_dir(std::fs::canonicalize(&dataset.dir).unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let files = dataset.manifest.files.len();
    assert_eq!(left.len(), files + 2, "{what}: {left:?}");
}

/// Names, inodes and times of the committed files of the dataset that is being made.
fn committed(place: &Place, data: &str) -> BTreeMap<String, (u64, i64, i64)> {
    let dirs = place.store(data).into_iter();
    let dir: Option<PathBuf> = dirs
        .rev()
        .find(|dir: &PathBuf| dir.join("journal.jsonl").exists());
    let Some(dir) = dir else {
        return BTreeMap::new();
    };
    let text = std::fs::read_to_string(dir.join("journal.jsonl")).unwrap();
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let stamp = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let name = line["entry"]["name"].as_str().unwrap().to_string();
        let found = std::fs::metadata(dir.join(&name)).unwrap();
        (name, (found.ino(), found.mtime(), found.mtime_nsec()))
    };
    whole.map(stamp).collect()
}

fn blocks(committed: &BTreeMap<String, (u64, i64, i64)>) -> usize {
    let blocks = committed
        .keys()
        .filter(|name| name.starts_with("search/block-"));
    blocks.count()
}

/// The least point from `low` on at which a fresh run is as far as `far` says.
fn least(place: &Place, name: &str, far: impl Fn(&str, Option<Run>) -> bool) -> u64 {
    let (mut low, mut high) = (0, 20_000);
    while low + 1 < high {
        let middle = u64::midpoint(low, high);
        let data = format!("{name}{middle}");
        let run = crash(place, &data, middle);
        *(if far(&data, run) { &mut high } else { &mut low }) = middle;
    }
    assert!(high < 20_000);
    high
}

#[test]
fn crash_points() {
    let place = Place::new("synonym-points");
    whole_plan(&place);
    place.synonyms("good", &["--threads", "1"]).expect(0, &[]);
    let wanted = place.synonyms_in("good").bytes();
    let mut points = BTreeSet::new();
    let mut survive = |point: u64| {
        let data = format!("at{point}");
        let Some(run) = crash(&place, &data, point) else {
            return false;
        };
        let mut names = run
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("crash point: "));
        points.insert(names.next().unwrap().to_string());
        ends_as(&place, &data, &wanted, &format!("point {point}"));
        true
    };
    let mut number = 1;
    while survive(number) {
        number += 1;
    }
    assert!(number > 50 && points.len() > 8, "{number}: {points:?}");
}

#[test]
fn crash_points_of_an_import() {
    let place = Place::new("import-points");
    place.write(
        "s.json",
        "{\"高兴\": [\"愉快\", \"高兴\"], \"医生\": [\"大夫\"]}",
    );
    place.write("plan.toml", table("import = \"s.json\""));
    place.synonyms("good", &[]).expect(0, &[]);
    let wanted = place.synonyms_in("good").bytes();
    let mut point = 1;
    while crash(&place, &format!("at{point}"), point).is_some() {
        ends_as(
            &place,
            &format!("at{point}"),
            &wanted,
            &format!("point {point}"),
        );
        point += 1;
    }
    assert!(point > 15, "{point}");
}

#[test]
fn kill_nine_at_any_time() {
    let place = Place::new("synonym-kill");
    place.write("v.txt", Vectors::clustered(made_up(6_000), 60).text());
    let plan = alone("v.txt", "index = \"ivf\"\nlists = 60");
    place.write(
        "plan.toml",
        plan.replace("of_speech = false", "of_speech = true"),
    );
    let started = Instant::now();
    place.synonyms("good", &["--threads", "2"]).expect(0, &[]);
    let whole = started.elapsed();
    let wanted = place.synonyms_in("good").bytes();
    let mut killed = 0;
    for round in 0..3 {
        let data = format!("killed{round}");
        for part in [4, 8, 6, 10, 7] {
            let threads = ["1", "2"][round % 2];
            let mut command = place.command();
            command.args([
                "synonyms",
                "plan.toml",
                "--data",
                &data,
                "--threads",
                threads,
            ]);
            let mut child = command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            std::thread::sleep(whole * (part + 3 * round as u32) / 24);
            child.kill().unwrap();
            let run = Run::from(child.wait_with_output().unwrap());
            killed += u32::from(run.signal == Some(libc::SIGKILL));
        }
        ends_as(&place, &data, &wanted, &format!("round {round}"));
    }
    assert!(killed >= 4, "only {killed} runs were killed in time");
}

#[test]
fn finished_blocks_are_not_searched_again() {
    let place = Place::new("blocks");
    place.write("v.txt", Vectors::usual().text());
    place.write("plan.toml", alone("v.txt", "index = \"ivf\"\nlists = 20"));
    place.synonyms("good", &["--threads", "1"]).expect(0, &[]);
    let wanted = place.synonyms_in("good").bytes();
    let point = least(&place, "try", |data, run| {
        run.is_none() || blocks(&committed(&place, data)) >= 3
    });
    crash(&place, "data", point).unwrap();
    let mut before = committed(&place, "data");
    assert_eq!(blocks(&before), 3);
    for name in [
        "vectors.f32",
        "words",
        "index/middles.f32",
        "index/lists.u32",
    ] {
        assert!(before.contains_key(name), "{name}: {before:?}");
    }
    for round in 0..3 {
        crash(&place, "data", 16).unwrap();
        let now = committed(&place, "data");
        assert!(blocks(&now) > blocks(&before), "round {round}: {now:?}");
        for (name, stamp) in &before {
            assert_eq!(now.get(name), Some(stamp), "{name} was made again");
        }
        before = now;
    }
    let status = place.juzi(&["status", "plan.toml", "--data", "data"]);
    let status = status.expect(0, &[]).stdout;
    let files = format!("{} files committed", before.len());
    assert!(
        status.contains("partial") && status.contains(&files),
        "{status}"
    );
    ends_as(&place, "data", &wanted, "blocks");
}

#[test]
fn other_vectors_between_two_runs_are_never_mixed_in() {
    let place = Place::new("other-vectors");
    let [old, new] = [12, 10].map(|dimension| Vectors::clustered(made_up(600), dimension).text());
    place.write("plan.toml", alone("v.txt", ""));
    let mut wanted = Vec::new();
    for (data, text) in [("new", &new), ("old", &old)] {
        place.write("v.txt", text);
        place.synonyms(data, &[]).expect(0, &[]);
        wanted.push(place.synonyms_in(data).bytes());
    }
    assert_ne!(wanted[0], wanted[1]);
    let point = least(&place, "try", |data, run| {
        run.is_none() || blocks(&committed(&place, data)) >= 4
    });
    crash(&place, "data", point).unwrap();
    place.write("v.txt", &new);
    ends_as(&place, "data", &wanted[0], "new");
    assert_eq!(place.store("data").len(), 2, "the old run is still there");
    place.write("v.txt", &old);
    ends_as(&place, "data", &wanted[1], "old");
    let run = place.juzi(&["prune", "plan.toml", "--data", "data"]);
    assert_eq!(run.expect(0, &[]).stdout.lines().count(), 1);
    place.synonyms_in("data");
}

#[test]
fn damage_after_a_crash_is_repaired() {
    let place = Place::new("synonym-flip");
    place.write("v.txt", Vectors::usual().text());
    place.write("plan.toml", alone("v.txt", "index = \"ivf\"\nlists = 20"));
    place.synonyms("good", &[]).expect(0, &[]);
    let wanted = place.synonyms_in("good").bytes();
    let end = least(&place, "end", |_, run| run.is_none());
    let last = (end - 8..end).find(|&point| {
        let run = crash(&place, &format!("last{point}"), point).unwrap();
        run.stderr.contains("before the manifest")
    });
    let point = last.unwrap();
    for name in [
        "vocabulary",
        "vectors.f32",
        "words",
        "dropped-00000.parquet",
        "index/middles.f32",
        "index/lists.u32",
        "search/block-00004",
        "part-00000.parquet",
    ] {
        for delete in [false, true] {
            let data = format!("flip{}{delete}", name.replace('/', "-"));
            let run = crash(&place, &data, point).unwrap();
            assert!(run.stderr.contains("before the manifest"), "{run:?}");
            let path = place.store(&data)[0].join(name);
            let mut bytes = std::fs::read(&path).unwrap();
            if bytes.is_empty() {
                continue;
            }
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            match delete {
                true => std::fs::remove_file(&path).unwrap(),
                false => std::fs::write(&path, bytes).unwrap(),
            }
            ends_as(&place, &data, &wanted, name);
        }
    }
}

#[test]
fn ctrl_c_says_how_to_go_on() {
    let place = Place::new("synonym-interrupt");
    place.write("v.txt", Vectors::clustered(made_up(12_000), 120).text());
    place.write("plan.toml", alone("v.txt", "index = \"exact\""));
    place.synonyms("good", &[]).expect(0, &[]);
    let wanted = place.synonyms_in("good").bytes();
    let mut command = place.command();
    command.args(["synonyms", "plan.toml", "--data", "data", "--threads", "1"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let limit = Instant::now() + Duration::from_secs(60);
    let begun = || place.path("data/.store").exists() && blocks(&committed(&place, "data")) > 0;
    while !begun() {
        assert!(Instant::now() < limit, "no block was committed");
        std::thread::sleep(Duration::from_millis(1));
    }
    // SAFETY: a plain system call; the child is ours and not yet waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let run = Run::from(child.wait_with_output().unwrap());
    let run = run.expect(130, &["Go on with: juzi synonyms plan.toml --data data"]);
    assert!(!run.stderr.contains("panicked"), "{run:?}");
    assert!(blocks(&committed(&place, "data")) > 0);
    ends_as(&place, "data", &wanted, "interrupted");
}
