//! A run of the stage `negatives` that is stopped by anything goes on and ends the same.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Instant;

use crate::negatives::plan;
use crate::support::{Place, Run};

/// A plan that uses everything but vectors.
fn whole_plan(place: &Place) {
    let lines = "k = 20\ncount = 4\nrandom_fill = true\nmemory = \"200kB\"\n\
                 [negatives.consistency]\nenabled = true\nchunk = 60";
    place.write("plan.toml", plan(place, true, lines));
}

/// Goes on, and compares with a manifest of an undisturbed run.
#[track_caller]
fn ends_as(place: &Place, data: &str, wanted: &str, what: &str) {
    place.negatives(data, &["--threads", "2"]).expect(0, &[]);
    let dataset = place.negatives_in(data);
    assert_eq!(dataset.bytes(), wanted, "{what}");
    let page = std::fs::read_to_string(dataset.dir.join("report.html")).unwrap();
    assert_eq!(page.matches("<section>").count(), 50, "{what}");
    let left = std::fs::read_dir(std::fs::canonicalize(&dataset.dir).unwrap()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(
        left.len(),
        dataset.manifest.files.len() + 3,
        "{what}: {left:?}"
    );
}

/// The shards of the plan, and the manifest of an undisturbed run.
fn good(place: &Place) -> String {
    whole_plan(place);
    place.shards("data", &["--quiet"]).expect(0, &[]);
    place.negatives("data", &["--threads", "1"]).expect(0, &[]);
    let dataset = place.negatives_in("data");
    assert!(dataset.dropped("inconsistent") > 0 && dataset.manifest.files.len() > 4);
    let bytes = dataset.bytes();
    remove(place);
    bytes
}

/// Removes the negatives, so that the next run begins anew.
fn remove(place: &Place) {
    for dir in place.store("data") {
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("negatives-") {
            std::fs::remove_dir_all(dir).unwrap();
        }
    }
    let _ = std::fs::remove_file(place.path("data/negatives"));
}

#[test]
fn crash_points() {
    let place = Place::new("negative-points");
    let wanted = good(&place);
    let mut points = BTreeSet::new();
    let mut number = 1;
    loop {
        let mut command = place.command();
        command.args(["negatives", "plan.toml", "--data", "data", "--threads", "1"]);
        command.env(juzi_schemas::fault::VARIABLE, number.to_string());
        let run = Run::from(command.output().unwrap());
        if run.code == Some(0) {
            break;
        }
        assert_eq!(run.signal, Some(libc::SIGKILL), "{run:?}");
        let mut names = run
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("crash point: "));
        points.insert(names.next().unwrap().to_string());
        ends_as(&place, "data", &wanted, &format!("point {number}"));
        remove(&place);
        number += 3;
    }
    assert!(number > 80 && points.len() > 6, "{number}: {points:?}");
}

#[test]
fn kill_nine_at_any_time() {
    let place = Place::new("negative-kill");
    let wanted = good(&place);
    let started = Instant::now();
    place.negatives("data", &["--threads", "1"]).expect(0, &[]);
    let mut whole = started.elapsed();
    remove(&place);
    let mut killed = 0;
    for part in [3, 5, 7, 9, 11, 13] {
        let mut command = place.command();
        command.args(["negatives", "plan.toml", "--data", "data", "--threads", "2"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(whole * part / 16);
        child.kill().unwrap();
        let run = Run::from(child.wait_with_output().unwrap());
        match run.signal == Some(libc::SIGKILL) {
            true => killed += 1,
            // The machine was busier when it was measured.
            false => whole /= 2,
        }
        if part % 4 == 1 {
            ends_as(&place, "data", &wanted, &format!("part {part}"));
            remove(&place);
        }
    }
    assert!(killed >= 3, "only {killed} runs were killed in time");
    ends_as(&place, "data", &wanted, "the last");
}
