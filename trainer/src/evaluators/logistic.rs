//! Logistic regression as scikit-learn's `LogisticRegression` defines it: cross-entropy plus the
//! squares of the weights, without those of the intercepts, on features as they come. Two labels have
//! one row of weights, more have one each.

use super::features::Features;
use super::minimise::minimise;

/// How a regression is fitted.
#[derive(Clone, Copy, Debug)]
pub struct Fit {
    /// Weight of the cross-entropy against the squares: the inverse of the penalty's strength.
    pub c: f64,
    /// The largest number that the gradient of the mean objective may have at the end.
    pub tolerance: f64,
    /// Most steps.
    pub steps_max: usize,
}

/// A regression that was fitted.
#[derive(Clone, Debug)]
pub struct Logistic {
    /// Labels that it knows, rising.
    pub labels: Vec<usize>,
    /// Weights `[dimension, outputs]`, then intercepts `[outputs]`.
    pub numbers: Vec<f64>,
    /// The largest number of the gradient where it ended.
    pub gradient_max: f64,
}

impl Logistic {
    /// Fits a regression of the labels of rows, from the numbers of another one of the same labels
    /// or from 0.
    pub fn fit(
        features: &Features,
        labels: &[usize],
        fit: Fit,
        start: Option<&Logistic>,
    ) -> Logistic {
        let mut known = labels.to_vec();
        known.sort_unstable();
        known.dedup();
        let number = |label: &usize| known.binary_search(label).expect("it is one of them");
        let targets: Vec<usize> = labels.iter().map(number).collect();
        let outputs = outputs(known.len());
        let size = (features.dimension + 1) * outputs;
        let start = match start {
            Some(start) if start.labels == known => start.numbers.clone(),
            _ => vec![0.0; size],
        };
        if outputs == 0 {
            return Logistic {
                labels: known,
                numbers: Vec::new(),
                gradient_max: 0.0,
            };
        }
        let found = minimise(start, fit.tolerance, fit.steps_max, |numbers| {
            objective(features, &targets, outputs, fit.c, numbers)
        });
        Logistic {
            labels: known,
            numbers: found.at,
            gradient_max: found.gradient_max,
        }
    }

    /// The likeliest label of each row; the smallest of equals.
    pub fn predict(&self, features: &Features) -> Vec<usize> {
        let outputs = outputs(self.labels.len());
        if outputs == 0 {
            return vec![self.labels.first().copied().unwrap_or(0); features.rows];
        }
        let logits = logits(features, &self.numbers, outputs);
        let rows = logits.chunks_exact(outputs);
        rows.map(|row| match row {
            [one] => self.labels[usize::from(*one > 0.0)],
            _ => {
                let larger = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
                self.labels[(1..outputs).fold(0, larger)]
            }
        })
        .collect()
    }
}

/// Rows of weights for so many labels.
fn outputs(labels: usize) -> usize {
    match labels {
        0 | 1 => 0,
        2 => 1,
        more => more,
    }
}

fn logits(features: &Features, numbers: &[f64], outputs: usize) -> Vec<f64> {
    let (weights, intercepts) = numbers.split_at(features.dimension * outputs);
    let mut logits = features.product(weights, outputs);
    for row in logits.chunks_exact_mut(outputs) {
        row.iter_mut()
            .zip(intercepts)
            .for_each(|(logit, add)| *logit += add);
    }
    logits
}

