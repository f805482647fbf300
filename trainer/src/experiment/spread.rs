//! Means over seeds, and how sure they are: Student's t.

use serde::Serialize;

/// The share of intervals that hold what they are about.
pub const CONFIDENCE: f64 = 0.95;

/// What some values of one thing say together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many values there are.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, over n - 1; none of one value.
    pub deviation: Option<f64>,
    /// Half the width of the 95 % interval of the mean, by Student's t; none of one value.
    pub margin: Option<f64>,
}

impl Spread {
    /// Of values in a fixed order; none where there is no value.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let deviation = (n > 1).then(|| {
            let squares = values.iter().map(|value| (value - mean).powi(2));
            (squares.sum::<f64>() / (n - 1) as f64).sqrt()
        });
        let margin =
            deviation.map(|deviation| t(CONFIDENCE, n - 1) * deviation / (n as f64).sqrt());
        Some(Spread {
            n,
            mean,
            deviation,
            margin,
        })
    }

    /// Whether the interval leaves 0 out; none of one value, which has no interval.
    pub fn is_sure(&self) -> Option<bool> {
        self.margin.map(|margin| self.mean.abs() > margin)
    }
}

/// The t that Student's distribution stays within, on both sides, with a probability.
pub fn t(probability: f64, freedom: usize) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while within(high, freedom) < probability {
        high *= 2.0;
    }
    // Each halving gives a bit.
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        match within(middle, freedom) < probability {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

/// The probability that |T| is at most t, for whole degrees of freedom from 1 on (Abramowitz and
/// Stegun 26.7.3, 26.7.4).
fn within(t: f64, freedom: usize) -> f64 {
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = freedom % 2 == 1;
    let (mut term, mut sum) = match odd {
        true => (cosine, cosine),
        false => (1.0, 1.0),
    };
    // The powers end at that of freedom - 2.
    let mut power = if odd { 3 } else { 2 };
    while power + 2 <= freedom {
        term *= cosine * cosine * (power - 1) as f64 / power as f64;
        sum += term;
        power += 2;
    }
    match (odd, freedom) {
        (true, 1) => angle * std::f64::consts::FRAC_2_PI,
        (true, _) => (angle + sine * sum) * std::f64::consts::FRAC_2_PI,
        (false, _) => sine * sum,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, proptest};

    use super::{Spread, t};

    /// `scipy.stats.t.ppf(0.975, freedom)`
    #[test]
    fn quantiles_are_those_of_scipy() {
        for (freedom, known) in [
            (1, 12.706204736174694),
            (2, 4.302652729749462),
            (3, 3.1824463052837078),
            (4, 2.7764451051977934),
            (5, 2.5705818356363146),
            (9, 2.262157162798205),
            (30, 2.0422724563012378),
            (1000, 1.9623390808264083),
        ] {
            let found = t(0.95, freedom);
            assert!((found - known).abs() < 1e-8, "{freedom}: {found} {known}");
        }
    }

    #[test]
    fn one_value_has_no_interval() {
        let one = Spread::of(&[0.5]).unwrap();
        assert_eq!((one.mean, one.deviation, one.margin), (0.5, None, None));
        assert_eq!(one.is_sure(), None);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn three_values() {
        let spread = Spread::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((spread.mean, spread.deviation), (2.0, Some(1.0)));
        let margin = spread.margin.unwrap();
        assert!((margin - 4.302652729749462 / 3f64.sqrt()).abs() < 1e-8);
        assert_eq!(spread.is_sure(), Some(false));
        assert_eq!(Spread::of(&[3.0, 3.1, 3.2]).unwrap().is_sure(), Some(true));
        assert_eq!(Spread::of(&[0.0, 0.0]).unwrap().is_sure(), Some(false));
    }

    proptest! {
        #[test]
        fn shifting_and_scaling(values in prop::collection::vec(-10.0..10.0f64, 2..9), by in 0.1..9.0f64) {
            let one = Spread::of(&values).unwrap();
            let moved: Vec<f64> = values.iter().map(|value| value * by + 3.0).collect();
            let other = Spread::of(&moved).unwrap();
            assert!((one.mean * by + 3.0 - other.mean).abs() < 1e-9);
            assert!((one.margin.unwrap() * by - other.margin.unwrap()).abs() < 1e-6);
        }
    }
}
