//! InfoNCE in one direction, as SimCSE is published.
//!
//! **What it optimises.** Of each anchor the probability of its own positive among all documents of
//! the batch: `mean_i -log softmax_j(cos(a_i, d_j) / τ)[i]`. Other anchors' positives and all
//! negatives of the batch are its negatives.
//!
//! **Reference.** van den Oord et al. 2018 (the bound); Gao et al. 2021, SimCSE, and its program
//! `simcse/models.py`: one direction, τ = 0.05, and with hard negatives the columns
//! `[z2_1 … z2_B, z3_1 … z3_B]`, where a weight is *added to the logit* of an anchor's own hard
//! negative, so `exp` of it is multiplied by e^weight. Equal vectors give ln B, with as many hard
//! negatives ln 2B.
//!
//! **Columns.** `text` with 2 view blocks (unsupervised: the copies differ by dropout), or `anchor`
//! and `positive`, and `negatives`: any number for each record. Lists of further positives and of
//! documents to ignore are obeyed; equal records are positives of each other.
//!
//! **Recommendation.** Unsupervised: batch 64, scale 20, learning rate 3e-5, length 32, the head
//! `mlp` in training only. With hard negatives: batch 512, 5e-5, weight 0. `in_batch = false` for
//! data whose classes repeat within a batch (classification, clustering).
//!
//! **Relation to others.** `multiple_negatives_ranking` is this with weight 0; `nt_xent` adds the
//! other direction and the negatives on the anchors' own side; `symmetric` the other direction
//! alone; `moco` takes negatives from a queue.

use serde::{Deserialize, Serialize};

use super::contrastive::Contrastive;
use super::pairs::{self, Pairs};
use super::{Contrast, Inputs, Matrix, Offer, Positives, Scale, Scaled, Similarity};
use crate::Result;

/// `name = "info_nce"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InfoNce {
    /// `cosine` or `dot`.
    pub similarity: Similarity,
    /// One over the temperature: 20 is τ = 0.05.
    pub scale: Scale,
    /// What several positives count for: `uniform` or `summed`.
    pub positives: Positives,
    /// What is added to the logit of an anchor and each negative of its own.
    pub hard_negative_weight: f64,
    /// Whether documents of other records are negatives.
    pub in_batch: bool,
}

impl Default for InfoNce {
    fn default() -> InfoNce {
        InfoNce {
            similarity: Similarity::Cosine,
            scale: Scale::Fixed(20.0),
            positives: Positives::Uniform,
            hard_negative_weight: 0.0,
            in_batch: true,
        }
    }
}

impl Contrastive for InfoNce {
    fn scale(&self) -> Scale {
        self.scale
    }

    fn check(&self) -> std::result::Result<(), String> {
        match self.hard_negative_weight.is_finite() {
            true => Ok(()),
            false => Err("hard_negative_weight: a finite number".into()),
        }
    }

    fn wants(&self, offer: &Offer) -> std::result::Result<(), String> {
        pairs::check("info_nce", offer)?;
        check_in_batch("info_nce", self.in_batch, offer)
    }

    fn contrast(&self, inputs: &Inputs<'_>, scale: &Scaled) -> Result<Contrast> {
        let pairs = Pairs::of(inputs)?;
        self.one_way(&pairs, scale)
    }
}

impl InfoNce {
    /// Anchors against documents.
    pub(super) fn one_way(&self, pairs: &Pairs, scale: &Scaled) -> Result<Contrast> {
        let mut masks = pairs.masks(self.in_batch);
        if self.hard_negative_weight != 0.0 {
            let weight = self.hard_negative_weight as f32;
            let own = (0..pairs.rows()).map(|row| pairs.own_negatives(row));
            let biases = own.map(|own| own.map(|document| (document, weight)).collect());
            masks.biases = biases.collect();
        }
        let matrix = Matrix {
            rows: &self.similarity.prepare(&pairs.anchors)?,
            columns: &self.similarity.prepare(&pairs.documents()?)?,
            scale,
            positives: self.positives,
        };
        matrix.contrast(&masks)
    }
}

/// Without other records' documents there must be negatives of a record's own.
pub(super) fn check_in_batch(
    name: &str,
    in_batch: bool,
    offer: &Offer,
) -> std::result::Result<(), String> {
    let fits = in_batch || offer.views("negatives").is_some();
    offer.wants(fits, name, "`negatives` where in_batch = false")
}
