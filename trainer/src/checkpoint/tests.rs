//! Tests of checkpoints: whole or not there, proved, kept, deleted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use juzi_schemas::fingerprint::Fingerprint;
use proptest::prelude::*;

use super::{Best, Checkpoint, Checkpoints, Contents, FORMAT, Position, Room, State, Sum};
use super::{HEADS, MODEL, SEEN};
use crate::loader::fixtures::Place;
use crate::parameters::{Parameter, Parameters};
use crate::schedule::{Kind, Schedule};

fn tensor(values: &[f32]) -> Tensor {
    Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
}

fn contents(step: u64, best: u64) -> Contents {
    let named = |name: &str, values: &[f32]| BTreeMap::from([(name.into(), tensor(values))]);
    Contents {
        state: State {
            format: FORMAT,
            position: Position {
                step,
                best: Some(Best {
                    step: best,
                    value: 0.1 + 0.2,
                }),
                ..Position::new()
            },
            schedule: Schedule {
                kind: Kind::Linear,
                warmup: 1,
                steps: 9,
            },
            recipe: Fingerprint(3),
            dataset: Fingerprint(4),
            events: 17,
            files: BTreeMap::new(),
            check: Fingerprint(0),
        },
        tensors: vec![
            (MODEL, named("a.weight", &[step as f32, 0.5])),
            (HEADS, BTreeMap::new()),
        ],
        texts: vec![(SEEN, "{}".into())],
    }
}

