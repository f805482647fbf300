//! `cargo bench --bench negatives`: the search by words over made-up documents, and a plan of yours.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_DOCUMENTS` | made-up documents of 12 words | 1,000,000 |
//! | `BENCH_QUERIES` | made-up queries of 8 words | 100,000 |
//! | `BENCH_VOCABULARY` | different words; the n-th is n times rarer than the first | 200,000 |
//! | `BENCH_TEXTS` | directory that the made-up texts are written to, for a peer | not written |
//! | `BENCH_PLAN` | a plan with `[negatives]` whose shards are made in `BENCH_DATA` | none run |
//! | `BENCH_DATA` | directory of its datasets | |
//!
//! One JSON object a line.

#[path = "../child.rs"]
mod child;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use juzi_pipeline::bm25::{Parameters, Scratch, Segment, Statistics};
use juzi_pipeline::neighbors::TopK;
use juzi_schemas::random::Draws;
use serde_json::{Value, json};

const WORDS: usize = 12;
const QUERY_WORDS: usize = 8;
const K: usize = 100;
/// Queries that a thread works on at a time.
const TILE: usize = 256;

fn main() -> ExitCode {
    // `cargo test --benches` only asks whether this builds.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match made_up().and_then(|()| program()) {
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

fn number(name: &str, usual: usize) -> Result<usize, String> {
    let parsed = variable(name).map_or(Ok(usual), |text| text.parse());
    parsed.map_err(|_| format!("{name} is no number"))
}

/// Benchmarks print their tables; there is no other output.
#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}

/// Draws words by Zipf's law.
struct Zipf {
    sums: Vec<f64>,
}

impl Zipf {
    fn new(vocabulary: usize) -> Zipf {
        let mut sum = 0.0;
        let add = |rank: usize| {
            sum += 1.0 / rank as f64;
            sum
        };
        Zipf {
            sums: (1..=vocabulary).map(add).collect(),
        }
    }

    /// The sorted words of a text.
    fn text(&self, stream: u64, number: usize, words: usize) -> Vec<u32> {
        let mut draws = Draws::new(1, stream, 0, number as u128, 0);
        let all = self.sums.last().expect("there is a word");
        let mut word = || {
            let drawn = draws.unit() * all;
            self.sums.partition_point(|&sum| sum <= drawn) as u32
        };
        let mut text: Vec<u32> = (0..words).map(|_| word()).collect();
        text.sort_unstable();
        text
    }
}

/// Indexes made-up documents and searches made-up queries, by one thread and by two.
fn made_up() -> Result<(), String> {
    let count = number("BENCH_DOCUMENTS", 1_000_000)?;
    let asked = number("BENCH_QUERIES", 100_000)?;
    let vocabulary = number("BENCH_VOCABULARY", 200_000)?;
    let zipf = Zipf::new(vocabulary);
    let documents: Vec<Vec<u32>> = (0..count).map(|at| zipf.text(1, at, WORDS)).collect();
    let queries: Vec<Vec<u32>> = (0..asked).map(|at| zipf.text(2, at, QUERY_WORDS)).collect();
    if let Some(dir) = variable("BENCH_TEXTS") {
        write(&Path::new(&dir).join("documents.txt"), &documents)?;
        write(&Path::new(&dir).join("queries.txt"), &queries)?;
    }
    for threads in [1, 2] {
        measure(&documents, &queries, vocabulary, threads);
    }
    Ok(())
}

fn write(path: &Path, texts: &[Vec<u32>]) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = std::fs::File::create(path).map_err(failed)?;
    let mut out = std::io::BufWriter::new(file);
    for text in texts {
        let words: Vec<String> = text.iter().map(u32::to_string).collect();
        writeln!(out, "{}", words.join(" ")).map_err(failed)?;
    }
    out.flush().map_err(failed)
}

fn measure(documents: &[Vec<u32>], queries: &[Vec<u32>], vocabulary: usize, threads: usize) {
    let started = Instant::now();
    let mut frequencies = vec![0; vocabulary];
    for document in documents {
        for same in document.chunk_by(|a, b| a == b) {
            frequencies[same[0] as usize] += 1;
        }
    }
    let tokens = (documents.len() * WORDS) as u64;
    let parameters = Parameters {
        k1: 1.2,
        b: 0.75,
        common_share: 0.1,
    };
    let statistics = Statistics::new(documents.len(), tokens, frequencies, parameters);
    let parts: Vec<&[Vec<u32>]> = documents.chunks(1 << 16).collect();
    let build = |part: usize| {
        let mut builder = Segment::builder();
        for (at, document) in parts[part].iter().enumerate() {
            builder.push((part * (1 << 16) + at) as u32, document);
        }
        builder.build(&statistics)
    };
    let segments = shared(threads, parts.len(), || (), |(), part| build(part));
    let built = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let hits = shared(
        threads,
        queries.len().div_ceil(TILE),
        Scratch::default,
        |scratch, tile| {
            let queries = queries[tile * TILE..].iter().take(TILE);
            let queries: Vec<_> = queries.map(|query| statistics.query(query)).collect();
            let mut best = TopK::new(queries.len(), K);
            for segment in &segments {
                for (at, query) in queries.iter().enumerate() {
                    segment.search(query, at, &mut best, scratch);
                }
            }
            (0..queries.len())
                .map(|at| best.candidates(at).len())
                .sum::<usize>()
        },
    );
    let searched = started.elapsed().as_secs_f64();
    let line = json!({
        "measurement": "bm25",
        "documents": documents.len(),
        "queries": queries.len(),
        "threads": threads,
        "index_s": (built * 1e3).round() / 1e3,
        "search_s": (searched * 1e3).round() / 1e3,
        "hits": hits.iter().sum::<usize>(),
    });
    say(&line.to_string());
}

/// Results of numbered work by some threads, in order.
fn shared<W, T: Send>(
    threads: usize,
    count: usize,
    start: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let run = || {
        let (mut own, mut results) = (start(), Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return results;
            }
            results.push((number, work(&mut own, number)));
        }
    };
    let mut all: Vec<(usize, T)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended
            .flat_map(|results| results.expect("no worker panics"))
            .collect()
    });
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, result)| result).collect()
}

/// Runs the program over a plan of real data.
fn program() -> Result<(), String> {
    let (Some(plan), Some(data)) = (variable("BENCH_PLAN"), variable("BENCH_DATA")) else {
        return Ok(());
    };
    let made = Path::new(&data).join("negatives");
    // A dataset that is there already would be found fresh.
    if let Ok(dir) = std::fs::canonicalize(&made) {
        std::fs::remove_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    }
    let juzi = env!("CARGO_BIN_EXE_juzi").to_string();
    let ended = child::run(&[juzi, "negatives".into(), plan, "--data".into(), data])?;
    if ended.text.is_empty() {
        return Err("juzi negatives said nothing".into());
    }
    let report = std::fs::read(made.join("report.json")).map_err(|error| error.to_string())?;
    let report: Value = serde_json::from_slice(&report).map_err(|error| error.to_string())?;
    let line = json!({
        "measurement": "juzi negatives",
        "counts": report["counts"],
        "phases": report["phases"],
        "whole_s": (ended.seconds * 1e3).round() / 1e3,
        "peak_mb": ended.memory_mb.round(),
    });
    say(&line.to_string());
    Ok(())
}
