//! Tests of the similarity matrix: against torch, against sums written out, laws of masks.

use candle_core::{Device, Tensor, Var};
use juzi_schemas::random::Draws;
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use super::{Contrast, Masks, Matrix, Positives, Similarity};
use crate::losses::tests::{close, oracle};
use crate::losses::{Learned, Scale};

/// A loss and its gradients to the vectors and, where it is learned, to the logarithm of the scale.
struct Result {
    contrast: Contrast,
    loss: f64,
    rows: Vec<f32>,
    columns: Vec<f32>,
    scale: Option<f32>,
}

/// The loss of raw vectors, normalised first.
fn run(
    (rows, columns): (&Tensor, &Tensor),
    masks: &Masks,
    positives: Positives,
    scale: Scale,
    block: usize,
) -> Result {
    let rows = Var::from_tensor(rows).unwrap();
    let columns = Var::from_tensor(columns).unwrap();
    let scale = scale.build(&Device::Cpu).unwrap();
    let matrix = Matrix {
        rows: &Similarity::Cosine.prepare(rows.as_tensor()).unwrap(),
        columns: &Similarity::Cosine.prepare(columns.as_tensor()).unwrap(),
        scale: &scale,
        positives,
    };
    let contrast = matrix.contrast_in_blocks(masks, block).unwrap();
    let gradients = contrast.loss.backward().unwrap();
    let gradient = |tensor: &Tensor| {
        let gradient = gradients.get(tensor).unwrap().flatten_all().unwrap();
        gradient.to_vec1::<f32>().unwrap()
    };
    Result {
        loss: f64::from(contrast.loss.to_scalar::<f32>().unwrap()),
        rows: gradient(rows.as_tensor()),
        columns: gradient(columns.as_tensor()),
        scale: scale
            .log_scale()
            .map(|log_scale| gradients.get(log_scale).unwrap().to_scalar().unwrap()),
        contrast,
    }
}

fn learned(initial: f64) -> Scale {
    Scale::Learned(Learned {
        learned: true,
        initial,
        max: 100.0,
    })
}

fn vectors(rows: usize, width: usize, stream: u64) -> Tensor {
    let mut draws = Draws::new(3, stream, 0, 0, 0);
    let values = (0..rows * width).map(|_| (draws.unit() * 2.0 - 1.0) as f32);
    Tensor::from_vec(values.collect(), (rows, width), &Device::Cpu).unwrap()
}

/// Masks with a bit of everything: rows without a target, several targets, ignored columns.
fn any_masks(rows: usize, columns: usize, seed: u64) -> Masks {
    let mut draws = Draws::new(seed, 1, 0, 0, 0);
    let mut list =
        |p: f64| -> Vec<u32> { (0..columns as u32).filter(|_| draws.chance(p)).collect() };
    let positives: Vec<Vec<u32>> = (0..rows).map(|_| list(0.3)).collect();
    let ignored = (0..rows).map(|_| list(0.2)).collect();
    let biased: Vec<Vec<u32>> = (0..rows).map(|_| list(0.2)).collect();
    let seen = (0..rows).map(|row| match row % 2 {
        0 => vec![0..1, 1..columns as u32],
        _ => vec![0..columns as u32 / 2, columns as u32 - 1..columns as u32],
    });
    let biases = biased.into_iter();
    Masks {
        ignored,
        seen: seen.collect(),
        biases: biases
            .map(|list| list.into_iter().map(|column| (column, 0.4)).collect())
            .collect(),
        weights: (0..rows).map(|row| 1.0 + row as f32 * 0.25).collect(),
        ..Masks::of_positives(positives)
    }
}

/// The loss written out in f64, entry by entry.
fn written_out(
    (rows, columns): (&[Vec<f64>], &[Vec<f64>]),
    masks: &Masks,
    positives: Positives,
    scale: f64,
) -> f64 {
    let unit = |vector: &[f64]| -> Vec<f64> {
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter().map(|x| x / length).collect()
    };
    let (mut sum, mut count) = (0.0, 0);
    for (row, vector) in rows.iter().enumerate() {
        let targets = &masks.targets[row];
        if targets.is_empty() {
            continue;
        }
        let logit = |column: usize| {
            let (one, other) = (unit(vector), unit(&columns[column]));
            let cosine: f64 = one.iter().zip(&other).map(|(a, b)| a * b).sum();
            let bias = masks.biases[row]
                .iter()
                .find(|(at, _)| *at as usize == column);
            scale * cosine + bias.map_or(0.0, |(_, bias)| f64::from(*bias))
        };
        let sees = |column: u32| {
            let seen = masks.seen[row].iter().any(|range| range.contains(&column));
            targets.iter().any(|(at, _)| *at == column)
                || (seen && !masks.ignored[row].contains(&column))
        };
        let seen = (0..columns.len() as u32).filter(|&column| sees(column));
        let total: f64 = seen.map(|column| logit(column as usize).exp()).sum();
        let probability = |column: u32| logit(column as usize).exp() / total;
        let loss = match positives {
            Positives::Uniform => {
                let terms = targets.iter();
                let terms = terms.map(|&(at, share)| f64::from(share) * -probability(at).ln());
                terms.sum::<f64>()
            }
            Positives::Summed => -targets
                .iter()
                .map(|&(at, _)| probability(at))
                .sum::<f64>()
                .ln(),
        };
        sum += loss * f64::from(masks.weights[row]);
        count += 1;
    }
    sum / f64::from(count.max(1))
}

