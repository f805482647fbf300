//! Products of matrices in f64, by the `gemm` crate on one thread: evaluators want sums that agree
//! with other people's to more digits than f32 has.

/// Numbers that are looked at as a matrix.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    values: &'a [f64],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` numbers.
    pub fn new(values: &'a [f64], columns: usize) -> Matrix<'a> {
        Matrix {
            values,
            rows: values.len() / columns.max(1),
            columns,
            row_stride: columns,
            column_stride: 1,
        }
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

/// The product of two matrices, row-major. Panics where shapes do not fit.
pub fn product(a: Matrix<'_>, b: Matrix<'_>) -> Vec<f64> {
    assert_eq!(a.columns, b.rows);
    for matrix in [&a, &b] {
        assert!(matrix.rows * matrix.columns <= matrix.values.len());
    }
    let mut out = vec![0.0; a.rows * b.columns];
    if out.is_empty() || a.columns == 0 {
        return out;
    }
    // SAFETY: the shapes fit, `out` has a.rows rows of b.columns numbers, and a matrix's strides are
    // those of as many numbers as were checked to be there.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns as isize,
            false,
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
    out
}

#[cfg(test)]
mod tests {
    use super::{Matrix, product};

    #[test]
    fn products_by_the_definition() {
        let a: Vec<f64> = (0..35).map(|at| f64::from(at * at % 11)).collect();
        let b: Vec<f64> = (0..21).map(|at| f64::from(at % 4) - 1.5).collect();
        let wanted = |row: usize, column: usize| {
            let terms = (0..7).map(|at| a[row * 7 + at] * b[at * 3 + column]);
            terms.sum::<f64>()
        };
        let found = product(Matrix::new(&a, 7), Matrix::new(&b, 3));
        assert_eq!(found.len(), 15);
        for (at, value) in found.iter().enumerate() {
            assert_eq!(*value, wanted(at / 3, at % 3));
        }
        let (b, a) = (
            Matrix::new(&b, 3).transposed(),
            Matrix::new(&a, 7).transposed(),
        );
        for (at, value) in product(b, a).iter().enumerate() {
            assert_eq!(*value, wanted(at % 5, at / 5));
        }
        assert!(product(Matrix::new(&[], 4), Matrix::new(&[0.0; 4], 1)).is_empty());
    }
}
