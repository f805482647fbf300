//! Metrics of one query's ranking.
//!
//! `gains` are those of the documents in the order found, 0 for one that is not relevant; `ideal` are
//! the gains of all relevant documents, the largest first.

/// 1 if one of the first `k` is relevant.
pub fn accuracy(gains: &[f64], k: usize) -> f64 {
    f64::from(u8::from(hits(gains, k) > 0))
}

/// Share of relevant ones among the first `k`; what was not found counts as not relevant.
pub fn precision(gains: &[f64], k: usize) -> f64 {
    hits(gains, k) as f64 / k as f64
}

/// Share of the relevant ones that are among the first `k`.
pub fn recall(gains: &[f64], ideal: &[f64], k: usize) -> f64 {
    hits(gains, k) as f64 / ideal.len() as f64
}

/// 1 / rank of the first relevant one, 0 if it is not among the first `k`.
pub fn reciprocal_rank(gains: &[f64], k: usize) -> f64 {
    let first = gains.iter().take(k).position(|&gain| gain > 0.0);
    first.map_or(0.0, |at| 1.0 / (at + 1) as f64)
}

/// Discounted gain of the first `k`, gain / log₂(rank + 1), as a share of the largest possible one.
pub fn ndcg(gains: &[f64], ideal: &[f64], k: usize) -> f64 {
    let discounted = |gains: &[f64]| {
        let ranked = gains.iter().take(k).enumerate();
        let terms = ranked.map(|(at, gain)| gain / ((at + 2) as f64).log2());
        terms.sum::<f64>()
    };
    discounted(gains) / discounted(ideal)
}

/// Sum of the precisions at the relevant ones among the first `k`, divided by min(k, number of
/// relevant ones).
pub fn average_precision(gains: &[f64], ideal: &[f64], k: usize) -> f64 {
    let (mut seen, mut sum) = (0, 0.0);
    for (at, _) in gains
        .iter()
        .take(k)
        .enumerate()
        .filter(|(_, gain)| **gain > 0.0)
    {
        seen += 1;
        sum += f64::from(seen) / (at + 1) as f64;
    }
    sum / ideal.len().min(k) as f64
}

fn hits(gains: &[f64], k: usize) -> usize {
    gains.iter().take(k).filter(|&&gain| gain > 0.0).count()
}

#[cfg(test)]
mod tests {
    use super::{accuracy, average_precision, ndcg, precision, recall, reciprocal_rank};

    #[test]
    fn known_values() {
        // Of two relevant ones, with gains 2 and 1, the lesser is second and the better fourth.
        let (gains, ideal) = ([0.0, 1.0, 0.0, 2.0], [2.0, 1.0]);
        assert_eq!((accuracy(&gains, 1), accuracy(&gains, 2)), (0.0, 1.0));
        assert_eq!((precision(&gains, 4), precision(&gains, 10)), (0.5, 0.2));
        assert_eq!(
            (recall(&gains, &ideal, 3), recall(&gains, &ideal, 4)),
            (0.5, 1.0)
        );
        assert_eq!(reciprocal_rank(&gains, 10), 0.5);
        assert_eq!(reciprocal_rank(&gains, 1), 0.0);
        assert_eq!(average_precision(&gains, &ideal, 100), 0.5);
        assert_eq!(average_precision(&gains, &ideal, 1), 0.0);
        let log = |rank: f64| (rank + 1.0).log2();
        let expected = (1.0 / log(2.0) + 2.0 / log(4.0)) / (2.0 + 1.0 / log(2.0));
        assert!((ndcg(&gains, &ideal, 10) - expected).abs() < 1e-15);
        // The ideal is as short as the ranking.
        assert_eq!(ndcg(&[2.0, 0.0], &ideal, 1), 1.0);
        assert_eq!(average_precision(&[1.0, 0.0], &ideal, 1), 1.0);
        assert_eq!(ndcg(&[], &ideal, 10), 0.0);
    }
}
