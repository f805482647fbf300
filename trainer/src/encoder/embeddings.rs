//! The first part of an encoder: word, position and type embeddings, their sum normalised.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Config, Pass, Sequences, Site, fused, ops};
use crate::Result;
use crate::parameters::Parameter;

#[derive(Clone, Debug)]
pub struct Embeddings {
    pub words: Arc<Parameter>,
    pub positions: Arc<Parameter>,
    pub types: Arc<Parameter>,
    pub norm: (Arc<Parameter>, Arc<Parameter>),
    pub offset: usize,
    pub eps: f64,
    pub dropout: f32,
}

impl Embeddings {
    pub fn new(
        config: &Config,
        take: &impl Fn(&str, &[usize]) -> Result<Arc<Parameter>>,
    ) -> Result<Embeddings> {
        let width = config.hidden_size;
        let take = |name: &str, shape: &[usize]| take(&format!("embeddings.{name}"), shape);
        Ok(Embeddings {
            words: take("word_embeddings.weight", &[config.vocab_size, width])?,
            positions: take(
                "position_embeddings.weight",
                &[config.max_position_embeddings, width],
            )?,
            types: take(
                "token_type_embeddings.weight",
                &[config.type_vocab_size, width],
            )?,
            norm: (
                take("LayerNorm.weight", &[width])?,
                take("LayerNorm.bias", &[width])?,
            ),
            offset: config.position_offset(),
            eps: config.layer_norm_eps,
            dropout: config.hidden_dropout_prob,
        })
    }

    /// `[T, H]`
    pub fn forward(&self, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        let words = self.words.tensor();
        if fused::wanted(pass.kernels, words) {
            return fused::embed(self, sequences, pass);
        }
        let device = words.device();
        let ids = Tensor::from_slice(&sequences.ids, sequences.tokens(), device)?;
        let places = Tensor::from_vec(self.places(sequences), sequences.tokens(), device)?;
        let sum =
            (words.index_select(&ids, 0)? + self.positions.tensor().index_select(&places, 0)?)?;
        let sum = sum.broadcast_add(&self.types.tensor().narrow(0, 0, 1)?)?;
        let norm = ops::layer_norm(&sum, (&self.norm.0, &self.norm.1), self.eps, pass.kernels)?;
        let dropout = pass.dropout(self.dropout, Site::Embeddings);
        ops::dropout(&norm, dropout, sequences, pass.kernels)
    }

    /// Which row of the position embeddings each token gets. `[T]`
    pub fn places(&self, sequences: &Sequences) -> Vec<u32> {
        let rows = 0..sequences.rows();
        let places = rows.flat_map(|row| 0..sequences.span(row).len());
        places.map(|place| (place + self.offset) as u32).collect()
    }
}
