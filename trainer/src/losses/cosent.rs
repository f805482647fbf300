//! CoSENT: of two pairs the one with the higher score shall have the higher cosine.
//!
//! **What it optimises.** Over all couples of pairs (i, j) of a batch with score_i < score_j:
//! `ln(1 + Σ exp(scale · (cos_i - cos_j)))`. Only the order of scores counts, as in Spearman's
//! correlation, of which it is a smooth stand-in; equal scores make no couple.
//!
//! **Reference.** Su Jianlin 2022 (kexue.fm 8847); sentence-transformers' `CoSENTLoss`: scale 20.
//! With equal cosines and n couples it is ln(1 + n).
//!
//! **Columns.** `sentence1`, `sentence2` and scores on any scale.
//!
//! **Recommendation.** The last step of a similarity model, on scored or 0/1 pairs; batch 32 to 64,
//! learning rate 2e-5. The couples of a batch are computed in f64; their number is the square of
//! the batch.
//!
//! **Relation to others.** `cosine_mse` and `cosine_bce` want the scores themselves and suffer where
//! their scale is not that of cosines.

use serde::{Deserialize, Serialize};

use super::scale::check_above_0;
use super::scored::{self, Scored};
use super::{Inputs, Loss, Make, Offer, Output, Place, Similarity};
use crate::Result;

/// `name = "cosent"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cosent {
    /// `cosine` or `dot`.
    pub similarity: Similarity,
    /// What differences of similarities are multiplied with; above 0.
    pub scale: f64,
}

impl Default for Cosent {
    fn default() -> Cosent {
        Cosent {
            similarity: Similarity::Cosine,
            scale: 20.0,
        }
    }
}

impl Make for Cosent {
    fn check(&self) -> std::result::Result<(), String> {
        check_above_0("scale", self.scale)
    }

    fn build(&self, _place: &Place) -> Result<Box<dyn Loss>> {
        Ok(Box::new(self.clone()))
    }
}

impl Loss for Cosent {
    fn check(&self, offer: &Offer) -> std::result::Result<(), String> {
        scored::check("cosent", offer)
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let scored = Scored::of(inputs, self.similarity)?;
        scored.output(|cosines, scores| self.value(cosines, scores))
    }
}

impl Cosent {
    /// The loss and its gradient to each cosine.
    fn value(&self, cosines: &[f64], scores: &[f64]) -> (f64, Vec<f64>) {
        let couples = || {
            let all = (0..scores.len()).flat_map(|i| (0..scores.len()).map(move |j| (i, j)));
            let couples = all.filter(|&(i, j)| scores[i] < scores[j]);
            couples.map(|(i, j)| (i, j, self.scale * (cosines[i] - cosines[j])))
        };
        let top = couples().map(|(_, _, gap)| gap).fold(0.0, f64::max);
        let sum: f64 = couples().map(|(_, _, gap)| (gap - top).exp()).sum();
        let total = (-top).exp() + sum;
        let mut gradient = vec![0.0; cosines.len()];
        for (i, j, gap) in couples() {
            let weight = self.scale * (gap - top).exp() / total;
            gradient[i] += weight;
            gradient[j] -= weight;
        }
        (top + total.ln(), gradient)
    }
}
