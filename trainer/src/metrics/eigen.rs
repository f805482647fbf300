//! Eigenvalues and eigenvectors of symmetric matrices, in f64 on one thread: Householder reflections
//! to a tridiagonal matrix, then the QL method with implicit shifts (Golub and Van Loan, "Matrix
//! Computations", 8.3).
//!
//! A tenth of a second for 384 rows, one second for 1024.

/// Steps of QL for one eigenvalue; two or three are usual, so that only numbers that are not finite
/// come so far.
const STEPS_MAX: usize = 100;

/// Eigenvalues of a symmetric matrix `[n, n]`, the largest first, and their vectors of length 1 as
/// rows, `[n, n]`. The largest number of each vector, the first of equals, is positive.
///
/// Numbers that are not finite give numbers that mean nothing.
pub fn symmetric(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    assert_eq!(matrix.len(), n * n);
    let (mut diagonal, mut beside, mut rows) = tridiagonal(matrix.to_vec(), n);
    diagonalise(&mut diagonal, &mut beside, &mut rows);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&one, &other| diagonal[other].total_cmp(&diagonal[one]));
    let values = order.iter().map(|&row| diagonal[row]).collect();
    let mut vectors = Vec::with_capacity(n * n);
    for row in order {
        let vector = &rows[row * n..][..n];
        let larger = |best: f64, &value: &f64| match value.abs() > best.abs() {
            true => value,
            false => best,
        };
        let sign = vector.iter().fold(0.0, larger).signum();
        vectors.extend(vector.iter().map(|value| value * sign));
    }
    (values, vectors)
}

