//! Tests of whole evaluations: models and baselines on small tasks, and what is refused.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use juzi_schemas::record::Kind as RecordKind;

use super::contenders::{Contender, Kind, open};
use super::{Report, Request, Style, recognition, run};
use crate::loader::fixtures::{Place, Row, shards};
use crate::model::Model;
use crate::{Error, Result};

const PAIRS: &str = "医疗保险由公司支付吗\t公司支付医疗保险吗\t5\n今天天气很好\t明天也会下雨\t1\n\
                     如何取得租金保险\t谁需要人寿保险\t2\n今天天气很好\t今天的天气很好\t4.5\n";

fn bert() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/bert")
}

fn file(place: &Place, name: &str, text: &str) -> PathBuf {
    place.write(name, text).into()
}

fn request(models: &[&str], tasks: &[PathBuf]) -> Request {
    Request {
        models: models.iter().map(|name| name.to_string()).collect(),
        tasks: tasks.into(),
        ..Request::default()
    }
}

fn asked(request: &Request) -> Result<Report> {
    run(request, &mut |_| ())
}

fn refused(request: &Request) -> String {
    let error = asked(request).unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    error.to_string()
}

#[test]
fn models_and_baselines_stand_side_by_side() {
    let place = Place::new();
    let tasks = [file(&place, "sts.tsv", PAIRS)];
    let words = file(&place, "words.txt", "保险 1 0\n天气 0 1\n公司 1 1\n");
    let bert = bert().to_string_lossy().into_owned();
    let request = Request {
        baselines: true,
        words: Some(words),
        ..request(&[&bert], &tasks)
    };
    let threads = |number| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(number);
        let mut report = pool.build().unwrap().install(|| asked(&request)).unwrap();
        let tasks = report
            .evaluations
            .iter_mut()
            .flat_map(|each| each.tasks.values_mut());
        tasks.for_each(|task| task.seconds = 0.0);
        report
    };
    let report = threads(1);
    assert_eq!(report, threads(3));
    let names = report.evaluations.iter().map(|each| each.model.as_str());
    let names: Vec<&str> = names.collect();
    assert_eq!(names[0], bert);
    assert!(names[1].starts_with("words="));
    assert_eq!(names[2..], ["tfidf", "bm25", "untrained"]);
    let known = |place: usize, name: &str| report.evaluations[place].about[name].as_str();
    assert_eq!(known(0, "encoder"), "bert, 3 layers of 32");
    assert_eq!(known(0, "pooling"), "mean");
    assert_eq!(known(0, "longest_text"), "24 tokens");
    assert_eq!(known(0, "prompts"), "none");
    assert_eq!(known(3, "k1"), "1.2");
    assert_ne!(known(0, "weights"), known(4, "weights"));
    let text = serde_json::to_string(&report).unwrap();
    let read: Report = serde_json::from_str(&text).unwrap();
    // The last digit of a number may be another when it is read, the rest may not.
    for (read, own) in read.evaluations.iter().zip(&report.evaluations) {
        assert_eq!((&read.model, &read.about), (&own.model, &own.about));
        let metrics = own.tasks["sts"].scores.metrics.iter();
        for (read, own) in read.tasks["sts"].scores.metrics.iter().zip(metrics) {
            assert_eq!((&read.name, read.better), (&own.name, own.better));
            assert!((read.value - own.value).abs() < 1e-12);
        }
    }
    let table = report.table(Style::default());
    let first: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    let wanted = [
        "task",
        "metric",
        "bert",
        "words",
        "tfidf",
        "bm25",
        "untrained",
    ];
    assert_eq!(first, wanted);
    assert!(table.contains("spearman ↑"), "{table}");
    assert!(
        table.contains("sts: similarity; files 1, pairs 4; data "),
        "{table}"
    );
    assert!(!table.contains("leaks"), "{table}");
    let bold = report.table(Style {
        bold: true,
        ..Style::default()
    });
    assert!(bold.contains("\x1b[1m") && !table.contains('\x1b'));
}

