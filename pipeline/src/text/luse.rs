//! The LUSE way to cut sentences: split at eight end marks, delete all white space, nothing else.
//!
//! The LUSE script cleans with two regular expressions of Python: it splits a text at each of
//! `[\n\r。？！.?!]` and deletes `\s` from each piece. This module gives the same pieces, byte for
//! byte: `3.14` becomes `3` and `14`, `……` ends nothing, a full-width `．` ends nothing.
//!
//! A text is read once; see `Candidates` for how.

use crate::text::scan::{Candidates, Condition};

/// Calls `emit` with each piece of `text` that is not empty once its white space is deleted.
///
/// Pieces come in the order of the text. A piece without white space inside is a slice of `text`; one
/// with white space is put together in `scratch`, whose content before and after means nothing and
/// which is a parameter so that its memory is used again. No piece is filtered by its length: LUSE
/// itself keeps pieces of two or more characters, and the caller counts what it drops.
///
/// ```
/// # use juzi_pipeline::text::luse::sentences;
/// let mut pieces = Vec::new();
/// sentences("今天 气温 3.5 度。真热！", &mut String::new(), |piece| pieces.push(piece.to_owned()));
/// assert_eq!(pieces, ["今天气温3", "5度", "真热"]);
/// ```
pub fn sentences(text: &str, scratch: &mut String, mut emit: impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut piece = Piece {
        text,
        scratch,
        start: 0,
        held_start: 0,
        held_end: 0,
    };
    piece.scratch.clear();
    for position in Candidates::<EndOrSpace>::new(text) {
        match class_at(bytes, position) {
            (Class::Other, _) => {}
            (Class::Space, length) => piece.space(position, length),
            (Class::End, length) => {
                piece.end(position, &mut emit);
                piece.start = position + length;
            }
        }
    }
    piece.end(bytes.len(), &mut emit);
}

/// What a character is to the splitter.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    /// Part of a sentence.
    Other,
    /// Deleted: what `\s` of Python's `re` matches in a `str`.
    Space,
    /// Ends a piece, and belongs to none.
    End,
}

/// The piece being read: what is in `scratch`, then the held slice, then the text from `start` on.
///
/// The held slice is text that was followed by white space. It is copied only when more text of the
/// same piece follows, so that white space at the edges of a sentence, the usual kind, costs no copy.
struct Piece<'a> {
    text: &'a str,
    scratch: &'a mut String,
    start: usize,
    held_start: usize,
    held_end: usize,
}

impl Piece<'_> {
    /// White space of `length` bytes at `position`.
    fn space(&mut self, position: usize, length: usize) {
        if position > self.start {
            self.copy_held();
            (self.held_start, self.held_end) = (self.start, position);
        }
        self.start = position + length;
    }

    /// The end of the piece at `position`.
    #[inline(always)]
    fn end(&mut self, position: usize, emit: &mut impl FnMut(&str)) {
        if self.held_start == self.held_end {
            // Nothing is held, so nothing was copied either.
            if position > self.start {
                emit(&self.text[self.start..position]);
            }
            return;
        }
        if position > self.start {
            self.copy_held();
            self.scratch.push_str(&self.text[self.start..position]);
            emit(self.scratch);
        } else if self.scratch.is_empty() {
            emit(&self.text[self.held_start..self.held_end]);
        } else {
            self.copy_held();
            emit(self.scratch);
        }
        self.scratch.clear();
        (self.held_start, self.held_end) = (0, 0);
    }

    fn copy_held(&mut self) {
        self.scratch
            .push_str(&self.text[self.held_start..self.held_end]);
    }
}

/// The beginnings of characters of [`Class::Space`] and [`Class::End`], and of some others.
///
/// Full-width punctuation is frequent, so the three-byte characters of E3 and EF are compared to
/// their end: `，` (EF BC 8C) and `、` (E3 80 81) are no candidates.
struct EndOrSpace;

impl Condition for EndOrSpace {
    #[inline(always)]
    fn holds(first: u8, second: u8, third: u8) -> bool {
        let ascii = (first <= b'!') | (first == b'.') | (first == b'?');
        let cjk = (first == 0xE3) & (second == 0x80) & ((third & 0xFD) == 0x80);
        let full_width = (first == 0xEF) & (second == 0xBC) & ((third == 0x81) | (third == 0x9F));
        // U+2000..=200F, U+2028.. and U+205F, but not the dashes, quotes and `…` between them.
        let general = (first == 0xE2) & (!(0x90..=0xA7).contains(&third) | (second != 0x80));
        let rare = (first == 0xC2) | (first == 0xE1);
        ascii | cjk | full_width | general | rare
    }
}

