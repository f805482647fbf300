//! Cutting text into words with jieba.

use std::io::BufReader;

use jieba_rs::Jieba;

/// Cuts text into words: jieba's dictionary and a dictionary of ours, and its hidden Markov model for
/// words in neither. Threads can share one.
pub struct Segmenter {
    jieba: Jieba,
}

impl Segmenter {
    /// Reads jieba's own dictionary and adds `user_words` in its format: a line for each word, then
    /// optionally its frequency and its part of speech. Lines that begin with `#` are comments.
    pub fn new(user_words: &str) -> Result<Self, String> {
        let mut jieba = Jieba::new();
        let words: String = user_words
            .lines()
            .filter(|line| !line.starts_with('#'))
            .flat_map(|l| [l, "\n"])
            .collect();
        jieba
            .load_dict(&mut BufReader::new(words.as_bytes()))
            .map_err(|error| error.to_string())?;
        Ok(Self { jieba })
    }

    /// Appends the length in characters of each word of `text` to `out`. White space and punctuation
    /// are words too, so the lengths add up to the characters of `text`; a word of more than 65,535
    /// characters is cut.
    pub fn lengths(&self, text: &str, out: &mut Vec<u16>) {
        // The vector of tokens is jieba's only allocation; its working memory is kept for each thread.
        for token in self.jieba.cut(text, true) {
            let mut chars = token.end - token.start;
            while chars > usize::from(u16::MAX) {
                out.push(u16::MAX);
                chars -= usize::from(u16::MAX);
            }
            out.extend(u16::try_from(chars).ok().filter(|&chars| chars > 0));
        }
    }

    /// The part of speech of a word, as jieba's tag; nothing when no dictionary has it or it is cut apart.
    pub fn tag<'a>(&'a self, word: &'a str) -> Option<&'a str> {
        if !self.jieba.has_word(word) {
            return None;
        }
        match self.jieba.tag(word, false)[..] {
            [ref tag] => Some(tag.tag),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::Segmenter;

    const USER_WORDS: &str = include_str!("../../../dictionaries/user_words.txt");

    static SEGMENTER: LazyLock<Segmenter> = LazyLock::new(|| Segmenter::new(USER_WORDS).unwrap());

    fn words(segmenter: &Segmenter, text: &str) -> Vec<String> {
        let mut lengths = Vec::new();
        segmenter.lengths(text, &mut lengths);
        let mut chars = text.chars();
        lengths
            .iter()
            .map(|&length| chars.by_ref().take(usize::from(length)).collect())
            .collect()
    }

    #[test]
    fn golden() {
        assert_eq!(
            words(&SEGMENTER, "我们中出了一个叛徒"),
            ["我们", "中出", "了", "一个", "叛徒"]
        );
        assert_eq!(
            words(&SEGMENTER, "iPhone 6s，3.14！"),
            ["iPhone", " ", "6s", "，", "3.14", "！"]
        );
        assert_eq!(words(&SEGMENTER, ""), Vec::<String>::new());
    }

    #[test]
    fn lengths_are_appended() {
        let mut lengths = vec![7];
        SEGMENTER.lengths("我们走吧", &mut lengths);
        assert_eq!(lengths, [7, 2, 1, 1]);
    }

    #[test]
    fn the_user_dictionary_is_used() {
        let plain = Segmenter::new("").unwrap();
        let changed = USER_WORDS
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| line.split(' ').next().unwrap())
            .filter(|word| {
                assert_eq!(words(&SEGMENTER, word), [*word]);
                words(&plain, word) != [*word]
            })
            .count();
        assert!(changed > 40, "jieba knows most of the words: {changed}");
        assert!(Segmenter::new("词 many n").is_err());
    }

    #[test]
    fn tags() {
        let cases = [
            ("学校", Some("n")),
            ("漂亮", Some("a")),
            ("北京", Some("ns")),
            ("共享单车", Some("n")),
            ("学校高兴", None),
            ("没有的词", None),
            ("gpu", None),
            ("", None),
        ];
        for (word, tag) in cases {
            assert_eq!(SEGMENTER.tag(word), tag, "{word}");
        }
    }

    #[test]
    fn a_word_too_long_is_cut() {
        let mut lengths = Vec::new();
        SEGMENTER.lengths(&"a".repeat(70_000), &mut lengths);
        assert_eq!(lengths, [65_535, 4_465]);
    }

    proptest! {
        #[test]
        fn lengths_add_up(text in "([一-龥a-z0-9，。\r\n ]|\\PC){0,80}") {
            let mut lengths = Vec::new();
            SEGMENTER.lengths(&text, &mut lengths);
            prop_assert_eq!(lengths.iter().map(|&length| usize::from(length)).sum::<usize>(), text.chars().count());
            prop_assert!(!lengths.contains(&0));
        }
    }
}
