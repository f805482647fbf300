//! What SentencePiece's precompiled map makes of each character, asked of the reference itself.
//!
//! The map looks at grapheme clusters. A character that never joins another in a cluster is looked
//! up alone; all others are [`Piece::Rare`], and texts with one go to the reference.

use tokenizers::normalizers::Precompiled;
use unicode_segmentation::UnicodeSegmentation;

use crate::tokenizer::characters::normalized;

/// Characters from here on are rare.
const LIMIT: u32 = 0x3_23B0;

/// Characters asked at once.
const CHUNK: usize = 512;

const SAME: u32 = 0;
const RARE: u32 = u32::MAX;

/// What one character becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Itself.
    Same,
    /// Another text, perhaps none.
    Text(&'a str),
    /// Ask the reference.
    Rare,
}

/// What every character becomes.
#[derive(Debug)]
pub struct Charsmap {
    /// `SAME`, `RARE`, or a number in `texts` plus one.
    pieces: Vec<u32>,
    texts: Vec<String>,
}

impl Charsmap {
    /// Asks the map; `spaces` are characters that become a space before it sees them.
    ///
    /// # Errors
    /// The map fails.
    pub fn new(map: &Precompiled, spaces: &[char]) -> tokenizers::Result<Charsmap> {
        let lonely = |&character: &char| is_lonely(character) || spaces.contains(&character);
        let all: Vec<char> = (0..LIMIT)
            .filter_map(char::from_u32)
            .filter(lonely)
            .collect();
        let mut charsmap = Charsmap {
            pieces: vec![RARE; LIMIT as usize],
            texts: Vec::new(),
        };
        for chunk in all.chunks(CHUNK) {
            let asked: Vec<char> = chunk
                .iter()
                .map(|character| {
                    if spaces.contains(character) {
                        ' '
                    } else {
                        *character
                    }
                })
                .collect();
            for (&character, made) in chunk.iter().zip(normalized(map, "", &asked)?) {
                charsmap.pieces[character as usize] = charsmap.piece_of(character, made);
            }
        }
        Ok(charsmap)
    }

    fn piece_of(&mut self, character: char, made: String) -> u32 {
        if made.chars().eq([character]) {
            return SAME;
        }
        self.texts.push(made);
        self.texts.len() as u32
    }

    /// What a character becomes.
    #[inline]
    pub fn piece(&self, character: char) -> Piece<'_> {
        match self.pieces.get(character as usize) {
            Some(&SAME) => Piece::Same,
            Some(&RARE) | None => Piece::Rare,
            Some(&number) => Piece::Text(&self.texts[number as usize - 1]),
        }
    }
}

/// Whether a character is a grapheme cluster of its own wherever its neighbours are so too.
fn is_lonely(character: char) -> bool {
    let alone = |text: &str| text.graphemes(true).count() == 2;
    character != '\r'
        && alone(&format!("a{character}"))
        && alone(&format!("{character}a"))
        && alone(&format!("{character}{character}"))
}

#[cfg(test)]
mod tests {
    use super::is_lonely;

    #[test]
    fn characters_that_join_are_not_lonely() {
        for character in ['a', '中', 'か', '한', '，', '😀', '\n', '\u{200b}', 'Ａ'] {
            assert!(is_lonely(character), "{character:?}");
        }
        let joining = [
            '\u{301}',
            '\u{200d}',
            '\u{fe0f}',
            '\r',
            '\u{1100}',
            '\u{1161}',
            '\u{11a8}',
            '\u{1f1e8}',
            '\u{1f3fd}',
            '\u{600}',
            '\u{903}',
        ];
        for character in joining {
            assert!(!is_lonely(character), "{character:?}");
        }
    }
}
