//! RetroMAE: a weak decoder has to write a text from its vector, so the vector must hold the text.
//!
//! ```text
//! text, 30 % hidden ─▶ Encoder ─▶ states ──▶ head ─▶ loss of hidden words
//!                                 └▶ [CLS] ┐
//! text, each token sees half of it ────────┴▶ Decoder ─▶ head ─▶ loss of all words
//! ```

mod attention;
mod decoder;
mod visibility;

use std::collections::BTreeMap;

use candle_core::Tensor;
use rayon::prelude::{IntoParallelIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::encoder::{Encoder, Pass, Pooling, Sequences};
use crate::losses::masks::{self, Masked, Masking, TokenKinds};
use crate::losses::mlm::{apart, check_probability, check_vocabulary, pick};
use crate::losses::vocabulary::{Bags, Scored, VocabularyHead};
use crate::losses::{Output, TokenLoss};
use crate::parameters::Parameters;
use crate::tokenizer::Tokenizer;

pub use attention::Attention;
pub use decoder::Decoder;
pub use visibility::Visibility;

/// Keeps the dropout of the decoder apart from that of the encoder.
const PASS: u64 = 0x7265_7472;

/// Table `[retromae]` of a recipe: pre-training of an encoder whose `[CLS]` state is its vector.
///
/// *What it optimises.* The encoder sees a text with 30 % of its words hidden, and its head must
/// say them; a decoder of one layer must say every word of the text from the state of `[CLS]`, the
/// position of the word, and the embeddings of about half of the other words, drawn anew for each
/// position. The means of both cross-entropies are added. One layer is too weak to guess the text,
/// so the vector has to tell it.
///
/// *Reference.* Xiao et al. 2022, RetroMAE, enhanced decoding (section 3.3); the variant with bags
/// of words is Liu et al. 2023, DupMAE: of each text, the largest logits over its tokens, without
/// `[CLS]`, must tell which words occur in it.
///
/// *Columns.* One column of texts: blocks of about as many tokens as the recipe's limit. Whole
/// words need column `words`; without it pieces that begin with `##` go with those before them.
/// `[UNK]` and other special tokens are neither hidden nor labels.
///
/// *Recommendation.* Shares 0.3 and 0.5 as published; batches of many tokens, rate 1e-4. The
/// figures `encoder_accuracy` and `decoder_accuracy` flatten when there is nothing left to learn;
/// `visible_share` is about 1 - `decoder_probability`.
///
/// *Relation.* It comes before a contrastive loss, not in its place: vectors that it leaves are not
/// yet compared well by cosines. Its first half is [`super::mlm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetroMaeOptions {
    /// Share of tokens hidden from the encoder, above 0 and below 1.
    pub encoder_probability: f64,
    /// Share of tokens hidden from each position of the decoder, above 0 and below 1.
    pub decoder_probability: f64,
    /// Weight of the bag-of-words loss: 0 for RetroMAE, 0.1 for DupMAE.
    pub bag_of_words_weight: f64,
}

/// The loss of RetroMAE.
#[derive(Clone, Debug)]
pub struct RetroMae {
    options: RetroMaeOptions,
    kinds: TokenKinds,
    head: VocabularyHead,
    decoder: Decoder,
}

impl Default for RetroMaeOptions {
    fn default() -> RetroMaeOptions {
        RetroMaeOptions {
            encoder_probability: 0.3,
            decoder_probability: 0.5,
            bag_of_words_weight: 0.0,
        }
    }
}

impl RetroMaeOptions {
    /// Checks the values.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> std::result::Result<(), String> {
        check_probability("[retromae] encoder_probability", self.encoder_probability)?;
        check_probability("[retromae] decoder_probability", self.decoder_probability)?;
        let weight = self.bag_of_words_weight;
        match weight >= 0.0 && weight.is_finite() {
            true => Ok(()),
            false => Err(format!(
                "[retromae] bag_of_words_weight = {weight}: 0 or a number above it is wanted"
            )),
        }
    }

    fn masking(&self) -> Masking {
        Masking {
            probability: self.encoder_probability,
            whole_words: true,
        }
    }
}

impl RetroMae {
    /// The loss for an encoder; `brought` is what its files hold besides the encoder, and what is
    /// missing of head and decoder follows from the seed.
    ///
    /// # Errors
    /// The tokenizer has no mask, no token at the beginning of a text, or more tokens than the
    /// encoder; or a parameter has another shape.
    pub fn new(
        options: &RetroMaeOptions,
        encoder: &Encoder,
        brought: &BTreeMap<String, Tensor>,
        tokenizer: &Tokenizer,
        seed: u64,
    ) -> Result<RetroMae> {
        if tokenizer.cls().is_none() {
            return Err(crate::Error::Usage(
                "[tokenizer] path: this one has no token at the beginning of a text, such as \
                 [CLS]; RetroMAE needs its state"
                    .into(),
            ));
        }
        let kinds = TokenKinds::of(tokenizer)?;
        RetroMae::of_kinds(options, encoder, brought, kinds, seed)
    }

    pub(crate) fn of_kinds(
        options: &RetroMaeOptions,
        encoder: &Encoder,
        brought: &BTreeMap<String, Tensor>,
        kinds: TokenKinds,
        seed: u64,
    ) -> Result<RetroMae> {
        check_vocabulary(encoder, &kinds)?;
        Ok(RetroMae {
            options: options.clone(),
            head: VocabularyHead::new(encoder, brought, seed)?,
            decoder: Decoder::new(encoder, brought, seed)?,
            kinds,
        })
    }

