//! Inverted lists: rows are grouped around middles, and a query looks into the nearest groups.
//!
//! All rows are queries, and many at a time, so the loops are turned around: each list meets all
//! queries of a block that want it in one matrix product, instead of each query its lists alone.

use super::kernel::{Scratch, offer_all};
use super::kmeans::{assign, centroids, grouped, members};
use super::{Matrix, Neighbors, TopK};
use crate::error::Result;
use crate::flow::workers::{Team, chunks};

/// Rows that a worker assigns to lists at a time.
const CHUNK: usize = 4096;

/// Lists for so many rows: looking for lists and looking into 32 of them then cost the same.
pub fn lists_for(rows: usize) -> usize {
    ((rows as f64 * 32.0).sqrt() as usize).clamp(1, rows.max(1))
}

/// An index of inverted lists.
pub struct Ivf {
    matrix: Matrix,
    middles: Vec<f32>,
    /// Where the positions of each list end.
    ends: Vec<u32>,
    /// Lists that a query looks into.
    probes: usize,
}

impl Ivf {
    /// Middles of `lists` lists, as `lists * dimension` numbers.
    ///
    /// # Errors
    /// An interruption.
    pub fn train(matrix: &Matrix, lists: usize, seed: u64, team: &Team<'_>) -> Result<Vec<f32>> {
        centroids(matrix, lists, seed, team)
    }

    /// The list of each row, by the nearest middle.
    ///
    /// # Errors
    /// An interruption.
    pub fn assign(matrix: &Matrix, middles: &[f32], team: &Team<'_>) -> Result<Vec<u32>> {
        let dimension = matrix.dimension();
        let lists = chunks(team, matrix.rows(), CHUNK, |range| {
            let mut buffer = Vec::new();
            Ok(assign(matrix.at(range, &mut buffer), middles, dimension))
        })?;
        Ok(lists.concat())
    }

    /// Groups the rows of a matrix, which must be at the positions of their ids, by their lists.
    pub fn new(mut matrix: Matrix, middles: Vec<f32>, lists: &[u32]) -> Ivf {
        let (order, ends) = grouped(lists, middles.len() / matrix.dimension());
        matrix.arrange(&order);
        Ivf {
            matrix,
            middles,
            ends,
            probes: 1,
        }
    }

    /// Number of lists.
    pub fn lists(&self) -> usize {
        self.ends.len()
    }

    /// For each list, the queries that want it: numbers one after another, and where each ends.
    fn wanted(&self, vectors: &[f32], queries: usize) -> (Vec<u32>, Vec<u32>) {
        let dimension = self.matrix.dimension();
        let probes = self.probes.min(self.lists());
        let mut nearest = TopK::new(queries, probes);
        let numbers: Vec<u32> = (0..queries as u32).collect();
        let lists: Vec<u32> = (0..self.lists() as u32).collect();
        let mut scratch = Scratch::default();
        offer_all(
            vectors,
            &numbers,
            &self.middles,
            &lists,
            dimension,
            &mut nearest,
            &mut scratch,
        );
        let mut wishes = Vec::with_capacity(queries * probes);
        for query in 0..queries {
            wishes.extend(nearest.candidates(query).iter().map(|hit| hit.id));
        }
        let (order, ends) = grouped(&wishes, self.lists());
        let each = wishes.len() / queries.max(1);
        let order = order.into_iter().map(|wish| wish / each as u32).collect();
        (order, ends)
    }
}

impl Neighbors for Ivf {
    fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    fn offer_vectors(&self, vectors: &[f32], best: &mut TopK) -> Result<()> {
        let dimension = self.matrix.dimension();
        let (wanted, wanted_ends) = self.wanted(vectors, best.queries());
        let (mut tile, mut buffer, mut scratch) = (Vec::new(), Vec::new(), Scratch::default());
        for list in 0..self.lists() {
            let numbers = &wanted[members(&wanted_ends, list)];
            let positions = members(&self.ends, list);
            if numbers.is_empty() || positions.is_empty() {
                continue;
            }
            tile.clear();
            for &number in numbers {
                let start = number as usize * dimension;
                tile.extend_from_slice(&vectors[start..start + dimension]);
            }
            let rows = self.matrix.at(positions.clone(), &mut buffer);
            let ids = self.matrix.ids(positions);
            offer_all(&tile, numbers, rows, ids, dimension, best, &mut scratch);
        }
        Ok(())
    }

    fn set_probes(&mut self, probes: usize) -> Result<()> {
        self.probes = probes;
        Ok(())
    }
}
