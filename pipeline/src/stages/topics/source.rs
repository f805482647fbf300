//! Vectors of records: the unit vectors of their texts, added and scaled to unit length.

use super::records::Rows;
use crate::error::Result;
use crate::vectors::static_text::{StaticText, normalize};

/// Records whose vectors are made and compared together.
const BLOCK: usize = 4096;

/// Where vectors of texts come from.
pub trait TextVectors: Sync {
    /// Numbers of a vector.
    fn dimension(&self) -> usize;

    /// Puts the unit vector of a text, with the lengths of its words, into `out`; false if it has
    /// none.
    ///
    /// # Errors
    /// The vectors cannot be read.
    fn embed(&self, text: &str, word_lengths: &[u16], out: &mut [f32]) -> Result<bool>;
}

impl TextVectors for StaticText {
    fn dimension(&self) -> usize {
        StaticText::dimension(self)
    }

    fn embed(&self, text: &str, word_lengths: &[u16], out: &mut [f32]) -> Result<bool> {
        Ok(StaticText::embed(self, text, word_lengths, out))
    }
}

/// Records that have a vector.
#[derive(Default)]
pub struct Block {
    /// Their rows within the row group.
    pub rows: Vec<u32>,
    /// Their ids.
    pub ids: Vec<u128>,
    /// Their vectors, one after another.
    pub vectors: Vec<f32>,
}

/// Gives the wanted records of a row group that have a vector, a block at a time.
///
/// # Errors
/// The vectors or words cannot be read; whatever `each` returns.
pub fn blocks(
    rows: &Rows<'_>,
    source: &dyn TextVectors,
    wanted: impl Fn(u128) -> bool,
    mut each: impl FnMut(&Block) -> Result<()>,
) -> Result<()> {
    let dimension = source.dimension();
    let mut block = Block::default();
    let mut text_vector = vec![0.0; dimension];
    for row in 0..rows.len() {
        let id = rows.id(row);
        if wanted(id) {
            let start = block.vectors.len();
            block.vectors.resize(start + dimension, 0.0);
            if record(
                rows,
                row,
                source,
                &mut text_vector,
                &mut block.vectors[start..],
            )? {
                block.rows.push(row as u32);
                block.ids.push(id);
            } else {
                block.vectors.truncate(start);
            }
        }
        if block.rows.len() == BLOCK || (row + 1 == rows.len() && !block.rows.is_empty()) {
            each(&block)?;
            block.rows.clear();
            block.ids.clear();
            block.vectors.clear();
        }
    }
    Ok(())
}

/// Adds up the texts of a record in `sum`; false if not one has a vector.
fn record(
    rows: &Rows<'_>,
    row: usize,
    source: &dyn TextVectors,
    text_vector: &mut [f32],
    sum: &mut [f32],
) -> Result<bool> {
    let mut failed = Ok(());
    let mut found = false;
    rows.texts(row, |text, lengths| {
        match source.embed(text, lengths, text_vector) {
            Ok(true) => {
                found = true;
                sum.iter_mut()
                    .zip(&*text_vector)
                    .for_each(|(sum, value)| *sum += value);
            }
            Ok(false) => {}
            Err(error) => failed = Err(error),
        }
    })?;
    failed?;
    Ok(found && normalize(sum))
}