/// The product of two rows, as eight sums that the processor adds side by side.
pub fn dot(one: &[f64], other: &[f64]) -> f64 {
    let mut sums = [0f64; 8];
    let (ones, others) = (one.chunks_exact(8), other.chunks_exact(8));
    let rest = ones.remainder().iter().zip(others.remainder());
    let rest: f64 = rest.map(|(a, b)| a * b).sum();
    for (ones, others) in ones.zip(others) {
        for (sum, (a, b)) in sums.iter_mut().zip(ones.iter().zip(others)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Adds a multiple of a row to another.
pub fn add(to: &mut [f64], factor: f64, row: &[f64]) {
    to.iter_mut()
        .zip(row)
        .for_each(|(to, value)| *to += factor * value);
}

/// The diagonal of the tridiagonal matrix `Q' A Q`, the numbers beside it, and `Q'` `[n, n]`.
fn tridiagonal(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (mut beside, mut weights) = (vec![0.0; n], vec![0.0; n]);
    for step in 0..n.saturating_sub(1) {
        let (done, rest) = a.split_at_mut((step + 1) * n);
        // What stands right of the diagonal becomes the reflection's vector; it is not read again.
        let vector = &mut done[step * n + step + 1..];
        (beside[step], weights[step]) = reflection(vector);
        let weight = weights[step];
        if weight == 0.0 {
            continue;
        }
        // A - v w' - w v' with w = p - (weight / 2) (p v) v and p = weight A v.
        let rows = rest.chunks_exact(n).map(|row| &row[step + 1..]);
        let mut other: Vec<f64> = rows.map(|row| weight * dot(row, vector)).collect();
        let half = -0.5 * weight * dot(&other, vector);
        add(&mut other, half, vector);
        for (row, part) in rest.chunks_exact_mut(n).enumerate() {
            let part = &mut part[step + 1..];
            add(part, -vector[row], &other);
            add(part, -other[row], vector);
        }
    }
    let diagonal = (0..n).map(|row| a[row * n + row]).collect();
    let mut q = vec![0.0; n * n];
    (0..n).for_each(|row| q[row * n + row] = 1.0);
    // The last reflection first: then each touches only the rows and columns from its own on.
    for step in (0..n.saturating_sub(1)).rev() {
        let vector = &a[step * n + step + 1..(step + 1) * n];
        for row in q[(step + 1) * n..].chunks_exact_mut(n) {
            let row = &mut row[step + 1..];
            let factor = -weights[step] * dot(row, vector);
            add(row, factor, vector);
        }
    }
    (diagonal, beside, q)
}

/// Makes x into the vector v of a reflection `1 - weight v v'` that takes x to (value, 0, …, 0);
/// gives value and weight.
fn reflection(x: &mut [f64]) -> (f64, f64) {
    let scale = x.iter().fold(0f64, |most, value| most.max(value.abs()));
    if scale == 0.0 || x[1..].iter().all(|&value| value == 0.0) {
        return (x[0], 0.0);
    }
    x.iter_mut().for_each(|value| *value /= scale);
    let norm = dot(x, x).sqrt();
    let value = -norm.copysign(x[0]);
    x[0] -= value;
    (value * scale, 2.0 / dot(x, x))
}

/// Makes a tridiagonal matrix diagonal; the rotations turn the rows, which end as its vectors.
fn diagonalise(diagonal: &mut [f64], beside: &mut [f64], rows: &mut [f64]) {
    let n = diagonal.len();
    let both = diagonal.iter().chain(beside.iter());
    let norm = both.fold(0f64, |most, value| most.max(value.abs()));
    for first in 0..n {
        for _ in 0..STEPS_MAX {
            let small = |at: &usize| {
                let scale = diagonal[*at].abs() + diagonal[at + 1].abs();
                beside[*at].abs() <= f64::EPSILON * scale.max(norm * f64::EPSILON)
            };
            let last = (first..n - 1).find(small).unwrap_or(n - 1);
            if last == first {
                break;
            }
            step(diagonal, beside, rows, first, last);
        }
    }
}

/// One step of QL on the rows `first..=last` of a tridiagonal matrix.
fn step(diagonal: &mut [f64], beside: &mut [f64], rows: &mut [f64], first: usize, last: usize) {
    let n = diagonal.len();
    let slope = (diagonal[first + 1] - diagonal[first]) / (2.0 * beside[first]);
    let shift = beside[first] / (slope + slope.hypot(1.0).copysign(slope));
    let mut g = diagonal[last] - diagonal[first] + shift;
    let (mut sine, mut cosine, mut moved) = (1.0, 1.0, 0.0);
    for at in (first..last).rev() {
        let (f, b) = (sine * beside[at], cosine * beside[at]);
        let r = f.hypot(g);
        beside[at + 1] = r;
        if r == 0.0 {
            // The matrix falls apart here; the next step takes the smaller part.
            diagonal[at + 1] -= moved;
            beside[last] = 0.0;
            return;
        }
        (sine, cosine) = (f / r, g / r);
        g = diagonal[at + 1] - moved;
        let r = (diagonal[at] - g) * sine + 2.0 * cosine * b;
        moved = sine * r;
        diagonal[at + 1] = g + moved;
        g = cosine * r - b;
        let (upper, lower) = rows.split_at_mut((at + 1) * n);
        let pairs = upper[at * n..].iter_mut().zip(&mut lower[..n]);
        for (one, other) in pairs {
            let old = *other;
            *other = sine * *one + cosine * old;
            *one = cosine * *one - sine * old;
        }
    }
    diagonal[first] -= moved;
    beside[first] = g;
    beside[last] = 0.0;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, proptest};

    use super::{dot, symmetric};

    /// How far rows are from vectors of the matrix of length 1 at right angles, and values from
    /// theirs.
    fn fault(matrix: &[f64], n: usize) -> f64 {
        let (values, vectors) = symmetric(matrix, n);
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
        let mut fault = 0f64;
        for (one, value) in vectors.chunks_exact(n).zip(&values) {
            for (at, row) in matrix.chunks_exact(n).enumerate() {
                fault = fault.max((dot(row, one) - value * one[at]).abs());
            }
            for (other, second) in vectors.chunks_exact(n).zip(&values) {
                let wanted = f64::from(std::ptr::eq(value, second));
                fault = fault.max((dot(one, other) - wanted).abs());
            }
        }
        fault
    }

    fn formula(n: usize) -> Vec<f64> {
        let all = (0..n * n).map(|at| (at / n + 1, at % n + 1));
        all.map(|(row, column)| (0.7 * (row * column) as f64).cos())
            .collect()
    }

    /// `import numpy as np; i = np.arange(1, 11); np.linalg.eigh(np.cos(.7 * np.outer(i, i)))`
    #[test]
    fn values_are_those_of_numpy() {
        let (values, vectors) = symmetric(&formula(10), 10);
        for (value, wanted) in values.iter().zip(VALUES) {
            assert!((value - wanted).abs() < 1e-12, "{values:?}");
        }
        for (value, wanted) in vectors.iter().zip(FIRST) {
            assert!((value - wanted).abs() < 1e-12, "{vectors:?}");
        }
    }

    const VALUES: [f64; 10] = [
        4.054061209493701,
        2.993937114948849,
        2.988097301249807,
        0.16709524095946587,
        0.11301827814975278,
        -0.005814361572345689,
        -0.11308016426338374,
        -0.3103011664834791,
        -2.9999376250478598,
        -3.30564903335754,
    ];
    const FIRST: [f64; 10] = [
        0.5053310763026473,
        0.0444815607265886,
        -0.13711901931489875,
        -0.25686835115479584,
        -0.2536704040766564,
        -0.1300580873163795,
        0.047384731550680195,
        0.5071050225999635,
        0.26542032970534984,
        0.49675584612898754,
    ];

    #[test]
    fn matrices_of_all_kinds() {
        assert_eq!(symmetric(&[], 0), (vec![], vec![]));
        assert_eq!(symmetric(&[-3.0], 1), (vec![-3.0], vec![1.0]));
        let (values, vectors) = symmetric(&[1.0, 0.0, 0.0, 5.0], 2);
        assert_eq!(values, [5.0, 1.0]);
        assert_eq!(vectors, [0.0, 1.0, 1.0, 0.0]);
        assert!(fault(&[0.0; 49], 7) < 1e-15);
        assert!(fault(&[2.0; 400], 20) < 1e-13);
        assert!(fault(&formula(100), 100) < 1e-11);
        let tiny: Vec<f64> = formula(30).iter().map(|value| value * 1e-200).collect();
        assert!(fault(&tiny, 30) < 1e-13);
        // It must come to an end.
        symmetric(&[f64::NAN; 9], 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Products of few rows: most values are 0, and some may be equal.
        #[test]
        fn products_of_rows(rank in 1usize..6, n in 1usize..24, parts in proptest::collection::vec(-2i8..3, 144)) {
            let row = |row: usize, part: usize| f64::from(parts[(part * 24 + row) % 144]);
            let all = (0..n * n).map(|at| (at / n, at % n));
            let matrix: Vec<f64> = all
                .map(|(one, other)| (0..rank).map(|part| row(one, part) * row(other, part)).sum())
                .collect();
            prop_assert!(fault(&matrix, n) < 1e-11);
            let trace: f64 = (0..n).map(|row| matrix[row * n + row]).sum();
            prop_assert!((symmetric(&matrix, n).0.iter().sum::<f64>() - trace).abs() < 1e-10);
        }
    }
}
