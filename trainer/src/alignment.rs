//! Alignment and uniformity of vectors: how near the two texts of a pair are, and how evenly all
//! texts spread over the sphere (Wang and Isola 2020, "Understanding Contrastive Representation
//! Learning through Alignment and Uniformity on the Hypersphere").
//!
//! Both are better when they are smaller, and a training that improves only one of them has a
//! fault: vectors that are all equal have the best alignment, random ones the best uniformity.

use candle_core::{DType, Device, Tensor};

use crate::losses::Embedded;
use crate::metrics::geometry;
use crate::{Error, Result};

/// Rows of a batch that uniformity looks at: its work grows with their square.
const ROWS_MAX: usize = 512;

/// Vectors of one length, normalised, on the CPU.
#[derive(Clone, Debug)]
pub struct Vectors {
    values: Vec<f32>,
    dimensions: usize,
}

impl Vectors {
    /// The first rows of a tensor `[rows, D]`, each divided by its length; a row of zeros stays so.
    ///
    /// # Errors
    /// The tensor has another number of dimensions.
    pub fn new(vectors: &Tensor, rows_max: usize) -> Result<Vectors> {
        let (rows, dimensions) = vectors.dims2()?;
        let vectors = vectors.narrow(0, 0, rows.min(rows_max))?;
        let vectors = vectors.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let mut values: Vec<f32> = vectors.flatten_all()?.to_vec1()?;
        for row in values.chunks_exact_mut(dimensions.max(1)) {
            let norm = row
                .iter()
                .map(|&value| f64::from(value).powi(2))
                .sum::<f64>();
            if norm > 0.0 {
                let scale = 1.0 / norm.sqrt();
                row.iter_mut()
                    .for_each(|value| *value = (f64::from(*value) * scale) as f32);
            }
        }
        Ok(Vectors { values, dimensions })
    }

    /// Number of vectors.
    pub fn rows(&self) -> usize {
        self.values.len() / self.dimensions.max(1)
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimensions..(row + 1) * self.dimensions]
    }
}

/// The mean squared distance of row i of one to row i of the other (alpha = 2): 0 to 4; none
/// without rows.
///
/// # Errors
/// The two have not the same shape.
pub fn alignment(one: &Vectors, other: &Vectors) -> Result<Option<f64>> {
    if (one.rows(), one.dimensions) != (other.rows(), other.dimensions) {
        return Err(Error::Defect(format!(
            "alignment of {} vectors of {} numbers with {} of {}",
            one.rows(),
            one.dimensions,
            other.rows(),
            other.dimensions
        )));
    }
    let rows = 0..one.rows();
    let squares = rows.map(|row| distance(one.row(row), other.row(row)));
    Ok(geometry::alignment(squares))
}

/// The logarithm of the mean of exp(-2 d²) over all pairs of different rows (t = 2): 0 where all
/// are equal, -8 for two antipodes; none with fewer than two rows.
pub fn uniformity(vectors: &Vectors) -> Option<f64> {
    let rows = vectors.rows();
    // Row by row in one order: no number of threads changes the sum.
    let mut sum = 0.0;
    for one in 1..rows {
        let others = (0..one).map(|other| distance(vectors.row(one), vectors.row(other)));
        sum += others.map(geometry::closeness).sum::<f64>();
    }
    geometry::uniformity(sum, rows)
}

/// Alignment and uniformity of a training batch, over at most 512 rows: of the first view block
/// with the texts themselves, or of the first column with its positives. Either is none where the
/// batch has no such rows; the two texts of a scored pair need not be near.
///
/// # Errors
/// The vectors are not matrices.
pub fn of_batch(columns: &[Embedded]) -> Result<(Option<f64>, Option<f64>)> {
    let Some(first) = columns.first() else {
        return Ok((None, None));
    };
    let texts = first.texts;
    let one = Vectors::new(&first.vectors.narrow(0, 0, texts)?, ROWS_MAX)?;
    let partner = match columns.get(1) {
        _ if first.views > 1 => {
            // The text itself comes last; a view is compared with it.
            let start = (first.views - 1) * texts;
            Some(first.vectors.narrow(0, start, texts)?)
        }
        Some(second) if second.name == "positive" && second.texts == texts => {
            Some(second.vectors.narrow(0, 0, texts)?)
        }
        _ => None,
    };
    let alignment = match partner {
        Some(partner) => alignment(&one, &Vectors::new(&partner, ROWS_MAX)?)?,
        None => None,
    };
    Ok((alignment, uniformity(&one)))
}

