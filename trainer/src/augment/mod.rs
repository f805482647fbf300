//! Views of a text by small changes to its words: EDA as LUSE does it, and its relatives.
//!
//! ```text
//! Words ─▶ sentence  bytes of the words, synonyms of each, once for all views
//!             ▼
//!          procedure which operators make which view ◀─ options
//!             ▼
//!          operators change tokens (words and synonyms) ─▶ Views
//! ```
//! A view is a pure function of seed, epoch, record id, number of the text, number of the view,
//! options, synonyms and stop words.

mod lexicon;
mod operators;
mod options;
mod procedure;
mod sentence;
mod stop_words;
mod trace;
mod views;

use std::sync::Arc;

use juzi_schemas::random::Draws;
use juzi_schemas::synonym::Synonyms;

use lexicon::Lexicon;
use procedure::Procedure;
use sentence::{Context, Sentence};
use views::Entry;

pub use operators::{Name, Operator};
pub use options::{Apply, Eda, Listed, Luse, Options, Unchanged};
pub use sentence::{Mismatch, Words};
pub use stop_words::StopWords;
pub use trace::Step;
pub use views::{Operators, View, Views};

/// Keeps these draws apart from other uses of the seed.
const STREAM: u64 = 0x6175_676d;

/// In place of the number of a view: the draws that say which operators make which view.
const ASSIGNMENT: u64 = u32::MAX as u64;

/// How often a view is made again under [`Unchanged::Refuse`].
const REDRAWS: u8 = 8;

/// Makes views. A clone shares the tables and has working memory of its own: one for each thread.
#[derive(Debug)]
pub struct Augmenter {
    shared: Arc<Shared>,
    sentence: Sentence,
    work: operators::Work,
    assigned: Vec<u32>,
}

#[derive(Debug)]
struct Shared {
    procedure: Procedure,
    unchanged: Unchanged,
    synonyms: Arc<Synonyms>,
    /// None where no operator looks for synonyms.
    lexicon: Option<Lexicon>,
    seed: u64,
}

impl Clone for Augmenter {
    fn clone(&self) -> Augmenter {
        Augmenter::over(self.shared.clone())
    }
}

impl Augmenter {
    /// An augmenter for options that passed [`Options::check`].
    pub fn new(
        options: &Options,
        synonyms: Arc<Synonyms>,
        stop_words: &StopWords,
        seed: u64,
    ) -> Augmenter {
        let procedure = Procedure::new(options);
        let wanted = procedure.wants_synonyms();
        Augmenter::over(Arc::new(Shared {
            lexicon: wanted.then(|| Lexicon::new(&synonyms, stop_words)),
            procedure,
            unchanged: options.unchanged(),
            synonyms,
            seed,
        }))
    }

    fn over(shared: Arc<Shared>) -> Augmenter {
        Augmenter {
            shared,
            sentence: Sentence::default(),
            work: operators::Work::default(),
            assigned: Vec::new(),
        }
    }

    /// Whether any operator looks for synonyms.
    pub fn wants_synonyms(&self) -> bool {
        self.shared.lexicon.is_some()
    }

    /// Appends the views of a text in an epoch to `out`.
    ///
    /// # Errors
    /// The lengths of the words do not add up to the text; nothing is appended then.
    pub fn views(
        &mut self,
        words: &Words<'_>,
        epoch: u64,
        out: &mut Views,
    ) -> Result<(), Mismatch> {
        let shared = &*self.shared;
        let lexicon = shared.lexicon.as_ref();
        self.sentence
            .take(words, lexicon.map(|lexicon| (lexicon, &*shared.synonyms)))?;
        let context = Context {
            text: words.text,
            sentence: &self.sentence,
            synonyms: &shared.synonyms,
        };
        let draws = |view: u64| {
            let view = u64::from(words.number) << 32 | view;
            Draws::new(shared.seed, STREAM, epoch, words.id, view)
        };
        let procedure = &shared.procedure;
        procedure.assign(&mut draws(ASSIGNMENT), &mut self.assigned);
        self.work.trace.on = out.trace;
        let tries = match shared.unchanged {
            Unchanged::Keep => 0,
            Unchanged::Refuse => REDRAWS,
        };
        for (view, &assigned) in self.assigned.iter().enumerate() {
            let operators = procedure.operators(assigned);
            let mut draws = draws(view as u64);
            let (start, mut redraws) = (out.text.len(), 0);
            let changed = loop {
                self.work
                    .make(context, operators, &mut draws, &mut out.text);
                let changed = &out.text[start..] != words.text;
                if changed || redraws == tries {
                    break changed;
                }
                out.text.truncate(start);
                self.work.trace.steps.clear();
                redraws += 1;
            };
            out.steps.append(&mut self.work.trace.steps);
            let names = operators.iter().map(|operator| operator.name);
            out.entries.push(Entry {
                end: out.text.len(),
                steps_end: out.steps.len(),
                operators: names.fold(Operators::default(), Operators::with),
                changed,
                redraws,
            });
        }
        if procedure.original {
            out.text.push_str(words.text);
            out.entries.push(Entry {
                end: out.text.len(),
                steps_end: out.steps.len(),
                operators: Operators::default(),
                changed: false,
                redraws: 0,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod luse_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
