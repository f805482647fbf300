//! Masks of a similarity matrix: what each row is drawn to, what it sees, and what counts how much.

use std::ops::Range;

use candle_core::{Device, Tensor};

use super::HIDDEN;
use crate::{Error, Result};

/// Which columns a row is drawn to, which it sees, and how much rows and entries count.
///
/// Lists are by row; an empty outer list means none for all rows. A target is always seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Masks {
    /// Columns that are positives, each once, with their shares, which sum to 1. A row without
    /// targets is left out of the mean.
    pub targets: Vec<Vec<(u32, f32)>>,
    /// Columns that are neither positive nor negative: they leave the soft-max.
    pub ignored: Vec<Vec<u32>>,
    /// The only columns that a row sees; all where the list is empty.
    pub seen: Vec<Vec<Range<u32>>>,
    /// What is added to the logits of some columns.
    pub biases: Vec<Vec<(u32, f32)>>,
    /// What the loss of a row is multiplied with; 1 where the list is empty.
    pub weights: Vec<f32>,
    /// Column i is row i itself: figures leave it out.
    pub own_column: bool,
}

/// The targets of a block, filled up to one number for each row.
pub(super) struct Targets {
    /// `[rows, most]` u32
    pub index: Tensor,
    /// `[rows, most]`, 0 where filled up
    pub shares: Tensor,
    /// 1 for targets, 0 where filled up or, for figures, the row itself.
    pub shown: Tensor,
}

impl Masks {
    /// Masks with these positives, of equal shares.
    pub fn of_positives(positives: impl IntoIterator<Item = Vec<u32>>) -> Masks {
        let shared = |mut row: Vec<u32>| {
            row.sort_unstable();
            row.dedup();
            let share = 1.0 / row.len() as f32;
            row.into_iter().map(|column| (column, share)).collect()
        };
        Masks {
            targets: positives.into_iter().map(shared).collect(),
            ..Masks::default()
        }
    }

    pub(super) fn weight(&self, row: usize) -> f64 {
        match self.targets[row].is_empty() {
            true => 0.0,
            false => self
                .weights
                .get(row)
                .map_or(1.0, |&weight| f64::from(weight)),
        }
    }

    /// The targets of some rows.
    pub(super) fn targets(&self, span: &Range<usize>, device: &Device) -> Result<Targets> {
        let rows = &self.targets[span.clone()];
        let most = rows.iter().map(Vec::len).max().unwrap_or_default().max(1);
        let shape = (rows.len(), most);
        let (mut index, mut shares) = (vec![0; rows.len() * most], vec![0.0; rows.len() * most]);
        let mut shown = shares.clone();
        for (number, row) in rows.iter().enumerate() {
            for (place, &(column, share)) in row.iter().enumerate() {
                let own = self.own_column && column as usize == span.start + number;
                index[number * most + place] = column;
                shares[number * most + place] = share;
                shown[number * most + place] = if own { 0.0f32 } else { 1.0 };
            }
        }
        Ok(Targets {
            index: Tensor::from_vec(index, shape, device)?,
            shares: Tensor::from_vec(shares, shape, device)?,
            shown: Tensor::from_vec(shown, shape, device)?,
        })
    }

    /// [`HIDDEN`] where rows do not see a column, else 0; none where all is seen. `[rows, C]`
    pub(super) fn hidden(
        &self,
        span: &Range<usize>,
        columns: usize,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        if self.ignored.is_empty() && self.seen.is_empty() {
            return Ok(None);
        }
        let mut hidden = vec![0.0; span.len() * columns];
        for (row, line) in span.clone().zip(hidden.chunks_exact_mut(columns)) {
            if let Some(seen) = self.seen.get(row) {
                line.fill(HIDDEN);
                for range in seen {
                    line[range.start as usize..range.end as usize].fill(0.0);
                }
            }
            for &column in self.ignored.get(row).into_iter().flatten() {
                line[column as usize] = HIDDEN;
            }
            for &(column, _) in &self.targets[row] {
                line[column as usize] = 0.0;
            }
        }
        Ok(Some(Tensor::from_vec(
            hidden,
            (span.len(), columns),
            device,
        )?))
    }

    /// What is added to the logits; none where that is 0. `[rows, C]`
    pub(super) fn biases(
        &self,
        span: &Range<usize>,
        columns: usize,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        if self.biases.is_empty() {
            return Ok(None);
        }
        let mut biases = vec![0.0f32; span.len() * columns];
        for (row, line) in span.clone().zip(biases.chunks_exact_mut(columns)) {
            for &(column, bias) in &self.biases[row] {
                line[column as usize] = bias;
            }
        }
        Ok(Some(Tensor::from_vec(
            biases,
            (span.len(), columns),
            device,
        )?))
    }

    /// Lists must be as many as rows and name columns that there are.
    pub(super) fn check(&self, rows: usize, columns: usize) -> Result<()> {
        let lists = [
            ("targets", self.targets.len()),
            ("ignored", self.ignored.len()),
            ("seen", self.seen.len()),
            ("biases", self.biases.len()),
            ("weights", self.weights.len()),
        ];
        for (name, length) in lists {
            if length != rows && (length != 0 || name == "targets") {
                let message = format!("{length} {name} for {rows} rows of a similarity matrix");
                return Err(Error::Defect(message));
            }
        }
        let targets = self.targets.iter().flatten().map(|&(column, _)| column);
        let biases = self.biases.iter().flatten().map(|&(column, _)| column);
        let ignored = self.ignored.iter().flatten().copied();
        let seen = self.seen.iter().flatten().map(|range| range.end.max(1) - 1);
        match targets.chain(biases).chain(ignored).chain(seen).max() {
            Some(most) if most as usize >= columns => Err(Error::Defect(format!(
                "a mask names column {most}; a similarity matrix has {columns}, numbered from 0"
            ))),
            _ => Ok(()),
        }
    }
}
