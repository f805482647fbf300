//! Dropout by counter: whether an element is kept is a pure function of key, sequence and place.
//!
//! So two views of a text differ, the second pass of GradCache repeats the first, a backward pass
//! needs no stored mask, and neither threads nor the cut of a batch into chunks change anything.

use juzi_schemas::random::fold;

/// Dropout at one place of a model, in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Share of elements that become 0.
    pub p: f32,
    /// Folds seed, step and place.
    key: u64,
}

impl Dropout {
    /// Dropout with probability `p` in a step with this key at a numbered place of the model.
    pub fn new(p: f32, step_key: u64, site: u64) -> Dropout {
        Dropout {
            p,
            key: fold(
                step_key ^ 0x9e37_79b9_7f4a_7c15,
                site ^ 0xd6e8_feb8_6659_fd93,
            ),
        }
    }

    /// What kept elements are multiplied with.
    pub fn scale(&self) -> f32 {
        1.0 / (1.0 - self.p)
    }

    /// The key of one sequence, for [`keeps`]; sequences of a step have different numbers.
    pub fn sequence_key(&self, sequence: u64) -> u64 {
        fold(self.key ^ sequence, 0xa076_1d64_78bd_642f)
    }

    /// An element is kept if its bits are at least this.
    pub fn threshold(&self) -> u32 {
        (f64::from(self.p) * 4_294_967_296.0) as u32
    }

    /// Writes 0 or `scale` for each of the elements of a sequence that begin at number `start`.
    pub fn factors(&self, sequence: u64, start: u32, factors: &mut [f32]) {
        let key = self.sequence_key(sequence);
        let (threshold, scale) = (self.threshold(), self.scale());
        for (number, factor) in factors.iter_mut().enumerate() {
            let kept = bits(key, start.wrapping_add(number as u32)) >= threshold;
            *factor = if kept { scale } else { 0.0 };
        }
    }
}

/// Random bits of an element of a sequence: two multiplications, so that sixteen fit one register.
#[inline(always)]
pub fn bits(key: u64, element: u32) -> u32 {
    let mut x = element.wrapping_mul(0x9e37_79b1) ^ key as u32;
    x ^= x >> 16;
    x = x.wrapping_mul(0x21f0_aaad) ^ (key >> 32) as u32;
    x ^= x >> 15;
    x = x.wrapping_mul(0x735a_2d97);
    x ^ (x >> 15)
}

#[cfg(test)]
mod tests {
    use super::Dropout;

    #[test]
    fn the_share_is_right_and_sequences_differ() {
        let dropout = Dropout::new(0.1, 7, 3);
        let mut factors = vec![0.0; 100_000];
        dropout.factors(5, 0, &mut factors);
        let dropped = factors.iter().filter(|&&factor| factor == 0.0).count();
        assert!((9_700..10_300).contains(&dropped), "{dropped}");
        let mut others = factors.clone();
        dropout.factors(6, 0, &mut others);
        let both = factors
            .iter()
            .zip(&others)
            .filter(|(a, b)| **a == 0.0 && **b == 0.0);
        let both = both.count();
        assert!((850..1_150).contains(&both), "{both}");
    }

    #[test]
    fn a_part_is_what_the_whole_has_there() {
        let dropout = Dropout::new(0.5, 7, 3);
        let (mut whole, mut part) = (vec![0.0; 100], vec![0.0; 40]);
        dropout.factors(1, 0, &mut whole);
        dropout.factors(1, 60, &mut part);
        assert_eq!(whole[60..], part);
    }
}
