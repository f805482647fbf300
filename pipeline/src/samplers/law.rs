//! The law of the sources: how many records of each corpus a pass shows, and which ones.

/// Steps between 0 and the largest weight: weights are whole numbers, so that shares are exact.
const STEPS: f64 = (1u64 << 40) as f64;

/// Divides `total` in proportion to `weights` into whole numbers whose sum is `total`, by the
/// method of the largest remainder; of equal remainders the first wins. All weights 0 give all 0.
pub fn apportion(weights: &[u64], total: u64) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let products = weights
        .iter()
        .map(|&weight| u128::from(weight) * u128::from(total));
    let (mut parts, mut rests): (Vec<u64>, Vec<(u128, usize)>) = products
        .enumerate()
        .map(|(at, product)| ((product / sum) as u64, (product % sum, at)))
        .unzip();
    let missing = total - parts.iter().sum::<u64>();
    rests.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    rests[..missing as usize]
        .iter()
        .for_each(|(_, at)| parts[*at] += 1);
    parts
}

/// Records of each corpus in a pass of `records`: in proportion to n^alpha × weight, at most
/// `caps`. What a cap takes away goes to the corpora below their caps, in their proportion; the sum
/// is `records` unless all caps together are less.
pub fn quotas(counts: &[u64], alpha: f64, weights: &[f64], caps: &[u64], records: u64) -> Vec<u64> {
    let strength = |(&count, &weight): (&u64, &f64)| match count {
        0 => 0.0,
        // An exact 1 keeps shares exact where they follow the sizes.
        _ if alpha == 1.0 => count as f64 * weight,
        _ => (count as f64).powf(alpha) * weight,
    };
    let strengths: Vec<f64> = counts.iter().zip(weights).map(strength).collect();
    let largest = strengths.iter().copied().fold(0.0, f64::max);
    let whole = strengths
        .iter()
        .all(|strength| strength.fract() == 0.0 && *strength < STEPS);
    let step = |strength: &f64| match whole {
        true => *strength as u64,
        // A corpus with a weight has a share, however small.
        false => ((strength / largest * STEPS).round() as u64).max(u64::from(*strength > 0.0)),
    };
    let mut open: Vec<u64> = strengths.iter().map(step).collect();
    let (mut quotas, mut left) = (vec![0; counts.len()], records);
    loop {
        let parts = apportion(&open, left);
        let over: Vec<usize> = (0..parts.len())
            .filter(|&at| open[at] > 0 && parts[at] > caps[at])
            .collect();
        if over.is_empty() {
            quotas
                .iter_mut()
                .zip(parts)
                .for_each(|(quota, part)| *quota += part);
            return quotas;
        }
        for at in over {
            (quotas[at], open[at]) = (caps[at], 0);
            left -= caps[at];
        }
    }
}

/// Which records of a corpus the passes show: a walk around all of them that goes on from pass to
/// pass, so that after any number of passes no record was shown two times more than another.
///
/// Record i of n has the phase π(i) = i × stride mod n, with a stride near the golden section of n
/// that has no divisor in common with it. Pass p shows it ⌊((p+1)q + π(i)) / n⌋ − ⌊(pq + π(i)) / n⌋
/// times. As π is a permutation, Hermite's identity makes that exactly q in each pass; as phases
/// of neighbours lie far apart, every stretch of records gets its share up to a few.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    records: u64,
    quota: u64,
    stride: u64,
}

impl Walk {
    /// The walk over `records` records of which each pass shows `quota`.
    pub fn new(records: u64, quota: u64) -> Walk {
        let golden = (records as f64 * 0.618_033_988_749_894_9) as u64;
        let stride = (golden..).find(|&stride| divisor(stride, records) <= 1);
        Walk {
            records,
            quota,
            stride: stride.unwrap_or(1),
        }
    }

    /// How often a pass shows a record.
    #[inline]
    pub fn copies(&self, record: u64, pass: u32) -> u64 {
        if self.quota == self.records {
            return u64::from(self.records > 0);
        }
        let records = u128::from(self.records);
        let phase = u128::from(record) * u128::from(self.stride) % records;
        let shown = |passes: u128| (passes * u128::from(self.quota) + phase) / records;
        (shown(u128::from(pass) + 1) - shown(u128::from(pass))) as u64
    }
}

