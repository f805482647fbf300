//! A run that is stopped by anything loses nothing: the next one goes on and ends the same.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use juzi_schemas::lock::Lock;
use serde_json::Value;

use crate::fixtures::{corpus, lines, mixed, news, plan, prose};
use crate::support::{Place, Run};

const SMALL: &str = "dropped_ratio_max = 1.0\nunit_bytes = \"8KiB\"\nshard_bytes = \"12KiB\"\n\
                     [shards.near_duplicates]\nenabled = true";

/// A plan whose run takes a noticeable time: many units, and words to cut.
fn long_plan(place: &Place) {
    let documents: Vec<Value> = (0..1_500)
        .map(|at| news(&prose(at, 1), "", &prose(at, 9)))
        .collect();
    place.write("c.json", lines(&documents));
    let table = corpus("c", "news2016zh", "train = [\"c.json\"]");
    let shards = "words = true\nunit_bytes = \"32KiB\"\nshard_bytes = \"32KiB\"";
    place.write("plan.toml", plan(&table, shards));
}

fn start(place: &Place, data: &str, threads: &str) -> Child {
    let mut command = place.command();
    command.args(["shards", "plan.toml", "--data", data, "--threads", threads]);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs with a crash point; the run must die there.
fn crash(place: &Place, data: &str, point: u64) -> Option<Run> {
    let mut command = place.command();
    command.args(["shards", "plan.toml", "--data", data, "--threads", "1"]);
    command.env(juzi_schemas::fault::VARIABLE, point.to_string());
    let run = Run::from(command.output().unwrap());
    assert!(
        run.code == Some(0) || run.signal == Some(libc::SIGKILL),
        "{run:?}"
    );
    run.signal.map(|_| run)
}

/// Lines of the journal of the unfinished dataset.
fn journal(place: &Place, data: &str) -> Vec<String> {
    let path = place.store(data).pop().unwrap().join("journal.jsonl");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(String::from)
        .collect()
}

#[test]
fn kill_nine_at_any_time() {
    let place = Place::new("kill");
    long_plan(&place);
    let started = Instant::now();
    place.shards("good", &["--threads", "2"]).expect(0, &[]);
    let whole = started.elapsed();
    let wanted = place.dataset("good").bytes();
    let mut killed = 0;
    for round in 0..3 {
        let data = format!("killed{round}");
        for part in [3, 8, 5, 10, 6] {
            let mut child = start(&place, &data, ["1", "2"][round % 2]);
            std::thread::sleep(whole * (part + 4 * round as u32) / 20);
            child.kill().unwrap();
            let run = Run::from(child.wait_with_output().unwrap());
            killed += u32::from(run.signal == Some(libc::SIGKILL));
        }
        place.shards(&data, &[]).expect(0, &[]);
        assert_eq!(place.dataset(&data).bytes(), wanted, "round {round}");
        let left: Vec<_> = std::fs::read_dir(&place.store(&data)[0]).unwrap().collect();
        let files = place.dataset(&data).manifest.files.len();
        assert_eq!(left.len(), files + 2, "{left:?}");
    }
    assert!(killed >= 5, "only {killed} runs were killed in time");
}

#[test]
fn crash_points() {
    let place = Place::new("points");
    place.write("plan.toml", plan(&mixed(&place, "in").concat(), SMALL));
    place.shards("good", &["--threads", "1"]).expect(0, &[]);
    let wanted = place.dataset("good").bytes();
    let mut points = BTreeMap::new();
    let mut number = 1;
    while let Some(run) = crash(&place, &format!("at{number}"), number) {
        let data = format!("at{number}");
        let name = run
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix("crash point: "));
        points.insert(name.unwrap().to_string(), number);
        place.shards(&data, &["--threads", "2"]).expect(0, &[]);
        assert_eq!(
            place.dataset(&data).bytes(),
            wanted,
            "point {number}: {name:?}"
        );
        number += 1 + number / 3;
    }
    assert!(number > 200 && points.len() > 5, "{number}: {points:?}");
}

/// Inode and time of change of every file that a journal names.
fn stamps(dir: &Path, lines: &[String]) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let name = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        dir.join(line["entry"]["name"].as_str().unwrap())
    };
    let stamp = |path: PathBuf| {
        let found = std::fs::metadata(&path).unwrap();
        (path, (found.ino(), found.mtime(), found.mtime_nsec()))
    };
    lines.iter().map(name).map(stamp).collect()
}

