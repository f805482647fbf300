//! How far the work is: counts of a run, and a line of talk now and then.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two lines.
const EVERY: Duration = Duration::from_secs(5);

/// Counts of a run.
#[derive(Debug)]
pub struct Progress {
    /// Bytes of the input.
    bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the first window came, and where in the input it began.
    begun: Option<(Instant, u64)>,
    said: Option<Instant>,
    texts: u64,
    tokens: u64,
    read: u64,
}

impl Progress {
    /// Nothing done of an input of some bytes.
    pub fn new(bytes: u64) -> Progress {
        Progress {
            bytes,
            state: Mutex::default(),
        }
    }

    /// A window begins at this byte of the input.
    pub fn begin(&self, read: u64) {
        let mut state = self.lock();
        state.begun.get_or_insert((Instant::now(), read));
        state.read = read;
    }

    /// Some texts and tokens are done, and the input up to this byte.
    pub fn add(&self, (texts, tokens): (usize, usize), read: u64) {
        let mut state = self.lock();
        state.texts += texts as u64;
        state.tokens += tokens as u64;
        state.read = read;
    }

    /// Texts and tokens done.
    pub fn done(&self) -> (u64, u64) {
        let state = self.lock();
        (state.texts, state.tokens)
    }

    /// A line, when it is time for one.
    pub fn line(&self) -> Option<String> {
        let mut state = self.lock();
        let (begun, from) = state.begun?;
        if state.said.unwrap_or(begun).elapsed() < EVERY {
            return None;
        }
        state.said = Some(Instant::now());
        let seconds = begun.elapsed().as_secs_f64();
        let share = state.read as f64 / self.bytes.max(1) as f64;
        let left = self.bytes.saturating_sub(state.read) as f64;
        let left = left * seconds / (state.read.saturating_sub(from)).max(1) as f64;
        Some(format!(
            "embed: {:.1} % of the input, {} texts, {:.0} texts/s, {:.0} tokens/s, {} left",
            100.0 * share,
            state.texts,
            state.texts as f64 / seconds,
            state.tokens as f64 / seconds,
            clock(left as u64)
        ))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds as `1:02:03`.
fn clock(seconds: u64) -> String {
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}
