//! Tests of the loop: resumed to the bit, refused by name, stopped in time.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use juzi_schemas::record::Kind;
use serde_json::Value;

use super::fixtures::{Twist, open, place, setup};
use super::{Ending, Setup, Start, Training};
use crate::checkpoint::{Checkpoint, Checkpoints, DIR};
use crate::loader;
use crate::loader::fixtures::{made_up, shards, threads};

/// Everything at once: several batches a step, an average, an encoder of keys with a queue.
pub const ALL: [(&str, &str); 2] = [
    (
        "learning_rate = 0.01",
        "learning_rate = 0.01\naccumulation = 2",
    ),
    ("log_steps = 1", "log_steps = 2\nema_decay = 0.9"),
];

pub const MOMENTUM: Twist = Twist {
    momentum: Some(0.9),
    factor: None,
    rise: 0.0,
};

pub fn finish(mut training: Training) -> Ending {
    training.run(&|| false, &mut |_| {}).unwrap()
}

/// The hashes of all files of the newest checkpoint, which are those of all tensors to the bit.
pub fn files(run: &Path) -> BTreeMap<String, String> {
    let newest = Checkpoints::new(run, 1, false).newest().unwrap();
    let state = newest.checkpoint.unwrap().state;
    let files = state.files.iter();
    files
        .map(|(name, proof)| (name.clone(), proof.hash.to_string()))
        .collect()
}

/// The events of a kind without what follows from a clock.
pub fn events(run: &Path, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    let events = text.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        event.as_object_mut().unwrap().remove("time");
        event
    });
    events.filter(|event| event["kind"] == kind).collect()
}

fn same(one: &Path, other: &Path) {
    assert_eq!(files(one), files(other), "{}", other.display());
    for kind in ["step", "checkpoint"] {
        assert_eq!(
            events(one, kind),
            events(other, kind),
            "{}",
            other.display()
        );
    }
}

#[test]
fn a_run_that_is_killed_at_any_step_goes_on_to_the_bit() {
    let plain: &[u64] = &[0, 5];
    let all: &[u64] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    for (changes, twist, steps) in [
        (&ALL[..0], Twist::default(), plain),
        (&ALL[..], MOMENTUM, all),
    ] {
        let (place, dataset) = place();
        let make = |run: &str| setup((&place, &dataset), run, changes, twist);
        assert_eq!(finish(open(make("whole"), Start::New)), Ending::Complete);
        let whole = place.path("whole");
        assert_eq!(events(&whole, "checkpoint").len(), 4);
        for &killed in steps {
            let run = format!("killed-{killed}");
            let mut training = open(make(&run), Start::New);
            (0..killed).for_each(|_| assert!(training.step().unwrap().loss.is_finite()));
            drop(training);
            // Killed again, one step later.
            let mut training = open(make(&run), Start::Resume);
            assert_eq!(training.position().step, killed / 3 * 3);
            if training.ended().is_none() {
                training.step().unwrap();
            }
            drop(training);
            assert_eq!(finish(open(make(&run), Start::Resume)), Ending::Complete);
            same(&whole, &place.path(&run));
            loader::verify(&place.path(&run), None).unwrap();
        }
        let names: Vec<_> = files(&whole).into_keys().collect();
        let wanted: &[&str] = match changes.is_empty() {
            true => &["heads.safetensors", "loss.safetensors", "model.safetensors"],
            false => &[
                "average.safetensors",
                "keys.safetensors",
                "optimizer.safetensors",
            ],
        };
        assert!(
            wanted
                .iter()
                .all(|name| names.iter().any(|own| own == name)),
            "{names:?}"
        );
    }
}

