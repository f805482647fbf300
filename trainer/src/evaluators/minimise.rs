//! The least value of a smooth function, by L-BFGS (Liu and Nocedal 1989, "On the limited memory
//! BFGS method for large scale optimization") in f64.

use crate::metrics::eigen::{add, dot};

/// Steps that the shape of the function is estimated from.
const MEMORY: usize = 10;

/// Values of the function that are looked at for the length of one step.
const TRIES_MAX: usize = 40;

/// Where the search ended.
#[derive(Clone, Debug)]
pub struct Minimum {
    /// The place.
    pub at: Vec<f64>,
    /// The largest absolute number of the gradient there.
    pub gradient_max: f64,
    /// Steps that it took.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests ask for it"))]
    pub steps: usize,
}

/// A step that was made: where it went, how the gradient changed, and the product of the two.
struct Change {
    step: Vec<f64>,
    gradient: Vec<f64>,
    product: f64,
}

/// Goes down from a start until no number of the gradient is larger than the tolerance, for so many
/// steps at most, or until rounding hides the way.
pub fn minimise(
    start: Vec<f64>,
    tolerance: f64,
    steps_max: usize,
    mut function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> Minimum {
    let largest = |gradient: &[f64]| {
        gradient
            .iter()
            .fold(0f64, |most, part| most.max(part.abs()))
    };
    let (mut value, mut gradient) = function(&start);
    let (mut at, mut steps) = (start, 0);
    let mut changes: Vec<Change> = Vec::new();
    while largest(&gradient) > tolerance && steps < steps_max {
        let way = way(&gradient, &changes);
        let first = match changes.is_empty() {
            true => 1f64.min(1.0 / dot(&gradient, &gradient).sqrt()),
            false => 1.0,
        };
        let found = search(&at, value, &gradient, &way, first, &mut function);
        let Some((length, new_value, new_gradient)) = found else {
            break;
        };
        let step: Vec<f64> = way.iter().map(|part| length * part).collect();
        let difference = new_gradient.iter().zip(&gradient);
        let difference: Vec<f64> = difference.map(|(new, old)| new - old).collect();
        let product = dot(&step, &difference);
        add(&mut at, 1.0, &step);
        (value, gradient) = (new_value, new_gradient);
        if product > 0.0 {
            changes.push(Change {
                step,
                gradient: difference,
                product,
            });
        }
        if changes.len() > MEMORY {
            changes.remove(0);
        }
        steps += 1;
    }
    Minimum {
        gradient_max: largest(&gradient),
        at,
        steps,
    }
}

/// Minus the gradient, as the last changes say that the function is bent.
fn way(gradient: &[f64], changes: &[Change]) -> Vec<f64> {
    let mut way: Vec<f64> = gradient.iter().map(|part| -part).collect();
    let mut shares = Vec::new();
    for change in changes.iter().rev() {
        let share = dot(&change.step, &way) / change.product;
        add(&mut way, -share, &change.gradient);
        shares.push(share);
    }
    if let Some(last) = changes.last() {
        let scale = last.product / dot(&last.gradient, &last.gradient);
        way.iter_mut().for_each(|part| *part *= scale);
    }
    for (change, share) in changes.iter().zip(shares.into_iter().rev()) {
        let other = dot(&change.gradient, &way) / change.product;
        add(&mut way, share - other, &change.step);
    }
    way
}

/// A length of the step after which the function is less and less steep (the weak conditions of
/// Wolfe, by doubling and halving), with the value and the gradient there.
fn search(
    at: &[f64],
    value: f64,
    gradient: &[f64],
    way: &[f64],
    first: f64,
    function: &mut impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> Option<(f64, f64, Vec<f64>)> {
    let slope = dot(gradient, way);
    let (mut short, mut long, mut length) = (0.0, f64::INFINITY, first);
    for _ in 0..TRIES_MAX {
        let mut place = at.to_vec();
        add(&mut place, length, way);
        let (new_value, new_gradient) = function(&place);
        // Near the end the gain is smaller than the rounding of the value.
        let rounding = 8.0 * f64::EPSILON * value.abs();
        if new_value.is_nan() || new_value > value + 1e-4 * length * slope + rounding {
            long = length;
        } else if dot(&new_gradient, way) < 0.9 * slope {
            short = length;
        } else {
            return Some((length, new_value, new_gradient));
        }
        length = match long.is_finite() {
            true => (short + long) / 2.0,
            false => 2.0 * short,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::minimise;

    #[test]
    fn a_bent_valley() {
        // Rosenbrock's function; its least value is at (1, 1).
        let found = minimise(vec![-1.2, 1.0], 1e-9, 200, |at| {
            let (x, y) = (at[0], at[1]);
            let side = y - x * x;
            let value = 100.0 * side * side + (1.0 - x).powi(2);
            (
                value,
                vec![-400.0 * x * side - 2.0 * (1.0 - x), 200.0 * side],
            )
        });
        assert!(found.gradient_max <= 1e-9 && found.steps < 100, "{found:?}");
        assert!((found.at[0] - 1.0).abs() < 1e-8 && (found.at[1] - 1.0).abs() < 1e-8);
    }

    #[test]
    fn it_ends() {
        let still = minimise(vec![3.0], 1e-6, 10, |_| (1.0, vec![0.0]));
        assert_eq!((still.at, still.steps), (vec![3.0], 0));
        let endless = minimise(vec![0.0], 1e-6, 5, |at| (-at[0], vec![-1.0]));
        assert!(endless.steps <= 5 && endless.gradient_max == 1.0);
        let none = minimise(vec![1.0], 1e-6, 5, |_| (f64::NAN, vec![1.0]));
        assert_eq!(none.steps, 0);
        let steep = minimise(vec![1.0, 1.0], 1e-10, 500, |at| {
            let value = 0.5e6 * at[0] * at[0] + 0.5 * at[1] * at[1];
            (value, vec![1e6 * at[0], at[1]])
        });
        assert!(steep.gradient_max <= 1e-10, "{steep:?}");
    }
}
