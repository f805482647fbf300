//! Texts that belong to the page and not to its author: notices, buttons, credits.

use serde::{Deserialize, Serialize};

use juzi_schemas::dropped::Reason;

/// Texts with a phrase of the dictionary are dropped, in whatever column.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct BoilerplateOptions {
    /// Whether the filter is used. The phrases are in `dictionaries/boilerplate.txt`. Such lines come
    /// with every page of a site, so that they are frequent, near-identical and without a topic.
    pub enabled: bool,
}

impl Default for BoilerplateOptions {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// The phrases of a dictionary, ready to be looked for.
///
/// A few hundred phrases begin with a few hundred pairs of characters, and almost no pair of a text is
/// among them: one bit of a table answers for most positions.
pub struct Boilerplate {
    /// Sorted by the pair.
    phrases: Vec<Phrase>,
    /// One bit for each [`slot_of`] a pair.
    pairs: [u64; PAIR_SLOTS / 64],
}

struct Phrase {
    pair: (char, char),
    place: Place,
    text: String,
}

/// Where a phrase must stand. Punctuation and white space at the ends of a text do not count.
#[derive(Clone, Copy)]
enum Place {
    Anywhere,
    Start,
    End,
    Whole,
}

/// Slots of the table of pairs.
const PAIR_SLOTS: usize = 8192;

impl Boilerplate {
    /// Prepares `phrases`: `phrase` anywhere, `^phrase` at the start, `phrase$` at the end, `=phrase` as
    /// the whole text; `：` and `，` stand for `:` and `,` too. Fails on a phrase of fewer than two
    /// characters.
    pub fn new(phrases: &[&str]) -> Result<Self, String> {
        let mut boilerplate = Self {
            phrases: Vec::new(),
            pairs: [0; PAIR_SLOTS / 64],
        };
        for &line in phrases {
            let (place, phrase) = if let Some(phrase) = line.strip_prefix('=') {
                (Place::Whole, phrase)
            } else if let Some(phrase) = line.strip_prefix('^') {
                (Place::Start, phrase)
            } else if let Some(phrase) = line.strip_suffix('$') {
                (Place::End, phrase)
            } else {
                (Place::Anywhere, line)
            };
            let narrow = phrase.replace('：', ":").replace('，', ",");
            if narrow != phrase {
                boilerplate
                    .add(place, narrow)
                    .ok_or_else(|| too_short(line))?;
            }
            boilerplate
                .add(place, phrase.to_owned())
                .ok_or_else(|| too_short(line))?;
        }
        boilerplate.phrases.sort_by_key(|phrase| phrase.pair);
        Ok(boilerplate)
    }

    fn add(&mut self, place: Place, text: String) -> Option<()> {
        let mut chars = text.chars();
        let pair = (chars.next()?, chars.next()?);
        let slot = slot_of(pair);
        self.pairs[slot / 64] |= 1 << (slot % 64);
        self.phrases.push(Phrase { pair, place, text });
        Some(())
    }

    /// The reason why a text is rejected.
    pub fn reject(&self, text: &str) -> Option<Reason> {
        let mut previous = '\0';
        for (at, c) in text.char_indices() {
            let pair = (previous, c);
            previous = c;
            let slot = slot_of(pair);
            if self.pairs[slot / 64] >> (slot % 64) & 1 == 1 && self.begins(text, at, pair) {
                return Some(Reason::Boilerplate);
            }
        }
        None
    }

    /// True when a phrase that begins with `pair`, whose second character is at `at`, stands there.
    #[cold]
    fn begins(&self, text: &str, at: usize, pair: (char, char)) -> bool {
        let first = self.phrases.partition_point(|phrase| phrase.pair < pair);
        let start = at - pair.0.len_utf8();
        self.phrases[first..]
            .iter()
            .take_while(|phrase| phrase.pair == pair)
            .any(|phrase| {
                let Some(rest) = text[start..].strip_prefix(phrase.text.as_str()) else {
                    return false;
                };
                let starts = || !text[..start].contains(char::is_alphanumeric);
                let ends = || !rest.contains(char::is_alphanumeric);
                match phrase.place {
                    Place::Anywhere => true,
                    Place::Start => starts(),
                    Place::End => ends(),
                    Place::Whole => starts() && ends(),
                }
            })
    }
}

fn too_short(line: &str) -> String {
    format!("the boilerplate phrase `{line}` has fewer than two characters to look for")
}

fn slot_of((first, second): (char, char)) -> usize {
    let key = (u32::from(first) << 11) ^ u32::from(second);
    (key.wrapping_mul(0x9E37_79B1) >> (32 - PAIR_SLOTS.ilog2())) as usize
}

/// The phrases in the text of a dictionary file: its lines without comments (`#`) and empty lines.
pub fn phrases(dictionary: &str) -> Vec<&str> {
    dictionary
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Boilerplate, Reason, phrases};

    #[test]
    fn phrases_are_found_at_their_places() {
        let dictionary = "# comment\n版权所有，\n\n^责任编辑\n查看更多$\n=上一篇\n";
        let boilerplate = Boilerplate::new(&phrases(dictionary)).unwrap();
        for text in [
            "本站版权所有，侵权必究",
            "本站版权所有,侵权必究",
            "责任编辑：张三",
            "【责任编辑：张三】",
            "点击查看更多>>",
            "上一篇：",
            "上一篇",
        ] {
            assert_eq!(
                boilerplate.reject(text),
                Some(Reason::Boilerplate),
                "{text}"
            );
        }
        for text in [
            "",
            "责",
            "他是责任编辑",
            "查看更多信息",
            "上一篇文章很好",
            "我读了上一篇",
            "版权所有者",
        ] {
            assert_eq!(boilerplate.reject(text), None, "{text}");
        }
    }

    #[test]
    fn a_phrase_without_two_characters_is_an_error() {
        assert!(Boilerplate::new(&["好的", "^好"]).is_err());
        assert!(Boilerplate::new(&[]).unwrap().reject("任何").is_none());
    }

    #[test]
    fn the_dictionary_of_the_repository_is_sound() {
        let phrases = phrases(include_str!("../../../../dictionaries/boilerplate.txt"));
        let boilerplate = Boilerplate::new(&phrases).unwrap();
        for phrase in &phrases {
            let text = phrase.trim_matches(['^', '=', '$']);
            assert_eq!(
                boilerplate.reject(text),
                Some(Reason::Boilerplate),
                "{phrase}"
            );
        }
        let mut unique = phrases.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), phrases.len(), "a phrase is listed twice");
    }

    #[test]
    fn the_dictionary_of_the_repository_leaves_prose() {
        let boilerplate = Boilerplate::new(&phrases(include_str!(
            "../../../../dictionaries/boilerplate.txt"
        )))
        .unwrap();
        for text in [
            "经所有版权所有者同意后才能发布。",
            "记者：您怎么看这个问题？",
            "本文系统地介绍了三种方法。",
            "孩子哭闹是为了寻求关注。",
            "过期的文件应及时删除。",
            "请先下载客户端软件。",
            "他把照片转发到朋友圈。",
            "相关新闻报道后，警方介入调查。",
            "他在杂志社做责任编辑。",
            "来源于生活的艺术最动人。",
        ] {
            assert_eq!(boilerplate.reject(text), None, "{text}");
        }
    }
}
