//! Leaves become topics: those that are too small go to the nearest topic that has room.

use crate::neighbors::{Cells, dot};

/// The topics of the leaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// Topic of each node that is a leaf with records, or whose topic others went to.
    pub topics: Vec<Option<u32>>,
    /// The leaf that is the middle of each topic.
    pub leaves: Vec<usize>,
    /// Records of each topic, descending.
    pub sizes: Vec<u64>,
    /// Leaves that went to another.
    pub merged: u64,
    /// Topics that are still too small, as no other has room.
    pub below: u64,
    /// Topics that are still too large.
    pub above: u64,
}

/// Numbers the topics, largest first.
pub fn merge(cells: &Cells, sizes: &[u64], size_min: u64, size_max: u64) -> Merged {
    let all: Vec<usize> = cells.leaves().collect();
    // Of each leaf the one that it went to; sizes of those that stand for themselves.
    let mut owner: Vec<usize> = (0..sizes.len()).collect();
    let mut own = sizes.to_vec();
    let mut left: Vec<usize> = all.clone();
    let mut stuck = Vec::new();
    let mut merged = 0;
    loop {
        let small = left.iter().copied().filter(|&leaf| own[leaf] < size_min);
        let small = small.filter(|leaf| !stuck.contains(leaf));
        let Some(leaf) = small.min_by_key(|&leaf| (own[leaf], leaf)) else {
            break;
        };
        let fits = |other: &usize| *other != leaf && own[*other] + own[leaf] <= size_max;
        let cosine = |other: &usize| dot(cells.middle(leaf), cells.middle(*other));
        let nearest = left.iter().copied().filter(fits);
        let nearest = nearest.max_by(|a, b| cosine(a).total_cmp(&cosine(b)).then(b.cmp(a)));
        let Some(target) = nearest else {
            stuck.push(leaf);
            continue;
        };
        merged += u64::from(own[leaf] > 0);
        own[target] += own[leaf];
        own[leaf] = 0;
        owner[leaf] = target;
        left.retain(|&other| other != leaf);
    }
    left.retain(|&leaf| own[leaf] > 0);
    left.sort_unstable_by_key(|&leaf| (u64::MAX - own[leaf], leaf));
    let mut topics = vec![None; sizes.len()];
    for (topic, &leaf) in left.iter().enumerate() {
        topics[leaf] = Some(topic as u32);
    }
    for &leaf in &all {
        let mut last = leaf;
        while owner[last] != last {
            last = owner[last];
        }
        topics[leaf] = topics[last];
    }
    let sizes: Vec<u64> = left.iter().map(|&leaf| own[leaf]).collect();
    let count = |wrong: &dyn Fn(u64) -> bool| sizes.iter().filter(|&&size| wrong(size)).count();
    Merged {
        topics,
        below: count(&|size| size < size_min) as u64,
        above: count(&|size| size > size_max) as u64,
        leaves: left,
        sizes,
        merged,
    }
}

#[cfg(test)]
mod tests {
    use super::{Cells, merge};

    #[test]
    fn small_ones_go_to_the_nearest() {
        let middles = [1.0, 0.0, 0.8, 0.6, 0.0, 1.0, -1.0, 0.0];
        let cells = Cells::new(&middles, 2, 1);
        // Leaf 1 is nearest to leaf 2, which has room for it, and 3 to 2, which then has none.
        let found = merge(&cells, &[0, 3, 50, 4, 60], 5, 55);
        assert_eq!(found.topics, [None, Some(1), Some(1), Some(2), Some(0)]);
        assert_eq!(found.sizes, [60, 53, 4]);
        assert_eq!(found.leaves, [4, 2, 3]);
        assert_eq!((found.merged, found.below, found.above), (1, 1, 1));
        // A topic that was merged into is merged on.
        let found = merge(&cells, &[0, 1, 2, 50, 60], 5, u64::MAX);
        assert_eq!(found.topics, [None, Some(1), Some(1), Some(1), Some(0)]);
        assert_eq!(found.sizes, [60, 53]);
        // Empty leaves are no topics, whatever the bound.
        let found = merge(&cells, &[0, 0, 7, 0, 0], 0, u64::MAX);
        assert_eq!(found.sizes, [7]);
        let found = merge(&cells, &[0, 2, 0, 0, 0], 9, u64::MAX);
        assert_eq!((found.sizes, found.below), (vec![2], 1));
    }
}
