//! Counter-based randomness: pure functions of a seed and what is being placed, never a shared
//! generator and never a clock.

/// Folds the 128-bit product of two words into one: the mixing step of the wyhash family.
#[inline]
pub fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

const ODD: [u64; 3] = [
    0x9e37_79b9_7f4a_7c15,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
];

/// A keyed order: gives each record its place in the global shuffle.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    low: u64,
    high: u64,
}

impl Order {
    /// The order of a seed.
    pub fn new(seed: u64) -> Order {
        let low = fold(seed ^ ODD[0], ODD[1]);
        Order {
            low,
            high: fold(low ^ ODD[2], ODD[0]) | 1,
        }
    }

    /// Place of a record among all records, uniform over 0..2^64. Equal ids share a place.
    #[inline]
    pub fn place(&self, id: u128) -> u64 {
        let mixed = fold((id as u64) ^ self.low, ((id >> 64) as u64) ^ self.high);
        // A zero factor would fold to zero; the second round spreads it again.
        fold(mixed ^ ODD[1], ODD[2] ^ (id as u64))
    }
}

/// A sequence of draws that belongs to one view of one record: a pure function of its key, the
/// same on every machine and with every number of threads.
///
/// The key is folded word by word; the draws are those of wyrand, which walks a Weyl sequence
/// (the counter) and folds each step.
#[derive(Clone, Debug)]
pub struct Draws {
    counter: u64,
}

impl Draws {
    /// The draws of view `view` of record `record` in epoch `epoch`. `stream` keeps the uses of one
    /// seed apart: each use has a number of its own.
    #[inline]
    pub fn new(seed: u64, stream: u64, epoch: u64, record: u128, view: u64) -> Draws {
        let key = fold(seed ^ ODD[0], stream ^ ODD[1]);
        let key = fold(key ^ epoch, ODD[2]);
        let key = fold(key ^ record as u64, ODD[0] ^ (record >> 64) as u64);
        Draws {
            counter: fold(key ^ view, ODD[1]),
        }
    }

    /// Uniform over all 64-bit words.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(ODD[2]);
        fold(self.counter, self.counter ^ 0xe703_7ed1_a0b4_28db)
    }

    /// Uniform over 0..n by multiply and shift (Lemire 2019, without the rejection step: no value
    /// is more likely than another by more than n / 2^64). Gives 0 for n = 0.
    #[inline]
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// Uniform over the multiples of 2^-53 in 0..1; 1 itself never comes.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// True with probability `p`: never for 0, always for 1.
    #[inline]
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }
}

#[cfg(test)]
mod tests {
    use super::{Draws, Order};

    #[test]
    fn places_depend_on_the_seed_and_are_spread() {
        let (one, two) = (Order::new(1), Order::new(2));
        let mut buckets = [0u32; 64];
        let mut same = 0;
        for n in 0..64_000u128 {
            let id = n.wrapping_mul(0x1234_5678_9abc_def0_1357_9bdf_0246_8ace);
            buckets[(one.place(id) >> 58) as usize] += 1;
            same += u32::from(one.place(id) == two.place(id));
        }
        assert_eq!(same, 0);
        assert!(
            buckets.iter().all(|&count| (800..1200).contains(&count)),
            "{buckets:?}"
        );
    }

    #[test]
    fn golden_places_do_not_move() {
        // The order of every published dataset hangs on these values.
        assert_eq!(Order::new(1).place(0), GOLDEN[0]);
        assert_eq!(Order::new(1).place(u128::MAX), GOLDEN[1]);
    }

    const GOLDEN: [u64; 2] = [9_049_750_204_064_529_253, 3_051_642_796_517_517_505];

    #[test]
    fn golden_draws_do_not_move() {
        // The views of every published training run hang on these values.
        let mut draws = Draws::new(1, 2, 3, 4, 5);
        let found = [(); 3].map(|()| draws.next_u64());
        assert_eq!(found, GOLDEN_DRAWS);
        let mut draws = Draws::new(u64::MAX, 0, 0, u128::MAX, u64::MAX);
        assert_eq!(draws.next_u64(), GOLDEN_DRAWS_OF_ONES);
    }

    const GOLDEN_DRAWS: [u64; 3] = [
        18_168_148_980_846_094_003,
        5_877_504_032_647_526_713,
        8_111_421_807_704_550_690,
    ];
    const GOLDEN_DRAWS_OF_ONES: u64 = 8_980_990_264_468_049_482;

    #[test]
    fn every_part_of_the_key_counts() {
        let first = |seed, stream, epoch, record, view| {
            Draws::new(seed, stream, epoch, record, view).next_u64()
        };
        let mut all = std::collections::HashSet::new();
        for part in 0..6 {
            for value in 1..1000u64 {
                let mut key = [0; 6];
                key[part] = value;
                let record = u128::from(key[3]) | u128::from(key[4]) << 64;
                assert!(all.insert(first(key[0], key[1], key[2], record, key[5])));
            }
        }
    }

    #[test]
    fn draws_are_spread() {
        let mut counts = [0u32; 10];
        let mut sum = 0.0;
        for view in 0..10_000 {
            let mut draws = Draws::new(7, 0, 0, 42, view);
            for _ in 0..10 {
                counts[draws.below(10)] += 1;
                let unit = draws.unit();
                assert!((0.0..1.0).contains(&unit));
                sum += unit;
            }
        }
        // Five standard deviations of a count are 474, of the mean 0.0046.
        assert!(
            counts.iter().all(|&count| count.abs_diff(10_000) < 474),
            "{counts:?}"
        );
        assert!((sum / 100_000.0 - 0.5f64).abs() < 0.0046, "{sum}");
    }

    #[test]
    fn neighbouring_views_are_independent() {
        // Of the pair (first draw of view v, first draw of view v + 1) each cell is as likely.
        let mut cells = [[0u32; 8]; 8];
        let first = |view| Draws::new(1, 1, 0, 9, view).below(8);
        for view in 0..64_000 {
            cells[first(view)][first(view + 1)] += 1;
        }
        let square = |&count: &u32| (f64::from(count) - 1000.0).powi(2) / 1000.0;
        let chi_square: f64 = cells.iter().flatten().map(square).sum();
        // 63 degrees of freedom: mean 63, standard deviation 11.2.
        assert!(chi_square < 63.0 + 5.0 * 11.2, "{chi_square}");
    }

    #[test]
    fn the_ends_of_the_ranges() {
        let mut draws = Draws::new(0, 0, 0, 0, 0);
        for _ in 0..1000 {
            assert_eq!(draws.below(0), 0);
            assert_eq!(draws.below(1), 0);
            assert!(!draws.chance(0.0));
            assert!(draws.chance(1.0));
        }
    }
}