fn checkpoints(place: &Place) -> (Checkpoints, PathBuf) {
    let checkpoints = Checkpoints::new(&place.path("run"), 2, true);
    (checkpoints, place.path("run/checkpoints"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// All that is in a directory, by name.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_written_reads_back() {
    let place = Place::new();
    let (checkpoints, dir) = checkpoints(&place);
    assert!(checkpoints.newest().unwrap().checkpoint.is_none());
    let path = checkpoints.write(contents(7, 7)).unwrap();
    assert_eq!(path, dir.join("step-000007"));
    assert_eq!(
        names(&path),
        ["data.json", "model.safetensors", "state.json"]
    );
    let newest = checkpoints.newest().unwrap();
    let checkpoint = newest.checkpoint.unwrap();
    assert_eq!(checkpoint.state.position, contents(7, 7).state.position);
    assert_eq!((checkpoint.state.events, newest.refused.len()), (17, 0));
    assert_eq!(checkpoint.text(SEEN).unwrap(), "{}");
    let mut parameters = Parameters::default();
    let a = parameters.insert(Parameter::new("a.weight", &tensor(&[0.0, 0.0])).unwrap());
    checkpoint.restore(MODEL, &parameters).unwrap();
    assert_eq!(a.tensor().to_vec1::<f32>().unwrap(), [7.0, 0.5]);
    checkpoint.restore(HEADS, &Parameters::default()).unwrap();
}

#[test]
fn other_parameters_are_refused() {
    let place = Place::new();
    let (checkpoints, _) = checkpoints(&place);
    checkpoints.write(contents(1, 1)).unwrap();
    let checkpoint = checkpoints.newest().unwrap().checkpoint.unwrap();
    let of = |named: &[(&str, &[f32])]| {
        let mut parameters = Parameters::default();
        for (name, values) in named {
            parameters.insert(Parameter::new(*name, &tensor(values)).unwrap());
        }
        let error = checkpoint.restore(MODEL, &parameters).unwrap_err();
        error.to_string()
    };
    assert!(of(&[]).contains("tensor `a.weight` belongs to nothing"));
    assert!(of(&[("b", &[1.0])]).contains("no tensor `b`; [1] is wanted"));
    let shapes = of(&[("a.weight", &[1.0])]);
    assert!(
        shapes.contains("tensor `a.weight` is [2]; [1] is wanted"),
        "{shapes}"
    );
    assert!(shapes.contains("model.safetensors"), "{shapes}");
}

#[test]
fn the_newest_and_the_best_are_kept() {
    let place = Place::new();
    let (checkpoints, dir) = checkpoints(&place);
    for step in [10, 20, 30, 40] {
        checkpoints.write(contents(step, step.min(20))).unwrap();
    }
    assert_eq!(checkpoints.steps().unwrap(), [40, 30, 20]);
    assert_eq!(read(&dir.join("latest")), "step-000040\n");
    assert_eq!(read(&dir.join("best")), "step-000020\n");
    let newest_only = Checkpoints {
        keep_last: 1,
        keep_best: false,
        ..checkpoints
    };
    newest_only.write(contents(50, 50)).unwrap();
    assert_eq!(newest_only.steps().unwrap(), [50]);
    assert_eq!(names(&dir), ["best", "latest", "step-000050"]);
}

#[test]
fn a_damaged_checkpoint_is_refused_by_name_and_the_one_before_is_used() {
    let place = Place::new();
    let (checkpoints, dir) = checkpoints(&place);
    type Damage = (&'static str, fn(&Path));
    let damage: [Damage; 5] = [
        ("model.safetensors", |path| flip(path)),
        ("model.safetensors", |path| {
            std::fs::remove_file(path).unwrap()
        }),
        ("data.json", |path| std::fs::write(path, "{} ").unwrap()),
        ("state.json", |path| std::fs::write(path, "").unwrap()),
        ("state.json", |path| {
            let text = read(path).replace("\"events\": 17", "\"events\": 18");
            std::fs::write(path, text).unwrap();
        }),
    ];
    for (file, damage) in damage {
        checkpoints.write(contents(1, 1)).unwrap();
        checkpoints.write(contents(2, 1)).unwrap();
        damage(&dir.join("step-000002").join(file));
        let newest = checkpoints.newest().unwrap();
        assert_eq!(newest.checkpoint.unwrap().state.position.step, 1, "{file}");
        let place = format!("step-000002/{file}");
        assert!(newest.refused[0].contains(&place), "{:?}", newest.refused);
    }
    // Written again, it is whole again.
    checkpoints.write(contents(2, 1)).unwrap();
    assert!(checkpoints.newest().unwrap().refused.is_empty());
    for step in ["step-000001", "step-000002"] {
        flip(&dir.join(step).join("model.safetensors"));
    }
    let error = checkpoints.newest().unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    assert!(
        message.contains("none of its checkpoints is whole"),
        "{message}"
    );
    assert!(message.contains("hash of bytes"), "{message}");
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_a_crash_leaves_does_not_count() {
    let place = Place::new();
    let (checkpoints, dir) = checkpoints(&place);
    checkpoints.write(contents(1, 1)).unwrap();
    let newest = || {
        checkpoints
            .newest()
            .unwrap()
            .checkpoint
            .unwrap()
            .state
            .position
            .step
    };
    // Before the rename: half a checkpoint under a hidden name.
    std::fs::create_dir(dir.join(".step-000002.tmp")).unwrap();
    std::fs::write(dir.join(".step-000002.tmp/model.safetensors"), "half").unwrap();
    assert_eq!(newest(), 1);
    // While deleting: a whole one under a hidden name.
    std::fs::create_dir(dir.join(".step-000000.old")).unwrap();
    checkpoints.write(contents(2, 1)).unwrap();
    assert_eq!(
        names(&dir),
        ["best", "latest", "step-000001", "step-000002"]
    );
    // After the rename, before `latest` was replaced; or its target is gone.
    for latest in ["step-000001\n", "step-000009\n", ""] {
        std::fs::write(dir.join("latest"), latest).unwrap();
        assert_eq!(newest(), 2);
    }
    std::fs::remove_file(dir.join("latest")).unwrap();
    assert_eq!(newest(), 2);
}

#[test]
fn another_format_is_refused_and_not_passed_over() {
    let place = Place::new();
    let (checkpoints, dir) = checkpoints(&place);
    checkpoints.write(contents(1, 1)).unwrap();
    let path = checkpoints
        .write(contents(2, 1))
        .unwrap()
        .join("state.json");
    let text = read(&path).replace("\"format\": 1", "\"format\": 2");
    std::fs::write(&path, text).unwrap();
    let error = checkpoints.newest().unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("its format is 2; this juzi reads 1"),
        "{message}"
    );
    assert!(Checkpoint::open(&dir.join("step-000001")).is_ok());
}

#[test]
fn a_full_disk_is_told_before_anything_is_written() {
    let room = Room {
        free: 999_999,
        needed: 1_000_000,
    };
    let error = room.check(Path::new("run/checkpoints"), 3).unwrap_err();
    let message = error.to_string();
    let words = "run/checkpoints: a checkpoint takes 1.0 MB, and 1.0 MB are free";
    assert!(message.contains(words), "{message}");
    assert_eq!(error.exit_code(), 2);
    let enough = Room {
        free: 1_000_000,
        ..room
    };
    assert!(enough.check(Path::new("."), 3).is_ok());
    let place = Place::new();
    let (checkpoints, dir) = checkpoints(&place);
    assert!(checkpoints.room(0, u64::MAX).is_err());
    assert!(names(&dir).is_empty());
    assert!(contents(1, 1).bytes() > 8);
}

#[test]
fn the_best_is_the_smallest_mean() {
    let mut position = Position::new();
    let mut told = Vec::new();
    for (step, losses) in [
        (1, vec![3.0, 1.0]),
        (2, vec![2.0]),
        (3, vec![1.5]),
        (4, vec![]),
    ] {
        position.step = step;
        losses
            .into_iter()
            .for_each(|loss| position.scored.add(loss));
        let mean = position.end_interval();
        told.push(mean.map(|mean| position.score(mean, false)));
    }
    assert_eq!(told, [Some(true), Some(false), Some(true), None]);
    let best = |position: &Position| position.best.map(|best| (best.step, best.value));
    assert_eq!(best(&position), Some((3, 1.5)));
    assert_eq!((position.since_best, position.scored), (0, Sum::default()));
    // Of metrics the largest may be the best; of equal ones the first.
    let mut position = Position::new();
    let told = [0.5, 0.7, 0.7, 0.6].map(|value| {
        position.step += 1;
        position.score(value, true)
    });
    assert_eq!(told, [true, true, false, false]);
    assert_eq!((best(&position), position.since_best), (Some((2, 0.7)), 2));
}

proptest! {
    #[test]
    fn numbers_read_back_to_the_bit(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        let text = serde_json::to_string(&Best { step: 1, value }).unwrap();
        let read: Best = serde_json::from_str(&text).unwrap();
        prop_assert!(read.value.to_bits() == bits || value.is_nan() && read.value.is_nan());
    }
}
