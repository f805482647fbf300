//! One layer of an encoder: attention and a feed-forward part, each added to its input and
//! normalised after.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Config, Pass, Sequences, Site, fused, ops, start};
use crate::Result;
use crate::parameters::Parameter;

/// A weight and its bias.
pub type Pair = (Arc<Parameter>, Arc<Parameter>);

#[derive(Clone, Debug)]
pub struct Layer {
    pub number: usize,
    pub query: Pair,
    pub key: Pair,
    pub value: Pair,
    pub attention_output: Pair,
    pub attention_norm: Pair,
    pub intermediate: Pair,
    pub output: Pair,
    pub norm: Pair,
    pub heads: usize,
    pub eps: f64,
    pub dropout: f32,
    pub attention_dropout: f32,
}

impl Layer {
    /// The layer of this number, of pairs by their names and the shapes of their weights.
    ///
    /// # Errors
    /// As `pair` gives them.
    pub fn new(
        number: usize,
        config: &Config,
        pair: &impl Fn(&str, &[usize]) -> Result<Pair>,
    ) -> Result<Layer> {
        let shapes = start::layer_shapes(config);
        let pairs = shapes.iter().map(|(name, shape)| pair(name, shape));
        let pairs = <[Pair; 8]>::try_from(pairs.collect::<Result<Vec<Pair>>>()?);
        let [
            query,
            key,
            value,
            attention_output,
            attention_norm,
            intermediate,
            output,
            norm,
        ] = pairs.expect("a layer has eight pairs");
        Ok(Layer {
            number,
            query,
            key,
            value,
            attention_output,
            attention_norm,
            intermediate,
            output,
            norm,
            heads: config.num_attention_heads,
            eps: config.layer_norm_eps,
            dropout: config.hidden_dropout_prob,
            attention_dropout: config.attention_probs_dropout_prob,
        })
    }

    /// All its parameters.
    pub fn pairs(&self) -> [&Pair; 8] {
        [
            &self.query,
            &self.key,
            &self.value,
            &self.attention_output,
            &self.attention_norm,
            &self.intermediate,
            &self.output,
            &self.norm,
        ]
    }

    /// The layer on states `[T, H]`.
    pub fn forward(&self, x: &Tensor, sequences: &Sequences, pass: &Pass) -> Result<Tensor> {
        let kernels = pass.kernels;
        if fused::wanted(kernels, x) {
            return fused::layer(self, x, sequences, pass);
        }
        let linear = |pair: &Pair| ops::linear(x, &pair.0, Some(&pair.1), kernels);
        let states = (
            linear(&self.query)?,
            linear(&self.key)?,
            linear(&self.value)?,
        );
        let context = self.attention((&states.0, &states.1, &states.2), sequences, pass)?;
        self.finish(&context, x, sequences, pass)
    }

    /// What follows attention: its output with `x` added, and the feed-forward part. `[T, H]` each
    ///
    /// # Errors
    /// The device fails.
    pub fn finish(
        &self,
        context: &Tensor,
        x: &Tensor,
        sequences: &Sequences,
        pass: &Pass,
    ) -> Result<Tensor> {
        let kernels = pass.kernels;
        let linear = |x: &Tensor, pair: &Pair| ops::linear(x, &pair.0, Some(&pair.1), kernels);
        let add = |part: &Tensor, site: Site, x: &Tensor, norm: &Pair| {
            let dropout = pass.dropout(self.dropout, site);
            let sum = (ops::dropout(part, dropout, sequences, kernels)? + x)?;
            ops::layer_norm(&sum, (&norm.0, &norm.1), self.eps, kernels)
        };
        let site = Site::AttentionOutput(self.number);
        let context = linear(context, &self.attention_output)?;
        let x = add(&context, site, x, &self.attention_norm)?;
        let inner = ops::gelu(&linear(&x, &self.intermediate)?, kernels)?;
        let output = linear(&inner, &self.output)?;
        add(&output, Site::Output(self.number), &x, &self.norm)
    }

    /// Softmax of scaled products of queries and keys, times values. `[T, H]`
    fn attention(
        &self,
        states: (&Tensor, &Tensor, &Tensor),
        sequences: &Sequences,
        pass: &Pass,
    ) -> Result<Tensor> {
        let (rows, length) = (sequences.rows(), sequences.length_max());
        let (_, inside) = sequences.padded(states.0.device())?;
        // Behind the end of a sequence nothing is seen: exp(-1e30) is 0.
        let hidden = ((inside - 1.0)? * 1e30)?.reshape((rows, 1, 1, length))?;
        let dropout = pass.dropout(self.attention_dropout, Site::Attention(self.number));
        ops::attention(states, &hidden, (self.heads, dropout.as_ref()), sequences)
    }
}
