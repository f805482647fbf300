//! Neighbours: for each of many rows the rows whose vectors point most nearly the same way.
//!
//! ```text
//! Matrix ─▶ exact   every row against every row                            pure Rust, the oracle
//!       ├▶ ivf     k-means lists; a block of queries meets each list once   pure Rust
//!       └▶ faiss   any index that its factory knows                         feature `faiss`
//!             └─▶ candidates ─▶ cosines anew in one fixed order ─▶ sorted, cut, ties by row
//! ```
//! All three give candidates only. The cosine that counts is computed by [`Matrix::cosine`], so
//! that it has the same bits on every machine and in every index.

mod cells;
mod exact;
#[cfg(feature = "faiss")]
mod faiss;
mod ivf;
mod kernel;
mod kmeans;
mod matrix;
mod recall;
mod spherical;
mod top_k;

use crate::error::Result;

pub use cells::Cells;
pub use exact::Exact;
#[cfg(feature = "faiss")]
pub use faiss::{Faiss, faiss_middles};
pub use ivf::{Ivf, lists_for};
pub use kernel::operations_per_second;
pub use kmeans::training_rows;
pub use matrix::{Matrix, Precision, dot, number};
pub use recall::{exact_in_file, exact_to, recall};
pub use spherical::{inertia, middles};
pub use top_k::{Hit, TopK};

/// Candidates beyond the wanted ones, so that rounding in the search cannot push out a right one.
const SPARE: usize = 4;

/// A nearest-neighbour search over the rows of a matrix.
pub trait Neighbors: Sync {
    /// The rows that are searched.
    fn matrix(&self) -> &Matrix;

    /// Offers each query, a vector of unit length, the rows that may be nearest to it; vectors lie
    /// one after another.
    ///
    /// # Errors
    /// The search library fails.
    fn offer_vectors(&self, vectors: &[f32], best: &mut TopK) -> Result<()>;

    /// Offers each query, a row by its id, the rows that may be nearest to it; the query itself
    /// may be among them.
    ///
    /// # Errors
    /// The search library fails.
    fn offer(&self, queries: &[u32], best: &mut TopK) -> Result<()> {
        let mut vectors = Vec::new();
        self.matrix().gather(queries, &mut vectors);
        self.offer_vectors(&vectors, best)
    }

    /// True when several threads may search at a time.
    fn is_shared(&self) -> bool {
        true
    }

    /// How widely to look: lists of an inverted index, a quarter of `efSearch` of a graph.
    ///
    /// # Errors
    /// The search library fails.
    fn set_probes(&mut self, probes: usize) -> Result<()>;
}

/// The `k` nearest rows of each query, best first, equal cosines by id; never the query itself.
/// Query q of n has its hits at `q * k`; a missing one has the id [`Hit::NONE`].
///
/// # Errors
/// As [`Neighbors::offer`].
pub fn nearest(index: &dyn Neighbors, queries: &[u32], k: usize) -> Result<Vec<Hit>> {
    let mut best = TopK::new(queries.len(), k + SPARE + 1);
    index.offer(queries, &mut best)?;
    let matrix = index.matrix();
    let mut found = Vec::with_capacity(queries.len() * k);
    for (number, &query) in queries.iter().enumerate() {
        let hits = best.candidates(number);
        let mut hits: Vec<Hit> = hits.iter().filter(|hit| hit.id != query).copied().collect();
        for hit in &mut hits {
            hit.cosine = matrix.cosine(query, hit.id);
        }
        hits.sort_unstable_by(Hit::order);
        hits.truncate(k);
        hits.resize(k, Hit::NOTHING);
        found.extend(hits);
    }
    Ok(found)
}

/// The `k` nearest rows of each of some vectors of unit length, which need not be rows; as
/// [`nearest`], but with a list of its own for each, which may be shorter than `k`.
///
/// # Errors
/// As [`Neighbors::offer_vectors`].
pub fn nearest_to(index: &dyn Neighbors, vectors: &[f32], k: usize) -> Result<Vec<Vec<Hit>>> {
    let matrix = index.matrix();
    let dimension = matrix.dimension();
    let mut best = TopK::new(vectors.len() / dimension, k + SPARE);
    index.offer_vectors(vectors, &mut best)?;
    let mut found = Vec::with_capacity(best.queries());
    for (number, query) in vectors.chunks_exact(dimension).enumerate() {
        let mut hits = best.candidates(number).to_vec();
        for hit in &mut hits {
            hit.cosine = matrix.cosine_to(query, hit.id);
        }
        hits.sort_unstable_by(Hit::order);
        hits.truncate(k);
        found.push(hits);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
