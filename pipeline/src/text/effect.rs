//! What cleaning does to one character.

use crate::text::{clean::CleanOptions, html::Trace, scan::Condition};

/// What happens to one character.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Effect {
    /// It stays.
    Keep,
    /// Another one takes its place.
    Put(char),
    /// It vanishes, and at most leaves a trace.
    Gap(Trace),
}

/// What happens to `c`, markup aside, in a text that is cleaned with `options`.
pub(crate) fn effect(options: &CleanOptions, c: char) -> Effect {
    let (space, newline) = (Effect::Gap(Trace::Space), Effect::Gap(Trace::Newline));
    match c {
        '\n' if options.whitespace => newline,
        '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' if options.control => newline,
        '\u{3000}' if options.width || options.whitespace => space,
        ' '
        | '\t'
        | '\u{B}'
        | '\u{C}'
        | '\u{A0}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200A}'
        | '\u{202F}'
        | '\u{205F}'
            if options.whitespace =>
        {
            space
        }
        '\t' | '\n' => Effect::Keep,
        '\u{AD}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{FEFF}'
            if options.control =>
        {
            Effect::Gap(Trace::Nothing)
        }
        c if c.is_control() && options.control => Effect::Gap(Trace::Nothing),
        '！' | '，' | '：' | '；' | '？' | '（' | '）' => Effect::Keep,
        '\u{FF01}'..='\u{FF5E}' if options.width => {
            let folded =
                char::from_u32(u32::from(c) - 0xFF01 + 0x21).expect("the letter is in ASCII");
            Effect::Put(folded)
        }
        _ => Effect::Keep,
    }
}

/// The beginnings of characters that could have to change, and of some others.
pub(crate) struct Unclean;

impl Condition for Unclean {
    #[inline(always)]
    fn holds(first: u8, second: u8, third: u8) -> bool {
        let ascii = (first <= b' ')
            | (first == 0x7F)
            | (first == b'<')
            | (first == b'&')
            | (first == b'\\');
        let latin = (first == 0xC2) & ((second < 0xA1) | (second == 0xAD));
        let ogham = (first == 0xE1) & (second == 0x9A);
        let invisible = (second == 0x80) & ((third < 0x90) | (0xA8..0xB0).contains(&third));
        let general = (first == 0xE2) & (invisible | ((second == 0x81) & (third >= 0x9F)));
        let ideographic = (first == 0xE3) & (second == 0x80) & (third == 0x80);
        // `！（），：；？` are the frequent ones, and stay.
        let stays = (third == 0x81)
            | ((third & 0xFE) == 0x88)
            | (third == 0x8C)
            | ((third & 0xFE) == 0x9A)
            | (third == 0x9F);
        let wide = (second == 0xBB) | ((second == 0xBC) & !stays) | (second == 0xBD);
        ascii | latin | ogham | general | ideographic | ((first == 0xEF) & wide)
    }
}

#[cfg(test)]
mod tests {
    use super::{CleanOptions, Condition, Effect, Unclean, effect};

    #[test]
    fn no_character_that_changes_is_overlooked() {
        let options = CleanOptions::default();
        for c in '\0'..=char::MAX {
            let mut buffer = [0x80; 4];
            c.encode_utf8(&mut buffer);
            let found = Unclean::holds(buffer[0], buffer[1], buffer[2]);
            let overlooked = effect(&options, c) != Effect::Keep && !found;
            assert!(!overlooked, "{c:?}");
        }
    }
}
