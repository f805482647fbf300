//! Distillation: a teacher's distribution over the documents of an anchor.
//!
//! **What it optimises.** The Kullback-Leibler divergence from the teacher's soft-max over an
//! anchor's own positive and negatives to ours, mean over anchors, plus `contrastive_weight` times
//! `info_nce` over all documents of the batch. Its floor is 0 where both soft-maxes agree.
//!
//! **Reference.** FlagEmbedding (BGE): `-Σ t log softmax(student)` plus the contrastive loss,
//! temperature 0.02; Hinton et al. 2015. We take off the entropy of the targets, a constant, so that
//! 0 is the floor.
//!
//! **Columns.** `anchor`, `positive`, `negatives` and a teacher's scores of them. A negative without
//! a score (NaN) is left out of the first part; so is an anchor whose positive has none.
//!
//! **Recommendation.** A reranker's logits as scores, 7 negatives, `teacher_scale` 1;
//! `contrastive_weight = 0.0` where negatives of the batch are unsafe.
//!
//! **Relation to others.** `margin_mse` has the teacher's range too; with one-hot targets this is
//! `info_nce` with `in_batch = false`.

use serde::{Deserialize, Serialize};

use super::info_nce::InfoNce;
use super::pairs::Pairs;
use super::scale::check_above_0;
use super::{
    Inputs, Loss, Make, Masks, Matrix, Offer, Output, Place, Positives, Scale, Scaled, Similarity,
    teacher,
};
use crate::Result;
use crate::parameters::Parameters;

/// `name = "distillation"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Distillation {
    /// `cosine` or `dot`.
    pub similarity: Similarity,
    /// What our similarities are multiplied with: one over the temperature.
    pub scale: Scale,
    /// What the teacher's scores are multiplied with; above 0.
    pub teacher_scale: f64,
    /// What the contrastive loss is multiplied with; 0 leaves it out.
    pub contrastive_weight: f64,
}

struct InUse {
    options: Distillation,
    scale: Scaled,
}

impl Default for Distillation {
    fn default() -> Distillation {
        Distillation {
            similarity: Similarity::Cosine,
            scale: Scale::Fixed(50.0),
            teacher_scale: 1.0,
            contrastive_weight: 1.0,
        }
    }
}

impl Make for Distillation {
    fn check(&self) -> std::result::Result<(), String> {
        self.scale.check()?;
        let (teacher, weight) = (self.teacher_scale, self.contrastive_weight);
        check_above_0("teacher_scale", teacher)?;
        match weight >= 0.0 && weight.is_finite() {
            true => Ok(()),
            false => Err(format!("contrastive_weight = {weight}: 0 or above")),
        }
    }

    fn build(&self, place: &Place) -> Result<Box<dyn Loss>> {
        Ok(Box::new(InUse {
            scale: self.scale.build(&place.device)?,
            options: self.clone(),
        }))
    }
}

impl Loss for InUse {
    fn check(&self, offer: &Offer) -> std::result::Result<(), String> {
        teacher::check("distillation", offer)
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let options = &self.options;
        let pairs = Pairs::of(inputs)?;
        let scores = teacher::scores(inputs, &pairs)?;
        let (masks, entropy) = options.masks(&pairs, &scores);
        let matrix = Matrix {
            rows: &options.similarity.prepare(&pairs.anchors)?,
            columns: &options.similarity.prepare(&pairs.documents()?)?,
            scale: &self.scale,
            positives: Positives::Uniform,
        };
        let divergence = (matrix.contrast(&masks)?.loss - entropy)?;
        let value = f64::from(divergence.to_scalar::<f32>()?);
        if options.contrastive_weight == 0.0 {
            return Ok(Output {
                loss: divergence,
                figures: vec![("divergence", value), ("scale", self.scale.value()?)],
            });
        }
        let contrastive = InfoNce {
            similarity: options.similarity,
            ..InfoNce::default()
        };
        let contrast = contrastive.one_way(&pairs, &self.scale)?;
        let mut output = contrast.output(&self.scale)?;
        output.loss = (divergence + (output.loss * options.contrastive_weight)?)?;
        output.figures.push(("divergence", value));
        Ok(output)
    }

    fn parameters(&self) -> Parameters {
        self.scale.parameters()
    }

    fn clamp(&self) -> Result<()> {
        self.scale.clamp()
    }
}

impl Distillation {
    /// The teacher's soft-max over the own documents of each anchor, and its mean entropy.
    fn masks(&self, pairs: &Pairs, scores: &[f64]) -> (Masks, f64) {
        let mut masks = pairs.masks(false);
        let (mut entropy, mut rows) = (0.0, 0);
        let without = |document: &u32| scores[*document as usize].is_nan();
        for row in 0..pairs.rows() {
            let own = pairs.own_negatives(row);
            masks.ignored[row] = own.clone().filter(without).collect();
            masks.targets[row].clear();
            if scores[row].is_nan() {
                continue;
            }
            let documents = std::iter::once(row as u32).chain(own);
            let documents: Vec<u32> = documents.filter(|document| !without(document)).collect();
            let logits = documents.iter().map(|&document| scores[document as usize]);
            let logits: Vec<f64> = logits.map(|score| self.teacher_scale * score).collect();
            let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = logits.iter().map(|logit| (logit - top).exp()).sum();
            for (document, logit) in documents.into_iter().zip(logits) {
                let log_share = logit - top - total.ln();
                entropy -= log_share.exp() * log_share;
                masks.targets[row].push((document, log_share.exp() as f32));
            }
            rows += 1;
        }
        (masks, entropy / f64::from(rows.max(1)))
    }
}
