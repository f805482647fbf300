//! The similarity matrix of contrastive losses: cross-entropy of each row over the columns that it
//! sees, with masks, in blocks of rows.
//!
//! ```text
//! logits = scale · rows columnsᵀ + biases ─▶ soft-max over seen columns ─▶ mean over rows of
//!     uniform  -Σ t log p      (t the targets of a row, which sum to 1)
//!     summed   -log Σ p        (over the columns with a target)
//! ```
//! The gradient is `soft-max - targets`, so it is worked out block by block together with the
//! value, and the matrix never stands in memory: 16,384 rows and columns would be 1 GiB, several
//! times. It is all made of candle's operations, so it runs on any device.

mod masks;

use std::ops::Range;

use candle_core::{D, DType, Tensor};
use serde::{Deserialize, Serialize};

use super::Output;
use super::attach::{attach, numbers};
use super::scale::Scaled;
use crate::Result;

use masks::Targets;

pub use masks::Masks;

/// Elements of a block of the matrix: 16 MiB. It is fixed, as it decides the order of sums.
const BLOCK_ELEMENTS: usize = 1 << 22;

/// Stands for minus infinity in logits: `exp` of it is 0 after any maximum is taken off, and 0
/// times it is 0.
const HIDDEN: f32 = -1e30;

/// How like two vectors are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Similarity {
    /// Cosine: vectors are divided by `max(length, 1e-12)`.
    #[default]
    Cosine,
    /// Inner product of the vectors as they are.
    Dot,
}

/// What several positives of a row count for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positives {
    /// The mean of their log-probabilities: all of them must come near (SupCon "out").
    #[default]
    Uniform,
    /// The logarithm of their summed probability: one of them near is enough (SupCon "in").
    Summed,
}

/// Rows and columns whose similarity matrix a loss is made of.
pub struct Matrix<'a> {
    /// As [`Similarity::prepare`] left them. `[R, D]`
    pub rows: &'a Tensor,
    /// Likewise. `[C, D]`
    pub columns: &'a Tensor,
    /// What logits are multiplied with.
    pub scale: &'a Scaled,
    /// What several positives count for.
    pub positives: Positives,
}

/// What came of a matrix.
#[derive(Clone, Debug)]
pub struct Contrast {
    /// The mean over rows, a scalar with gradients to rows, columns and a learned scale.
    pub loss: Tensor,
    /// Rows that had a target.
    pub rows: usize,
    /// Share of these whose nearest seen column is a positive; a tie with a negative is a miss.
    pub accuracy: f64,
    /// Mean similarity to positives.
    pub positive: f64,
    /// Mean over rows of the similarity to the nearest negative; none where no row has a negative.
    pub hardest_negative: Option<f64>,
}

/// Sums over the rows of a block.
#[derive(Default)]
struct Sums {
    loss: f64,
    scale_gradient: f64,
    hits: usize,
    positive: f64,
    negative: f64,
    with_negative: usize,
}

impl Similarity {
    /// Vectors whose inner products are the similarity. `[rows, D]`
    ///
    /// # Errors
    /// The device has no memory left.
    pub fn prepare(self, vectors: &Tensor) -> Result<Tensor> {
        if self == Similarity::Dot {
            return Ok(vectors.clone());
        }
        // The floor is under the root, where it stops the gradient of a vector of zeros.
        let squares = vectors.sqr()?.sum_keepdim(D::Minus1)?;
        let lengths = squares.maximum(1e-24)?.sqrt()?;
        Ok(vectors.broadcast_div(&lengths)?)
    }
}

impl Contrast {
    /// The loss with its figures for the log.
    ///
    /// # Errors
    /// The device fails.
    pub fn output(self, scale: &Scaled) -> Result<Output> {
        let mut figures = vec![
            ("accuracy", self.accuracy),
            ("positive_similarity", self.positive),
        ];
        let negative = self.hardest_negative;
        figures.extend(negative.map(|negative| ("hardest_negative_similarity", negative)));
        figures.push(("scale", scale.value()?));
        Ok(Output {
            loss: self.loss,
            figures,
        })
    }
}

