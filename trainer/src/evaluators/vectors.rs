//! Vectors of texts as evaluators see them: rows of numbers, dense from a model, sparse from counts
//! of words.

use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::kernels::gemm::{Matrix, MatrixMut, product_on_all};
use crate::{Error, Result};

/// The vectors of some texts, one row each.
#[derive(Clone, Debug, PartialEq)]
pub enum Vectors {
    /// All numbers are there.
    Dense(Dense),
    /// Most numbers are 0.
    Sparse(Sparse),
}

/// Rows of `dimension` numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dense {
    /// Length of a row.
    pub dimension: usize,
    /// `[rows, dimension]`
    pub values: Vec<f32>,
}

/// Rows of which only the numbers that are not 0 are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sparse {
    /// Length of a row.
    pub dimension: usize,
    /// Where each row ends in `columns` and `values`.
    pub ends: Vec<usize>,
    /// Columns of the numbers, rising within a row.
    pub columns: Vec<u32>,
    /// The numbers.
    pub values: Vec<f32>,
}

impl Dense {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.dimension.max(1)
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimension..][..self.dimension]
    }
}

impl Sparse {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    /// Columns and numbers of a row.
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        let span = start..self.ends[row];
        (&self.columns[span.clone()], &self.values[span])
    }

    /// Adds a row.
    pub fn push(&mut self, row: &[(u32, f32)]) {
        for &(column, value) in row {
            self.columns.push(column);
            self.values.push(value);
        }
        self.ends.push(self.columns.len());
    }
}

/// Sparse rows by column: a row of counts meets few of the others, so only those are looked at.
struct Columns {
    /// Where the entries of each column start, and where the last ends.
    starts: Vec<usize>,
    /// Rows that have the column, rising, and their numbers.
    entries: Vec<(usize, f32)>,
}

impl Columns {
    fn of(sparse: &Sparse) -> Columns {
        let mut starts = vec![0; sparse.dimension + 1];
        for &column in &sparse.columns {
            starts[column as usize + 1] += 1;
        }
        for column in 0..sparse.dimension {
            starts[column + 1] += starts[column];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0, 0.0); sparse.columns.len()];
        for row in 0..sparse.rows() {
            let (columns, values) = sparse.row(row);
            for (&column, &value) in columns.iter().zip(values) {
                let place = &mut next[column as usize];
                entries[*place] = (row, value);
                *place += 1;
            }
        }
        Columns { starts, entries }
    }

    /// Adds the products of a row with all rows, each summed over rising columns.
    fn add_products(&self, (columns, values): (&[u32], &[f32]), out: &mut [f32]) {
        for (&column, &value) in columns.iter().zip(values) {
            let span = self.starts[column as usize]..self.starts[column as usize + 1];
            for &(row, other) in &self.entries[span] {
                out[row] += value * other;
            }
        }
    }
}

impl Vectors {
    /// Dense rows, all of them finite.
    ///
    /// # Errors
    /// The row with a number that is none.
    pub fn dense(dimension: usize, values: Vec<f32>) -> Result<Vectors> {
        let dense = Dense { dimension, values };
        match (0..dense.rows()).find(|&row| dense.row(row).iter().any(|value| !value.is_finite())) {
            Some(row) => Err(Error::Usage(format!(
                "vector {row} has a number that is not finite; nothing can be measured with it"
            ))),
            None => Ok(Vectors::Dense(dense)),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Vectors::Dense(dense) => dense.rows(),
            Vectors::Sparse(sparse) => sparse.rows(),
        }
    }

    /// Length of a row.
    pub fn dimension(&self) -> usize {
        match self {
            Vectors::Dense(dense) => dense.dimension,
            Vectors::Sparse(sparse) => sparse.dimension,
        }
    }

    /// The same rows, each divided by its length; a row of zeros stays so.
    pub fn unit(mut self) -> Vectors {
        match &mut self {
            Vectors::Dense(dense) => {
                let rows = dense.values.chunks_exact_mut(dense.dimension.max(1));
                rows.for_each(shorten);
            }
            Vectors::Sparse(sparse) => {
                let mut start = 0;
                for &end in &sparse.ends {
                    shorten(&mut sparse.values[start..end]);
                    start = end;
                }
            }
        }
        self
    }

