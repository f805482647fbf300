//! Tests of the loader: order, seeking, epochs, failures, threads, proofs.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::record::{Kind, Split};
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use super::fixtures::{
    PLAIN, Place, Row, batches, feed, made_up, recipe, shards, synonyms, threads,
};
use super::{Cursor, Feed, Proof, Reader, Record, Seen, Source, verify};
use crate::collate::{Batch, Times};
use crate::{Error, Result};

/// Shards of made-up text, 100 rows in uneven row groups of three files.
fn uneven(place: &Place) -> PathBuf {
    let rows = made_up(100);
    let cut = |ends: &[usize]| -> Vec<Vec<Row>> {
        ends.windows(2)
            .map(|ends| rows[ends[0]..ends[1]].to_vec())
            .collect()
    };
    let files = [
        cut(&[0, 30, 31, 45]),
        cut(&[45, 78]),
        cut(&[78, 79, 90, 100]),
    ];
    let dir = shards(&place.path("data"), Kind::Text, true, &files);
    synonyms(&place.path("data"));
    dir
}

fn take(feed: &Feed, steps: std::ops::Range<u64>, workers: usize) -> Vec<Batch> {
    let loader = feed.load(steps, threads(workers)).unwrap();
    loader.map(|batch| timeless(batch.unwrap())).collect()
}

fn timeless(mut batch: Batch) -> Batch {
    batch.times = Times::default();
    batch
}

fn ids(batches: &[Batch]) -> Vec<u128> {
    batches
        .iter()
        .flat_map(|batch| batch.record_ids.clone())
        .collect()
}

fn sorted(mut ids: Vec<u128>) -> Vec<u128> {
    ids.sort_unstable();
    ids
}

#[test]
fn one_to_eight_workers_give_the_same_batches() {
    let place = Place::new();
    let feed = feed(&place, &uneven(&place), "[data]\nsize = 7");
    let mut maker = feed.maker();
    assert_eq!(feed.source().batches(), 14);
    let walked: Vec<Batch> = (0..40)
        .map(|step| timeless(maker.batch(step).unwrap()))
        .collect();
    for (step, batch) in (0..).zip(&walked) {
        assert_eq!(
            (batch.step, batch.epoch, batch.rows()),
            (step, step / 14, 7)
        );
        assert_eq!((batch.columns[0].views, batch.columns[0].texts), (9, 7));
    }
    for workers in 1..=8 {
        assert_eq!(take(&feed, 0..40, workers), walked, "{workers} workers");
    }
}

#[test]
fn any_step_is_found_without_walking_there() {
    let place = Place::new();
    let feed = feed(
        &place,
        &uneven(&place),
        "[data]\nsize = 7\ndrop_last = false",
    );
    let walked = take(&feed, 0..50, 2);
    for start in 0..47 {
        let (found, end) = (take(&feed, start..start + 3, 3), start as usize + 3);
        assert_eq!(found, walked[start as usize..end]);
    }
    // The same recipe, opened anew, and a step far away.
    let far = 1 << 50;
    let again = super::fixtures::feed(
        &place,
        &place.path("data/shards"),
        "[data]\nsize = 7\ndrop_last = false",
    );
    assert_eq!(take(&again, far..far + 2, 1), take(&feed, far..far + 2, 2));
}

