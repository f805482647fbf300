//! Exact search: for each query the documents with the largest products.
//!
//! Products of f32 find the candidates, in blocks of queries, with a margin for all that rounding
//! can do; products of f64 put them into order. So the result is that of f64 throughout, at the cost
//! of f32, and does not depend on blocks or threads.

use rayon::iter::{IndexedParallelIterator, ParallelExtend, ParallelIterator};
use rayon::slice::ParallelSlice;

use serde::{Deserialize, Serialize};

use super::Vectors;
use crate::Result;

/// Products that are held at once: 32 MiB.
const BLOCK: usize = 8 << 20;

/// What the score of a query and a document is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// The product of the vectors as they are.
    #[default]
    Dot,
    /// The product of the vectors, each divided by its length.
    Cosine,
}

impl Product {
    /// Vectors whose products are the scores.
    pub(super) fn prepare(self, vectors: Vectors) -> Vectors {
        match self {
            Product::Dot => vectors,
            Product::Cosine => vectors.unit(),
        }
    }
}

/// A document that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hit {
    /// Its row.
    pub document: usize,
    /// The product of query and document.
    pub score: f64,
}

/// The first `count` documents of each query, the largest product first; of equal ones the document
/// with the smaller row.
///
/// # Errors
/// Queries and documents have different dimensions.
pub(super) fn search(
    queries: &Vectors,
    documents: &Vectors,
    count: usize,
) -> Result<Vec<Vec<Hit>>> {
    search_in_blocks(queries, documents, count, BLOCK)
}

fn search_in_blocks(
    queries: &Vectors,
    documents: &Vectors,
    count: usize,
    block: usize,
) -> Result<Vec<Vec<Hit>>> {
    let found = documents.rows();
    if found == 0 || count == 0 {
        return Ok(vec![Vec::new(); queries.rows()]);
    }
    let longest = (0..found)
        .map(|row| documents.dot(row, documents, row).sqrt())
        .fold(0.0, f64::max);
    let terms = terms(queries);
    let rows = (block / found).max(1);
    let mut hits = Vec::with_capacity(queries.rows());
    for start in (0..queries.rows()).step_by(rows) {
        let end = (start + rows).min(queries.rows());
        let products = queries.products(start..end, documents)?;
        let rows = products
            .par_chunks(found)
            .enumerate()
            .map(|(row, products)| {
                let query = start + row;
                let length = queries.dot(query, queries, query).sqrt() * longest;
                let candidates = candidates(products, count, margin(terms, length));
                ordered(queries, query, documents, candidates, count)
            });
        hits.par_extend(rows);
    }
    Ok(hits)
}

/// The largest number of terms that a sum has.
fn terms(queries: &Vectors) -> usize {
    match queries {
        Vectors::Dense(dense) => dense.dimension,
        Vectors::Sparse(sparse) => {
            let rows = 0..sparse.rows();
            rows.map(|row| sparse.row(row).0.len()).max().unwrap_or(0)
        }
    }
}

/// How far a product of f32 can be from the true one: every one of its products and sums rounds by
/// 2⁻²⁴ of at most the product of the lengths, or by the smallest number. Twice that, to be safe.
fn margin(terms: usize, lengths: f64) -> f64 {
    let steps = (terms + 2) as f64;
    // Sums that leave the range of f32 tell nothing.
    match lengths < f64::from(f32::MAX) / 2.0 {
        true => steps * (lengths * 2f64.powi(-23) + f64::from(f32::MIN_POSITIVE)),
        false => f64::INFINITY,
    }
}

/// Documents that can be among the first `count` when products are `margin` off.
fn candidates(products: &[f32], count: usize, margin: f64) -> Vec<usize> {
    if count >= products.len() || margin.is_infinite() {
        return (0..products.len()).collect();
    }
    let mut sorted = products.to_vec();
    let (_, last, _) = sorted.select_nth_unstable_by(count - 1, |one, other| other.total_cmp(one));
    let least = f64::from(*last) - 2.0 * margin;
    let all = products.iter().enumerate();
    all.filter(|&(_, &product)| f64::from(product) >= least)
        .map(|(document, _)| document)
        .collect()
}

