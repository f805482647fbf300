//! SentencePiece's Unigram as XLM-R has it: one pass that normalizes, Viterbi over a trie for each
//! word.

use serde_json::Value;
use tokenizers::normalizers::{Precompiled, Replace};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

use crate::tokenizer::charsmap::{Charsmap, Piece};
use crate::tokenizer::trie::Trie;
use crate::tokenizer::{Encoded, Reference};

/// Stands for the space before a word.
const SPACE: char = '▁';

/// How much worse than the worst token an unknown character is.
const UNKNOWN_PENALTY: f64 = 10.0;

/// Nothing ends here.
const NONE: u32 = u32::MAX;

/// A Unigram model behind a precompiled map and metaspace.
#[derive(Debug)]
pub struct Unigram {
    charsmap: Charsmap,
    shape: Shape,
    tokens: Trie,
    scores: Vec<f64>,
    unknown: u32,
    unknown_score: f64,
}

/// What the normalizer and the pre-tokenizer do with white space.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Runs of spaces become one.
    collapse: bool,
    /// Any white space ends a word and is dropped.
    words: bool,
}

/// The word that is being read, and the best ways to cut it.
#[derive(Debug, Default)]
pub struct Path {
    bytes: Vec<u8>,
    /// For each of the bytes, where in the text the character begins that it comes from.
    starts: Vec<u32>,
    best: Vec<Best>,
    /// Begin and token of the pieces of the best way, from the last to the first.
    pieces: Vec<(u32, u32)>,
    /// The next character begins a word and must have a space before it.
    pending: bool,
    /// The word is a space so far.
    after_space: bool,
}

/// The best way to cut what is before a place.
#[derive(Clone, Copy, Debug)]
struct Best {
    score: f64,
    /// Where its last piece begins.
    start: u32,
    /// The token of its last piece.
    id: u32,
}

impl Unigram {
    /// The fast path for a tokenizer, if it is made as XLM-R's is.
    ///
    /// # Errors
    /// The reference fails on single characters.
    pub fn new(reference: &Reference) -> tokenizers::Result<Option<Unigram>> {
        let tokenizer = reference.tokenizer();
        let ModelWrapper::Unigram(model) = tokenizer.get_model() else {
            return Ok(None);
        };
        let Some((spaces, map, collapse)) = tokenizer.get_normalizer().and_then(steps) else {
            return Ok(None);
        };
        let Some(words) = tokenizer.get_pre_tokenizer().and_then(splits_words) else {
            return Ok(None);
        };
        let saved = serde_json::to_value(model)?;
        let unknown = match (&saved["unk_id"], &saved["byte_fallback"]) {
            (Value::Number(id), Value::Bool(false)) => id.as_u64(),
            _ => None,
        };
        let Some(unknown) = unknown else {
            return Ok(None);
        };
        let scores: Vec<f64> = model.iter().map(|(_, score)| *score).collect();
        let keys = model.iter().zip(0..);
        let keys = keys.map(|((token, _), id)| (token.clone().into_bytes(), id));
        let score_min = scores.iter().copied().fold(f64::INFINITY, f64::min);
        Ok(Some(Unigram {
            charsmap: Charsmap::new(map, &spaces)?,
            shape: Shape { collapse, words },
            tokens: Trie::new(keys.collect()),
            scores,
            unknown: unknown as u32,
            unknown_score: score_min - UNKNOWN_PENALTY,
        }))
    }

    /// Appends the first `room` tokens of a text. `false`, and nothing appended: the text has a
    /// character that only the reference knows how to treat.
    pub fn encode(&self, text: &str, room: usize, path: &mut Path, out: &mut Encoded) -> bool {
        let first = out.ids.len();
        let end = first + room;
        path.begin();
        // The reference counts a dropped character to the one before it, which must be there and
        // must not have become longer; else its offsets are shifted in ways of their own.
        let mut may_drop = false;
        for (at, character) in text.char_indices() {
            if out.ids.len() >= end {
                break;
            }
            let at = at as u32;
            match self.charsmap.piece(character) {
                Piece::Same => {
                    self.take(character, at, path, out);
                    may_drop = true;
                }
                Piece::Text("") if may_drop => {}
                Piece::Text("") | Piece::Rare => {
                    out.truncate(first);
                    return false;
                }
                Piece::Text(made) => {
                    for one in made.chars() {
                        self.take(one, at, path, out);
                    }
                    may_drop = made.chars().nth(1).is_none();
                }
            }
        }
        self.finish(path, out);
        out.truncate(end);
        true
    }

    /// Takes a normalized character: white space ends a word and begins the next.
    #[inline]
    fn take(&self, character: char, at: u32, path: &mut Path, out: &mut Encoded) {
        let Shape { collapse, words } = self.shape;
        if words && character.is_whitespace() {
            self.finish(path, out);
            path.pending = true;
        } else if character == ' ' && collapse && path.after_space {
            // Of a run of spaces the last one counts.
            path.starts.fill(at);
        } else if character == ' ' || character == SPACE {
            self.finish(path, out);
            path.push(SPACE, at);
            path.after_space = character == ' ';
            path.pending = false;
        } else {
            if path.pending {
                path.push(SPACE, at);
                path.pending = false;
            }
            path.push(character, at);
            path.after_space = false;
        }
    }

