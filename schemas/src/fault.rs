//! Crash points: places where a run kills itself, so that resuming can be proved.
//!
//! With `JUZI_CRASH_AT=n` in the environment the process sends itself SIGKILL at the n-th crash
//! point that it reaches. Without it a point costs one load. `juzi selftest` walks through all n.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Name of the environment variable that arms the crash points.
pub const VARIABLE: &str = "JUZI_CRASH_AT";

static REACHED: AtomicU64 = AtomicU64::new(0);

fn armed() -> Option<u64> {
    static AT: OnceLock<Option<u64>> = OnceLock::new();
    *AT.get_or_init(|| {
        std::env::var(VARIABLE)
            .ok()
            .and_then(|value| value.parse().ok())
    })
}

/// True when this call is the one to die in; the caller may first leave a half-done effect.
pub fn strikes() -> bool {
    armed().is_some_and(|at| REACHED.fetch_add(1, Ordering::Relaxed) + 1 == at)
}

/// Dies here if this is the chosen point.
pub fn point(name: &str) {
    if strikes() {
        die(name);
    }
}

/// Kills the process as `kill -9` does: no destructor runs and no buffer is written.
pub fn die(name: &str) -> ! {
    use std::io::Write;
    // The message goes out before the signal; a failure to print must not change the crash.
    let _ = writeln!(std::io::stderr(), "crash point: {name}");
    // SAFETY: plain system calls without memory arguments.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
    }
    loop {
        std::thread::park();
    }
}
