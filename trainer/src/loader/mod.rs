//! The loader: from a dataset to the batches of a training, in an order that only the recipe gives.
//!
//! ```text
//! Source   step ─▶ epoch, position ─▶ permutation ─▶ row groups and rows      (no state, any step)
//!   ▼
//! worker k of n   Reader ─▶ Collate ─▶ bounded channel k      steps k, k + n, k + 2n, …
//!   ▼
//! DataLoader      receives from the channels in turn ─▶ Batch, Telemetry
//! ```
//! The data state of a training is one integer, the step. Epoch e visits a permutation computed from
//! seed and e, so any step is found without walking there, and no number of threads changes what a
//! step sees.

mod files;
mod order;
mod planned;
mod proof;
mod sharded;
mod source;
mod telemetry;
mod verify;
mod worker;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use juzi_schemas::synonym::Synonyms;

use crate::augment::{Augmenter, StopWords};
use crate::collate::{Batch, Collate};
use crate::recipe::Recipe;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

use worker::Workers;

pub use order::{Cursor, Permutation};
pub use proof::{FILE, MARK_STEPS, Mark, Proof, RECIPE, Record, Seen};
pub use source::{Piece, Reader, Source};
pub use telemetry::{Telemetry, WAIT_SHARE_MAX, WorkerTelemetry};
pub use verify::{Epoch, Verified, verify};
pub use worker::{THREAD, Threads};

/// Everything that batches follow from, opened and checked. Threads share it.
pub struct Feed {
    source: Arc<Source>,
    collate: Collate,
    columns: Vec<&'static str>,
}

/// Makes the batch of any step, on the thread of the caller.
pub struct Maker {
    source: Arc<Source>,
    reader: Reader,
    collate: Collate,
}

/// The batches of a range of steps, made by threads of its own; dropping it ends and joins them.
pub struct DataLoader {
    workers: Workers<Batch>,
    steps: Range<u64>,
    start: Option<Instant>,
    telemetry: Telemetry,
}

impl Feed {
    /// Opens what a recipe names; `data` is another place of the dataset.
    ///
    /// # Errors
    /// The recipe lacks something, or a dataset, the synonyms or the tokenizer are not there.
    pub fn open(recipe: &Recipe, data: Option<&Path>) -> Result<Feed> {
        let usage = Error::Usage;
        recipe.check_feed().map_err(usage)?;
        let dir = recipe.data.dir(data).map_err(usage)?;
        let tokenizer = Arc::new(Tokenizer::open(Path::new(&recipe.tokenizer.path))?);
        Feed::over(recipe, &dir, tokenizer)
    }

    /// As [`Feed::open`], with a tokenizer that is open already.
    ///
    /// # Errors
    /// As there.
    pub fn over(recipe: &Recipe, dir: &Path, tokenizer: Arc<Tokenizer>) -> Result<Feed> {
        let source = Source::open(&recipe.data, dir, recipe.seed)?;
        let wanted = recipe.views.augmented > 0 && !recipe.views.columns.is_empty();
        let augmenter = match wanted {
            true => Some(augmenter(recipe, dir)?),
            false => None,
        };
        let words = wanted || recipe.tokenizer.word_ids;
        if words && !source.has_words()? {
            return Err(Error::Usage(format!(
                "{}: its rows have no words, which [views] augmented and [tokenizer] word_ids \
                 need; set [shards] words = true in the plan and make it again",
                dir.display()
            )));
        }
        let collate = Collate::new(
            (source.kind, source.corpora.clone()),
            (&recipe.views, &recipe.tokenizer),
            tokenizer,
            augmenter,
        )?;
        Ok(Feed {
            columns: source.content_columns(words),
            source: Arc::new(source),
            collate,
        })
    }

    /// The dataset and its order.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// A maker for one thread.
    pub fn maker(&self) -> Maker {
        Maker {
            source: self.source.clone(),
            reader: Reader::new(self.source.clone(), self.columns.clone()),
            collate: self.collate.clone(),
        }
    }

    /// Starts threads that make the batches of a range of steps; it may end at `u64::MAX`.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn load(&self, steps: Range<u64>, threads: Threads) -> Result<DataLoader> {
        let workers = Workers::start(threads, steps.clone(), || {
            let mut maker = self.maker();
            move |step| maker.batch(step)
        })?;
        Ok(DataLoader {
            telemetry: Telemetry::new(workers.len()),
            workers,
            steps,
            start: None,
        })
    }
}

/// The augmenter of a recipe, with the synonyms it names or those beside the dataset.
fn augmenter(recipe: &Recipe, dir: &Path) -> Result<Augmenter> {
    let stop_words = StopWords::read(recipe.augment.stop_words())?;
    let own = &recipe.data.synonyms;
    let place = match own.is_empty() {
        true => dir.with_file_name("synonyms"),
        false => own.into(),
    };
    let of = |synonyms| {
        Augmenter::new(
            &recipe.augment,
            Arc::new(synonyms),
            &stop_words,
            recipe.seed,
        )
    };
    let without = of(Synonyms::default());
    match without.wants_synonyms() {
        false => Ok(without),
        true if own.is_empty() && !place.is_dir() => Err(Error::Usage(format!(
            "{}: no synonyms here, and [augment] needs them; run juzi synonyms, or name them in \
             [data] synonyms",
            place.display()
        ))),
        true => Ok(of(Synonyms::open(&place)?)),
    }
}

impl Maker {
    /// Makes the batch of a step.
    ///
    /// # Errors
    /// A file cannot be read, or a row is not what its schema promises.
    pub fn batch(&mut self, step: u64) -> Result<Batch> {
        let start = Instant::now();
        let cursor = Cursor::of(step, self.source.batches());
        let pieces = self.reader.pieces(cursor)?;
        self.collate.batch(&pieces, (step, cursor.epoch), start)
    }
}

impl DataLoader {
    /// The step whose batch comes next.
    pub fn step(&self) -> u64 {
        self.steps.start
    }

    /// The figures so far.
    pub fn telemetry(&self) -> Telemetry {
        let mut telemetry = self.telemetry.clone();
        telemetry.elapsed = self
            .start
            .map_or_else(Default::default, |start| start.elapsed());
        for (number, worker) in telemetry.workers.iter_mut().enumerate() {
            worker.blocked = Duration::from_nanos(self.workers.blocked_ns(number));
        }
        telemetry
    }

    /// Leaves time in which the consumer did something else out of the figures.
    pub fn pause(&mut self, away: Duration) {
        self.start = self.start.map(|start| start + away);
    }

    fn receive(&mut self, step: u64) -> Result<Batch> {
        let waiting = self.workers.waiting(step);
        let start = Instant::now();
        self.start.get_or_insert(start);
        let batch = self.workers.receive(step)?;
        if batch.step != step {
            let message = format!("step {} came where step {step} belongs", batch.step);
            return Err(Error::Defect(message));
        }
        let worker = self.workers.turn(step);
        self.telemetry
            .count(worker, &batch, waiting, start.elapsed());
        Ok(batch)
    }
}

/// The batches in order. After an error nothing comes.
impl Iterator for DataLoader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        let step = self.steps.next()?;
        let batch = self.receive(step);
        if batch.is_err() {
            self.steps = step..step;
        }
        Some(batch)
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
