//! Products of matrices, by the `gemm` crate: row-major, with strides instead of transposed copies.
//!
//! Each product runs on one thread; [`product_on_all`] cuts a result into blocks that follow from
//! its shape, so that sums are the same for any number of threads.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::memory::{Buffer, buffer};
use super::meter::{Work, timed};

/// Rows and columns of the blocks that threads compute: large ones copy less of their factors into
/// the order that the products want.
const BLOCK: (usize, usize) = (384, 768);

/// Numbers that are looked at as a matrix.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// A row-major matrix that is written to.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    pointer: *mut f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    values: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is the only one that refers to its elements, as a slice is.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> Matrix<'a> {
    /// Rows of `columns` numbers.
    pub fn new(values: &'a [f32], columns: usize) -> Matrix<'a> {
        Matrix {
            values,
            rows: values.len() / columns,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// Rows of `columns` numbers, each `stride` numbers behind the one before.
    pub fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Matrix<'a> {
        Matrix {
            values,
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
    }

    /// Number of its rows.
    pub fn height(&self) -> usize {
        self.rows
    }

    /// Some of its rows.
    pub fn rows(self, rows: Range<usize>) -> Matrix<'a> {
        assert!(rows.start <= rows.end && rows.end <= self.rows);
        Matrix {
            values: &self.values[(rows.start * self.row_stride).min(self.values.len())..],
            rows: rows.len(),
            ..self
        }
    }

    /// Some of its columns.
    pub fn columns(self, columns: Range<usize>) -> Matrix<'a> {
        self.transposed().rows(columns).transposed()
    }

    /// Columns as rows.
    pub fn transposed(self) -> Matrix<'a> {
        Matrix {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

impl<'a> MatrixMut<'a> {
    /// Rows of `columns` numbers.
    pub fn new(values: &'a mut [f32], columns: usize) -> MatrixMut<'a> {
        MatrixMut {
            pointer: values.as_mut_ptr(),
            rows: values.len() / columns,
            columns,
            row_stride: columns,
            values: PhantomData,
        }
    }

    /// The block of some rows and columns, for as long as the whole is not used.
    pub fn block(&mut self, rows: Range<usize>, columns: Range<usize>) -> MatrixMut<'_> {
        // SAFETY: the block borrows the whole.
        unsafe { self.part(rows, columns) }
    }

    /// All blocks of at most so many rows and columns, with the rows and columns that they are.
    pub fn blocks(self, (rows, columns): (usize, usize)) -> Vec<Block<'a>> {
        let mut blocks = Vec::new();
        for row in (0..self.rows).step_by(rows) {
            let rows = row..(row + rows).min(self.rows);
            for column in (0..self.columns).step_by(columns) {
                let columns = column..(column + columns).min(self.columns);
                // SAFETY: no two of the blocks share an element, and the whole is gone.
                let part = unsafe { self.part(rows.clone(), columns.clone()) };
                blocks.push((part, rows.clone(), columns));
            }
        }
        blocks
    }

    /// # Safety
    /// As long as the part lives, nothing else may refer to its elements.
    unsafe fn part<'b>(&self, rows: Range<usize>, columns: Range<usize>) -> MatrixMut<'b> {
        assert!(rows.start <= rows.end && rows.end <= self.rows);
        assert!(columns.start <= columns.end && columns.end <= self.columns);
        let offset = match rows.is_empty() || columns.is_empty() {
            true => 0,
            false => rows.start * self.row_stride + columns.start,
        };
        MatrixMut {
            // SAFETY: the first element of the part is one of the whole.
            pointer: unsafe { self.pointer.add(offset) },
            rows: rows.len(),
            columns: columns.len(),
            row_stride: self.row_stride,
            values: PhantomData,
        }
    }
}

/// A block of a matrix and its rows and columns.
pub type Block<'a> = (MatrixMut<'a>, Range<usize>, Range<usize>);

/// Columns as rows, copied on all threads. `[rows, columns]` becomes `[columns, rows]`
///
/// A product reads a weight once for each tile, and reads it faster along its rows: where there are
/// several tiles the copy is cheaper than not to make it.
pub fn transposed(values: &[f32], columns: usize) -> Buffer {
    const SIDE: usize = 16;
    let rows = values.len() / columns;
    let mut copy = buffer(values.len());
    let parts = copy.par_chunks_mut(4 * SIDE * rows).enumerate();
    parts.for_each(|(part, copy)| {
        let first = part * 4 * SIDE;
        timed(Work::Linear, || {
            for start in (0..rows).step_by(SIDE) {
                let end = (start + SIDE).min(rows);
                for (column, copy) in copy.chunks_exact_mut(rows).enumerate() {
                    for (row, copy) in (start..end).zip(&mut copy[start..end]) {
                        *copy = values[row * columns + first + column];
                    }
                }
            }
        });
    });
    copy
}

/// `c = a b`, or `c += a b`, on this thread. Panics where shapes do not fit.
pub fn product(c: &mut MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>, add: bool) {
    assert_eq!((c.rows, c.columns), (a.rows, b.columns));
    assert_eq!(a.columns, b.rows);
    if c.rows == 0 || c.columns == 0 {
        return;
    }
    for matrix in [&a, &b] {
        let last = matrix.rows.saturating_sub(1) * matrix.row_stride
            + matrix.columns.saturating_sub(1) * matrix.column_stride;
        assert!(matrix.rows * matrix.columns == 0 || last < matrix.values.len());
    }
    // SAFETY: the last elements of a and b were checked, c's were when it was made; c refers to its
    // elements alone.
    unsafe {
        gemm::gemm(
            c.rows,
            c.columns,
            a.columns,
            c.pointer,
            1,
            c.row_stride as isize,
            add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// As [`product`], on all threads.
pub fn product_on_all(c: MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>, add: bool) {
    products_on_all(vec![(c, a, b)], add);
}

/// Several products on all threads at once.
pub fn products_on_all(all: Vec<(MatrixMut<'_>, Matrix<'_>, Matrix<'_>)>, add: bool) {
    let mut tasks = Vec::new();
    for (c, a, b) in all {
        for (block, rows, columns) in c.blocks(BLOCK) {
            tasks.push((block, a.rows(rows), b.columns(columns)));
        }
    }
    tasks
        .into_par_iter()
        .with_max_len(1)
        .for_each(|(mut block, a, b)| timed(Work::Weights, || product(&mut block, a, b, add)));
}
