//! The edit distance of two texts in characters, by Myers' bit-parallel algorithm.

/// Computes edit distances. Its memory is used again for the next pair.
#[derive(Debug, Default)]
pub struct Distance {
    /// Open addressing: a character of the pattern plus one, and the number of its row of masks.
    slots: Vec<(u32, u32)>,
    /// For each different character, `blocks` words whose bits say where the pattern has it.
    masks: Vec<u64>,
    /// Vertical differences of each block that are +1 and -1.
    vertical: Vec<(u64, u64)>,
}

impl Distance {
    /// Insertions, deletions and substitutions that turn one text into the other (Myers 1999, in
    /// blocks of 64 as Hyyrö 2003 chains them). What both begin and end with costs nothing.
    pub fn between(&mut self, one: &[char], other: &[char]) -> usize {
        let (pattern, text) = strip(one, other);
        let (pattern, text) = match pattern.len() <= text.len() {
            true => (pattern, text),
            false => (text, pattern),
        };
        if pattern.is_empty() {
            return text.len();
        }
        let blocks = pattern.len().div_ceil(64);
        self.index(pattern, blocks);
        self.vertical.clear();
        self.vertical.resize(blocks, (u64::MAX, 0));
        let last = 1 << ((pattern.len() - 1) % 64);
        let mut distance = pattern.len();
        for &character in text {
            let row = self.row(character) * blocks;
            // The first row of the matrix grows by one from column to column.
            let (mut plus_in, mut minus_in) = (1, 0);
            let state = self.vertical.iter_mut().zip(&self.masks[row..]);
            let (mut plus, mut minus) = (0, 0);
            for ((vertical_plus, vertical_minus), &mask) in state {
                let equal = mask | minus_in;
                let within = (((equal & *vertical_plus).wrapping_add(*vertical_plus))
                    ^ *vertical_plus)
                    | equal;
                plus = *vertical_minus | !(within | *vertical_plus);
                minus = *vertical_plus & within;
                let (shifted_plus, shifted_minus) = (plus << 1 | plus_in, minus << 1 | minus_in);
                (plus_in, minus_in) = (plus >> 63, minus >> 63);
                let across = mask | *vertical_minus;
                *vertical_plus = shifted_minus | !(across | shifted_plus);
                *vertical_minus = shifted_plus & across;
            }
            distance += usize::from(plus & last != 0);
            distance -= usize::from(minus & last != 0);
        }
        distance
    }

    /// Notes where each character stands in the pattern; row 0 is for characters not in it.
    fn index(&mut self, pattern: &[char], blocks: usize) {
        self.slots.clear();
        let size = (pattern.len() * 2).next_power_of_two();
        self.slots.resize(size, (0, 0));
        self.masks.clear();
        self.masks.resize(blocks, 0);
        for (at, &character) in pattern.iter().enumerate() {
            let slot = self.slot(character);
            if self.slots[slot].0 == 0 {
                let row = (self.masks.len() / blocks) as u32;
                self.slots[slot] = (character as u32 + 1, row);
                self.masks.resize(self.masks.len() + blocks, 0);
            }
            let row = self.slots[slot].1 as usize;
            self.masks[row * blocks + at / 64] |= 1 << (at % 64);
        }
    }

    fn row(&self, character: char) -> usize {
        self.slots[self.slot(character)].1 as usize
    }

    fn slot(&self, character: char) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (character as usize).wrapping_mul(0x9e37_79b1) >> 7 & mask;
        while self.slots[at].0 != 0 && self.slots[at].0 != character as u32 + 1 {
            at = (at + 1) & mask;
        }
        at
    }
}

/// Cuts off what both begin and end with.
fn strip<'a>(one: &'a [char], other: &'a [char]) -> (&'a [char], &'a [char]) {
    let same = |pairs: &(&char, &char)| pairs.0 == pairs.1;
    let front = one.iter().zip(other).take_while(same).count();
    let (one, other) = (&one[front..], &other[front..]);
    let pairs = one.iter().rev().zip(other.iter().rev());
    let back = pairs.take_while(same).count();
    (&one[..one.len() - back], &other[..other.len() - back])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::Distance;

    /// The textbook's matrix, row by row.
    fn by_matrix(one: &[char], other: &[char]) -> usize {
        let mut row: Vec<usize> = (0..=other.len()).collect();
        for (i, a) in one.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, b) in other.iter().enumerate() {
                let substituted = diagonal + usize::from(a != b);
                diagonal = row[j + 1];
                row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row[other.len()]
    }

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[test]
    fn known_pairs() {
        let cases = [
            ("", "", 0),
            ("", "句子", 2),
            ("句子", "句子", 0),
            ("kitten", "sitting", 3),
            ("今天天气很好", "今天天气好", 1),
            ("今天天气", "天气今天", 4),
        ];
        for (one, other, distance) in cases {
            let mut made = Distance::default();
            assert_eq!(made.between(&chars(one), &chars(other)), distance, "{one}");
            assert_eq!(made.between(&chars(other), &chars(one)), distance, "{one}");
        }
    }

    proptest! {
        #[test]
        fn short_texts_of_few_letters(one in "[甲乙丙]{0,20}", other in "[甲乙丙]{0,20}") {
            let (one, other) = (chars(&one), chars(&other));
            prop_assert_eq!(Distance::default().between(&one, &other), by_matrix(&one, &other));
        }

        #[test]
        fn texts_longer_than_a_block(one in "[甲乙丙丁a😀]{100,220}", other in "[甲乙丙丁a😀]{50,220}") {
            let (one, other) = (chars(&one), chars(&other));
            prop_assert_eq!(Distance::default().between(&one, &other), by_matrix(&one, &other));
        }
    }
}
