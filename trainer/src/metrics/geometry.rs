//! How vectors lie in their space: alignment, uniformity, and the spectrum of their singular values.

/// The mean of the squared distances of pairs (alpha = 2); none without pairs. Wang and Isola 2020.
pub fn alignment(squares: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut pairs) = (0.0, 0u32);
    squares.for_each(|square| (sum, pairs) = (sum + square, pairs + 1));
    (pairs > 0).then(|| sum / f64::from(pairs))
}

/// What two rows at a squared distance add to uniformity's sum (t = 2).
pub fn closeness(square: f64) -> f64 {
    (-2.0 * square).exp()
}

/// The logarithm of the mean closeness, of its sum over all pairs of different rows; none with fewer
/// than two rows. Wang and Isola 2020.
pub fn uniformity(sum: f64, rows: usize) -> Option<f64> {
    (rows > 1).then(|| (sum / (rows * (rows - 1) / 2) as f64).ln())
}

/// What singular values say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spectrum {
    /// The square of the largest as a share of the sum of all squares.
    pub first: f64,
    /// The same for the largest tenth of them, rounded up.
    pub tenth: f64,
    /// exp of the entropy of the values as shares of their sum: the number of directions that are
    /// in use (Roy and Vetterli 2007, "The Effective Rank").
    pub effective_rank: f64,
}

/// What the squares of singular values say, the largest first; at most `directions` of them can be
/// above 0. Where all are 0, all is 0.
pub fn spectrum(squares: &[f64], directions: usize) -> Spectrum {
    // Rounding leaves small negative numbers.
    let squares: Vec<f64> = squares.iter().map(|square| square.max(0.0)).collect();
    let (power, sum) = (
        squares.iter().sum::<f64>(),
        squares.iter().map(|square| square.sqrt()).sum::<f64>(),
    );
    if power == 0.0 {
        return Spectrum {
            first: 0.0,
            tenth: 0.0,
            effective_rank: 0.0,
        };
    }
    let shares = squares.iter().map(|square| square.sqrt() / sum);
    let terms = shares.filter(|&share| share > 0.0);
    let entropy = -terms.map(|share| share * share.ln()).sum::<f64>();
    let tenth = squares.iter().take(directions.div_ceil(10)).sum::<f64>();
    Spectrum {
        first: squares[0] / power,
        tenth: tenth / power,
        effective_rank: entropy.exp(),
    }
}

#[cfg(test)]
mod tests {
    use super::{alignment, closeness, spectrum, uniformity};

    #[test]
    fn definitions() {
        assert_eq!(alignment([].into_iter()), None);
        assert_eq!(alignment([0.0, 4.0].into_iter()), Some(2.0));
        assert_eq!(uniformity(0.0, 1), None);
        assert_eq!(uniformity(3.0, 3), Some(0.0));
        assert!((uniformity(closeness(4.0), 2).unwrap() + 8.0).abs() < 1e-12);
    }

    #[test]
    fn the_ends_of_spectra() {
        let equal = spectrum(&[2.0; 20], 20);
        assert!((equal.first - 0.05).abs() < 1e-12 && (equal.tenth - 0.1).abs() < 1e-12);
        assert!((equal.effective_rank - 20.0).abs() < 1e-9);
        let one = spectrum(&[4.0, 0.0, -1e-18], 3);
        assert_eq!((one.first, one.tenth, one.effective_rank), (1.0, 1.0, 1.0));
        let none = spectrum(&[0.0, 0.0], 2);
        assert_eq!((none.first, none.effective_rank), (0.0, 0.0));
        assert_eq!(spectrum(&[], 0), none);
        // Shares of the values 2/3 and 1/3, of their squares 4/5 and 1/5.
        let two = spectrum(&[4.0, 1.0], 2);
        let entropy = (1.5f64).ln() * 2.0 / 3.0 + (3f64).ln() / 3.0;
        assert!((two.first - 0.8).abs() < 1e-12);
        assert!((two.effective_rank - entropy.exp()).abs() < 1e-12);
    }
}
