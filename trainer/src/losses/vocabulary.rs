//! The head of masked language models: from states of tokens to words of the vocabulary.
//!
//! A dense layer, GELU and a layer norm, then products with the table of word embeddings itself, as
//! BERT has it. Only labelled tokens go through it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, D, Layout, Shape, Tensor};

use crate::Result;
use crate::encoder::{Encoder, Kernels, Pair, Pass, ops, take};
use crate::kernels::rows::add_scaled;
use crate::kernels::view;
use crate::kernels::vocabulary::{Gradients, Table, bags_of_words, cross_entropy};
use crate::losses::initial::Initial;
use crate::parameters::{Parameter, Parameters};

/// The head.
#[derive(Clone, Debug)]
pub struct VocabularyHead {
    dense: Pair,
    norm: Pair,
    output: Output,
    eps: f64,
}

/// What a head says about labelled tokens.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The sum of the cross-entropy over the labels, a scalar with gradients.
    pub loss: Tensor,
    /// Labels that got the largest logit.
    pub correct: usize,
}

/// The words that occur in some sequences.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bags {
    /// Where the tokens of each sequence end among the states that the head is given.
    pub ends: Vec<usize>,
    /// Of each sequence its words, each once and in order, and the weight that each has.
    pub words: Vec<(Vec<u32>, f32)>,
}

/// Products with the table, which is the one of the embeddings.
#[derive(Clone, Debug)]
struct Output {
    words: Arc<Parameter>,
    bias: Arc<Parameter>,
}

/// What is computed of the states, fused for the CPU.
#[derive(Clone, Debug)]
enum Target {
    Labels(Vec<u32>),
    Bags(Bags),
}

/// A loss over the vocabulary as one node of candle's graph. Gradients come with the value, as the
/// logits are at hand then; the backward pass only scales them.
struct Fused {
    output: Output,
    target: Target,
    tracked: bool,
    kept: Mutex<Option<Gradients>>,
    correct: Arc<AtomicUsize>,
}

impl VocabularyHead {
    /// The head of an encoder: of the tensors `cls.predictions.*` that its files brought, and where
    /// there are none, of new ones that follow from the seed.
    ///
    /// # Errors
    /// A tensor has another shape than the encoder's sizes say.
    pub fn new(
        encoder: &Encoder,
        brought: &BTreeMap<String, Tensor>,
        seed: u64,
    ) -> Result<VocabularyHead> {
        let config = &encoder.config;
        let (width, vocabulary) = (config.hidden_size, config.vocab_size);
        let initial = Initial::new(encoder, brought, seed);
        let words = "embeddings.word_embeddings.weight";
        Ok(VocabularyHead {
            dense: initial.pair("cls.predictions.transform.dense", &[width, width])?,
            norm: initial.pair("cls.predictions.transform.LayerNorm", &[width])?,
            output: Output {
                words: take(&encoder.parameters, words, &[vocabulary, width])?,
                bias: initial.take("cls.predictions.bias", &[vocabulary])?,
            },
            eps: config.layer_norm_eps,
        })
    }

    /// Its parameters without the table, which is the encoder's.
    pub fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        let own = [&self.dense.0, &self.dense.1, &self.norm.0, &self.norm.1];
        for parameter in own.into_iter().chain([&self.output.bias]) {
            parameters.share(parameter.clone());
        }
        parameters
    }

    /// The cross-entropy of states `[N, H]` against N labels.
    ///
    /// # Errors
    /// The device fails.
    pub fn score(&self, states: &Tensor, labels: &[u32], pass: &Pass) -> Result<Scored> {
        if labels.is_empty() {
            return Ok(Scored {
                loss: Tensor::new(0f32, states.device())?,
                correct: 0,
            });
        }
        let states = self.transform(states, pass)?;
        self.output.score(&states, labels, pass)
    }

    /// The sum over sequences of `- sum of weight * log softmax(largest logits)`: the bag-of-words
    /// loss of DupMAE. States `[N, H]` are those of the sequences one after another.
    ///
    /// # Errors
    /// The device fails.
    pub fn score_bags(&self, states: &Tensor, bags: Bags, pass: &Pass) -> Result<Tensor> {
        if bags.ends.is_empty() {
            return Ok(Tensor::new(0f32, states.device())?);
        }
        let states = self.transform(states, pass)?;
        self.output.score_bags(&states, bags, pass)
    }

    fn transform(&self, states: &Tensor, pass: &Pass) -> Result<Tensor> {
        let kernels = pass.kernels;
        let states = ops::linear(states, &self.dense.0, Some(&self.dense.1), kernels)?;
        let states = ops::gelu(&states, kernels)?;
        ops::layer_norm(&states, (&self.norm.0, &self.norm.1), self.eps, kernels)
    }
}

