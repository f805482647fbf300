//! Tests of fine-tuning: toy data is learned in both modes, splits stay apart, nothing else moves.

use std::path::Path;

use juzi_schemas::random::Draws;
use proptest::prelude::*;

use super::rows::{Rows, read};
use super::{FineTune, Kind, Mode};
use crate::evaluators::fixtures::Given;
use crate::evaluators::{Column, Embedder, Make, ModelEmbedder, Prompts, Role, Scores};
use crate::loader::fixtures::Place;
use crate::model::Model;

/// Characters of the two classes.
const CLASSES: [&str; 2] = ["我你他们的是在", "大中国上个学生"];

fn model() -> Model {
    Model::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/bert")).unwrap()
}

/// A text of one class; different numbers give different texts nearly always.
fn text(class: usize, number: usize) -> String {
    let letters: Vec<char> = CLASSES[class].chars().collect();
    let mut draws = Draws::new(1, 2, 3, number as u128, class as u64);
    (0..12)
        .map(|_| letters[draws.below(letters.len())])
        .collect()
}

fn labelled(numbers: std::ops::Range<usize>) -> String {
    let rows = numbers.map(|number| {
        let class = number % 2;
        format!("{}\t{}\n", ["b", "a"][class], text(class, number))
    });
    rows.collect()
}

/// Pairs of one class are alike, others are not.
fn pairs(numbers: std::ops::Range<usize>) -> String {
    let rows = numbers.map(|number| {
        let (one, other) = (number % 2, number / 2 % 2);
        let score = u8::from(one == other);
        format!(
            "{}\t{}\t{score}\n",
            text(one, number),
            text(other, number + 10_000)
        )
    });
    rows.collect()
}

fn evaluate(options: &FineTune, model: &Model) -> Scores {
    options.check().unwrap();
    let mut embedder = ModelEmbedder::new(model, &Prompts::default());
    options.open().unwrap().evaluate(&mut embedder).unwrap()
}

fn value(scores: &Scores, name: &str) -> f64 {
    scores.get(name).unwrap().value
}

fn vectors(model: &Model) -> crate::evaluators::Vectors {
    let mut embedder = ModelEmbedder::new(model, &Prompts::default());
    embedder
        .embed(&["今天天气好", "我你他"], Role::Text)
        .unwrap()
}

/// The four ways, with rates at which so small a model learns.
fn ways(place: &Place) -> Vec<FineTune> {
    let mut ways = Vec::new();
    for task in [Kind::Classification, Kind::Similarity] {
        let (rows, test) = match task {
            Kind::Classification => (labelled(0..200), labelled(500..537)),
            Kind::Similarity => (pairs(0..200), pairs(500..537)),
        };
        for (mode, rate) in [(Mode::Frozen, 1e-2), (Mode::Full, 1e-3)] {
            ways.push(FineTune {
                task,
                mode,
                train: place.write(&format!("{task:?}-train.tsv"), &rows),
                test: place.write(&format!("{task:?}-test.tsv"), &test),
                learning_rate: Some(rate),
                epochs: 15,
                ..FineTune::default()
            });
        }
    }
    ways
}

#[test]
fn toy_data_is_learned_and_the_model_stays() {
    let (place, model) = (Place::new(), model());
    let before = vectors(&model);
    for options in ways(&place) {
        let scores = evaluate(&options, &model);
        let what = format!("{:?} {:?}: {scores:?}", options.task, options.mode);
        let (name, least) = match options.task {
            Kind::Classification => ("accuracy", 0.95),
            // Gold has two values, so 37 pairs in the best order give 0.866.
            Kind::Similarity => ("spearman", 0.8),
        };
        assert_eq!(scores.primary().name, name, "{what}");
        assert!(scores.primary().value > least, "{what}");
        assert!(value(&scores, &format!("dev_{name}")) > least, "{what}");
        let counted = ["train", "dev", "test"].map(|name| scores.counts[name]);
        assert_eq!(counted, [180, 20, 37], "{what}");
        assert_eq!(scores.counts["steps"], 15 * 6, "{what}");
        assert_eq!(value(&scores, "step") as usize % 6, 0, "{what}");
        assert_eq!(vectors(&model), before, "{what}");
        let gradients = model.encoder.parameters.iter();
        assert!(gradients.into_iter().all(|own| !own.has_gradient()));
    }
}

#[test]
fn threads_change_nothing_and_seeds_do() {
    let (place, model) = (Place::new(), model());
    for options in ways(&place) {
        let short = FineTune {
            epochs: 1,
            eval_steps: 2,
            ..options
        };
        let with = |threads: usize, options: &FineTune| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| evaluate(options, &model))
        };
        let one = with(1, &short);
        assert_eq!(one, with(3, &short));
        let other = FineTune {
            seed: 7,
            ..short.clone()
        };
        assert_eq!(one.metrics.len(), with(2, &other).metrics.len());
        assert_ne!(
            super::Splits::open(&short).unwrap().dev,
            super::Splits::open(&other).unwrap().dev
        );
    }
}

