//! Collating: the rows of a batch become views, the views token ids, the ids rows of one width.
//!
//! ```text
//! pieces ─▶ gather ─▶ augment ─▶ tokenize ─▶ pad ─▶ Batch
//! ```
//! Each step is done for a whole column, so that its memory and its caches are warm. A text is
//! tokenized once, however many copies of it there are.

mod batch;
mod gather;

use std::sync::Arc;
use std::time::Instant;

use juzi_schemas::record::Kind;

use crate::augment::{Augmenter, Views};
use crate::loader::Piece;
use crate::recipe::{TokenizerOptions, ViewOptions};
use crate::tokenizer::{Encoded, Scratch, Tokenizer};
use crate::{Error, Result};

use gather::{Gatherer, Source};

pub use batch::{Batch, Column, Lists, NO_WORD, Times};

/// Makes batches. A clone shares the tables and has working memory of its own: one for each thread.
pub struct Collate {
    shared: Arc<Shared>,
    augmenter: Option<Augmenter>,
    views: Views,
    scratch: Scratch,
    encoded: Encoded,
    /// Where the tokens of each text end in `encoded`; the views of a text, then the text itself.
    ends: Vec<usize>,
    /// Words of the tokens, where they are wanted.
    words: Vec<u16>,
    word_ends: Vec<u32>,
    order: Vec<u32>,
}

#[derive(Debug)]
struct Shared {
    gatherer: Gatherer,
    views: ViewOptions,
    options: TokenizerOptions,
    tokenizer: Arc<Tokenizer>,
}

/// How the sequences of a column are laid out.
#[derive(Clone, Copy)]
struct Layout {
    /// Augmented views of each text.
    augmented: usize,
    /// Copies of each text.
    copies: usize,
    texts: usize,
}

impl Clone for Collate {
    fn clone(&self) -> Collate {
        Collate::over(self.shared.clone(), self.augmenter.clone())
    }
}

impl Collate {
    /// A collator for records of a kind, by options that were checked; the augmenter is for those
    /// columns that have augmented views.
    ///
    /// # Errors
    /// The recipe wants views of columns that the records do not have.
    pub fn new(
        (kind, corpora): (Kind, Vec<String>),
        (views, options): (&ViewOptions, &TokenizerOptions),
        tokenizer: Arc<Tokenizer>,
        augmenter: Option<Augmenter>,
    ) -> Result<Collate> {
        let gatherer = Gatherer {
            kind,
            corpora,
            words: augmenter.is_some() || options.word_ids,
        };
        let columns = gatherer.columns();
        let wanted = views.augmented + views.copies > 0;
        if wanted && !columns.iter().any(|name| views.has(name)) {
            return Err(Error::Usage(format!(
                "[views] columns = {:?}: the records have {}; name one of these, or set augmented \
                 = 0 and copies = 0",
                views.columns,
                columns.join(", ")
            )));
        }
        let shared = Shared {
            gatherer,
            views: views.clone(),
            options: options.clone(),
            tokenizer,
        };
        Ok(Collate::over(Arc::new(shared), augmenter))
    }