#[test]
fn leaks_stand_beside_the_scores() {
    let place = Place::new();
    let tasks = [file(&place, "sts.tsv", PAIRS)];
    let rows = vec![Row::new(1, RecordKind::Text, &["今天天气很好！"])];
    let dataset = shards(&place.path("data"), RecordKind::Text, true, &[vec![rows]]);
    let report = asked(&Request {
        data: vec![dataset],
        ..request(&["tfidf"], &tasks)
    });
    let report = report.unwrap();
    let leaks = &report.leaks["sts"];
    assert_eq!((leaks.texts, leaks.equal, leaks.held), (7, 1, 0));
    let table = report.table(Style::default());
    let wanted = "leaks: of 7 texts 1 equal a training text, 0 are held by one (14.3 %)\n    \
                  “今天天气很好” in “今天天气很好！”";
    assert!(table.contains(wanted), "{table}");
}

#[test]
fn a_run_knows_its_training_text() {
    let place = Place::new();
    let recipe = "[data]\ndataset = \"gone\"\n";
    file(&place, "run/recipe.toml", recipe);
    file(&place, "run/checkpoints/step-000002/state.json", "{}");
    for name in ["run", "run/checkpoints/step-000002"] {
        let found = super::contenders::dataset(&place.path(name)).unwrap();
        let whole = place.path("run").canonicalize().unwrap().join("gone");
        assert_eq!(found, Some(whole));
    }
    assert_eq!(super::contenders::dataset(&bert()).unwrap(), None);
}

#[test]
fn what_is_no_model_is_refused() {
    let place = Place::new();
    let tasks = [file(&place, "sts.tsv", PAIRS)];
    let other = r#"{ "model_type": "gpt2", "vocab_size": 8, "n_layer": 2 }"#;
    file(&place, "gpt/config.json", other);
    let path = |name: &str| place.path(name).to_string_lossy().into_owned();
    for (models, wanted) in [
        (vec!["bm52".to_string()], "bm52: no such run"),
        (vec!["bm52".into()], "tfidf, bm25, words=FILE, untrained"),
        (vec![path("gpt")], "gpt2"),
        (vec![path("")], "expected a run"),
        (vec!["untrained".into()], "that of the first MODEL"),
        (vec!["words=nowhere.txt".into()], "nowhere.txt"),
    ] {
        let models: Vec<&str> = models.iter().map(String::as_str).collect();
        let error = refused(&request(&models, &tasks));
        assert!(error.contains(wanted), "{error}");
    }
    let step = Request {
        step: Some(crate::export::Step::Best),
        ..request(&["bm25"], &tasks)
    };
    assert!(refused(&step).contains("no run is named"));
    let twice = [tasks[0].clone(), file(&place, "other/sts.tsv", PAIRS)];
    let error = refused(&request(&["bm25"], &twice));
    assert!(error.contains("two tasks have the name sts"), "{error}");
}

#[test]
fn vectors_that_are_none_are_refused() {
    let place = Place::new();
    let sets = recognition::read(&[file(&place, "sts.tsv", PAIRS)]).unwrap();
    let model = Model::open(&bert()).unwrap();
    let name = "encoder.layer.1.output.dense.bias";
    let bias = model.encoder.parameters.get(name).unwrap();
    let none = Tensor::from_vec(vec![f32::NAN; 32], 32, &Device::Cpu).unwrap();
    bias.set(&none).unwrap();
    let mut contenders = open(&request(&["bm25"], &[]), &mut |_| ()).unwrap();
    let contender: &mut Contender = &mut contenders[0];
    contender.kind = Kind::Model(Box::new(model));
    let error = super::measure(contender, &sets, &mut Vec::new(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, Error::Task { .. }));
    let error = error.to_string();
    assert!(
        error.contains("task sts") && error.contains("not of finite numbers"),
        "{error}"
    );
}
