//! Symmetric cross-entropy: from anchors to documents and back.
//!
//! **What it optimises.** The mean of two soft-maxes over one matrix: each anchor shall find its
//! positive among the documents, each positive its anchor among the anchors. The second covers
//! positives alone, as a negative has no anchor.
//!
//! **Reference.** The 1B-pairs recipe behind sentence-transformers' `all-*` models (scale 20, both
//! directions for pairs, one for triplets: `direction = "one_way_with_negatives"`); CLIP (Radford et
//! al. 2021) and cpt-text (Neelakantan et al. 2022) with a learned scale;
//! sentence-transformers' `MultipleNegativesSymmetricRankingLoss` (`direction = "both"`). Equal
//! vectors give ln B.
//!
//! **Columns.** `anchor` and `positive`, and `negatives`: any number for each record; or `text`
//! with 2 view blocks. Lists of further positives and of documents to ignore are obeyed in both
//! directions; equal records are positives of each other.
//!
//! **Recommendation.** For pairs whose sides are alike (neighbouring texts, duplicates, title and
//! body). Batch 1,024 with scale 20, or thousands with
//! `scale = { learned = true, initial = 14.28, max = 100.0 }`.
//!
//! **Relation to others.** The first direction is `multiple_negatives_ranking`. `nt_xent` has both
//! directions too, and in each soft-max the negatives of the own side.

use serde::{Deserialize, Serialize};

use super::contrastive::Contrastive;
use super::pairs::{self, Pairs};
use super::{Contrast, Inputs, Matrix, Offer, Positives, Scale, Scaled, Similarity};
use crate::Result;

/// `name = "symmetric"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Symmetric {
    /// `cosine` or `dot`.
    pub similarity: Similarity,
    /// What similarities are multiplied with.
    pub scale: Scale,
    /// What several positives count for: `uniform` or `summed`.
    pub positives: Positives,
    /// `both` or `one_way_with_negatives`.
    pub direction: Direction,
}

/// Which soft-maxes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Always both.
    #[default]
    Both,
    /// Both for pairs; from anchors to documents alone in a batch that has negatives.
    OneWayWithNegatives,
}

impl Default for Symmetric {
    fn default() -> Symmetric {
        Symmetric {
            similarity: Similarity::Cosine,
            scale: Scale::Fixed(20.0),
            positives: Positives::Uniform,
            direction: Direction::Both,
        }
    }
}

impl Contrastive for Symmetric {
    fn scale(&self) -> Scale {
        self.scale
    }

    fn wants(&self, offer: &Offer) -> std::result::Result<(), String> {
        pairs::check("symmetric", offer)
    }

    fn contrast(&self, inputs: &Inputs<'_>, scale: &Scaled) -> Result<Contrast> {
        let pairs = Pairs::of(inputs)?;
        let anchors = self.similarity.prepare(&pairs.anchors)?;
        let documents = self.similarity.prepare(&pairs.documents()?)?;
        let matrix = |rows, columns| Matrix {
            rows,
            columns,
            scale,
            positives: self.positives,
        };
        let there = matrix(&anchors, &documents).contrast(&pairs.masks(true))?;
        if self.direction == Direction::OneWayWithNegatives && pairs.negatives.is_some() {
            return Ok(there);
        }
        let positives = documents.narrow(0, 0, pairs.rows())?;
        let back = matrix(&positives, &anchors).contrast(&pairs.turned())?;
        Ok(Contrast {
            loss: ((there.loss + back.loss)? * 0.5)?,
            ..there
        })
    }
}
