//! Linear probes and nearest neighbours against scikit-learn, on `fixtures/evaluators/probes.json`:
//! `OMP_NUM_THREADS=1 python trainer/fixtures/evaluators/probes.py PEERS`

use serde::Deserialize;

use super::{LinearProbe, Weights};
use crate::evaluators::fixtures::Given;
use crate::evaluators::lines::Column;
use crate::evaluators::logistic::{Fit, Logistic};
use crate::evaluators::{Better, Knn, Make, Scores, Sparse, Vectors, features::Features};
use crate::loader::fixtures::Place;

#[derive(Deserialize)]
struct Fixture {
    probes: Vec<Probe>,
}

#[derive(Deserialize)]
struct Probe {
    train: Vec<Vec<f32>>,
    train_labels: Vec<String>,
    test: Vec<Vec<f32>>,
    test_labels: Vec<String>,
    scores: Wanted,
    guesses: Vec<String>,
    weights: Vec<Vec<f64>>,
    intercepts: Vec<f64>,
}

#[derive(Deserialize)]
struct Wanted {
    accuracy: f64,
    macro_f1: f64,
    knn_accuracy: f64,
    knn_macro_f1: f64,
}

/// Files of a test, gone at its end.
struct Files {
    train: String,
    test: String,
    _place: Place,
}

fn probes() -> Vec<Probe> {
    let text = include_str!("../../../fixtures/evaluators/probes.json");
    let fixture: Fixture = serde_json::from_str(text).unwrap();
    fixture.probes
}

fn files(probe: &Probe) -> Files {
    let place = Place::new();
    let at = |half: &str, labels: &[String]| {
        let lines = labels.iter().enumerate();
        let lines = lines.map(|(row, label)| format!("{label}\t{half}{row}\n"));
        place.write(&format!("{half}.tsv"), &lines.collect::<String>())
    };
    Files {
        train: at("train", &probe.train_labels),
        test: at("test", &probe.test_labels),
        _place: place,
    }
}

fn given(probe: &Probe) -> Given {
    Given::new(named("train", &probe.train).chain(named("test", &probe.test)))
}

fn named(half: &str, rows: &[Vec<f32>]) -> impl Iterator<Item = (String, Vec<f32>)> {
    let rows = rows.iter().cloned().enumerate();
    rows.map(move |(row, vector)| (format!("{half}{row}"), vector))
}

fn options(files: &Files) -> LinearProbe {
    LinearProbe {
        train: files.train.clone(),
        test: files.test.clone(),
        ..LinearProbe::default()
    }
}

fn value(scores: &Scores, name: &str) -> f64 {
    scores.get(name).unwrap().value
}

fn features(rows: &[Vec<f32>]) -> Features {
    Features::new(&Vectors::dense(rows[0].len(), rows.concat()).unwrap())
}

fn numbers(labels: &[String]) -> Vec<usize> {
    labels
        .iter()
        .map(|label| label[1..].parse().unwrap())
        .collect()
}

#[test]
fn scores_are_those_of_sklearn() {
    for probe in &probes() {
        let files = files(probe);
        let task = options(&files).open().unwrap();
        let scores = task.evaluate(&mut given(probe)).unwrap();
        assert_eq!(scores.primary().name, "accuracy");
        assert!((value(&scores, "accuracy") - probe.scores.accuracy).abs() < 1e-6);
        assert!((value(&scores, "macro_f1") - probe.scores.macro_f1).abs() < 1e-6);
        assert_eq!(scores.counts["train"], probe.train.len());
        assert_eq!(task.texts().len(), probe.test.len());
        let near = Knn {
            train: files.train.clone(),
            test: files.test.clone(),
            ..Knn::default()
        };
        let scores = near.open().unwrap().evaluate(&mut given(probe)).unwrap();
        assert!((value(&scores, "accuracy") - probe.scores.knn_accuracy).abs() < 1e-6);
        assert!((value(&scores, "macro_f1") - probe.scores.knn_macro_f1).abs() < 1e-6);
    }
}

#[test]
fn guesses_and_weights_are_those_of_sklearn() {
    for probe in probes() {
        let (train, labels) = (features(&probe.train), numbers(&probe.train_labels));
        let mut fit = Fit {
            c: 1.0,
            tolerance: 1e-6,
            steps_max: 1000,
        };
        let found = Logistic::fit(&train, &labels, fit, None);
        assert_eq!(
            found.predict(&features(&probe.test)),
            numbers(&probe.guesses)
        );
        (fit.c, fit.tolerance) = (0.3, 1e-11);
        let found = Logistic::fit(&train, &labels, fit, None);
        assert!(found.gradient_max <= 1e-11, "{}", found.gradient_max);
        let outputs = probe.weights.len();
        for (output, weights) in probe.weights.iter().enumerate() {
            let row = found.numbers.iter().skip(output).step_by(outputs);
            let wanted = weights.iter().chain([&probe.intercepts[output]]);
            assert_eq!(row.len(), wanted.clone().count());
            for (number, wanted) in row.zip(wanted) {
                assert!((number - wanted).abs() < 1e-5, "{number} {wanted}");
            }
        }
    }
}