    fn over(shared: Arc<Shared>, augmenter: Option<Augmenter>) -> Collate {
        Collate {
            shared,
            augmenter,
            views: Views::default(),
            scratch: Scratch::default(),
            encoded: Encoded::default(),
            ends: Vec::new(),
            words: Vec::new(),
            word_ends: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Makes the batch of a step from its rows; `start` is when reading them began.
    ///
    /// # Errors
    /// A row is not what its schema promises.
    pub fn batch(
        &mut self,
        pieces: &[Piece],
        (step, epoch): (u64, u64),
        start: Instant,
    ) -> Result<Batch> {
        let shared = self.shared.clone();
        let mut batch = Batch {
            step,
            epoch,
            ..Batch::default()
        };
        let columns = shared.gatherer.gather(pieces, &mut batch)?;
        batch.times.read = start.elapsed();
        for (name, texts) in columns {
            let column = self.column(name, &texts, pieces, &mut batch)?;
            batch.columns.push(column);
        }
        Ok(batch)
    }

    fn column(
        &mut self,
        name: &'static str,
        texts: &[Source<'_>],
        pieces: &[Piece],
        batch: &mut Batch,
    ) -> Result<Column> {
        let views = &self.shared.views;
        let has = |number: usize| if views.has(name) { number } else { 0 };
        let layout = Layout {
            augmented: has(views.augmented),
            copies: has(views.copies),
            texts: texts.len(),
        };
        let start = Instant::now();
        self.views.clear();
        if layout.augmented > 0 {
            self.augment(texts, batch.epoch, pieces)?;
        }
        let augmented = Instant::now();
        batch.bytes += self.tokenize(texts, layout);
        if let Some(failure) = self.scratch.failure() {
            return Err(failure);
        }
        let tokenized = Instant::now();
        let column = self.pad(name, layout);
        batch.times.augment += augmented - start;
        batch.times.tokenize += tokenized - augmented;
        batch.times.pad += tokenized.elapsed();
        Ok(column)
    }

    fn augment(&mut self, texts: &[Source<'_>], epoch: u64, pieces: &[Piece]) -> Result<()> {
        let augmenter = self.augmenter.as_mut();
        let augmenter = augmenter.expect("one was made for recipes with augmented views");
        for text in texts {
            let made = augmenter.views(&text.words, epoch, &mut self.views);
            made.map_err(|mismatch| {
                pieces[text.piece].wrong(format!("row {}: {mismatch}", text.row))
            })?;
        }
        Ok(())
    }

    /// Tokenizes the views of each text and then the text; gives the bytes that were tokenized.
    fn tokenize(&mut self, texts: &[Source<'_>], layout: Layout) -> u64 {
        let Collate {
            shared,
            views,
            scratch,
            encoded,
            ends,
            words,
            word_ends,
            ..
        } = self;
        let Shared {
            options, tokenizer, ..
        } = &**shared;
        let (length_max, mut bytes) = (options.length_max, 0);
        encoded.ids.clear();
        encoded.starts.clear();
        ends.clear();
        words.clear();
        // A procedure may add the original to its views; ours comes last anyway.
        let made = views.len() / texts.len().max(1);
        let mut views = views.iter();
        for text in texts {
            let augmented = views.by_ref().take(layout.augmented);
            let own = std::iter::once(text.words.text);
            for text in augmented.map(|view| view.text).chain(own) {
                tokenizer.encode(text, length_max, scratch, encoded);
                ends.push(encoded.ids.len());
                bytes += text.len() as u64;
            }
            for _ in layout.augmented..made {
                views.next();
            }
            if options.word_ids {
                ends_of_words(text, word_ends);
                let from = words.len();
                let starts = encoded.starts[from..].iter();
                words.extend(starts.map(|&start| word_at(start, word_ends)));
            }
        }
        bytes
    }

    fn pad(&mut self, name: &'static str, layout: Layout) -> Column {
        let Shared {
            options, tokenizer, ..
        } = &*self.shared;
        let views = layout.augmented + layout.copies + 1;
        let per_text = layout.augmented + 1;
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let lengths = starts.zip(&self.ends).map(|(start, end)| end - start);
        let longest = lengths.max().unwrap_or(0);
        let width = longest
            .next_multiple_of(options.pad_multiple)
            .min(options.length_max);
        let sequences = views * layout.texts;
        let mut column = Column {
            name,
            views,
            texts: layout.texts,
            width,
            ids: Vec::with_capacity(sequences * width),
            lengths: Vec::with_capacity(sequences),
            word_ids: options.word_ids.then(Vec::new),
            order: options.group_by_length.then(Vec::new),
        };
        let span = |text: usize, view: usize| {
            let at = text * per_text + view.min(layout.augmented);
            let start = if at == 0 { 0 } else { self.ends[at - 1] };
            start..self.ends[at]
        };
        for view in 0..views {
            self.order.clear();
            self.order.extend(0..layout.texts as u32);
            if options.group_by_length {
                self.order
                    .sort_by_key(|&text| span(text as usize, view).len());
            }
            for &text in &self.order {
                let span = span(text as usize, view);
                let fill = width - span.len();
                column.lengths.push(span.len() as u32);
                if let Some(words) = &mut column.word_ids {
                    words.extend_from_slice(&self.words[span.clone()]);
                    words.resize(words.len() + fill, NO_WORD);
                }
                column.ids.extend_from_slice(&self.encoded.ids[span]);
                column.ids.resize(column.ids.len() + fill, tokenizer.pad());
            }
            if let Some(order) = &mut column.order {
                order.extend_from_slice(&self.order);
            }
        }
        column
    }
}

/// Bytes at which the words of a text end.
fn ends_of_words(text: &Source<'_>, ends: &mut Vec<u32>) {
    ends.clear();
    let mut end = 0;
    for word in juzi_schemas::words::cut(text.words.text, text.words.lengths) {
        end += word.len() as u32;
        ends.push(end);
    }
}

/// Number of the word in which a token begins.
fn word_at(start: u32, ends: &[u32]) -> u16 {
    match start {
        u32::MAX => NO_WORD,
        _ => {
            let word = ends.partition_point(|&end| end <= start);
            u16::try_from(word).map_or(NO_WORD - 1, |word| word.min(NO_WORD - 1))
        }
    }
}

#[cfg(test)]
mod tests;