/// Greatest common divisor.
fn divisor(a: u64, b: u64) -> u64 {
    match b {
        0 => a,
        _ => divisor(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::{Walk, apportion, quotas};
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    #[test]
    fn golden_apportionments() {
        // Seats of the largest-remainder method worked out by hand.
        assert_eq!(
            apportion(&[47_000, 16_000, 15_800, 12_000, 6_100, 3_100], 10),
            [5, 2, 1, 1, 1, 0]
        );
        assert_eq!(apportion(&[1, 1, 1], 2), [1, 1, 0]);
        assert_eq!(apportion(&[0, 0], 5), [0, 0]);
        assert_eq!(apportion(&[], 5), [0; 0]);
        assert_eq!(apportion(&[u64::MAX, u64::MAX], 3), [2, 1]);
    }

    #[test]
    fn quotas_follow_the_law() {
        let (counts, ones) = ([100, 10_000, 0], [1.0; 3]);
        let free = [u64::MAX; 3];
        assert_eq!(quotas(&counts, 1.0, &ones, &counts, 10_100), counts);
        assert_eq!(quotas(&counts, 0.5, &ones, &free, 1100), [100, 1000, 0]);
        assert_eq!(quotas(&counts, 0.0, &ones, &free, 11), [6, 5, 0]);
        assert_eq!(
            quotas(&counts, 1.0, &[100.0, 3.0, 1.0], &free, 40),
            [10, 30, 0]
        );
        // What the cap of the first takes away goes to the others.
        assert_eq!(
            quotas(&[10, 100, 100], 0.0, &ones, &[10, 100, 100], 90),
            [10, 40, 40]
        );
        assert_eq!(quotas(&counts, 0.0, &ones, &counts, 50_000), counts);
        assert_eq!(
            quotas(&counts, 1.0, &[0.0, 1.0, 1.0], &counts, 500),
            [0, 500, 0]
        );
    }

    proptest! {
        #[test]
        fn quotas_are_exact(
            corpora in proptest::collection::vec((0u64..5_000, 0.0f64..4.0), 1..12),
            alpha in 0.0f64..1.0,
            records in 0u64..30_000,
        ) {
            let (counts, weights): (Vec<u64>, Vec<f64>) = corpora.into_iter().unzip();
            let found = quotas(&counts, alpha, &weights, &counts, records);
            let usable: u64 = counts.iter().zip(&weights).filter(|(_, weight)| **weight > 0.0)
                .map(|(count, _)| count).sum();
            prop_assert_eq!(found.iter().sum::<u64>(), records.min(usable));
            prop_assert!(found.iter().zip(&counts).all(|(quota, count)| quota <= count));
        }

        #[test]
        fn walks_are_exact_and_even(records in 1u64..400, quota in 0u64..900, passes in 1u32..6) {
            let walk = Walk::new(records, quota);
            let mut shown = vec![0; records as usize];
            for pass in 0..passes {
                let copies: Vec<u64> = (0..records).map(|record| walk.copies(record, pass)).collect();
                prop_assert_eq!(copies.iter().sum::<u64>(), quota);
                shown.iter_mut().zip(copies).for_each(|(all, copies)| *all += copies);
            }
            let (least, most) = (shown.iter().min().unwrap(), shown.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{:?}", shown);
        }

        #[test]
        fn every_stretch_gets_its_share(records in 1000u64..100_000, share in 0.01f64..1.0, at in 0.0f64..0.9) {
            let quota = (records as f64 * share) as u64;
            let walk = Walk::new(records, quota);
            let start = (records as f64 * at) as u64;
            let stretch = start..start + records / 10;
            let wanted = (records / 10) as f64 * quota as f64 / records as f64;
            let found: u64 = stretch.map(|record| walk.copies(record, 0)).sum();
            prop_assert!((found as f64 - wanted).abs() < 40.0, "{} {}", found, wanted);
        }
    }
}
