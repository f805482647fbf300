//! From vectors to a linear layer: mean, covariance, its eigenvectors, and what they become.

use rayon::prelude::*;

use crate::metrics::eigen::{dot, symmetric};
use crate::{Error, Result};

/// Rows that are added to the covariance at once; it is fixed, as it decides the order of sums.
const BLOCK: usize = 256;

/// A direction with less than this share of the largest variance holds rounding alone: vectors are
/// of f32, and whitening would make it as large as all others.
const VARIANCE_MIN: f64 = 1e-8;

/// What a layer does with a vector x.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Method {
    /// (x - mean) W: coordinates along the eigenvectors of the covariance, each with variance 1
    /// (Su et al. 2021, LUSE)
    #[default]
    Whitening,
    /// x - mean
    Mean,
    /// x - mean, without its parts along the directions of largest variance (Mu and Viswanath 2018,
    /// "All-but-the-Top")
    Top,
}

/// Mean and covariance of vectors of length D.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Number of vectors.
    pub rows: usize,
    /// `[D]`
    pub mean: Vec<f64>,
    /// Divided by the number of vectors less one, as `numpy.cov` does. `[D, D]`
    pub covariance: Vec<f64>,
}

/// A linear layer `weight x + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Length of what it gives, `out`.
    pub dimension: usize,
    /// `[out, D]`
    pub weight: Vec<f64>,
    /// `[out]`
    pub bias: Vec<f64>,
    /// The share of the variance that is in the directions kept.
    pub kept: f64,
}

impl Method {
    /// In words.
    pub fn what(self) -> &'static str {
        match self {
            Method::Whitening => "whitening",
            Method::Mean => "removal of the mean",
            Method::Top => "removal of the mean and of the directions of largest variance",
        }
    }

    /// Refuses what a method has no use for.
    ///
    /// # Errors
    /// The flag and what it is for.
    pub fn check(self, dimensions: Option<usize>, components: Option<usize>) -> Result<()> {
        let wrong = |message: &str| Err(Error::Usage(message.into()));
        match (self, dimensions, components) {
            (_, Some(0), _) => wrong("--dimensions 0: 1 or more is accepted"),
            (Method::Mean | Method::Top, Some(_), _) => {
                wrong("--dimensions: only --method whitening shortens vectors")
            }
            (Method::Mean | Method::Whitening, _, Some(_)) => {
                wrong("--components: only --method top removes directions")
            }
            _ => Ok(()),
        }
    }
}

impl Moments {
    /// Of vectors that stand one after another. `[rows, D]`
    pub fn of(values: &[f32], dimension: usize) -> Moments {
        let rows = values.len() / dimension;
        let mut mean = vec![0.0; dimension];
        for row in values.chunks_exact(dimension) {
            let pairs = mean.iter_mut().zip(row);
            pairs.for_each(|(sum, &value)| *sum += f64::from(value));
        }
        mean.iter_mut().for_each(|sum| *sum /= rows as f64);
        let mut covariance = vec![0.0; dimension * dimension];
        for block in values.chunks(BLOCK * dimension) {
            let centred = block.chunks_exact(dimension).flat_map(|row| {
                let pairs = row.iter().zip(&mean);
                pairs.map(|(&value, mean)| f64::from(value) - mean)
            });
            let centred: Vec<f64> = centred.collect();
            // Every element has its own sum, over rows in their order.
            let sums = covariance.par_chunks_mut(dimension).enumerate();
            sums.for_each(|(at, sums)| {
                for row in centred.chunks_exact(dimension) {
                    let factor = row[at];
                    let pairs = sums.iter_mut().zip(row);
                    pairs.for_each(|(sum, value)| *sum += factor * value);
                }
            });
        }
        let share = 1.0 / rows.saturating_sub(1).max(1) as f64;
        covariance.iter_mut().for_each(|sum| *sum *= share);
        Moments {
            rows,
            mean,
            covariance,
        }
    }
}

/// The layer of a method: of whitening the first `dimensions` coordinates (without it, of all
/// directions that vary), of `top` without the first `components` directions (a hundredth of all if
/// it is not said, as its article has it).
///
/// # Errors
/// The vectors vary in fewer directions than are wanted.
pub fn layer(
    moments: &Moments,
    method: Method,
    dimensions: Option<usize>,
    components: Option<usize>,
) -> Result<Layer> {
    method.check(dimensions, components)?;
    let width = moments.mean.len();
    let mut weight = vec![0.0; width * width];
    (0..width).for_each(|row| weight[row * width + row] = 1.0);
    if method == Method::Mean {
        return Ok(finished(moments, weight, 1.0));
    }
    let (values, vectors) = symmetric(&moments.covariance, width);
    let total: f64 = values.iter().map(|value| value.max(0.0)).sum();
    let least = VARIANCE_MIN * values[0];
    let varying = values.iter().filter(|&&value| value > least && value > 0.0);
    let varying = varying.count();
    if method == Method::Top {
        let components = components.unwrap_or((width / 100).max(1));
        if components >= varying {
            return Err(too_few(moments, varying, "--components", components));
        }
        let removed: f64 = values[..components].iter().sum();
        for vector in vectors.chunks_exact(width).take(components) {
            for (row, &own) in weight.chunks_exact_mut(width).zip(vector) {
                let pairs = row.iter_mut().zip(vector);
                pairs.for_each(|(value, other)| *value -= own * other);
            }
        }
        return Ok(finished(moments, weight, 1.0 - removed / total));
    }
    // The norm at the end of a BERT leaves a plane: one direction less than a vector is long. Where
    // more are missing for want of texts, it must be said.
    let all = match moments.rows > width {
        true => varying.max(1),
        false => width,
    };
    let wanted = dimensions.unwrap_or(all);
    if wanted > varying {
        return Err(too_few(moments, varying, "--dimensions", wanted));
    }
    let rows = vectors.chunks_exact(width).zip(&values).take(wanted);
    let weight = rows.flat_map(|(vector, value)| {
        let factor = value.sqrt().recip();
        vector.iter().map(move |part| part * factor)
    });
    let kept = values[..wanted].iter().sum::<f64>() / total;
    Ok(finished(moments, weight.collect(), kept))
}

/// The layer of a weight that is given x less the mean.
fn finished(moments: &Moments, weight: Vec<f64>, kept: f64) -> Layer {
    let rows = weight.chunks_exact(moments.mean.len());
    let bias: Vec<f64> = rows.map(|row| -dot(row, &moments.mean)).collect();
    Layer {
        dimension: bias.len(),
        weight,
        bias,
        kept,
    }
}

fn too_few(moments: &Moments, varying: usize, flag: &str, wanted: usize) -> Error {
    let (rows, width) = (moments.rows, moments.mean.len());
    let advice = match flag {
        _ if varying == 0 => "the vectors are all the same".into(),
        "--components" => format!("{flag} below {varying} is accepted"),
        _ => format!("{flag} up to {varying} is accepted, or more texts may help"),
    };
    Error::Usage(format!(
        "the vectors of {rows} texts vary in {varying} of {width} directions, and {flag} is {wanted}: \
         {advice}"
    ))
}