#[test]
fn every_epoch_has_each_record_once_and_an_order_of_its_own() {
    let place = Place::new();
    let dir = uneven(&place);
    let all = sorted((0..100).map(|id| Row::made_up(id).id).collect());
    let feed = feed(
        &place,
        &dir,
        &format!("[data]\nsize = 7\ndrop_last = false\n{PLAIN}"),
    );
    assert_eq!((feed.source().batches(), feed.source().left_out()), (15, 0));
    let epochs: Vec<Vec<u128>> = (0..4)
        .map(|e| ids(&take(&feed, e * 15..e * 15 + 15, 2)))
        .collect();
    for epoch in &epochs {
        assert_eq!(sorted(epoch.clone()), all);
        assert!(*epoch != all, "rows stand in the dataset's order");
    }
    assert_eq!(epochs.iter().collect::<BTreeSet<_>>().len(), 4);
    let last = take(&feed, 14..15, 1);
    assert_eq!(last[0].rows(), 2, "the last batch is short");
    let other = super::fixtures::feed(
        &place,
        &dir,
        &format!("seed = 2\n[data]\nsize = 7\n{PLAIN}"),
    );
    assert_ne!(ids(&take(&other, 0..14, 1)), epochs[0][..98]);
    let plain = super::fixtures::feed(
        &place,
        &dir,
        &format!("[data]\nsize = 7\nshuffle = false\n{PLAIN}"),
    );
    let found = ids(&take(&plain, 0..28, 2));
    assert_eq!((&found[..98], &found[98..]), (&all[..98], &all[..98]));
    assert_eq!(plain.source().left_out(), 2);
}

