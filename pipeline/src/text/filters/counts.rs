//! Counts of the characters of a text by class, which several filters share.

use crate::text::characters::{is_cjk, is_han};

/// What one scan of a text finds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// All characters.
    pub chars: usize,
    /// White space.
    pub spaces: usize,
    /// Han characters.
    pub han: usize,
    /// Punctuation and symbols, and numbers: what is neither letter nor white space, but a run of digits
    /// is counted as one.
    pub symbols: usize,
    /// Digits that are counted with the digit before them.
    pub digits_joined: usize,
    /// The longest run of one same character that is neither digit nor white space, nor a mark such as
    /// `.` or `？` at the end of the text.
    pub run_max: usize,
}

impl Counts {
    /// Reads `text` once.
    pub fn of(text: &str) -> Self {
        let mut counts = Self::default();
        let mut previous = '\0';
        let mut run = 0;
        for c in text.chars() {
            counts.chars += 1;
            if c == previous {
                run += 1;
            } else {
                counts.run_max = counts.run_max.max(run);
                run = 1;
            }
            if ('\u{4E00}'..='\u{9FFF}').contains(&c) {
                counts.han += 1;
            } else if c.is_ascii_digit() {
                let joined = previous.is_ascii_digit();
                counts.symbols += usize::from(!joined);
                counts.digits_joined += usize::from(joined);
                run = 0;
            } else if c.is_whitespace() {
                counts.spaces += 1;
                run = 0;
            } else if is_symbol(c) {
                counts.symbols += 1;
            } else {
                counts.han += usize::from(is_han(c));
            }
            previous = c;
        }
        if !is_end_mark(previous) {
            counts.run_max = counts.run_max.max(run);
        }
        counts
    }

    /// The characters that are no white space.
    pub fn visible(&self) -> usize {
        self.chars - self.spaces
    }
}

fn is_end_mark(c: char) -> bool {
    matches!(c, '.' | '。' | '…' | '?' | '？' | '!' | '！' | '~' | '～')
}

/// The part `count` has in `total`; of nothing it is nothing.
pub(crate) fn share(count: usize, total: usize) -> f64 {
    if total == 0 {
        0.0
    } else {
        count as f64 / total as f64
    }
}

fn is_symbol(c: char) -> bool {
    match c {
        '\0'..='\x7F' => !c.is_ascii_alphabetic(),
        '\u{2000}'..='\u{2BFF}' | '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{3020}' => true,
        '〇' | '々' => false,
        c if is_cjk(c) => !c.is_alphabetic(),
        c => !c.is_alphabetic() || c.is_numeric(),
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn golden() {
        let of = |chars, spaces, han, symbols, digits_joined, run_max| Counts {
            chars,
            spaces,
            han,
            symbols,
            digits_joined,
            run_max,
        };
        let cases = [
            ("", Counts::default()),
            ("今天 3.5 度！", of(9, 2, 3, 4, 0, 1)),
            ("Abc あア한〇", of(8, 1, 1, 0, 0, 1)),
            ("哈哈哈哈……10000", of(11, 0, 4, 3, 4, 4)),
            ("①★，、（）“”—", of(9, 0, 0, 9, 0, 1)),
            ("好.......", of(8, 0, 1, 7, 0, 1)),
            ("......好", of(7, 0, 1, 6, 0, 6)),
            ("　\t\n", of(3, 3, 0, 0, 0, 0)),
        ];
        for (text, expected) in cases {
            assert_eq!(Counts::of(text), expected, "{text}");
        }
    }
}
