//! Supervised contrastive learning: all records of one label are positives of each other.
//!
//! **What it optimises.** Each vector shall find the other vectors of its label (or, without labels,
//! the other views of its text) among all others:
//! `mean_i -1/|P(i)| Σ_p∈P(i) log softmax_{j≠i}(cos(z_i, z_j) / τ)[p]`. It never compares with
//! itself. A vector without a positive in the batch is left out of the mean.
//!
//! **Reference.** Khosla et al. 2020: "out" (the sum outside the logarithm, `positives = "uniform"`,
//! which they recommend) and "in" (`positives = "summed"`), τ = 0.07. Equal vectors give ln(N - 1).
//!
//! **Columns.** `text`; with labels, or with at least 2 view blocks. With labels all views of all
//! records of a label are positives. Equal records are one.
//!
//! **Recommendation.** Labelled sentences, a few labels a batch with several records each; a view
//! block more (a copy, which differs by dropout) makes sure that each row has a positive.
//!
//! **Relation to others.** Without labels and with 2 view blocks it is `nt_xent`; `luse` keeps the
//! own column and multiplies by the number of positives.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::contrastive::Contrastive;
use super::{Contrast, Inputs, Masks, Matrix, Offer, Positives, Scale, Scaled, Similarity};
use super::{luse, pairs};
use crate::Result;

/// `name = "sup_con"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SupCon {
    /// `cosine` or `dot`.
    pub similarity: Similarity,
    /// One over the temperature: 1 / 0.07.
    pub scale: Scale,
    /// `uniform` is the paper's "out", `summed` its "in".
    pub positives: Positives,
}

impl Default for SupCon {
    fn default() -> SupCon {
        SupCon {
            similarity: Similarity::Cosine,
            scale: Scale::Fixed(1.0 / 0.07),
            positives: Positives::Uniform,
        }
    }
}

impl Contrastive for SupCon {
    fn scale(&self) -> Scale {
        self.scale
    }

    fn wants(&self, offer: &Offer) -> std::result::Result<(), String> {
        let views = offer.views("text");
        let fits = views.is_some_and(|views| views >= 2 || offer.labels);
        offer.wants(
            fits,
            "sup_con",
            "`text` with labels or with at least 2 view blocks",
        )
    }

    fn contrast(&self, inputs: &Inputs<'_>, scale: &Scaled) -> Result<Contrast> {
        let text = pairs::column(inputs.columns, "text")?;
        let mut groups = pairs::groups(inputs, text.texts)?;
        let labels = &inputs.batch.labels;
        if labels.len() == groups.len() {
            let mut first = BTreeMap::new();
            for (row, label) in labels.iter().enumerate() {
                groups[row] = *first.entry(label).or_insert(row as u32);
            }
        }
        let mut members = luse::members(text, &groups);
        for (row, list) in members.iter_mut().enumerate() {
            list.retain(|&member| member as usize != row);
        }
        let masks = Masks {
            ignored: (0..members.len() as u32).map(|row| vec![row]).collect(),
            own_column: true,
            ..Masks::of_positives(members)
        };
        let vectors = self.similarity.prepare(&text.vectors)?;
        let matrix = Matrix {
            rows: &vectors,
            columns: &vectors,
            scale,
            positives: self.positives,
        };
        matrix.contrast(&masks)
    }
}
