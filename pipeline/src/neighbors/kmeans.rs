//! Spherical k-means over a sample: the middles of the lists of an approximate index.

use std::ops::Range;

use juzi_schemas::random::Order;

use super::kernel::{Scratch, offer_all};
use super::{Matrix, TopK};
use crate::error::Result;
use crate::flow::workers::{Team, chunks};

/// Sampled rows for each list.
const SAMPLES_PER_LIST: usize = 40;

/// Rounds of assigning and averaging.
const ROUNDS: usize = 8;

/// Rows that a worker assigns at a time.
const CHUNK: usize = 4096;

/// Rows that are compared with every list during training, each round counted.
pub fn training_rows(rows: usize, lists: usize) -> f64 {
    (lists * SAMPLES_PER_LIST).min(rows) as f64 * ROUNDS as f64
}

/// Unit vectors in the middle of `lists` groups of rows, as `lists * dimension` numbers. They
/// follow from the rows and the seed; the number of threads does not matter.
///
/// # Errors
/// An interruption.
pub fn centroids(matrix: &Matrix, lists: usize, seed: u64, team: &Team<'_>) -> Result<Vec<f32>> {
    let sample = sample(matrix, lists, seed);
    let mut middles = Vec::new();
    matrix.gather(&sample[..lists], &mut middles);
    refine(matrix, &sample, middles, ROUNDS, team)
}

/// Moves middles, unit vectors one after another, to the middles of the sampled rows that are
/// nearest to them, a number of rounds; their number stays.
///
/// # Errors
/// An interruption.
pub fn refine(
    matrix: &Matrix,
    sample: &[u32],
    mut middles: Vec<f32>,
    rounds: usize,
    team: &Team<'_>,
) -> Result<Vec<f32>> {
    let dimension = matrix.dimension();
    let lists = middles.len() / dimension;
    // The averages cost nothing beside the products.
    let uncounted = Team {
        done: None,
        ..*team
    };
    for _ in 0..rounds {
        let nearest = chunks(team, sample.len(), CHUNK, |range| {
            let mut vectors = Vec::new();
            matrix.gather(&sample[range], &mut vectors);
            Ok(assign(&vectors, &middles, dimension))
        })?;
        let (order, ends) = grouped(&nearest.concat(), lists);
        middles = chunks(&uncounted, lists, 64, |range| {
            Ok(average(matrix, sample, &order, &ends, range))
        })?
        .concat();
        fill_empty(matrix, sample, &order, &ends, &mut middles);
    }
    Ok(middles)
}

/// Number of the nearest middle for each vector.
pub fn assign(vectors: &[f32], middles: &[f32], dimension: usize) -> Vec<u32> {
    let count = vectors.len() / dimension;
    let numbers: Vec<u32> = (0..count as u32).collect();
    let lists: Vec<u32> = (0..(middles.len() / dimension) as u32).collect();
    let mut best = TopK::new(count, 1);
    let mut scratch = Scratch::default();
    offer_all(
        vectors,
        &numbers,
        middles,
        &lists,
        dimension,
        &mut best,
        &mut scratch,
    );
    (0..count).map(|at| best.candidates(at)[0].id).collect()
}

/// Members of each list one after another in ascending order, and where each list ends.
pub fn grouped(lists_of: &[u32], lists: usize) -> (Vec<u32>, Vec<u32>) {
    let mut ends = vec![0u32; lists];
    for &list in lists_of {
        ends[list as usize] += 1;
    }
    let mut start = 0;
    for end in &mut ends {
        // For now the place of the next member; it ends up where the list ends.
        (start, *end) = (start + *end, start);
    }
    let mut order = vec![0; lists_of.len()];
    for (member, &list) in lists_of.iter().enumerate() {
        let place = &mut ends[list as usize];
        order[*place as usize] = member as u32;
        *place += 1;
    }
    (order, ends)
}

/// The members of a list within the order of [`grouped`].
pub fn members(ends: &[u32], list: usize) -> Range<usize> {
    let start = if list == 0 { 0 } else { ends[list - 1] };
    start as usize..ends[list] as usize
}

/// The rows with the lowest places in an order of the seed.
fn sample(matrix: &Matrix, lists: usize, seed: u64) -> Vec<u32> {
    let order = Order::new(seed);
    let wanted = (lists * SAMPLES_PER_LIST).min(matrix.rows());
    let mut places: Vec<(u64, u32)> = (0..matrix.rows() as u32)
        .map(|id| (order.place(u128::from(id) << 64 | 0x6b6d_6561_6e73), id))
        .collect();
    if wanted < places.len() {
        places.select_nth_unstable(wanted);
    }
    places.truncate(wanted);
    places.sort_unstable();
    places.into_iter().map(|(_, id)| id).collect()
}

fn average(
    matrix: &Matrix,
    sample: &[u32],
    order: &[u32],
    ends: &[u32],
    lists: Range<usize>,
) -> Vec<f32> {
    let dimension = matrix.dimension();
    let mut middles = Vec::with_capacity(lists.len() * dimension);
    let mut vectors = Vec::new();
    for list in lists {
        let ids: Vec<u32> = order[members(ends, list)]
            .iter()
            .map(|&at| sample[at as usize])
            .collect();
        vectors.clear();
        matrix.gather(&ids, &mut vectors);
        let mut sums = vec![0f64; dimension];
        for vector in vectors.chunks_exact(dimension) {
            sums.iter_mut()
                .zip(vector)
                .for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let length = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
        let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        middles.extend(sums.iter().map(|sum| (sum * scale) as f32));
    }
    middles
}

/// A list without members takes a member of the largest one as its middle.
fn fill_empty(matrix: &Matrix, sample: &[u32], order: &[u32], ends: &[u32], middles: &mut [f32]) {
    let largest = (0..ends.len()).max_by_key(|&list| (members(ends, list).len(), list));
    let donors = members(ends, largest.expect("at least one list"));
    let empty = (0..ends.len()).filter(|&list| members(ends, list).is_empty());
    for (list, donor) in empty.zip(donors) {
        let mut vector = Vec::new();
        matrix.gather(&[sample[order[donor] as usize]], &mut vector);
        let dimension = matrix.dimension();
        middles[list * dimension..(list + 1) * dimension].copy_from_slice(&vector);
    }
}