    /// Tokens that the decoder has to say: all that are not special.
    fn decoded(&self, sequences: &Sequences) -> Masked {
        let tokens = 0..sequences.tokens();
        let tokens = tokens.filter(|&token| self.kinds.may_hide(sequences, token));
        let places: Vec<u32> = tokens.map(|token| token as u32).collect();
        Masked {
            labels: places
                .iter()
                .map(|&place| sequences.ids[place as usize])
                .collect(),
            places,
            sequences: sequences.clone(),
        }
    }

    /// The bag of words of each sequence that has any, and the tokens whose logits must tell it: all
    /// but the first of the sequence.
    fn bags(&self, sequences: &Sequences) -> (Vec<u32>, Bags) {
        let (mut places, mut bags) = (Vec::new(), Bags::default());
        for row in 0..sequences.rows() {
            let span = sequences.span(row);
            let kept = span
                .clone()
                .filter(|&token| self.kinds.may_hide(sequences, token));
            let mut words: Vec<u32> = kept.map(|token| sequences.ids[token]).collect();
            let length = words.len();
            if length == 0 || span.len() < 2 {
                continue;
            }
            words.sort_unstable();
            words.dedup();
            places.extend((span.start as u32 + 1)..span.end as u32);
            bags.ends.push(places.len());
            bags.words.push((words, 1.0 / length as f32));
        }
        (places, bags)
    }

    /// Who sees whom in the decoder, of each sequence.
    fn visible(&self, sequences: &Sequences, step_key: u64) -> Vec<Visibility> {
        let probability = self.options.decoder_probability;
        let rows = (0..sequences.rows()).into_par_iter();
        rows.map(|row| Visibility::draw(sequences, row, &self.kinds, probability, step_key))
            .collect()
    }

    /// The loss of all tokens that are not special, said from the first state of each sequence.
    fn decode(
        &self,
        encoder: &Encoder,
        sequences: &Sequences,
        (states, visible): (&Tensor, Vec<Visibility>),
        pass: &Pass,
    ) -> Result<Scored> {
        let vectors = pick(states, &sequences.starts[..sequences.rows()])?;
        let pass = apart(pass, PASS);
        let decoder = &self.decoder;
        let states = decoder.forward(encoder, &vectors, sequences, visible, &pass)?;
        let decoded = self.decoded(sequences);
        let states = pick(&states, &decoded.places)?;
        self.head.score(&states, &decoded.labels, &pass)
    }

    /// The loss of sequences with these tokens hidden, from the encoder and from each other.
    fn score(
        &self,
        encoder: &Encoder,
        sequences: &Sequences,
        (masked, visible): (&Masked, Vec<Visibility>),
        labels: &[usize],
        pass: &Pass,
    ) -> Result<Output> {
        let [hidden, decoded, bags] = [0, 1, 2].map(|kind| labels[kind].max(1) as f64);
        let tokens = self.decoded(sequences).labels.len() as f64;
        let visible_share = visible_share(&visible) * tokens / decoded;
        let states = encoder.states(&masked.sequences, pass, |_| false)?;
        let states = states.last();
        let labelled = pick(states, &masked.places)?;
        let of_encoder = self.head.score(&labelled, &masked.labels, pass)?;
        let of_decoder = self.decode(encoder, sequences, (states, visible), pass)?;
        let encoder_loss = (of_encoder.loss / hidden)?;
        let decoder_loss = (of_decoder.loss / decoded)?;
        let mut figures = vec![
            ("encoder_loss", f64::from(encoder_loss.to_scalar::<f32>()?)),
            ("encoder_accuracy", of_encoder.correct as f64 / hidden),
            ("decoder_loss", f64::from(decoder_loss.to_scalar::<f32>()?)),
            ("decoder_accuracy", of_decoder.correct as f64 / decoded),
            ("visible_share", visible_share),
        ];
        let mut loss = (encoder_loss + decoder_loss)?;
        if self.options.bag_of_words_weight > 0.0 {
            let (places, own) = self.bags(sequences);
            let bag_loss = (self.head.score_bags(&pick(states, &places)?, own, pass)? / bags)?;
            figures.push(("bag_of_words_loss", f64::from(bag_loss.to_scalar::<f32>()?)));
            loss = (loss + (bag_loss * self.options.bag_of_words_weight)?)?;
        }
        Ok(Output { loss, figures })
    }
}

/// Of pairs of tokens of a sequence, how many see each other.
fn visible_share(visible: &[Visibility]) -> f64 {
    let seen: u64 = visible.iter().map(Visibility::pairs).sum();
    let pairs: usize = visible.iter().map(|own| own.length * own.length).sum();
    seen as f64 / pairs.max(1) as f64
}

impl TokenLoss for RetroMae {
    fn check(&self, encoder: &Encoder, _words: bool) -> std::result::Result<(), String> {
        self.options.check()?;
        match encoder.pooling {
            Pooling::Cls => Ok(()),
            other => Err(format!(
                "[encoder] pooling = {other:?}: RetroMAE trains the state of [CLS]; cls is wanted"
            )),
        }
    }

    /// Hidden tokens, tokens to be decoded, texts with a bag of words if these are wanted.
    fn labels(&self, sequences: &Sequences, step_key: u64) -> Vec<usize> {
        let masking = self.options.masking();
        let bags = match self.options.bag_of_words_weight > 0.0 {
            true => self.bags(sequences).1.ends.len(),
            false => 0,
        };
        vec![
            masks::count(sequences, &self.kinds, &masking, step_key),
            self.decoded(sequences).labels.len(),
            bags,
        ]
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
        let visible = self.visible(sequences, step_key);
        self.score(encoder, sequences, (&masked, visible), labels, pass)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = self.head.parameters();
        parameters.extend(&self.decoder.parameters());
        parameters
    }
}

#[cfg(test)]
mod tests;
