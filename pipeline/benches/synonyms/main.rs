//! `cargo bench --bench synonyms`: the search for synonyms and the reading of vectors.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_VECTORS` | vector files, separated by `:` | only made-up vectors are searched |
//! | `BENCH_ROWS` | rows of the made-up text file | 1,200,000 |
//! | `BENCH_SEARCH_ROWS` | rows of the made-up matrix | 1,000,000 |
//! | `BENCH_DIR` | where files go | the system's place for temporary files |
//! | `PEERS` | directory with `synonyms_faiss.py` and a `.venv` | none run |
//!
//! One JSON object a line. Every search is the program itself, run as a process.

#[path = "../child.rs"]
mod child;
mod search;
mod vectors;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    // `cargo test --benches` only asks whether this builds.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match search::measure().and_then(|()| vectors::measure()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where files go.
fn place() -> PathBuf {
    variable("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Benchmarks print their tables; there is no other output.
#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}
