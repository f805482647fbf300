//! Pairs of sentences with a score: their similarities and scores.

use candle_core::Tensor;

use super::attach::numbers;
use super::{Inputs, Offer, Output, Similarity, on_host, pairs};
use crate::{Error, Result};

/// The pairs of a batch.
pub struct Scored {
    /// Similarity of each pair, with a gradient. `[B]`
    pub similarities: Tensor,
    /// Score of each pair. `[B]`
    pub scores: Vec<f64>,
}

/// Refuses an offer without scored pairs.
///
/// # Errors
/// What the loss wants and what there is.
pub fn check(name: &str, offer: &Offer) -> std::result::Result<(), String> {
    let one = |column| offer.views(column) == Some(1);
    let fits = one("sentence1") && one("sentence2") && offer.scores;
    offer.wants(
        fits,
        name,
        "`sentence1` and `sentence2` with 1 view block each and scores",
    )
}

/// Checks a key with the lowest and the highest score of a dataset.
///
/// # Errors
/// The key, its value and what is accepted.
pub fn check_range([low, high]: [f64; 2]) -> std::result::Result<(), String> {
    match low.is_finite() && high.is_finite() && low < high {
        true => Ok(()),
        false => Err(format!(
            "score_range = [{low}, {high}]: the lowest and the highest score"
        )),
    }
}

impl Scored {
    /// The pairs of a batch that passed [`check`].
    ///
    /// # Errors
    /// There are no such columns, or another number of scores.
    pub fn of(inputs: &Inputs<'_>, similarity: Similarity) -> Result<Scored> {
        let one = pairs::column(inputs.columns, "sentence1")?.last()?;
        let other = pairs::column(inputs.columns, "sentence2")?.last()?;
        let scores = &inputs.batch.scores;
        let step = inputs.batch.step;
        if scores.len() != one.dim(0)? || scores.iter().any(|score| score.is_nan()) {
            return Err(Error::Defect(format!(
                "step {step}: {} scores of {} pairs, all numbers",
                scores.len(),
                one.dim(0)?
            )));
        }
        Ok(Scored {
            similarities: of_pairs(&one, &other, similarity)?,
            scores: scores.iter().map(|&score| f64::from(score)).collect(),
        })
    }

    /// Brings scores of a range to 0 to 1.
    ///
    /// # Errors
    /// A score is out of the range.
    pub fn ranged(mut self, [low, high]: [f64; 2]) -> Result<Scored> {
        for (row, score) in self.scores.iter_mut().enumerate() {
            if !(low..=high).contains(score) {
                return Err(Error::Usage(format!(
                    "[loss] score_range = [{low}, {high}]: record {row} of a batch has the score \
                     {score}"
                )));
            }
            *score = (*score - low) / (high - low);
        }
        Ok(self)
    }

    /// The loss that a function of similarities and scores gives with its gradient.
    ///
    /// # Errors
    /// The device fails.
    pub fn output(
        &self,
        function: impl FnOnce(&[f64], &[f64]) -> (f64, Vec<f64>),
    ) -> Result<Output> {
        let values = numbers(&self.similarities)?;
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        Ok(Output {
            loss: on_host(&self.similarities, |values| function(values, &self.scores))?,
            figures: vec![("similarity", mean)],
        })
    }
}

/// Similarity of vectors in the same row. `[B]`
///
/// # Errors
/// Shapes differ.
pub fn of_pairs(one: &Tensor, other: &Tensor, similarity: Similarity) -> Result<Tensor> {
    Ok((similarity.prepare(one)? * similarity.prepare(other)?)?.sum(1)?)
}
