//! Vectors of a task's texts by a model: each different text once, batches of like lengths.

use std::collections::HashMap;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::tasks::Prompts;
use super::{Embedder, Role, Vectors};
use crate::encoder::{Encoder, Kernels, Pass, Sequences};
use crate::model::Model;
use crate::tokenizer::{Encoded, Scratch};
use crate::{Error, Result};

/// Tokens that go through the encoder at once.
const BATCH_TOKENS: usize = 4096;

/// Names under which models keep what stands before a document.
const DOCUMENT: [&str; 3] = ["document", "passage", "corpus"];

/// A model as an embedder.
#[derive(Debug)]
pub struct ModelEmbedder<'a> {
    model: &'a Model,
    prompts: Prompts,
}

impl<'a> ModelEmbedder<'a> {
    /// A model, and what stands before texts instead of its own prompts.
    pub fn new(model: &'a Model, prompts: &Prompts) -> ModelEmbedder<'a> {
        ModelEmbedder {
            model,
            prompts: prompts.clone(),
        }
    }

    /// What stands before texts of a role: as the task says, as the model says, or nothing.
    pub fn prompt(&self, role: Role) -> &str {
        let (task, names): (_, &[&str]) = match role {
            Role::Query => (&self.prompts.query, &["query"]),
            Role::Document => (&self.prompts.document, &DOCUMENT),
            Role::Text => (&self.prompts.text, &[]),
        };
        let own = names.iter().find_map(|&name| self.model.prompts.get(name));
        let default = self.model.default_prompt.as_ref();
        let default = default.and_then(|name| self.model.prompts.get(name));
        let found = task.as_ref().or(own).or(default);
        found.map_or("", String::as_str)
    }
}

impl Embedder for ModelEmbedder<'_> {
    fn embed(&mut self, texts: &[&str], role: Role) -> Result<Vectors> {
        let encoder = &self.model.encoder;
        let mut numbers = HashMap::new();
        let mut different: Vec<&str> = Vec::new();
        let places: Vec<usize> = texts
            .iter()
            .map(|&text| {
                *numbers.entry(text).or_insert_with(|| {
                    different.push(text);
                    different.len() - 1
                })
            })
            .collect();
        let length_max = self.model.length_max;
        let tokens = tokens(self.model, &different, self.prompt(role), length_max)?;
        let (dimension, values) = (encoder.dimension(), encode(encoder, &tokens)?);
        if let Some(number) = not_finite(&values, dimension) {
            return Err(Error::Model {
                path: self.model.folder.clone(),
                message: format!(
                    "the vector of the text `{}` is not of finite numbers",
                    different[number]
                ),
            });
        }
        Ok(Vectors::dense(dimension, values)?.select(&places))
    }

    fn model(&self) -> Option<&Model> {
        Some(self.model)
    }

    fn prompt(&self, role: Role) -> &str {
        ModelEmbedder::prompt(self, role)
    }
}

/// The token ids of texts with something before each.
///
/// # Errors
/// The tokenizer fails on a text, or makes no token of it.
pub(super) fn tokens(
    model: &Model,
    texts: &[&str],
    prompt: &str,
    length_max: usize,
) -> Result<Vec<Vec<u32>>> {
    let made = texts
        .into_par_iter()
        .map_init(Scratch::default, |scratch, text| {
            let mut encoded = Encoded::default();
            let text = format!("{prompt}{text}");
            let seen = model.prepared(&text);
            model
                .tokenizer
                .encode(&seen, length_max, scratch, &mut encoded);
            match scratch.failure() {
                Some(failure) => Err(failure),
                None if encoded.ids.is_empty() => Err(Error::Usage(format!(
                    "the text `{text}` has no tokens, and the tokenizer puts none around it: no \
                     vector can be made"
                ))),
                None => Ok(encoded.ids),
            }
        });
    made.collect()
}

/// The vectors of token ids by [`Encoder::encode`], in their order. `[texts, D]`
///
/// # Errors
/// The device fails.
pub(super) fn encode(encoder: &Encoder, tokens: &[Vec<u32>]) -> Result<Vec<f32>> {
    let kernels = match encoder.device().is_cpu() {
        true => Kernels::Fused,
        false => Kernels::Plain,
    };
    let mut order: Vec<usize> = (0..tokens.len()).collect();
    order.sort_by_key(|&number| std::cmp::Reverse(tokens[number].len()));
    let dimension = encoder.dimension();
    let mut values = vec![0.0; tokens.len() * dimension];
    let mut start = 0;
    while start < order.len() {
        // The longest comes first, so that no later one makes a batch too large.
        let rows = (BATCH_TOKENS / tokens[order[start]].len()).max(1);
        let batch = &order[start..(start + rows).min(order.len())];
        let sequences = Sequences::new(batch.iter().map(|&number| &tokens[number][..]));
        let vectors = encoder.encode(&sequences, &Pass::inference(kernels))?;
        let vectors: Vec<f32> = vectors.flatten_all()?.to_vec1()?;
        for (&number, row) in batch.iter().zip(vectors.chunks_exact(dimension)) {
            values[number * dimension..][..dimension].copy_from_slice(row);
        }
        start += batch.len();
    }
    Ok(values)
}

/// The first row with a number that is not finite.
pub(super) fn not_finite(values: &[f32], dimension: usize) -> Option<usize> {
    let mut rows = values.chunks_exact(dimension);
    rows.position(|row| row.iter().any(|value| !value.is_finite()))
}
