//! Ticks of an axis: round numbers, and how they are written.

/// An axis from the lowest to the highest number that it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Where it begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
    /// Round numbers between the two.
    pub ticks: Vec<f64>,
    step: f64,
}

impl Axis {
    /// An axis over a range with about `count` ticks. A range of nothing is widened.
    pub fn new((low, high): (f64, f64), count: usize) -> Axis {
        let (mut low, mut high) = (low, high);
        let size = low.abs().max(high.abs()).max(f64::MIN_POSITIVE * 1e20);
        if high - low < 1e-9 * size {
            (low, high) = (low - 0.05 * size, high + 0.05 * size);
        }
        let step = round_step(0.7 * (high - low) / count.max(1) as f64);
        let first = (low / step).ceil();
        let last = ((high / step).floor() - first) as usize;
        let ticks = (0..=last.min(50)).map(|at| (first + at as f64) * step);
        Axis {
            ticks: ticks.collect(),
            low,
            high,
            step,
        }
    }

    /// Where a number is, from 0 to 1.
    pub fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// A tick as text, with the digits that tell it from the next one.
    pub fn label(&self, tick: f64) -> String {
        let size = self.low.abs().max(self.high.abs());
        let unit = match size {
            size if size >= 1e9 => (1e9, "G"),
            size if size >= 1e6 => (1e6, "M"),
            size if size >= 1e4 => (1e3, "k"),
            size if size < 1e-3 => {
                let power = size.log10().floor();
                return match tick.abs() < self.step / 2.0 {
                    true => "0".into(),
                    false => format!(
                        "{}e{power}",
                        number(tick / 10f64.powf(power), self.step / 10f64.powf(power))
                    ),
                };
            }
            _ => (1.0, ""),
        };
        match tick.abs() < self.step / 2.0 {
            true => "0".into(),
            false => number(tick / unit.0, self.step / unit.0) + unit.1,
        }
    }
}

/// 1, 2 or 5 times a power of 10, at least this large.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let factor = factors
        .into_iter()
        .find(|factor| factor * power >= least * 0.999);
    factor.unwrap_or(10.0) * power
}

/// A number with the decimals that its step has.
fn number(value: f64, step: f64) -> String {
    let decimals = (-(step * 1.001).log10().floor()).clamp(0.0, 12.0) as usize;
    format!("{value:.decimals$}")
}

/// A figure on its own: four digits that count, large ones by thousands.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value == 0.0 => "0".into(),
        _ if !value.is_finite() => format!("{value}"),
        _ if !(1e-3..1e5).contains(&size) => {
            let text = format!("{value:.3e}");
            let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
            let digits = digits.trim_end_matches('0').trim_end_matches('.');
            format!("{digits}e{power}")
        }
        _ => {
            let decimals = (3.0 - size.log10().floor()).clamp(0.0, 6.0) as usize;
            format!("{value:.decimals$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::{Axis, figure};

    fn labels(low: f64, high: f64) -> Vec<String> {
        let axis = Axis::new((low, high), 4);
        axis.ticks.iter().map(|&tick| axis.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(0.13, 0.97), ["0.2", "0.4", "0.6", "0.8"]);
        let tiny = ["0", "0.5e-5", "1.0e-5", "1.5e-5", "2.0e-5"];
        assert_eq!(labels(0.0, 2e-5), tiny);
        assert_eq!(labels(0.0, 123_456.0), ["0", "50k", "100k"]);
        assert_eq!(labels(-4.0, -2.0), ["-4.0", "-3.5", "-3.0", "-2.5", "-2.0"]);
        assert_eq!(
            labels(0.0, 2_000_000.0),
            ["0", "0.5M", "1.0M", "1.5M", "2.0M"]
        );
    }

    #[test]
    fn a_range_of_nothing_has_an_axis() {
        for value in [0.0, 3.0, -1e-8, 1e12] {
            let axis = Axis::new((value, value), 4);
            assert!(
                axis.low < value && value < axis.high || value == 0.0,
                "{axis:?}"
            );
            assert!(
                axis.place(value).is_finite() && !axis.ticks.is_empty(),
                "{axis:?}"
            );
        }
    }

    #[test]
    fn figures_have_four_digits() {
        let all = [
            0.0,
            1.0,
            -0.123_456,
            1234.5,
            123_456.0,
            2e-5,
            45.678,
            f64::NAN,
        ];
        let wanted = [
            "0", "1.000", "-0.1235", "1234", "1.235e5", "2e-5", "45.68", "NaN",
        ];
        assert_eq!(all.map(figure), wanted);
    }

    proptest! {
        #[test]
        fn ticks_lie_inside_and_differ(low in -1e6f64..1e6, width in 1e-6f64..1e6) {
            let axis = Axis::new((low, low + width), 5);
            prop_assert!(axis.ticks.len() <= 8, "{:?}", axis);
            for tick in &axis.ticks {
                prop_assert!(*tick >= axis.low - 1e-6 * width && *tick <= axis.high + 1e-6 * width);
            }
            let labels: std::collections::BTreeSet<_> = axis.ticks.iter().map(|&tick| axis.label(tick)).collect();
            prop_assert!(labels.len() == axis.ticks.len(), "{:?} {:?}", axis, labels);
        }
    }
}
