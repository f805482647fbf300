//! Coarse classes of words from jieba's part-of-speech tags, as sets: a word may be of several.

use crate::text::words::Segmenter;

/// Gives the classes of words.
pub(crate) struct Parts {
    segmenter: Segmenter,
}

impl Parts {
    /// Reads jieba's dictionary and `user_words`, as [`Segmenter::new`] does.
    pub(crate) fn new(user_words: &str) -> Result<Parts, String> {
        Ok(Parts {
            segmenter: Segmenter::new(user_words)?,
        })
    }

    /// The classes of a word, none when no dictionary has it whole.
    pub(crate) fn classes(&self, word: &str) -> Classes {
        self.segmenter
            .tag(word)
            .map_or(Classes::default(), Classes::of)
    }
}

/// A set of classes; the empty set is a word of which nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(u16);

const NOUN: u16 = 1;
const VERB: u16 = 1 << 1;
const ADJECTIVE: u16 = 1 << 2;
const ADVERB: u16 = 1 << 3;
const PERSON: u16 = 1 << 4;
const PLACE: u16 = 1 << 5;
const ORGANISATION: u16 = 1 << 6;
const NAME: u16 = 1 << 7;
const TIME: u16 = 1 << 8;
const POSITION: u16 = 1 << 9;
const COUNT: u16 = 1 << 10;
const PRONOUN: u16 = 1 << 11;
const FUNCTION: u16 = 1 << 12;

impl Classes {
    /// The classes of a tag. Tags for characters and foreign words (`g`, `x`, `zg`, `eng`) say nothing.
    ///
    /// The sets follow what the tags of words that share no character say of them, measured on neighbours in word
    /// vectors that Cilin can judge: noun with verb, adverb with verb, place, time or position with anything else are
    /// synonyms at most two thirds as often as two words of any tags; adjective with verb are so more often.
    pub(crate) fn of(tag: &str) -> Classes {
        Classes(match tag {
            "n" | "ng" | "nl" => NOUN,
            // jieba calls any word a person that begins like one (乌云, 万全), so this only tells it from other names.
            "nr" | "nrt" | "nrfg" => PERSON | NOUN | VERB | ADJECTIVE | ADVERB,
            // jieba calls many an adjective or verb a place: 美丽.
            "ns" => PLACE | ADJECTIVE | VERB,
            "nt" => ORGANISATION,
            // Other names: of goods and of kinds, next to common nouns.
            "nz" => NAME | NOUN,
            // Abbreviations of anything with a name.
            "j" => NOUN | PLACE | ORGANISATION | NAME,
            "v" | "vg" | "vi" | "vq" => VERB,
            "vn" => VERB | NOUN,
            "vd" => VERB | ADVERB,
            // Chinese adjectives are predicates and modify verbs: 高兴 喜欢, 努力 尽力.
            "a" | "ag" => ADJECTIVE | VERB | ADVERB,
            "an" => ADJECTIVE | VERB | NOUN,
            "ad" => ADJECTIVE | VERB | ADVERB,
            // Words that only modify nouns (大型), and some adjectives (高兴).
            "b" => ADJECTIVE | NOUN | VERB,
            // Descriptions (雪白).
            "z" => ADJECTIVE | ADVERB,
            "d" | "dg" | "df" => ADVERB,
            // Idioms and set phrases stand where any content word does.
            "i" | "l" => NOUN | VERB | ADJECTIVE | ADVERB,
            "t" | "tg" => TIME,
            "s" => POSITION | NOUN,
            "f" => POSITION,
            "m" | "mq" | "q" | "mg" => COUNT,
            "r" | "rr" | "rz" | "rg" => PRONOUN,
            "p" | "c" | "u" | "y" | "e" | "o" | "k" | "h" => FUNCTION,
            _ => 0,
        })
    }

    /// False when both are known and share no class.
    pub(crate) fn agree(self, other: Classes) -> bool {
        self.0 & other.0 != 0 || self.0 == 0 || other.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Classes, Parts};

    #[test]
    fn classes() {
        let agree = [
            "n n", "n vn", "v vn", "a an", "n an", "a d", "a v", "i n", "i v", "l a", "nr nr",
            "nz n", "b n", "z d", "j nt", "n zg", "x v", "ns ns", "ns a", "ns nr", "i ns", "t t",
            "m q", "p c", "s f",
        ];
        let differ = [
            "n v", "n a", "n d", "v d", "ns n", "ns nt", "nt nr", "nt nz", "t n", "t v", "f v",
            "m n", "r n", "p v", "d vn",
        ];
        for (pairs, expected) in [(&agree[..], true), (&differ[..], false)] {
            for pair in pairs {
                let (one, other) = pair.split_once(' ').unwrap();
                let (one, other) = (Classes::of(one), Classes::of(other));
                assert_eq!(one.agree(other), expected, "{pair}");
                assert_eq!(other.agree(one), expected, "{pair}");
            }
        }
        assert_eq!(Classes::of("zg"), Classes::default());
    }

    #[test]
    fn words() {
        let parts = Parts::new("鬼画符 100 n").unwrap();
        for word in ["学校", "鬼画符"] {
            assert_eq!(parts.classes(word), Classes::of("n"), "{word}");
        }
        for word in ["没有的词", "gpu", ""] {
            assert_eq!(parts.classes(word), Classes::default(), "{word}");
        }
    }
}
