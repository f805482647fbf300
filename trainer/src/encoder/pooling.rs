//! Pooling: the states of a sequence become one vector.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::dense::Dense;
use super::{Pass, Sequences, States, fused};
use crate::Result;

/// How the states of a sequence become one vector.
///
/// Names differ between projects, and the same name means different things: princeton-nlp/SimCSE's
/// article averages the embedding layer with the last one and its code the first layer with the last
/// one (its issue 285). So both are here by full names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The state of the first token. SimCSE: `cls_before_pooler`; sentence-transformers: `cls`.
    #[default]
    Cls,
    /// The state of the first token, through the pooler: a linear layer of size H and tanh. LUSE's
    /// "CLS"; transformers: `pooler_output`. SimCSE's `cls` also has this layer in training; where
    /// it is meant to fall away afterwards, take `cls` with `head = "mlp"`.
    ClsPooler,
    /// The mean of all states. SimCSE: `avg`; sentence-transformers: `mean`.
    Mean,
    /// The sum of all states divided by the root of their number. sentence-transformers:
    /// `mean_sqrt_len_tokens`.
    MeanSqrtLength,
    /// The largest value of all states, element by element. sentence-transformers: `max`.
    Max,
    /// The mean of all states, that of the i-th token counted i times, from 1 on: SGPT's.
    /// sentence-transformers: `weightedmean`.
    WeightedMean,
    /// The state of the last token. sentence-transformers: `lasttoken`.
    Last,
    /// The mean over tokens of the average of the embedding layer and the last layer: BERT-flow's and
    /// BERT-whitening's first-last, and that of SimCSE's article.
    FirstLastEmbeddings,
    /// The mean over tokens of the average of the first layer and the last layer: `avg_first_last`
    /// of SimCSE's code.
    FirstLastLayers,
    /// The mean over tokens of the average of the last two layers. SimCSE: `avg_top2`.
    Last2,
}

impl Pooling {
    /// All, in the order in which sentence-transformers concatenates those that it has.
    pub const ALL: [Pooling; 10] = [
        Pooling::Cls,
        Pooling::Max,
        Pooling::Mean,
        Pooling::MeanSqrtLength,
        Pooling::WeightedMean,
        Pooling::Last,
        Pooling::ClsPooler,
        Pooling::FirstLastEmbeddings,
        Pooling::FirstLastLayers,
        Pooling::Last2,
    ];

    /// Its name in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Pooling::Cls => "cls",
            Pooling::ClsPooler => "cls_pooler",
            Pooling::Mean => "mean",
            Pooling::MeanSqrtLength => "mean_sqrt_length",
            Pooling::Max => "max",
            Pooling::WeightedMean => "weighted_mean",
            Pooling::Last => "last",
            Pooling::FirstLastEmbeddings => "first_last_embeddings",
            Pooling::FirstLastLayers => "first_last_layers",
            Pooling::Last2 => "last2",
        }
    }

    /// Whether the states after layer `number` of `last` are needed (0: the embeddings).
    pub fn wants(self, number: usize, last: usize) -> bool {
        number == last || Some(number) == self.other(last)
    }

    /// The layer that is averaged with the last one.
    fn other(self, last: usize) -> Option<usize> {
        match self {
            Pooling::FirstLastEmbeddings => Some(0),
            Pooling::FirstLastLayers => Some(1),
            Pooling::Last2 => Some(last - 1),
            _ => None,
        }
    }

    /// One vector for each sequence. `[rows, H]`
    ///
    /// # Errors
    /// The device fails.
    pub fn forward(
        self,
        states: &States,
        sequences: &Sequences,
        pooler: Option<&Dense>,
        pass: &Pass,
    ) -> Result<Tensor> {
        let last = states.last();
        let rows = sequences.rows();
        let fused = fused::wanted(pass.kernels, last);
        let plain_mean = |states: &Tensor| match fused {
            true => fused::mean(states, sequences),
            false => mean(states, sequences, |_| 1.0, |sum| sum),
        };
        match self {
            Pooling::Cls if fused => fused::first(last, sequences),
            Pooling::Cls => picked(last, &sequences.starts[..rows]),
            Pooling::ClsPooler => {
                let pooler = pooler.expect("an encoder with this pooling has a pooler");
                pooler.forward(&picked(last, &sequences.starts[..rows])?, pass.kernels)
            }
            Pooling::Last => {
                let ends: Vec<u32> = sequences.starts[1..].iter().map(|end| end - 1).collect();
                picked(last, &ends)
            }
            Pooling::Max => maximum(last, sequences),
            Pooling::Mean => plain_mean(last),
            Pooling::MeanSqrtLength => mean(last, sequences, |_| 1.0, f32::sqrt),
            Pooling::WeightedMean => mean(last, sequences, |place| place as f32 + 1.0, |sum| sum),
            Pooling::FirstLastEmbeddings | Pooling::FirstLastLayers | Pooling::Last2 => {
                let number = self.other(states.layers.len() - 1);
                let other = number.and_then(|number| states.layers[number].as_ref());
                let other = other.expect("this pooling wants these states");
                let both = ((last + other)? * 0.5)?;
                plain_mean(&both)
            }
        }
    }
}

/// The states of some tokens.
fn picked(states: &Tensor, tokens: &[u32]) -> Result<Tensor> {
    let tokens = Tensor::from_slice(tokens, tokens.len(), states.device())?;
    Ok(states.index_select(&tokens, 0)?)
}

/// The sum of a sequence's states, each times the weight of its place, divided by what becomes of
/// the sum of the weights.
fn mean(
    states: &Tensor,
    sequences: &Sequences,
    weight: impl Fn(usize) -> f32,
    divisor: impl Fn(f32) -> f32,
) -> Result<Tensor> {
    let (padded, _) = padded(states, sequences)?;
    let (rows, length, _) = padded.dims3()?;
    let mut weights = vec![0f32; rows * length];
    for row in 0..rows {
        let own = sequences.span(row).len();
        let by = divisor((0..own).map(&weight).sum());
        for place in 0..own {
            weights[row * length + place] = weight(place) / by;
        }
    }
    let weights = Tensor::from_vec(weights, (rows, length, 1), states.device())?;
    Ok(padded.broadcast_mul(&weights)?.sum(1)?)
}

fn maximum(states: &Tensor, sequences: &Sequences) -> Result<Tensor> {
    let (padded, inside) = padded(states, sequences)?;
    // Behind the end of a sequence nothing is largest.
    let hidden = ((inside - 1.0)? * 1e30)?.unsqueeze(2)?;
    Ok(padded.broadcast_add(&hidden)?.max(1)?)
}

/// States with padding, and 1 inside a sequence and 0 behind its end. `[rows, L, H]`, `[rows, L]`
fn padded(states: &Tensor, sequences: &Sequences) -> Result<(Tensor, Tensor)> {
    let (index, inside) = sequences.padded(states.device())?;
    let (rows, length) = index.dims2()?;
    let padded = states.index_select(&index.flatten_all()?, 0)?;
    Ok((padded.reshape((rows, length, states.dim(1)?))?, inside))
}
