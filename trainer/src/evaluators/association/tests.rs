//! Tests of association.

use super::{Association, Lists};
use crate::evaluators::fixtures::Given;
use crate::evaluators::{Make, Vectors};
use crate::loader::fixtures::Place;

const LISTS: &str = r#"
templates = ["{}", "有{}"]
[[tests]]
name = "work"
targets = [["木", "电"], ["护", "保"]]
attributes = [["男", "父"], ["女", "母"]]
[sentences]
words = ["木", "护"]
templates = [["是{}", "男是{}", "女是{}"]]
"#;

/// Words stand at an angle to men's (0) and women's (a quarter turn).
fn given(turn: f64, targets: [f64; 4]) -> Given {
    let words = ["木", "电", "护", "保"].into_iter().zip(targets);
    let words = words.chain([("男", 0.0), ("父", 0.0), ("女", 1.0), ("母", 1.0)]);
    let mut all = Vec::new();
    for (word, share) in words {
        let angle = share * std::f64::consts::FRAC_PI_2 + turn;
        let vector = vec![3.0 * angle.cos() as f32, 3.0 * angle.sin() as f32];
        all.push((word.to_string(), vector.clone()));
        all.push((format!("有{word}"), vector.clone()));
        all.push((format!("是{word}"), vector));
    }
    for (word, share) in [("男", 0.0), ("女", 1.0)] {
        let angle: f64 = share * std::f64::consts::FRAC_PI_2 + turn;
        for target in ["木", "护"] {
            let vector = vec![angle.cos() as f32, angle.sin() as f32];
            all.push((format!("{word}是{target}"), vector));
        }
    }
    Given::new(all)
}

#[test]
fn words_between_two_attributes() {
    let place = Place::new();
    let options = Association {
        file: place.write("lists.toml", LISTS),
        ..Association::default()
    };
    let task = options.open().unwrap();
    for turn in [0.0, 1.0] {
        let scores = task
            .evaluate(&mut given(turn, [0.0, 0.0, 1.0, 1.0]))
            .unwrap();
        let value = |name: &str| scores.get(name).unwrap().value;
        // Differences 1, 1, -1, -1: a mean of 2 by a deviation of the root of 4 / 3.
        let wanted = 2.0 / (4f64 / 3.0).sqrt();
        assert_eq!(scores.primary().name, "effect_size_work");
        assert!(
            (value("effect_size_work") - wanted).abs() < 1e-6,
            "{scores:?}"
        );
        assert!((value("p_work") - 1.0 / 6.0).abs() < 1e-12);
        assert!((value("mean_absolute_difference") - 1.0).abs() < 1e-6);
        assert!(value("mean_difference").abs() < 1e-6);
        assert_eq!(
            scores.warnings,
            [
                "nearest to the first sentences: 木 +1.000, 护 -1.000; to the second: 护 -1.000, 木 +1.000"
            ]
        );
        let back = task
            .evaluate(&mut given(turn, [1.0, 1.0, 0.0, 0.0]))
            .unwrap();
        assert!((back.primary().value + wanted).abs() < 1e-6);
        let none = task.evaluate(&mut given(0.0, [0.5; 4])).unwrap();
        assert_eq!(none.primary().value, 0.0);
        assert!(none.warnings[0].contains("no effect"));
    }
}

/// Counts of the texts' bytes stand in for a model.
struct Bytes;

impl crate::evaluators::Embedder for Bytes {
    fn embed(&mut self, texts: &[&str], _: crate::evaluators::Role) -> crate::Result<Vectors> {
        let mut values = vec![0.0; texts.len() * 256];
        for (text, row) in texts.iter().zip(values.chunks_exact_mut(256)) {
            text.bytes().for_each(|byte| row[usize::from(byte)] += 1.0);
        }
        Vectors::dense(256, values)
    }
}

#[test]
fn the_lists_that_come_with_it() {
    let options = Association::default();
    let scores = options.open().unwrap().evaluate(&mut Bytes).unwrap();
    assert_eq!(scores.primary().name, "effect_size_occupations");
    assert!(scores.metrics.iter().all(|metric| metric.value.is_finite()));
    assert_eq!(scores.counts["tests"], 4);
    let lists: Lists = toml::from_str(super::BUILT_IN).unwrap();
    for test in &lists.tests {
        assert_eq!(
            test.targets[0].len(),
            test.targets[1].len(),
            "{}",
            test.name
        );
        let mut all: Vec<&String> = test
            .targets
            .iter()
            .chain(&test.attributes)
            .flatten()
            .collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{}: a word twice", test.name);
    }
}

#[test]
fn what_is_wrong_with_lists() {
    let error = |from: &str, to: &str| {
        let lists: Lists = toml::from_str(&LISTS.replace(from, to)).unwrap();
        lists.check().unwrap_err()
    };
    assert!(error("\"有{}\"", "\"有\"").contains("`有` must have one"));
    assert!(error("\"work\"", "\"a.b\"").contains("`a.b` is no name"));
    assert!(error("[\"护\", \"保\"]]", "[]]").contains("`work` has an empty list"));
    assert!(error("words = [\"木\", \"护\"]", "words = []").contains("at least one"));
}