/// The mean cross-entropy plus the squares of the weights / (2 c rows), and its gradient.
pub fn objective(
    features: &Features,
    targets: &[usize],
    outputs: usize,
    c: f64,
    numbers: &[f64],
) -> (f64, Vec<f64>) {
    let rows = features.rows as f64;
    let mut errors = logits(features, numbers, outputs);
    let mut loss = 0.0;
    for (row, &target) in errors.chunks_exact_mut(outputs).zip(targets) {
        loss += match row {
            [logit] => two(logit, target),
            _ => many(row, target),
        };
        row.iter_mut().for_each(|error| *error /= rows);
    }
    let mut gradient = features.transposed_product(&errors, outputs);
    let weights = &numbers[..gradient.len()];
    let mut squares = 0.0;
    for (gradient, weight) in gradient.iter_mut().zip(weights) {
        *gradient += weight / (c * rows);
        squares += weight * weight;
    }
    let mut intercepts = vec![0.0; outputs];
    for row in errors.chunks_exact(outputs) {
        intercepts
            .iter_mut()
            .zip(row)
            .for_each(|(sum, error)| *sum += error);
    }
    gradient.extend(intercepts);
    (loss / rows + squares / (2.0 * c * rows), gradient)
}

/// Cross-entropy of one of two labels; the logit becomes its derivative.
fn two(logit: &mut f64, target: usize) -> f64 {
    let (value, target) = (*logit, target as f64);
    let small = (-value.abs()).exp();
    let share = match value > 0.0 {
        true => 1.0 / (1.0 + small),
        false => small / (1.0 + small),
    };
    *logit = share - target;
    value.max(0.0) + small.ln_1p() - target * value
}

/// Cross-entropy of one of many labels; the logits become its derivatives.
fn many(row: &mut [f64], target: usize) -> f64 {
    let most = row
        .iter()
        .fold(f64::NEG_INFINITY, |most, &logit| most.max(logit));
    let right = row[target] - most;
    let mut sum = 0.0;
    for logit in row.iter_mut() {
        *logit = (*logit - most).exp();
        sum += *logit;
    }
    row.iter_mut().for_each(|logit| *logit /= sum);
    row[target] -= 1.0;
    sum.ln() - right
}

#[cfg(test)]
mod tests {
    use super::{Features, Fit, Logistic, objective};
    use crate::evaluators::Vectors;

    const FIT: Fit = Fit {
        c: 1.0,
        tolerance: 1e-9,
        steps_max: 1000,
    };

    fn features(rows: usize, dimension: usize) -> Features {
        let values =
            (0..rows * dimension).map(|at| ((at * at * 7 + at * 3) % 41) as f32 / 20.0 - 1.0);
        Features::new(&Vectors::dense(dimension, values.collect()).unwrap())
    }

    #[test]
    fn the_gradient_is_that_of_the_objective() {
        let features = features(40, 5);
        for (labels, outputs) in [(2, 1), (4, 4)] {
            let targets: Vec<usize> = (0..40).map(|row| row * 3 % labels).collect();
            let at: Vec<f64> = (0..6 * outputs).map(|at| (at as f64).sin()).collect();
            let (_, gradient) = objective(&features, &targets, outputs, 0.5, &at);
            for (number, gradient) in gradient.iter().enumerate() {
                let near = |step: f64| {
                    let mut at = at.clone();
                    at[number] += step;
                    objective(&features, &targets, outputs, 0.5, &at).0
                };
                let slope = (near(1e-5) - near(-1e-5)) / 2e-5;
                assert!((slope - gradient).abs() < 1e-8, "{slope} {gradient}");
            }
        }
    }

    #[test]
    fn it_ends_where_the_gradient_is_none() {
        let features = features(300, 20);
        for labels in [2, 3, 19] {
            let targets: Vec<usize> = (0..300).map(|row| row * row % 31 % labels).collect();
            for c in [1e-3, 1.0, 1e3] {
                let found = Logistic::fit(&features, &targets, Fit { c, ..FIT }, None);
                assert!(
                    found.gradient_max <= 1e-9,
                    "{labels} {c} {}",
                    found.gradient_max
                );
            }
        }
    }

    #[test]
    fn one_label_needs_no_regression() {
        let features = features(3, 2);
        let found = Logistic::fit(&features, &[4, 4, 4], FIT, None);
        assert_eq!(found.predict(&features), [4, 4, 4]);
    }
}
