//! Spherical k-means of all rows of a matrix, begun with middles that are far from each other.

use juzi_schemas::random::Draws;

use super::kmeans::{assign, refine};
use super::{Matrix, dot};
use crate::error::Result;
use crate::flow::workers::{Team, chunks};

/// Rows for each middle among which the first middles are chosen.
const CHOICES: usize = 8;

/// Rows among which the first middles are chosen, at least.
const CHOICES_MIN: usize = 2048;

/// Rows that a worker looks at together.
const CHUNK: usize = 4096;

/// Keeps the draws of this file apart from all others of a seed.
const STREAM: u64 = 0x6b6d_2b2b;

/// Unit vectors in the middle of `count` groups of rows, one after another; as many as there are
/// rows if these are fewer. Rows must come in random order. The number of threads does not matter.
///
/// # Errors
/// An interruption.
pub fn middles(
    matrix: &Matrix,
    count: usize,
    rounds: usize,
    seed: u64,
    team: &Team<'_>,
) -> Result<Vec<f32>> {
    let count = count.min(matrix.rows());
    let first = spread(matrix, count, seed);
    let all: Vec<u32> = (0..matrix.rows() as u32).collect();
    let mut middles = Vec::new();
    matrix.gather(&first, &mut middles);
    refine(matrix, &all, middles, rounds, team)
}

/// Rows far from each other (k-means++, Arthur and Vassilvitskii 2007): each next one is drawn with
/// a chance proportional to 1 - cosine to the nearest one so far.
fn spread(matrix: &Matrix, count: usize, seed: u64) -> Vec<u32> {
    let rows = matrix.rows().min((count * CHOICES).max(CHOICES_MIN));
    let mut buffer = Vec::new();
    let values = matrix.at(0..rows, &mut buffer);
    let dimension = matrix.dimension();
    let row = |at: usize| &values[at * dimension..(at + 1) * dimension];
    let mut draws = Draws::new(seed, STREAM, 0, 0, count as u64);
    let mut distances = vec![f32::INFINITY; rows];
    let mut taken = vec![false; rows];
    let mut chosen: Vec<u32> = Vec::with_capacity(count);
    let mut next = if rows > 0 { draws.below(rows) } else { 0 };
    while chosen.len() < count {
        chosen.push(next as u32);
        taken[next] = true;
        let mut sum = 0.0;
        distances[next] = 0.0;
        for (at, distance) in distances.iter_mut().enumerate() {
            *distance = distance.min((1.0 - dot(row(at), row(next))).max(0.0));
            sum += f64::from(*distance);
        }
        let mut left = draws.unit() * sum;
        let found = distances.iter().position(|&distance| {
            left -= f64::from(distance);
            left < 0.0 && distance > 0.0
        });
        // Only equal rows are left: any that is not chosen yet does.
        let unused = || taken.iter().position(|&taken| !taken);
        next = match found.or_else(unused) {
            Some(next) => next,
            None => break,
        };
    }
    chosen
}

/// Mean distance (1 - cosine) of all rows from the nearest of some middles.
///
/// # Errors
/// An interruption.
pub fn inertia(matrix: &Matrix, middles: &[f32], team: &Team<'_>) -> Result<f64> {
    let dimension = matrix.dimension();
    let sums = chunks(team, matrix.rows(), CHUNK, |range| {
        let mut buffer = Vec::new();
        let rows = matrix.at(range, &mut buffer);
        let nearest = assign(rows, middles, dimension);
        let pairs = rows.chunks_exact(dimension).zip(nearest);
        let distances = pairs.map(|(row, at)| {
            let start = at as usize * dimension;
            1.0 - f64::from(dot(row, &middles[start..start + dimension]))
        });
        Ok(distances.sum::<f64>())
    })?;
    Ok(sums.iter().sum::<f64>() / matrix.rows().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::{inertia, middles};
    use crate::flow::workers::Team;
    use crate::neighbors::Matrix;

    const TEAM: Team<'_> = Team {
        threads: 2,
        name: "test",
        resume: "",
        done: None,
    };

    /// Six clusters around the axes, in no order.
    fn clustered(rows: usize) -> Vec<f32> {
        let mut values = Vec::new();
        for row in 0..rows {
            let near = |place: usize| ((row * (place + 3)) as f32 * 0.7).sin() * 0.05;
            let mut vector: Vec<f32> = (0..6).map(near).collect();
            vector[row * 7 % 6] += 1.0;
            let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
            values.extend(vector.iter().map(|value| value / length));
        }
        values
    }

    #[test]
    fn clear_clusters_are_found_with_any_seed() {
        let matrix = Matrix::new(clustered(900), 6);
        for seed in 0..20 {
            let found = middles(&matrix, 6, 8, seed, &TEAM).unwrap();
            let distance = inertia(&matrix, &found, &TEAM).unwrap();
            assert!(distance < 0.01, "seed {seed}: {distance}");
            let one = Team { threads: 1, ..TEAM };
            assert_eq!(found, middles(&matrix, 6, 8, seed, &one).unwrap());
        }
    }

    #[test]
    fn few_rows_and_equal_rows() {
        let matrix = Matrix::new(clustered(3), 6);
        assert_eq!(middles(&matrix, 9, 2, 1, &TEAM).unwrap().len(), 3 * 6);
        let same = Matrix::new([0.6, 0.8].repeat(50), 2);
        let found = middles(&same, 4, 3, 1, &TEAM).unwrap();
        assert_eq!(found.len(), 8);
        assert!(inertia(&same, &found, &TEAM).unwrap() < 1e-6);
    }

    #[cfg(feature = "faiss")]
    #[test]
    fn the_library_is_as_near() {
        let values = clustered(900);
        let found = crate::neighbors::faiss_middles(&values, 6, 12, 12, 1, 2).unwrap();
        assert_eq!(found.len(), 12 * 6);
        let matrix = Matrix::new(values, 6);
        let own = middles(&matrix, 12, 12, 1, &TEAM).unwrap();
        let [own, other] = [own, found].map(|found| inertia(&matrix, &found, &TEAM).unwrap());
        assert!(own < other * 1.2 + 1e-4, "{own} {other}");
    }
}