impl Matrix<'_> {
    /// The loss with these masks.
    ///
    /// # Errors
    /// Masks do not fit, or the device fails.
    pub fn contrast(&self, masks: &Masks) -> Result<Contrast> {
        let columns = self.columns.dim(0)?.max(1);
        self.contrast_in_blocks(masks, (BLOCK_ELEMENTS / columns).max(1))
    }

    /// As [`Matrix::contrast`], in blocks of so many rows.
    fn contrast_in_blocks(&self, masks: &Masks, rows_max: usize) -> Result<Contrast> {
        let (rows, columns) = (self.rows.dim(0)?, self.columns.dim(0)?);
        masks.check(rows, columns)?;
        let active = (0..rows).filter(|&row| masks.weight(row) != 0.0).count();
        let mean = 1.0 / active.max(1) as f64;
        let block = Block {
            matrix: self,
            masks,
            columns: self.columns.detach(),
            scale: self.scale.value()?,
            mean,
        };
        let mut sums = Sums::default();
        let mut row_gradients = Vec::new();
        let mut column_gradient = self.columns.zeros_like()?.detach();
        for start in (0..rows).step_by(rows_max) {
            let span = start..rows.min(start + rows_max);
            let (of_rows, of_columns) = block.run(span, &mut sums)?;
            row_gradients.push(of_rows);
            column_gradient = (column_gradient + of_columns)?;
        }
        let row_gradient = Tensor::cat(&row_gradients, 0)?;
        let mut parts = vec![(self.rows, row_gradient), (self.columns, column_gradient)];
        if let Some(log_scale) = self.scale.log_scale() {
            let gradient = Tensor::new(sums.scale_gradient as f32, log_scale.device())?;
            parts.push((log_scale, gradient));
        }
        Ok(Contrast {
            loss: attach(sums.loss, &parts)?,
            rows: active,
            accuracy: sums.hits as f64 * mean,
            positive: sums.positive * mean,
            hardest_negative: match sums.with_negative {
                0 => None,
                with => Some(sums.negative / with as f64),
            },
        })
    }
}

/// What all blocks of a matrix share.
struct Block<'a> {
    matrix: &'a Matrix<'a>,
    masks: &'a Masks,
    /// Without a graph.
    columns: Tensor,
    scale: f64,
    /// One over the number of rows that count.
    mean: f64,
}