#[test]
fn only_the_split_and_the_kind_are_seen() {
    let place = Place::new();
    let mut rows = made_up(60);
    for (at, row) in rows.iter_mut().enumerate() {
        row.split = if at % 3 == 0 || at < 20 {
            Split::Valid
        } else {
            Split::Train
        };
    }
    let wanted = |split| {
        let own = rows.iter().filter(move |row| row.split == split);
        sorted(own.map(|row| row.id).collect())
    };
    let groups = rows.chunks(20).map(<[Row]>::to_vec).collect();
    let dir = shards(&place.path("data"), Kind::Text, false, &[groups]);
    for split in [Split::Train, Split::Valid] {
        let lines = format!(
            "[data]\nsize = 5\ndrop_last = false\nsplit = '{}'\n{PLAIN}",
            split.name()
        );
        let feed = feed(&place, &dir, &lines);
        let found = ids(&take(&feed, 0..feed.source().batches(), 3));
        assert_eq!(sorted(found), wanted(split));
    }
    let refused = |lines: &str| {
        let recipe = recipe(&place, &dir, &format!("{lines}\n{PLAIN}"));
        let error = Feed::open(&recipe, None).err().unwrap();
        assert_eq!(error.exit_code(), 1);
        error.to_string()
    };
    let message = refused("[data]\nsplit = 'test'");
    assert!(
        message.contains("0 records of kind text in the split test"),
        "{message}"
    );
    assert!(refused("[data]\nkind = 'pair'").contains("0 records of kind pair"));
    assert!(refused("[data]\nsize = 61").contains("fill no batch of 61"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_groups_and_any_size_give_each_record_once(
        cuts in proptest::collection::vec(1usize..20, 1..8), size in 1usize..30, seed: u64, epoch in 0u64..1 << 30,
    ) {
        let place = Place::new();
        let rows = made_up(cuts.iter().sum::<usize>() as u128);
        let mut rest = &rows[..];
        let groups = cuts.iter().map(|&cut| {
            let (own, others) = rest.split_at(cut);
            rest = others;
            own.to_vec()
        });
        let dir = shards(&place.path("data"), Kind::Text, false, &[groups.collect()]);
        let mut data = crate::recipe::Data { size, drop_last: false, ..Default::default() };
        let read = |data: &crate::recipe::Data| {
            let source = Arc::new(Source::open(data, &dir, seed).unwrap());
            let mut reader = Reader::new(source.clone(), vec!["id"]);
            let mut ids = Vec::new();
            for position in 0..source.batches() {
                reader.ids(Cursor { epoch, position }, &mut ids).unwrap();
            }
            // A reader that comes from elsewhere finds the same.
            let (mut last, position) = (Vec::new(), source.batches() - 1);
            Reader::new(source, vec!["id"]).ids(Cursor { epoch, position }, &mut last).unwrap();
            assert!(ids.ends_with(&last));
            ids
        };
        let found = read(&data);
        let all = sorted(rows.iter().map(|row| row.id).collect());
        prop_assert_eq!(sorted(found.clone()), all);
        data.drop_last = true;
        if size <= rows.len() {
            let full = read(&data);
            prop_assert_eq!(full.len(), rows.len() / size * size);
            prop_assert!(found.starts_with(&full));
        }
    }
}

/// Seven planned batches in two files; batch 3 repeats the records of batch 0.
fn planned(place: &Place) -> PathBuf {
    let rows = made_up(60);
    let mut groups: Vec<Vec<Row>> = rows.chunks(10).map(<[Row]>::to_vec).collect();
    groups.insert(3, groups[0].clone());
    let files = [groups[..4].to_vec(), groups[4..].to_vec()];
    synonyms(&place.path("data"));
    batches(&place.path("data"), Kind::Text, true, &files)
}

#[test]
fn planned_batches_come_whole_and_once_in_each_epoch() {
    let place = Place::new();
    let dir = planned(&place);
    let feed = feed(&place, &dir, "");
    assert_eq!((feed.source().batches(), feed.source().records()), (7, 70));
    let mut orders = BTreeSet::new();
    for epoch in 0..5 {
        let found = take(&feed, epoch * 7..epoch * 7 + 7, 3);
        let firsts: Vec<u128> = found.iter().map(|batch| batch.record_ids[0]).collect();
        let wanted = [0, 0, 10, 20, 30, 40, 50].map(|id| Row::made_up(id).id);
        assert_eq!(sorted(firsts.clone()), wanted);
        assert!(found.iter().all(|batch| batch.rows() == 10));
        orders.insert(firsts);
    }
    assert!(orders.len() > 3, "{orders:?}");
    let plain = super::fixtures::feed(&place, &dir, &format!("[data]\nshuffle = false\n{PLAIN}"));
    let found = ids(&take(&plain, 7..14, 2));
    let wanted = (0..30)
        .chain(0..10)
        .chain(30..60)
        .map(|id| Row::made_up(id).id);
    assert_eq!(found, wanted.collect::<Vec<_>>());
}

/// Without them no student learns from a teacher.
#[test]
fn a_teachers_scores_come_with_planned_triplets() {
    let place = Place::new();
    let rows: Vec<Row> = (0..4)
        .map(|id| Row {
            scores: vec![id as f32, 0.5, 0.25],
            ..Row::new(id, Kind::Triplet, &["问题", "回答", "别的", "另外"])
        })
        .collect();
    let files = [vec![rows]];
    synonyms(&place.path("data"));
    let dir = batches(&place.path("data"), Kind::Triplet, true, &files);
    let feed = feed(&place, &dir, &format!("[data]\nshuffle = false\n{PLAIN}"));
    let found = take(&feed, 0..1, 1);
    let wanted = [0.0, 1.0, 2.0, 3.0].into_iter();
    let wanted = wanted.chain([0.5, 0.25].repeat(4));
    assert_eq!(found[0].teacher, wanted.collect::<Vec<f32>>());
}

/// What the loader says at last, which must be an error, and nothing after it.
fn failure(feed: &Feed, workers: usize, hurt: impl FnOnce()) -> String {
    let mut loader = feed.load(0..u64::MAX, threads(workers)).unwrap();
    loader.next().unwrap().unwrap();
    hurt();
    let error = loader
        .find_map(Result::err)
        .expect("it fails before 2^64 steps");
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(loader.next().is_none(), "something comes after the error");
    assert!(matches!(error, Error::Worker { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn damage_while_running_is_an_error_that_names_it() {
    type Hurt = fn(&Path);
    // What is noticed depends on whether the file was open already.
    let hurts: [(Hurt, [&str; 2]); 3] = [
        (
            |path| std::fs::remove_file(path).unwrap(),
            ["No such file"; 2],
        ),
        (
            |path| garble(path, 4, 600),
            ["row group 0", "hash of bytes is"],
        ),
        (
            |path| {
                std::fs::File::options()
                    .append(true)
                    .open(path)
                    .unwrap()
                    .set_len(10)
                    .unwrap()
            },
            ["size is 10", "row group 0"],
        ),
    ];
    for (hurt, words) in hurts {
        for workers in [1, 3] {
            let place = Place::new();
            let dir = uneven(&place);
            let file = dir.join("part-00001.parquet");
            let feed = feed(&place, &dir, "[data]\nsize = 40\n");
            let message = failure(&feed, workers, || hurt(&file));
            for word in ["worker ", "of the feed, step ", "part-00001.parquet"] {
                assert!(message.contains(word), "no `{word}` in {message}");
            }
            let told = words.iter().any(|word| message.contains(word));
            assert!(told, "none of {words:?} in {message}");
        }
    }
}

#[test]
fn a_changed_bit_of_a_text_is_not_fed() {
    let place = Place::new();
    let dir = uneven(&place);
    let path = dir.join("part-00001.parquet");
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        // Opening may notice it already.
        let recipe = recipe(&place, &dir, "[data]\nsize = 40\n");
        let feed = Feed::open(&recipe, None);
        let failed = match feed {
            Err(_) => true,
            Ok(feed) => {
                let steps = 0..feed.source().batches();
                feed.load(steps, threads(2))
                    .unwrap()
                    .any(|batch| batch.is_err())
            }
        };
        assert!(failed, "byte {at}");
    }
}

/// Overwrites bytes of a file in place.
fn garble(path: &Path, from: u64, count: usize) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&vec![0xff; count], from).unwrap();
}

#[test]
fn what_is_missing_before_the_start_is_named() {
    let place = Place::new();
    let dir = uneven(&place);
    let open = |lines: &str| {
        Feed::open(&recipe(&place, &dir, lines), None)
            .err()
            .unwrap()
    };
    std::fs::remove_dir_all(
        place.path("data/.store").join(
            std::fs::read_link(place.path("data/synonyms"))
                .unwrap()
                .file_name()
                .unwrap(),
        ),
    )
    .unwrap();
    let message = open("").to_string();
    assert!(message.contains("synonyms: no synonyms here"), "{message}");
    let message = open("[views]\naugmented = 0\ncolumns = ['anchor']").to_string();
    assert!(
        message.contains("anchor") && message.contains("text"),
        "{message}"
    );
    let file = dir.join("part-00002.parquet");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[1..]).unwrap();
    let error = open(PLAIN);
    assert!(
        error
            .to_string()
            .contains("part-00002.parquet: damaged: size is"),
        "{error}"
    );
    std::fs::remove_file(&file).unwrap();
    assert!(open(PLAIN).to_string().contains("part-00002.parquet"));
    let error = Feed::open(&recipe(&place, &place.path("data/nothing"), PLAIN), None)
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("data/nothing: no dataset here"),
        "{error}"
    );
    let other = super::fixtures::synonyms(&place.path("other"));
    let error = Feed::open(&recipe(&place, &other, PLAIN), None)
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("it holds `synonyms`, not `batches` or `shards`"),
        "{error}"
    );
}

