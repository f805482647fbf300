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

mod exact;
#[cfg(feature = "faiss")]
mod faiss;
mod ivf;
mod kernel;
mod kmeans;
mod matrix;
mod recall;
mod top_k;

use crate::error::Result;

pub use exact::Exact;
#[cfg(feature = "faiss")]
pub use faiss::Faiss;
pub use ivf::{Ivf, lists_for};
pub use kernel::operations_per_second;
pub use kmeans::training_rows;
pub use matrix::{Matrix, Precision, dot, number};
pub use recall::{exact_in_file, recall};
pub use top_k::{Hit, TopK};

/// Candidates beyond the wanted ones, so that rounding in the search cannot push out a right one.
const SPARE: usize = 4;

/// A nearest-neighbour search over the rows of a matrix.
pub trait Neighbors: Sync {
    /// The rows that are searched.
    fn matrix(&self) -> &Matrix;

    /// Offers each query, a row by its id, the rows that may be nearest to it; the query itself
    /// may be among them.
    ///
    /// # Errors
    /// The search library fails.
    fn offer(&self, queries: &[u32], best: &mut TopK) -> Result<()>;

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

#[cfg(test)]
mod tests;
