//! A pool of named threads over shared work: the first error stops all, and all are joined.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

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
