//! Scores of pairs as cosines.
//!
//! **What it optimises.** The mean squared difference of a pair's cosine and its score.
//!
//! **Reference.** Reimers and Gurevych 2019; sentence-transformers' `CosineSimilarityLoss`.
//!
//! **Columns.** `sentence1`, `sentence2` and scores; `score_range` says which scores mean 0 and 1
//! (`[0.0, 5.0]` for STS).
//!
//! **Recommendation.** Graded similarity; batch 16 to 32, learning rate 2e-5.
//!
//! **Relation to others.** `cosent` needs no common scale of scores and cosines, and is most often
//! the better choice; `cosine_bce` is steeper where a pair is wrong.

use serde::{Deserialize, Serialize};

use super::scored::{self, Scored};
use super::{Inputs, Loss, Make, Offer, Output, Place, Similarity};
use crate::Result;

/// `name = "cosine_mse"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CosineMse {
    /// The lowest and the highest score, which become 0 and 1.
    pub score_range: [f64; 2],
}

impl Default for CosineMse {
    fn default() -> CosineMse {
        CosineMse {
            score_range: [0.0, 1.0],
        }
    }
}

impl Make for CosineMse {
    fn check(&self) -> std::result::Result<(), String> {
        scored::check_range(self.score_range)
    }

    fn build(&self, _place: &Place) -> Result<Box<dyn Loss>> {
        Ok(Box::new(self.clone()))
    }
}

impl Loss for CosineMse {
    fn check(&self, offer: &Offer) -> std::result::Result<(), String> {
        scored::check("cosine_mse", offer)
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let scored = Scored::of(inputs, Similarity::Cosine)?.ranged(self.score_range)?;
        scored.output(squared)
    }
}

/// Mean squared difference and its gradient to the values.
pub(super) fn squared(values: &[f64], targets: &[f64]) -> (f64, Vec<f64>) {
    let share = 1.0 / values.len().max(1) as f64;
    let gaps = values.iter().zip(targets);
    let gaps: Vec<f64> = gaps.map(|(value, target)| value - target).collect();
    let loss = gaps.iter().map(|gap| gap * gap * share).sum();
    (loss, gaps.iter().map(|gap| 2.0 * gap * share).collect())
}
