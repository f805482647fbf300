//! The words that have synonyms, laid out so that a look-up touches one line of the cache.
//!
//! [`Synonyms::find`] follows four arrays to a string; a large table pays a cache miss for each.
//! Nearly all Chinese words fit into 12 bytes, so here the text itself stands in the hash table.

use juzi_schemas::random::fold;
use juzi_schemas::synonym::{Synonyms, Word};

use super::stop_words::StopWords;

/// Bytes of the longest text that stands in a table: four Chinese characters.
const SHORT: usize = 12;

/// What is known of a word of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Its entry among the synonyms.
    pub word: Option<Word>,
    /// Whether it has synonyms and replacement leaves it alone.
    pub stop: bool,
}

/// Words that have synonyms, and which of them are stop words.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    words: ShortWords,
    stop: ShortWords,
    long_stop: StopWords,
}

/// Open addressing over short texts; equal bytes are equal texts.
#[derive(Debug, Default)]
struct ShortWords {
    slots: Vec<Slot>,
    shift: u32,
}

/// A text padded with zeros, and its entry; free where the text is empty.
#[derive(Clone, Copy, Debug)]
struct Slot {
    low: u64,
    high: u32,
    word: Word,
}

impl Lexicon {
    /// Lays out all words of a table.
    pub fn new(synonyms: &Synonyms, stop: &StopWords) -> Lexicon {
        let entries = |short: &str| Some((key(short, 0, short.len())?, synonyms.find(short)?));
        let words = || synonyms.iter().map(|(word, _)| word);
        let all: Vec<_> = words().filter_map(entries).collect();
        let stopped = words().filter(|word| stop.contains(word));
        let short_stop: Vec<_> = stopped.filter_map(entries).collect();
        Lexicon {
            words: ShortWords::new(&all),
            stop: ShortWords::new(&short_stop),
            long_stop: stop.clone(),
        }
    }

    /// What is known of the word `text[start..end]`.
    #[inline]
    pub fn known(&self, text: &str, start: usize, end: usize, synonyms: &Synonyms) -> Known {
        match key(text, start, end) {
            Some(key) => {
                let word = self.words.get(key);
                Known {
                    word,
                    stop: word.is_some() && self.stop.get(key).is_some(),
                }
            }
            None => {
                let long = &text[start..end];
                let word = synonyms.find(long);
                Known {
                    word,
                    stop: word.is_some() && self.long_stop.contains(long),
                }
            }
        }
    }
}

impl ShortWords {
    fn new(entries: &[(u128, Word)]) -> ShortWords {
        let Some(&(_, any)) = entries.first() else {
            return ShortWords::default();
        };
        let size = (entries.len() * 2).next_power_of_two();
        let free = Slot {
            low: 0,
            high: 0,
            word: any,
        };
        let mut table = ShortWords {
            slots: vec![free; size],
            shift: 64 - size.trailing_zeros(),
        };
        for &(key, word) in entries {
            let at = table.place(key);
            table.slots[at] = Slot {
                low: key as u64,
                high: (key >> 64) as u32,
                word,
            };
        }
        table
    }

    #[inline]
    fn get(&self, key: u128) -> Option<Word> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.slots[self.place(key)];
        (slot.low != 0).then_some(slot.word)
    }

    /// The slot of a key, or the free one where it would stand.
    #[inline]
    fn place(&self, key: u128) -> usize {
        let (low, high) = (key as u64, (key >> 64) as u32);
        let mixed = fold(
            low ^ 0x9e37_79b9_7f4a_7c15,
            u64::from(high) ^ 0xd6e8_feb8_6659_fd93,
        );
        let mut at = (mixed >> self.shift) as usize;
        loop {
            let slot = &self.slots[at];
            if (slot.low == low && slot.high == high) || slot.low == 0 {
                return at;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

/// The bytes of a short text as one number; none for a text that is long, empty, or has a zero
/// byte first or last, which padding would hide.
#[inline]
fn key(text: &str, start: usize, end: usize) -> Option<u128> {
    let (bytes, length) = (text.as_bytes(), end - start);
    if length == 0 || length > SHORT || bytes[start] == 0 || bytes[end - 1] == 0 {
        return None;
    }
    match bytes.get(start..start + 16) {
        Some(whole) => {
            let whole = u128::from_le_bytes(whole.try_into().expect("16 bytes"));
            Some(whole & (u128::MAX >> (128 - 8 * length)))
        }
        None => {
            let mut whole = [0; 16];
            whole[..length].copy_from_slice(&bytes[start..end]);
            Some(u128::from_le_bytes(whole))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lexicon, StopWords, key};
    use crate::augment::fixtures::synonyms;

    #[test]
    fn words_of_all_lengths_are_found() {
        let words = [
            "a",
            "好",
            "今天",
            "不可思议",
            "七上八下的",
            "abcdefghijkl",
            "b\0",
            "\0\0c",
        ];
        let rows: Vec<(&str, &[&str])> = words.iter().map(|word| (*word, &["x"][..])).collect();
        let table = synonyms(&rows);
        let stop = StopWords::parse("好\n七上八下的\n的");
        let lexicon = Lexicon::new(&table, &stop);
        let others = [
            "",
            "b",
            "今",
            "\0",
            "a\0",
            "可思议不",
            "的",
            "abcdefghijklm",
        ];
        for word in words.iter().chain(&others) {
            for (before, after) in [("", ""), ("今天", "，今天天气很好"), ("x", "\0")] {
                let text = format!("{before}{word}{after}");
                let (start, end) = (before.len(), before.len() + word.len());
                let known = lexicon.known(&text, start, end, &table);
                assert_eq!(known.word, table.find(word), "{word:?}");
                assert_eq!(known.word.is_some(), words.contains(word), "{word:?}");
                assert_eq!(
                    known.stop,
                    known.word.is_some() && stop.contains(word),
                    "{word:?}"
                );
            }
        }
    }

    #[test]
    fn a_key_holds_the_word_alone() {
        let text = "今天天气很好，我们出去走走";
        assert_eq!(key(text, 0, 6), key("今天", 0, 6));
        assert_ne!(key(text, 0, 6), key("今", 0, 3));
        assert_eq!(key(text, 0, 15), None);
    }
}
