//! A pool of named threads over shared work: the first error stops all, and all are joined.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::interrupt;
use crate::error::{Error, Result};

/// Tells a worker whether to go on.
pub struct Stop(AtomicBool);

impl Stop {
    /// True once another worker failed or a stop was asked for.
    pub fn stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) || interrupt::asked()
    }
}

/// Runs `work` on `threads` threads until each returns.
///
/// # Errors
/// The first error of any worker; `Interrupted` when a stop was asked for and no worker failed.
/// A panic of a worker goes on in the caller once all are joined.
pub fn run(
    threads: usize,
    name: &str,
    resume: &str,
    work: impl Fn(&Stop) -> Result<()> + Sync,
) -> Result<()> {
    let stop = Stop(AtomicBool::new(false));
    let first = Mutex::new(None);
    std::thread::scope(|scope| {
        for number in 0..threads.max(1) {
            let run = || {
                if let Err(error) = work(&stop) {
                    stop.0.store(true, Ordering::Relaxed);
                    first.lock().expect("no holder panics").get_or_insert(error);
                }
            };
            std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn_scoped(scope, run)
                .expect("the system gives a thread");
        }
    });
    match first.into_inner().expect("no holder panics") {
        Some(error) => Err(error),
        None if interrupt::asked() => Err(Error::Interrupted {
            resume: resume.into(),
        }),
        None => Ok(()),
    }
}

/// Who does a piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Team<'t> {
    /// Worker threads.
    pub threads: usize,
    /// Their name.
    pub name: &'t str,
    /// The command that goes on after an interruption.
    pub resume: &'t str,
    /// Counts what [`chunks`] has done.
    pub done: Option<&'t AtomicU64>,
}

/// Does `work` for every range of `size` numbers below `total`; gives the results in order.
///
/// # Errors
/// As [`run`].
pub fn chunks<T: Send>(
    team: &Team<'_>,
    total: usize,
    size: usize,
    work: impl Fn(Range<usize>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let count = total.div_ceil(size);
    let results: Vec<Mutex<Option<T>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    run(team.threads.min(count), team.name, team.resume, |stop| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(result) = results.get(number).filter(|_| !stop.stopped()) else {
                return Ok(());
            };
            let range = number * size..((number + 1) * size).min(total);
            let length = range.len() as u64;
            *result.lock().expect("no holder panics") = Some(work(range)?);
            if let Some(done) = team.done {
                done.fetch_add(length, Ordering::Relaxed);
            }
        }
    })?;
    let done = results.into_iter().map(|result| {
        let result = result.into_inner().expect("no holder panics");
        result.expect("every range was worked on")
    });
    Ok(done.collect())
}

#[cfg(test)]
mod tests {
    use super::{Error, run};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_first_error_stops_all() {
        let ended = AtomicUsize::new(0);
        let number = AtomicUsize::new(0);
        let result = run(4, "test", "", |stop| {
            if number.fetch_add(1, Ordering::SeqCst) == 2 {
                return Err(Error::Usage("the third worker".into()));
            }
            while !stop.stopped() {
                std::thread::yield_now();
            }
            ended.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        assert!(matches!(result, Err(Error::Usage(message)) if message == "the third worker"));
        assert_eq!(ended.load(Ordering::SeqCst), 3);
    }
}
