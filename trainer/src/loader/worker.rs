//! The workers: worker k of n makes the batches of the steps that leave k when divided by n, and
//! sends them through a bounded channel of its own.
//!
//! The consumer receives from the channels in turn, so the order is the same for every n and at
//! most n × (depth + 1) batches wait. A worker that fails sends why and ends; one that ends
//! without a word before its last step closes its channel, which the consumer takes for an error.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::{Error, Result};

/// Start of the names of the threads.
pub const THREAD: &str = "feed-";

/// Threads and channels of a feed. They never change what is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    /// Workers; at least one.
    pub workers: usize,
    /// Batches that wait in each channel at most; at least one.
    pub depth: usize,
}

/// All workers, seen from the consumer. Dropping them ends and joins all threads.
pub(super) struct Workers<T> {
    receivers: Vec<Receiver<Result<T>>>,
    threads: Vec<JoinHandle<()>>,
    blocked: Vec<Arc<AtomicU64>>,
}

impl<T: Send + 'static> Workers<T> {
    /// Starts the workers of a range of steps; `make` gives each a function that makes the batch of
    /// a step.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start<M: FnMut(u64) -> Result<T> + Send + 'static>(
        threads: Threads,
        steps: Range<u64>,
        mut make: impl FnMut() -> M,
    ) -> Result<Workers<T>> {
        let count = threads.workers.max(1);
        let mut workers = Workers {
            receivers: Vec::new(),
            threads: Vec::new(),
            blocked: Vec::new(),
        };
        for number in 0..count {
            let (sender, receiver) = bounded(threads.depth.max(1));
            let blocked = Arc::new(AtomicU64::new(0));
            let worker = Worker {
                number,
                sender,
                blocked: blocked.clone(),
                make: make(),
            };
            let first = (number as u64 + count as u64 - steps.start % count as u64) % count as u64;
            let own = (steps.start.saturating_add(first)..steps.end).step_by(count);
            let thread = std::thread::Builder::new().name(format!("{THREAD}{number}"));
            let started = thread.spawn(move || worker.work(own));
            workers.receivers.push(receiver);
            workers.blocked.push(blocked);
            // Those already started end with `workers`.
            workers.threads.push(started.map_err(|error| {
                Error::Usage(format!(
                    "no thread for worker {number} of the feed: {error}; use fewer with --workers"
                ))
            })?);
        }
        Ok(workers)
    }

    /// Number of workers.
    pub fn len(&self) -> usize {
        self.receivers.len()
    }

    /// Batches that wait in the channel of the worker whose turn a step is.
    pub fn waiting(&self, step: u64) -> usize {
        self.receivers[self.turn(step)].len()
    }

    /// The worker whose turn a step is.
    pub fn turn(&self, step: u64) -> usize {
        (step % self.len() as u64) as usize
    }

    /// Nanoseconds that a worker waited for room in its channel.
    pub fn blocked_ns(&self, worker: usize) -> u64 {
        self.blocked[worker].load(Ordering::Relaxed)
    }

    /// Waits for the batch of a step, which must be the next.
    ///
    /// # Errors
    /// Its worker failed, or is gone.
    pub fn receive(&self, step: u64) -> Result<T> {
        let worker = self.turn(step);
        self.receivers[worker].recv().unwrap_or_else(|_| {
            let defect = Error::Defect("it ended before its last step, without a reason".into());
            Err(failed(worker, step, defect))
        })
    }
}

impl<T> Drop for Workers<T> {
    fn drop(&mut self) {
        // Without a receiver nobody waits for room; only then can all be joined.
        self.receivers.clear();
        for thread in self.threads.drain(..) {
            // What it had to say it has sent.
            let _ = thread.join();
        }
    }
}

/// One worker, on its own thread.
struct Worker<T, M> {
    number: usize,
    sender: Sender<Result<T>>,
    blocked: Arc<AtomicU64>,
    make: M,
}

impl<T, M: FnMut(u64) -> Result<T>> Worker<T, M> {
    fn work(mut self, steps: impl Iterator<Item = u64>) {
        for step in steps {
            let made = catch_unwind(AssertUnwindSafe(|| (self.make)(step)));
            let outcome = made
                .unwrap_or_else(|panic| Err(Error::Defect(words(&*panic))))
                .map_err(|error| failed(self.number, step, error));
            let failed = outcome.is_err();
            // No receiver: the consumer has gone, and nobody is left to tell.
            if !self.send(outcome) || failed {
                return;
            }
        }
    }

    /// Sends and counts the time without room; says whether anybody listens.
    fn send(&self, outcome: Result<T>) -> bool {
        match self.sender.try_send(outcome) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(outcome)) => {
                let start = Instant::now();
                let sent = self.sender.send(outcome).is_ok();
                let waited = start.elapsed().as_nanos() as u64;
                self.blocked.fetch_add(waited, Ordering::Relaxed);
                sent
            }
        }
    }
}

fn failed(worker: usize, step: u64, source: Error) -> Error {
    let source = Box::new(source);
    Error::Worker {
        worker,
        step,
        source,
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panic: {}", text.unwrap_or_else(|| "no words".into()))
}

#[cfg(test)]
mod tests {
    use super::{Threads, Workers};
    use crate::{Error, Result};

    type Make = Box<dyn FnMut(u64) -> Result<u64> + Send>;

    fn start(workers: usize, make: fn(u64) -> Result<u64>) -> Workers<u64> {
        let threads = Threads { workers, depth: 2 };
        Workers::start(threads, 5..u64::MAX, || Box::new(make) as Make).unwrap()
    }

    #[test]
    fn every_number_of_workers_gives_one_order() {
        for count in 1..=8 {
            let workers = start(count, Ok);
            let steps: Vec<u64> = (5..500)
                .map(|step| workers.receive(step).unwrap())
                .collect();
            assert!(steps.iter().copied().eq(5..500), "{count}");
        }
    }

    #[test]
    fn a_failure_stands_at_its_step_and_names_its_worker() {
        let workers = start(3, |step| match step {
            30 => Err(Error::Usage("broken".into())),
            other => Ok(other),
        });
        assert!((5..30).all(|step| workers.receive(step).unwrap() == step));
        let error = workers.receive(30).unwrap_err();
        assert_eq!(error.to_string(), "worker 0 of the feed, step 30: broken");
        assert_eq!(error.exit_code(), 1);
        // After its failure the worker is gone; a step of its is an error again, not a wait.
        let error = workers.receive(33).unwrap_err().to_string();
        assert!(
            error.contains("worker 0") && error.contains("before its last step"),
            "{error}"
        );
        assert_eq!(workers.receive(31).unwrap(), 31);
    }

    #[test]
    fn a_panic_is_an_error() {
        let workers = start(2, |step| match step {
            9 => panic!("no {step}"),
            other => Ok(other),
        });
        assert!((5..9).all(|step| workers.receive(step).unwrap() == step));
        let error = workers.receive(9).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("worker 1 of the feed, step 9: panic: no 9")
        );
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn they_end_when_dropped_at_any_moment() {
        for taken in 0..20 {
            let workers = start(4, Ok);
            (5..5 + taken).for_each(|step| drop(workers.receive(step)));
            // Hangs here if a worker waits for ever.
            drop(workers);
        }
    }
}