/// The squared distance of two rows.
fn distance(one: &[f32], other: &[f32]) -> f64 {
    // Eight sums, so that the processor's wide units can be used.
    let mut sums = [0f32; 8];
    let (ones, others) = (one.chunks_exact(8), other.chunks_exact(8));
    let rest = ones.remainder().iter().zip(others.remainder());
    let rest: f32 = rest.map(|(a, b)| (a - b) * (a - b)).sum();
    for (ones, others) in ones.zip(others) {
        for (sum, (a, b)) in sums.iter_mut().zip(ones.iter().zip(others)) {
            *sum += (a - b) * (a - b);
        }
    }
    f64::from(sums.iter().sum::<f32>() + rest)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::{Vectors, alignment, of_batch, uniformity};
    use crate::losses::Embedded;

    fn vectors(rows: &[[f32; 11]]) -> Tensor {
        Tensor::from_slice(&rows.concat(), (rows.len(), 11), &Device::Cpu).unwrap()
    }

    fn row(first: f32, last: f32) -> [f32; 11] {
        let mut row = [0.0; 11];
        (row[0], row[10]) = (first, last);
        row
    }

    fn both(one: &[[f32; 11]], other: &[[f32; 11]]) -> (f64, f64) {
        let one = Vectors::new(&vectors(one), 100).unwrap();
        let other = Vectors::new(&vectors(other), 100).unwrap();
        let alignment = alignment(&one, &other).unwrap().unwrap();
        (alignment, uniformity(&one).unwrap())
    }

    /// Values of the definition.
    #[test]
    fn golden_values() {
        let equal = [row(3.0, 4.0), row(6.0, 8.0), row(0.3, 0.4)];
        let (near, even) = both(&equal, &equal);
        assert!(near.abs() < 1e-12 && even.abs() < 1e-12, "{near} {even}");
        let poles = [row(3.0, 4.0), row(-3.0, -4.0)];
        let (far, even) = both(&poles, &[poles[1], poles[0]]);
        assert!(
            (far - 4.0).abs() < 1e-6 && (even + 8.0).abs() < 1e-6,
            "{far} {even}"
        );
        // At right angles the square of the distance is 2.
        let corner = [row(1.0, 0.0), row(0.0, 5.0)];
        let (_, even) = both(&corner, &corner);
        assert!((even + 4.0).abs() < 1e-6, "{even}");
        // Three pairs: squares of the distances 2, 2 and 4.
        let three = [row(1.0, 0.0), row(0.0, 1.0), row(-1.0, 0.0)];
        let (_, even) = both(&three, &three);
        let wanted = ((2.0 * (-4f64).exp() + (-8f64).exp()) / 3.0).ln();
        assert!((even - wanted).abs() < 1e-6, "{even} {wanted}");
    }

    #[test]
    fn the_partners_of_a_batch() {
        let column = |name, views, rows: &[[f32; 11]]| Embedded {
            name,
            views,
            texts: rows.len() / views,
            vectors: vectors(rows),
        };
        let (x, y) = (row(2.0, 0.0), row(0.0, 1.0));
        let (near, even) = of_batch(&[column("text", 3, &[x, y, x, x, x, y])]).unwrap();
        assert_eq!(near, Some(0.0));
        assert!((even.unwrap() + 4.0).abs() < 1e-6);
        let pair = [column("anchor", 1, &[x, y]), column("positive", 1, &[x, x])];
        assert!((of_batch(&pair).unwrap().0.unwrap() - 1.0).abs() < 1e-6);
        let single = [column("text", 1, &[x])];
        assert_eq!(of_batch(&single).unwrap(), (None, None));
        assert_eq!(of_batch(&[]).unwrap(), (None, None));
        let zeros = Vectors::new(&vectors(&[row(0.0, 0.0)]), 9).unwrap();
        assert!(zeros.row(0).iter().all(|&value| value == 0.0));
    }

    #[test]
    fn shapes_must_agree() {
        let one = Vectors::new(&vectors(&[row(1.0, 0.0)]), 9).unwrap();
        let two = Vectors::new(&vectors(&[row(1.0, 0.0); 2]), 9).unwrap();
        let error = alignment(&one, &two).unwrap_err().to_string();
        assert!(error.contains("1 vectors of 11 numbers with 2"), "{error}");
    }
}