#[test]
fn words_that_do_not_add_up_are_an_error() {
    let place = Place::new();
    let mut rows = made_up(20);
    rows[13].words[0] += 1;
    let dir = shards(&place.path("data"), Kind::Text, true, &[vec![rows]]);
    synonyms(&place.path("data"));
    let feed = feed(&place, &dir, "[data]\nsize = 1\nshuffle = false");
    let message = failure(&feed, 2, || ());
    let words = "step 13: ";
    assert!(
        message.contains(words) && message.contains("row group 0: row 13: "),
        "{message}"
    );
    let without = shards(
        &place.path("without"),
        Kind::Text,
        false,
        &[vec![made_up(5)]],
    );
    synonyms(&place.path("without"));
    let error = Feed::open(&recipe(&place, &without, "[data]\nsize = 1"), None)
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("its rows have no words"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn a_list_that_does_not_fit_is_an_error() {
    let place = Place::new();
    let dir = planned(&place);
    let (one, two) = (
        dir.join("part-00000.parquet"),
        dir.join("part-00001.parquet"),
    );
    let (first, second) = (std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    // The files change places and keep the sizes that the manifest names.
    let manifest = std::fs::read_to_string(dir.join("manifest.json")).unwrap();
    let (a, b) = (first.len().to_string(), second.len().to_string());
    let swapped = manifest.replace(&a, "@").replace(&b, &a).replace('@', &b);
    let [a, b] = [&one, &two].map(|path| Fingerprint::of_file(path).unwrap().to_string());
    let swapped = swapped.replace(&a, "@").replace(&b, &a).replace('@', &b);
    std::fs::write(dir.join("manifest.json"), swapped).unwrap();
    std::fs::write(&one, &second).unwrap();
    std::fs::write(&two, &first).unwrap();
    let feed = feed(&place, &dir, PLAIN);
    let error = feed
        .load(0..7, threads(2))
        .unwrap()
        .find_map(Result::err)
        .unwrap()
        .to_string();
    assert!(error.contains("the list says batch"), "{error}");
}

#[test]
fn a_list_with_too_few_rows_is_refused() {
    let place = Place::new();
    let dir = planned(&place);
    let path = dir.join("manifest.json");
    let manifest = std::fs::read_to_string(&path).unwrap();
    let other = manifest.replacen("\"rows\": 40", "\"rows\": 41", 1);
    assert_ne!(manifest, other);
    std::fs::write(&path, other).unwrap();
    let error = Feed::open(&recipe(&place, &dir, PLAIN), None)
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("is 70, the manifest says 71"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 2);
}

/// Threads of this process whose names say that they feed, with numbers that no other test reaches.
fn high_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names
        .filter_map(|name| {
            name.trim()
                .strip_prefix(super::THREAD)?
                .parse::<usize>()
                .ok()
        })
        .filter(|&number| number >= 20)
        .count()
}

/// A thread takes its name a moment after it started, and the system forgets one a moment after it
/// ended; one that waits for ever stays.
fn settles_at(count: usize) {
    let start = std::time::Instant::now();
    while high_threads() != count {
        let waited = start.elapsed().as_secs();
        assert!(waited < 30, "{} threads, not {count}", high_threads());
        std::thread::yield_now();
    }
}

#[test]
fn dropping_the_loader_ends_all_threads() {
    let place = Place::new();
    let feed = feed(&place, &uneven(&place), "[data]\nsize = 7");
    for taken in [0, 1, 2, 5, 33, 64, 100] {
        let mut loader = feed.load(0..u64::MAX, threads(40)).unwrap();
        (0..taken).for_each(|_| drop(loader.next().unwrap().unwrap()));
        settles_at(20);
        drop(loader);
        // What the threads held is free at once only if they were joined.
        assert_eq!(Arc::strong_count(feed.source()), 1);
        settles_at(0);
    }
    let mut loader = feed.load(0..100, threads(40)).unwrap();
    assert_eq!(loader.by_ref().count(), 100);
    assert!(loader.next().is_none());
}

#[test]
fn figures_add_up() {
    let place = Place::new();
    let feed = feed(
        &place,
        &uneven(&place),
        "[data]\nsize = 7\n[views]\ncopies = 1",
    );
    let mut loader = feed.load(3..28, threads(3)).unwrap();
    assert_eq!((loader.step(), loader.telemetry().batches), (3, 0));
    let found: Vec<Batch> = loader.by_ref().map(Result::unwrap).collect();
    let telemetry = loader.telemetry();
    assert_eq!((telemetry.batches, telemetry.records), (25, 175));
    assert_eq!(telemetry.sequences, 175 * 6);
    assert_eq!(
        telemetry.tokens,
        found.iter().map(Batch::tokens).sum::<u64>()
    );
    assert_eq!(telemetry.slots, found.iter().map(Batch::slots).sum::<u64>());
    assert_eq!(
        telemetry.bytes,
        found.iter().map(|batch| batch.bytes).sum::<u64>()
    );
    assert!(telemetry.tokens < telemetry.slots && telemetry.padding_share() > 0.0);
    let of_workers: Vec<u64> = telemetry
        .workers
        .iter()
        .map(|worker| worker.batches)
        .collect();
    assert_eq!(of_workers, [9, 8, 8]);
    let mut times = Times::default();
    found.iter().for_each(|batch| times.add(&batch.times));
    assert_eq!(telemetry.times(), times);
    assert!(telemetry.waited <= telemetry.elapsed);
    assert!(
        telemetry
            .workers
            .iter()
            .all(|worker| worker.depth_mean() <= 2.0)
    );
    let json = telemetry.to_json();
    let parts = json["work"].as_object().unwrap().values();
    let sum: f64 = parts.map(|part| part.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{json}");
    let text = telemetry.to_string();
    assert!(
        text.contains("verdict") && text.contains("worker 2"),
        "{text}"
    );
}

#[test]
fn the_verdict_follows_the_waiting() {
    use std::time::Duration;
    let of = |waited| super::Telemetry {
        elapsed: Duration::from_secs(100),
        waited: Duration::from_secs(waited),
        ..Default::default()
    };
    assert_eq!(
        (of(4).verdict(), of(6).verdict()),
        ("trainer-bound", "data-bound")
    );
}

#[test]
fn a_proof_goes_on_after_a_kill() {
    let place = Place::new();
    let feed = feed(
        &place,
        &uneven(&place),
        &format!("[data]\nsize = 7\n{PLAIN}"),
    );
    let mut whole = Proof::new(0);
    let mut proofs = Vec::new();
    for batch in take(&feed, 0..45, 2) {
        proofs.push(serde_json::to_string(&whole).unwrap());
        whole.push(batch.epoch, &batch.record_ids);
    }
    for (step, saved) in (0..).zip(&proofs) {
        let mut proof: Proof = serde_json::from_str(saved).unwrap();
        assert_eq!(proof.step, step);
        for batch in take(&feed, proof.step..45, 1) {
            proof.push(batch.epoch, &batch.record_ids);
        }
        assert_eq!(proof, whole);
    }
    assert_eq!(
        (whole.hash.rows, whole.epoch, whole.epoch_hash.rows),
        (45 * 7, 3, 3 * 7)
    );
}

/// Records a run that takes these steps as if they were the first ones.
fn recorded(place: &Place, dir: &Path, lines: &str, steps: &[u64]) -> PathBuf {
    let recipe = recipe(place, dir, lines);
    let feed = Feed::open(&recipe, None).unwrap();
    let run = place.path("run");
    let _ = std::fs::remove_dir_all(&run);
    let mut record = Record::open(&run, &recipe, feed.source(), 0).unwrap();
    let mut maker = feed.maker();
    for &step in steps {
        record.push(&maker.batch(step).unwrap()).unwrap();
    }
    record.finish().unwrap();
    run
}

#[test]
fn a_run_is_verified_from_ids() {
    let place = Place::new();
    let dir = uneven(&place);
    let lines = format!("[data]\nsize = 7\n{PLAIN}");
    let steps: Vec<u64> = (0..3000).collect();
    let run = recorded(&place, &dir, &lines, &steps);
    let seen = Seen::read(&run).unwrap();
    assert_eq!(
        seen.marks.iter().map(|mark| mark.step).collect::<Vec<_>>(),
        [1000, 2000, 3000]
    );
    let verified = verify(&run, None).unwrap();
    assert_eq!(verified.proof, seen.proof);
    assert_eq!(verified.epochs.len(), 215);
    for epoch in &verified.epochs {
        let taken = (epoch.steps.end - epoch.steps.start) * 7;
        assert_eq!(epoch.complete, epoch.epoch < 214);
        assert_eq!(
            (epoch.seen, epoch.left_out),
            ([100 - taken, taken, 0, 0], 2)
        );
    }
    let text = verified.to_string();
    assert!(
        text.contains("epoch 0, steps 0 to 14, complete: records seen 0 times 2"),
        "{text}"
    );
    assert_eq!(verified.to_json()["epochs"][0]["seen"]["1"], 98);
    // A dataset that was moved is found by name; another dataset is refused.
    let moved = place.path("moved");
    std::fs::rename(place.path("data"), &moved).unwrap();
    assert!(verify(&run, None).is_err());
    assert_eq!(
        verify(&run, Some(&moved.join("shards"))).unwrap().proof,
        seen.proof
    );
    let other = shards(
        &place.path("other"),
        Kind::Text,
        false,
        &[vec![made_up(90)]],
    );
    let error = verify(&run, Some(&other)).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("dataset"), "{error}");
}

#[test]
fn a_step_left_out_or_taken_twice_is_found() {
    let place = Place::new();
    let dir = uneven(&place);
    let lines = format!("[data]\nsize = 7\n{PLAIN}");
    let without = |left: u64| -> Vec<u64> { (0..2000).filter(|&step| step != left).collect() };
    let twice = |again: u64| -> Vec<u64> {
        (0..2000)
            .flat_map(|step| std::iter::repeat_n(step, 1 + usize::from(step == again)))
            .collect()
    };
    let swapped = |at: usize| -> Vec<u64> {
        let mut steps: Vec<u64> = (0..2000).collect();
        steps.swap(at, at + 5);
        steps
    };
    let cases = [
        (without(0), "step 0 differs: its batch was left out"),
        (without(1234), "step 1234 differs: its batch was left out"),
        (
            twice(998),
            "step 999 differs: it has the batch of step 998 again",
        ),
        (
            twice(1500),
            "step 1501 differs: it has the batch of step 1500 again",
        ),
        (
            swapped(1800),
            "the first step that differs is one of 1000 to 1999",
        ),
    ];
    for (steps, words) in cases {
        let run = recorded(&place, &dir, &lines, &steps);
        let error = verify(&run, None).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(words), "{error}");
    }
    // A last mark that is changed, though all others hold.
    let run = recorded(&place, &dir, &lines, &[0, 1, 2]);
    let path = run.join(super::FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    let seed = text.replace("\"epoch\": 0", "\"epoch\": 1");
    assert_ne!(text, seed);
    std::fs::write(&path, seed).unwrap();
    assert!(
        verify(&run, None)
            .unwrap_err()
            .to_string()
            .contains("its proof")
    );
}

#[test]
fn what_a_plan_repeats_is_right() {
    let place = Place::new();
    let dir = planned(&place);
    let run = recorded(&place, &dir, PLAIN, &(0..10).collect::<Vec<_>>());
    let verified = verify(&run, None).unwrap();
    let seen: BTreeMap<u64, [u64; 4]> = verified.epochs.iter().map(|e| (e.epoch, e.seen)).collect();
    assert_eq!(seen[&0], [0, 50, 10, 0]);
    assert_eq!(verified.epochs[0].repeated.len(), 5);
    let [never, once, twice, more] = seen[&1];
    assert_eq!((once + 2 * twice, never + once + twice, more), (30, 60, 0));
}

#[test]
fn a_record_goes_on_where_its_run_stands() {
    let place = Place::new();
    let dir = uneven(&place);
    let lines = format!("[data]\nsize = 7\n{PLAIN}");
    let whole = recorded(&place, &dir, &lines, &(0..20).collect::<Vec<_>>());
    let whole = Seen::read(&whole).unwrap();
    let run = recorded(&place, &dir, &lines, &(0..12).collect::<Vec<_>>());
    let recipe_now = recipe(&place, &dir, &lines);
    let feed = Feed::open(&recipe_now, None).unwrap();
    let mut record = Record::open(&run, &recipe_now, feed.source(), 12).unwrap();
    take(&feed, 12..20, 2)
        .iter()
        .for_each(|batch| record.push(batch).unwrap());
    assert_eq!(record.finish().unwrap(), whole.proof);
    verify(&run, None).unwrap();
    let error = Record::open(&run, &recipe_now, feed.source(), 12).unwrap_err();
    assert!(
        error.to_string().contains("go on with --from 20"),
        "{error}"
    );
    let other = recipe(&place, &dir, &format!("seed = 2\n{lines}"));
    let error = Record::open(&run, &other, feed.source(), 20).unwrap_err();
    assert!(
        error.to_string().contains("another recipe or dataset"),
        "{error}"
    );
}
