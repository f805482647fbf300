//! Scores of pairs as probabilities of being alike.
//!
//! **What it optimises.** `(1 + cos) / 2` is taken for the probability that a pair is alike; the
//! mean binary cross-entropy to its score.
//!
//! **Reference.** DunZhang/LUSE, `eval/` (siamese fine-tuning). Orthogonal vectors give ln 2. Cosines
//! are held to ±0.99999 where logarithm and gradient are taken, so that a wrong pair with the very
//! same vectors gives a large and not an infinite loss.
//!
//! **Columns.** `sentence1`, `sentence2` and scores; `score_range` says which scores mean 0 and 1.
//!
//! **Recommendation.** 0/1 pairs (LCQMC, BQ, AFQMC); LUSE: batch 32, learning rate 5e-5.
//!
//! **Relation to others.** `luse_bce` is this over all pairs of a batch. `cosent` looks at the order
//! alone and most often gives the better Spearman correlation.

use serde::{Deserialize, Serialize};

use super::scored::{self, Scored};
use super::{Inputs, Loss, Make, Offer, Output, Place, Similarity};
use crate::Result;

/// Where cosines are held: LUSE's value for a vector and itself.
pub(super) const COSINE_MAX: f64 = 0.99999;

/// `name = "cosine_bce"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CosineBce {
    /// The lowest and the highest score, which become 0 and 1.
    pub score_range: [f64; 2],
}

impl Default for CosineBce {
    fn default() -> CosineBce {
        CosineBce {
            score_range: [0.0, 1.0],
        }
    }
}

impl Make for CosineBce {
    fn check(&self) -> std::result::Result<(), String> {
        scored::check_range(self.score_range)
    }

    fn build(&self, _place: &Place) -> Result<Box<dyn Loss>> {
        Ok(Box::new(self.clone()))
    }
}

impl Loss for CosineBce {
    fn check(&self, offer: &Offer) -> std::result::Result<(), String> {
        scored::check("cosine_bce", offer)
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let scored = Scored::of(inputs, Similarity::Cosine)?.ranged(self.score_range)?;
        scored.output(|cosines, scores| {
            let share = 1.0 / cosines.len().max(1) as f64;
            let terms = cosines.iter().zip(scores);
            let terms = terms.map(|(&cosine, &score)| cross_entropy(cosine, score));
            let terms: Vec<(f64, f64)> = terms.collect();
            let loss = terms.iter().map(|(loss, _)| loss * share).sum();
            (loss, terms.iter().map(|(_, slope)| slope * share).collect())
        })
    }
}

/// Binary cross-entropy of `(1 + cosine) / 2` to a target, and its derivative.
pub(super) fn cross_entropy(cosine: f64, target: f64) -> (f64, f64) {
    let cosine = cosine.clamp(-COSINE_MAX, COSINE_MAX);
    let (alike, other) = ((1.0 + cosine) / 2.0, (1.0 - cosine) / 2.0);
    let loss = -target * alike.ln() - (1.0 - target) * other.ln();
    (loss, ((1.0 - target) / other - target / alike) / 2.0)
}
