//! Small steps over rows: sums, exponentials, dropout, dropout with a residual.

use super::dropout::{Dropout, bits};
use super::math::exp;
use super::simd::{LANES, largest, sum, vectorized};

/// Dropout on a stretch of one sequence's elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drops {
    key: u64,
    start: u32,
    threshold: u32,
    scale: f32,
}

impl Drops {
    /// Of the sequence with this number, from element `start` on.
    pub fn new(dropout: &Dropout, sequence: u64, start: usize) -> Drops {
        Drops {
            key: dropout.sequence_key(sequence),
            start: start as u32,
            threshold: dropout.threshold(),
            scale: dropout.scale(),
        }
    }

    /// The same sequence, so many elements further on.
    #[inline(always)]
    pub fn skip(self, elements: usize) -> Drops {
        Drops {
            start: self.start.wrapping_add(elements as u32),
            ..self
        }
    }

    /// 0, or what a kept element is multiplied with.
    #[inline(always)]
    pub fn factor(&self, place: usize) -> f32 {
        match bits(self.key, self.start.wrapping_add(place as u32)) >= self.threshold {
            true => self.scale,
            false => 0.0,
        }
    }
}

vectorized! {
    /// Adds a row to another.
    pub fn add(to: &mut [f32], row: &[f32]) {
        for (to, more) in to.iter_mut().zip(row) {
            *to += more;
        }
    }

    /// Adds a row, each element multiplied with the same number, to another.
    pub fn add_scaled(to: &mut [f32], row: &[f32], factor: f32) {
        for (to, more) in to.iter_mut().zip(row) {
            *to += factor * more;
        }
    }

    /// Drops elements where they stand.
    pub fn drop_in_place(row: &mut [f32], drops: Drops) {
        for (place, value) in row.iter_mut().enumerate() {
            *value *= drops.factor(place);
        }
    }

    /// Drops elements into another row, and adds what comes out to `sums`.
    pub fn drop_and_sum(row: &[f32], drops: Drops, out: &mut [f32], sums: &mut [f32]) {
        let width = row.len();
        let (out, sums) = (&mut out[..width], &mut sums[..width]);
        for place in 0..width {
            let own = row[place] * drops.factor(place);
            out[place] = own;
            sums[place] += own;
        }
    }

    /// Copies a row and adds it to `sums`.
    pub fn copy_and_sum(row: &[f32], out: &mut [f32], sums: &mut [f32]) {
        out.copy_from_slice(row);
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }

    /// Drops elements where they stand, then adds a row to them.
    pub fn drop_and_add(row: &mut [f32], drops: Drops, residual: &[f32]) {
        let residual = &residual[..row.len()];
        for (place, value) in row.iter_mut().enumerate() {
            *value = value.mul_add(drops.factor(place), residual[place]);
        }
    }

    /// Of each row, the sum of products of its first `width` numbers with another's; rows are `stride`
    /// numbers apart.
    pub fn dots(ones: &[f32], others: &[f32], stride: usize, width: usize, out: &mut [f32]) {
        for (row, out) in out.iter_mut().enumerate() {
            let own = row * stride..row * stride + width;
            let (one, other) = (&ones[own.clone()], &others[own]);
            let mut lanes = [0.0f32; LANES];
            let (ones, one_rest) = one.as_chunks::<LANES>();
            let (others, other_rest) = other.as_chunks::<LANES>();
            for (one, other) in ones.iter().zip(others) {
                for lane in 0..LANES {
                    lanes[lane] = one[lane].mul_add(other[lane], lanes[lane]);
                }
            }
            for (lane, (one, other)) in one_rest.iter().zip(other_rest).enumerate() {
                lanes[lane] = one.mul_add(*other, lanes[lane]);
            }
            *out = sum(&lanes);
        }
    }
}

/// The largest number of a row; one that is none is passed over.
#[inline(always)]
pub fn maximum(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = row.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] = if block[lane] > lanes[lane] {
                block[lane]
            } else {
                lanes[lane]
            };
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        lanes[lane] = if value > lanes[lane] {
            value
        } else {
            lanes[lane]
        };
    }
    largest(&lanes)
}

/// Makes `exp(scale x - shift)` of each number where it stands; gives their sum.
#[inline(always)]
pub fn exponentials(row: &mut [f32], scale: f32, shift: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (blocks, rest) = row.as_chunks_mut::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            block[lane] = exp(block[lane].mul_add(scale, -shift));
            lanes[lane] += block[lane];
        }
    }
    for (lane, value) in rest.iter_mut().enumerate() {
        *value = exp(value.mul_add(scale, -shift));
        lanes[lane] += *value;
    }
    sum(&lanes)
}

/// Writes the same row to all rows.
pub fn repeat(rows: &mut [f32], row: &[f32]) {
    for own in rows.chunks_exact_mut(row.len()) {
        own.copy_from_slice(row);
    }
}

/// Adds all rows to `sums`, the first row first.
pub fn sum_rows(rows: &[f32], sums: &mut [f32]) {
    for row in rows.chunks_exact(sums.len()) {
        add(sums, row);
    }
}
