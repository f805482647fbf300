//! Tests against sums in double precision that are written down as the formulas are.

use super::{Gradients, Scored, Table, bags_of_words, cross_entropy};
use crate::encoder::fixtures::values;

const WIDTH: usize = 6;
/// More than two blocks and a tile, so that their edges are met.
const VOCABULARY: usize = 1_100;
const TOKENS: usize = 530;

struct Case {
    states: Vec<f32>,
    labels: Vec<u32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

fn case() -> Case {
    Case {
        states: values(TOKENS * WIDTH, 1).iter().map(|x| 2.0 * x).collect(),
        labels: (0..TOKENS as u32)
            .map(|n| n * 7 % VOCABULARY as u32)
            .collect(),
        weight: values(VOCABULARY * WIDTH, 2),
        bias: values(VOCABULARY, 3),
    }
}

impl Case {
    fn table(&self) -> Table<'_> {
        Table {
            weight: &self.weight,
            bias: &self.bias,
        }
    }

    fn logits(&self, token: usize) -> Vec<f64> {
        let state = &self.states[token * WIDTH..(token + 1) * WIDTH];
        let rows = self.weight.chunks(WIDTH).zip(&self.bias);
        rows.map(|(row, &bias)| {
            let products = row.iter().zip(state);
            let product: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            product + f64::from(bias)
        })
        .collect()
    }

    /// Adds what a gradient of logits gives.
    fn pull_back(&self, token: usize, logits: &[f64], into: &mut [Vec<f64>; 3]) {
        for (word, &logit) in logits.iter().enumerate() {
            into[2][word] += logit;
            for place in 0..WIDTH {
                into[0][token * WIDTH + place] +=
                    logit * f64::from(self.weight[word * WIDTH + place]);
                into[1][word * WIDTH + place] +=
                    logit * f64::from(self.states[token * WIDTH + place]);
            }
        }
    }

    fn zeros(&self) -> [Vec<f64>; 3] {
        [&self.states, &self.weight, &self.bias].map(|values| vec![0.0; values.len()])
    }
}

fn normaliser(logits: &[f64]) -> f64 {
    logits.iter().map(|logit| logit.exp()).sum::<f64>().ln()
}

fn near(found: &Gradients, wanted: &[Vec<f64>; 3]) {
    for (found, wanted) in [&found.states, &found.weight, &found.bias]
        .iter()
        .zip(wanted)
    {
        for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            assert!(
                (f64::from(*found) - wanted).abs() < 1e-5,
                "{place}: {found} {wanted}"
            );
        }
    }
}

#[test]
fn values_and_gradients_are_those_of_the_formula() {
    let case = case();
    let mut wanted = (0.0, 0, case.zeros());
    for (token, &label) in case.labels.iter().enumerate() {
        let logits = case.logits(token);
        let normaliser = normaliser(&logits);
        wanted.0 += normaliser - logits[label as usize];
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        wanted.1 += usize::from(logits[label as usize] == top);
        let mut gradients: Vec<f64> = logits
            .iter()
            .map(|logit| (logit - normaliser).exp())
            .collect();
        gradients[label as usize] -= 1.0;
        case.pull_back(token, &gradients, &mut wanted.2);
    }
    let mut gradients = Gradients::zeros(TOKENS, &case.table());
    let scored = cross_entropy(
        &case.states,
        &case.labels,
        &case.table(),
        Some(&mut gradients),
    );
    assert!(
        (scored.loss - wanted.0).abs() < 1e-6 * wanted.0,
        "{scored:?} {}",
        wanted.0
    );
    assert_eq!(scored.correct, wanted.1);
    near(&gradients, &wanted.2);
    let without = cross_entropy(&case.states, &case.labels, &case.table(), None);
    assert_eq!(without, scored);
}

#[test]
fn bags_are_those_of_the_formula() {
    let case = case();
    let ends = [40, 41, 41 + 90];
    let bags = [
        (vec![3, 5, 1_099], 0.25),
        (vec![0], 1.0),
        ((0..60).map(|word| word * 11).collect(), 1.0 / 90.0),
    ];
    let (mut loss, mut wanted) = (0.0, case.zeros());
    let mut start = 0;
    for (&end, (bag, weight)) in ends.iter().zip(&bags) {
        let logits: Vec<Vec<f64>> = (start..end).map(|token| case.logits(token)).collect();
        let first = |word: usize| {
            let tokens = 0..logits.len();
            tokens.reduce(|a, b| {
                if logits[b][word] > logits[a][word] {
                    b
                } else {
                    a
                }
            })
        };
        let firsts: Vec<usize> = (0..VOCABULARY).filter_map(first).collect();
        let tops: Vec<f64> = (0..VOCABULARY)
            .map(|word| logits[firsts[word]][word])
            .collect();
        let normaliser = normaliser(&tops);
        let weight = f64::from(*weight);
        let all = weight * bag.len() as f64;
        let mut gradients: Vec<f64> = tops
            .iter()
            .map(|top| all * (top - normaliser).exp())
            .collect();
        for &word in bag {
            loss += weight * (normaliser - tops[word as usize]);
            gradients[word as usize] -= weight;
        }
        for token in 0..logits.len() {
            let own = (0..VOCABULARY).map(|word| match firsts[word] == token {
                true => gradients[word],
                false => 0.0,
            });
            case.pull_back(start + token, &own.collect::<Vec<_>>(), &mut wanted);
        }
        start = end;
    }
    let mut gradients = Gradients::zeros(TOKENS, &case.table());
    let states = &case.states[..131 * WIDTH];
    let found = bags_of_words(states, &ends, &bags, &case.table(), Some(&mut gradients));
    assert!((found - loss).abs() < 1e-5, "{found} {loss}");
    near(&gradients, &wanted);
    assert_eq!(
        bags_of_words(states, &ends, &bags, &case.table(), None),
        found
    );
}

#[test]
fn threads_change_nothing() {
    let case = case();
    let run = |threads: usize| -> (Scored, Gradients, f64) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let mut gradients = Gradients::zeros(TOKENS, &case.table());
            let table = case.table();
            let scored = cross_entropy(&case.states, &case.labels, &table, Some(&mut gradients));
            let ends = [200, TOKENS];
            let bags = [(vec![1, 2], 0.5), (vec![7], 1.0)];
            let bag = bags_of_words(&case.states, &ends, &bags, &table, Some(&mut gradients));
            (scored, gradients, bag)
        })
    };
    let (scored, gradients, bag) = run(1);
    for threads in [2, 3, 5] {
        let found = run(threads);
        assert_eq!((found.0, found.2), (scored, bag));
        assert_eq!(found.1.states, gradients.states);
        assert_eq!(found.1.weight, gradients.weight);
        assert_eq!(found.1.bias, gradients.bias);
    }
}

#[test]
fn a_number_that_is_none_is_not_hidden() {
    let mut case = case();
    case.states[WIDTH] = f32::NAN;
    let scored = cross_entropy(&case.states, &case.labels, &case.table(), None);
    assert!(scored.loss.is_nan());
}

#[test]
fn equal_logits_cost_the_logarithm_of_the_vocabulary() {
    let (weight, bias) = (vec![0.5; 21_128 * 2], vec![1.0; 21_128]);
    let table = Table {
        weight: &weight,
        bias: &bias,
    };
    let scored = cross_entropy(&[1.0, -1.0, 0.0, 2.0], &[0, 21_127], &table, None);
    assert!(
        (scored.loss - 2.0 * 21_128f64.ln()).abs() < 1e-5,
        "{scored:?}"
    );
    // The first of equal ones is what the head says.
    assert_eq!(scored.correct, 1);
}
