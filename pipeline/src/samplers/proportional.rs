//! The sampler `proportional`: every batch holds the corpora in their exact shares.

use serde::{Deserialize, Serialize};

use super::{BatchSampler, Composed, Memory, Window};

/// Gives each corpus its share of every batch, in whole rows by the largest remainder; what
/// rounding leaves is carried to the next batch, so that shares are exact over any run of batches.
///
/// **Why**: the least variance between batches, and a mixture that is the same at every step.
/// **Source**: stratified batches of mosaicml streaming. **Bounds**: as `shuffled`, for each corpus;
/// it ends when a corpus cannot give its rows, so at most a few batches wait for the next window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proportional {}

impl BatchSampler for Proportional {
    fn compose(&self, window: &mut Window<'_>, memory: &mut Memory) -> Composed {
        memory.credits.resize(window.shares.len(), 0);
        let (mut batch, mut composed) = (window.batch(), Composed::default());
        let mut queues = window.queues();
        if window.shares.iter().all(|&share| share == 0) {
            return composed;
        }
        'batches: loop {
            let before = memory.credits.clone();
            let slots = slots(&mut memory.credits, window.shares, window.size);
            for (queue, slots) in queues.iter_mut().zip(slots) {
                let length = batch.len() + slots;
                if !queue.fill(&mut batch, length) {
                    memory.credits = before;
                    break 'batches;
                }
            }
            composed.push(batch.entries());
            batch.clear();
        }
        if window.incomplete && window.last {
            for queue in &mut queues {
                queue.fill(&mut batch, window.size);
            }
        }
        composed.close(window, &batch, &mut queues);
        composed
    }
}

/// Rows of each corpus in the next batch.
fn slots(credits: &mut [i64], shares: &[u64], size: usize) -> Vec<usize> {
    let whole = shares.iter().sum::<u64>() as i64;
    for (credit, &share) in credits.iter_mut().zip(shares) {
        *credit += share as i64 * size as i64;
    }
    let mut slots: Vec<i64> = credits
        .iter()
        .map(|credit| credit.div_euclid(whole).max(0))
        .collect();
    let given: i64 = slots.iter().sum();
    let mut order: Vec<usize> = (0..shares.len()).filter(|&at| shares[at] > 0).collect();
    let rest = |slots: &[i64], at: usize| credits[at] - slots[at] * whole;
    order.sort_by_key(|&at| (-rest(&slots, at), at));
    // Credits add up to a batch, and each rounds by less than a row.
    for at in order
        .into_iter()
        .cycle()
        .take((size as i64 - given).max(0) as usize)
    {
        slots[at] += 1;
    }
    let mut over = (given - size as i64).max(0);
    for slot in slots.iter_mut().rev() {
        let less = over.min(*slot);
        *slot -= less;
        over -= less;
    }
    for (credit, slot) in credits.iter_mut().zip(&slots) {
        *credit -= slot * whole;
    }
    slots.into_iter().map(|slot| slot as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::slots;

    #[test]
    fn shares_are_exact_over_any_run() {
        for (shares, size) in [
            (vec![1, 1, 1], 4),
            (vec![700, 299, 1], 10),
            (vec![5, 0, 3], 7),
            (vec![1; 50], 3),
            (vec![1_000_000_000, 1], 128),
        ] {
            let mut credits = vec![0; shares.len()];
            let mut given = vec![0u64; shares.len()];
            let whole: u64 = shares.iter().sum();
            for batch in 1..=300u64 {
                let slots = slots(&mut credits, &shares, size);
                assert_eq!(slots.iter().sum::<usize>(), size, "{shares:?}");
                for ((given, slot), share) in given.iter_mut().zip(slots).zip(&shares) {
                    *given += slot as u64;
                    let wanted = (batch * size as u64 * share) as f64 / whole as f64;
                    assert!((*given as f64 - wanted).abs() <= 1.0, "{shares:?} {batch}");
                }
            }
        }
    }
}
