//! Association tests (Caliskan, Bryson and Narayanan 2017, "Semantics derived automatically from
//! language corpora contain human-like biases"): how two groups of targets differ in a number that
//! says how much nearer a target is to one attribute than to another.

use juzi_schemas::random::Draws;

/// Partitions that are all looked at; of more of them some are drawn.
const EXACT_MAX: u64 = 200_000;

/// The difference of the means of two groups, in standard deviations of all values together (which
/// divide by one less than there are); none where all values are equal.
pub fn effect_size(one: &[f64], other: &[f64]) -> Option<f64> {
    let all: Vec<f64> = one.iter().chain(other).copied().collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let center = mean(&all);
    let squares: f64 = all.iter().map(|value| (value - center).powi(2)).sum();
    let equal = all.windows(2).all(|pair| pair[0] == pair[1]);
    let deviation = (squares / (all.len() as f64 - 1.0)).sqrt();
    (!equal).then(|| (mean(one) - mean(other)) / deviation)
}

/// The share of the partitions of all values into groups of these sizes whose difference is at least
/// that of the two groups (one-sided); the groups themselves are one of them. Where there are more
/// than 200,000 so many are drawn instead.
pub fn permutation_p(one: &[f64], other: &[f64], permutations: usize, draws: &mut Draws) -> f64 {
    let mut all: Vec<f64> = one.iter().chain(other).copied().collect();
    // The sum of all is the same for each partition: that of the first group decides. Sums in
    // another order differ by rounding.
    let size: f64 = all.iter().map(|value| value.abs()).sum();
    let least = one.iter().sum::<f64>() - 1e-12 * size;
    let (count, chosen) = (all.len(), one.len());
    if let Some(total) = partitions(count, chosen) {
        let mut mask = (1u64 << chosen) - 1;
        let mut found = 0u64;
        for _ in 0..total {
            let members = (0..count).filter(|at| (mask >> at) & 1 == 1);
            let sum: f64 = members.map(|at| all[at]).sum();
            found += u64::from(sum >= least);
            // The next larger number with as many ones.
            let low = mask & mask.wrapping_neg();
            let carried = mask + low;
            mask = (((carried ^ mask) >> 2) / low.max(1)) | carried;
        }
        return found as f64 / total as f64;
    }
    let mut found = 1usize;
    for _ in 0..permutations {
        for at in 0..chosen {
            all.swap(at, at + draws.below(count - at));
        }
        found += usize::from(all[..chosen].iter().sum::<f64>() >= least);
    }
    found as f64 / (permutations + 1) as f64
}

/// How many ways there are to choose some of them, where they are few.
fn partitions(count: usize, chosen: usize) -> Option<u64> {
    let mut total = 1u64;
    for at in 0..chosen.min(count - chosen) {
        total = total * (count - at) as u64 / (at as u64 + 1);
        if total > EXACT_MAX {
            return None;
        }
    }
    (count < 63 && chosen > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use juzi_schemas::random::Draws;

    use super::{effect_size, partitions, permutation_p};

    /// `d = (x.mean() - y.mean()) / np.concatenate([x, y]).std(ddof=1)`
    #[test]
    fn effects() {
        let found = effect_size(&[1.0, 2.0, 3.0], &[0.0, 1.0, 2.0]).unwrap();
        assert!((found - 1.0 / 1.1f64.sqrt()).abs() < 1e-12, "{found}");
        let back = effect_size(&[0.0, 1.0, 2.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!((found + back).abs() < 1e-12);
        assert_eq!(effect_size(&[0.1, 0.1], &[0.1, 0.1]), None);
    }

    #[test]
    fn shares_of_partitions() {
        let mut draws = Draws::new(1, 0, 0, 0, 0);
        let mut p = |one: &[f64], other: &[f64]| permutation_p(one, other, 2000, &mut draws);
        // One of the twenty partitions.
        assert_eq!(p(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]), 0.05);
        assert_eq!(p(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 1.0);
        assert_eq!(p(&[7.0, 7.0], &[7.0]), 1.0);
        // 6 + 4, 6 + 5, 6 + 3 and 5 + 4 of the ten partitions of five.
        assert_eq!(p(&[6.0, 3.0], &[1.0, 4.0, 5.0]), 0.4);
        let many: Vec<f64> = (0..40).map(f64::from).collect();
        assert_eq!(p(&many[20..], &many[..20]), 1.0 / 2001.0);
        let even: Vec<f64> = (0..20).map(|at| f64::from(2 * at)).collect();
        let odd: Vec<f64> = (0..20).map(|at| f64::from(2 * at + 1)).collect();
        assert!((p(&odd, &even) - 0.4).abs() < 0.06);
    }

    #[test]
    fn numbers_of_partitions() {
        assert_eq!(
            (partitions(20, 10), partitions(5, 4)),
            (Some(184_756), Some(5))
        );
        assert_eq!((partitions(22, 11), partitions(100, 1)), (None, None));
    }
}
