//! The vectors of a search: rows of unit length in memory, in single or half precision.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use half::f16;
use half::slice::HalfFloatSliceExt;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a number of a vector is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// `f32` where it fits into the memory, else `f16`.
    #[default]
    Auto,
    /// Four bytes.
    F32,
    /// Two bytes: cosines are right to about 0.0003.
    F16,
}

impl Precision {
    /// Bytes of a number.
    pub fn bytes(self) -> u64 {
        if self == Precision::F16 { 2 } else { 4 }
    }
}

enum Values {
    Single(Vec<f32>),
    Half(Vec<f16>),
}

/// Rows of unit length. A row has an id, which stays, and a position, which an index may change.
pub struct Matrix {
    dimension: usize,
    values: Values,
    /// Id of the row at each position.
    ids: Vec<u32>,
    /// Position of each row.
    positions: Vec<u32>,
}

/// Accumulators of a product: enough for any vector unit, and always the same number of them.
const LANES: usize = 16;

impl Matrix {
    /// A matrix of `values.len() / dimension` rows.
    pub fn new(values: Vec<f32>, dimension: usize) -> Matrix {
        let rows = (values.len() / dimension) as u32;
        Matrix {
            dimension,
            values: Values::Single(values),
            ids: (0..rows).collect(),
            positions: (0..rows).collect(),
        }
    }

    /// Reads a file of little-endian `f32` rows.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: &Path, dimension: usize, precision: Precision) -> Result<Matrix> {
        let mut file = File::open(path).map_err(Error::input(path))?;
        let bytes = file.metadata().map_err(Error::input(path))?.len() as usize;
        let count = bytes / 4;
        let mut values = match precision {
            Precision::F16 => Values::Half(Vec::with_capacity(count)),
            _ => Values::Single(Vec::with_capacity(count)),
        };
        let mut buffer = vec![0; (1 << 20).min(bytes)];
        let mut left = bytes;
        while left > 0 {
            let piece = &mut buffer[..left.min(1 << 20)];
            file.read_exact(piece).map_err(Error::input(path))?;
            left -= piece.len();
            let numbers = piece.chunks_exact(4).map(number);
            match &mut values {
                Values::Single(values) => values.extend(numbers),
                Values::Half(values) => values.extend(numbers.map(f16::from_f32)),
            }
        }
        let rows = (count / dimension) as u32;
        Ok(Matrix {
            dimension,
            values,
            ids: (0..rows).collect(),
            positions: (0..rows).collect(),
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Numbers in a row.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Ids of the rows at the positions of a range.
    pub fn ids(&self, positions: Range<usize>) -> &[u32] {
        &self.ids[positions]
    }

    /// Rows at the positions of a range; `buffer` holds them where they must be converted.
    pub fn at<'b>(&'b self, positions: Range<usize>, buffer: &'b mut Vec<f32>) -> &'b [f32] {
        let range = positions.start * self.dimension..positions.end * self.dimension;
        match &self.values {
            Values::Single(values) => &values[range],
            Values::Half(values) => {
                buffer.resize(range.len(), 0.0);
                values[range].convert_to_f32_slice(buffer);
                buffer
            }
        }
    }

    /// Appends the rows with these ids to `out`.
    pub fn gather(&self, ids: &[u32], out: &mut Vec<f32>) {
        let start = out.len();
        out.resize(start + ids.len() * self.dimension, 0.0);
        for (&id, row) in ids
            .iter()
            .zip(out[start..].chunks_exact_mut(self.dimension))
        {
            let from = self.positions[id as usize] as usize * self.dimension;
            match &self.values {
                Values::Single(values) => row.copy_from_slice(&values[from..from + self.dimension]),
                Values::Half(values) => {
                    values[from..from + self.dimension].convert_to_f32_slice(row)
                }
            }
        }
    }

    /// Cosine of two rows by their ids; the same bits on every machine and after any move.
    pub fn cosine(&self, a: u32, b: u32) -> f32 {
        let place = |id: u32| {
            let start = self.positions[id as usize] as usize * self.dimension;
            start..start + self.dimension
        };
        let dot = match &self.values {
            Values::Single(values) => dot(&values[place(a)], &values[place(b)]),
            Values::Half(values) => {
                let mut wide = vec![0.0; self.dimension * 2];
                let (left, right) = wide.split_at_mut(self.dimension);
                values[place(a)].convert_to_f32_slice(left);
                values[place(b)].convert_to_f32_slice(right);
                dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
            }
        };
        dot.clamp(-1.0, 1.0)
    }

    /// Cosine of a vector of unit length and a row by its id; the same bits on every machine and
    /// after any move.
    pub fn cosine_to(&self, vector: &[f32], id: u32) -> f32 {
        let start = self.positions[id as usize] as usize * self.dimension;
        let dot = match &self.values {
            Values::Single(values) => dot(vector, &values[start..start + self.dimension]),
            Values::Half(values) => {
                let mut row = vec![0.0; self.dimension];
                values[start..start + self.dimension].convert_to_f32_slice(&mut row);
                dot(vector, &row) / dot(&row, &row).sqrt()
            }
        };
        dot.clamp(-1.0, 1.0)
    }

    /// Moves the row with id `order[p]` to position p, within the memory it has.
    pub fn arrange(&mut self, order: &[u32]) {
        match &mut self.values {
            Values::Single(values) => arrange(values, self.dimension, &self.positions, order),
            Values::Half(values) => arrange(values, self.dimension, &self.positions, order),
        }
        self.ids.copy_from_slice(order);
        for (position, &id) in order.iter().enumerate() {
            self.positions[id as usize] = position as u32;
        }
    }
}

/// Product in a fixed order: sixteen partial sums, then these.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (a, b) = (a.chunks(LANES), b.chunks(LANES));
    for (a, b) in a.zip(b) {
        for (sum, (x, y)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += x * y;
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// A number of a file.
pub fn number(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(bytes.try_into().expect("four bytes"))
}

/// Follows each cycle of the permutation, one row in hand.
fn arrange<T: Copy>(values: &mut [T], dimension: usize, positions: &[u32], order: &[u32]) {
    let row = |at: usize| at * dimension..(at + 1) * dimension;
    let from = |to: usize| positions[order[to] as usize] as usize;
    let mut done = vec![false; order.len()];
    let mut hand: Vec<T> = Vec::with_capacity(dimension);
    for first in 0..order.len() {
        if done[first] || from(first) == first {
            continue;
        }
        hand.clear();
        hand.extend_from_slice(&values[row(first)]);
        let mut to = first;
        loop {
            done[to] = true;
            let source = from(to);
            if source == first {
                values[row(to)].copy_from_slice(&hand);
                break;
            }
            values.copy_within(row(source), to * dimension);
            to = source;
        }
    }
}
