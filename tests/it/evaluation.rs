//! `juzi evaluate` as people run it: models and baselines side by side, the same scores for a run and
//! for its folder, and training text in a task found.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::commands::small;
use crate::fixtures::{lines, prose};
use crate::support::{Place, Run, workspace};

/// A small model from scratch that learns from two copies of a text; `WORDS` is how many tokens it
/// knows.
pub const RECIPE: &str = "
[data]
size = 8
[views]
augmented = 0
copies = 1
[tokenizer]
path = 'model'
length_max = 16
[encoder]
pooling = 'mean'
[encoder.config]
vocab_size = WORDS
hidden_size = 16
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 32
max_position_embeddings = 16
[loss]
name = 'info_nce'
[optimizer]
learning_rate = 0.01
[schedule]
steps = 6
[training]
checkpoint_steps = 100
log_steps = 1
";

/// A task of each evaluator, under its name.
const TASKS: &str = "
[tasks.similarity]
evaluator = 'similarity'
files = ['tasks/pairs.tsv']
[tasks.pair_classification]
evaluator = 'pair_classification'
file = 'tasks/same.tsv'
[tasks.retrieval]
evaluator = 'retrieval'
dir = 'tasks/search'
[tasks.reranking]
evaluator = 'reranking'
file = 'tasks/candidates.jsonl'
[tasks.bitext]
evaluator = 'bitext'
file = 'tasks/halves.tsv'
[tasks.linear_probe]
evaluator = 'linear_probe'
train = 'tasks/topics/train.tsv'
test = 'tasks/topics/test.tsv'
[tasks.knn]
evaluator = 'knn'
train = 'tasks/topics/train.tsv'
test = 'tasks/topics/test.tsv'
[tasks.zero_shot]
evaluator = 'zero_shot'
file = 'tasks/topics/test.tsv'
labels = { '天' = ['天'], '玄' = ['玄'] }
[tasks.clustering]
evaluator = 'clustering'
file = 'tasks/topics/train.tsv'
[tasks.geometry]
evaluator = 'geometry'
pairs = 'tasks/pairs.tsv'
[tasks.association]
evaluator = 'association'
[tasks.fine_tune]
evaluator = 'fine_tune'
train = 'tasks/topics/train.tsv'
dev = 'tasks/topics/test.tsv'
epochs = 2
batch = 8
";

/// All evaluators; a new one belongs here and in [`TASKS`].
pub const EVALUATORS: [&str; 12] = [
    "association",
    "bitext",
    "clustering",
    "fine_tune",
    "geometry",
    "knn",
    "linear_probe",
    "pair_classification",
    "reranking",
    "retrieval",
    "similarity",
    "zero_shot",
];

/// Shards, a tokenizer for their letters, a recipe for it, and tasks.
pub fn prepare(place: &Place) {
    let shards = place.make(&small(place, ""));
    write_recipe(place, &shards.texts(), RECIPE);
    write_tasks(place);
}

/// A recipe and the tokenizer of its model.
pub fn write_recipe(place: &Place, texts: &[String], recipe: &str) {
    let tokenizer = crate::feed::tokenizer(texts);
    let read: Value = serde_json::from_str(&tokenizer).unwrap();
    let words = read["model"]["vocab"].as_object().unwrap().len();
    place.write("model/tokenizer.json", tokenizer);
    place.write("recipe.toml", recipe.replace("WORDS", &words.to_string()));
}

/// A sentence that is in no corpus, the same for the same number.
fn sentence(number: u64) -> String {
    prose(500 + number, 1)
}

/// The first characters of a sentence.
fn start(number: u64, characters: usize) -> String {
    sentence(number).chars().take(characters).collect()
}

/// Small tasks in all layouts, and `tasks.toml`.
pub fn write_tasks(place: &Place) {
    let table = |rows: u64, row: &dyn Fn(u64) -> String| (0..rows).map(row).collect::<String>();
    let pair = |at: u64| {
        let (one, other) = (start(at, 10), start(100 + at % 3, 10));
        format!("{}\t{one}{other}\t{}\n", sentence(at), at % 5)
    };
    place.write("tasks/pairs.tsv", table(12, &pair));
    let same = |at: u64| match at % 2 {
        0 => format!("{}\t{}\t0\n", sentence(at), sentence(200 + at)),
        _ => format!("{}\t{}\t1\n", sentence(at), start(at, 12)),
    };
    place.write("tasks/same.tsv", table(12, &same));
    let half = |at: u64| {
        let end: String = sentence(at).chars().skip(10).collect();
        format!("{}\t{end}\n", sentence(at))
    };
    place.write("tasks/halves.tsv", table(8, &half));
    let topic = |at: u64| {
        let label = ["天", "玄"][at as usize % 2];
        format!("{label}\t{}{}\n", label.repeat(4), start(400 + at, 10))
    };
    place.write("tasks/topics/train.tsv", table(20, &topic));
    place.write("tasks/topics/test.tsv", table(10, &|at| topic(50 + at)));
    let candidates = |at: u64| {
        json!({
            "query": start(300 + at, 12),
            "positive": [sentence(300 + at)],
            "negative": [sentence(301 + at), sentence(302 + at)],
        })
    };
    let candidates: Vec<Value> = (0..6).map(candidates).collect();
    place.write("tasks/candidates.jsonl", lines(&candidates));
    write_search(place, "tasks/search");
    place.write("tasks.toml", TASKS);
}