    /// Appends the tokens of the word and forgets it.
    fn finish(&self, path: &mut Path, out: &mut Encoded) {
        if !path.bytes.is_empty() {
            self.cut(path);
            self.append(path, out);
            path.bytes.clear();
            path.starts.clear();
        }
        path.after_space = false;
    }

    /// Finds the best way to cut the word. Of two equally good ones the first found stays, as in
    /// the reference: places from left to right, pieces from short to long.
    fn cut(&self, path: &mut Path) {
        let bytes = &path.bytes;
        let nothing = Best {
            score: 0.0,
            start: NONE,
            id: 0,
        };
        path.best.clear();
        path.best.resize(bytes.len() + 1, nothing);
        let mut at = 0;
        while at < bytes.len() {
            let before = path.best[at].score;
            let next = at + width(bytes[at]);
            let mut has_single = false;
            let mut node = Trie::ROOT;
            for (place, &byte) in bytes.iter().enumerate().skip(at) {
                match self.tokens.step(node, byte) {
                    Some(child) => node = child,
                    None => break,
                }
                if let Some(id) = self.tokens.value(node) {
                    let score = self.scores[id as usize] + before;
                    path.best[place + 1].improve(score, at, id);
                    has_single |= place + 1 == next;
                }
            }
            if !has_single {
                let score = self.unknown_score + before;
                path.best[next].improve(score, at, self.unknown);
            }
            at = next;
        }
    }

    /// Appends the pieces of the best way; unknown neighbours become one token.
    fn append(&self, path: &mut Path, out: &mut Encoded) {
        path.pieces.clear();
        let mut end = path.bytes.len();
        while end > 0 {
            let best = path.best[end];
            path.pieces.push((best.start, best.id));
            end = best.start as usize;
        }
        let mut pieces = path.pieces.iter().rev().peekable();
        while let Some(&(begin, id)) = pieces.next() {
            let mut token = id;
            if id == self.unknown {
                while pieces.next_if(|piece| piece.1 == self.unknown).is_some() {}
                let end = pieces
                    .peek()
                    .map_or(path.bytes.len(), |piece| piece.0 as usize);
                let run = &path.bytes[begin as usize..end];
                token = self.tokens.find(run).unwrap_or(self.unknown);
            }
            out.push(token, path.starts[begin as usize]);
        }
    }
}

impl Best {
    #[inline]
    fn improve(&mut self, score: f64, start: usize, id: u32) {
        if self.start == NONE || score > self.score {
            *self = Best {
                score,
                start: start as u32,
                id,
            };
        }
    }
}

impl Path {
    fn begin(&mut self) {
        self.bytes.clear();
        self.starts.clear();
        self.pending = true;
        self.after_space = false;
    }

    #[inline]
    fn push(&mut self, character: char, at: u32) {
        let mut buffer = [0; 4];
        let bytes = character.encode_utf8(&mut buffer).as_bytes();
        self.bytes.extend_from_slice(bytes);
        self.starts.extend(bytes.iter().map(|_| at));
    }
}

/// Bytes of the character that begins with this byte.
fn width(byte: u8) -> usize {
    match byte {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

/// The steps of a normalizer that this path knows: characters that become spaces, the map, and
/// whether runs of spaces become one.
fn steps(normalizer: &NormalizerWrapper) -> Option<(Vec<char>, &Precompiled, bool)> {
    let all = match normalizer {
        NormalizerWrapper::Sequence(sequence) => sequence.as_ref(),
        one => std::slice::from_ref(one),
    };
    let is_map = |step: &NormalizerWrapper| matches!(step, NormalizerWrapper::Precompiled(_));
    let place = all.iter().position(is_map)?;
    let NormalizerWrapper::Precompiled(map) = &all[place] else {
        return None;
    };
    let spaces = all[..place].iter().map(becomes_space);
    let spaces = spaces.collect::<Option<Vec<char>>>()?;
    let collapse = match &all[place + 1..] {
        [] => false,
        [NormalizerWrapper::Replace(replace)] if collapses(replace) => true,
        _ => return None,
    };
    Some((spaces, map, collapse))
}

/// The character that a step turns into a space.
fn becomes_space(step: &NormalizerWrapper) -> Option<char> {
    let NormalizerWrapper::Replace(replace) = step else {
        return None;
    };
    let saved = serde_json::to_value(replace).ok()?;
    let mut characters = saved["pattern"]["String"].as_str()?.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) if replace.content == " " => Some(only),
        _ => None,
    }
}

fn collapses(replace: &Replace) -> bool {
    let pattern = serde_json::to_value(replace).map(|saved| saved["pattern"]["Regex"].clone());
    pattern.is_ok_and(|pattern| pattern == " {2,}") && [" ", "▁"].contains(&&*replace.content)
}

/// Whether a pre-tokenizer that this path knows drops white space.
fn splits_words(pre_tokenizer: &PreTokenizerWrapper) -> Option<bool> {
    let known = |metaspace: &Metaspace| {
        metaspace.get_replacement() == SPACE
            && metaspace.get_split()
            && metaspace.prepend_scheme == PrependScheme::Always
    };
    match pre_tokenizer {
        PreTokenizerWrapper::Metaspace(metaspace) => known(metaspace).then_some(false),
        PreTokenizerWrapper::Sequence(sequence) => match sequence.as_ref() {
            [
                PreTokenizerWrapper::WhitespaceSplit(_),
                PreTokenizerWrapper::Metaspace(metaspace),
            ] => known(metaspace).then_some(true),
            _ => None,
        },
        _ => None,
    }
}