fn ordered(
    queries: &Vectors,
    query: usize,
    documents: &Vectors,
    candidates: Vec<usize>,
    count: usize,
) -> Vec<Hit> {
    let hits = candidates.into_iter().map(|document| Hit {
        document,
        // Not -0, which would be less than 0.
        score: queries.dot(query, documents, document) + 0.0,
    });
    let mut hits: Vec<Hit> = hits.collect();
    let order = |one: &Hit, other: &Hit| {
        let order = other.score.total_cmp(&one.score);
        order.then(one.document.cmp(&other.document))
    };
    if hits.len() > count {
        hits.select_nth_unstable_by(count, order);
        hits.truncate(count);
    }
    hits.sort_unstable_by(order);
    hits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop, prop_assert_eq, proptest};

    use super::{search, search_in_blocks};
    use crate::evaluators::{Sparse, Vectors};

    fn naive(queries: &Vectors, documents: &Vectors, count: usize) -> Vec<Vec<(usize, f64)>> {
        let search = |query| {
            let all = 0..documents.rows();
            let mut all: Vec<_> = all
                .map(|document| (document, queries.dot(query, documents, document)))
                .collect();
            all.sort_by(|one, other| other.1.partial_cmp(&one.1).unwrap());
            all.truncate(count);
            all
        };
        (0..queries.rows()).map(search).collect()
    }

    fn found(
        queries: &Vectors,
        documents: &Vectors,
        count: usize,
        block: usize,
    ) -> Vec<Vec<(usize, f64)>> {
        let hits = search_in_blocks(queries, documents, count, block).unwrap();
        let pairs = |hits: Vec<super::Hit>| hits.iter().map(|it| (it.document, it.score)).collect();
        hits.into_iter().map(pairs).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_exact_with_ties_and_with_near_ties(
            steps in prop::collection::vec(-2i32..3, 12..120),
            near in prop::collection::vec(0u32..3, 120),
            count in 1usize..12,
            block in 1usize..60,
        ) {
            // Numbers that differ by the last bit of f32, far below what f32 sums can tell.
            let values = steps.iter().zip(&near);
            let values = values.map(|(&step, &near)| f32::from_bits((step as f32 * 0.3).to_bits() + near));
            let values: Vec<f32> = values.collect();
            let values = values[..values.len() / 3 * 3].to_vec();
            let documents = Vectors::dense(3, values).unwrap();
            let queries = documents.select(&[0, 1, 3, 2]);
            prop_assert_eq!(
                found(&queries, &documents, count, block),
                naive(&queries, &documents, count)
            );
        }
    }

    #[test]
    fn numbers_beyond_f32_and_empty_rows() {
        let documents = Vectors::dense(1, vec![3e38, 1e38, 2e38, 0.0]).unwrap();
        let queries = Vectors::dense(1, vec![3e38, -1e-45]).unwrap();
        let rows: Vec<Vec<usize>> = search(&queries, &documents, 2)
            .unwrap()
            .iter()
            .map(|hits| hits.iter().map(|hit| hit.document).collect())
            .collect();
        assert_eq!(rows, [[0, 2], [3, 1]]);
        let mut sparse = Sparse {
            dimension: 4,
            ..Sparse::default()
        };
        for row in [&[(1, 2.0)][..], &[], &[(1, -1.0), (3, 1.0)]] {
            sparse.push(row);
        }
        let sparse = Vectors::Sparse(sparse);
        assert_eq!(found(&sparse, &sparse, 2, 1), naive(&sparse, &sparse, 2));
        let nothing = Vectors::dense(1, Vec::new()).unwrap();
        assert_eq!(search(&queries, &nothing, 2).unwrap(), [vec![], vec![]]);
    }
}
