//! What is left of a text when two texts are compared: letters and digits, in one form, hashes of
//! every run of them, and an index of texts by these hashes.
//!
//! The leak gate and MinHash look at a text through [`fold`]: only letters and digits stay (Han
//! characters are letters), full-width ASCII becomes half-width, capitals become small. Everything
//! else, that is punctuation, white space, symbols and marks that belong to no alphabet, is dropped,
//! so that a copy with other punctuation, spacing or case stays a copy.
//!
//! What a letter, a digit or a small letter is follows the Unicode tables of the compiler.

/// What each ASCII character becomes; 0 where it is dropped.
const ASCII: [u8; 128] = ascii();

/// How far full-width ASCII lies above half-width ASCII.
const FULL_WIDTH: u32 = 0xFEE0;

/// The factor of the polynomial that hashes characters: odd, with its bits spread.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Added to each character, so that a character of a small number weighs as much as any other.
const OFFSET: u64 = 0xd6e8_feb8_6659_fd93;

/// Replaces the content of `folded` by the letters and digits of `text`, as code points.
///
/// ```
/// # use juzi_pipeline::text::fold::fold;
/// let mut folded = Vec::new();
/// fold("ＧＰＵ 价格：1,299 元！", &mut folded);
/// let expected: Vec<u32> = "gpu价格1299元".chars().map(u32::from).collect();
/// assert_eq!(folded, expected);
/// ```
pub fn fold(text: &str, folded: &mut Vec<u32>) {
    folded.clear();
    for character in text.chars() {
        match u32::from(character) {
            // The CJK Unified Ideographs: letters, all of them.
            code @ 0x4E00..=0x9FFF => folded.push(code),
            code @ 0..0x80 => push_ascii(code, folded),
            code @ 0xFF01..=0xFF5E => push_ascii(code - FULL_WIDTH, folded),
            // General punctuation and the usual marks of CJK: neither letters nor digits.
            0x2000..=0x206F | 0x3000..=0x3004 | 0x3008..=0x3020 => {}
            _ => push_other(character, folded),
        }
    }
}

#[inline(always)]
fn push_ascii(code: u32, folded: &mut Vec<u32>) {
    let small = ASCII[code as usize];
    if small != 0 {
        folded.push(u32::from(small));
    }
}

/// Other alphabets. Where the small form is more than one character, the first of them stands for it.
#[inline(never)]
fn push_other(character: char, folded: &mut Vec<u32>) {
    if character.is_alphanumeric() {
        folded.extend(character.to_lowercase().next().map(u32::from));
    }
}

const fn ascii() -> [u8; 128] {
    let mut table = [0; 128];
    let mut code = 0;
    while code < 128u8 {
        if code.is_ascii_alphanumeric() {
            table[code as usize] = code.to_ascii_lowercase();
        }
        code += 1;
    }
    table
}

/// The hash of a run of folded characters: equal runs, and only by a chance of 2^-64 others, have
/// equal hashes.
pub fn hash(folded: &[u32]) -> u64 {
    finish(folded.iter().fold(0, |sum, &code| {
        sum.wrapping_mul(FACTOR).wrapping_add(weight(code))
    }))
}

/// Calls `emit` with the [`hash`] of each run of `length` characters of `folded`, in order.
///
/// The hash is a polynomial modulo 2^64 that rolls over the text, so that the cost does not depend on
/// `length`, then a mixing step. Nothing is emitted for a text shorter than `length`, or if that is 0.
#[inline(always)]
pub fn hash_runs(folded: &[u32], length: usize, mut emit: impl FnMut(u64)) {
    if length == 0 || folded.len() < length {
        return;
    }
    // The character that leaves weighed FACTOR^length after the one that enters was added.
    let leaving_factor = (0..length).fold(1u64, |power, _| power.wrapping_mul(FACTOR));
    let (first, entering) = folded.split_at(length);
    let mut sum = first.iter().fold(0u64, |sum, &code| {
        sum.wrapping_mul(FACTOR).wrapping_add(weight(code))
    });
    emit(finish(sum));
    for (&enters, &leaves) in entering.iter().zip(folded) {
        let change = weight(enters).wrapping_sub(weight(leaves).wrapping_mul(leaving_factor));
        sum = sum.wrapping_mul(FACTOR).wrapping_add(change);
        emit(finish(sum));
    }
}