#[test]
fn steps_learn_and_every_part_moves() {
    let (place, dataset) = place();
    let mut training = open(setup((&place, &dataset), "run", &ALL, MOMENTUM), Start::New);
    let before = training.model().parameters().copy().unwrap();
    let first = training.step().unwrap();
    assert_eq!((first.step, first.steps, first.learning_rate), (1, 12, 0.0));
    finish(training);
    let run = place.path("run");
    let steps = events(&run, "step");
    let (first, last) = (&steps[0], &steps[steps.len() - 1]);
    assert!(
        last["loss"].as_f64() < first["loss"].as_f64(),
        "{first} {last}"
    );
    assert_eq!(first["figures"]["rows"], 4.0);
    assert_eq!(
        (&first["step"], &first["batches"], &last["epoch"]),
        (&2.into(), &4.into(), &2.into())
    );
    let training = open(
        setup((&place, &dataset), "run", &ALL, MOMENTUM),
        Start::Resume,
    );
    let values = |parameters: &crate::parameters::Parameters, name: &str| {
        let tensor = parameters.get(name).unwrap().tensor();
        tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let after = training.model().parameters();
    let average = training.average().unwrap();
    for parameter in after.iter() {
        let name = &parameter.name;
        let [old, new, mean] = [&before, &after, average].map(|all| values(all, name));
        assert!(old != new && mean != new && mean != old, "{name}");
    }
    assert!(values(&after, "loss.log_scale")[0] <= 0.995);
}

#[test]
fn neither_workers_nor_a_clean_stop_change_a_bit() {
    let (place, dataset) = place();
    let make = |run: &str, workers| Setup {
        threads: threads(workers),
        ..setup((&place, &dataset), run, &ALL, MOMENTUM)
    };
    finish(open(make("one", 1), Start::New));
    for workers in [2, 4] {
        let run = format!("workers-{workers}");
        finish(open(make(&run, workers), Start::New));
        same(&place.path("one"), &place.path(&run));
    }
    let taken = Cell::new(0);
    let mut training = open(make("stopped", 1), Start::New);
    let ending = training.run(&|| taken.get() == 5, &mut |progress| {
        taken.set(progress.step)
    });
    assert_eq!(ending.unwrap(), Ending::Interrupted);
    drop(training);
    let run = place.path("stopped");
    assert!(run.join(DIR).join("step-000005").is_dir());
    assert_eq!(events(&run, "stop")[0]["reason"], "interrupted");
    let training = open(make("stopped", 1), Start::Resume);
    assert_eq!(training.position().step, 5);
    finish(training);
    let (mut one, mut stopped) = (files(&place.path("one")), files(&run));
    // It ends an interval where it stopped.
    assert_ne!(one.remove("data.json"), stopped.remove("data.json"));
    assert_eq!(one, stopped);
    assert_eq!(events(&place.path("one"), "step"), events(&run, "step"));
    let verified = loader::verify(&run, None).unwrap();
    assert_eq!(verified.proof.step, 24);
    // There is nothing left to do, and it is said so again.
    assert_eq!(
        finish(open(make("stopped", 1), Start::Resume)),
        Ending::Complete
    );
}

#[test]
fn the_seed_and_the_dropout_matter() {
    let (place, dataset) = place();
    let make = |run: &str, changes: &[(&str, &str)]| {
        setup((&place, &dataset), run, changes, Twist::default())
    };
    finish(open(make("one", &[]), Start::New));
    finish(open(
        make("other", &[("\n[data]", "seed = 2\n[data]")]),
        Start::New,
    ));
    let mut still = make("still", &[]);
    still.model.encoder.config.hidden_dropout_prob = 0.0;
    still.model.encoder.config.attention_probs_dropout_prob = 0.0;
    let config = still.model.encoder.config.clone();
    let parameters = still.model.encoder.parameters.clone();
    let pooling = still.model.encoder.pooling;
    still.model.encoder = crate::encoder::Encoder::new(config, pooling, parameters).unwrap();
    finish(open(still, Start::New));
    let of = |run: &str| files(&place.path(run))["model.safetensors"].clone();
    assert!(of("one") != of("other") && of("one") != of("still"));
    // Without dropout two copies of a text are one.
    let steps = events(&place.path("still"), "step");
    assert_eq!(steps[0]["loss"], 0.0);
}

#[test]
fn what_must_not_be_trained_is_refused() {
    let (place, dataset) = place();
    let make = |run: &str, changes: &[(&str, &str)]| {
        setup((&place, &dataset), run, changes, Twist::default())
    };
    let refused = |setup: Setup, start: Start, words: &[&str]| {
        let error = Training::open(setup, start).err().unwrap();
        assert_eq!(error.exit_code(), 1, "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "no `{word}` in {error}");
        }
    };
    refused(
        make("run", &[]),
        Start::Resume,
        &["run: no run is here to go on with"],
    );
    refused(
        make("none", &[("copies = 1", "copies = 0")]),
        Start::New,
        &["[loss] two views", "text"],
    );
    assert!(!place.path("none/recipe.toml").exists());
    let training = open(make("run", &[]), Start::New);
    refused(
        make("run", &[]),
        Start::Resume,
        &["another juzi is writing here"],
    );
    drop(training);
    refused(
        make("run", &[]),
        Start::New,
        &["run: a run is here already", "--resume"],
    );
    let changes = [
        ("learning_rate = 0.01", "learning_rate = 0.02"),
        ("[data]", "[data]\nshuffle = false"),
    ];
    let words = [
        "another recipe",
        "[data] shuffle: true there, false here",
        "[optimizer] learning_rate: 0.01 there, 0.02 here",
    ];
    refused(make("run", &changes), Start::Resume, &words);
    let other = shards(
        &place.path("other"),
        Kind::Text,
        false,
        &[vec![made_up(20), made_up(20)]],
    );
    let moved = setup((&place, &other), "run", &[], Twist::default());
    refused(
        moved,
        Start::Resume,
        &["another dataset", " there, ", "--data"],
    );
    finish(open(make("run", &[]), Start::Resume));
}

#[test]
fn a_loss_that_is_no_number_stops_with_its_batch() {
    for (factor, words) in [
        (f64::NAN, "the loss is NaN"),
        (1e7, "[training] explosion = 100"),
    ] {
        let (place, dataset) = place();
        let changes = [ALL[0], ("warmup_steps = 3", "warmup_ratio = 0.0")];
        let broken = Twist {
            factor: Some((23, factor)),
            ..Twist::default()
        };
        let make = |run: &str, twist| setup((&place, &dataset), run, &changes, twist);
        finish(open(make("whole", Twist::default()), Start::New));
        let mut training = open(make("run", broken), Start::New);
        let error = training.run(&|| false, &mut |_| {}).unwrap_err();
        drop(training);
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        for word in [
            "step 11: ",
            words,
            "failed-step-11.json",
            "the checkpoint of step 9 holds",
        ] {
            assert!(message.contains(word), "no `{word}` in {message}");
        }
        let run = place.path("run");
        let text = std::fs::read(run.join("failed-step-11.json")).unwrap();
        let failed: Value = serde_json::from_slice(&text).unwrap();
        let batches = failed["batches"].as_array().unwrap();
        let last = &batches[batches.len() - 1];
        assert_eq!((&failed["step"], &last["batch"]), (&11.into(), &23.into()));
        // What is no number is the fault of one batch; a sum may be that of any.
        assert_eq!(batches.len(), if factor.is_nan() { 1 } else { 2 });
        assert_eq!(last["records"].as_array().unwrap().len(), 4);
        assert_eq!(last["records"][0]["id"].as_str().unwrap().len(), 32);
        assert!(["甲", "乙"].contains(&last["records"][0]["corpus"].as_str().unwrap()));
        let ids = last["columns"][0]["token_ids"].as_array().unwrap();
        assert_eq!(
            (ids.len(), &ids[0][0], &last["columns"][0]["name"]),
            (8, &2.into(), &"text".into())
        );
        assert_eq!(events(&run, "stop")[0]["reason"], "failed");
        // Where the cause is gone, the run goes on as if nothing had been.
        finish(open(make("run", Twist::default()), Start::Resume));
        same(&place.path("whole"), &run);
    }
}

#[test]
fn early_stop_and_the_best_checkpoint() {
    let (place, dataset) = place();
    let changes = [(
        "log_steps = 1",
        "log_steps = 5\nkeep_last = 1\nearly_stop = 2",
    )];
    let rising = Twist {
        rise: 10.0,
        ..Twist::default()
    };
    let make = || setup((&place, &dataset), "run", &changes, rising);
    assert_eq!(finish(open(make(), Start::New)), Ending::EarlyStop);
    let run = place.path("run");
    assert_eq!(Checkpoints::new(&run, 1, true).steps().unwrap(), [9, 3]);
    let told = events(&run, "checkpoint");
    let best: Vec<_> = told.iter().map(|event| event["best"] == true).collect();
    assert_eq!(best, [true, false, false]);
    assert_eq!(events(&run, "stop")[0]["reason"], "early_stop");
    let steps = events(&run, "step");
    assert_eq!((steps.len(), &steps[0]["step"]), (1, &5.into()));
    // Means are over all steps since the line before.
    let mean = steps[0]["loss_mean"].as_f64().unwrap();
    assert!((20.0..30.0).contains(&mean), "{mean}");
    assert_eq!(finish(open(make(), Start::Resume)), Ending::EarlyStop);
    let best = Checkpoint::open(&run.join(DIR).join("step-000003")).unwrap();
    assert_eq!(best.state.position.best.unwrap().step, 3);
}

#[test]
fn a_damaged_checkpoint_costs_steps_and_nothing_else() {
    let (place, dataset) = place();
    let make = |run: &str| setup((&place, &dataset), run, &ALL, MOMENTUM);
    finish(open(make("whole"), Start::New));
    let mut training = open(make("run"), Start::New);
    (0..8).for_each(|_| assert!(training.step().unwrap().loss.is_finite()));
    drop(training);
    let path = place.path("run/checkpoints/step-000006/keys.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (training, messages) = Training::open(make("run"), Start::Resume).unwrap();
    assert_eq!(training.position().step, 3);
    assert!(
        messages[0].contains("step-000006/keys.safetensors"),
        "{messages:?}"
    );
    finish(training);
    same(&place.path("whole"), &place.path("run"));
}

#[test]
fn a_lost_log_costs_the_log_and_lost_checkpoints_are_told() {
    let (place, dataset) = place();
    let make = || setup((&place, &dataset), "run", &[], Twist::default());
    assert_eq!(finish(open(make(), Start::New)), Ending::Complete);
    let run = place.path("run");
    std::fs::write(run.join("events.jsonl"), "").unwrap();
    let (training, messages) = Training::open(make(), Start::Resume).unwrap();
    assert!(messages[0].contains("a new log begins"), "{messages:?}");
    assert!(run.join("events.damaged.jsonl").exists());
    drop(training);
    assert_eq!(events(&run, "resume").len(), 1);
    let lines = "{\"kind\":\"checkpoint\"}\n";
    std::fs::write(run.join("events.jsonl"), lines.repeat(2)).unwrap();
    std::fs::remove_dir_all(run.join(DIR)).unwrap();
    let error = Training::open(make(), Start::Resume).err().unwrap();
    assert!(
        error.to_string().contains("tells of 2 checkpoints"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 1);
    // A kill may fall between the line of the first one and its directory.
    std::fs::write(run.join("events.jsonl"), lines).unwrap();
    let training = Training::open(make(), Start::Resume).unwrap().0;
    assert_eq!(training.position().step, 0);
}

#[test]
fn each_start_leaves_its_provenance() {
    let (place, dataset) = place();
    let make = || setup((&place, &dataset), "run", &[], Twist::default());
    let mut training = open(make(), Start::New);
    (0..4).for_each(|_| assert!(training.step().unwrap().loss.is_finite()));
    drop(training);
    drop(open(make(), Start::Resume));
    let text = std::fs::read(place.path("run/provenance.json")).unwrap();
    let value: Value = serde_json::from_slice(&text).unwrap();
    let starts = value["starts"].as_array().unwrap().iter();
    let steps: Vec<_> = starts.map(|start| start["from_step"].clone()).collect();
    assert_eq!(steps, [0, 3]);
    assert_eq!(value["starts"][0]["device"], "cpu");
    assert_eq!(events(&place.path("run"), "resume")[0]["step"], 3);
}
