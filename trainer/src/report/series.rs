//! A curve of any length in bounded memory: buckets of steps that keep the lowest and the highest
//! value, so that a single spike among a million points stays visible.

/// Buckets of a curve at most: more than a drawing has points.
pub const BUCKETS: usize = 600;

/// Sums and ranges of values up to here are numbers still.
const VALUE_MAX: f64 = 1e100;

/// Values by steps.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Steps of a bucket, as a power of 2.
    shift: u32,
    buckets: Vec<Option<Bucket>>,
    values: u64,
    last: Option<(u64, f64)>,
}

/// The values of some neighbouring steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The first and the last step that has a value.
    pub steps: (u64, u64),
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
    sum: f64,
    values: u64,
}

impl Bucket {
    /// The mean of its values.
    pub fn mean(&self) -> f64 {
        self.sum / self.values as f64
    }

    /// Where it is drawn.
    pub fn step(&self) -> f64 {
        (self.steps.0 as f64 + self.steps.1 as f64) / 2.0
    }

    fn join(self, other: Bucket) -> Bucket {
        Bucket {
            steps: (
                self.steps.0.min(other.steps.0),
                self.steps.1.max(other.steps.1),
            ),
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            sum: self.sum + other.sum,
            values: self.values + other.values,
        }
    }
}

impl Series {
    /// Adds a value; one that is no number, or beyond all measure, has no place in a drawing.
    pub fn push(&mut self, step: u64, value: f64) {
        if !value.is_finite() || value.abs() > VALUE_MAX {
            return;
        }
        while (step >> self.shift) as usize >= BUCKETS {
            self.halve();
        }
        let at = (step >> self.shift) as usize;
        if at >= self.buckets.len() {
            self.buckets.resize(at + 1, None);
        }
        let own = Bucket {
            steps: (step, step),
            low: value,
            high: value,
            sum: value,
            values: 1,
        };
        let bucket = &mut self.buckets[at];
        *bucket = Some(bucket.map_or(own, |bucket| bucket.join(own)));
        self.values += 1;
        self.last = Some((step, value));
    }

    /// Two neighbours become one.
    fn halve(&mut self) {
        self.shift += 1;
        let pairs = self.buckets.chunks(2).map(|pair| match *pair {
            [Some(one), Some(other)] => Some(one.join(other)),
            [one, other] => one.or(other),
            _ => pair[0],
        });
        self.buckets = pairs.collect();
    }

    /// Number of values.
    pub fn values(&self) -> u64 {
        self.values
    }

    /// The value that came last, with its step.
    pub fn last(&self) -> Option<(u64, f64)> {
        self.last
    }

    /// What is to be drawn, in the order of the steps.
    pub fn buckets(&self) -> Vec<Bucket> {
        self.buckets.iter().flatten().copied().collect()
    }

    /// The lowest and the highest value.
    pub fn range(&self) -> Option<(f64, f64)> {
        let all = self.buckets.iter().flatten();
        let ranges = all.map(|bucket| (bucket.low, bucket.high));
        ranges.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// A moving mean over about a twentieth of the drawing: step and value. None where there are too
    /// few points for it to say more than they do.
    pub fn smooth(&self) -> Vec<(f64, f64)> {
        let all = self.buckets();
        if all.len() < 20 {
            return Vec::new();
        }
        let reach = (all.len() / 40).max(1);
        let smoothed = (0..all.len()).map(|at| {
            // As far on both sides, so that the ends of a slope stay where they are.
            let reach = reach.min(at).min(all.len() - 1 - at);
            let near = &all[at - reach..=at + reach];
            let sum: f64 = near.iter().map(|bucket| bucket.sum).sum();
            let values: u64 = near.iter().map(|bucket| bucket.values).sum();
            (all[at].step(), sum / values as f64)
        });
        smoothed.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{BUCKETS, Series};

    #[test]
    fn a_spike_among_a_million_stays() {
        let mut series = Series::default();
        for step in 0..1_000_000 {
            let spike = if step == 777_777 { 50.0 } else { 0.0 };
            series.push(step, 1.0 + spike);
        }
        let buckets = series.buckets();
        assert!(
            buckets.len() <= BUCKETS && buckets.len() > BUCKETS / 3,
            "{}",
            buckets.len()
        );
        assert_eq!(series.range(), Some((1.0, 51.0)));
        let with = buckets.iter().filter(|bucket| bucket.high > 1.0);
        let with: Vec<_> = with.collect();
        assert_eq!(with.len(), 1);
        assert!((with[0].steps.0..=with[0].steps.1).contains(&777_777));
        assert_eq!(series.values(), 1_000_000);
        assert_eq!(series.last(), Some((999_999, 1.0)));
        assert_eq!(series.smooth().len(), buckets.len());
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let mut series = Series::default();
        assert_eq!((series.range(), series.buckets().len()), (None, 0));
        series.push(7, 2.0);
        series.push(8, f64::NAN);
        series.push(9, f64::INFINITY);
        series.push(500, 3.0);
        let points: Vec<_> = series
            .buckets()
            .iter()
            .map(|own| (own.step(), own.mean()))
            .collect();
        assert_eq!(points, [(7.0, 2.0), (500.0, 3.0)]);
        assert!(series.smooth().is_empty());
        series.push(u64::MAX, 1.0);
        assert_eq!(series.values(), 3);
    }

    #[test]
    fn a_straight_line_stays_straight() {
        let mut series = Series::default();
        (0..400).for_each(|step| series.push(step, 3.0 - 0.01 * step as f64));
        for (step, value) in series.smooth() {
            assert!((value - (3.0 - 0.01 * step)).abs() < 1e-9, "{step} {value}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost(points in proptest::collection::vec((0u64..5000, -9.0f64..9.0), 1..300)) {
            let mut series = Series::default();
            points.iter().for_each(|&(step, value)| series.push(step, value));
            let buckets = series.buckets();
            prop_assert!(buckets.len() <= BUCKETS);
            prop_assert_eq!(buckets.iter().map(|own| own.values).sum::<u64>(), points.len() as u64);
            let sum: f64 = points.iter().map(|point| point.1).sum();
            prop_assert!((buckets.iter().map(|own| own.sum).sum::<f64>() - sum).abs() < 1e-9);
            for pair in buckets.windows(2) {
                prop_assert!(pair[0].steps.1 < pair[1].steps.0);
            }
            for (step, value) in points {
                let own = buckets.iter().find(|own| (own.steps.0..=own.steps.1).contains(&step));
                let own = own.expect("every step is in a bucket");
                prop_assert!(own.low <= value && value <= own.high);
            }
        }
    }
}
