//! How much of the exact answer a search finds.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::kernel::{Scratch, offer_all};
use super::matrix::number;
use super::{Hit, Matrix, TopK};
use crate::error::{Error, Result};
use crate::flow::workers::{Team, chunks};

/// Two cosines closer than this count as equal: rows that tie are as good as each other.
const TIE: f32 = 1e-5;

/// Rows of a matrix that a worker compares at a time.
const ROWS: usize = 1 << 16;

/// Bytes of a file that a worker compares at a time.
const PIECE_BYTES: usize = 32 << 20;

/// The exact `k` nearest rows of each query, from the file of `f32` rows that the matrix was read
/// from: the oracle knows neither index nor half precision. Hits lie as in [`super::nearest`].
///
/// # Errors
/// The file cannot be read; an interruption.
pub fn exact_in_file(
    path: &Path,
    dimension: usize,
    queries: &[u32],
    k: usize,
    team: &Team<'_>,
) -> Result<Vec<Hit>> {
    let row_bytes = dimension * 4;
    let file = File::open(path).map_err(Error::input(path))?;
    let read = |first: usize, count: usize| {
        let mut bytes = vec![0; count * row_bytes];
        file.read_exact_at(&mut bytes, (first * row_bytes) as u64)
            .map_err(Error::input(path))?;
        Ok::<Vec<f32>, Error>(bytes.chunks_exact(4).map(number).collect())
    };
    let mut vectors = Vec::with_capacity(queries.len() * dimension);
    for &id in queries {
        vectors.extend(read(id as usize, 1)?);
    }
    let numbers: Vec<u32> = (0..queries.len() as u32).collect();
    let rows = file.metadata().map_err(Error::input(path))?.len() as usize / row_bytes;
    let parts = chunks(team, rows, (PIECE_BYTES / row_bytes).max(1), |range| {
        let values = read(range.start, range.len())?;
        let ids: Vec<u32> = (range.start as u32..range.end as u32).collect();
        let mut best = TopK::new(queries.len(), k + 1);
        offer_all(
            &vectors,
            &numbers,
            &values,
            &ids,
            dimension,
            &mut best,
            &mut Scratch::default(),
        );
        Ok((0..queries.len())
            .map(|at| best.candidates(at).to_vec())
            .collect::<Vec<_>>())
    })?;
    let mut found = Vec::with_capacity(queries.len() * k);
    for (at, &query) in queries.iter().enumerate() {
        let hits = parts.iter().flat_map(|part| &part[at]);
        let mut hits: Vec<Hit> = hits.filter(|hit| hit.id != query).copied().collect();
        hits.sort_unstable_by(Hit::order);
        hits.truncate(k);
        hits.resize(k, Hit::NOTHING);
        found.extend(hits);
    }
    Ok(found)
}

/// The exact `k` nearest rows of each of some vectors of unit length, which need not be rows; hits lie
/// as in [`super::nearest`]. The rows must be at the positions of their ids.
///
/// # Errors
/// An interruption.
pub fn exact_to(matrix: &Matrix, vectors: &[f32], k: usize, team: &Team<'_>) -> Result<Vec<Hit>> {
    let dimension = matrix.dimension();
    let queries = vectors.len() / dimension;
    let numbers: Vec<u32> = (0..queries as u32).collect();
    let parts = chunks(team, matrix.rows(), ROWS, |range| {
        let mut best = TopK::new(queries, k);
        let (mut buffer, mut scratch) = (Vec::new(), Scratch::default());
        let ids = matrix.ids(range.clone());
        let rows = matrix.at(range, &mut buffer);
        offer_all(
            vectors,
            &numbers,
            rows,
            ids,
            dimension,
            &mut best,
            &mut scratch,
        );
        let hits = |at| best.candidates(at).to_vec();
        Ok((0..queries).map(hits).collect::<Vec<_>>())
    })?;
    let mut found = Vec::with_capacity(queries * k);
    for query in 0..queries {
        let mut hits: Vec<Hit> = parts
            .iter()
            .flat_map(|part| &part[query])
            .copied()
            .collect();
        hits.sort_unstable_by(Hit::order);
        hits.truncate(k);
        hits.resize(k, Hit::NOTHING);
        found.extend(hits);
    }
    Ok(found)
}

/// Share of the exact hits that were found; a hit as near as the last exact one counts too.
pub fn recall(found: &[Hit], exact: &[Hit], k: usize) -> f64 {
    let (mut right, mut all) = (0u64, 0u64);
    for (found, exact) in found.chunks(k).zip(exact.chunks(k)) {
        let exact: Vec<&Hit> = exact.iter().filter(|hit| hit.id != Hit::NONE).collect();
        let Some(last) = exact.last() else { continue };
        let near = |hit: &&Hit| {
            hit.id != Hit::NONE
                && (hit.cosine >= last.cosine - TIE || exact.iter().any(|known| known.id == hit.id))
        };
        all += exact.len() as u64;
        right += found.iter().filter(near).count().min(exact.len()) as u64;
    }
    if all == 0 {
        1.0
    } else {
        right as f64 / all as f64
    }
}
