//! Traditional characters to simplified ones, by OpenCC.
//!
//! OpenCC reads every character of a text twice and looks it up in its dictionary, at less than 20 MB/s.
//! Most texts have nothing to convert, so a table of one bit for each character is asked first.

use ferrous_opencc::{OpenCC, config::BuiltinConfig};

/// Characters that stay when they are alone but not in some phrases of OpenCC (瞭解, 答覆, 藉口).
const CHANGED_IN_PHRASES: &str = "瞭覆藉沈牴衹";

/// Conversions after which a text is taken as it is.
const CONVERSIONS_MAX: usize = 8;

/// A converter with OpenCC's `t2s` tables.
pub(crate) struct Simplifier {
    opencc: OpenCC,
    /// One bit for each character up to U+FFFF: set for those that OpenCC could change.
    changing: Box<[u64; 0x400]>,
}

impl Simplifier {
    /// Reads the tables. Fails when OpenCC cannot.
    pub(crate) fn new() -> Result<Self, String> {
        let opencc = OpenCC::from_config(BuiltinConfig::T2s).map_err(|error| error.to_string())?;
        let mut changing = Box::new([0; 0x400]);
        let mut mark = |c: char| changing[c as usize / 64] |= 1 << (c as usize % 64);
        // An end of line between the characters keeps them from becoming phrases.
        let alone: String = ('\u{80}'..='\u{FFFF}').flat_map(|c| [c, '\n']).collect();
        let converted = opencc.convert(&alone);
        for (before, after) in alone.split('\n').zip(converted.split('\n')) {
            if before != after {
                before.chars().for_each(&mut mark);
            }
        }
        CHANGED_IN_PHRASES.chars().for_each(mark);
        Ok(Self { opencc, changing })
    }

    /// The simplified text, or nothing when `text` is simplified.
    ///
    /// Converts until nothing changes, as one conversion can make a phrase that the next one knows.
    pub(crate) fn simplify(&self, text: &str) -> Option<String> {
        if !text.chars().any(|c| self.could_change(c)) {
            return None;
        }
        let mut simplified = self.opencc.convert(text);
        if simplified == text {
            return None;
        }
        for _ in 0..CONVERSIONS_MAX {
            let again = self.opencc.convert(&simplified);
            if again == simplified {
                break;
            }
            simplified = again;
        }
        Some(simplified)
    }

    fn could_change(&self, c: char) -> bool {
        let code = c as usize;
        self.changing
            .get(code / 64)
            .is_none_or(|word| word >> (code % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::{prop_assert_eq, proptest};

    use super::Simplifier;

    static SIMPLIFIER: LazyLock<Simplifier> = LazyLock::new(|| Simplifier::new().unwrap());

    #[test]
    fn golden() {
        let cases = [
            ("中國留學生", Some("中国留学生")),
            ("瞭解答覆的藉口", Some("了解答复的借口")),
            ("乾坤和乾燥", Some("乾坤和干燥")),
            ("简体字 abc", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(SIMPLIFIER.simplify(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_table_forgets_no_character(text in "[一-龥瞭覆藉沈船默]{0,30}") {
            let plain = SIMPLIFIER.opencc.convert(&text);
            if plain == text {
                prop_assert_eq!(SIMPLIFIER.simplify(&text), None);
            } else {
                let simplified = SIMPLIFIER.simplify(&text).unwrap();
                prop_assert_eq!(SIMPLIFIER.simplify(&simplified), None);
            }
        }
    }
}
