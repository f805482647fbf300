//! Words of opposite meaning: pairs of a list, opposites by one character, and negations.

use std::collections::HashMap;

/// Words before which the rest means the opposite of the rest alone.
const NEGATIONS: [&str; 9] = ["不", "没有", "没", "无", "非", "未", "别", "勿", "莫"];

/// Beginnings that turn the same rest into opposites.
const OPPOSITE_STARTS: [(&str, &str); 4] =
    [("有", "无"), ("有", "没"), ("有", "没有"), ("已", "未")];

/// A word that differs from another one in one character is at most this long.
const LENGTH_MAX: usize = 4;

/// Pairs of opposites, all folded.
#[derive(Default)]
pub(crate) struct Opposites {
    words: HashMap<Box<str>, Vec<Box<str>>>,
    characters: HashMap<char, Vec<char>>,
}

impl Opposites {
    /// Adds the lines of a list: two words with white space between them, `#` begins a comment line.
    /// Pairs of single characters also count within longer words. Fails on a line of another shape.
    pub(crate) fn add(
        &mut self,
        list: &str,
        mut fold: impl FnMut(&str) -> String,
    ) -> Result<(), String> {
        for (number, line) in list.lines().enumerate() {
            let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}');
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<String> = line.split_whitespace().map(&mut fold).collect();
            let [first, second] = &words[..] else {
                return Err(wrong(number, line, "has not two words"));
            };
            if first == second || first.is_empty() || second.is_empty() {
                return Err(wrong(number, line, "has no two different words"));
            }
            self.pair(first, second);
            self.pair(second, first);
        }
        Ok(())
    }

    fn pair(&mut self, first: &str, second: &str) {
        let all = self.words.entry(first.into()).or_default();
        if all.iter().any(|word| **word == *second) {
            return;
        }
        all.push(second.into());
        if let (Some(first), Some(second)) = (single(first), single(second)) {
            self.characters.entry(first).or_default().push(second);
        }
    }

    /// True when the two folded words are opposites.
    pub(crate) fn are(&self, first: &str, second: &str) -> bool {
        let listed = self.words.get(first);
        listed.is_some_and(|all| all.iter().any(|word| **word == *second))
            || self.differ_in_opposites(first, second)
            || negates(first, second)
            || negates(second, first)
    }

    /// True for 大型 and 小型: one character differs, and the two characters are opposites.
    fn differ_in_opposites(&self, first: &str, second: &str) -> bool {
        let mut differing = None;
        let (mut left, mut right) = (first.chars(), second.chars());
        for _ in 0..=LENGTH_MAX {
            match (left.next(), right.next()) {
                (Some(one), Some(other)) if one == other => {}
                (Some(one), Some(other)) if differing.is_none() => differing = Some((one, other)),
                (None, None) => {
                    return differing.is_some_and(|(one, other)| {
                        let opposites = self.characters.get(&one);
                        opposites.is_some_and(|all| all.contains(&other))
                    });
                }
                _ => return false,
            }
        }
        false
    }
}

/// True when `first` is `second` with a negation, or with the opposite beginning.
fn negates(first: &str, second: &str) -> bool {
    NEGATIONS
        .iter()
        .any(|negation| !second.is_empty() && first.strip_prefix(negation) == Some(second))
        || OPPOSITE_STARTS.iter().any(|(one, other)| {
            let rest = first.strip_prefix(one);
            rest.is_some_and(|rest| !rest.is_empty() && second.strip_prefix(other) == Some(rest))
        })
}

fn single(word: &str) -> Option<char> {
    let mut chars = word.chars();
    chars.next().filter(|_| chars.next().is_none())
}

fn wrong(number: usize, line: &str, what: &str) -> String {
    let line: String = line.chars().take(40).collect();
    format!(
        "line {}: `{line}` {what}; a line is two words with a space between them, or begins with #",
        number + 1
    )
}

#[cfg(test)]
mod tests {
    use super::Opposites;

    fn opposites(list: &str) -> Result<Opposites, String> {
        let mut opposites = Opposites::default();
        opposites.add(list, str::to_owned).map(|()| opposites)
    }

    #[test]
    fn a_pair_of_characters_works_inside_words_and_a_pair_of_words_does_not() {
        let opposites = opposites("# note\r\n\r\n大 小\r\n高兴\t难过\n").unwrap();
        let are = [
            ("大", "小"),
            ("大型", "小型"),
            ("最大", "最小"),
            ("大学生", "小学生"),
            ("高兴", "难过"),
            ("不大", "大"),
            ("无用", "有用"),
            ("没意思", "有意思"),
            ("没有意思", "有意思"),
            ("非正式", "正式"),
            ("未婚", "已婚"),
        ];
        for (one, other) in are {
            assert!(opposites.are(one, other), "{one} {other}");
            assert!(opposites.are(other, one), "{other} {one}");
        }
        let are_not = [
            ("大", "大"),
            ("大型", "大型"),
            ("大型", "小学"),
            ("大大", "小小"),
            ("高兴人", "难过人"),
            ("大型汽车站", "小型汽车站"),
            ("大", "小型"),
            ("", "不"),
            ("", ""),
            ("无", "有"),
            ("不好", "不错"),
        ];
        for (one, other) in are_not {
            assert!(!opposites.are(one, other), "{one} {other}");
            assert!(!opposites.are(other, one), "{other} {one}");
        }
    }

    #[test]
    fn a_line_of_another_shape_is_named() {
        for (list, part) in [
            ("大 小\n多", "line 2: `多` has not two words"),
            ("大 小 多", "line 1"),
            ("大 大", "no two different words"),
        ] {
            let error = opposites(list).err().unwrap();
            assert!(
                error.contains(part) && error.contains("a line is two words"),
                "{error}"
            );
        }
    }
}
