//! Parallel work whose results are taken in order: a bounded window between workers and a consumer.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};

use super::workers;
use crate::error::Result;

/// Runs `step` on `threads` named threads and hands what it gives to `take`, on this thread, by
/// rising number, from 0 and without a gap. A worker that is too far ahead waits, so at most
/// `2 * threads + 2` results are held.
///
/// `step` gives the next result with its number, or nothing at the end. Numbers must be given out
/// in order: whoever gets one has it worked out without waiting for a later one.
///
/// # Errors
/// The first error of `take` or of a worker; `Interrupted` when a stop was asked for.
/// A panic of a worker goes on in the caller once all are joined.
pub fn run<T: Send, W>(
    threads: usize,
    name: &str,
    resume: &str,
    start: impl Fn() -> W + Sync,
    step: impl Fn(&mut W) -> Result<Option<(u64, T)>> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let window = Window::new(2 * threads.max(1) as u64 + 2);
    let produce = || {
        let _ended = OnDrop(|| window.change(|state| state.ended = true));
        workers::run(threads, name, resume, |stop| {
            // An error or a panic leaves a gap that the others must not wait for.
            let failed = OnDrop(|| window.change(|state| state.closed = true));
            let mut worker = start();
            while !stop.stopped() {
                let Some((number, item)) = step(&mut worker)? else {
                    break;
                };
                if !window.put(number, item) {
                    break;
                }
            }
            std::mem::forget(failed);
            Ok(())
        })
    };
    std::thread::scope(|scope| {
        let producer = std::thread::Builder::new()
            .name(name.into())
            .spawn_scoped(scope, produce)
            .expect("the system gives a thread");
        let taken = {
            let _closed = OnDrop(|| window.change(|state| state.closed = true));
            loop {
                match window.next().map(&mut take) {
                    Some(Ok(())) => {}
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                }
            }
        };
        match producer.join() {
            Ok(produced) => taken.and(produced),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

struct Window<T> {
    ahead: u64,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    next: u64,
    waiting: BTreeMap<u64, T>,
    /// Nothing more is wanted, or can be had in order.
    closed: bool,
    /// All workers are gone.
    ended: bool,
}

impl<T> Window<T> {
    fn new(ahead: u64) -> Window<T> {
        let state = State {
            next: 0,
            waiting: BTreeMap::new(),
            closed: false,
            ended: false,
        };
        Window {
            ahead,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no holder panics")
    }

    fn change(&self, change: impl Fn(&mut State<T>)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits for its place in the window; false when nothing is wanted any more.
    fn put(&self, number: u64, item: T) -> bool {
        let full =
            |state: &mut State<T>| !state.closed && number >= state.next.saturating_add(self.ahead);
        let mut state = self
            .changed
            .wait_while(self.state(), full)
            .expect("no holder panics");
        if state.closed {
            return false;
        }
        state.waiting.insert(number, item);
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Waits for the next result in order; nothing once no more can come.
    fn next(&self) -> Option<T> {
        let early = |state: &mut State<T>| !state.ended && !state.waiting.contains_key(&state.next);
        let mut state = self
            .changed
            .wait_while(self.state(), early)
            .expect("no holder panics");
        let next = state.next;
        let item = state.waiting.remove(&next)?;
        state.next += 1;
        drop(state);
        self.changed.notify_all();
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::run;
    use crate::error::{Error, Result};
    use std::sync::atomic::{AtomicU64, Ordering};

    fn numbers(threads: usize, fail: u64, mut take: impl FnMut(u64) -> Result<()>) -> Result<()> {
        let next = AtomicU64::new(0);
        let step = |_: &mut ()| {
            let number = next.fetch_add(1, Ordering::SeqCst);
            if number.is_multiple_of(7) {
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
            match number {
                _ if number == fail => Err(Error::Usage("a worker".into())),
                0..500 => Ok(Some((number, number))),
                _ => Ok(None),
            }
        };
        run(threads, "test", "", || (), step, &mut take)
    }

    #[test]
    fn results_come_in_order() {
        for threads in [1, 2, 8] {
            let mut all = Vec::new();
            let take = |number| {
                all.push(number);
                Ok(())
            };
            numbers(threads, u64::MAX, take).unwrap();
            assert_eq!(all, (0..500).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_on_either_side_ends_all() {
        let result = numbers(4, 100, |_| Ok(()));
        assert!(matches!(result, Err(Error::Usage(message)) if message == "a worker"));
        let take = |number| match number {
            50 => Err(Error::Usage("the consumer".into())),
            _ => Ok(()),
        };
        let result = numbers(4, u64::MAX, take);
        assert!(matches!(result, Err(Error::Usage(message)) if message == "the consumer"));
    }

    #[test]
    fn a_panic_on_either_side_goes_on() {
        let worker = std::panic::catch_unwind(|| {
            let next = AtomicU64::new(0);
            let step = |_: &mut ()| match next.fetch_add(1, Ordering::SeqCst) {
                9 => panic!("a worker"),
                number => Ok(Some((number, ()))),
            };
            run(3, "test", "", || (), step, |()| Ok(()))
        });
        assert!(worker.is_err());
        let consumer =
            std::panic::catch_unwind(|| numbers(3, u64::MAX, |_| panic!("the consumer")));
        assert!(consumer.is_err());
    }
}