impl Block<'_> {
    /// Adds the sums of some rows; gives the gradients of these rows and of all columns.
    fn run(&self, span: Range<usize>, sums: &mut Sums) -> Result<(Tensor, Tensor)> {
        let rows = self
            .matrix
            .rows
            .detach()
            .narrow(0, span.start, span.len())?;
        let device = rows.device().clone();
        let width = self.columns.dim(0)?;
        let targets = self.masks.targets(&span, &device)?;
        let hidden = self.masks.hidden(&span, width, &device)?;
        let similarities = rows.matmul(&self.columns.t()?)?;
        self.figures((&similarities, hidden.as_ref()), &targets, &span, sums)?;

        let mut logits = (&similarities * self.scale)?;
        let biases = self.masks.biases(&span, width, &device)?;
        for more in [biases, hidden].into_iter().flatten() {
            logits = (logits + more)?;
        }
        let top = logits.max_keepdim(1)?;
        let shifted = logits.broadcast_sub(&top)?;
        let exponents = shifted.exp()?;
        let totals = exponents.sum_keepdim(1)?;
        let at_targets = shifted.gather(&targets.index, 1)?;
        let (losses, pull) = match self.matrix.positives {
            Positives::Uniform => uniform(&at_targets, &targets)?,
            Positives::Summed => summed(&at_targets, &targets)?,
        };
        let weights: Vec<f64> = span.clone().map(|row| self.masks.weight(row)).collect();
        for ((weight, total), loss) in weights.iter().zip(numbers(&totals)?).zip(losses) {
            if *weight != 0.0 {
                sums.loss += weight * self.mean * (total.ln() + loss);
            }
        }

        let factors: Vec<f32> = weights.iter().map(|w| (w * self.mean) as f32).collect();
        let factors = Tensor::from_vec(factors, (span.len(), 1), &device)?;
        let gradient = exponents.broadcast_div(&totals)?;
        let gradient = gradient.scatter_add(&targets.index, &pull.neg()?, 1)?;
        let gradient = gradient.broadcast_mul(&factors)?;
        if self.matrix.scale.log_scale().is_some() {
            let terms = numbers(&(&gradient * &similarities)?.sum_keepdim(1)?)?;
            sums.scale_gradient += self.scale * terms.iter().sum::<f64>();
        }
        let gradient = (gradient * self.scale)?;
        let of_rows = gradient.matmul(&self.columns)?;
        Ok((of_rows, gradient.t()?.matmul(&rows)?))
    }

    /// Counts how the positives stand among what a row sees.
    fn figures(
        &self,
        (similarities, hidden): (&Tensor, Option<&Tensor>),
        targets: &Targets,
        span: &Range<usize>,
        sums: &mut Sums,
    ) -> Result<()> {
        let at_targets = similarities.gather(&targets.index, 1)?;
        let unshown = ((&targets.shown - 1.0)? * f64::from(-HIDDEN))?;
        let nearest = numbers(&(&at_targets + unshown)?.max_keepdim(1)?)?;
        let shown = numbers(&targets.shown.sum_keepdim(1)?)?;
        let positive = numbers(&(at_targets * &targets.shown)?.sum_keepdim(1)?)?;
        let is_target = targets.shares.gt(0.0)?.to_dtype(DType::F32)?;
        let taken = (is_target * f64::from(HIDDEN))?;
        let mut others = similarities.scatter_add(&targets.index, &taken, 1)?;
        if let Some(hidden) = hidden {
            others = (others + hidden)?;
        }
        let negative = numbers(&others.max_keepdim(1)?)?;
        for (number, row) in span.clone().enumerate() {
            if self.masks.weight(row) == 0.0 || shown[number] == 0.0 {
                continue;
            }
            sums.positive += positive[number] / shown[number];
            sums.hits += usize::from(nearest[number] > negative[number]);
            if negative[number] > f64::from(HIDDEN) / 2.0 {
                sums.negative += negative[number];
                sums.with_negative += 1;
            }
        }
        Ok(())
    }
}

/// The part of each row's loss that hangs on its targets, and what the soft-max is pulled to.
fn uniform(at_targets: &Tensor, targets: &Targets) -> Result<(Vec<f64>, Tensor)> {
    let losses = (at_targets * &targets.shares)?.sum_keepdim(1)?.neg()?;
    Ok((numbers(&losses)?, targets.shares.clone()))
}

/// Likewise, where the probabilities of the targets are summed: the pull is their own soft-max.
fn summed(at_targets: &Tensor, targets: &Targets) -> Result<(Vec<f64>, Tensor)> {
    let is_target = targets.shares.gt(0.0)?.to_dtype(DType::F32)?;
    let unfilled = ((&is_target - 1.0)? * f64::from(-HIDDEN))?;
    let logits = (at_targets + unfilled)?;
    let top = logits.max_keepdim(1)?;
    let exponents = (logits.broadcast_sub(&top)?.exp()? * is_target)?;
    // A row without targets has a total of 0 and does not count.
    let totals = exponents.sum_keepdim(1)?.maximum(1e-30)?;
    let losses = numbers(&top)?.into_iter().zip(numbers(&totals)?);
    let losses = losses.map(|(top, total)| -top - total.ln()).collect();
    Ok((losses, exponents.broadcast_div(&totals)?))
}

#[cfg(test)]
mod tests;
