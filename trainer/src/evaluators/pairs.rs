//! Scores of pairs of texts by their vectors.

use super::{Embedder, Role, Vectors};
use crate::Result;

/// What makes a score of two vectors; large ones are near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// The cosine of their angle; 0 with a vector of zeros.
    Cosine,
    /// Their product.
    Dot,
    /// Their distance, negative.
    Euclidean,
    /// The sum of absolute differences, negative.
    Manhattan,
}

impl Comparison {
    /// All of them; that which people use comes first.
    pub(super) const ALL: [Comparison; 4] = [
        Comparison::Cosine,
        Comparison::Dot,
        Comparison::Euclidean,
        Comparison::Manhattan,
    ];

    /// What stands behind the name of a metric.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Comparison::Cosine => "",
            Comparison::Dot => "_dot",
            Comparison::Euclidean => "_euclidean",
            Comparison::Manhattan => "_manhattan",
        }
    }

    /// Scores of pairs: row i of the first half with row i of the second.
    pub(super) fn scores(self, halves: &Vectors) -> Vec<f64> {
        let pairs = halves.rows() / 2;
        let score = |one: usize| {
            let other = pairs + one;
            match self {
                Comparison::Cosine => cosine(halves, one, other),
                // Not -0, which is another number to those that sort.
                Comparison::Dot => halves.dot(one, halves, other) + 0.0,
                Comparison::Euclidean => 0.0 - halves.euclidean(one, halves, other),
                Comparison::Manhattan => 0.0 - halves.manhattan(one, halves, other),
            }
        };
        (0..pairs).map(score).collect()
    }
}

/// The cosine, exactly 1 for equal rows, so that pairs of equal texts are tied.
fn cosine(vectors: &Vectors, one: usize, other: usize) -> f64 {
    let squares = vectors.dot(one, vectors, one) * vectors.dot(other, vectors, other);
    match squares > 0.0 {
        true => vectors.dot(one, vectors, other) / squares.sqrt() + 0.0,
        false => 0.0,
    }
}

/// Vectors of both halves of some pairs, one half after the other.
///
/// # Errors
/// As [`Embedder::embed`].
pub(super) fn embed_pairs(
    embedder: &mut dyn Embedder,
    one: &[String],
    other: &[String],
) -> Result<Vectors> {
    let texts = one.iter().chain(other).map(String::as_str);
    embedder.embed(&texts.collect::<Vec<_>>(), Role::Text)
}

#[cfg(test)]
mod tests {
    use super::Comparison;
    use crate::evaluators::Vectors;

    #[test]
    fn equal_rows_are_nearest_and_zeros_have_a_cosine() {
        let rows = [
            [0.1, 0.7],
            [0.3, -0.9],
            [0.0, 0.0],
            [0.1, 0.7],
            [0.9, 0.3],
            [1.0, 2.0],
        ];
        let halves = Vectors::dense(2, rows.as_flattened().to_vec()).unwrap();
        let all = Comparison::ALL.map(|comparison| comparison.scores(&halves));
        assert_eq!(all[0], [1.0, 0.0, 0.0]);
        assert_eq!(all[1][2], 0.0);
        assert_eq!((all[2][0], all[3][0]), (0.0, 0.0));
        assert!((all[2][2] + 5f64.sqrt()).abs() < 1e-12);
        assert_eq!(all[3][2], -3.0);
        assert!(
            all.iter()
                .flatten()
                .all(|score| score.is_sign_positive() || *score < 0.0)
        );
    }
}
