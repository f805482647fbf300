//! From tokens to vectors: batch by batch through the model, each vector back to its place.

use candle_core::DType;

use super::progress::Progress;
use super::tokens::{Tokens, beginning};
use crate::encoder::{Kernels, Pass, Sequences};
use crate::model::Model;
use crate::{Error, Result};

/// Vectors of the different texts of a window, one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    /// Length of a vector.
    pub dimension: usize,
    /// All of them.
    pub values: Vec<f32>,
}

impl Vectors {
    /// One of them.
    pub fn of(&self, number: usize) -> &[f32] {
        &self.values[number * self.dimension..][..self.dimension]
    }
}

/// Embeds the different texts of a window; nothing once `stop` says so.
///
/// # Errors
/// A vector is none; the device fails.
pub fn encode(
    model: &Model,
    tokens: &Tokens,
    batch_tokens: usize,
    progress: &Progress,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Vectors>> {
    let mut vectors = Vectors::default();
    let mut done = 0;
    progress.begin(tokens.window.read.0);
    for batch in tokens.batches(batch_tokens) {
        if stop() {
            return Ok(None);
        }
        let sequences = tokens.sequences(&batch);
        let (dimension, rows) = vectors_of(model, &sequences)?;
        if vectors.values.is_empty() {
            vectors.dimension = dimension;
            vectors.values = vec![0.0; tokens.window.different() * dimension];
        }
        for (&number, row) in tokens.texts(&batch).iter().zip(rows.chunks(dimension)) {
            if !row.iter().all(|value| value.is_finite()) {
                let text = beginning(tokens.window.text(number as usize));
                return Err(Error::Model {
                    path: model.folder.clone(),
                    message: format!("the vector of the text `{text}` is not of finite numbers"),
                });
            }
            vectors.values[number as usize * dimension..][..dimension].copy_from_slice(row);
        }
        done += sequences.tokens();
        let done = done as f64 / tokens.tokens() as f64;
        let (before, after) = tokens.window.read;
        let read = before + ((after - before) as f64 * done) as u64;
        progress.add((sequences.rows(), sequences.tokens()), read);
    }
    Ok(Some(vectors))
}

/// Length of the vectors, and those of some sequences, as the model makes them.
fn vectors_of(model: &Model, sequences: &Sequences) -> Result<(usize, Vec<f32>)> {
    let kernels = match model.encoder.device().is_cpu() {
        true => Kernels::Fused,
        false => Kernels::Plain,
    };
    let vectors = model.encoder.encode(sequences, &Pass::inference(kernels))?;
    let (_, dimension) = vectors.dims2()?;
    let vectors = vectors.to_dtype(DType::F32)?.flatten_all()?;
    Ok((dimension, vectors.to_vec1()?))
}
