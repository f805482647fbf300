//! `juzi whiten`: the folder it writes gives vectors without a mean.

use serde_json::Value;

use crate::evaluation::bert;
use crate::support::Place;

/// Letters that the model knows.
const LETTERS: &str = "我你他们的是在有不人大中国上个学生会好天气今明句子向量训练模型";

/// The vectors in a `.npy` file of numbers of four bytes.
fn vectors(place: &Place, name: &str, dimension: usize) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(place.path(name)).unwrap();
    let head = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let numbers = bytes[10 + head..].chunks_exact(4);
    let numbers: Vec<f32> = numbers
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    numbers
        .chunks_exact(dimension)
        .map(<[f32]>::to_vec)
        .collect()
}

/// Mean and variance of each number of the vectors of the texts.
fn moments(place: &Place, model: &str) -> Vec<(f64, f64)> {
    let arguments = ["embed", model, "texts.txt", "-o", "vectors.npy", "--json"];
    let run = place.juzi(&arguments).expect(0, &[]);
    let figures: Value = serde_json::from_str(&run.stdout).unwrap();
    let dimension = figures["dimension"].as_u64().unwrap() as usize;
    let vectors = vectors(place, "vectors.npy", dimension);
    assert_eq!(vectors.len(), 300);
    let moments = |at: usize| {
        let mean = |number: &dyn Fn(f64) -> f64| {
            let numbers = vectors.iter().map(|vector| number(f64::from(vector[at])));
            numbers.sum::<f64>() / vectors.len() as f64
        };
        let first = mean(&|number| number);
        (first, mean(&|number| (number - first).powi(2)))
    };
    (0..dimension).map(moments).collect()
}

#[test]
fn whitened_vectors_have_no_mean_and_one_variance() {
    let place = Place::new("whiten");
    let letters: Vec<char> = LETTERS.chars().collect();
    let text = |at: usize| {
        let letter = |place: usize| letters[(at * 7 + place * (at / 31 + 3)) % letters.len()];
        let text: String = (0..4 + at % 11).map(letter).collect();
        format!("{text}{at}\n")
    };
    place.write("texts.txt", (0..300).map(text).collect::<String>());
    let bert: &str = &bert();
    let whiten = |output: &str, flags: &[&str]| {
        let arguments = ["whiten", bert, "texts.txt", "-o", output];
        place.juzi(&[&arguments[..], flags].concat())
    };
    let largest = |moments: &[(f64, f64)]| {
        moments
            .iter()
            .map(|(mean, _)| mean.abs())
            .fold(0.0, f64::max)
    };
    assert!(largest(&moments(&place, bert)) > 0.5);
    whiten("white", &[]).expect(0, &[]);
    let white = moments(&place, "white");
    assert!(largest(&white) < 1e-3, "{white:?}");
    assert!(
        white
            .iter()
            .all(|(_, variance)| (variance - 1.0).abs() < 0.02),
        "{white:?}"
    );
    whiten("short", &["--dimensions", "5"]).expect(0, &[]);
    assert_eq!(moments(&place, "short").len(), 5);
    whiten("mean", &["--method", "mean"]).expect(0, &[]);
    let mean = moments(&place, "mean");
    assert!(mean.len() == 32 && largest(&mean) < 1e-3, "{mean:?}");
    whiten("white", &["--method", "mean"]).expect(1, &["white: exists already"]);
    assert_eq!(moments(&place, "white"), white);
    whiten("other", &["--dimensions", "33"]).expect(1, &["--dimensions up to"]);
    assert!(!place.path("other").exists());
}
