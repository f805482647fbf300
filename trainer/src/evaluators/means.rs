//! Means of groups of vectors: what several words or sentences say together.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Dense, Sparse, Vectors};

/// The mean of each group of rows.
pub fn means(vectors: &Vectors, groups: &[Range<usize>]) -> Vectors {
    match vectors {
        Vectors::Dense(dense) => {
            let mut values = Vec::with_capacity(groups.len() * dense.dimension);
            for group in groups {
                let count = group.len().max(1) as f64;
                values.extend((0..dense.dimension).map(|column| {
                    let rows = group.clone();
                    let sum: f64 = rows.map(|row| f64::from(dense.row(row)[column])).sum();
                    (sum / count) as f32
                }));
            }
            Vectors::Dense(Dense {
                dimension: dense.dimension,
                values,
            })
        }
        Vectors::Sparse(sparse) => {
            let mut all = Sparse {
                dimension: sparse.dimension,
                ..Sparse::default()
            };
            for group in groups {
                let mut sums = BTreeMap::new();
                for row in group.clone() {
                    let (columns, values) = sparse.row(row);
                    for (&column, &value) in columns.iter().zip(values) {
                        *sums.entry(column).or_insert(0.0) += f64::from(value);
                    }
                }
                let count = group.len().max(1) as f64;
                let row = sums.into_iter().map(|(at, sum)| (at, (sum / count) as f32));
                all.push(&row.collect::<Vec<_>>());
            }
            Vectors::Sparse(all)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::means;
    use crate::evaluators::{Sparse, Vectors};

    #[test]
    fn sparse_and_dense_agree() {
        let dense = Vectors::dense(3, vec![1.0, 0.0, 2.0, 0.0, 0.0, 4.0, 6.0, 0.0, 0.0]).unwrap();
        let mut sparse = Sparse {
            dimension: 3,
            ..Sparse::default()
        };
        sparse.push(&[(0, 1.0), (2, 2.0)]);
        sparse.push(&[(2, 4.0)]);
        sparse.push(&[(0, 6.0)]);
        let Vectors::Dense(found) = means(&dense, &[0..2, 2..3]) else {
            panic!("the kind stays");
        };
        assert_eq!(found.values, [0.5, 0.0, 3.0, 6.0, 0.0, 0.0]);
        let Vectors::Sparse(found) = means(&Vectors::Sparse(sparse), &[0..2, 2..3]) else {
            panic!("the kind stays");
        };
        assert_eq!(
            (found.columns, found.values),
            (vec![0, 2, 0], vec![0.5, 3.0, 6.0])
        );
    }
}
