//! Texts that are too short or too long.

use serde::{Deserialize, Serialize};

use juzi_schemas::dropped::Reason;

/// Bounds on the number of characters, white space included. Every column of a record must keep them.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct LengthOptions {
    /// Whether the filter is used.
    pub enabled: bool,
    /// The fewest characters. Below 4 there are answers and headings (`是的`, `简介`), which have no
    /// meaning of their own that an encoder could learn.
    pub chars_min: u32,
    /// The most characters. An encoder reads at most 512 tokens, about one for each Han character, and
    /// what is longer as one sentence is a list, a poem or a text without punctuation.
    pub chars_max: u32,
}

impl Default for LengthOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            chars_min: 4,
            chars_max: 512,
        }
    }
}

/// True where the number of bytes alone shows that both bounds hold: a character has one to four.
pub fn surely_fits(options: &LengthOptions, bytes: usize) -> bool {
    bytes / 4 >= options.chars_min as usize && bytes <= options.chars_max as usize
}

/// The reason why a text of `chars` characters is rejected.
pub fn reject(options: &LengthOptions, chars: usize) -> Option<Reason> {
    if chars < options.chars_min as usize {
        Some(Reason::TooShort)
    } else if chars > options.chars_max as usize {
        Some(Reason::TooLong)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{LengthOptions, Reason, reject};

    #[test]
    fn the_bounds_are_kept() {
        let options = LengthOptions::default();
        assert_eq!(reject(&options, 0), Some(Reason::TooShort));
        assert_eq!(reject(&options, 3), Some(Reason::TooShort));
        assert_eq!(reject(&options, 4), None);
        assert_eq!(reject(&options, 512), None);
        assert_eq!(reject(&options, 513), Some(Reason::TooLong));
    }
}
