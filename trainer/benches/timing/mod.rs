//! What the benchmarks have in common: variables, times on a processor, lines of figures.

use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Instant;

/// Runs a benchmark, unless only its building is asked for.
pub fn main(bench: impl FnOnce() -> Result<(), String>) -> ExitCode {
    // `cargo test --benches` only asks whether this builds.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Median time of a few rounds in seconds on a processor; one more goes before them.
pub fn median(mut work: impl FnMut()) -> f64 {
    let rounds = number("BENCH_ROUNDS", 5usize).max(1);
    let start = Instant::now();
    work();
    // The system counts a thread's time in ticks, so a measurement takes many of them.
    let repeats = (0.3 / start.elapsed().as_secs_f64()).ceil().max(1.0);
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = on_processor();
            (0..repeats as usize).for_each(|_| work());
            (on_processor() - start) / repeats
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[rounds / 2]
}

/// Seconds that this thread had a processor, so that other work of the machine does not count;
/// where the system does not tell, seconds on the clock.
pub fn on_processor() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| START.elapsed().as_secs_f64(), |ns| ns / 1e9)
}

/// A file as text.
pub fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// A number from a variable.
pub fn number<N: std::str::FromStr>(name: &str, default: N) -> N {
    let told = variable(name).and_then(|value| value.parse().ok());
    told.unwrap_or(default)
}

/// A variable that is set to something.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Benchmarks print their figures; there is no other output.
#[allow(clippy::print_stdout)]
pub fn say(line: &str) {
    println!("{line}");
}
