//! LUSE's other loss ("bce"): each entry of the similarity matrix is a yes or a no.
//!
//! **What it optimises.** The mean binary cross-entropy of `(1 + cos) / 2` over the N x N matrix of
//! all views of all texts, against 1 where two vectors are views of one text and 0 elsewhere.
//!
//! **Reference.** DunZhang/LUSE, `code/Train.py` (what its last `run_train.py` selects). The diagonal
//! counts as a cosine of 0.99999 and has no gradient. Ours holds *all* cosines to ±0.99999 where
//! logarithm and gradient are taken: a negative with the very same vector would have an infinite
//! loss otherwise. Within that range value and gradient are the published ones.
//!
//! **Columns.** `text` with at least 2 view blocks. Equal records of a batch are one text.
//!
//! **Recommendation.** As committed there: batch 8, 2 augmented views and 2 copies, learning rate
//! 1e-5. Most entries are negatives, and there is no temperature that would find the hard ones, so
//! large batches help little; `luse` is the default. The matrix stands in memory as a whole.
//!
//! **Relation to others.** `luse` on the same matrix with a soft-max; `cosine_bce` for given pairs.

use serde::{Deserialize, Serialize};

use super::cosine_bce::{COSINE_MAX, cross_entropy};
use super::luse;
use super::{Inputs, Loss, Make, Offer, Output, Place, Similarity, on_host};
use crate::Result;

/// `name = "luse_bce"`: it has no further keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LuseBce {}

impl Make for LuseBce {
    fn check(&self) -> std::result::Result<(), String> {
        Ok(())
    }

    fn build(&self, _place: &Place) -> Result<Box<dyn Loss>> {
        Ok(Box::new(self.clone()))
    }
}

impl Loss for LuseBce {
    fn check(&self, offer: &Offer) -> std::result::Result<(), String> {
        luse::check("luse_bce", offer)
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let (vectors, members) = luse::views(inputs)?;
        let vectors = Similarity::Cosine.prepare(&vectors)?;
        let cosines = vectors.matmul(&vectors.t()?)?;
        let mut sums = [(0.0, 0u32); 2];
        let loss = on_host(&cosines, |cosines| {
            let mut gradient = vec![0.0; cosines.len()];
            let (mut sum, share) = (0.0, 1.0 / cosines.len().max(1) as f64);
            each_entry(&members, |row, column, is_positive| {
                let place = row * members.len() + column;
                let diagonal = row == column;
                let cosine = if diagonal { COSINE_MAX } else { cosines[place] };
                if !diagonal {
                    let (sum, count) = &mut sums[usize::from(is_positive)];
                    *sum += cosine;
                    *count += 1;
                }
                let (loss, slope) = cross_entropy(cosine, f64::from(u8::from(is_positive)));
                sum += loss * share;
                gradient[place] = if diagonal { 0.0 } else { slope * share };
            });
            (sum, gradient)
        })?;
        let [negative, positive] = sums.map(|(sum, count)| sum / f64::from(count.max(1)));
        let figures = vec![
            ("positive_similarity", positive),
            ("negative_similarity", negative),
        ];
        Ok(Output { loss, figures })
    }
}

/// Visits all entries of the matrix: row, column, and whether they are views of one text.
fn each_entry(members: &[Vec<u32>], mut visit: impl FnMut(usize, usize, bool)) {
    for (row, own) in members.iter().enumerate() {
        let mut own = own.iter().peekable();
        for column in 0..members.len() {
            let is_positive = own.next_if(|&&next| next as usize == column).is_some();
            visit(row, column, is_positive);
        }
    }
}
