//! A sample: the records with the lowest places in an order of the seed, drawn in one pass.

use juzi_schemas::random::Order;

use super::records::Records;
use super::source::{TextVectors, blocks};
use crate::error::{Error, Result};

/// Keeps the order of this file apart from all others of a seed.
const STREAM: u128 = 0x746f_7069_6373;

/// Chooses a number of records by their ids alone.
#[derive(Clone, Copy)]
pub struct Lot {
    order: Order,
    below: Option<u64>,
}

impl Lot {
    /// Draws `wanted` of `rows` records on average.
    pub fn new(seed: u64, wanted: f64, rows: u64) -> Lot {
        let share = wanted / rows.max(1) as f64;
        Lot {
            order: Order::new(seed),
            below: (share < 1.0).then_some((share * u64::MAX as f64) as u64),
        }
    }

    fn place(&self, id: u128) -> u64 {
        self.order.place(id ^ STREAM)
    }

    /// Whether a record is drawn.
    pub fn draws(&self, id: u128) -> bool {
        self.below.is_none_or(|below| self.place(id) < below)
    }
}

/// Vectors of about `wanted` records, at most so many, in random order; records without a vector
/// are drawn, too, and left out.
///
/// # Errors
/// The memory does not suffice; the shards cannot be read; an interruption.
pub fn draw(
    records: &Records<'_>,
    source: &dyn TextVectors,
    wanted: usize,
    seed: u64,
    memory_bytes: u64,
) -> Result<Vec<f32>> {
    let rows = records.manifest.rows;
    let wanted = wanted.min(rows as usize);
    let dimension = source.dimension();
    let bytes = 2 * (wanted * dimension * 4) as u64;
    if bytes > memory_bytes {
        return Err(Error::Resources(format!(
            "[topics] the sample of {wanted} records needs {}, more than --memory; give a smaller sample",
            crate::size::Size(bytes)
        )));
    }
    // Four standard deviations more, so that hardly ever one is missing.
    let lot = Lot::new(seed, wanted as f64 + 4.0 * (wanted as f64).sqrt(), rows);
    let drawn = records.each_group("sample", |_, rows| {
        let (mut places, mut vectors) = (Vec::new(), Vec::new());
        let wanted = |id| lot.draws(id);
        blocks(rows, source, wanted, |block| {
            places.extend(block.ids.iter().map(|&id| (lot.place(id), id)));
            vectors.extend_from_slice(&block.vectors);
            Ok(())
        })?;
        Ok((places, vectors))
    })?;
    let mut order: Vec<((u64, u128), usize, usize)> = Vec::new();
    for (group, (places, _)) in drawn.iter().enumerate() {
        let own = places.iter().enumerate();
        order.extend(own.map(|(at, &place)| (place, group, at)));
    }
    order.sort_unstable();
    order.truncate(wanted);
    let mut sample = Vec::with_capacity(order.len() * dimension);
    for (_, group, at) in order {
        sample.extend_from_slice(&drawn[group].1[at * dimension..(at + 1) * dimension]);
    }
    Ok(sample)
}
