//! Trainings that are measured, and experiments: killed anywhere they go on to the same
//! scores, and what is complete is left as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use juzi_schemas::fault;
use serde_json::Value;

use crate::evaluation::prepare;
use crate::support::{Place, Run};

const EVALUATION: &str = "
[evaluation]
steps = 2
decides = 'sts.pearson'
[evaluation.tasks.sts]
evaluator = 'similarity'
files = ['tasks/pairs.tsv']
[evaluation.tasks.shape]
evaluator = 'geometry'
pairs = 'tasks/pairs.tsv'
";

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs the program, killed at a crash point or not.
fn juzi(place: &Place, arguments: &[&str], point: Option<u64>) -> Run {
    let mut command = place.command();
    command.args(arguments);
    if let Some(point) = point {
        command.env(fault::VARIABLE, point.to_string());
    }
    command.output().unwrap().into()
}

fn train(place: &Place, run: &str, flags: &[&str], point: Option<u64>) -> Run {
    let data = ["--data", "data/shards", "--run", run];
    juzi(
        place,
        &[&["train", "recipe.toml"][..], &data[..], flags].concat(),
        point,
    )
}

/// All files below a directory with their bytes; links are left alone.
pub fn bytes(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.extend(bytes(&entry.path()));
        } else if kind.is_file() {
            files.insert(entry.path(), std::fs::read(entry.path()).unwrap());
        }
    }
    files
}

/// The evaluations of a run by step, without the name of the run.
fn evaluations(run: &Path) -> BTreeMap<u64, Value> {
    let mut found = BTreeMap::new();
    for path in bytes(&run.join("evaluations")).keys() {
        let mut evaluation: Value = serde_json::from_str(&read(path)).unwrap();
        evaluation.as_object_mut().unwrap().remove("model");
        let step = evaluation["step"].as_u64().unwrap();
        assert!(
            path.ends_with(format!("step-{step:06}.json")),
            "{}",
            path.display()
        );
        found.insert(step, evaluation);
    }
    found
}

fn metric(evaluation: &Value, task: &str, name: &str) -> f64 {
    let metrics = evaluation["tasks"][task]["metrics"].as_array().unwrap();
    let metric = metrics.iter().find(|metric| metric["name"] == name);
    metric.unwrap()["value"].as_f64().unwrap()
}

/// What the log says of evaluations, without what a clock says.
fn events(run: &Path) -> Vec<Value> {
    let text = read(&run.join("events.jsonl"));
    let events = text.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        event.as_object_mut().unwrap().remove("time");
        event
    });
    events
        .filter(|event| event["kind"] == "evaluation")
        .collect()
}

/// Scores by step, events, files of the last checkpoint, which checkpoints are best and latest.
type Kept = (BTreeMap<u64, Value>, Vec<Value>, Vec<Vec<u8>>, [String; 2]);

/// What must be the same of two runs: scores, the last weights and moments, and which checkpoints are
/// called the best and the latest.
fn kept(run: &Path) -> Kept {
    let checkpoints = run.join("checkpoints");
    let last = checkpoints.join("step-000006");
    let files = ["model.safetensors", "optimizer.safetensors", "data.json"];
    let files = files.map(|name| std::fs::read(last.join(name)).unwrap());
    // A killed run may lack one.
    let called = |name: &str| std::fs::read_to_string(checkpoints.join(name)).unwrap_or_default();
    let names = ["best", "latest"].map(called);
    (evaluations(run), events(run), files.into(), names)
}