fn table(tensor: &Tensor) -> Vec<Vec<f64>> {
    let rows = tensor.to_vec2::<f32>().unwrap();
    let wide = |row: Vec<f32>| row.into_iter().map(f64::from).collect();
    rows.into_iter().map(wide).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn values_and_gradients_are_those_of_the_sums(
        rows in 1usize..7,
        columns in 2usize..9,
        width in 2usize..6,
        seed in 0u64..1_000_000,
        block in 1usize..8,
        summed in proptest::bool::ANY,
    ) {
        let positives = if summed { Positives::Summed } else { Positives::Uniform };
        let masks = any_masks(rows, columns, seed);
        let (one, other) = (vectors(rows, width, seed), vectors(columns, width, seed + 1));
        let got = run((&one, &other), &masks, positives, learned(8.0), block);
        let (one, other) = (table(&one), table(&other));
        let value = written_out((&one, &other), &masks, positives, 8.0);
        prop_assert!((got.loss - value).abs() < 1e-5 * value.abs().max(1.0), "{} {value}", got.loss);

        let step = 1e-6;
        for (is_row, gradients) in [(true, &got.rows), (false, &got.columns)] {
            for (place, &gradient) in gradients.iter().enumerate() {
                let moved = |by: f64| {
                    let (mut one, mut other) = (one.clone(), other.clone());
                    let side = if is_row { &mut one } else { &mut other };
                    side[place / width][place % width] += by;
                    written_out((&one, &other), &masks, positives, 8.0)
                };
                let slope = (moved(step) - moved(-step)) / (2.0 * step);
                let gap = (slope - f64::from(gradient)).abs();
                prop_assert!(gap < 2e-5 * slope.abs().max(1.0), "{slope} {gradient}");
            }
        }
        let moved = |by: f64| written_out((&one, &other), &masks, positives, 8.0 * by.exp());
        let slope = (moved(step) - moved(-step)) / (2.0 * step);
        let gap = (slope - f64::from(got.scale.unwrap())).abs();
        prop_assert!(gap < 2e-5 * slope.abs().max(1.0), "{slope} {:?}", got.scale);
    }

    #[test]
    fn ignoring_a_column_is_removing_it(seed in 0u64..1_000_000, gone in 0u32..7) {
        let (one, other) = (vectors(5, 4, seed), vectors(7, 4, seed + 1));
        let positives = (0..5u32).map(|row| vec![if row < gone { row } else { row + 1 }]);
        let kept: Vec<Vec<u32>> = positives.filter(|list| list[0] < 7).collect();
        let rows = kept.len();
        let one = one.narrow(0, 0, rows).unwrap();
        let masks = Masks {
            ignored: vec![vec![gone]; rows],
            ..Masks::of_positives(kept.clone())
        };
        let ignored = run((&one, &other), &masks, Positives::Uniform, learned(9.0), 3);

        let left: Vec<u32> = (0..7).filter(|&column| column != gone).collect();
        let less = other.index_select(&Tensor::new(left.as_slice(), &Device::Cpu).unwrap(), 0);
        let moved = kept.iter().map(|list| {
            list.iter().map(|&at| if at > gone { at - 1 } else { at }).collect()
        });
        let masks = Masks::of_positives(moved);
        let removed = run((&one, &less.unwrap()), &masks, Positives::Uniform, learned(9.0), 3);
        prop_assert!((ignored.loss - removed.loss).abs() < 1e-6);
        let pairs = ignored.rows.iter().zip(&removed.rows);
        prop_assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6));
        let at = gone as usize * 4;
        prop_assert!(ignored.columns[at..at + 4].iter().all(|&part| part == 0.0));
    }
}

