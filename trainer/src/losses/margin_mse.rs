//! Margin-MSE: the differences between a positive and its negatives as a teacher sees them.
//!
//! **What it optimises.** Over all anchors and each negative of their own, the mean squared
//! difference of margins: `((a·p - a·n) - (t(a, p) - t(a, n)))²`, where t is a cross-encoder's score.
//! A false negative, which the teacher scores high, then pulls as it should.
//!
//! **Reference.** Hofstätter et al. 2020; sentence-transformers' `MarginMSELoss`, with inner
//! products.
//!
//! **Columns.** `anchor`, `positive`, `negatives` and a teacher's scores of them. A negative without
//! a score (NaN) is left out. Documents of other records play no part.
//!
//! **Recommendation.** Retrieval with mined negatives and a reranker as the teacher. With cosines
//! (`similarity = "cosine"`) bring them to the teacher's range by `scale`.
//!
//! **Relation to others.** `distillation` asks for the same order by a soft-max, whatever the range.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::cosine_mse::squared;
use super::pairs::Pairs;
use super::scale::check_above_0;
use super::scored::of_pairs;
use super::{Inputs, Loss, Make, Offer, Output, Place, Similarity, on_host, teacher};
use crate::Result;

/// `name = "margin_mse"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MarginMse {
    /// `dot` or `cosine`.
    pub similarity: Similarity,
    /// What similarities are multiplied with; above 0.
    pub scale: f64,
}

impl Default for MarginMse {
    fn default() -> MarginMse {
        MarginMse {
            similarity: Similarity::Dot,
            scale: 1.0,
        }
    }
}

impl Make for MarginMse {
    fn check(&self) -> std::result::Result<(), String> {
        check_above_0("scale", self.scale)
    }

    fn build(&self, _place: &Place) -> Result<Box<dyn Loss>> {
        Ok(Box::new(self.clone()))
    }
}

impl Loss for MarginMse {
    fn check(&self, offer: &Offer) -> std::result::Result<(), String> {
        teacher::check("margin_mse", offer)
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let pairs = Pairs::of(inputs)?;
        let scores = teacher::scores(inputs, &pairs)?;
        // One entry for each document: the anchor that it belongs to.
        let rows = pairs.rows();
        let owners = (0..rows).flat_map(|row| pairs.own_negatives(row).map(move |_| row as u32));
        let owners: Vec<u32> = (0..rows as u32).chain(owners).collect();
        let index = Tensor::new(owners.as_slice(), pairs.anchors.device())?;
        let anchors = pairs.anchors.index_select(&index, 0)?;
        let similarities = of_pairs(&anchors, &pairs.documents()?, self.similarity)?;
        let mut gap = 0.0;
        let loss = on_host(&similarities, |similarities| {
            let margins: Vec<(usize, usize)> = (rows..owners.len())
                .map(|negative| (owners[negative] as usize, negative))
                .filter(|&(own, negative)| !(scores[own] - scores[negative]).is_nan())
                .collect();
            let margin =
                |of: &[f64], (positive, negative): (usize, usize)| of[positive] - of[negative];
            let ours = margins
                .iter()
                .map(|&at| self.scale * margin(similarities, at));
            let ours: Vec<f64> = ours.collect();
            let theirs: Vec<f64> = margins.iter().map(|&at| margin(&scores, at)).collect();
            gap = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).sum();
            gap /= margins.len().max(1) as f64;
            let (loss, slopes) = squared(&ours, &theirs);
            let mut gradient = vec![0.0; similarities.len()];
            for (slope, (positive, negative)) in slopes.iter().zip(margins) {
                gradient[positive] += self.scale * slope;
                gradient[negative] -= self.scale * slope;
            }
            (loss, gradient)
        })?;
        Ok(Output {
            loss,
            figures: vec![("margin_error", gap)],
        })
    }
}
