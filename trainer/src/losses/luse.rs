//! LUSE's loss of many positives and many negatives ("mpmn").
//!
//! **What it optimises.** All K views of all B texts stand in one list of N = B·K. Of row i the K
//! views of its text, *itself among them*, are positives, the rest negatives. The K probabilities
//! of the positives sum to at most 1, so their product is at most (1/K)^K (the inequality of the
//! means), and is that when all are equal. The product is maximised; shifted so that 0 is the floor:
//! `L = 1/N Σ_i Σ_j∈P(i) -log softmax_j(scale · cos(z_i, z_j)) - K ln K`.
//!
//! **Reference.** DunZhang/LUSE, `code/Train.py`: scale 15, cosine, the diagonal kept. Equal vectors
//! give K ln B; equal views of orthogonal texts K ln(1 + (B - 1) e^-15).
//!
//! **Columns.** `text` with at least 2 view blocks. Equal records of a batch count as one text with
//! more views.
//!
//! **Recommendation.** As published: batch 128, 4 augmented views and 4 copies (K = 9), learning
//! rate 5e-5, length 64, pooling `cls` through the pooler.
//!
//! **Relation to others.** K times the cross-entropy to a uniform target, less K ln K, which is K
//! times a Kullback-Leibler divergence. `sup_con` is the same over views without the diagonal,
//! divided by the number of positives. `luse_bce` asks of each entry of the matrix alone.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::contrastive::Contrastive;
use super::{Contrast, Inputs, Masks, Matrix, Offer, Positives, Scale, Scaled, Similarity};
use super::{Embedded, pairs};
use crate::Result;

/// `name = "luse"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Luse {
    /// `cosine` or `dot`.
    pub similarity: Similarity,
    /// What similarities are multiplied with.
    pub scale: Scale,
}

impl Default for Luse {
    fn default() -> Luse {
        Luse {
            similarity: Similarity::Cosine,
            scale: Scale::Fixed(15.0),
        }
    }
}

impl Contrastive for Luse {
    fn scale(&self) -> Scale {
        self.scale
    }

    fn wants(&self, offer: &Offer) -> std::result::Result<(), String> {
        check("luse", offer)
    }

    fn contrast(&self, inputs: &Inputs<'_>, scale: &Scaled) -> Result<Contrast> {
        let (vectors, members) = views(inputs)?;
        let counts: Vec<f64> = members.iter().map(|row| row.len() as f64).collect();
        let floors = counts.iter().map(|count| count * count.ln());
        let floor = floors.sum::<f64>() / counts.len().max(1) as f64;
        let masks = Masks {
            weights: counts.iter().map(|&count| count as f32).collect(),
            own_column: true,
            ..Masks::of_positives(members)
        };
        let vectors = self.similarity.prepare(&vectors)?;
        let matrix = Matrix {
            rows: &vectors,
            columns: &vectors,
            scale,
            positives: Positives::Uniform,
        };
        let contrast = matrix.contrast(&masks)?;
        Ok(Contrast {
            loss: (contrast.loss - floor)?,
            ..contrast
        })
    }
}

/// Refuses an offer without views of texts.
pub(super) fn check(name: &str, offer: &Offer) -> std::result::Result<(), String> {
    let fits = offer.views("text").is_some_and(|views| views >= 2);
    offer.wants(fits, name, "`text` with at least 2 view blocks")
}

/// All views of all texts `[N, D]`, and for each the views of the same text, itself among them.
pub(super) fn views(inputs: &Inputs<'_>) -> Result<(Tensor, Vec<Vec<u32>>)> {
    let text: &Embedded = pairs::column(inputs.columns, "text")?;
    let groups = pairs::groups(inputs, text.texts)?;
    Ok((text.vectors.clone(), members(text, &groups)))
}

/// For each vector of a column those whose texts are of the same group, itself among them.
pub(super) fn members(column: &Embedded, groups: &[u32]) -> Vec<Vec<u32>> {
    let rows = column.views * column.texts;
    let most = groups.iter().max().map_or(0, |&most| most as usize + 1);
    let mut lists = vec![Vec::new(); most];
    for row in 0..rows {
        lists[groups[row % column.texts] as usize].push(row as u32);
    }
    let list = |row: usize| lists[groups[row % column.texts] as usize].clone();
    (0..rows).map(list).collect()
}
