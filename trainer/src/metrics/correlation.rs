//! Correlations of scores with gold.

/// Ranks from 1; equal values have the mean of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&one, &other| values[one].total_cmp(&values[other]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let value = values[order[start]];
        let equal = order[start..].iter().take_while(|&&at| values[at] == value);
        let end = start + equal.count();
        // The mean of start + 1 ..= end.
        let rank = (start + 1 + end) as f64 / 2.0;
        order[start..end].iter().for_each(|&at| ranks[at] = rank);
        start = end;
    }
    ranks
}

/// Pearson's correlation; none where one side is constant.
pub fn pearson(one: &[f64], other: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_one, mean_other) = (mean(one), mean(other));
    let (mut both, mut first, mut second) = (0.0, 0.0, 0.0);
    for (a, b) in one.iter().zip(other) {
        let (a, b) = (a - mean_one, b - mean_other);
        (both, first, second) = (both + a * b, first + a * a, second + b * b);
    }
    let constant = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
    let found = (!constant(one) && !constant(other)).then(|| both / (first * second).sqrt());
    // Squares of tiny or huge numbers leave the range of f64.
    let found = found.filter(|found| found.is_finite());
    found.map(|found| found.clamp(-1.0, 1.0))
}

/// Spearman's correlation: Pearson's of the ranks, ties by mean ranks; none where one side is
/// constant.
pub fn spearman(one: &[f64], other: &[f64]) -> Option<f64> {
    pearson(&ranks(one), &ranks(other))
}

/// Kendall's tau-b in O(n log n) (Knight 1966): pairs of the same order less those of the other
/// order, over the geometric mean of the pairs that are not tied on either side; none where one
/// side is constant.
pub fn kendall(one: &[f64], other: &[f64]) -> Option<f64> {
    // Ranks make -0 and 0 equal, as `==` does.
    let (one, other) = (ranks(one), ranks(other));
    let mut order: Vec<usize> = (0..one.len()).collect();
    order.sort_by(|&a, &b| {
        let first = one[a].total_cmp(&one[b]);
        first.then(other[a].total_cmp(&other[b]))
    });
    let sorted: Vec<(f64, f64)> = order.iter().map(|&at| (one[at], other[at])).collect();
    let tied_one = tied(sorted.chunk_by(|a, b| a.0 == b.0));
    let tied_both = tied(sorted.chunk_by(|a, b| a == b));
    let mut values: Vec<f64> = sorted.iter().map(|pair| pair.1).collect();
    let swaps = swaps(&mut values, &mut vec![0.0; one.len()]);
    let tied_other = tied(values.chunk_by(|a, b| a == b));
    let all = pairs(one.len());
    if tied_one == all || tied_other == all {
        return None;
    }
    let same = all + tied_both - tied_one - tied_other;
    let difference = same as f64 - 2.0 * swaps as f64;
    let found = difference / ((all - tied_one) as f64).sqrt() / ((all - tied_other) as f64).sqrt();
    Some(found.clamp(-1.0, 1.0))
}

/// Pairs of `count` things.
fn pairs(count: usize) -> u64 {
    let count = count as u64;
    count * count.saturating_sub(1) / 2
}

/// Pairs within runs.
fn tied<'a, T: 'a>(runs: impl Iterator<Item = &'a [T]>) -> u64 {
    runs.map(|run| pairs(run.len())).sum()
}

/// Sorts values by merging, and counts the pairs that stood in the wrong order. `space` is as long.
fn swaps(values: &mut [f64], space: &mut [f64]) -> u64 {
    if values.len() < 2 {
        return 0;
    }
    let middle = values.len() / 2;
    let (left, right) = values.split_at_mut(middle);
    let (left_space, right_space) = space.split_at_mut(middle);
    let mut count = swaps(left, left_space) + swaps(right, right_space);
    let (mut from_left, mut from_right) = (0, 0);
    for out in space.iter_mut() {
        let is_left = from_right == right.len()
            || from_left < left.len() && left[from_left] <= right[from_right];
        if is_left {
            *out = left[from_left];
            from_left += 1;
        } else {
            *out = right[from_right];
            from_right += 1;
            count += (left.len() - from_left) as u64;
        }
    }
    values.copy_from_slice(space);
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};

    use super::{kendall, pearson, ranks, spearman};

    #[test]
    fn ties_have_mean_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0, 3.0]), [4.0, 1.0, 4.0, 2.0, 4.0]);
        let found = spearman(&[0.1, 0.4, 0.35, 0.8, 0.9], &[0.0, 0.0, 1.0, 1.0, 1.0]);
        assert!((found.unwrap() - 1.0 / 3f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_constant_side_has_no_correlation() {
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(pearson(&[1.0, 2.0, 3.0], &[0.5, 0.5, 0.5]), None);
        assert_eq!(pearson(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]), Some(1.0));
    }
    #[test]
    fn tiny_and_huge_numbers_have_a_correlation_or_none() {
        let tiny = [1e-200, 2e-200, 4e-200];
        assert_eq!(pearson(&tiny, &[1.0, 2.0, 3.0]), None);
        assert_eq!(spearman(&tiny, &[1.0, 2.0, 3.0]), Some(1.0));
        assert_eq!(kendall(&[], &[]), None);
        assert_eq!(kendall(&[0.0, -0.0], &[1.0, 2.0]), None);
        assert_eq!(kendall(&[2.0, 1.0], &[1.0, 2.0]), Some(-1.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn kendall_counts_all_pairs(
            points in prop::collection::vec((-4i32..5, -3i32..4), 1..40),
        ) {
            let one: Vec<f64> = points.iter().map(|point| f64::from(point.0)).collect();
            let other: Vec<f64> = points.iter().map(|point| f64::from(point.1)).collect();
            let (mut sum, mut left, mut right) = (0.0, 0.0, 0.0);
            for (at, a) in points.iter().enumerate() {
                for b in &points[..at] {
                    let signs = ((a.0 - b.0).signum(), (a.1 - b.1).signum());
                    sum += f64::from(signs.0 * signs.1);
                    left += f64::from(signs.0.abs());
                    right += f64::from(signs.1.abs());
                }
            }
            match kendall(&one, &other) {
                Some(found) => prop_assert!((found - sum / f64::sqrt(left * right)).abs() < 1e-12),
                None => prop_assert_eq!(left * right, 0.0),
            }
        }
    }
}
