//! NT-Xent: both directions in one matrix of 2B rows and columns.
//!
//! **What it optimises.** Anchors and positives stand in one list. Each of the 2B vectors shall find
//! its partner among the 2B - 1 others; its similarity to itself is left out.
//!
//! **Reference.** Chen et al. 2020, SimCLR; for Chinese sentences bojone's SimCSE program, where it
//! is often mistaken for the published SimCSE (which is `info_nce`). Equal vectors give ln(2B - 1).
//!
//! **Columns.** `text` with 2 view blocks, or `anchor` and `positive`, and `negatives`, which are
//! further columns for all 2B rows. Lists of further positives and of documents to ignore are obeyed
//! in both directions; equal records are positives of each other.
//!
//! **Recommendation.** Two views of the same text; scale 20 for sentences (SimCLR's images: 2 to
//! 10). For questions and answers, which never compete with their own side in a search, `symmetric`
//! fits better.
//!
//! **Relation to others.** `symmetric` without the negatives of the own side; `sup_con` with 2 view
//! blocks and no labels is the same loss; `luse` keeps the similarity to itself.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::contrastive::Contrastive;
use super::pairs::{self, Pairs};
use super::{Contrast, Inputs, Matrix, Offer, Positives, Scale, Scaled, Similarity};
use crate::Result;

/// `name = "nt_xent"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NtXent {
    /// `cosine` or `dot`.
    pub similarity: Similarity,
    /// One over the temperature: 20 is τ = 0.05.
    pub scale: Scale,
    /// What several positives count for: `uniform` or `summed`.
    pub positives: Positives,
}

impl Default for NtXent {
    fn default() -> NtXent {
        NtXent {
            similarity: Similarity::Cosine,
            scale: Scale::Fixed(20.0),
            positives: Positives::Uniform,
        }
    }
}

impl Contrastive for NtXent {
    fn scale(&self) -> Scale {
        self.scale
    }

    fn wants(&self, offer: &Offer) -> std::result::Result<(), String> {
        pairs::check("nt_xent", offer)
    }

    fn contrast(&self, inputs: &Inputs<'_>, scale: &Scaled) -> Result<Contrast> {
        let pairs = Pairs::of(inputs)?;
        let all = Tensor::cat(&[&pairs.anchors, &pairs.documents()?], 0)?;
        let all = self.similarity.prepare(&all)?;
        let matrix = Matrix {
            rows: &all.narrow(0, 0, 2 * pairs.rows())?,
            columns: &all,
            scale,
            positives: self.positives,
        };
        matrix.contrast(&pairs.both_ways())
    }
}
