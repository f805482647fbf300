//! Ctrl-C: the first asks for a clean stop, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Listens for Ctrl-C and SIGTERM from now on.
pub fn listen() {
    let handler = || {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    };
    // A second call finds the handler in place, which is all that is wanted.
    let _ = ctrlc::set_handler(handler);
}

/// True once a stop was asked for.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
