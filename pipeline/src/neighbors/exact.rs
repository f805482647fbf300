//! Exact search: every row is compared with every query.

use super::kernel::{Scratch, offer_all};
use super::{Matrix, Neighbors, TopK};
use crate::error::Result;

/// Rows that are converted at a time where the matrix is in half precision.
const ROWS: usize = 4096;

/// Compares each query with all rows.
pub struct Exact {
    matrix: Matrix,
}

impl Exact {
    /// A search over a matrix.
    pub fn new(matrix: Matrix) -> Exact {
        Exact { matrix }
    }
}

impl Neighbors for Exact {
    fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    fn offer_vectors(&self, vectors: &[f32], best: &mut TopK) -> Result<()> {
        let numbers: Vec<u32> = (0..best.queries() as u32).collect();
        let (mut buffer, mut scratch) = (Vec::new(), Scratch::default());
        for start in (0..self.matrix.rows()).step_by(ROWS) {
            let positions = start..(start + ROWS).min(self.matrix.rows());
            let rows = self.matrix.at(positions.clone(), &mut buffer);
            offer_all(
                vectors,
                &numbers,
                rows,
                self.matrix.ids(positions),
                self.matrix.dimension(),
                best,
                &mut scratch,
            );
        }
        Ok(())
    }

    fn set_probes(&mut self, _probes: usize) -> Result<()> {
        Ok(())
    }
}
