//! A training from end to end: killed at any moment it goes on to the same bits, and what must not
//! be is refused by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use juzi_schemas::fault;
use serde_json::Value;

use crate::commands::small;
use crate::support::{Place, Run};

/// Two copies of a text, a small model from scratch, 12 steps, a checkpoint after each 4.
const RECIPE: &str = "
[data]
size = 8
[views]
augmented = 0
copies = 1
[tokenizer]
path = 'model'
length_max = 16
[encoder.config]
model_type = 'bert'
vocab_size = 200
hidden_size = 16
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 32
hidden_act = 'gelu'
hidden_dropout_prob = 0.1
attention_probs_dropout_prob = 0.1
max_position_embeddings = 16
type_vocab_size = 2
initializer_range = 0.02
layer_norm_eps = 1e-12
pad_token_id = 0
[loss]
name = 'info_nce'
[optimizer]
learning_rate = 0.01
accumulation = 2
[schedule]
steps = 12
[training]
checkpoint_steps = 4
log_steps = 1
ema_decay = 0.9
";

fn prepare(place: &Place) {
    let shards = place.make(&small(place, ""));
    place.write(
        "model/tokenizer.json",
        crate::feed::tokenizer(&shards.texts()),
    );
    place.write("recipe.toml", recipe(place, RECIPE));
}

/// The recipe with room for all ids of the tokenizer.
fn recipe(place: &Place, text: &str) -> String {
    let model = std::fs::read(place.path("model/tokenizer.json")).unwrap();
    let model: Value = serde_json::from_slice(&model).unwrap();
    let words = model["model"]["vocab"].as_object().unwrap().len();
    text.replace("vocab_size = 200", &format!("vocab_size = {words}"))
}

fn arguments<'a>(run: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    let place = [
        "train",
        "recipe.toml",
        "--data",
        "data/shards",
        "--run",
        run,
    ];
    [&place, flags].concat()
}

fn train(place: &Place, run: &str, flags: &[&str]) -> Run {
    place.juzi(&arguments(run, flags))
}

/// The files of a checkpoint by name, but for `state.json`, which knows the length of a log with
/// times in it.
fn files(place: &Place, run: &str, step: u64) -> BTreeMap<String, Vec<u8>> {
    let dir = place.path(&format!("{run}/checkpoints/step-{step:06}"));
    let entries = std::fs::read_dir(dir).unwrap();
    let files = entries.map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(path).unwrap())
    });
    files.filter(|(name, _)| name != "state.json").collect()
}

/// The lines of the log about steps, without what a clock says.
fn steps(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    let events = text.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        event.as_object_mut().unwrap().remove("time");
        event
    });
    events.filter(|event| event["kind"] == "step").collect()
}

#[track_caller]
fn same(place: &Place, run: &str) {
    assert!(files(place, run, 12) == files(place, "whole", 12), "{run}");
    let (one, other) = (steps(&place.path(run)), steps(&place.path("whole")));
    assert_eq!(one, other, "{run}");
    place.juzi(&["train", "--verify-data", run]).expect(0, &[]);
}

