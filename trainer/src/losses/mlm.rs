//! The loss of masked language models: a help beside any loss over vectors, as SimCSE has it.

use std::collections::BTreeMap;

use candle_core::Tensor;
use juzi_schemas::random::fold;
use serde::{Deserialize, Serialize};

use crate::encoder::{Encoder, Pass, Sequences};
use crate::losses::masks::{self, Masked, Masking, TokenKinds};
use crate::losses::vocabulary::{Scored, VocabularyHead};
use crate::losses::{Output, TokenLoss};
use crate::parameters::Parameters;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Keeps the dropout of this pass apart from that of the pass for vectors.
const PASS: u64 = 0x6d6c_6d31;

/// Table `[mlm]` of a recipe: a second pass through the encoder over hidden tokens.
///
/// *What it optimises.* Some tokens of each text are hidden, and the head has to say from the states
/// around them what they were; the mean cross-entropy over the hidden tokens is added to the loss of
/// the recipe. It keeps what the words mean in an encoder whose vectors alone are trained.
///
/// *Reference.* Gao et al. 2021, SimCSE, section 5 and appendix: tokens are drawn one by one, with
/// probability 0.15; of them 80 % become the mask, 10 % any token, 10 % stay. Each copy of a text is
/// hidden by draws of its own.
///
/// *Columns.* All columns of texts that the loss sees. Whole words need column `words`, or a
/// tokenizer whose pieces begin with `##`.
///
/// *Recommendation.* Weight 0.1; where vectors are compared by similarity alone, the weight 0 was
/// better in the paper, where they are fed to a classifier, 0.1. The figure `mlm_accuracy` says
/// whether the head still learns: while it falls, the other loss takes what the model knew.
///
/// *Relation.* Without another loss this is BERT's training; [`super::retromae`] adds a decoder that
/// sees one vector of each text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlmOptions {
    /// What the loss is multiplied with before it is added; above 0.
    pub weight: f64,
    /// Share of tokens that are hidden, above 0 and below 1.
    pub probability: f64,
    /// Whether whole words are hidden, in exact number; else tokens one by one.
    pub whole_words: bool,
}

/// The loss of a masked language model.
#[derive(Clone, Debug)]
pub struct Mlm {
    options: MlmOptions,
    kinds: TokenKinds,
    head: VocabularyHead,
}

impl Default for MlmOptions {
    fn default() -> MlmOptions {
        MlmOptions {
            weight: 0.1,
            probability: 0.15,
            whole_words: false,
        }
    }
}

impl MlmOptions {
    /// Checks the values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> std::result::Result<(), String> {
        if !(self.weight > 0.0 && self.weight.is_finite()) {
            let weight = self.weight;
            return Err(format!(
                "[mlm] weight = {weight}: a number above 0 is wanted"
            ));
        }
        check_probability("[mlm] probability", self.probability)
    }

    fn masking(&self) -> Masking {
        Masking {
            probability: self.probability,
            whole_words: self.whole_words,
        }
    }
}

impl Mlm {
    /// The loss for an encoder; `brought` is what its files hold besides the encoder, and what is
    /// missing of the head follows from the seed.
    ///
    /// # Errors
    /// The tokenizer has no mask or more tokens than the encoder; or a parameter has another shape.
    pub fn new(
        options: &MlmOptions,
        encoder: &Encoder,
        brought: &BTreeMap<String, Tensor>,
        tokenizer: &Tokenizer,
        seed: u64,
    ) -> Result<Mlm> {
        let kinds = TokenKinds::of(tokenizer)?;
        Mlm::of_kinds(options, encoder, brought, kinds, seed)
    }

    pub(crate) fn of_kinds(
        options: &MlmOptions,
        encoder: &Encoder,
        brought: &BTreeMap<String, Tensor>,
        kinds: TokenKinds,
        seed: u64,
    ) -> Result<Mlm> {
        check_vocabulary(encoder, &kinds)?;
        Ok(Mlm {
            options: options.clone(),
            head: VocabularyHead::new(encoder, brought, seed)?,
            kinds,
        })
    }
}

impl TokenLoss for Mlm {
    fn check(&self, _encoder: &Encoder, words: bool) -> std::result::Result<(), String> {
        self.options.check()?;
        let pieces = self.kinds.continues.contains(&true);
        match self.options.whole_words && !words && !pieces {
            false => Ok(()),
            true => Err(
                "[mlm] whole_words = true: the dataset has no column `words` and the \
                         tokenizer no pieces that begin with `##`; make shards with words, or \
                         set it to false"
                    .into(),
            ),
        }
    }

    fn labels(&self, sequences: &Sequences, step_key: u64) -> Vec<usize> {
        let masking = self.options.masking();
        vec![masks::count(sequences, &self.kinds, &masking, step_key)]
    }

    fn forward(
        &self,
        encoder: &Encoder,
        sequences: &Sequences,
        labels: &[usize],
        step_key: u64,
        pass: &Pass,
    ) -> Result<Output> {
        let masking = self.options.masking();
        let masked = masks::mask(sequences, &self.kinds, &masking, step_key);
        let pass = apart(pass, PASS);
        let scored = score(&self.head, encoder, &masked, &pass)?;
        let all = labels[0].max(1) as f64;
        let mean = (scored.loss / all)?;
        let figures = vec![
            ("mlm_loss", f64::from(mean.to_scalar::<f32>()?)),
            ("mlm_accuracy", scored.correct as f64 / all),
        ];
        Ok(Output {
            loss: (mean * self.options.weight)?,
            figures,
        })
    }

    fn parameters(&self) -> Parameters {
        self.head.parameters()
    }
}

/// The cross-entropy of hidden tokens.
///
/// # Errors
/// The device fails.
pub fn score(
    head: &VocabularyHead,
    encoder: &Encoder,
    masked: &Masked,
    pass: &Pass,
) -> Result<Scored> {
    let states = encoder.states(&masked.sequences, pass, |_| false)?;
    let labelled = pick(states.last(), &masked.places)?;
    head.score(&labelled, &masked.labels, pass)
}

/// Some rows of a tensor: `[T, H]` to `[places, H]`.
///
/// # Errors
/// The device fails.
pub fn pick(states: &Tensor, places: &[u32]) -> Result<Tensor> {
    let places = Tensor::new(places, states.device())?;
    Ok(states.index_select(&places, 0)?)
}

/// The same pass with dropout of its own.
pub fn apart(pass: &Pass, number: u64) -> Pass {
    let key = |key: u64| fold(key ^ 0x9e37_79b9_7f4a_7c15, number ^ 0xd6e8_feb8_6659_fd93);
    Pass {
        dropout: pass.dropout.map(key),
        ..*pass
    }
}

/// Checks a share of tokens to be hidden.
///
/// # Errors
/// The key, its value and what is accepted.
pub fn check_probability(key: &str, probability: f64) -> std::result::Result<(), String> {
    match probability > 0.0 && probability < 1.0 {
        true => Ok(()),
        false => Err(format!(
            "{key} = {probability}: a number above 0 and below 1 is wanted"
        )),
    }
}

/// Checks that an encoder has all ids of a tokenizer: a hidden token can become any of them.
///
/// # Errors
/// Both numbers.
pub fn check_vocabulary(encoder: &Encoder, kinds: &TokenKinds) -> Result<()> {
    let (tokens, ids) = (kinds.vocabulary(), encoder.config.vocab_size);
    match tokens <= ids {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "[tokenizer] path: the tokenizer has {tokens} tokens, the model {ids} ids; it is not \
             the model's tokenizer"
        ))),
    }
}

#[cfg(test)]
mod tests;
