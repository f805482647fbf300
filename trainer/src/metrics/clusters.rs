//! How well clusters agree with labels (Rosenberg and Hirschberg 2007, "V-Measure: A Conditional
//! Entropy-Based External Cluster Evaluation Measure").

use std::collections::BTreeMap;

/// What clusters and labels have in common; each is between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// 1 where each cluster has members of one label only.
    pub homogeneity: f64,
    /// 1 where all members of a label are in one cluster.
    pub completeness: f64,
    /// Their harmonic mean.
    pub v_measure: f64,
}

/// Compares clusters with labels: i is in cluster `clusters[i]` and has label `labels[i]`. A side
/// that is all one has nothing to lose: what divides by its entropy is 1.
pub fn agreement(labels: &[usize], clusters: &[usize]) -> Agreement {
    let (of_labels, of_clusters) = (entropy(labels), entropy(clusters));
    let both = labels
        .iter()
        .zip(clusters)
        .map(|(one, other)| (*one, *other));
    let both: Vec<(usize, usize)> = both.collect();
    // Rounding must not make it negative, or larger than either.
    let mutual = (of_labels + of_clusters - entropy(&both)).clamp(0.0, of_labels.min(of_clusters));
    let share = |entropy: f64| match entropy > 0.0 {
        true => mutual / entropy,
        false => 1.0,
    };
    let (homogeneity, completeness) = (share(of_labels), share(of_clusters));
    let sum = homogeneity + completeness;
    Agreement {
        homogeneity,
        completeness,
        v_measure: match sum > 0.0 {
            true => 2.0 * homogeneity * completeness / sum,
            false => 0.0,
        },
    }
}

/// Entropy of values by how often they come, in nats.
fn entropy<T: Ord>(values: &[T]) -> f64 {
    let mut counts = BTreeMap::new();
    values
        .iter()
        .for_each(|value| *counts.entry(value).or_insert(0usize) += 1);
    let mut counts: Vec<usize> = counts.into_values().collect();
    // In an order that names do not change.
    counts.sort_unstable();
    let all = values.len() as f64;
    let shares = counts.into_iter().map(|count| count as f64 / all);
    -shares.map(|share| share * share.ln()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::agreement;

    /// `sklearn.metrics.homogeneity_completeness_v_measure(labels, clusters)`
    #[test]
    fn values_are_those_of_sklearn() {
        let labels = [0, 0, 0, 1, 1, 2, 2, 2, 2, 3];
        let clusters = [0, 0, 1, 1, 1, 2, 2, 0, 2, 2];
        let found = agreement(&labels, &clusters);
        for (found, wanted) in [
            (found.homogeneity, H),
            (found.completeness, C),
            (found.v_measure, V),
        ] {
            assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        }
    }

    const H: f64 = 0.5258502518682331;
    const C: f64 = 0.6180656462921543;
    const V: f64 = 0.568241032922968;

    #[test]
    fn the_ends() {
        let values = |labels: &[usize], clusters: &[usize]| {
            let found = agreement(labels, clusters);
            (found.homogeneity, found.completeness, found.v_measure)
        };
        assert_eq!(values(&[0, 1, 1], &[5, 2, 2]), (1.0, 1.0, 1.0));
        assert_eq!(values(&[0, 0, 1, 1], &[0, 0, 0, 0]), (0.0, 1.0, 0.0));
        assert_eq!(values(&[0, 0], &[0, 0]), (1.0, 1.0, 1.0));
        assert_eq!(values(&[0, 0, 1, 1], &[0, 1, 0, 1]), (0.0, 0.0, 0.0));
        assert_eq!(values(&[], &[]), (1.0, 1.0, 1.0));
    }

    proptest! {
        #[test]
        fn symmetric_and_without_names(pairs in proptest::collection::vec((0usize..5, 0usize..4), 1..60)) {
            let (labels, clusters): (Vec<usize>, Vec<usize>) = pairs.into_iter().unzip();
            let (one, other) = (agreement(&labels, &clusters), agreement(&clusters, &labels));
            prop_assert!((one.v_measure - other.v_measure).abs() < 1e-12);
            prop_assert!((one.homogeneity - other.completeness).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&one.v_measure));
            let renamed: Vec<usize> = labels.iter().map(|label| (label * 2 + 3) % 5).collect();
            let other = agreement(&renamed, &clusters);
            prop_assert!((one.v_measure - other.v_measure).abs() < 1e-12);
            prop_assert_eq!(agreement(&labels, &labels).v_measure, 1.0);
        }
    }
}
