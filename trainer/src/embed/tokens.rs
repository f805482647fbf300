//! The tokens of a window, sorted by length and cut into batches.

use std::ops::Range;

use super::windows::Window;
use crate::encoder::Sequences;
use crate::model::Model;
use crate::tokenizer::{Encoded, Scratch};
use crate::{Error, Result};

/// A window and the tokens of its different texts.
#[derive(Debug)]
pub struct Tokens {
    /// The window.
    pub window: Window,
    /// Texts that were cut at the limit.
    pub cut: u64,
    /// The different texts, longest first, equal lengths in order.
    order: Vec<u32>,
    ids: Vec<u32>,
    ends: Vec<usize>,
}

/// Makes the tokens of the texts of a window, each with `prompt` before it.
///
/// # Errors
/// The tokenizer fails on a text, or makes no token of it.
pub fn tokenize(
    model: &Model,
    prompt: &str,
    window: Window,
    scratch: &mut Scratch,
) -> Result<Tokens> {
    let (mut out, mut text, mut ends, mut cut) = (Encoded::default(), String::new(), vec![], 0);
    for number in 0..window.different() {
        text.clear();
        text.push_str(prompt);
        text.push_str(window.text(number));
        let start = out.ids.len();
        // One token more than there may be tells a text that is cut from one that just fits.
        let seen = model.prepared(&text);
        let encode = |length, scratch: &mut Scratch, out: &mut Encoded| {
            model.tokenizer.encode(&seen, length, scratch, out)
        };
        if encode(model.length_max + 1, scratch, &mut out) > model.length_max {
            cut += 1;
            out.ids.truncate(start);
            encode(model.length_max, scratch, &mut out);
        }
        if let Some(error) = scratch.failure() {
            return Err(error);
        }
        if out.ids.len() == start {
            return Err(Error::Usage(format!(
                "the text `{}` has no tokens, and the tokenizer puts none around it: no vector can be made",
                beginning(&text)
            )));
        }
        ends.push(out.ids.len());
    }
    let mut tokens = Tokens {
        order: (0..window.different() as u32).collect(),
        window,
        cut,
        ids: out.ids,
        ends,
    };
    let mut order = std::mem::take(&mut tokens.order);
    order.sort_by_key(|&number| std::cmp::Reverse(tokens.span(number).len()));
    tokens.order = order;
    Ok(tokens)
}

/// The first characters of a text, for messages.
pub fn beginning(text: &str) -> String {
    text.chars().take(40).collect()
}

impl Tokens {
    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// The different texts of a batch, by number.
    pub fn texts(&self, batch: &Range<usize>) -> &[u32] {
        &self.order[batch.clone()]
    }

    /// Batches of up to `tokens_max` tokens, or of one text.
    pub fn batches(&self, tokens_max: usize) -> Vec<Range<usize>> {
        let (mut batches, mut start, mut tokens) = (Vec::new(), 0, 0);
        for (place, &number) in self.order.iter().enumerate() {
            let length = self.span(number).len();
            if place > start && tokens + length > tokens_max {
                batches.push(start..place);
                (start, tokens) = (place, 0);
            }
            tokens += length;
        }
        if start < self.order.len() {
            batches.push(start..self.order.len());
        }
        batches
    }

    /// The tokens of a batch.
    pub fn sequences(&self, batch: &Range<usize>) -> Sequences {
        let texts = self.texts(batch).iter();
        Sequences::new(texts.map(|&number| &self.ids[self.span(number)]))
    }

    fn span(&self, number: u32) -> Range<usize> {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[number]
    }
}
