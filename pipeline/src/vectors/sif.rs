//! Smooth inverse frequency: how much a word weighs in a text, and what all texts have in common.
//!
//! Arora, Liang, Ma 2017, "A simple but tough-to-beat baseline for sentence embeddings": a text is
//! the sum of its words' vectors, each weighed by a / (a + p), less its part along the first
//! principal component of all texts. Both steps are linear, so they can be done to the words.

/// Steps of the power method, which mostly ends much earlier.
const STEPS: usize = 1000;

/// Scales the vector of each word by a / (a + p), where p is the word's share of all tokens.
pub fn weigh(vectors: &mut [f32], dimension: usize, counts: &[u64], tokens: u64, a: f64) {
    for (vector, &count) in vectors.chunks_exact_mut(dimension).zip(counts) {
        let share = count as f64 / tokens.max(1) as f64;
        let weight = (a / (a + share)) as f32;
        vector.iter_mut().for_each(|value| *value *= weight);
    }
}

/// The first principal component of rows about the origin: the unit vector along which their
/// squares sum up to most. Of no rows, or rows of zeros, a vector of zeros.
pub fn component(rows: &[f32], dimension: usize) -> Vec<f32> {
    let mut moments = vec![0f64; dimension * dimension];
    for row in rows.chunks_exact(dimension) {
        for (&value, moments) in row.iter().zip(moments.chunks_exact_mut(dimension)) {
            let pairs = moments.iter_mut().zip(row);
            pairs.for_each(|(moment, &other)| *moment += f64::from(value) * f64::from(other));
        }
    }
    // The longest column has a part along the component unless all are zero.
    let squares = |column: &[f64]| column.iter().map(|value| value * value).sum::<f64>();
    let columns = moments.chunks_exact(dimension);
    let longest = columns.max_by(|a, b| squares(a).total_cmp(&squares(b)));
    let mut vector = longest.map(<[f64]>::to_vec).unwrap_or_default();
    for _ in 0..STEPS {
        let length = squares(&vector).sqrt();
        if length == 0.0 {
            break;
        }
        vector.iter_mut().for_each(|value| *value /= length);
        let columns = moments.chunks_exact(dimension);
        let next: Vec<f64> = columns
            .map(|column| column.iter().zip(&vector).map(|(a, b)| a * b).sum())
            .collect();
        let length = squares(&next).sqrt();
        let moved: f64 = next
            .iter()
            .zip(&vector)
            .map(|(next, value)| (next / length - value).powi(2))
            .sum();
        if moved < 1e-24 {
            break;
        }
        vector = next;
    }
    let length = squares(&vector).sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.iter().map(|value| (value * scale) as f32).collect()
}

/// Takes the part along a unit vector out of each row.
pub fn remove(rows: &mut [f32], unit: &[f32]) {
    for row in rows.chunks_exact_mut(unit.len().max(1)) {
        let pairs = row.iter().zip(unit);
        let part: f64 = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let pairs = row.iter_mut().zip(unit);
        pairs.for_each(|(value, &along)| *value -= (part * f64::from(along)) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::{component, remove, weigh};
    use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assume, proptest};

    #[test]
    fn weights_of_words() {
        let mut vectors = vec![1.0, 2.0, 4.0, 8.0];
        weigh(&mut vectors, 2, &[0, 100], 1000, 0.1);
        // A word that never comes weighs 1, one of share a weighs a half.
        assert_eq!(vectors, [1.0, 2.0, 2.0, 4.0]);
    }

    #[test]
    fn a_component_that_is_known() {
        let rows = [3.0, 4.0, -6.0, -8.0, 0.4, -0.3];
        let found = component(&rows, 2);
        assert!((found[0].abs() - 0.6).abs() < 1e-3 && (found[1].abs() - 0.8).abs() < 1e-3);
        assert_eq!(component(&[], 3), [0.0; 3]);
        assert_eq!(component(&[0.0; 6], 3), [0.0; 3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// No direction holds more of the rows than the component, and nothing is left of it.
        #[test]
        fn the_first_component_is_removed(values in prop::collection::vec(-1f32..1.0, 40 * 5)) {
            let unit = component(&values, 5);
            let along = |rows: &[f32], unit: &[f32]| -> f64 {
                let dot = |row: &[f32]| row.iter().zip(unit).map(|(a, b)| f64::from(a * b)).sum::<f64>();
                rows.chunks(5).map(|row| dot(row).powi(2)).sum()
            };
            let whole = along(&values, &unit);
            for axis in 0..5 {
                let mut other = [0.0; 5];
                other[axis] = 1.0;
                prop_assert!(along(&values, &other) <= whole * (1.0 + 1e-5));
            }
            for row in values.chunks(5) {
                let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
                prop_assume!(length > 0.0);
                let other: Vec<f32> = row.iter().map(|value| value / length).collect();
                prop_assert!(along(&values, &other) <= whole * (1.0 + 1e-5));
            }
            let mut rest = values.clone();
            remove(&mut rest, &unit);
            prop_assert!(along(&rest, &unit) < 1e-9, "{}", along(&rest, &unit));
        }
    }
}
