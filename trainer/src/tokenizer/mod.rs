//! From text to tokens: any tokenizer of Hugging Face, and a fast path for the common ones.
//!
//! ```text
//! files ──▶ reference (the crate `tokenizers`: all of them, and the judge)
//!               │ asked once about every character
//!               ├──▶ characters ──▶ wordpiece   BERT
//!               └──▶ charsmap ────▶ unigram     XLM-R
//! ```
//! A fast path gives exactly the tokens and the places that the reference gives. What it does not
//! know (an added token inside a text, characters whose treatment depends on their neighbours) goes
//! to the reference, text by text; a tokenizer that is made otherwise goes there as a whole.

mod characters;
mod charsmap;
mod files;
mod reference;
mod trie;
mod unigram;
mod wordpiece;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use crate::tokenizer::reference::Reference;
use crate::tokenizer::unigram::Unigram;
use crate::tokenizer::wordpiece::WordPiece;
use crate::{Error, Result};

/// The place of a special token that is not in the text.
pub const NOWHERE: u32 = u32::MAX;

/// No vocabulary is near this; a table by number stays small.
const ID_MAX: u32 = (1 << 24) - 1;

/// Turns texts into tokens. Threads share one; each has its own [`Scratch`].
#[derive(Debug)]
pub struct Tokenizer {
    path: PathBuf,
    reference: Reference,
    fast: Fast,
    added: Added,
    /// The text of every token, by number.
    tokens: Vec<Option<String>>,
    /// Whether a token is special, by number.
    special: Vec<bool>,
    pad: u32,
    cls: Option<u32>,
    sep: Option<u32>,
    mask: Option<u32>,
    unk: Option<u32>,
}

/// Tokens of texts, one text after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Numbers of the tokens, with special tokens.
    pub ids: Vec<u32>,
    /// Byte in the text where each token begins; [`NOWHERE`] for special tokens around it.
    pub starts: Vec<u32>,
}

/// Memory that is used again from text to text, and the last failure.
#[derive(Debug, Default)]
pub struct Scratch {
    word: wordpiece::Word,
    path: unigram::Path,
    failure: Option<Error>,
}

#[derive(Debug)]
enum Fast {
    WordPiece(Box<WordPiece>),
    Unigram(Box<Unigram>),
    None,
}

/// Tokens that are found in a text before anything is normalized.
#[derive(Debug, Default)]
struct Added {
    contents: Vec<Vec<u8>>,
    /// The bytes they begin with; three at most, the last one repeated.
    firsts: Option<[u8; 3]>,
}

impl Tokenizer {
    /// Reads a Hugging Face folder (`tokenizer.json`, else `vocab.txt`) or one of these files.
    /// `tokenizer_config.json` and `special_tokens_map.json` beside it name the special tokens; with
    /// `vocab.txt` the former also has `do_lower_case` (default true), `tokenize_chinese_chars`
    /// (true) and `strip_accents` (as lower case).
    ///
    /// # Errors
    /// A file is missing or is not what it should be; the vocabulary has no token for padding, or
    /// WordPiece and Unigram none for the unknown, or BERT's none for begin and end.
    pub fn open(path: &Path) -> Result<Tokenizer> {
        let (tokenizer, config, file) = files::open(path)?;
        let named = |key: &str, names: &[&str]| -> Option<u32> {
            let told = config.name(key).into_iter();
            let mut names = told.chain(names.iter().copied());
            names.find_map(|name| tokenizer.token_to_id(name))
        };
        let unk = named("unk_token", &["[UNK]", "<unk>"]);
        let pad = named("pad_token", &["[PAD]", "<pad>"]);
        let cls = named("cls_token", &["[CLS]", "<s>"]);
        let sep = named("sep_token", &["[SEP]", "</s>"]);
        let mask = named("mask_token", &["[MASK]", "<mask>"]);
        let pad = pad.ok_or_else(|| files::missing(&file, "[PAD]", "pad_token"))?;
        check_unknown(&file, &tokenizer)?;
        let tokens = tokens_of(&file, &tokenizer)?;
        let mut special = vec![false; tokens.len()];
        let added = tokenizer.get_added_tokens_decoder();
        let added = added.iter().filter(|(_, token)| token.special);
        let named = [Some(pad), cls, sep, mask, unk].into_iter().flatten();
        for id in added.map(|(id, _)| *id).chain(named) {
            special[id as usize] = true;
        }
        let failed = |source| files::error(&file, format!("the tokenizer fails: {source}"));
        let reference = Reference::new(tokenizer).map_err(failed)?;
        let (added, fast) = (Added::of(&reference), Fast::of(&reference).map_err(failed)?);
        if matches!(fast, Fast::WordPiece(_)) {
            cls.ok_or_else(|| files::missing(&file, "[CLS]", "cls_token"))?;
            sep.ok_or_else(|| files::missing(&file, "[SEP]", "sep_token"))?;
        }
        Ok(Tokenizer {
            path: file,
            fast: if added.is_some() { fast } else { Fast::None },
            added: added.unwrap_or_default(),
            reference,
            tokens,
            special,
            pad,
            cls,
            sep,
            mask,
            unk,
        })
    }

