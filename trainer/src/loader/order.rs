//! Where a step stands in the data: epochs, positions, and the keyed permutation of each epoch.

use juzi_schemas::random::{Draws, fold};

/// Keeps these draws apart from other uses of the seed.
const STREAM: u64 = 0x6f72_6465;

/// Rounds of the network; four make it a strong pseudo-random permutation (Luby and Rackoff 1988),
/// and two more cover that its halves are small.
const ROUNDS: usize = 6;

/// Smallest domain in bits: in a smaller one a network has few permutations to choose from.
const BITS_MIN: u32 = 8;

/// A step as epoch and position in it, both from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Pass over the data.
    pub epoch: u64,
    /// Number of the batch in the epoch.
    pub position: u64,
}

impl Cursor {
    /// Where a step stands when each epoch has `batches` batches, at least one.
    pub fn of(step: u64, batches: u64) -> Cursor {
        Cursor {
            epoch: step / batches,
            position: step % batches,
        }
    }
}

/// A permutation of `0..len` that is computed, not stored: any place of it costs the same.
///
/// A Feistel network permutes a power of two at least as large as `len`; a value outside is
/// permuted again until it is inside (cycle walking), fewer than four times on average, or a few
/// hundred times where `len` is tiny.
#[derive(Clone, Debug)]
pub struct Permutation {
    len: u64,
    /// Bits of half a value.
    half: u32,
    /// None for the identity.
    keys: Option<[u64; ROUNDS]>,
}

impl Permutation {
    /// The permutation of `0..len` in an epoch; `part` tells the permutations of an epoch apart.
    pub fn new(len: u64, seed: u64, epoch: u64, part: u64) -> Permutation {
        let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
        let mut draws = Draws::new(seed, STREAM, epoch, u128::from(part), 0);
        Permutation {
            len,
            half: bits.max(BITS_MIN).div_ceil(2),
            keys: Some([(); ROUNDS].map(|()| draws.next_u64())),
        }
    }

    /// The permutation that moves nothing.
    pub fn identity(len: u64) -> Permutation {
        Permutation {
            len,
            half: 0,
            keys: None,
        }
    }

    /// Number of places.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What stands at a place, both below `len`.
    pub fn at(&self, place: u64) -> u64 {
        debug_assert!(place < self.len);
        let Some(keys) = &self.keys else {
            return place;
        };
        let mut value = place;
        loop {
            value = self.network(value, keys);
            if value < self.len {
                return value;
            }
        }
    }

    fn network(&self, value: u64, keys: &[u64; ROUNDS]) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (value >> self.half, value & mask);
        for key in keys {
            // The high bits of the fold are its best mixed ones.
            let mixed = fold(right ^ key, key | 1) >> (u64::BITS - self.half);
            (left, right) = (right, left ^ mixed);
        }
        left << self.half | right
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{Cursor, Permutation};

    proptest! {
        #[test]
        fn every_place_once(len in 1u64..3000, seed: u64, epoch: u64, part: u64) {
            let permutation = Permutation::new(len, seed, epoch, part);
            let mut seen = vec![false; len as usize];
            for place in 0..len {
                let value = permutation.at(place);
                prop_assert!(value < len);
                prop_assert!(!std::mem::replace(&mut seen[value as usize], true));
            }
        }

        #[test]
        fn large_ones_stay_inside_and_differ(
            len in 1u64 << 20..1 << 62, seed: u64, epoch: u64, start in any::<u32>(),
        ) {
            let permutation = Permutation::new(len, seed, epoch, 0);
            let places = (0..50).map(|at| (u64::from(start) + at) % len);
            let values: HashSet<u64> = places.map(|place| permutation.at(place)).collect();
            prop_assert_eq!(values.len(), 50);
            prop_assert!(values.iter().all(|&value| value < len));
        }

        #[test]
        fn cursors_count_up(step in 0u64..1 << 60, batches in 1u64..1 << 40) {
            let (now, next) = (Cursor::of(step, batches), Cursor::of(step + 1, batches));
            prop_assert!(now.position < batches);
            prop_assert_eq!(now.epoch * batches + now.position, step);
            let same = next.epoch == now.epoch && next.position == now.position + 1;
            prop_assert!(same || next.epoch == now.epoch + 1 && next.position == 0);
        }
    }

    #[test]
    fn golden_places_do_not_move() {
        // The order of every published training hangs on these values.
        let of = |epoch, part| {
            let permutation = Permutation::new(10, 1, epoch, part);
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|place| permutation.at(place))
        };
        assert_eq!([of(0, 0), of(1, 0), of(0, 1)], GOLDEN);
        let large = Permutation::new(1 << 40, 7, 3, 0);
        assert_eq!([large.at(0), large.at(1)], GOLDEN_LARGE);
    }

    const GOLDEN: [[u64; 10]; 3] = [
        [4, 7, 0, 9, 5, 8, 3, 1, 6, 2],
        [3, 6, 2, 9, 4, 0, 8, 5, 7, 1],
        [8, 3, 0, 7, 4, 5, 6, 2, 9, 1],
    ];
    const GOLDEN_LARGE: [u64; 2] = [14_395_018_457, 955_476_477_589];

    #[test]
    fn no_place_is_preferred() {
        // In each cell 2000 are expected, with a standard deviation of about 42.
        for len in [2u64, 3, 7, 10] {
            let mut cells = vec![0i64; (len * len) as usize];
            let epochs = 2000 * len;
            for epoch in 0..epochs {
                let permutation = Permutation::new(len, 5, epoch, 0);
                (0..len).for_each(|place| {
                    cells[(place * len + permutation.at(place)) as usize] += 1;
                });
            }
            let worst = cells.iter().map(|count| count.abs_diff(2000)).max();
            assert!(worst.unwrap() < 5 * 45, "{len}: {cells:?}");
        }
    }

    #[test]
    fn neighbours_are_torn_apart() {
        let permutation = Permutation::new(100_000, 1, 0, 0);
        let near = |place: &u64| permutation.at(*place).abs_diff(permutation.at(place + 1)) < 100;
        // 200 of 100,000 by chance; the standard deviation is 14.
        let count = (0..99_999).filter(near).count();
        assert!((130..270).contains(&count), "{count}");
    }

    #[test]
    fn the_identity_moves_nothing() {
        let identity = Permutation::identity(9);
        assert!((0..9).all(|place| identity.at(place) == place));
        assert_eq!((identity.len(), identity.is_empty()), (9, false));
    }
}