#[test]
fn a_measured_training_that_is_killed_goes_on_to_the_same_scores() {
    let place = Place::new("measured-kill");
    prepare(&place);
    append(&place, EVALUATION);
    let run = train(&place, "whole", &[], None).expect(0, &["evaluation at step 4"]);
    let whole = kept(&place.path("whole"));
    let (scores, log, _, [best, latest]) = &whole;
    assert_eq!(latest.trim(), "step-000006");
    assert_eq!(scores.keys().copied().collect::<Vec<u64>>(), [0, 2, 4, 6]);
    let mut logged = Vec::new();
    for event in log {
        let (step, task) = (
            event["step"].as_u64().unwrap(),
            event["name"].as_str().unwrap(),
        );
        for (name, value) in event["metrics"].as_object().unwrap() {
            assert_eq!(value.as_f64(), Some(metric(&scores[&step], task, name)));
        }
        logged.push((step, task));
    }
    let tasks = [0u64, 2, 4, 6].map(|step| [(step, "shape"), (step, "sts")]);
    assert_eq!(logged, tasks.concat());
    // The last one is not the best, else a best that was lost would look right.
    let pearson = |step: u64| metric(&scores[&step], "sts", "pearson");
    let highest = [2, 4, 6]
        .into_iter()
        .max_by(|a, b| pearson(*a).total_cmp(&pearson(*b)));
    let highest = highest.unwrap();
    assert_eq!(best.trim(), format!("step-{highest:06}"));
    assert_ne!(highest, 6);
    check_table(&run.stdout, highest, &pearson);
    let mut killed = 0;
    for point in (1..).step_by(3) {
        let name = format!("crash-{point}");
        let run = train(&place, &name, &[], Some(point));
        if run.signal.is_none() {
            run.expect(0, &[]);
            break;
        }
        killed += 1;
        let begun = place.path(&format!("{name}/recipe.toml")).exists();
        let flags: &[&str] = if begun { &["--resume"] } else { &[] };
        train(&place, &name, flags, None).expect(0, &[]);
        let own = kept(&place.path(&name));
        assert_eq!(own.3, whole.3, "the best and the latest, point {point}");
        assert!(own == whole, "point {point}");
    }
    assert!(killed > 7, "{killed}");
}

/// The table at the end has a column for the first, the best and the last scores.
fn check_table(table: &str, best: u64, pearson: &dyn Fn(u64) -> f64) {
    let head = table.lines().next().unwrap();
    let (best_title, last_title) = (format!("best ({best})"), "last (6)");
    assert!(
        head.contains("before") && head.contains(&best_title),
        "{table}"
    );
    assert!(head.contains(last_title), "{table}");
    let words = |line: &str| -> Vec<String> { line.split_whitespace().map(String::from).collect() };
    let mut rows = table.lines().map(words);
    let row = rows
        .find(|row| row.len() > 3 && row[0] == "sts" && row[1] == "pearson")
        .unwrap();
    let wanted = [0, best, 6].map(|step| format!("{:.4}", pearson(step)));
    assert_eq!(row[row.len() - 3..], wanted, "{table}");
}

fn append(place: &Place, text: &str) {
    let recipe = read(&place.path("recipe.toml"));
    place.write("recipe.toml", recipe + text);
}

#[test]
fn what_decides_has_a_direction_and_a_name() {
    let place = Place::new("measured-decides");
    prepare(&place);
    let recipe = read(&place.path("recipe.toml"));
    let with = |from: &str, to: &str| {
        assert!(EVALUATION.contains(from), "{from}");
        place.write(
            "recipe.toml",
            format!("{recipe}{}", EVALUATION.replace(from, to)),
        );
    };
    with("'sts.pearson'", "'shape.alignment'");
    train(&place, "lower", &[], None).expect(0, &[]);
    let scores = evaluations(&place.path("lower"));
    let alignment = |step: u64| metric(&scores[&step], "shape", "alignment");
    let lowest = [2, 4, 6]
        .into_iter()
        .min_by(|a, b| alignment(*a).total_cmp(&alignment(*b)));
    let best = read(&place.path("lower/checkpoints/best"));
    assert_eq!(best.trim(), format!("step-{:06}", lowest.unwrap()));
    for (from, to, words) in [
        ("'sts.pearson'", "'stz.pearson'", "the tasks are shape, sts"),
        (
            "'sts.pearson'",
            "'sts.person'",
            "no such metric; there are shape.alignment",
        ),
        (
            "'sts.pearson'",
            "'shape.mean_cosine'",
            "this metric has no good direction",
        ),
        ("decides", "decide", "unknown field `decide`"),
        ("'similarity'", "'likeness'", "unknown variant `likeness`"),
        (
            "tasks/pairs.tsv",
            "tasks/nowhere.tsv",
            "tasks/nowhere.tsv: No such file",
        ),
    ] {
        with(from, to);
        train(&place, "refused", &[], None).expect(1, &[words]);
        assert!(!place.path("refused").exists(), "{to}");
    }
}

const EXPERIMENT: &str = "
seeds = [1, 2]
tasks = 'two.toml'
recipe = 'recipe.toml'
data = 'data/shards'
[[arms]]
name = 'slow'
[[arms]]
name = 'fast'
set = { 'optimizer.learning_rate' = 0.02 }
";

