//! How well scores tell pairs of two kinds apart. Large scores stand for yes; equal scores are never
//! told apart.

use super::correlation::ranks;

/// The threshold with the best F1, and what it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestF1 {
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Scores from it on are taken as yes.
    pub threshold: f64,
    /// Share of yes among what is taken as yes.
    pub precision: f64,
    /// Share of what is taken as yes among all yes.
    pub recall: f64,
}

/// The threshold with the best accuracy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestAccuracy {
    /// Share of pairs that are taken as what they are.
    pub accuracy: f64,
    /// Scores from it on are taken as yes.
    pub threshold: f64,
}

/// A place between two scores that differ, or behind the last.
struct Cut {
    threshold: f64,
    /// Pairs before it.
    taken: usize,
    /// Those that are yes.
    right: usize,
}

/// Area under the ROC curve: how often a yes has a larger score than a no, ties as half. None if all
/// gold is equal.
pub fn auc(scores: &[f64], gold: &[bool]) -> Option<f64> {
    let (yes, no) = counts(gold)?;
    let ranks = ranks(scores);
    let ranks = ranks.iter().zip(gold).filter(|(_, yes)| **yes);
    let sum: f64 = ranks.map(|(rank, _)| rank).sum();
    Some((sum - (yes * (yes + 1)) as f64 / 2.0) / (yes as f64 * no as f64))
}

/// Average precision: the precision at each threshold, weighted with the recall that it adds
/// (scikit-learn's `average_precision_score`). None if all gold is equal.
pub fn average_precision(scores: &[f64], gold: &[bool]) -> Option<f64> {
    let (yes, _) = counts(gold)?;
    let (mut sum, mut before) = (0.0, 0);
    for cut in cuts(scores, gold) {
        let added = (cut.right - before) as f64 / yes as f64;
        sum += added * cut.right as f64 / cut.taken as f64;
        before = cut.right;
    }
    Some(sum)
}

/// The best F1 of all thresholds, and of equal ones the highest threshold
/// (sentence-transformers' `find_best_f1_and_threshold`). None if all gold is equal.
pub fn best_f1(scores: &[f64], gold: &[bool]) -> Option<BestF1> {
    let (yes, _) = counts(gold)?;
    let mut best: Option<BestF1> = None;
    for cut in cuts(scores, gold).iter().filter(|cut| cut.right > 0) {
        let precision = cut.right as f64 / cut.taken as f64;
        let recall = cut.right as f64 / yes as f64;
        let f1 = 2.0 * precision * recall / (precision + recall);
        if best.is_none_or(|best| f1 > best.f1) {
            best = Some(BestF1 {
                f1,
                threshold: cut.threshold,
                precision,
                recall,
            });
        }
    }
    best
}

/// The best accuracy of all thresholds, that above all scores among them, and of equal ones the
/// highest threshold (sentence-transformers' `find_best_acc_and_threshold`). None if all gold is
/// equal.
pub fn best_accuracy(scores: &[f64], gold: &[bool]) -> Option<BestAccuracy> {
    let (_, no) = counts(gold)?;
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let share = |right: usize| right as f64 / gold.len() as f64;
    let mut best = BestAccuracy {
        accuracy: share(no),
        threshold: highest.next_up(),
    };
    for cut in cuts(scores, gold) {
        let accuracy = share(cut.right + (no + cut.right - cut.taken));
        if accuracy > best.accuracy {
            best = BestAccuracy {
                accuracy,
                threshold: cut.threshold,
            };
        }
    }
    Some(best)
}

/// Numbers of yes and no; none if there is only one of them.
fn counts(gold: &[bool]) -> Option<(usize, usize)> {
    let yes = gold.iter().filter(|yes| **yes).count();
    (yes > 0 && yes < gold.len()).then_some((yes, gold.len() - yes))
}

