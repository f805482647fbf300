//! `make bench`: speed and memory of `juzi shards`, beside its limits and beside other tools.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_INPUT` | a news2016zh-style file | one is made of sentences of the sample |
//! | `BENCH_GB` | size of the file that is made | 1 |
//! | `BENCH_ROUNDS` | rounds of each whole run | 3 |
//! | `BENCH_DIR` | where files go | `target/bench` |
//! | `PEERS` | directory with `shards_polars.py` and others, and a `.venv` | none run |
//!
//! Whole runs alternate with the peers', so that a drift of the machine meets all of them. The
//! limits are each measured alone on one core, in this process, over part of the same text.

#[path = "../child.rs"]
mod child;
mod input;
mod limits;
mod runs;

use std::path::PathBuf;
use std::process::ExitCode;

use input::variable;

fn main() -> ExitCode {
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

fn bench() -> Result<(), String> {
    // Cargo runs benchmarks in the package's directory; the files belong to the workspace.
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let dir = variable("BENCH_DIR").map_or_else(|| root.join("target/bench"), PathBuf::from);
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let file = match variable("BENCH_INPUT") {
        Some(file) => PathBuf::from(file),
        None => input::make(&root, &dir)?,
    };
    // Runs first: a child's peak counts what its parent held when it was started.
    runs::measure(&file, &dir)?;
    limits::measure(&file)
}

/// Benchmarks print their tables; there is no other output.
#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}