/// A collection in BEIR's layout: 20 documents, and 6 queries that begin one each.
pub fn write_search(place: &Place, dir: &str) {
    let document =
        |at: u64| json!({"_id": format!("d{at}"), "title": "", "text": sentence(300 + at)});
    let query = |at: u64| json!({"_id": format!("q{at}"), "text": start(300 + at, 12)});
    let documents: Vec<Value> = (0..20).map(document).collect();
    let queries: Vec<Value> = (0..6).map(query).collect();
    let judgements: String = (0..6).map(|at| format!("q{at}\td{at}\t1\n")).collect();
    place.write(&format!("{dir}/corpus.jsonl"), lines(&documents));
    place.write(&format!("{dir}/queries.jsonl"), lines(&queries));
    let head = "query-id\tcorpus-id\tscore\n";
    let name = format!("{dir}/qrels/test.tsv");
    place.write(&name, format!("{head}{judgements}"));
}

/// The folder of a model of 3 layers of 32 with random parameters.
pub const BERT: &str = "trainer/fixtures/models/bert";

/// Where it is.
pub fn bert() -> String {
    workspace().join(BERT).to_string_lossy().into_owned()
}

pub fn evaluate(place: &Place, arguments: &[&str]) -> Run {
    place.juzi(&[&["evaluate"][..], arguments].concat())
}

/// What an evaluation says as JSON, without times.
#[track_caller]
fn report(place: &Place, arguments: &[&str]) -> Value {
    let run = evaluate(place, &[arguments, &["--json"][..]].concat()).expect(0, &[]);
    let mut report: Value = serde_json::from_str(&run.stdout).unwrap();
    for evaluation in report["evaluations"].as_array_mut().unwrap() {
        for task in evaluation["tasks"].as_object_mut().unwrap().values_mut() {
            task.as_object_mut().unwrap().remove("seconds");
        }
    }
    report
}

fn names(tasks: &Value) -> BTreeSet<&str> {
    tasks
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_run_its_checkpoint_and_its_folder_score_the_same() {
    let place = Place::new("evaluate");
    prepare(&place);
    let train = [
        "train",
        "recipe.toml",
        "--data",
        "data/shards",
        "--run",
        "run",
    ];
    place.juzi(&train).expect(0, &[]);
    place
        .juzi(&["export", "run", "-o", "folder"])
        .expect(0, &[]);
    let all = |model: &str, threads: &str| {
        let flags = [model, "tasks.toml", "--baselines", "--threads", threads];
        report(&place, &flags)
    };
    let whole = all("run", "1");
    assert_eq!(whole, all("run", "8"));
    let evaluations = whole["evaluations"].as_array().unwrap();
    let models: Vec<&str> = evaluations
        .iter()
        .map(|own| own["model"].as_str().unwrap())
        .collect();
    assert_eq!(models, ["run", "tfidf", "bm25", "untrained"]);
    assert_eq!(evaluations[0]["step"], 6);
    for (own, model) in evaluations.iter().zip(&models) {
        // Counts of words cannot be trained further; a note says so.
        let trained = ["run", "untrained"].contains(model);
        let wanted = EVALUATORS.into_iter();
        let wanted: BTreeSet<&str> = wanted
            .filter(|name| trained || *name != "fine_tune")
            .collect();
        assert_eq!(names(&own["tasks"]), wanted, "{model}");
        let notes = whole["notes"].as_array().unwrap().iter();
        let mut notes = notes.filter_map(Value::as_str);
        let noted = notes.any(|note| note.starts_with(&format!("{model}: task fine_tune: ")));
        assert_ne!(noted, trained, "{model}");
        for (name, task) in own["tasks"].as_object().unwrap() {
            assert_eq!(task["evaluator"], name.as_str());
            let metrics = task["metrics"].as_array().unwrap();
            assert!(!metrics.is_empty(), "{name}");
            // What is no finite number has no form in JSON.
            assert!(
                metrics.iter().all(|metric| metric["value"].is_number()),
                "{model} {task}"
            );
        }
    }
    assert_ne!(evaluations[0]["tasks"], evaluations[3]["tasks"]);
    for model in ["run/checkpoints/step-000006", "folder"] {
        let own = report(&place, &[model, "tasks.toml"]);
        assert_eq!(
            own["evaluations"][0]["tasks"], evaluations[0]["tasks"],
            "{model}"
        );
    }
    // A run knows what it was trained on.
    let dataset = whole["datasets"][0].as_str().unwrap();
    assert!(dataset.ends_with("data/shards"), "{dataset}");
    assert_eq!(whole["leaks"]["retrieval"]["texts"], 6);
    assert_eq!(whole["leaks"]["retrieval"]["equal"], 0);
    check_table(&place, evaluations);
}

/// The words of the row that begins with one.
#[track_caller]
fn row<'a>(table: &'a str, first: &str) -> Vec<&'a str> {
    let words = |line: &'a str| -> Vec<&'a str> { line.split_whitespace().collect() };
    let mut rows = table.lines().map(words);
    let found = rows.find(|row| row.first().is_some_and(|own| *own == first));
    found.unwrap_or_else(|| panic!("no row {first} in {table}"))
}

