//! The sizes of a model, as `config.json` of a Hugging Face folder names them.

use serde::{Deserialize, Serialize};

use super::Sequences;
use crate::{Error, Result};

/// Model types whose arithmetic is known; all but the first count positions as RoBERTa does.
pub const MODEL_TYPES: [&str; 4] = ["bert", "roberta", "xlm-roberta", "camembert"];

/// Sizes and switches of a BERT-like encoder. As a table of a recipe its keys have the defaults of
/// Chinese BERT base; in `config.json` the sizes must be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `bert`, `roberta`, `xlm-roberta` or `camembert`; the last three are the same to us.
    pub model_type: String,
    /// Token ids there are.
    pub vocab_size: usize,
    /// Length of a state, `H`.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of attention; H is a multiple of it.
    pub num_attention_heads: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// `gelu` only: the exact one, by the error function.
    pub hidden_act: String,
    /// Dropout after embeddings, attention and feed-forward part.
    pub hidden_dropout_prob: f32,
    /// Dropout on attention.
    pub attention_probs_dropout_prob: f32,
    /// Positions there are; RoBERTa uses up `pad_token_id + 1` of them.
    pub max_position_embeddings: usize,
    /// Token types there are; all tokens have type 0.
    pub type_vocab_size: usize,
    /// Standard deviation of new parameters.
    pub initializer_range: f64,
    /// Added to the variance in layer norms.
    pub layer_norm_eps: f64,
    /// Id of padding.
    pub pad_token_id: u32,
}

impl Default for Config {
    /// BERT base, Chinese.
    fn default() -> Config {
        Config {
            model_type: "bert".into(),
            vocab_size: 21_128,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".into(),
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            initializer_range: 0.02,
            layer_norm_eps: 1e-12,
            pad_token_id: 0,
        }
    }
}

impl Config {
    /// The position of a sequence's first token: 0, or as RoBERTa counts.
    pub fn position_offset(&self) -> usize {
        match self.model_type.as_str() {
            "bert" => 0,
            _ => self.pad_token_id as usize + 1,
        }
    }

    /// Tokens of a sequence at most.
    pub fn length_max(&self) -> usize {
        self.max_position_embeddings - self.position_offset()
    }

    /// Checks that the values make a model.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check_values(&self) -> std::result::Result<(), String> {
        if !MODEL_TYPES.contains(&self.model_type.as_str()) {
            let accepted = MODEL_TYPES.join(", ");
            let found = &self.model_type;
            return Err(format!("model_type = \"{found}\": {accepted} are accepted"));
        }
        if self.hidden_act != "gelu" {
            let found = &self.hidden_act;
            return Err(format!("hidden_act = \"{found}\": only gelu is accepted"));
        }
        for (key, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("type_vocab_size", self.type_vocab_size),
        ] {
            if value == 0 {
                return Err(format!("{key} = 0: 1 or more is accepted"));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "hidden_size = {}: a multiple of num_attention_heads = {} is accepted",
                self.hidden_size, self.num_attention_heads
            ));
        }
        if self.max_position_embeddings <= self.position_offset() {
            return Err(format!(
                "max_position_embeddings = {}: {} or more is accepted, {} models use up the first",
                self.max_position_embeddings,
                self.position_offset() + 1,
                self.model_type
            ));
        }
        for (key, p) in [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            (
                "attention_probs_dropout_prob",
                self.attention_probs_dropout_prob,
            ),
        ] {
            check_probability(key, p)?;
        }
        for (key, value) in [
            ("initializer_range", self.initializer_range),
            ("layer_norm_eps", self.layer_norm_eps),
        ] {
            if !(value > 0.0 && value < 1.0) {
                return Err(format!("{key} = {value}: above 0 and below 1 is accepted"));
            }
        }
        Ok(())
    }

    /// Checks that token ids and lengths are within the model.
    ///
    /// # Errors
    /// The id or the length, and what there is.
    pub fn check(&self, sequences: &Sequences) -> Result<()> {
        let largest = sequences.ids.iter().copied().max().unwrap_or(0) as usize;
        if largest >= self.vocab_size {
            return Err(Error::Usage(format!(
                "token id {largest}: the model has {} ids; its tokenizer is not this one",
                self.vocab_size
            )));
        }
        let empty = (0..sequences.rows()).find(|&row| sequences.span(row).is_empty());
        if let Some(row) = empty {
            let rows = sequences.rows();
            return Err(Error::Usage(format!(
                "sequence {row} of {rows} has no tokens; each text must give at least one"
            )));
        }
        let longest = sequences.length_max();
        match longest <= self.length_max() {
            true => Ok(()),
            false => Err(Error::Usage(format!(
                "a sequence of {longest} tokens: the model has {} positions; set [tokenizer] \
                 length_max lower",
                self.length_max()
            ))),
        }
    }
}

/// A probability of dropout: 0 to below 1.
pub fn check_probability(key: &str, p: f32) -> std::result::Result<(), String> {
    match (0.0..1.0).contains(&p) {
        true => Ok(()),
        false => Err(format!("{key} = {p}: 0 to below 1 is accepted")),
    }
}
