//! RetroMAE's enhanced decoder: one layer that sees a text through its vector and a few tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Tensor;

use crate::Result;
use crate::encoder::{Encoder, Layer, Pair, Pass, Sequences, Site, ops, take};
use crate::losses::initial::Initial;
use crate::losses::mlm::pick;
use crate::losses::retromae::attention::Attention;
use crate::losses::retromae::visibility::Visibility;
use crate::parameters::{Parameter, Parameters};

/// The decoder: attention and a feed-forward part, as a layer of the encoder has them, with
/// parameters of its own whose names begin with `decoder.`.
#[derive(Clone, Debug)]
pub struct Decoder {
    positions: Arc<Parameter>,
    layer: Layer,
}

impl Decoder {
    /// The decoder for an encoder: of the tensors `decoder.*` that its files brought. Others are
    /// new: weights are normal with the deviation of `config.json`, and follow from the seed.
    ///
    /// # Errors
    /// A tensor has another shape than the encoder's sizes say.
    pub fn new(
        encoder: &Encoder,
        brought: &BTreeMap<String, Tensor>,
        seed: u64,
    ) -> Result<Decoder> {
        let config = &encoder.config;
        let initial = Initial::new(encoder, brought, seed);
        let pair = |name: &str, shape: &[usize]| initial.pair(&format!("decoder.{name}"), shape);
        let positions = "embeddings.position_embeddings.weight";
        let shape = [config.max_position_embeddings, config.hidden_size];
        Ok(Decoder {
            positions: take(&encoder.parameters, positions, &shape)?,
            layer: Layer::new(0, config, &pair)?,
        })
    }

    /// Its parameters without the table of positions, which is the encoder's.
    pub fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        for (weight, bias) in self.layer.pairs() {
            parameters.share(weight.clone());
            parameters.share(bias.clone());
        }
        parameters
    }

    /// States of all tokens `[T, H]` from the vectors of the sequences `[rows, H]`.
    ///
    /// Queries are made of the vector and the position alone; keys and values of the vector, which
    /// stands in the place of the first token, and the embeddings of the others, not hidden. Whom a
    /// query sees, `visible` says.
    ///
    /// # Errors
    /// The device fails.
    pub fn forward(
        &self,
        encoder: &Encoder,
        vectors: &Tensor,
        sequences: &Sequences,
        visible: Vec<Visibility>,
        pass: &Pass,
    ) -> Result<Tensor> {
        let (layer, kernels) = (&self.layer, pass.kernels);
        let linear = |x: &Tensor, pair: &Pair| ops::linear(x, &pair.0, Some(&pair.1), kernels);
        let queries = self.queries(vectors, sequences, encoder.config.position_offset())?;
        let seen = with_vectors(vectors, &encoder.embeddings(sequences, pass)?, sequences)?;
        let attention = Attention {
            sequences: Arc::new(sequences.clone()),
            visible: Arc::new(visible),
            heads: layer.heads,
            dropout: pass.dropout(layer.attention_dropout, Site::Attention(0)),
        };
        let states = (
            &linear(&queries, &layer.query)?,
            &linear(&seen, &layer.key)?,
            &linear(&seen, &layer.value)?,
        );
        let context = attention.forward(states, kernels)?;
        layer.finish(&context, &queries, sequences, pass)
    }

    /// Of each token its position and the vector of its sequence, without a layer norm and without
    /// the token's type. `[T, H]`
    fn queries(&self, vectors: &Tensor, sequences: &Sequences, offset: usize) -> Result<Tensor> {
        let mut places = Vec::with_capacity(sequences.tokens());
        let mut rows = Vec::with_capacity(sequences.tokens());
        for row in 0..sequences.rows() {
            for place in 0..sequences.span(row).len() {
                places.push((place + offset) as u32);
                rows.push(row as u32);
            }
        }
        Ok((pick(self.positions.tensor(), &places)? + pick(vectors, &rows)?)?)
    }
}

/// The embeddings with the vector of each sequence in the place of its first token. `[T, H]`
fn with_vectors(vectors: &Tensor, embeddings: &Tensor, sequences: &Sequences) -> Result<Tensor> {
    let rows = sequences.rows() as u32;
    let mut index: Vec<u32> = (rows..rows + sequences.tokens() as u32).collect();
    for row in 0..sequences.rows() {
        let span = sequences.span(row);
        if !span.is_empty() {
            index[span.start] = row as u32;
        }
    }
    pick(&Tensor::cat(&[vectors, embeddings], 0)?, &index)
}
