//! The walk over a dataset: readers hand slices of batches to workers, each counts for itself.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use crossbeam_channel::{Receiver, Sender, bounded};
use juzi_schemas::shard;
use juzi_schemas::synonym::Synonyms;

use super::{Counter, Counts, Report};
use crate::augment::{Augmenter, StopWords, Views};
use crate::rows::{Rows, Shards};
use crate::{Error, Result};

/// Rows that a worker takes at once.
const SLICE: usize = 4096;

/// A slice of a batch: which file it is of, the number of its first row there.
struct Slice {
    file: usize,
    first: u64,
    batch: RecordBatch,
}

/// What all threads share.
struct Walk<'a> {
    shards: &'a Shards,
    synonyms: &'a Synonyms,
    stop_words: &'a StopWords,
    epoch: u64,
    next_file: AtomicUsize,
    failed: AtomicBool,
}

/// What a worker brings home.
#[derive(Default)]
struct Harvest {
    counts: Counts,
    making: Duration,
}

/// Makes all views of a dataset in an epoch and counts them. The counts are the same for every
/// number of threads.
///
/// # Errors
/// A file cannot be read, or the words of a row do not add up.
pub fn walk(
    shards: &Shards,
    augmenter: &Augmenter,
    (synonyms, stop_words): (&Synonyms, &StopWords),
    epoch: u64,
    threads: usize,
) -> Result<Report> {
    let start = Instant::now();
    let walk = Walk {
        shards,
        synonyms,
        stop_words,
        epoch,
        next_file: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
    };
    let threads = threads.max(1);
    // Decoding a row costs about a third of making and measuring its views.
    let readers = threads.div_ceil(3).min(shards.files.len().max(1));
    let (sender, receiver) = bounded(2 * threads);
    let (whole, first_error) = (Mutex::new(Harvest::default()), Mutex::new(None));
    let outcome = |result: Result<Option<Harvest>>| match result {
        Ok(None) => {}
        Ok(Some(part)) => {
            let mut whole = whole.lock().expect("no holder panics");
            whole.counts.add(&part.counts);
            whole.making += part.making;
        }
        Err(error) => {
            walk.failed.store(true, Ordering::Relaxed);
            let mut first = first_error.lock().expect("no holder panics");
            first.get_or_insert(error);
        }
    };
    std::thread::scope(|scope| {
        let thread = |name: String| std::thread::Builder::new().name(name);
        for number in 0..readers {
            let (walk, sender, outcome) = (&walk, sender.clone(), &outcome);
            let read = move || outcome(walk.read(&sender).map(|()| None));
            let started = thread(format!("read-{number}")).spawn_scoped(scope, read);
            started.expect("the system gives a thread");
        }
        for number in 0..threads {
            let (walk, receiver, outcome) = (&walk, receiver.clone(), &outcome);
            let count = move || outcome(walk.count(&receiver, augmenter.clone()).map(Some));
            let started = thread(format!("augment-{number}")).spawn_scoped(scope, count);
            started.expect("the system gives a thread");
        }
        // Only threads hold the ends of the channel, so it closes when they are done.
        drop((sender, receiver));
    });
    let whole = whole.into_inner().expect("no holder panics");
    match first_error.into_inner().expect("no holder panics") {
        Some(error) => Err(error),
        None => Ok(Report {
            counts: whole.counts,
            making: whole.making,
            elapsed: start.elapsed(),
        }),
    }
}

impl Walk<'_> {
    fn read(&self, sender: &Sender<Slice>) -> Result<()> {
        loop {
            let file = self.next_file.fetch_add(1, Ordering::Relaxed);
            let Some((path, _)) = self.shards.files.get(file) else {
                return Ok(());
            };
            let mut first = 0;
            for batch in shard::read(path)? {
                let batch = batch?;
                let mut at = 0;
                while at < batch.num_rows() {
                    let rows = SLICE.min(batch.num_rows() - at);
                    let slice = Slice {
                        file,
                        first,
                        batch: batch.slice(at, rows),
                    };
                    // No receiver is left only after all workers failed; they say why.
                    if self.failed.load(Ordering::Relaxed) || sender.send(slice).is_err() {
                        return Ok(());
                    }
                    at += rows;
                    first += rows as u64;
                }
            }
        }
    }

    fn count(&self, slices: &Receiver<Slice>, mut augmenter: Augmenter) -> Result<Harvest> {
        let (mut counter, mut making) = (Counter::default(), Duration::ZERO);
        let mut views = Views::default();
        for slice in slices {
            let (path, kind) = &self.shards.files[slice.file];
            let rows = Rows::new(&slice.batch, *kind, path, slice.first)?;
            rows.each(|row| {
                counter.counts.rows += 1;
                for words in row.texts {
                    views.clear();
                    let start = Instant::now();
                    augmenter
                        .views(words, self.epoch, &mut views)
                        .map_err(|mismatch| Error::Row {
                            path: path.clone(),
                            row: row.number,
                            message: mismatch.to_string(),
                        })?;
                    making += start.elapsed();
                    counter.words(words, self.synonyms, self.stop_words);
                    counter.views(words.text, &views);
                }
                Ok(true)
            })?;
        }
        Ok(Harvest {
            counts: counter.counts,
            making,
        })
    }
}
