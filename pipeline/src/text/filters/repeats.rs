//! Texts that say the same again and again.

use serde::{Deserialize, Serialize};

use crate::text::filters::{
    Reason,
    counts::{Counts, share},
};

/// Bounds on repetition inside one text. Every column of a record must keep them.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct RepeatsOptions {
    /// Whether the filter is used.
    pub enabled: bool,
    /// The longest run of one same character, digits and the marks at the end of the text aside:
    /// `哈哈哈哈哈` is speech, more than 8 is noise or a line drawn with characters.
    pub run_max: u32,
    /// The greatest share of the most frequent character, ASCII aside, in texts of 10 or more
    /// characters: `人` in `人人为我，我为人人` has 0.44, laughter with a few words the same.
    pub character_share_max: f64,
    /// The greatest share of sequences of four characters that occurred before in the text, if it has 10
    /// or more of them. A long name that comes twice gives up to 0.3; a text pasted twice nearly 0.5.
    pub sequence_share_max: f64,
}

impl Default for RepeatsOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            run_max: 8,
            character_share_max: 0.5,
            sequence_share_max: 0.45,
        }
    }
}

/// Characters and sequences in a text for which a share means something.
pub(crate) const SHARE_OF_MIN: usize = 10;

/// Characters in a sequence.
const SEQUENCE_CHARS: usize = 4;

/// The reason why a text is rejected; `counts` are its counts.
pub fn reject(options: &RepeatsOptions, text: &str, counts: &Counts) -> Option<Reason> {
    if counts.run_max > options.run_max as usize {
        return Some(Reason::RepeatedCharacters);
    }
    let visible = counts.visible();
    if visible < SHARE_OF_MIN {
        return None;
    }
    // Most texts are short, and most of the time would go into clearing tables.
    let shares = if visible <= 64 {
        shares::<64, 128>(text, options.sequence_share_max)
    } else {
        shares::<512, 1024>(text, options.sequence_share_max)
    };
    let rejected = shares.character > options.character_share_max
        || shares.sequence > options.sequence_share_max;
    rejected.then_some(Reason::RepeatedCharacters)
}

/// Shares among the characters of a text that are no white space.
#[derive(Debug, PartialEq)]
struct Shares {
    /// The share of the most frequent character beyond ASCII.
    character: f64,
    /// The share of sequences that occurred before.
    sequence: f64,
}

/// Computes the shares on the first `CHARS` characters with tables of `SLOTS` slots, a power of two
/// that is greater than `CHARS`. The share of sequences is left at 0 where it cannot be greater than
/// `sequence_share_max`.
fn shares<const CHARS: usize, const SLOTS: usize>(text: &str, sequence_share_max: f64) -> Shares {
    let mut chars = ['\0'; CHARS];
    let mut total = 0;
    for (slot, c) in chars
        .iter_mut()
        .zip(text.chars().filter(|c| !c.is_whitespace()))
    {
        *slot = c;
        total += 1;
    }
    let chars = &chars[..total];
    let mut times = [0u16; CHARS];
    let mut seen = Seen::<SLOTS>::default();
    let (mut most, mut chars_repeated) = (0, 0);
    for (index, &c) in chars.iter().enumerate() {
        let first = seen.first(index, u64::from(c), |other| chars[other] == c);
        chars_repeated += usize::from(first < index);
        times[first] += u16::from(!c.is_ascii());
        most = most.max(times[first]);
    }
    let character = share(usize::from(most), total);
    // The last character of a repeated sequence is a repeated character.
    let sequences = (total + 1).saturating_sub(SEQUENCE_CHARS);
    let possible = share(chars_repeated, sequences) > sequence_share_max;
    if sequences < SHARE_OF_MIN || !possible {
        return Shares {
            character,
            sequence: 0.0,
        };
    }
    let mut seen = Seen::<SLOTS>::default();
    let mut repeated = 0;
    for (index, sequence) in chars.windows(SEQUENCE_CHARS).enumerate() {
        // A run has a bound of its own.
        if sequence.iter().all(|c| *c == sequence[0]) {
            continue;
        }
        let key = sequence
            .iter()
            .fold(0, |key: u64, &c| key.rotate_left(16) ^ u64::from(c));
        let same = |other: usize| chars[other..other + SEQUENCE_CHARS] == *sequence;
        repeated += usize::from(seen.first(index, key, same) < index);
    }
    Shares {
        character,
        sequence: share(repeated, sequences),
    }
}

/// A hash table of indexes with open addressing; 0 is an empty slot, so indexes are kept one greater.
struct Seen<const SLOTS: usize>([u16; SLOTS]);

impl<const SLOTS: usize> Default for Seen<SLOTS> {
    fn default() -> Self {
        Self([0; SLOTS])
    }
}

impl<const SLOTS: usize> Seen<SLOTS> {
    /// The first index that was given with what is the same as at `index`, which may be `index` itself.
    #[inline(always)]
    fn first(&mut self, index: usize, key: u64, same: impl Fn(usize) -> bool) -> usize {
        let mut slot = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SLOTS.ilog2())) as usize;
        loop {
            match self.0[slot] {
                0 => {
                    self.0[slot] =
                        u16::try_from(index + 1).expect("tables are smaller than 65,535");
                    return index;
                }
                taken if same(usize::from(taken) - 1) => return usize::from(taken) - 1,
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Reason, RepeatsOptions, Shares, reject, shares};

    #[test]
    fn repetition_is_rejected() {
        let of = |text: &str| reject(&RepeatsOptions::default(), text, &Counts::of(text));
        let repeated = Some(Reason::RepeatedCharacters);
        for text in [
            "哈哈哈哈哈，太好笑了。",
            "人人为我，我为人。",
            "人口有1000000000多。",
            "默认掩码是0xffffffff。",
            "在他的带领下..........",
            "北京大学第一医院属于北京大学。",
            "",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        for text in [
            "目录-----------第一章",
            "顶 顶 顶 顶 顶 顶 顶 顶 顶 顶 顶",
            "雨雨雨雨雨雨雨雨雨居然来了",
        ] {
            assert_eq!(of(text), repeated, "{text}");
        }
        assert_eq!(of(&"点击这里查看更多内容".repeat(3)), repeated);
        assert_eq!(of(&"点击这里查看更多内容".repeat(300)), repeated);
    }

    #[test]
    fn shares_of_small_texts() {
        let of = |text: &str| shares::<64, 128>(text, 0.0);
        assert_eq!(
            of(""),
            Shares {
                character: 0.0,
                sequence: 0.0
            }
        );
        assert_eq!(
            of("甲乙甲 丙"),
            Shares {
                character: 0.5,
                sequence: 0.0
            }
        );
        assert_eq!(
            of("aaab"),
            Shares {
                character: 0.0,
                sequence: 0.0
            }
        );
        assert_eq!(of("一二三四五六七一二三四五六七").sequence, 4.0 / 11.0);
        assert_eq!(of("一二三四一二三四").sequence, 0.0);
    }

    #[test]
    fn both_sizes_agree_and_long_texts_do_not_fill_the_tables() {
        let text: String = ('一'..='龥').collect();
        assert_eq!(
            shares::<64, 128>(&text, 0.0),
            Shares {
                character: 1.0 / 64.0,
                sequence: 0.0
            }
        );
        assert_eq!(
            shares::<512, 1024>(&text, 0.0),
            Shares {
                character: 1.0 / 512.0,
                sequence: 0.0
            }
        );
        let text = "不同的方法给出相同的结果，相同的方法给出不同的结果。";
        assert_eq!(shares::<64, 128>(text, 0.0), shares::<512, 1024>(text, 0.0));
    }
}