/// All thresholds that differ in what they do, the highest first.
fn cuts(scores: &[f64], gold: &[bool]) -> Vec<Cut> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));
    let mut cuts = Vec::new();
    let mut right = 0;
    for (at, &pair) in order.iter().enumerate() {
        right += usize::from(gold[pair]);
        let score = scores[pair];
        let threshold = match order.get(at + 1).map(|&next| scores[next]) {
            Some(next) if next == score => continue,
            // A middle that rounds to the next score would take that one too.
            Some(next) if f64::midpoint(score, next) != next => f64::midpoint(score, next),
            _ => score,
        };
        cuts.push(Cut {
            threshold,
            taken: at + 1,
            right,
        });
    }
    cuts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};

    use super::{auc, average_precision, best_accuracy, best_f1};

    fn gold(numbers: &[u8]) -> Vec<bool> {
        numbers.iter().map(|&number| number == 1).collect()
    }

    #[test]
    fn known_values() {
        let (scores, gold) = ([0.1, 0.4, 0.35, 0.8, 0.9], gold(&[0, 0, 1, 1, 1]));
        assert!((auc(&scores, &gold).unwrap() - 5.0 / 6.0).abs() < 1e-12);
        let ap = average_precision(&scores, &gold).unwrap();
        assert!((ap - (1.0 + 1.0 + 0.75) / 3.0).abs() < 1e-12);
        let best = best_f1(&scores, &gold).unwrap();
        assert!((best.f1 - 6.0 / 7.0).abs() < 1e-12);
        assert_eq!((best.precision, best.recall), (0.75, 1.0));
        assert!((best.threshold - 0.225).abs() < 1e-12);
        let best = best_accuracy(&scores, &gold).unwrap();
        assert_eq!(best.accuracy, 0.8);
        assert!((best.threshold - 0.6).abs() < 1e-12);
    }

    #[test]
    fn one_kind_of_gold_tells_nothing_and_equal_scores_tell_the_least() {
        for number in [0, 1] {
            let gold = gold(&[number; 3]);
            let scores = [0.1, 0.2, 0.3];
            assert_eq!(auc(&scores, &gold), None);
            assert_eq!(average_precision(&scores, &gold), None);
            assert_eq!(best_f1(&scores, &gold), None);
            assert_eq!(best_accuracy(&scores, &gold), None);
        }
        let (scores, gold) = ([0.5; 4], gold(&[1, 0, 0, 0]));
        assert_eq!(auc(&scores, &gold), Some(0.5));
        assert_eq!(average_precision(&scores, &gold), Some(0.25));
        assert_eq!(best_f1(&scores, &gold).unwrap().f1, 0.4);
        let best = best_accuracy(&scores, &gold).unwrap();
        assert_eq!(best.accuracy, 0.75);
        assert!(best.threshold > 0.5);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn thresholds_do_what_they_say(
            pairs in prop::collection::vec((0i32..9, 0u8..2), 2..40),
        ) {
            let scores: Vec<f64> = pairs.iter().map(|pair| f64::from(pair.0) / 7.0).collect();
            let labels: Vec<u8> = pairs.iter().map(|pair| pair.1).collect();
            let gold = gold(&labels);
            let (Some(f1), Some(accuracy)) = (best_f1(&scores, &gold), best_accuracy(&scores, &gold))
            else {
                return Ok(());
            };
            let measure = |threshold: f64| {
                let guesses = scores.iter().map(|&score| score >= threshold);
                let right = guesses.clone().zip(&gold).filter(|(guess, gold)| guess == *gold).count();
                let both = guesses.clone().zip(&gold).filter(|(guess, gold)| *guess && **gold).count();
                let sum = guesses.filter(|guess| *guess).count() + gold.iter().filter(|it| **it).count();
                (2.0 * both as f64 / sum as f64, right as f64 / gold.len() as f64)
            };
            prop_assert!((measure(f1.threshold).0 - f1.f1).abs() < 1e-12);
            prop_assert_eq!(measure(accuracy.threshold).1, accuracy.accuracy);
            for &score in scores.iter().chain(&[2.0]) {
                let (other_f1, other_accuracy) = measure(score);
                prop_assert!(other_f1 <= f1.f1 + 1e-12);
                prop_assert!(other_accuracy <= accuracy.accuracy);
            }
            let mut wins = 0.0;
            let mut duels = 0.0;
            for (yes, score) in gold.iter().zip(&scores) {
                for (_, other) in gold.iter().zip(&scores).filter(|(other, _)| *yes && !**other) {
                    duels += 1.0;
                    wins += f64::from(u8::from(score > other)) + f64::from(u8::from(score == other)) / 2.0;
                }
            }
            prop_assert!((auc(&scores, &gold).unwrap() - wins / duels).abs() < 1e-12);
        }
    }
}
