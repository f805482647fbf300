//! Multiple negatives ranking: the loss that most sentence-transformers models are trained with.
//!
//! **What it optimises.** Each anchor shall rank its own positive before all other documents of the
//! batch: `mean_i -log softmax_j(scale · cos(a_i, d_j))[i]`, one direction.
//!
//! **Reference.** Henderson et al. 2017; sentence-transformers' `MultipleNegativesRankingLoss`:
//! scale 20, cosine, columns `[positives ; negatives]`.
//!
//! **Columns.** `anchor` and `positive`, and `negatives`: any number for each record; or `text`
//! with 2 view blocks. Lists of further positives and of documents to ignore are obeyed; equal
//! records are positives of each other.
//!
//! **Recommendation.** As large a batch as there is memory for; beyond that GradCache, which gives
//! the same gradients. Batches without false negatives matter more than their size: plan them with
//! `juzi batches`.
//!
//! **Relation to others.** `info_nce` with weight 0, under the name and with the keys that
//! sentence-transformers' users know. `symmetric` adds the direction from positives to anchors.

use serde::{Deserialize, Serialize};

use super::contrastive::Contrastive;
use super::info_nce::{self, InfoNce};
use super::pairs::{self, Pairs};
use super::{Contrast, Inputs, Offer, Positives, Scale, Scaled, Similarity};
use crate::Result;

/// `name = "multiple_negatives_ranking"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MultipleNegativesRanking {
    /// `cosine` or `dot`.
    pub similarity: Similarity,
    /// What similarities are multiplied with.
    pub scale: Scale,
    /// What several positives count for: `uniform` or `summed`.
    pub positives: Positives,
    /// Whether documents of other records are negatives.
    pub in_batch: bool,
}

impl Default for MultipleNegativesRanking {
    fn default() -> MultipleNegativesRanking {
        MultipleNegativesRanking {
            similarity: Similarity::Cosine,
            scale: Scale::Fixed(20.0),
            positives: Positives::Uniform,
            in_batch: true,
        }
    }
}

impl Contrastive for MultipleNegativesRanking {
    fn scale(&self) -> Scale {
        self.scale
    }

    fn wants(&self, offer: &Offer) -> std::result::Result<(), String> {
        let name = "multiple_negatives_ranking";
        pairs::check(name, offer)?;
        info_nce::check_in_batch(name, self.in_batch, offer)
    }

    fn contrast(&self, inputs: &Inputs<'_>, scale: &Scaled) -> Result<Contrast> {
        let options = InfoNce {
            similarity: self.similarity,
            scale: self.scale,
            positives: self.positives,
            hard_negative_weight: 0.0,
            in_batch: self.in_batch,
        };
        options.one_way(&Pairs::of(inputs)?, scale)
    }
}