/// The table has a row for each task: its primary metric and the scores of all models.
#[track_caller]
fn check_table(place: &Place, evaluations: &[Value]) {
    let run = evaluate(place, &["run", "tasks.toml", "--baselines"]).expect(0, &[]);
    let head = ["task", "metric", "run", "tfidf", "bm25", "untrained"];
    assert_eq!(row(&run.stdout, "task"), head);
    for name in EVALUATORS {
        let metric = &evaluations[0]["tasks"][name]["metrics"][0];
        let mut wanted = vec![
            name.to_string(),
            metric["name"].as_str().unwrap().to_string(),
        ];
        match metric["better"].as_str().unwrap() {
            "higher" => wanted.push("↑".into()),
            "lower" => wanted.push("↓".into()),
            _ => {}
        }
        for evaluation in evaluations {
            let value = evaluation["tasks"][name]["metrics"][0]["value"].as_f64();
            wanted.push(value.map_or("–".into(), |value| format!("{value:.4}")));
        }
        assert_eq!(row(&run.stdout, name), wanted);
    }
}

#[test]
fn training_text_in_a_task_is_counted() {
    let place = Place::new("evaluate-leaks");
    let shards = place.make(&small(&place, ""));
    let (known, longer) = (prose(3, 1), prose(5, 1));
    assert!(shards.texts().contains(&known) && shards.texts().contains(&longer));
    let held: String = longer.chars().take(12).collect();
    let [one, two, three, four, five] = [0, 1, 2, 3, 4].map(sentence);
    let pairs =
        format!("{known}\t{one}\t1\n{two}\t{held}\t0.2\n{three}\t{four}\t0.5\n天地\t{five}\t0.1\n");
    place.write("pairs.tsv", pairs);
    let bert: &str = &bert();
    let found = report(&place, &[bert, "pairs.tsv", "--data", "data/shards"]);
    let leaks = &found["leaks"]["pairs"];
    let counts = ["texts", "equal", "held", "short"].map(|name| leaks[name].as_u64().unwrap());
    assert_eq!(counts, [7, 1, 1, 1], "{leaks}");
    assert_eq!(leaks["examples"][0]["text"], known);
    assert_eq!(leaks["examples"][1]["training"], longer);
    let run = evaluate(&place, &[bert, "pairs.tsv", "--data", "data/shards"]).expect(0, &[]);
    let words = "of 7 texts 1 equal a training text, 1 are held by one (28.6 %); 1 too short";
    assert!(run.stdout.contains(words), "{run:#?}");
    let without = report(&place, &[bert, "pairs.tsv"]);
    assert_eq!(without["leaks"], json!({}));
}

#[test]
fn gold_without_a_difference_has_a_value_and_a_warning() {
    let place = Place::new("evaluate-constant");
    let rows = |gold: &str| -> String {
        let row = |at: u64| format!("{}\t{}\t{gold}\n", sentence(at), start(at, 12));
        (0..6).map(row).collect()
    };
    place.write("scores.tsv", rows("3"));
    place.write("labels.tsv", rows("1"));
    let bert: &str = &bert();
    let found = report(&place, &[bert, "scores.tsv", "labels.tsv"]);
    let run = evaluate(&place, &[bert, "scores.tsv", "labels.tsv"]).expect(0, &[]);
    for (name, words) in [
        (
            "scores",
            "gold of file scores are constant: 0 stands for no correlation there",
        ),
        (
            "labels",
            "all labels are equal, nothing is told apart: all metrics are 0",
        ),
    ] {
        let task = &found["evaluations"][0]["tasks"][name];
        assert_eq!(task["metrics"][0]["value"], 0.0, "{task}");
        assert_eq!(task["warnings"], json!([words]));
        assert!(
            run.stdout.contains(&format!("warning: {words}")),
            "{run:#?}"
        );
    }
}
