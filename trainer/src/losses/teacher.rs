//! Documents that a teacher scored.

use super::pairs::{self, Pairs};
use super::{Inputs, Offer};
use crate::{Error, Result};

/// Refuses an offer without scored documents.
///
/// # Errors
/// What the loss wants and what there is.
pub fn check(name: &str, offer: &Offer) -> std::result::Result<(), String> {
    pairs::check(name, offer)?;
    let fits = offer.views("negatives").is_some() && offer.teacher;
    let wanted = "`negatives` and, in the batches, a column `scores`: for each record the \
                  teacher's score of its positive, then of each of its negatives";
    offer.wants(fits, name, wanted)
}

/// The teacher's scores of all documents of a batch: positives, then negatives. NaN where there is
/// none. `[B + N]`
///
/// # Errors
/// They are not as many as documents.
pub fn scores(inputs: &Inputs<'_>, pairs: &Pairs) -> Result<Vec<f64>> {
    let scores = &inputs.batch.teacher;
    let documents = pairs.documents()?.dim(0)?;
    if scores.len() != documents {
        return Err(Error::Defect(format!(
            "step {}: {} scores by a teacher of {documents} documents",
            inputs.batch.step,
            scores.len()
        )));
    }
    Ok(scores.iter().map(|&score| f64::from(score)).collect())
}
