//! Which texts a layer is fitted on: a uniform draw of the different texts of the inputs.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use juzi_schemas::embedding::text_id;
use juzi_schemas::random::Order;

use crate::embed::Source;
use crate::{Error, Result};

/// The seed of the order that texts are taken in; a layer has no other choice by chance.
const SEED: u64 = 0x7768_6974;

/// Texts between two looks at whether to stop.
const STRIDE: u64 = 1 << 14;

/// Different texts, and how many there were to choose from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The texts, in an order that follows from their content alone.
    pub texts: Vec<String>,
    /// Texts of the inputs, equal ones and empty ones too.
    pub read: u64,
}

impl Sample {
    /// So many different texts at most, each as likely as any other, wherever they stand. Texts of
    /// white space alone are left out.
    ///
    /// # Errors
    /// An input cannot be read; there is no text.
    pub fn of(sources: &[Source], rows_max: usize, stop: &dyn Fn() -> bool) -> Result<Sample> {
        let order = Order::new(SEED);
        let mut sample = Sample::default();
        let mut chosen: BTreeMap<(u64, u128), String> = BTreeMap::new();
        for source in sources {
            source.each(&AtomicU64::new(0), &mut |text| {
                sample.read += 1;
                if sample.read.is_multiple_of(STRIDE) && stop() {
                    let resume = String::new();
                    return Err(Error::Interrupted { resume });
                }
                let id = text_id(text);
                let place = (order.place(id), id);
                let full = chosen.len() >= rows_max;
                let beyond = chosen
                    .last_key_value()
                    .is_some_and(|(last, _)| place > *last);
                if text.trim().is_empty() || (full && beyond) {
                    return Ok(true);
                }
                chosen.entry(place).or_insert_with(|| text.into());
                if chosen.len() > rows_max {
                    chosen.pop_last();
                }
                Ok(true)
            })?;
        }
        sample.texts = chosen.into_values().collect();
        match sample.texts.is_empty() {
            false => Ok(sample),
            true => Err(Error::Usage(
                "the inputs have no texts; a layer is fitted on some thousands".into(),
            )),
        }
    }
}