    /// Some of the rows, in this order.
    pub fn select(&self, rows: &[usize]) -> Vectors {
        match self {
            Vectors::Dense(dense) => {
                let picked = rows.iter().flat_map(|&row| dense.row(row));
                Vectors::Dense(Dense {
                    dimension: dense.dimension,
                    values: picked.copied().collect(),
                })
            }
            Vectors::Sparse(sparse) => {
                let mut picked = Sparse {
                    dimension: sparse.dimension,
                    ..Sparse::default()
                };
                for &row in rows {
                    let (columns, values) = sparse.row(row);
                    picked.columns.extend(columns);
                    picked.values.extend(values);
                    picked.ends.push(picked.columns.len());
                }
                Vectors::Sparse(picked)
            }
        }
    }

    /// The product of a row with a row of others, summed from left to right in f64: equal rows have
    /// equal products, wherever they stand.
    pub fn dot(&self, row: usize, others: &Vectors, other: usize) -> f64 {
        match (self, others) {
            (Vectors::Dense(one), Vectors::Dense(two)) => {
                let pairs = one.row(row).iter().zip(two.row(other));
                pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            }
            (Vectors::Sparse(one), Vectors::Sparse(two)) => {
                sparse_dot(one.row(row), two.row(other))
            }
            _ => unreachable!("vectors of one embedder are of one kind"),
        }
    }

    /// The differences of a row and a row of others that can be other than 0, by column.
    fn differences(&self, row: usize, others: &Vectors, other: usize) -> Vec<f64> {
        let less = |a: f32, b: f32| f64::from(a) - f64::from(b);
        match (self, others) {
            (Vectors::Dense(one), Vectors::Dense(two)) => {
                let pairs = one.row(row).iter().zip(two.row(other));
                pairs.map(|(&a, &b)| less(a, b)).collect()
            }
            (Vectors::Sparse(one), Vectors::Sparse(two)) => {
                let (one, two) = (one.row(row), two.row(other));
                let (mut at, mut other, mut found) = (0, 0, Vec::new());
                while at < one.0.len() || other < two.0.len() {
                    let left = one.0.get(at).copied().unwrap_or(u32::MAX);
                    let right = two.0.get(other).copied().unwrap_or(u32::MAX);
                    let a = if left <= right { one.1[at] } else { 0.0 };
                    let b = if right <= left { two.1[other] } else { 0.0 };
                    (at, other) = (
                        at + usize::from(left <= right),
                        other + usize::from(right <= left),
                    );
                    found.push(less(a, b));
                }
                found
            }
            _ => unreachable!("vectors of one embedder are of one kind"),
        }
    }

    /// The Euclidean distance of a row and a row of others.
    pub fn euclidean(&self, row: usize, others: &Vectors, other: usize) -> f64 {
        let differences = self.differences(row, others, other);
        let squares = differences.iter().map(|difference| difference.powi(2));
        squares.sum::<f64>().sqrt()
    }

    /// The sum of absolute differences of a row and a row of others.
    pub fn manhattan(&self, row: usize, others: &Vectors, other: usize) -> f64 {
        let differences = self.differences(row, others, other);
        differences.iter().map(|difference| difference.abs()).sum()
    }

