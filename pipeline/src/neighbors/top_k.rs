//! The best hits of many queries, collected as scores come along.

use std::cmp::Ordering;

/// A row and its cosine to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The row.
    pub id: u32,
    /// Cosine, -1 to 1.
    pub cosine: f32,
}

impl Hit {
    /// The id of a hit that is missing.
    pub const NONE: u32 = u32::MAX;

    /// Stands where there are fewer rows than hits were asked for.
    pub const NOTHING: Hit = Hit {
        id: Hit::NONE,
        cosine: f32::NEG_INFINITY,
    };

    /// Best first; equal cosines by id.
    #[inline]
    pub fn order(&self, other: &Hit) -> Ordering {
        let cosines = other.cosine.total_cmp(&self.cosine);
        cosines.then(self.id.cmp(&other.id))
    }
}

/// Scores that are compared at once before one of them is looked at.
const STRIDE: usize = 32;

/// The best hits of each of a number of queries.
///
/// Each query has room for twice the wanted hits; when that is full, the worse half goes, and its
/// best score becomes the floor under which nothing more is taken.
pub struct TopK {
    wanted: usize,
    room: usize,
    hits: Vec<Hit>,
    counts: Vec<u32>,
    floors: Vec<f32>,
}

impl TopK {
    /// Room for the `wanted` best hits of each query.
    pub fn new(queries: usize, wanted: usize) -> TopK {
        let room = (wanted * 2).max(wanted + 8);
        TopK {
            wanted,
            room,
            hits: vec![Hit::NOTHING; queries * room],
            counts: vec![0; queries],
            floors: vec![f32::NEG_INFINITY; queries],
        }
    }

    /// Number of queries.
    pub fn queries(&self) -> usize {
        self.counts.len()
    }

    /// Hits that each query can have.
    pub fn wanted(&self) -> usize {
        self.wanted
    }

    /// The score of a query's worst wanted hit: nothing below can be one. No bound while there are
    /// fewer hits than wanted.
    pub fn floor(&mut self, query: usize) -> f32 {
        if self.counts[query] as usize >= self.wanted {
            self.shrink(query);
        }
        self.floors[query]
    }

    /// Offers one hit.
    #[inline]
    pub fn offer(&mut self, query: usize, hit: Hit) {
        // An equal score may still win by its id.
        if hit.cosine < self.floors[query] {
            return;
        }
        let count = self.counts[query] as usize;
        self.hits[query * self.room + count] = hit;
        self.counts[query] += 1;
        if count + 1 == self.room {
            self.shrink(query);
        }
    }

    /// Offers a row of scores of the rows `ids`.
    #[inline]
    pub fn offer_row(&mut self, query: usize, scores: &[f32], ids: &[u32]) {
        for (scores, ids) in scores.chunks(STRIDE).zip(ids.chunks(STRIDE)) {
            let floor = self.floors[query];
            // Almost always none, which vector instructions find out without a branch for each.
            if scores
                .iter()
                .fold(false, |any, &score| any | (score >= floor))
            {
                for (&cosine, &id) in scores.iter().zip(ids) {
                    self.offer(query, Hit { id, cosine });
                }
            }
        }
    }

    /// The best hits of a query, in no order.
    pub fn candidates(&mut self, query: usize) -> &[Hit] {
        if self.counts[query] as usize > self.wanted {
            self.shrink(query);
        }
        let start = query * self.room;
        &self.hits[start..start + self.counts[query] as usize]
    }

    #[cold]
    fn shrink(&mut self, query: usize) {
        let start = query * self.room;
        let hits = &mut self.hits[start..start + self.counts[query] as usize];
        let (_, last, _) = hits.select_nth_unstable_by(self.wanted - 1, Hit::order);
        self.floors[query] = last.cosine;
        self.counts[query] = self.wanted as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::{Hit, TopK};
    use proptest::prelude::{prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn keeps_what_sorting_keeps(scores in proptest::collection::vec(0u8..40, 0..300), wanted in 1usize..12) {
            let scores: Vec<f32> = scores.iter().map(|&score| f32::from(score)).collect();
            let ids: Vec<u32> = (0..scores.len() as u32).map(|id| id.wrapping_mul(7919) % 100_003).collect();
            let mut best = TopK::new(2, wanted);
            best.offer_row(1, &scores, &ids);
            let mut found = best.candidates(1).to_vec();
            found.sort_unstable_by(Hit::order);
            let mut all: Vec<Hit> = scores.iter().zip(&ids).map(|(&cosine, &id)| Hit { id, cosine }).collect();
            all.sort_unstable_by(Hit::order);
            all.truncate(wanted);
            prop_assert_eq!(found, all);
            prop_assert_eq!(best.candidates(0).len(), 0);
        }
    }
}