#[inline(always)]
fn weight(code: u32) -> u64 {
    u64::from(code).wrapping_add(OFFSET)
}

/// Spreads the sum over all 64 bits; a bijection, so that it adds no collision.
#[inline(always)]
fn finish(sum: u64) -> u64 {
    let mixed = (sum ^ (sum >> 32)).wrapping_mul(0xa076_1d64_78bd_642f);
    mixed ^ (mixed >> 29)
}

/// Texts by hash: a sorted list of pairs, with a filter in front of it.
#[derive(Debug)]
pub(crate) struct Index {
    /// A Bloom filter with [`FILTER_PROBES`] bits of one word for each hash: one read for each question.
    filter: Vec<u64>,
    /// Where the hashes with the same top bits begin, then the end.
    starts: Vec<u32>,
    /// Shifts a hash right to its top bits.
    shift: u32,
    /// Sorted, with a repetition for each text.
    hashes: Vec<u64>,
    /// The text of each hash; those of one hash are sorted.
    texts: Vec<u32>,
}

/// Where the texts of a hash lie in an [`Index`]; ordered by their number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Found {
    length: u32,
    start: u32,
}

/// Bits of the filter for each hash: about 1 in 100 of the hashes that are not there pass.
const FILTER_BITS: usize = 12;

/// Bits that a hash sets in its word.
const FILTER_PROBES: u32 = 4;

impl Index {
    pub(crate) fn new(mut pairs: Vec<(u64, u32)>) -> Self {
        pairs.sort_unstable();
        let bits = (pairs.len() / 4).max(2).ilog2();
        let shift = u64::BITS - bits;
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        let mut filter = vec![0; (pairs.len() * FILTER_BITS).div_ceil(64).max(1)];
        for (place, &(hash, _)) in pairs.iter().enumerate() {
            let bucket = (hash >> shift) as usize;
            starts.resize(starts.len().max(bucket + 1), small(place));
            let (word, mask) = filter_place(hash, filter.len());
            filter[word] |= mask;
        }
        starts.resize((1 << bits) + 1, small(pairs.len()));
        Self {
            filter,
            starts,
            shift,
            hashes: pairs.iter().map(|&(hash, _)| hash).collect(),
            texts: pairs.iter().map(|&(_, text)| text).collect(),
        }
    }

    /// False only for a hash that is not there.
    #[inline(always)]
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        let (word, mask) = filter_place(hash, self.filter.len());
        self.filter[word] & mask == mask
    }

    /// Where the texts of a hash lie, for [`Index::texts`].
    #[inline(never)]
    pub(crate) fn find(&self, hash: u64) -> Option<Found> {
        let bucket = (hash >> self.shift) as usize;
        let (start, end) = (
            self.starts[bucket] as usize,
            self.starts[bucket + 1] as usize,
        );
        let hashes = &self.hashes[start..end];
        let before = hashes.partition_point(|&other| other < hash);
        let length = hashes[before..].partition_point(|&other| other == hash);
        (length > 0).then(|| Found {
            length: small(length),
            start: small(start + before),
        })
    }

    /// The texts of a hash, sorted.
    pub(crate) fn texts(&self, found: Found) -> &[u32] {
        &self.texts[found.start as usize..][..found.length as usize]
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.filter)
            + size_of_val(&*self.starts)
            + size_of_val(&*self.hashes)
            + size_of_val(&*self.texts)
    }
}

/// The word of a filter of `words` words that a hash belongs to, and its bits there.
#[inline(always)]
fn filter_place(hash: u64, words: usize) -> (usize, u64) {
    let word = ((hash >> 32) * words as u64) >> 32;
    let mask = (0..FILTER_PROBES).fold(0, |mask, probe| mask | 1 << ((hash >> (6 * probe)) & 63));
    (word as usize, mask)
}