    /// Products of some rows with all rows of others. `[rows, others]`, rounded as f32 sums are.
    ///
    /// # Errors
    /// The two have rows of different lengths.
    pub fn products(&self, rows: Range<usize>, others: &Vectors) -> Result<Vec<f32>> {
        if self.dimension() != others.dimension() {
            return Err(Error::Defect(format!(
                "vectors of {} numbers are compared with vectors of {}",
                self.dimension(),
                others.dimension()
            )));
        }
        let mut out = vec![0.0; rows.len() * others.rows()];
        if out.is_empty() {
            return Ok(out);
        }
        match (self, others) {
            (Vectors::Dense(one), Vectors::Dense(two)) => {
                let columns = two.rows();
                let one = Matrix::new(&one.values, one.dimension).rows(rows);
                let two = Matrix::new(&two.values, two.dimension).transposed();
                product_on_all(MatrixMut::new(&mut out, columns), one, two, false);
            }
            (Vectors::Sparse(one), Vectors::Sparse(two)) => {
                let columns = Columns::of(two);
                let out = out.par_chunks_exact_mut(two.rows()).enumerate();
                out.for_each(|(at, out)| columns.add_products(one.row(rows.start + at), out));
            }
            _ => unreachable!("vectors of one embedder are of one kind"),
        }
        Ok(out)
    }
}

/// Divides numbers by the length of the vector that they are.
fn shorten(values: &mut [f32]) {
    let squares = values.iter().map(|&value| f64::from(value).powi(2));
    let norm = squares.sum::<f64>().sqrt();
    if norm > 0.0 {
        values
            .iter_mut()
            .for_each(|value| *value = (f64::from(*value) / norm) as f32);
    }
}

fn sparse_dot(one: (&[u32], &[f32]), two: (&[u32], &[f32])) -> f64 {
    let (mut at, mut other, mut sum) = (0, 0, 0.0);
    while at < one.0.len() && other < two.0.len() {
        match one.0[at].cmp(&two.0[other]) {
            std::cmp::Ordering::Less => at += 1,
            std::cmp::Ordering::Greater => other += 1,
            std::cmp::Ordering::Equal => {
                sum += f64::from(one.1[at]) * f64::from(two.1[other]);
                (at, other) = (at + 1, other + 1);
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{Sparse, Vectors};

    fn sparse(rows: &[&[(u32, f32)]], dimension: usize) -> Vectors {
        let mut sparse = Sparse {
            dimension,
            ..Sparse::default()
        };
        rows.iter().for_each(|row| sparse.push(row));
        Vectors::Sparse(sparse)
    }

    #[test]
    fn sparse_and_dense_agree() {
        let few = sparse(&[&[(0, 3.0), (2, 4.0)], &[], &[(2, 2.0)]], 3);
        let values = vec![3.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0];
        let all = Vectors::dense(3, values).unwrap();
        for order in [vec![0, 1, 2], vec![2, 2, 0]] {
            let (few, all) = (few.select(&order).unit(), all.select(&order).unit());
            assert_eq!((few.rows(), few.dimension()), (3, 3));
            let products = few.products(1..3, &few).unwrap();
            assert_eq!(products, all.products(1..3, &all).unwrap());
            for (row, product) in products.chunks(3).enumerate() {
                for (other, &product) in product.iter().enumerate() {
                    let exact = few.dot(row + 1, &few, other);
                    assert_eq!(exact, all.dot(row + 1, &all, other));
                    assert!((exact - f64::from(product)).abs() < 1e-6);
                    let euclidean = few.euclidean(row + 1, &few, other);
                    assert_eq!(euclidean, all.euclidean(row + 1, &all, other));
                    let lengths = few.dot(row + 1, &few, row + 1) + few.dot(other, &few, other);
                    assert!((euclidean.powi(2) - (lengths - 2.0 * exact)).abs() < 1e-12);
                    let manhattan = few.manhattan(row + 1, &few, other);
                    assert_eq!(manhattan, all.manhattan(row + 1, &all, other));
                    assert!(manhattan >= euclidean);
                }
            }
        }
    }

    #[test]
    fn a_vector_that_is_none_is_named() {
        let error = Vectors::dense(2, vec![1.0, 2.0, f32::NAN, 0.0]).unwrap_err();
        assert!(
            error.to_string().starts_with("vector 1 has a number"),
            "{error}"
        );
        let one = Vectors::dense(2, vec![1.0, 2.0]).unwrap();
        assert!(
            one.products(0..1, &Vectors::dense(1, vec![1.0]).unwrap())
                .is_err()
        );
    }
}