    /// Appends the tokens of one text, at most `length_max` of them, and returns their number. The
    /// special tokens around the text always stay; the text is cut at its end. A text must be
    /// shorter than 4 GiB.
    ///
    /// A tokenizer outside the fast paths can fail on a text: then the unknown token stands for it,
    /// and [`Scratch::failure`] says why.
    pub fn encode(
        &self,
        text: &str,
        length_max: usize,
        scratch: &mut Scratch,
        out: &mut Encoded,
    ) -> usize {
        let before = out.ids.len();
        let (prefix, suffix) = self.reference.around();
        let room = length_max.saturating_sub(prefix.len() + suffix.len());
        prefix.iter().for_each(|&id| out.push(id, NOWHERE));
        let done = match &self.fast {
            Fast::None => false,
            _ if self.added.any_in(text) => false,
            Fast::WordPiece(model) => model.encode(text, room, &mut scratch.word, out),
            Fast::Unigram(model) => model.encode(text, room, &mut scratch.path, out),
        };
        if !done && let Err(source) = self.reference.encode(text, room, out) {
            let message = format!("the tokenizer fails on a text: {source}");
            scratch.failure = Some(files::error(&self.path, message));
            let unknown = self.unk.into_iter().take(room);
            unknown.for_each(|id| out.push(id, 0));
        }
        suffix.iter().for_each(|&id| out.push(id, NOWHERE));
        out.ids.len() - before
    }

    /// One more than the highest number of a token: rows that a table of embeddings needs.
    pub fn vocabulary(&self) -> usize {
        self.tokens.len()
    }

    /// The token that fills up.
    pub fn pad(&self) -> u32 {
        self.pad
    }

    /// The token at the beginning of a text.
    pub fn cls(&self) -> Option<u32> {
        self.cls
    }

    /// The token at the end of a text.
    pub fn sep(&self) -> Option<u32> {
        self.sep
    }

    /// The token that hides another.
    pub fn mask(&self) -> Option<u32> {
        self.mask
    }

    /// The token for what the vocabulary does not have.
    pub fn unk(&self) -> Option<u32> {
        self.unk
    }

    /// Whether a token is one of those above or another that the tokenizer calls special.
    pub fn is_special(&self, id: u32) -> bool {
        self.special
            .get(id as usize)
            .is_some_and(|special| *special)
    }

    /// Who does the work: `wordpiece` and `unigram` are our own, `tokenizers` is the crate.
    pub fn kind(&self) -> &'static str {
        match &self.fast {
            Fast::WordPiece(_) => "wordpiece",
            Fast::Unigram(_) => "unigram",
            Fast::None => "tokenizers",
        }
    }

    /// The text of a token.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize)?.as_deref()
    }

    /// The crate's own tokenizer, for all that is not done here.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }
}

impl Encoded {
    /// Forgets all texts and keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    #[inline]
    fn push(&mut self, id: u32, start: u32) {
        self.ids.push(id);
        self.starts.push(start);
    }

    fn truncate(&mut self, length: usize) {
        self.ids.truncate(length);
        self.starts.truncate(length);
    }
}

impl Scratch {
    /// The last text that a tokenizer of the crate could not encode; asking forgets it.
    pub fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }
}

impl Fast {
    fn of(reference: &Reference) -> tokenizers::Result<Fast> {
        if !reference.is_plain() {
            return Ok(Fast::None);
        }
        if let Some(model) = WordPiece::new(reference)? {
            return Ok(Fast::WordPiece(Box::new(model)));
        }
        let unigram = Unigram::new(reference)?;
        Ok(unigram.map_or(Fast::None, |model| Fast::Unigram(Box::new(model))))
    }
}

impl Added {
    /// `None`: some are found only after normalization, or they begin in too many ways.
    fn of(reference: &Reference) -> Option<Added> {
        let all = reference.tokenizer().get_added_tokens_decoder();
        if all.values().any(|token| token.normalized) {
            return None;
        }
        let mut contents: Vec<Vec<u8>> = all
            .values()
            .map(|token| token.content.clone().into_bytes())
            .collect();
        contents.sort();
        let mut firsts: Vec<u8> = contents
            .iter()
            .filter_map(|all| all.first().copied())
            .collect();
        firsts.dedup();
        let firsts = match firsts[..] {
            [] => None,
            [one] => Some([one, one, one]),
            [one, two] => Some([one, two, two]),
            [one, two, three] => Some([one, two, three]),
            _ => return None,
        };
        Some(Added { contents, firsts })
    }

    /// Whether a text has one of them.
    fn any_in(&self, text: &str) -> bool {
        let Some([one, two, three]) = self.firsts else {
            return false;
        };
        let bytes = text.as_bytes();
        let begins = |at: usize| self.contents.iter().any(|all| bytes[at..].starts_with(all));
        match one == three {
            true => memchr::memchr_iter(one, bytes).any(begins),
            false => memchr::memchr3_iter(one, two, three, bytes).any(begins),
        }
    }
}

/// A model that needs a token for the unknown must have it, or it fails on some text much later.
fn check_unknown(path: &Path, tokenizer: &tokenizers::Tokenizer) -> Result<()> {
    let model = match tokenizer.get_model() {
        tokenizers::ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
        tokenizers::ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
        tokenizers::ModelWrapper::BPE(model) => model.unk_token.clone(),
        tokenizers::ModelWrapper::Unigram(_) => None,
    };
    match model {
        Some(name) if !tokenizer.get_vocab(false).contains_key(&name) => {
            let message = format!("the vocabulary of the model has no {name}, its `unk_token`");
            Err(files::error(path, message))
        }
        _ => Ok(()),
    }
}

/// The text of every token, by number.
fn tokens_of(path: &Path, tokenizer: &tokenizers::Tokenizer) -> Result<Vec<Option<String>>> {
    let vocabulary = tokenizer.get_vocab(true);
    let last = vocabulary.values().copied().max().unwrap_or(0);
    if last > ID_MAX {
        let message = format!("a token has the number {last}; expected at most {ID_MAX}");
        return Err(files::error(path, message));
    }
    let mut tokens = vec![None; last as usize + 1];
    for (token, id) in vocabulary {
        tokens[id as usize] = Some(token);
    }
    Ok(tokens)
}