#[test]
fn values_and_gradients_are_torchs() {
    let oracle = oracle();
    let list = |name: &str| -> Vec<Vec<u32>> {
        let mask = oracle.case(name).to_vec2::<u8>().unwrap();
        let set = |row: &Vec<u8>| {
            (0u32..)
                .zip(row)
                .filter(|(_, set)| **set > 0)
                .map(|(at, _)| at)
                .collect()
        };
        mask.iter().map(set).collect()
    };
    let biases = oracle.case("bias").to_vec2::<f32>().unwrap();
    let biases = biases.into_iter().map(|row| (0..).zip(row).collect());
    let masks = Masks {
        ignored: list("ignore"),
        biases: biases.collect(),
        ..Masks::of_positives(list("positive"))
    };
    let (rows, columns) = (oracle.case("rows"), oracle.case("cols"));
    for (name, positives) in [
        ("masked_ce", Positives::Uniform),
        ("masked_logsum", Positives::Summed),
    ] {
        for block in [1, 3, 8, 100] {
            let got = run(
                (&rows, &columns),
                &masks,
                positives,
                Scale::Fixed(20.0),
                block,
            );
            assert_eq!(got.contrast.rows, 7, "the last row has no positive");
            oracle.check(
                name,
                got.loss,
                &[("rows", &got.rows), ("cols", &got.columns)],
            );
        }
    }
}

#[test]
fn blocks_are_the_whole() {
    let (rows, columns) = (vectors(50, 8, 1), vectors(70, 8, 2));
    let masks = Masks {
        ignored: (0..50).map(|row| vec![row, 69 - row]).collect(),
        ..Masks::of_positives((0..50).map(|row| vec![row, (row + 7) % 70]))
    };
    let whole = run(
        (&rows, &columns),
        &masks,
        Positives::Uniform,
        learned(20.0),
        50,
    );
    for block in [1, 7, 49] {
        let parts = run(
            (&rows, &columns),
            &masks,
            Positives::Uniform,
            learned(20.0),
            block,
        );
        close("loss", &[parts.loss as f32], &[whole.loss as f32], 1e-6);
        close("rows", &parts.rows, &whole.rows, 1e-6);
        close("columns", &parts.columns, &whole.columns, 1e-6);
        close(
            "scale",
            &[parts.scale.unwrap()],
            &[whole.scale.unwrap()],
            1e-5,
        );
        assert_eq!(parts.contrast.accuracy, whole.contrast.accuracy);
    }
}

#[test]
fn figures_say_how_positives_stand() {
    let rows = Tensor::new(&[[1.0f32, 0.0], [0.0, 1.0], [1.0, 0.0]], &Device::Cpu).unwrap();
    let columns = Tensor::new(&[[1.0f32, 0.0], [1.0, 0.0], [0.0, -1.0]], &Device::Cpu).unwrap();
    let masks = Masks {
        ignored: vec![vec![1], vec![], vec![]],
        ..Masks::of_positives([vec![0], vec![1], vec![]])
    };
    let got = run(
        (&rows, &columns),
        &masks,
        Positives::Uniform,
        Scale::Fixed(20.0),
        2,
    );
    // Row 0 hits, as what equals its positive is ignored; row 1 ties; row 2 has no positive.
    assert_eq!(got.contrast.rows, 2);
    assert_eq!(got.contrast.accuracy, 0.5);
    assert_eq!(got.contrast.positive, 0.5);
    assert_eq!(got.contrast.hardest_negative, Some(0.0));
}

#[test]
fn vectors_of_zeros_and_far_logits_give_numbers() {
    let rows = Tensor::new(&[[0.0f32, 0.0], [1.0, 0.0]], &Device::Cpu).unwrap();
    let columns = Tensor::new(&[[1.0f32, 0.0], [-1.0, 0.0]], &Device::Cpu).unwrap();
    let masks = Masks::of_positives([vec![0], vec![1]]);
    for positives in [Positives::Uniform, Positives::Summed] {
        let got = run((&rows, &columns), &masks, positives, Scale::Fixed(100.0), 2);
        // Row 1 has its positive 200 below the other column; exp of that is 0 in f32.
        close(
            "loss",
            &[got.loss as f32],
            &[(2f32.ln() + 200.0) / 2.0],
            1e-5,
        );
        let all = got.rows.iter().chain(&got.columns);
        assert!(all.into_iter().all(|part| part.is_finite()));
    }
}

#[test]
fn masks_that_do_not_fit_are_refused() {
    let (rows, columns) = (vectors(2, 3, 1), vectors(2, 3, 2));
    let scale = Scale::Fixed(1.0).build(&Device::Cpu).unwrap();
    let matrix = Matrix {
        rows: &rows,
        columns: &columns,
        scale: &scale,
        positives: Positives::Uniform,
    };
    let message = |masks: &Masks| matrix.contrast(masks).unwrap_err().to_string();
    assert!(message(&Masks::of_positives([vec![0]])).contains("1 targets for 2 rows"));
    assert!(message(&Masks::of_positives([vec![0], vec![2]])).contains("names column 2"));
}