/// The last row is wrongly labelled, and stands in a batch that is not full.
#[test]
fn every_row_is_scored() {
    let (place, model) = (Place::new(), model());
    let mut held = labelled(600..634);
    held.push_str(&format!("a\t{}\n", text(0, 634)));
    let options = FineTune {
        dev: place.write("dev.tsv", &held),
        test: place.write("test.tsv", &held.replace("\n", "\r\n")),
        ..ways(&place)[0].clone()
    };
    let scores = evaluate(&options, &model);
    assert_eq!(value(&scores, "accuracy"), 34.0 / 35.0, "{scores:?}");
    assert_eq!(value(&scores, "dev_accuracy"), 34.0 / 35.0);
    let few = FineTune {
        test: place.write("few.tsv", &format!("b\t{}\n", text(0, 700))),
        ..options
    };
    assert_eq!(value(&evaluate(&few, &model), "accuracy"), 1.0);
}

/// What is reported chooses nothing.
#[test]
fn the_test_file_decides_nothing() {
    let (place, model) = (Place::new(), model());
    let options = FineTune {
        eval_steps: 1,
        learning_rate: Some(2e-3),
        epochs: 1,
        ..ways(&place)[0].clone()
    };
    let wrong = labelled(500..537).replace('a', "c").replace('b', "a");
    let turned = FineTune {
        test: place.write("turned.tsv", &wrong.replace('c', "b")),
        ..options.clone()
    };
    let (one, other) = (evaluate(&options, &model), evaluate(&turned, &model));
    for name in ["dev_accuracy", "dev_macro_f1", "step"] {
        assert_eq!(value(&one, name), value(&other, name), "{name}");
    }
    let sum = value(&one, "accuracy") + value(&other, "accuracy");
    assert!((sum - 1.0).abs() < 1e-12, "{sum}");
}

#[test]
fn files_that_are_not_named_are_parts_of_train() {
    let place = Place::new();
    let path = place.write("train.tsv", &labelled(0..101));
    let options = FineTune {
        train: path.clone(),
        ..FineTune::default()
    };
    let splits = super::Splits::open(&options).unwrap();
    let all = [&splits.train, &splits.dev, &splits.test];
    assert_eq!(all.map(Rows::len), [82, 10, 9]);
    assert!(
        splits
            .dev
            .texts()
            .all(|text| !splits.test.one.contains(&text.to_string()))
    );
    let few = FineTune {
        rows_max: 20,
        ..options.clone()
    };
    let few = super::Splits::open(&few).unwrap();
    assert_eq!((few.train.len(), &few.dev), (20, &splits.dev));
    let evaluator = options.open().unwrap();
    assert_eq!(evaluator.texts().len(), 19);
    let moved = FineTune {
        train: place.write("other/train.tsv", &labelled(0..101)),
        ..options.clone()
    };
    assert_eq!(evaluator.fingerprint(), moved.open().unwrap().fingerprint());
    let seeded = FineTune { seed: 1, ..options };
    assert_ne!(
        evaluator.fingerprint(),
        seeded.open().unwrap().fingerprint()
    );
}

#[test]
fn leaks_and_constant_gold_are_said() {
    let (place, model) = (Place::new(), model());
    let options = FineTune {
        test: place.write("same.tsv", "我\t你\t1\n大\t中\t1\n"),
        dev: place.write("dev.tsv", "我\t你\t1\n大\t我\t0\n"),
        train: place.write("train.tsv", "我\t你\t1\n大\t国\t0\n"),
        epochs: 1,
        ..ways(&place)[2].clone()
    };
    let scores = evaluate(&options, &model);
    assert_eq!(scores.primary().value, 0.0);
    let all = scores.warnings.join("\n");
    for word in [
        "1 of 2 rows of dev have the text",
        "1 of 2 rows of test have the text",
        "all rows of test have the same gold",
        "of test are constant",
    ] {
        assert!(all.contains(word), "{word}: {all}");
    }
}