const TWO_TASKS: &str = "
[tasks.sts]
evaluator = 'similarity'
files = ['tasks/pairs.tsv']
[tasks.search]
evaluator = 'retrieval'
dir = 'tasks/search'
";

/// The card of an experiment without times.
fn card(out: &Path) -> Value {
    let mut card: Value = serde_json::from_str(&read(&out.join("card.json"))).unwrap();
    for arm in card["arms"].as_array_mut().unwrap() {
        for time in ["training_s", "measuring_s"] {
            arm.as_object_mut().unwrap().remove(time).unwrap();
        }
    }
    card
}

#[test]
fn an_experiment_that_is_killed_goes_on_to_the_same_card() {
    let place = Place::new("experiment");
    prepare(&place);
    place.write("two.toml", TWO_TASKS);
    place.write("trial.toml", EXPERIMENT);
    let experiment = |out: &str, point: Option<u64>| {
        let arguments = ["experiment", "trial.toml", "--out", out, "--json"];
        juzi(&place, &arguments, point)
    };
    let run = experiment("whole", None).expect(0, &[]);
    let out = place.path("whole");
    let whole = card(&out);
    let printed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(printed["metrics"], whole["metrics"]);
    check_card(&out, &whole);
    // Again and again in the same directory, each time a bit further.
    let mut killed = 0;
    for point in [3, 9, 15, 21, 27] {
        let run = experiment("killed", Some(point));
        killed += u32::from(run.signal.is_some());
    }
    assert!(killed > 3, "{killed}");
    experiment("killed", None).expect(0, &[]);
    assert_eq!(card(&place.path("killed")), whole);
    let before = measured(&out);
    let run = experiment("whole", None).expect(0, &[]);
    assert!(
        !run.stderr.contains("step ") && !run.stderr.contains("measuring"),
        "{run:#?}"
    );
    assert!(measured(&out) == before, "a second run changes something");
    place.write("trial.toml", EXPERIMENT.replace("0.02", "0.03"));
    let words = [
        "fast/seed-1: the run is of another recipe",
        "[optimizer] learning_rate: 0.02 there, 0.03 here",
    ];
    experiment("whole", None).expect(1, &words);
    assert!(measured(&out) == before, "a refused run changes something");
    place.write(
        "trial.toml",
        EXPERIMENT.replace("learning_rate", "learning_rat"),
    );
    experiment("new", None).expect(1, &["arm `fast`", "unknown field `learning_rat`"]);
    assert!(!place.path("new").exists());
}

/// All files of an experiment but `before.json`, which is written again from `starts`: a number that
/// is read may have another last digit.
fn measured(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = bytes(out);
    files.retain(|path, _| !path.ends_with("evaluations/before.json"));
    files
}

/// Means and differences are those of the scores in the runs.
fn check_card(out: &Path, card: &Value) {
    let names = ["search.ndcg@10", "sts.spearman"];
    let metrics = card["metrics"].as_array().unwrap();
    assert_eq!(metrics.len(), 2, "{card}");
    for (metric_card, path) in metrics.iter().zip(names) {
        assert_eq!(metric_card["name"], path);
        let (task, name) = path.split_once('.').unwrap();
        let rows = metric_card["rows"].as_array().unwrap();
        let arms: Vec<&str> = rows
            .iter()
            .map(|row| row["name"].as_str().unwrap())
            .collect();
        assert_eq!(arms, ["slow", "fast"]);
        for (row, arm) in rows.iter().zip(arms) {
            let value = |seed: u64, file: &str| {
                let file = out.join(format!("{arm}/seed-{seed}/evaluations/{file}.json"));
                metric(&serde_json::from_str(&read(&file)).unwrap(), task, name)
            };
            let last = [1, 2].map(|seed| value(seed, "final"));
            let gain = [1, 2].map(|seed| value(seed, "final") - value(seed, "before"));
            let near = |own: &Value, pair: [f64; 2]| {
                let mean = (pair[0] + pair[1]) / 2.0;
                assert!(
                    (own["mean"].as_f64().unwrap() - mean).abs() < 1e-9,
                    "{arm} {own}"
                );
                let deviation = (pair[0] - pair[1]).abs() / 2f64.sqrt();
                let told = own["deviation"].as_f64().unwrap();
                assert!((told - deviation).abs() < 1e-9, "{arm} {own}");
            };
            near(&row["spread"], last);
            near(&row["difference"]["spread"], gain);
        }
    }
    assert!(read(&out.join("card.md")).contains("## sts.spearman (more is better)"));
}
