//! Finding the few characters of a text that matter, many bytes at a time.
//!
//! Cleaning and splitting let almost every character pass. [`Candidates`] compares every byte of a
//! block, and the two bytes after it, with a condition made of plain comparisons joined by `|` and
//! `&`, which the compiler turns into vector instructions without a line of unsafe code; what it
//! finds is then looked at one character at a time.

use std::marker::PhantomData;

/// Bytes that are compared at once.
const BLOCK: usize = 32;

/// Bytes after a block that are looked at with it: the rest of a three-byte character.
const AHEAD: usize = 2;

/// A condition on three consecutive bytes: a type of its own, so that it is compiled into the scan.
pub(crate) trait Condition {
    /// True where `first` could begin what is looked for. Write it without `&&`, `||` and `match`.
    fn holds(first: u8, second: u8, third: u8) -> bool;
}

/// The positions at which a condition on three consecutive bytes holds, in order.
///
/// At the end of the text the condition sees 0x80 for the bytes that are missing, which begins no
/// character of UTF-8: the condition must be false for a first byte of 0x80.
pub(crate) struct Candidates<'a, C> {
    bytes: &'a [u8],
    condition: PhantomData<C>,
    /// Where the next block begins.
    next: usize,
    /// What is left of the current block, the lowest bit being its first byte.
    left: u32,
}

impl<'a, C: Condition> Candidates<'a, C> {
    /// The candidates of `text`.
    #[inline(always)]
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            condition: PhantomData,
            next: 0,
            left: 0,
        }
    }

    /// One bit for each byte of `window` but the last two.
    #[inline(always)]
    fn block(window: &[u8; BLOCK + AHEAD]) -> u32 {
        let mut found = [0u8; BLOCK];
        for index in 0..BLOCK {
            let (first, second, third) = (window[index], window[index + 1], window[index + 2]);
            found[index] = u8::from(C::holds(first, second, third));
        }
        bits(&found)
    }

    #[cold]
    fn last_block(&self) -> u32 {
        let mut padded = [0x80; BLOCK + AHEAD];
        let rest = &self.bytes[self.next..];
        padded[..rest.len()].copy_from_slice(rest);
        Self::block(&padded)
    }
}

impl<C: Condition> Iterator for Candidates<'_, C> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            if self.next >= self.bytes.len() {
                return None;
            }
            self.left = match self.bytes[self.next..].first_chunk() {
                Some(window) => Self::block(window),
                None => self.last_block(),
            };
            self.next += BLOCK;
        }
        let position = self.next - BLOCK + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(position)
    }
}

/// Packs bytes that are 0 or 1 into bits, the first into the lowest.
#[inline(always)]
fn bits(found: &[u8; BLOCK]) -> u32 {
    let mut packed = 0;
    for (index, word) in found.chunks_exact(8).enumerate() {
        let word = u64::from_le_bytes(word.try_into().expect("chunks of eight"));
        // The product's top byte gathers bit 0 of all eight bytes.
        packed |= ((word.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32) << (8 * index);
    }
    packed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Candidates, Condition};

    struct Stop;

    impl Condition for Stop {
        fn holds(first: u8, second: u8, third: u8) -> bool {
            (first == 0xE3) & (second == 0x80) & (third == 0x82)
        }
    }

    struct LetterA;

    impl Condition for LetterA {
        fn holds(first: u8, _: u8, _: u8) -> bool {
            first == b'a'
        }
    }

    #[test]
    fn the_end_of_the_text_is_seen_at_every_length() {
        for length in 0..100 {
            let text = "。".repeat(length);
            let expected: Vec<usize> = (0..length).map(|index| 3 * index).collect();
            assert_eq!(Candidates::<Stop>::new(&text).collect::<Vec<_>>(), expected);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_way(text in "[ab一]{0,120}") {
            let plain: Vec<usize> = text.match_indices('a').map(|(at, _)| at).collect();
            let found: Vec<usize> = Candidates::<LetterA>::new(&text).collect();
            prop_assert_eq!(found, plain);
        }
    }
}
