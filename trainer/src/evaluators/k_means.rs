//! Clusters by k-means (Lloyd's steps) from starts by k-means++ (Arthur and Vassilvitskii 2007), in
//! f64 and the same for any number of threads.

use juzi_schemas::random::Draws;

use super::features::Features;

/// Keeps the draws of starts apart from others of the same seed.
const STREAM: u64 = 0x6b6d_6561;

/// Most steps from one start.
const STEPS_MAX: usize = 100;

/// Clusters of rows.
#[derive(Clone, Debug)]
pub struct Clusters {
    /// Number of each row's cluster.
    pub of: Vec<usize>,
    /// The sum of the squared distances of all rows to the means of their clusters.
    pub inertia: f64,
}

/// The best of the clusters from several starts: those with the smallest inertia, the first of
/// equals. The draws are those of a seed and a round.
pub fn best(features: &Features, k: usize, starts: usize, seed: u64, round: u64) -> Clusters {
    let squares = features.squares();
    let all = (0..starts.max(1) as u64).map(|start| {
        let mut draws = Draws::new(seed, STREAM, round, start.into(), 0);
        let centers = start_centers(features, &squares, k, &mut draws);
        lloyd(features, &squares, k, centers)
    });
    let better = |best: Clusters, other: Clusters| match other.inertia < best.inertia {
        true => other,
        false => best,
    };
    all.reduce(better).expect("there is a start")
}

/// Rows as first centers, each drawn by its squared distance to the nearest one before it.
/// `[dimension, k]`
fn start_centers(features: &Features, squares: &[f64], k: usize, draws: &mut Draws) -> Vec<f64> {
    let mut centers = vec![0.0; features.dimension * k];
    let mut nearest = vec![f64::INFINITY; features.rows];
    for cluster in 0..k {
        let sum: f64 = nearest.iter().sum();
        let chosen = match cluster > 0 && sum > 0.0 {
            true => drawn(&nearest, draws.unit() * sum),
            false => draws.below(features.rows),
        };
        let center = features.row(chosen);
        let products = features.product(&center, 1);
        for (row, nearest) in nearest.iter_mut().enumerate() {
            let square = squares[row] + squares[chosen] - 2.0 * products[row];
            *nearest = nearest.min(square.max(0.0));
        }
        nearest[chosen] = 0.0;
        let column = centers.iter_mut().skip(cluster).step_by(k);
        column.zip(center).for_each(|(to, value)| *to = value);
    }
    centers
}

/// The first place up to which the weights sum to more than a value.
fn drawn(weights: &[f64], value: f64) -> usize {
    let mut sum = 0.0;
    let found = weights.iter().position(|weight| {
        sum += weight;
        sum > value
    });
    let last = weights.iter().rposition(|&weight| weight > 0.0);
    found.or(last).unwrap_or(0)
}

/// Gives rows to the nearest center and moves centers to the means of their rows, until no row
/// moves. A center that loses all rows stays where it is.
fn lloyd(features: &Features, squares: &[f64], k: usize, mut centers: Vec<f64>) -> Clusters {
    let mut of = vec![usize::MAX; features.rows];
    let mut inertia = 0.0;
    for _ in 0..STEPS_MAX {
        let lengths: Vec<f64> = (0..k)
            .map(|cluster| {
                let column = centers.iter().skip(cluster).step_by(k);
                column.map(|value| value * value).sum()
            })
            .collect();
        let products = features.product(&centers, k);
        let mut moved = false;
        inertia = 0.0;
        for (row, products) in products.chunks_exact(k).enumerate() {
            let distance = |cluster: usize| lengths[cluster] - 2.0 * products[cluster];
            let nearer = |best: usize, cluster: usize| match distance(cluster) < distance(best) {
                true => cluster,
                false => best,
            };
            let cluster = (1..k).fold(0, nearer);
            inertia += (squares[row] + distance(cluster)).max(0.0);
            moved |= std::mem::replace(&mut of[row], cluster) != cluster;
        }
        if !moved {
            break;
        }
        move_centers(features, &of, k, &mut centers);
    }
    Clusters { of, inertia }
}

fn move_centers(features: &Features, of: &[usize], k: usize, centers: &mut [f64]) {
    let mut members = vec![0.0; features.rows * k];
    let mut counts = vec![0.0; k];
    for (row, &cluster) in of.iter().enumerate() {
        members[row * k + cluster] = 1.0;
        counts[cluster] += 1.0;
    }
    let sums = features.transposed_product(&members, k);
    for (at, (center, sum)) in centers.iter_mut().zip(sums).enumerate() {
        if counts[at % k] > 0.0 {
            *center = sum / counts[at % k];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Features, best, drawn};
    use crate::evaluators::Vectors;

    #[test]
    fn clouds_are_found() {
        let mut values = Vec::new();
        for row in 0..600 {
            let center = [[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]][row % 4];
            let noise = [(row * 7 % 13) as f32 / 13.0, (row * 5 % 17) as f32 / 17.0];
            values.extend([center[0] + noise[0], center[1] + noise[1]]);
        }
        let features = Features::new(&Vectors::dense(2, values).unwrap());
        let found = best(&features, 4, 3, 1, 0);
        for row in 0..600 {
            assert_eq!(found.of[row], found.of[row % 4]);
        }
        let four: std::collections::BTreeSet<_> = found.of[..4].iter().collect();
        assert_eq!(four.len(), 4);
        // The inertia is that of the definition.
        let mut sum = 0.0;
        for cluster in 0..4 {
            let members: Vec<Vec<f64>> = (0..600)
                .filter(|&row| found.of[row] == cluster)
                .map(|row| features.row(row))
                .collect();
            for at in 0..2 {
                let mean = members.iter().map(|row| row[at]).sum::<f64>() / members.len() as f64;
                sum += members
                    .iter()
                    .map(|row| (row[at] - mean).powi(2))
                    .sum::<f64>();
            }
        }
        assert!(
            (found.inertia - sum).abs() < 1e-8 * sum,
            "{} {sum}",
            found.inertia
        );
    }

    #[test]
    fn fewer_places_than_clusters() {
        let features = Features::new(&Vectors::dense(1, vec![1.0, 1.0, 2.0]).unwrap());
        let found = best(&features, 3, 2, 1, 0);
        assert_eq!((found.of[0], found.inertia), (found.of[1], 0.0));
        assert_ne!(found.of[0], found.of[2]);
    }

    #[test]
    fn draws_by_weight() {
        let weights = [0.0, 2.0, 0.0, 1.0, 0.0];
        assert_eq!((drawn(&weights, 0.0), drawn(&weights, 1.9)), (1, 1));
        assert_eq!((drawn(&weights, 2.0), drawn(&weights, 3.0)), (3, 3));
    }
}
