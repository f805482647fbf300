//! The product that every search is made of: a tile of queries against a tile of rows.

use std::time::{Duration, Instant};

use gemm::{Parallelism, gemm};

use super::top_k::TopK;

/// Queries in a tile.
const QUERIES: usize = 512;

/// Rows in a tile: with the queries' scores they stay in a core's own cache.
const ROWS: usize = 192;

/// Memory of one thread's products, reused.
#[derive(Default)]
pub struct Scratch {
    scores: Vec<f32>,
}

/// Offers every row of `rows` to every query; both hold rows of `dimension` numbers, and query q
/// collects its hits as number `numbers[q]`.
pub fn offer_all(
    queries: &[f32],
    numbers: &[u32],
    rows: &[f32],
    ids: &[u32],
    dimension: usize,
    best: &mut TopK,
    scratch: &mut Scratch,
) {
    for (rows, ids) in rows.chunks(ROWS * dimension).zip(ids.chunks(ROWS)) {
        let tiles = queries.chunks(QUERIES * dimension);
        for (queries, numbers) in tiles.zip(numbers.chunks(QUERIES)) {
            scratch.scores.resize(numbers.len() * ids.len(), 0.0);
            multiply(queries, rows, dimension, &mut scratch.scores);
            for (scores, &number) in scratch.scores.chunks(ids.len()).zip(numbers) {
                best.offer_row(number as usize, scores, ids);
            }
        }
    }
}

/// Products of each query with each row: `scores[q * rows + r]`.
fn multiply(queries: &[f32], rows: &[f32], dimension: usize, scores: &mut [f32]) {
    let (m, n, k) = (queries.len() / dimension, rows.len() / dimension, dimension);
    assert_eq!(scores.len(), m * n, "room for every score");
    // SAFETY: `queries` holds m rows and `rows` n rows of k numbers, and `scores` m rows of n.
    unsafe {
        gemm(
            m,
            n,
            k,
            scores.as_mut_ptr(),
            1,
            n as isize,
            false,
            queries.as_ptr(),
            1,
            k as isize,
            rows.as_ptr(),
            k as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Multiplications and additions a second that one thread reaches, measured for a moment.
pub fn operations_per_second(dimension: usize) -> f64 {
    let queries = vec![0.1; QUERIES * dimension];
    let rows = vec![0.1; ROWS * dimension];
    let mut scores = vec![0.0; QUERIES * ROWS];
    let started = Instant::now();
    let mut rounds = 0;
    while started.elapsed() < Duration::from_millis(120) {
        multiply(&queries, &rows, dimension, &mut scores);
        rounds += 1;
    }
    let operations = 2.0 * (QUERIES * ROWS * dimension) as f64 * f64::from(rounds);
    operations / started.elapsed().as_secs_f64()
}
