//! The crate `tokenizers`: any tokenizer, and the judge of our own paths.

use tokenizers::{Encoding, PostProcessorWrapper, Tokenizer};

use crate::tokenizer::Encoded;

/// Texts that show where a template puts its special tokens: one of them has a token.
const PROBES: [&str; 4] = ["a", "的", "0", "."];

/// A tokenizer of the crate, and the special tokens around a text.
#[derive(Debug)]
pub struct Reference {
    tokenizer: Tokenizer,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
}

impl Reference {
    /// Takes a tokenizer; truncation and padding that it was saved with are left out.
    ///
    /// # Errors
    /// The tokenizer cannot encode a single letter.
    pub fn new(mut tokenizer: Tokenizer) -> tokenizers::Result<Reference> {
        tokenizer.with_truncation(None)?;
        tokenizer.with_padding(None);
        let (mut prefix, mut suffix) = (Vec::new(), Vec::new());
        for probe in PROBES {
            let encoding = tokenizer.encode(probe, true)?;
            let special = encoding.get_special_tokens_mask();
            let before = special.iter().take_while(|mask| **mask == 1).count();
            let after = special.iter().rev().take_while(|mask| **mask == 1).count();
            let ids = encoding.get_ids();
            prefix = ids[..before].to_vec();
            if before < ids.len() {
                suffix = ids[ids.len() - after..].to_vec();
                break;
            }
        }
        Ok(Reference {
            tokenizer,
            prefix,
            suffix,
        })
    }

    /// The crate's own tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The special tokens before and behind a text.
    pub fn around(&self) -> (&[u32], &[u32]) {
        (&self.prefix, &self.suffix)
    }

    /// Whether the post-processor only puts special tokens around.
    pub fn is_plain(&self) -> bool {
        matches!(
            self.tokenizer.get_post_processor(),
            None | Some(PostProcessorWrapper::Bert(_) | PostProcessorWrapper::Template(_))
        )
    }

    /// Appends the first `room` tokens of a text, without special tokens around.
    ///
    /// # Errors
    /// The tokenizer fails, and nothing is appended.
    pub fn encode(&self, text: &str, room: usize, out: &mut Encoded) -> tokenizers::Result<()> {
        let encoding: Encoding = self.tokenizer.encode(text, false)?;
        let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
        for (&id, &(start, _)) in tokens.take(room) {
            out.push(id, start as u32);
        }
        Ok(())
    }
}