impl Output {
    fn score(&self, states: &Tensor, labels: &[u32], pass: &Pass) -> Result<Scored> {
        if pass.kernels == Kernels::Fused {
            return self.fused(states, Target::Labels(labels.to_vec()), pass);
        }
        let logits = self.logits(states)?;
        let labels = Tensor::new(labels, states.device())?;
        let own = logits.gather(&labels.unsqueeze(1)?, 1)?.squeeze(1)?;
        let loss = (normaliser(&logits)? - own)?.sum_all()?;
        let found = logits.detach().argmax(D::Minus1)?.eq(&labels)?;
        let correct = found.to_dtype(candle_core::DType::U32)?.sum_all()?;
        Ok(Scored {
            loss,
            correct: correct.to_scalar::<u32>()? as usize,
        })
    }

    fn score_bags(&self, states: &Tensor, bags: Bags, pass: &Pass) -> Result<Tensor> {
        if pass.kernels == Kernels::Fused {
            return Ok(self.fused(states, Target::Bags(bags), pass)?.loss);
        }
        let mut losses = Vec::with_capacity(bags.ends.len());
        let mut start = 0;
        for (&end, (words, weight)) in bags.ends.iter().zip(&bags.words) {
            let logits = self.logits(&states.narrow(0, start, end - start)?)?;
            let tops = logits.max_keepdim(0)?;
            let all = words.len() as f64 * f64::from(*weight);
            let words = Tensor::new(words.as_slice(), states.device())?;
            let of_words = tops.index_select(&words, 1)?.sum_all()?;
            let normaliser = normaliser(&tops)?.sum_all()?;
            losses.push(((normaliser * all)? - (of_words * f64::from(*weight))?)?);
            start = end;
        }
        Ok(Tensor::stack(&losses, 0)?.sum_all()?)
    }

    /// `[N, V]`
    fn logits(&self, states: &Tensor) -> Result<Tensor> {
        ops::linear(states, &self.words, Some(&self.bias), Kernels::Plain)
    }

    fn fused(&self, states: &Tensor, target: Target, pass: &Pass) -> Result<Scored> {
        let correct = Arc::new(AtomicUsize::new(0));
        let fused = Fused {
            output: self.clone(),
            target,
            tracked: pass.tracked,
            kept: Mutex::new(None),
            correct: correct.clone(),
        };
        let states = states.contiguous()?;
        let loss = match pass.tracked {
            true => states.apply_op1(fused)?,
            false => states.apply_op1_no_bwd(&fused)?,
        };
        Ok(Scored {
            loss,
            correct: correct.load(Ordering::Relaxed),
        })
    }
}

/// The logarithm of the sum of exp over the last dimension. `[N, V]` to `[N]`
fn normaliser(logits: &Tensor) -> Result<Tensor> {
    // The maximum only keeps exp in range; the gradient is the same without its own.
    let maximum = logits.detach().max_keepdim(D::Minus1)?;
    let sum = logits
        .broadcast_sub(&maximum)?
        .exp()?
        .sum_keepdim(D::Minus1)?;
    Ok((sum.log()? + maximum)?.squeeze(1)?)
}

impl Fused {
    fn compute(&self, states: &[f32], table: &Table<'_>) -> f64 {
        let tokens = states.len() / table.width();
        let mut gradients = self.tracked.then(|| Gradients::zeros(tokens, table));
        let loss = match &self.target {
            Target::Labels(labels) => {
                let scored = cross_entropy(states, labels, table, gradients.as_mut());
                self.correct.store(scored.correct, Ordering::Relaxed);
                scored.loss
            }
            Target::Bags(bags) => {
                bags_of_words(states, &bags.ends, &bags.words, table, gradients.as_mut())
            }
        };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = gradients;
        loss
    }
}

impl CustomOp1 for Fused {
    fn name(&self) -> &'static str {
        "vocabulary"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("contiguous states are wanted, found {layout:?}");
        };
        let states = &storage.as_slice::<f32>()?[start..end];
        let loss = view(self.output.words.tensor(), |weight| {
            view(self.output.bias.tensor(), |bias| {
                self.compute(states, &Table { weight, bias })
            })
        })??;
        Ok((CpuStorage::F32(vec![loss as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        states: &Tensor,
        _loss: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut gradients) = kept else {
            candle_core::bail!("a loss over the vocabulary has one backward pass");
        };
        let scale = gradient.to_scalar::<f32>()?;
        let parts = [
            (&self.output.words, &gradients.weight),
            (&self.output.bias, &gradients.bias),
        ];
        for (parameter, more) in parts {
            add_scaled(&mut parameter.host_gradient(), more, scale);
        }
        gradients
            .states
            .iter_mut()
            .for_each(|value| *value *= scale);
        let pulled = Tensor::from_vec(gradients.states, states.shape(), states.device())?;
        Ok(Some(pulled))
    }
}

#[cfg(test)]
mod tests;