/// The same numbers as counts of words have the same weights.
#[test]
fn sparse_vectors_give_the_same_regression() {
    let probe = &probes()[2];
    let mut sparse = Sparse {
        dimension: probe.train[0].len(),
        ..Sparse::default()
    };
    for row in &probe.train {
        let row = row
            .iter()
            .enumerate()
            .map(|(at, &value)| (at as u32, value));
        sparse.push(&row.filter(|(_, value)| *value != 0.0).collect::<Vec<_>>());
    }
    let fit = Fit {
        c: 1.0,
        tolerance: 1e-9,
        steps_max: 1000,
    };
    let labels = numbers(&probe.train_labels);
    let one = Logistic::fit(&features(&probe.train), &labels, fit, None);
    let two = Logistic::fit(&Features::new(&Vectors::Sparse(sparse)), &labels, fit, None);
    for (one, two) in one.numbers.iter().zip(&two.numbers) {
        assert!((one - two).abs() < 1e-6, "{one} {two}");
    }
}

#[test]
fn folds_of_one_file_and_a_chosen_weight() {
    let probe = &probes()[1];
    let files = files(probe);
    let mut options = options(&files);
    options.test.clear();
    let folded = options.open().unwrap().evaluate(&mut given(probe)).unwrap();
    assert_eq!(folded.counts["texts"], probe.train.len());
    assert_eq!(folded.get("accuracy_std").unwrap().better, Better::Neither);
    assert!(value(&folded, "accuracy") > 0.5);
    options.c = Weights::Several(vec![1.0, 1e-9]);
    options.check().unwrap();
    let chosen = options.open().unwrap().evaluate(&mut given(probe)).unwrap();
    // A weight near 0 leaves only the intercepts.
    assert_eq!(value(&chosen, "c"), 1.0);
    assert_eq!(value(&chosen, "accuracy"), value(&folded, "accuracy"));
    let again = options.open().unwrap().evaluate(&mut given(probe)).unwrap();
    assert_eq!(chosen, again);
}

/// Another order of the columns is a rotation; the penalty does not see it.
#[test]
fn directions_do_not_matter() {
    let probe = &probes()[2];
    let turned: Vec<Vec<f32>> = probe
        .train
        .iter()
        .map(|row| row.iter().rev().map(|x| -x).collect())
        .collect();
    let fit = Fit {
        c: 1.0,
        tolerance: 1e-9,
        steps_max: 1000,
    };
    let labels = numbers(&probe.train_labels);
    let one = Logistic::fit(&features(&probe.train), &labels, fit, None);
    let two = Logistic::fit(&features(&turned), &labels, fit, None);
    assert_eq!(
        one.predict(&features(&probe.train)),
        two.predict(&features(&turned))
    );
}

#[test]
fn what_is_unknown_or_wrong() {
    let mut probe = probes().remove(1);
    probe.test_labels[3] = "c9".into();
    let files = files(&probe);
    let options = options(&files);
    let scores = options
        .open()
        .unwrap()
        .evaluate(&mut given(&probe))
        .unwrap();
    assert!(
        scores.warnings[0].starts_with("1 texts have the label `c9`"),
        "{:?}",
        scores.warnings
    );
    let wrong = |change: &dyn Fn(&mut LinearProbe)| {
        let mut options = options.clone();
        change(&mut options);
        options.check().unwrap_err()
    };
    assert!(wrong(&|options| options.folds = 1).starts_with("folds = 1"));
    assert!(wrong(&|options| options.c = Weights::Several(vec![])).starts_with("c = []"));
    assert!(wrong(&|options| options.c = Weights::One(0.0)).starts_with("c = [0.0]"));
    let twice = [Column::Number(2), Column::Number(2)];
    assert!(wrong(&|options| options.columns = Some(twice.clone())).starts_with("columns: 2"));
    assert!(wrong(&|options| options.train.clear()).starts_with("train:"));
    let read = "train = 'x'\ncolumns = [2, 'text']\nc = [0.1, 1, 10]";
    let read: LinearProbe = toml::from_str(read).unwrap();
    assert_eq!(read.weights(), [0.1, 1.0, 10.0]);
    let columns = [Column::Number(2), Column::Name("text".into())];
    assert_eq!(read.columns, Some(columns));
    let read: LinearProbe = toml::from_str("c = 3").unwrap();
    assert_eq!(read.weights(), [3.0]);
}
