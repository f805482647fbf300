//! Progress of a phase: a bar on a terminal, a plain line every few seconds elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::size::Size;

/// Time between plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What a phase counts; workers add to it.
#[derive(Debug, Default)]
pub struct Counters {
    /// Bytes done of the phase's total.
    pub bytes: AtomicU64,
    /// Rows done.
    pub rows: AtomicU64,
}

/// A running phase; ends when dropped.
pub struct Phase {
    /// Shared with the workers.
    pub counters: Arc<Counters>,
    ended: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Phase {
    /// Starts showing a phase of so many bytes; `quiet` shows nothing.
    pub fn start(name: &'static str, total: u64, quiet: bool) -> Phase {
        let counters = Arc::new(Counters::default());
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let (shared, end) = (counters.clone(), ended.clone());
        let show = move || show(name, total, &shared, &end);
        let thread = (!quiet).then(|| {
            std::thread::Builder::new()
                .name("progress".into())
                .spawn(show)
        });
        Phase {
            counters,
            ended,
            thread: thread.and_then(Result::ok),
        }
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        *self.ended.0.lock().expect("no holder panics") = true;
        self.ended.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there only concerned the display.
            let _ = thread.join();
        }
    }
}

fn show(name: &str, total: u64, counters: &Counters, ended: &(Mutex<bool>, Condvar)) {
    let terminal = std::io::stderr().is_terminal();
    let bar = terminal.then(|| {
        let style =
            "{prefix:>8} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {msg} eta {eta}";
        let style = ProgressStyle::with_template(style)
            .expect("a constant template")
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        bar.with_style(style).with_prefix(name.to_string())
    });
    let started = Instant::now();
    let every = if terminal {
        Duration::from_millis(120)
    } else {
        LINE_EVERY
    };
    let mut done = ended.0.lock().expect("no holder panics");
    while !*done {
        done = ended
            .1
            .wait_timeout(done, every)
            .expect("no holder panics")
            .0;
        let bytes = counters.bytes.load(Ordering::Relaxed).min(total);
        let rows = counters.rows.load(Ordering::Relaxed);
        let seconds = started.elapsed().as_secs_f64().max(1e-3);
        let rate = rows as f64 / seconds;
        match &bar {
            Some(bar) => {
                bar.set_position(bytes);
                bar.set_message(format!("{rows} rows, {rate:.0} rows/s"));
            }
            None if !*done => {
                let left = seconds * total.saturating_sub(bytes) as f64 / bytes.max(1) as f64;
                let (bytes, total) = (Size(bytes), Size(total));
                // Progress is talk; a closed stderr must not stop the work.
                let _ = writeln!(
                    std::io::stderr(),
                    "{name}: {bytes} of {total}, {rows} rows, {rate:.0} rows/s, about {left:.0} s left"
                );
            }
            None => {}
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let rows = counters.rows.load(Ordering::Relaxed);
    let seconds = started.elapsed().as_secs_f64();
    let rate = total as f64 / 1e6 / seconds.max(1e-3);
    let _ = writeln!(
        std::io::stderr(),
        "{name}: {rows} rows, {} in {seconds:.1} s, {rate:.0} MB/s",
        Size(total)
    );
}
