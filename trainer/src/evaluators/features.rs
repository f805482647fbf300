//! Vectors as a factor of products in f64, on all threads and with sums in one order.

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::{Sparse, Vectors};
use crate::kernels::gemm64::{Matrix, product};

/// Rows that a thread multiplies at once; sums over rows are over such parts, in their order.
const PART: usize = 512;

/// Parts whose sums are in memory at the same time.
const PARTS: usize = 16;

/// Vectors, ready to be multiplied from both sides.
#[derive(Clone, Debug)]
pub struct Features {
    /// Number of vectors.
    pub rows: usize,
    /// Length of a vector.
    pub dimension: usize,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    Dense(Vec<f64>),
    /// The vectors, and their columns as rows.
    Sparse(Sparse, Sparse),
}

impl Features {
    /// Copies vectors.
    pub fn new(vectors: &Vectors) -> Features {
        Features {
            rows: vectors.rows(),
            dimension: vectors.dimension(),
            numbers: match vectors {
                Vectors::Dense(dense) => {
                    Numbers::Dense(dense.values.iter().map(|&value| value.into()).collect())
                }
                Vectors::Sparse(sparse) => Numbers::Sparse(sparse.clone(), transposed(sparse)),
            },
        }
    }

    /// `X weights`. `[dimension, width]` to `[rows, width]`
    pub fn product(&self, weights: &[f64], width: usize) -> Vec<f64> {
        match &self.numbers {
            Numbers::Dense(values) => {
                let mut out = vec![0.0; self.rows * width];
                let parts = values.par_chunks(PART * self.dimension.max(1));
                let out_parts = out.par_chunks_mut(PART * width.max(1));
                out_parts.zip(parts).for_each(|(out, part)| {
                    let part = Matrix::new(part, self.dimension);
                    out.copy_from_slice(&product(part, Matrix::new(weights, width)));
                });
                out
            }
            Numbers::Sparse(sparse, _) => sparse_product(sparse, weights, width),
        }
    }

    /// `X' values`. `[rows, width]` to `[dimension, width]`
    pub fn transposed_product(&self, values: &[f64], width: usize) -> Vec<f64> {
        match &self.numbers {
            Numbers::Dense(numbers) => {
                let mut out = vec![0.0; self.dimension * width];
                let some = PARTS * PART;
                let parts = numbers.chunks(some * self.dimension.max(1));
                for (part, other) in parts.zip(values.chunks(some * width.max(1))) {
                    let parts = part.par_chunks(PART * self.dimension);
                    let sums: Vec<Vec<f64>> = parts
                        .zip(other.par_chunks(PART * width))
                        .map(|(part, other)| {
                            let part = Matrix::new(part, self.dimension);
                            product(part.transposed(), Matrix::new(other, width))
                        })
                        .collect();
                    for sum in sums {
                        out.iter_mut().zip(sum).for_each(|(out, sum)| *out += sum);
                    }
                }
                out
            }
            Numbers::Sparse(_, columns) => sparse_product(columns, values, width),
        }
    }

    /// One vector with all its numbers.
    pub fn row(&self, row: usize) -> Vec<f64> {
        match &self.numbers {
            Numbers::Dense(values) => values[row * self.dimension..][..self.dimension].to_vec(),
            Numbers::Sparse(sparse, _) => {
                let mut out = vec![0.0; self.dimension];
                let (columns, values) = sparse.row(row);
                let pairs = columns.iter().zip(values);
                pairs.for_each(|(&column, &value)| out[column as usize] = value.into());
                out
            }
        }
    }

    /// The squared length of each vector.
    pub fn squares(&self) -> Vec<f64> {
        let rows = 0..self.rows;
        match &self.numbers {
            Numbers::Dense(values) => rows
                .map(|row| {
                    let row = &values[row * self.dimension..][..self.dimension];
                    row.iter().map(|value| value * value).sum()
                })
                .collect(),
            Numbers::Sparse(sparse, _) => rows
                .map(|row| {
                    let values = sparse.row(row).1.iter();
                    values.map(|&value| f64::from(value).powi(2)).sum()
                })
                .collect(),
        }
    }

