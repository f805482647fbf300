//! What a character is: Han, or of the Chinese and Japanese scripts at large.

/// True for Han characters: the unified ideographs with all their extensions, the compatibility
/// ideographs, and `〇`, which is a digit of running text (二〇一六年).
#[inline]
pub fn is_han(c: char) -> bool {
    matches!(c,
        '\u{4E00}'..='\u{9FFF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}'
        | '〇')
}

/// True for what stands without white space around it: Han characters, kana, bopomofo, radicals, and
/// the full-width punctuation of Chinese and Japanese. Hangul is not here, Korean writes spaces;
/// neither are `“”‘’…—·`, which Latin text uses too.
#[inline]
pub fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{2E80}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FE30}'..='\u{FE4F}'
        | '\u{FF00}'..='\u{FF65}'
        | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::{is_cjk, is_han};

    #[test]
    fn borders() {
        for c in ['一', '龥', '〇', '㐀', '𠀀', '豈'] {
            assert!(is_han(c) && is_cjk(c), "{c}");
        }
        for c in ['あ', 'ア', 'ㄅ', '，', '。', '《', 'Ａ', '･'] {
            assert!(!is_han(c) && is_cjk(c), "{c}");
        }
        for c in ['a', '1', ',', '“', '…', '—', '한', '😀', ' '] {
            assert!(!is_han(c) && !is_cjk(c), "{c}");
        }
    }
}
