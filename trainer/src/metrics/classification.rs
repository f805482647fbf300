//! How well guessed labels agree with gold ones.

/// The share of guesses that are right; 0 without any.
pub fn accuracy(gold: &[usize], guesses: &[usize]) -> f64 {
    let right = gold.iter().zip(guesses).filter(|(one, other)| one == other);
    right.count() as f64 / gold.len().max(1) as f64
}

/// The mean of the F1 of all labels that are gold or guessed somewhere; a label that is never right
/// has 0. 0 without any.
pub fn macro_f1(gold: &[usize], guesses: &[usize]) -> f64 {
    let labels = gold.iter().chain(guesses).max().map_or(0, |most| most + 1);
    let (mut both, mut either) = (vec![0usize; labels], vec![0usize; labels]);
    for (&one, &other) in gold.iter().zip(guesses) {
        either[one] += 1;
        either[other] += 1;
        both[one] += usize::from(one == other);
    }
    let all = both.iter().zip(&either).filter(|(_, either)| **either > 0);
    // F1 = 2 right / (gold + guessed).
    let scores: Vec<f64> = all
        .map(|(&both, &either)| 2.0 * both as f64 / either as f64)
        .collect();
    scores.iter().sum::<f64>() / scores.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{accuracy, macro_f1};

    /// `sklearn.metrics.f1_score(gold, guesses, average="macro")`
    #[test]
    fn values_are_those_of_sklearn() {
        let (gold, guesses) = ([0, 0, 1, 1, 2, 5], [0, 1, 1, 1, 3, 0]);
        assert_eq!(accuracy(&gold, &guesses), 0.5);
        // 2/4, 4/5 and 0 for each of 2, 3 and 5.
        assert!((macro_f1(&gold, &guesses) - 1.3 / 5.0).abs() < 1e-12);
        assert_eq!((accuracy(&[], &[]), macro_f1(&[], &[])), (0.0, 0.0));
        assert_eq!((accuracy(&[3], &[3]), macro_f1(&[3], &[3])), (1.0, 1.0));
    }

    proptest! {
        #[test]
        fn names_of_labels_do_not_matter(pairs in proptest::collection::vec((0usize..5, 0usize..5), 1..40)) {
            let (gold, guesses): (Vec<usize>, Vec<usize>) = pairs.into_iter().unzip();
            let other = |labels: &[usize]| labels.iter().map(|label| (label * 3 + 1) % 5).collect::<Vec<_>>();
            prop_assert_eq!(accuracy(&gold, &guesses), accuracy(&other(&gold), &other(&guesses)));
            let (one, two) = (macro_f1(&gold, &guesses), macro_f1(&other(&gold), &other(&guesses)));
            prop_assert!((one - two).abs() < 1e-12 && (0.0..=1.0).contains(&one));
        }
    }
}