    /// The sum of all vectors.
    pub fn sum(&self) -> Vec<f64> {
        self.transposed_product(&vec![1.0; self.rows], 1)
    }

    /// `X' X`. `[dimension, dimension]`
    pub fn moments(&self) -> Vec<f64> {
        let mut all = vec![0.0; self.rows * self.dimension];
        let rows = all.chunks_exact_mut(self.dimension.max(1)).enumerate();
        rows.for_each(|(row, out)| out.copy_from_slice(&self.row(row)));
        self.transposed_product(&all, self.dimension)
    }
}

/// Rows as columns.
fn transposed(sparse: &Sparse) -> Sparse {
    let mut starts = vec![0usize; sparse.dimension + 1];
    for &column in &sparse.columns {
        starts[column as usize + 1] += 1;
    }
    (0..sparse.dimension).for_each(|column| starts[column + 1] += starts[column]);
    let mut out = Sparse {
        dimension: sparse.rows(),
        ends: starts[1..].to_vec(),
        columns: vec![0; sparse.columns.len()],
        values: vec![0.0; sparse.values.len()],
    };
    for row in 0..sparse.rows() {
        let (columns, values) = sparse.row(row);
        for (&column, &value) in columns.iter().zip(values) {
            let at = &mut starts[column as usize];
            (out.columns[*at], out.values[*at]) = (row as u32, value);
            *at += 1;
        }
    }
    out
}

fn sparse_product(sparse: &Sparse, weights: &[f64], width: usize) -> Vec<f64> {
    let rows = 0..sparse.rows();
    let parts: Vec<Vec<f64>> = rows
        .into_par_iter()
        .with_min_len(64)
        .map(|row| {
            let mut out = vec![0.0; width];
            let (columns, values) = sparse.row(row);
            for (&column, &value) in columns.iter().zip(values) {
                let weights = &weights[column as usize * width..][..width];
                let pairs = out.iter_mut().zip(weights);
                pairs.for_each(|(out, weight)| *out += f64::from(value) * weight);
            }
            out
        })
        .collect();
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::Features;
    use crate::evaluators::{Sparse, Vectors};

    #[test]
    fn sparse_and_dense_agree() {
        let (rows, dimension) = (1100, 7);
        let mut sparse = Sparse {
            dimension,
            ..Sparse::default()
        };
        let mut values = Vec::new();
        for row in 0..rows {
            let all = (0..dimension).map(|column| ((row * 5 + column * 3) % 8) as f32 - 3.0);
            let all: Vec<f32> = all.map(|value| value.max(0.0)).collect();
            let few = all.iter().enumerate().filter(|(_, value)| **value != 0.0);
            let few: Vec<(u32, f32)> = few.map(|(at, value)| (at as u32, *value)).collect();
            sparse.push(&few);
            values.extend(all);
        }
        let dense = Features::new(&Vectors::dense(dimension, values).unwrap());
        let sparse = Features::new(&Vectors::Sparse(sparse));
        let weights: Vec<f64> = (0..21).map(f64::from).collect();
        // All are whole numbers: no sum is rounded.
        assert_eq!(dense.product(&weights, 3), sparse.product(&weights, 3));
        let values: Vec<f64> = (0..2 * rows).map(|at| (at % 9) as f64).collect();
        let (one, two) = (
            dense.transposed_product(&values, 2),
            sparse.transposed_product(&values, 2),
        );
        assert_eq!(one, two);
        let wanted: f64 = (0..rows)
            .map(|row| dense.row(row)[4] * values[row * 2 + 1])
            .sum();
        assert_eq!(one[9], wanted);
        assert_eq!(dense.squares(), sparse.squares());
        assert_eq!(dense.sum(), sparse.sum());
        assert_eq!(dense.moments(), sparse.moments());
        assert_eq!(dense.row(1099), sparse.row(1099));
    }
}