/// A count or a place in an index, in the 32 bits that are kept of it.
pub(crate) fn small(count: usize) -> u32 {
    u32::try_from(count).expect("2^32 n-grams would take 60 GB")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Index, fold, hash, hash_runs};

    fn folded(text: &str) -> String {
        let mut codes = Vec::new();
        fold(text, &mut codes);
        codes
            .into_iter()
            .map(|code| char::from_u32(code).expect("a code point"))
            .collect()
    }

    /// The rule, one character at a time and without fast paths.
    fn plain(character: char) -> Option<char> {
        let half = match character {
            '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(character) - 0xFEE0),
            _ => Some(character),
        };
        let half = half.expect("a code point");
        half.is_alphanumeric()
            .then(|| half.to_lowercase().next().expect("at least one"))
    }

    #[test]
    fn keeps_letters_and_digits_in_one_form() {
        assert_eq!(folded(" “Ａｂｃ－１２３”，你好！\n"), "abc123你好");
        assert_eq!(folded("……——　。？"), "");
        assert_eq!(folded("Café ÀÉ İstanbul ПРИВЕТ"), "caféàéistanbulпривет");
        assert_eq!(folded("人々は〇㐀𠀀①カﾅ👍"), "人々は〇㐀𠀀①カﾅ");
    }

    #[test]
    fn the_fast_paths_agree_with_the_rule_on_every_character() {
        for character in '\0'..=char::MAX {
            let expected: String = plain(character).into_iter().collect();
            assert_eq!(
                folded(character.encode_utf8(&mut [0; 4])),
                expected,
                "{character:?}"
            );
        }
    }

    #[test]
    fn short_runs_do_not_collide() {
        // All pairs of 1,500 characters: 2.25 million runs.
        let mut seen = HashMap::new();
        for first in 0x4E00..0x4E00 + 1500 {
            for second in 0x4E00..0x4E00 + 1500 {
                assert_eq!(seen.insert(hash(&[first, second]), (first, second)), None);
            }
        }
    }

    #[test]
    fn golden_hashes_do_not_move() {
        let codes: Vec<u32> = "近似重复".chars().map(u32::from).collect();
        assert_eq!(hash(&codes), GOLDEN);
        assert_ne!(hash(&[]), hash(&[0]));
    }

    #[test]
    fn an_index_finds_what_it_holds_and_its_filter_stops_the_rest() {
        let pairs = |number: u32| (hash(&[number / 3]), number);
        let index = Index::new((0..60_000).rev().map(pairs).collect());
        for number in 0..20_000 {
            let hash = hash(&[number]);
            let texts = index.find(hash).map(|found| index.texts(found));
            let expected = [3 * number, 3 * number + 1, 3 * number + 2];
            assert!(index.may_hold(hash));
            assert_eq!(texts, Some(&expected[..]));
        }
        let index = Index::new((0..50_000).map(|number| (hash(&[number]), 0)).collect());
        let absent = (50_000..150_000).map(|number| hash(&[number]));
        assert!(absent.clone().all(|hash| index.find(hash).is_none()));
        let passed = absent.filter(|&hash| index.may_hold(hash)).count();
        assert!((200..2_000).contains(&passed), "{passed} of 100,000");
        assert!(!Index::new(Vec::new()).may_hold(0));
        assert!(Index::new(Vec::new()).find(u64::MAX).is_none());
    }

    const GOLDEN: u64 = 10_642_425_716_356_578_570;

    proptest! {
        #[test]
        fn rolling_equals_hashing_each_run(
            codes in proptest::collection::vec(0u32..40, 0..60),
            length in 0usize..12,
        ) {
            let mut rolled = Vec::new();
            hash_runs(&codes, length, |value| rolled.push(value));
            let plain: Vec<u64> = match length {
                0 => Vec::new(),
                _ => codes.windows(length).map(hash).collect(),
            };
            prop_assert_eq!(rolled, plain);
        }

        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,40}") {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once);
        }
    }
}