#[test]
fn a_training_that_is_killed_goes_on_to_the_same_bits() {
    let place = Place::new("training-kill");
    prepare(&place);
    let started = Instant::now();
    train(&place, "whole", &[]).expect(0, &["step 12/12", "tokens/s", "complete after 12 steps"]);
    let mut whole = started.elapsed();
    assert_eq!(steps(&place.path("whole")).len(), 12);
    // At every crash point of a commit: files, renames, `latest`, deletions.
    let mut points = 0;
    loop {
        points += 1;
        let run = format!("crash-{points}");
        let mut command = place.command();
        command.args(arguments(&run, &[]));
        command.env(fault::VARIABLE, points.to_string());
        let killed: Run = command.output().unwrap().into();
        if killed.signal.is_none() {
            killed.expect(0, &[]);
            break;
        }
        // Before the recipe is there, there is no run to go on with.
        let begun = place.path(&format!("{run}/recipe.toml")).exists();
        let flags: &[&str] = if begun { &["--resume"] } else { &[] };
        train(&place, &run, flags).expect(0, &[]);
        same(&place, &run);
    }
    assert!(points > 15, "{points}");
    // At any moment, again and again, with other numbers of threads.
    let mut killed = 0;
    for part in 1..8u32 {
        let run = format!("kill-{part}");
        for round in 0..3 {
            let begun = place.path(&format!("{run}/recipe.toml")).exists();
            let mut command = place.command();
            let workers = (1 + round).to_string();
            command.args(arguments(&run, &["--workers", &workers]));
            command.args(begun.then_some("--resume"));
            command.env("RAYON_NUM_THREADS", (1 + part % 2).to_string());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(whole * (part + round) / 10);
            child.kill().unwrap();
            match child.wait().unwrap().code().is_none() {
                true => killed += 1,
                // The machine was busier when it was measured.
                false => whole = whole * 3 / 4,
            }
        }
        let begun = place.path(&format!("{run}/recipe.toml")).exists();
        let flags: &[&str] = if begun { &["--resume"] } else { &[] };
        train(&place, &run, flags).expect(0, &[]);
        same(&place, &run);
    }
    assert!(killed >= 7, "only {killed} runs were killed in time");
}

#[test]
fn ctrl_c_leaves_a_checkpoint_and_the_command_that_goes_on() {
    let place = Place::new("training-stop");
    prepare(&place);
    train(&place, "whole", &[]).expect(0, &[]);
    place.write(
        "recipe.toml",
        recipe(&place, &RECIPE.replace("steps = 12", "steps = 100000")),
    );
    let mut command = place.command();
    command.args(arguments("long", &[]));
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !place.path("long/checkpoints/latest").exists() {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "no checkpoint came"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // SAFETY: a plain system call on a process of this test.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let run = Run::from(child.wait_with_output().unwrap());
    let words =
        "interrupted; to go on: juzi train recipe.toml --data data/shards --run long --resume";
    run.expect(130, &[words]);
    let latest = std::fs::read_to_string(place.path("long/checkpoints/latest")).unwrap();
    let text = std::fs::read_to_string(place.path("long/events.jsonl")).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["reason"], "interrupted");
    assert_eq!(
        latest.trim(),
        format!("step-{:06}", last["step"].as_u64().unwrap())
    );
}

#[test]
fn what_must_not_be_trained_is_refused() {
    let place = Place::new("training-refusals");
    prepare(&place);
    train(&place, "run", &["--resume"]).expect(1, &["run: no run is here to go on with"]);
    train(&place, "run", &[]).expect(0, &[]);
    train(&place, "run", &[]).expect(1, &["run: a run is here already", "--resume"]);
    let refused = |from: &str, to: &str, run: &str, flags: &[&str], words: &[&str]| {
        assert!(RECIPE.contains(from), "{from}");
        place.write("recipe.toml", recipe(&place, &RECIPE.replace(from, to)));
        train(&place, run, flags).expect(1, words);
    };
    let rate = "[optimizer] learning_rate: 0.01 there, 0.02 here";
    refused(
        "learning_rate = 0.01",
        "learning_rate = 0.02",
        "run",
        &["--resume"],
        &[rate],
    );
    refused("copies = 1", "copies = 0", "new", &[], &["[loss]", "text"]);
    refused(
        "[loss]\nname = 'info_nce'",
        "",
        "new",
        &[],
        &["[loss]: no loss is named"],
    );
    refused(
        "name = 'info_nce'",
        "name = 'magic'",
        "new",
        &[],
        &["magic"],
    );
    refused(
        "log_steps = 1",
        "log_stepps = 1",
        "new",
        &[],
        &["log_stepps"],
    );
    assert!(!place.path("new/recipe.toml").exists());
    place.write("recipe.toml", recipe(&place, RECIPE));
    place.make(&format!("seed = 9\n{}", small(&place, "")));
    train(&place, "run", &["--resume"]).expect(1, &["run: the run is of another dataset: "]);
    place.juzi(&["train"]).expect(1, &["--verify-data"]);
}
