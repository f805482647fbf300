//! A text cut into words, each with what the synonyms know of it; the tokens that views are made of.

use juzi_schemas::synonym::{Synonyms, Word};

use super::lexicon::{Known, Lexicon};

/// A text with its words, as a row of a dataset has them.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// Id of the record.
    pub id: u128,
    /// Number of the text in the record, from 0: anchor 0, positive 1, and so on.
    pub number: u32,
    /// The text.
    pub text: &'a str,
    /// Lengths of its words in characters; they add up to the text.
    pub lengths: &'a [u16],
}

/// The lengths of the words do not add up to the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the words have {words} characters, the text has {text}")]
pub struct Mismatch {
    /// Sum of the lengths.
    pub words: usize,
    /// Characters of the text.
    pub text: usize,
}

/// A piece of a view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    /// A word of the text, by its number.
    Own(u32),
    /// A synonym, by the word that it belongs to and its number there.
    Synonym(Word, u16),
}

/// The text that views are made of. Its memory is used again for the next text.
#[derive(Debug, Default)]
pub(super) struct Sentence {
    /// Where words start in bytes; one more for the end of the last.
    starts: Vec<u32>,
    known: Vec<Known>,
    own: Vec<Token>,
    any_synonyms: bool,
}

/// A sentence together with what its tokens refer to.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub text: &'a str,
    pub sentence: &'a Sentence,
    pub synonyms: &'a Synonyms,
}

impl Sentence {
    /// Takes a text: finds the bytes of its words and, where views may want synonyms, looks each
    /// up, once for all views.
    pub fn take(
        &mut self,
        words: &Words<'_>,
        lexicon: Option<(&Lexicon, &Synonyms)>,
    ) -> Result<(), Mismatch> {
        self.cut(words)?;
        self.known.clear();
        self.any_synonyms = false;
        if let Some((lexicon, synonyms)) = lexicon {
            self.known.extend(self.starts.windows(2).map(|bounds| {
                let (start, end) = (bounds[0] as usize, bounds[1] as usize);
                lexicon.known(words.text, start, end, synonyms)
            }));
            self.any_synonyms = self.known.iter().any(|known| known.word.is_some());
        }
        let known = self.own.len() as u32;
        self.own.extend((known..self.len() as u32).map(Token::Own));
        Ok(())
    }

    fn cut(&mut self, words: &Words<'_>) -> Result<(), Mismatch> {
        let bytes = words.text.as_bytes();
        self.starts.clear();
        self.starts.push(0);
        let mut at = 0;
        for &length in words.lengths {
            for _ in 0..length {
                // Past the end `at` only grows, and the check below sees it.
                at += bytes.get(at).map_or(1, |&byte| width(byte));
            }
            self.starts.push(at as u32);
        }
        match at == bytes.len() {
            true => Ok(()),
            false => Err(Mismatch {
                words: words
                    .lengths
                    .iter()
                    .map(|&length| usize::from(length))
                    .sum(),
                text: words.text.chars().count(),
            }),
        }
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The text as tokens: its words in order.
    pub fn own(&self) -> &[Token] {
        &self.own[..self.len()]
    }

    /// Whether any word has synonyms.
    pub fn any_synonyms(&self) -> bool {
        self.any_synonyms
    }

    /// The entry of a word of the text, if it has synonyms.
    pub fn word(&self, number: u32) -> Option<Word> {
        self.known.get(number as usize)?.word
    }

    /// Whether a word of the text has synonyms and is no stop word.
    pub fn replaceable(&self, number: u32) -> Option<Word> {
        let known = self.known.get(number as usize)?;
        known.word.filter(|_| !known.stop)
    }
}

impl<'a> Context<'a> {
    /// The string of a token.
    pub fn string(&self, token: Token) -> &'a str {
        match token {
            Token::Own(number) => self.own_words(number, number),
            Token::Synonym(word, at) => self.synonyms.text(word, usize::from(at)),
        }
    }

    /// Appends all tokens to a text; neighbours of the original are copied together.
    pub fn write(&self, tokens: &[Token], out: &mut String) {
        let mut rest = tokens.iter().peekable();
        while let Some(&token) = rest.next() {
            let Token::Own(first) = token else {
                out.push_str(self.string(token));
                continue;
            };
            let mut last = first;
            while rest.next_if_eq(&&Token::Own(last + 1)).is_some() {
                last += 1;
            }
            out.push_str(self.own_words(first, last));
        }
    }

    fn own_words(&self, first: u32, last: u32) -> &'a str {
        let starts = &self.sentence.starts;
        &self.text[starts[first as usize] as usize..starts[last as usize + 1] as usize]
    }
}

/// Bytes of a character by its first byte.
#[inline]
fn width(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use juzi_schemas::synonym::Synonyms;

    use super::{Context, Mismatch, Sentence, Token, Words};

    fn cut(text: &str, lengths: &[u16]) -> Result<Vec<String>, Mismatch> {
        let words = Words {
            id: 0,
            number: 0,
            text,
            lengths,
        };
        let (mut sentence, synonyms) = (Sentence::default(), Synonyms::default());
        sentence.take(&words, None)?;
        let context = Context {
            text,
            sentence: &sentence,
            synonyms: &synonyms,
        };
        let mut whole = String::new();
        context.write(sentence.own(), &mut whole);
        assert_eq!(whole, text);
        let own = sentence.own().iter();
        Ok(own.map(|&token| context.string(token).into()).collect())
    }

    #[test]
    fn characters_of_all_widths() {
        assert_eq!(cut("", &[]).unwrap(), Vec::<String>::new());
        assert_eq!(
            cut("aé句𠮷子!", &[1, 1, 2, 2]).unwrap(),
            ["a", "é", "句𠮷", "子!"]
        );
        let long = "字".repeat(70_000);
        let found = cut(&long, &[65_535, 4_465]).unwrap();
        assert_eq!(found[1].chars().count(), 4_465);
    }

    #[test]
    fn lengths_that_do_not_add_up() {
        let mismatch = |words, text| Err(Mismatch { words, text });
        assert_eq!(cut("今天", &[1]), mismatch(1, 2));
        assert_eq!(cut("今天", &[1, 2]), mismatch(3, 2));
        assert_eq!(cut("今天", &[]), mismatch(0, 2));
        assert_eq!(cut("", &[1]), mismatch(1, 0));
        assert_eq!(cut("a今", &[3]), mismatch(3, 2));
    }

    #[test]
    fn a_token_is_small() {
        assert_eq!(size_of::<Token>(), 8);
    }
}
