//! Copies with small changes: the share of character n-grams that two texts have in common.
//!
//! The share is exact (Jaccard over sets of n-grams of [`fold`]ed text), where the near-duplicates
//! of shards are estimated by MinHash: there are few pairs to compare here, and texts are short.

use crate::text::fold::{fold, hash, hash_runs};

/// Which texts count as copies.
#[derive(Clone, Copy, Debug)]
pub struct Near {
    /// Least share; 0 switches the comparison off.
    pub share: f64,
    /// Characters of an n-gram.
    pub ngram: usize,
}

impl Near {
    /// Whether anything is compared.
    pub fn is_on(&self) -> bool {
        self.share > 0.0
    }

    /// Hashes of the n-grams of a text, sorted, each once; a text shorter than one is one.
    pub fn grams(&self, text: &str, folded: &mut Vec<u32>) -> Vec<u64> {
        fold(text, folded);
        let mut grams = Vec::with_capacity(folded.len());
        match (1..self.ngram).contains(&folded.len()) {
            true => grams.push(hash(folded)),
            false => hash_runs(folded, self.ngram, |gram| grams.push(gram)),
        }
        grams.sort_unstable();
        grams.dedup();
        grams
    }

    /// True when two texts, by their n-grams, count as copies.
    pub fn is_copy(&self, one: &[u64], other: &[u64]) -> bool {
        let (short, long) = (one.len().min(other.len()), one.len().max(other.len()));
        // Even if the shorter one were a part of the longer one.
        if short == 0 || (short as f64) < self.share * long as f64 {
            return false;
        }
        let (mut both, mut at) = (0, 0);
        for gram in one {
            while other.get(at).is_some_and(|other| other < gram) {
                at += 1;
            }
            both += usize::from(other.get(at) == Some(gram));
        }
        both as f64 >= self.share * (short + long - both) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Near;
    use proptest::prelude::{prop_assert_eq, proptest};
    use std::collections::BTreeSet;

    fn copy(share: f64, one: &str, other: &str) -> bool {
        let near = Near { share, ngram: 3 };
        let grams = |text: &str| near.grams(text, &mut Vec::new());
        near.is_copy(&grams(one), &grams(other))
    }

    #[test]
    fn what_counts_as_a_copy() {
        assert!(copy(0.8, "如何购买人寿保险？", "如何购买人寿保险呢"));
        assert!(copy(1.0, "ＧＰＵ 训练", "gpu训练！"));
        assert!(!copy(0.8, "北京的天气怎么样", "南昌的气候怎么样"));
        assert!(copy(0.8, "好", "好。"));
        assert!(!copy(0.8, "好", "坏"));
        assert!(!copy(0.1, "？", "！"));
    }

    proptest! {
        #[test]
        fn agrees_with_sets(one in "[abc]{0,12}", other in "[abc]{0,12}", step in 1u32..=10) {
            let share = f64::from(step) / 10.0;
            let grams = |text: &str| -> BTreeSet<String> {
                match text.len() {
                    0 => BTreeSet::new(),
                    1 | 2 => [text.to_string()].into(),
                    _ => (0..text.len() - 2).map(|at| text[at..at + 3].to_string()).collect(),
                }
            };
            let (one_set, other_set) = (grams(&one), grams(&other));
            let both = one_set.intersection(&other_set).count() as f64;
            let all = one_set.union(&other_set).count() as f64;
            let wanted = !one_set.is_empty() && !other_set.is_empty() && both >= share * all;
            prop_assert_eq!(copy(share, &one, &other), wanted);
        }
    }
}
