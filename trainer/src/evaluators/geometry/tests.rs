//! Geometry against the reference metrics and numpy, on `fixtures/evaluators/probes.json`:
//! `OMP_NUM_THREADS=1 python trainer/fixtures/evaluators/probes.py PEERS`

use serde::Deserialize;

use super::{Features, Geometry, closeness_sum, mean_cosine, spectra};
use crate::evaluators::fixtures::Given;
use crate::evaluators::{Column, Dense, Make, Sparse, Vectors};
use crate::loader::fixtures::Place;

#[derive(Deserialize)]
struct Fixture {
    pairs: Pairs,
}

#[derive(Deserialize)]
struct Pairs {
    a: Vec<Vec<f32>>,
    b: Vec<Vec<f32>>,
    gold: Vec<u32>,
    alignment: f64,
    uniformity: f64,
    mean_cosine: f64,
    plain: [f64; 3],
    centered: [f64; 3],
}

#[test]
fn values_are_those_of_the_reference() {
    let text = include_str!("../../../fixtures/evaluators/probes.json");
    let pairs = serde_json::from_str::<Fixture>(text).unwrap().pairs;
    let lines = pairs.gold.iter().enumerate();
    let lines = lines.map(|(row, gold)| format!("a{row}\tb{row}\t{gold}\n"));
    let place = Place::new();
    let options = Geometry {
        pairs: place.write("pairs.tsv", &lines.collect::<String>()),
        above: Some(3.0),
        ..Geometry::default()
    };
    let task = options.open().unwrap();
    let of = |side: &'static str, rows: Vec<Vec<f32>>| {
        let rows = rows.into_iter().enumerate();
        rows.map(move |(row, vector)| (format!("{side}{row}"), vector))
    };
    let mut given = Given::new(of("a", pairs.a).chain(of("b", pairs.b)));
    let scores = task.evaluate(&mut given).unwrap();
    let check = |name: &str, wanted: f64| {
        let found = scores.get(name).unwrap().value;
        assert!((found - wanted).abs() < 1e-6, "{name}: {found} {wanted}");
    };
    check("alignment", pairs.alignment);
    check("uniformity", pairs.uniformity);
    check("mean_cosine", pairs.mean_cosine);
    for (start, wanted) in [("", pairs.plain), ("centered_", pairs.centered)] {
        for (name, wanted) in ["first_share", "tenth_share", "effective_rank"]
            .iter()
            .zip(wanted)
        {
            check(&format!("{start}{name}"), wanted);
        }
    }
    assert_eq!(scores.counts["texts"], 120);
}

/// Of many directions the products of the rows are looked at instead; both say the same.
#[test]
fn many_directions() {
    let (rows, few, many) = (150, 6, 2000);
    let number =
        |row: usize, column: usize| ((row * row * 3 + column * 7 + row * column) % 19) as f32 - 5.0;
    let mut sparse = Sparse {
        dimension: many,
        ..Sparse::default()
    };
    let mut values = Vec::new();
    for row in 0..rows {
        values.extend((0..few).map(|column| number(row, column)));
        let numbers = (0..few).map(|column| (300 * column as u32, number(row, column)));
        sparse.push(
            &numbers
                .filter(|(_, value)| *value != 0.0)
                .collect::<Vec<_>>(),
        );
    }
    let dense = Vectors::Dense(Dense {
        dimension: few,
        values,
    });
    let dense = Features::new(&dense.unit());
    let sparse = Features::new(&Vectors::Sparse(sparse).unit());
    let close = |one: f64, other: f64| assert!((one - other).abs() < 1e-6, "{one} {other}");
    close(closeness_sum(&dense), closeness_sum(&sparse));
    close(mean_cosine(&dense), mean_cosine(&sparse));
    let ((plain, centered), (other, other_centered)) = (spectra(&dense), spectra(&sparse));
    for (one, other) in [(plain, other), (centered, other_centered)] {
        close(one.first, other.first);
        // Rounding leaves roots of 1e-16 in the directions that are not used.
        assert!(
            (one.effective_rank - other.effective_rank).abs() < 1e-3,
            "{one:?} {other:?}"
        );
    }
}

#[test]
fn what_is_wrong() {
    assert!(
        Geometry::default()
            .check()
            .unwrap_err()
            .starts_with("pairs, texts: no file")
    );
    let place = Place::new();
    let error = |content: &str, above| {
        let options = Geometry {
            pairs: place.write("wrong.tsv", content),
            above,
            ..Geometry::default()
        };
        let error = options.open().err();
        error.map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(error("甲\t乙\n", Some(1.0)).contains("line 1: 2 columns where at least 3 are wanted"));
    assert!(error("甲\t乙\t1\n甲\t乙\t高\n", Some(1.0)).contains("line 2: the score is `高`"));
    assert!(error("甲\t乙\n甲\t\n", None).contains("line 2: the second text is empty"));
    assert_eq!(error("甲\t乙\t高\n", None), "");
    let zero = "texts = 'x'\ncolumn = 0";
    let zero: Geometry = toml::from_str(zero).unwrap();
    assert!(zero.check().unwrap_err().starts_with("column = 0"));
}

#[test]
fn columns_are_chosen() {
    let place = Place::new();
    let mut options = Geometry {
        pairs: place.write("a.tsv", "gold\tone\ttwo\n1\t甲\t乙\n3\t丙\t丁\n"),
        columns: Some(["one", "two", "gold"].map(|name| Column::Name(name.into()))),
        above: Some(2.0),
        ..Geometry::default()
    };
    let task = options.open().unwrap();
    assert_eq!(task.texts(), ["丙", "丁", "甲", "乙", "丙", "丁"]);
    options.texts = place.write("b.tsv", "0\t戊\n1\t己\tx\n");
    options.column = Column::Number(2);
    assert_eq!(options.open().unwrap().texts(), ["丙", "丁", "戊", "己"]);
    options.column = Column::Number(3);
    let error = options.open().err().unwrap().to_string();
    assert!(
        error.contains("b.tsv: line 1: 2 columns where at least 3"),
        "{error}"
    );
}