#[test]
fn files_that_are_wrong_are_named() {
    let place = Place::new();
    let known = ["a".to_string(), "b".to_string()];
    for (kind, content, message) in [
        (Kind::Classification, "", "no row; wanted: label, text"),
        (
            Kind::Classification,
            "a\t我\nb\n",
            "line 2: 1 columns where 2 are wanted, with tabs between, for label, text",
        ),
        (
            Kind::Classification,
            "a\t我\nb\t我\t你\n",
            "line 2: 3 columns",
        ),
        (
            Kind::Classification,
            "a\t我\n\t我\n",
            "line 2: the label is empty",
        ),
        (
            Kind::Classification,
            "a\t我\nc\t我\n",
            "line 2: no row of train has the label `c`; it has a, b",
        ),
        (
            Kind::Similarity,
            "我\t你\n",
            "line 1: 2 columns where 3 are wanted, with tabs between, for text, text, score",
        ),
        (
            Kind::Similarity,
            "我\t你\t1\n我\t你\t2\n",
            "line 2: the score is `2`; 0 to 1 is wanted",
        ),
        (
            Kind::Similarity,
            "我\t你\tNaN\n",
            "line 1: the score is `NaN`",
        ),
    ] {
        let path = place.write("bad.tsv", content);
        let options = FineTune {
            task: kind,
            ..FineTune::default()
        };
        let error = read(Path::new(&path), &options, Some(&known))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(message) && error.contains("bad.tsv"),
            "{error}"
        );
    }
    let path = place.write("one.tsv", "a\t我\na\t你\n");
    let error = read(Path::new(&path), &FineTune::default(), None).unwrap_err();
    assert!(
        error.to_string().contains("`a` is the only label"),
        "{error}"
    );
    let path = place.write("few.tsv", "a\t我\nb\t你\n");
    let options = FineTune {
        train: path,
        ..FineTune::default()
    };
    let error = options.open().err().unwrap().to_string();
    assert!(
        error.contains("2 rows left; with dev_share = 0.1"),
        "{error}"
    );
    assert!(FineTune::default().check().unwrap_err().contains("train"));
    for options in [
        FineTune {
            dev_share: 0.5,
            ..options.clone()
        },
        FineTune {
            dev_share: f64::NAN,
            ..options.clone()
        },
        FineTune {
            learning_rate: Some(0.0),
            ..options.clone()
        },
        FineTune {
            batch: 0,
            ..options.clone()
        },
        FineTune {
            warmup_ratio: 1.5,
            ..options.clone()
        },
    ] {
        assert!(options.check().unwrap_err().contains("is accepted"));
    }
}

#[test]
fn columns_are_those_of_the_task() {
    let place = Place::new();
    let rows = "id\tb\ta\tgold\n1\t你\t我\t1\n2\t国\t中\t0\n";
    let path = place.write("rows.tsv", rows);
    let name = |name: &str| Column::Name(name.into());
    let mut options = FineTune {
        train: path.clone(),
        columns: Some(vec![name("gold"), name("a")]),
        ..FineTune::default()
    };
    options.check().unwrap();
    let (rows, classes) = read(Path::new(&path), &options, None).unwrap();
    assert_eq!(
        (rows.one, rows.gold),
        (vec!["我".into(), "中".into()], vec![1.0, 0.0])
    );
    assert_eq!(classes, ["0", "1"]);
    options.task = Kind::Similarity;
    let error = options.check().unwrap_err();
    assert_eq!(
        error,
        "columns: 2 are named; 3 are wanted: text, text, score"
    );
    assert!(read(Path::new(&path), &options, None).is_err());
    options.columns = Some(vec![name("a"), name("b"), name("gold")]);
    options.check().unwrap();
    let (rows, _) = read(Path::new(&path), &options, None).unwrap();
    assert_eq!(rows.other, ["你", "国"]);
    options.columns = Some(vec![Column::Number(0), name("b"), name("gold")]);
    assert!(options.check().unwrap_err().starts_with("columns: 0"));
}

#[test]
fn vectors_without_a_model_are_refused() {
    let place = Place::new();
    let options = ways(&place)[0].clone();
    let error = options.open().unwrap().evaluate(&mut Given::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("there is none behind"), "{error}");
}

proptest! {
    #[test]
    fn a_part_has_the_shares_of_the_whole(
        classes in prop::collection::vec(0u8..4, 20..200),
        share in 0.05f64..0.5,
        seed in 0u64..9,
    ) {
        let whole = Rows {
            one: (0..classes.len()).map(|row| row.to_string()).collect(),
            other: Vec::new(),
            gold: classes.iter().map(|&class| f64::from(class)).collect(),
        };
        let mut rest = whole.clone();
        let part = rest.take(share, seed, 0, Path::new("train.tsv")).unwrap();
        prop_assert_eq!(part.len() + rest.len(), whole.len());
        prop_assert_eq!(rest.shared(&part), 0);
        for class in 0..4 {
            let count = |rows: &Rows| {
                rows.gold.iter().filter(|&&gold| gold == f64::from(class)).count() as f64
            };
            prop_assert!((count(&part) - share * count(&whole)).abs() < 1.0 + 1e-9);
        }
        let order = |rows: &Rows| rows.one.iter().map(|text| text.parse().unwrap()).collect();
        for rows in [&part, &rest] {
            let order: Vec<usize> = order(rows);
            prop_assert!(order.windows(2).all(|two| two[0] < two[1]));
        }
    }
}