/// The class of the character that begins at `at`, and its length in bytes where that matters.
#[inline(always)]
fn class_at(bytes: &[u8], at: usize) -> (Class, usize) {
    let byte = bytes[at];
    if byte < 0x80 {
        return (ASCII[usize::from(byte)], 1);
    }
    let second = bytes[at + 1];
    if byte == 0xC2 {
        let class = if second == 0x85 || second == 0xA0 {
            Class::Space
        } else {
            Class::Other
        };
        return (class, 2);
    }
    let class = match (byte, second, bytes[at + 2]) {
        (0xE3, 0x80, 0x82) | (0xEF, 0xBC, 0x81 | 0x9F) => Class::End,
        (0xE1, 0x9A, 0x80)
        | (0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF)
        | (0xE2, 0x81, 0x9F)
        | (0xE3, 0x80, 0x80) => Class::Space,
        _ => Class::Other,
    };
    (class, 3)
}

/// The classes of the ASCII characters.
const ASCII: [Class; 128] = {
    let mut classes = [Class::Other; 128];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'\n' | b'\r' | b'.' | b'?' | b'!' => Class::End,
            0x09 | 0x0B | 0x0C | 0x1C..=0x20 => Class::Space,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

    use super::sentences;

    fn pieces(text: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        sentences(text, &mut String::new(), |piece| {
            pieces.push(piece.to_owned())
        });
        pieces
    }

    /// The same, written the slow and plain way.
    fn plain(text: &str) -> Vec<String> {
        text.split(['\n', '\r', '。', '？', '！', '.', '?', '!'])
            .map(|piece| piece.chars().filter(|&c| !is_python_space(c)).collect())
            .filter(|piece: &String| !piece.is_empty())
            .collect()
    }

    fn is_python_space(c: char) -> bool {
        c.is_whitespace() || ('\u{1C}'..='\u{1F}').contains(&c)
    }

    #[test]
    fn golden() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("。！？\n\r.?!", &[]),
            (" \t\u{3000}\u{A0}。 \n ", &[]),
            ("没有句号", &["没有句号"]),
            ("第一句。第二句！第三句？", &["第一句", "第二句", "第三句"]),
            ("圆周率是3.14。", &["圆周率是3", "14"]),
            (
                "见http://www.juzi.cn/a?b=1",
                &["见http://www", "juzi", "cn/a", "b=1"],
            ),
            ("他说……算了", &["他说……算了"]),
            ("他说......算了", &["他说", "算了"]),
            ("真的吗？！太好了", &["真的吗", "太好了"]),
            ("“走吧。”他说", &["“走吧", "”他说"]),
            ("好，；：、（好）《好》", &["好，；：、（好）《好》"]),
            (
                "第一行\r\n第二行\r第三行\n第四行",
                &["第一行", "第二行", "第三行", "第四行"],
            ),
            ("\u{3000}\u{3000}段落 开头 ", &["段落开头"]),
            ("a b c", &["abc"]),
            ("一 二 三 。四 五", &["一二三", "四五"]),
            (" 一。 二 。三 ", &["一", "二", "三"]),
            ("全角．句点", &["全角．句点"]),
            ("半角｡句号﹒", &["半角｡句号﹒"]),
            (
                "零\u{200B}宽\u{FEFF}留\u{180E}下\u{2060}",
                &["零\u{200B}宽\u{FEFF}留\u{180E}下\u{2060}"],
            ),
            ("分\u{1C}隔\u{1D}符\u{1E}删\u{1F}除\u{85}", &["分隔符删除"]),
            (
                "行\u{2028}段\u{2029}空\u{202F}格\u{205F}类\u{1680}型",
                &["行段空格类型"],
            ),
            (
                "控\u{0}制\u{7}符\u{1B}\u{7F}",
                &["控\u{0}制\u{7}符\u{1B}\u{7F}"],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(pieces(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn every_character_does_what_it_does_in_python() {
        for c in '\0'..=char::MAX {
            let text = format!("一{c}二");
            assert_eq!(pieces(&text), plain(&text), "{c:?}");
        }
    }

    #[test]
    fn a_piece_without_inner_white_space_is_a_slice_of_the_text() {
        let text = "  开头有空格。结尾有空格  。没有空格。 ";
        let inside = text.as_bytes().as_ptr_range();
        let mut count = 0;
        sentences(text, &mut String::new(), |piece| {
            assert!(inside.contains(&piece.as_ptr()));
            count += 1;
        });
        assert_eq!(count, 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn agrees_with_the_plain_way(text in "([ab一二，、…“”·\u{A0}\u{200B}\u{2003}\u{3000} \r\n.?!。？！]|\\PC){0,160}") {
            prop_assert_eq!(pieces(&text), plain(&text));
        }

        #[test]
        fn agrees_on_long_sentences(text in "([一-龥，]{0,40}[ 　。！]{0,2}){0,12}") {
            prop_assert_eq!(pieces(&text), plain(&text));
        }
    }
}