#[test]
fn finished_files_are_not_made_again() {
    let place = Place::new("journal");
    place.write("plan.toml", plan(&mixed(&place, "in").concat(), SMALL));
    place.shards("good", &["--threads", "1"]).expect(0, &[]);
    let (mut lines, mut grown) = (Vec::new(), 0);
    let mut before: BTreeMap<PathBuf, (u64, i64, i64)> = BTreeMap::new();
    for point in [40, 60, 80, 100] {
        let Some(_) = crash(&place, "data", point) else {
            break;
        };
        let dir = place.store("data").pop().unwrap();
        let now = journal(&place, "data");
        assert!(now.starts_with(&lines), "lines of the journal changed");
        grown += usize::from(now.len() > lines.len());
        let stamps = stamps(&dir, &now);
        for (path, stamp) in &before {
            assert_eq!(
                stamps.get(path),
                Some(stamp),
                "{} was made again",
                path.display()
            );
        }
        (lines, before) = (now, stamps);
    }
    assert!(grown >= 3 && lines.len() > 20, "{grown} {}", lines.len());
    place.shards("data", &[]).expect(0, &[]);
    assert_eq!(place.dataset("data").bytes(), place.dataset("good").bytes());
}

#[test]
fn damage_after_a_crash_is_repaired() {
    let place = Place::new("flip");
    place.write("plan.toml", plan(&mixed(&place, "in").concat(), SMALL));
    place.shards("good", &["--threads", "1"]).expect(0, &[]);
    let wanted = place.dataset("good").bytes();
    // The last crash points lie around the manifest: spill files and shards are all there.
    let (mut low, mut high) = (1, 4_000);
    while low + 1 < high {
        let middle = u64::midpoint(low, high);
        let killed = crash(&place, &format!("try{middle}"), middle).is_some();
        *(if killed { &mut low } else { &mut high }) = middle;
    }
    let last = (low - 8..=low).find(|&point| {
        let run = crash(&place, &format!("last{point}"), point).unwrap();
        run.stderr.contains("before the manifest")
    });
    let point = last.unwrap();
    let names = [
        "part-00000.parquet",
        "dropped-00000.parquet",
        "spill/00000-000000",
        "near/bands-00000",
        "near/drops-00000",
    ];
    for (number, name) in names.into_iter().enumerate() {
        for delete in [false, true] {
            let data = format!("flip{number}{delete}");
            crash(&place, &data, point).unwrap();
            let path = place.store(&data)[0].join(name);
            let mut bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.is_empty(), "{name}");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            match delete {
                true => std::fs::remove_file(&path).unwrap(),
                false => std::fs::write(&path, bytes).unwrap(),
            }
            place.shards(&data, &[]).expect(0, &[]);
            assert_eq!(place.dataset(&data).bytes(), wanted, "{name}");
        }
    }
}

#[test]
fn a_second_writer_is_refused() {
    let place = Place::new("lock");
    place.write("plan.toml", plan(&mixed(&place, "in").concat(), SMALL));
    crash(&place, "data", 30).unwrap();
    let dir = place.store("data").pop().unwrap();
    let lock = Lock::take(&dir.with_extension("lock")).unwrap();
    let words = [
        "another juzi is writing here",
        &format!("process {}", std::process::id()),
    ];
    place.shards("data", &[]).expect(1, &words);
    drop(lock);
    place.shards("data", &[]).expect(0, &[]);
    place.dataset("data");
}

#[test]
fn a_full_disk_loses_nothing() {
    let place = Place::new("full");
    place.write(
        "plan.toml",
        plan(&mixed(&place, "in").concat(), "dropped_ratio_max = 1.0"),
    );
    place.shards("good", &[]).expect(0, &[]);
    for kilobytes in [17, 24, 40] {
        let data = format!("full{kilobytes}");
        let mut command = place.command();
        command.args(["shards", "plan.toml", "--data", &data]);
        let limit = libc::rlimit {
            rlim_cur: kilobytes * 1024,
            rlim_max: kilobytes * 1024,
        };
        // SAFETY: both calls are allowed between fork and exec, and touch no memory but `limit`.
        unsafe {
            command.pre_exec(move || {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                match libc::setrlimit(libc::RLIMIT_FSIZE, &limit) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let run = Run::from(command.output().unwrap());
        run.expect(2, &["File too large", ".store/shards-"]);
        assert!(!place.path(&data).join("shards").exists());
        place.shards(&data, &[]).expect(0, &[]);
        assert_eq!(place.dataset(&data).bytes(), place.dataset("good").bytes());
    }
}

#[test]
fn ctrl_c_says_how_to_go_on() {
    let place = Place::new("interrupt");
    long_plan(&place);
    place.shards("good", &[]).expect(0, &[]);
    let child = start(&place, "data", "1");
    let limit = Instant::now() + Duration::from_secs(20);
    let begun = || place.path("data/.store").exists() && !place.store("data").is_empty();
    while !begun() || journal(&place, "data").is_empty() {
        assert!(Instant::now() < limit, "no file was committed");
        std::thread::sleep(Duration::from_millis(1));
    }
    // SAFETY: a plain system call; the child is ours and not yet waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let run = Run::from(child.wait_with_output().unwrap());
    let run = run.expect(130, &["Go on with: juzi shards plan.toml --data data"]);
    assert!(!run.stderr.contains("panicked"), "{run:?}");
    let done = journal(&place, "data").len();
    assert!(done > 0);
    place.shards("data", &[]).expect(0, &[]);
    assert_eq!(place.dataset("data").bytes(), place.dataset("good").bytes());
}
