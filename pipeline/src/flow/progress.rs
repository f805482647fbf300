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

/// What a phase's total counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Rows,
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
        Phase::measured(name, total, Unit::Bytes, quiet)
    }

    /// Starts showing a phase of so many rows.
    pub fn of_rows(name: &'static str, total: u64, quiet: bool) -> Phase {
        Phase::measured(name, total, Unit::Rows, quiet)
    }

    fn measured(name: &'static str, total: u64, unit: Unit, quiet: bool) -> Phase {
        let counters = Arc::new(Counters::default());
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let (shared, end) = (counters.clone(), ended.clone());
        let show = move || show(name, total, unit, &shared, &end);
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

fn show(name: &str, total: u64, unit: Unit, counters: &Counters, ended: &(Mutex<bool>, Condvar)) {
    let terminal = std::io::stderr().is_terminal();
    let bar = terminal.then(|| {
        let style = match unit {
            Unit::Bytes => {
                "{prefix:>8} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {msg} eta {eta}"
            }
            Unit::Rows => "{prefix:>8} [{bar:30}] {pos}/{len} {msg} eta {eta}",
        };
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
    let mut over = ended.0.lock().expect("no holder panics");
    while !*over {
        over = ended
            .1
            .wait_timeout(over, every)
            .expect("no holder panics")
            .0;
        let rows = counters.rows.load(Ordering::Relaxed);
        let done = match unit {
            Unit::Bytes => counters.bytes.load(Ordering::Relaxed),
            Unit::Rows => rows,
        };
        let done = done.min(total);
        let seconds = started.elapsed().as_secs_f64().max(1e-3);
        let rate = rows as f64 / seconds;
        match &bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(match unit {
                    Unit::Bytes => format!("{rows} rows, {rate:.0} rows/s"),
                    Unit::Rows => format!("{rate:.0} rows/s"),
                });
            }
            None if !*over => {
                let left = match done {
                    0 => "time left not known yet".to_string(),
                    _ => {
                        let left = seconds * total.saturating_sub(done) as f64 / done as f64;
                        format!("about {left:.0} s left")
                    }
                };
                let place = match unit {
                    Unit::Bytes => format!("{} of {}, {rows} rows", Size(done), Size(total)),
                    Unit::Rows => format!("{rows} of {total} rows"),
                };
                // Progress is talk; a closed stderr must not stop the work.
                let _ = writeln!(
                    std::io::stderr(),
                    "{name}: {place}, {rate:.0} rows/s, {left}"
                );
            }
            None => {}
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let rows = counters.rows.load(Ordering::Relaxed);
    if rows == 0 && counters.bytes.load(Ordering::Relaxed) == 0 {
        // Everything was remembered from an earlier run.
        return;
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = total as f64 / seconds.max(1e-3);
    let rate = match unit {
        Unit::Bytes => format!(
            "{rows} rows, {} in {seconds:.1} s, {:.0} MB/s",
            Size(total),
            rate / 1e6
        ),
        Unit::Rows => format!("{rows} rows in {seconds:.1} s, {rate:.0} rows/s"),
    };
    let _ = writeln!(std::io::stderr(), "{name}: {rate}");
}

/// Says a line on stderr.
pub fn say(line: &str) {
    // Talk; a closed stderr must not stop the work.
    let _ = writeln!(std::io::stderr(), "{line}");
}
