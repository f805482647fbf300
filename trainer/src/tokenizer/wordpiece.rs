//! BERT's WordPiece: one pass over the characters, longest match in a trie for each word.

use tokenizers::models::wordpiece::WordPiece as Model;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{Model as _, NormalizerWrapper, PreTokenizerWrapper};

use crate::tokenizer::characters::{Characters, Unit};
use crate::tokenizer::trie::Trie;
use crate::tokenizer::{Encoded, Reference};

/// Leads to the tokens that begin a word.
const BEGIN: u8 = 1;
/// Leads to the tokens that go on in a word, without their `##`.
const INSIDE: u8 = 2;

/// A WordPiece model behind BERT's normalizer and pre-tokenizer.
#[derive(Debug)]
pub struct WordPiece {
    characters: Characters,
    tokens: Trie,
    begin: Option<u32>,
    inside: Option<u32>,
    unknown: u32,
    characters_max: usize,
}

/// The word that is being read, as the normalizer would have it.
#[derive(Debug, Default)]
pub struct Word {
    bytes: Vec<u8>,
    /// For each of the bytes, where in the text the character begins that it comes from.
    starts: Vec<u32>,
    characters: usize,
}

impl WordPiece {
    /// The fast path for a tokenizer, if it is made as BERT's is.
    ///
    /// # Errors
    /// The reference fails on single characters.
    pub fn new(reference: &Reference) -> tokenizers::Result<Option<WordPiece>> {
        let tokenizer = reference.tokenizer();
        let tokenizers::ModelWrapper::WordPiece(model) = tokenizer.get_model() else {
            return Ok(None);
        };
        let Some(NormalizerWrapper::BertNormalizer(normalizer)) = tokenizer.get_normalizer() else {
            return Ok(None);
        };
        let Some(PreTokenizerWrapper::BertPreTokenizer(_)) = tokenizer.get_pre_tokenizer() else {
            return Ok(None);
        };
        let Some(unknown) = model.token_to_id(&model.unk_token) else {
            return Ok(None);
        };
        WordPiece::of(model, normalizer, unknown).map(Some)
    }

    fn of(
        model: &Model,
        normalizer: &BertNormalizer,
        unknown: u32,
    ) -> tokenizers::Result<WordPiece> {
        let mut buffer = [0; 4];
        let single = |character: char| match model.max_input_chars_per_word {
            0 => unknown,
            _ => model
                .token_to_id(character.encode_utf8(&mut buffer))
                .unwrap_or(unknown),
        };
        let characters = Characters::new(normalizer, single)?;
        let prefix = model.continuing_subword_prefix.as_bytes();
        let mut keys = Vec::new();
        for (token, id) in model.get_vocab() {
            let bytes = token.as_bytes();
            if let Some(rest) = bytes.strip_prefix(prefix).filter(|rest| !rest.is_empty()) {
                keys.push(([&[INSIDE], rest].concat(), id));
            }
            if !bytes.is_empty() {
                keys.push(([&[BEGIN], bytes].concat(), id));
            }
        }
        let tokens = Trie::new(keys);
        Ok(WordPiece {
            characters,
            begin: tokens.step(Trie::ROOT, BEGIN),
            inside: tokens.step(Trie::ROOT, INSIDE),
            tokens,
            unknown,
            characters_max: model.max_input_chars_per_word,
        })
    }

    /// Appends the first `room` tokens of a text. `false`, and nothing appended: the text has a
    /// character that only the reference knows how to treat.
    pub fn encode(&self, text: &str, room: usize, word: &mut Word, out: &mut Encoded) -> bool {
        let first = out.ids.len();
        let end = first + room;
        word.clear();
        for (at, character) in text.char_indices() {
            if out.ids.len() >= end {
                break;
            }
            let at = at as u32;
            match self.characters.unit(character) {
                Unit::Many(place, number) => {
                    for unit in self.characters.many(place, number) {
                        self.take(unit, at, word, out);
                    }
                }
                Unit::Rare => {
                    out.truncate(first);
                    return false;
                }
                unit => self.take(unit, at, word, out),
            }
        }
        self.finish(word, out);
        out.truncate(end);
        true
    }

    #[inline]
    fn take(&self, unit: Unit, at: u32, word: &mut Word, out: &mut Encoded) {
        match unit {
            Unit::Single(id) => {
                self.finish(word, out);
                out.push(id, at);
            }
            Unit::Letter(letter) => word.push(letter, at, self.characters_max),
            Unit::Gap => self.finish(word, out),
            Unit::Nothing | Unit::Many(..) | Unit::Rare => {}
        }
    }

    /// Appends the tokens of the word and forgets it.
    #[inline]
    fn finish(&self, word: &mut Word, out: &mut Encoded) {
        if word.characters > 0 {
            self.match_word(word, out);
            word.clear();
        }
    }

    /// Longest match first; a word with a part that no token matches is unknown as a whole.
    fn match_word(&self, word: &Word, out: &mut Encoded) {
        let first = out.ids.len();
        let mut at = 0;
        while at < word.bytes.len() && word.characters <= self.characters_max {
            let root = if at == 0 { self.begin } else { self.inside };
            let longest = |root| self.tokens.longest(root, &word.bytes[at..]);
            let Some((id, length)) = root.and_then(longest) else {
                break;
            };
            out.push(id, word.starts[at]);
            at += length;
        }
        if at < word.bytes.len() {
            out.truncate(first);
            out.push(self.unknown, word.starts[0]);
        }
    }
}

impl Word {
    /// Adds a letter; of a word that is too long only the length counts.
    #[inline]
    fn push(&mut self, letter: char, at: u32, characters_max: usize) {
        self.characters += 1;
        if self.characters > characters_max.max(1) {
            return;
        }
        if letter.is_ascii() {
            self.bytes.push(letter as u8);
            self.starts.push(at);
            return;
        }
        let mut buffer = [0; 4];
        let bytes = letter.encode_utf8(&mut buffer).as_bytes();
        self.bytes.extend_from_slice(bytes);
        self.starts.extend(bytes.iter().map(|_| at));
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
        self.characters = 0;
    }
}
