//! Where the time of a step goes, for benchmarks: nothing is measured until it is asked for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(not(unix))]
use std::time::Instant;

/// Kinds of work in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Products of states and weights, forward.
    Linear,
    /// Products of gradients and weights.
    LinearBackward,
    /// Products of gradients and states, which are the gradients of weights.
    Weights,
    /// Attention, forward.
    Attention,
    /// Attention, backward.
    AttentionBackward,
    /// Layer norms with dropout and residual, both ways.
    Norm,
    /// GELU, both ways.
    Gelu,
    /// Embeddings, both ways.
    Embeddings,
    /// The optimizer.
    Optimizer,
}

/// All kinds.
pub const WORKS: [Work; 9] = [
    Work::Linear,
    Work::LinearBackward,
    Work::Weights,
    Work::Attention,
    Work::AttentionBackward,
    Work::Norm,
    Work::Gelu,
    Work::Embeddings,
    Work::Optimizer,
];

static ON: AtomicBool = AtomicBool::new(false);
static NANOSECONDS: [AtomicU64; WORKS.len()] = [const { AtomicU64::new(0) }; WORKS.len()];

/// Begins or stops to measure.
pub fn measure(on: bool) {
    ON.store(on, Ordering::Relaxed);
}

/// Seconds that threads had a processor in each kind of work since the last call.
pub fn take() -> [(Work, f64); WORKS.len()] {
    WORKS.map(|work| {
        let nanoseconds = NANOSECONDS[work as usize].swap(0, Ordering::Relaxed);
        (work, nanoseconds as f64 / 1e9)
    })
}

/// Does something that belongs to a kind of work, on this thread alone.
pub fn timed<T>(work: Work, this: impl FnOnce() -> T) -> T {
    if !ON.load(Ordering::Relaxed) {
        return this();
    }
    let start = now();
    let done = this();
    NANOSECONDS[work as usize].fetch_add(now() - start, Ordering::Relaxed);
    done
}

/// Nanoseconds that this thread had a processor.
#[cfg(unix)]
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes to the time that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Nanoseconds on the clock, where a thread's own are not told.
#[cfg(not(unix))]
fn now() -> u64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}
