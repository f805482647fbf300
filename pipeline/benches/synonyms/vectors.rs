//! Speed of reading word vectors, beside the limit: the same bytes only read, or only looked at.
//!
//! The file is made once, in `BENCH_DIR` or the system's place for temporary files: `BENCH_ROWS`
//! (1,200,000) rows of 200 numbers of 6 decimals, about 2 GB. Every line of output is one measurement in
//! JSON. The file is read once before, so that all measurements find it in memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use juzi_pipeline::vectors::{Format, Run, VectorFile, read};
use juzi_schemas::random::Order;
use memchr::memchr_iter;
use xxhash_rust::xxh3::xxh3_64;

use crate::{place, say, variable};

const DIMENSION: u64 = 200;
/// Bytes that are read at a time.
const PIECE_BYTES: usize = 2 << 20;
const ROUNDS: usize = 3;

/// What is counted in a piece of a file.
type Look = fn(&[u8]) -> u64;

/// Prints all measurements.
pub fn measure() -> Result<(), String> {
    let path = make()?;
    let bytes = std::fs::metadata(&path)
        .map_err(|error| failed(&path, error))?
        .len();
    scan(&path, bytes, 2, |_| 0)?;
    for threads in [1, 2] {
        let limits: [(&str, Look); 2] = [
            ("limit: read only", |_| 0),
            ("limit: read, count line breaks and spaces", |bytes| {
                (memchr_iter(b'\n', bytes).count() + memchr_iter(b' ', bytes).count()) as u64
            }),
        ];
        for (name, look) in limits {
            best(name, threads, bytes, || scan(&path, bytes, threads, look))?;
        }
        best("text, all rows wanted", threads, bytes, || {
            rows(&path, threads, |_| true)
        })?;
        best("text, 10 % of the rows wanted", threads, bytes, || {
            rows(&path, threads, |word| {
                xxh3_64(word.as_bytes()).is_multiple_of(10)
            })
        })?;
    }
    Ok(())
}

/// The best of some rounds.
fn best(
    name: &str,
    threads: usize,
    bytes: u64,
    mut work: impl FnMut() -> Result<u64, String>,
) -> Result<(), String> {
    let (mut seconds, mut found) = (f64::INFINITY, 0);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        found = work()?;
        seconds = seconds.min(started.elapsed().as_secs_f64());
    }
    let line = serde_json::json!({
        "measurement": name,
        "threads": threads,
        "bytes": bytes,
        "found": found,
        "seconds": (seconds * 1e3).round() / 1e3,
        "mb_per_second": (bytes as f64 / 1e6 / seconds).round(),
    });
    say(&line.to_string());
    Ok(())
}

fn failed(path: &Path, error: std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Reads the vectors and lets them go; the number of rows kept.
fn rows(path: &Path, threads: usize, wanted: fn(&str) -> bool) -> Result<u64, String> {
    let (bytes, rows) = (AtomicU64::new(0), AtomicU64::new(0));
    let file = VectorFile {
        path: path.into(),
        members: None,
        format: Format::Auto,
        words: None,
    };
    let run = Run {
        threads,
        resume: "",
        bytes: &bytes,
        rows: &rows,
    };
    let mut sum = 0.0;
    let mut sink = |part: juzi_pipeline::vectors::Part| {
        sum += part.values.first().copied().unwrap_or_default();
        Ok(())
    };
    let totals = read(&file, &wanted, &run, &mut sink).map_err(|error| error.to_string())?;
    std::hint::black_box(sum);
    Ok(totals.wanted)
}

/// Reads the file in pieces by several threads and sums what is seen in each.
fn scan(path: &Path, bytes: u64, threads: usize, look: Look) -> Result<u64, String> {
    let file = File::open(path).map_err(|error| failed(path, error))?;
    let (next, sum) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || -> std::io::Result<()> {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let at = next.fetch_add(PIECE_BYTES as u64, Ordering::Relaxed);
            if at >= bytes {
                return Ok(());
            }
            let length = (bytes - at).min(PIECE_BYTES as u64) as usize;
            file.read_exact_at(&mut piece[..length], at)?;
            sum.fetch_add(look(&piece[..length]), Ordering::Relaxed);
        }
    };
    let results = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join())
            .collect::<Vec<_>>()
    });
    for result in results {
        result
            .map_err(|_| "a reading thread panicked".to_string())?
            .map_err(|error| failed(path, error))?;
    }
    Ok(sum.into_inner())
}

/// Makes the file unless it is there.
fn make() -> Result<PathBuf, String> {
    let rows: u64 = variable("BENCH_ROWS")
        .map_or(Ok(1_200_000), |text| text.parse())
        .map_err(|_| "BENCH_ROWS is no number")?;
    let path = place().join(format!("vectors-{rows}x{DIMENSION}.txt"));
    if path.exists() {
        return Ok(path);
    }
    let part = path.with_extension("part");
    write(&part, rows).map_err(|error| failed(&part, error))?;
    std::fs::rename(&part, &path).map_err(|error| failed(&path, error))?;
    Ok(path)
}

fn write(path: &Path, rows: u64) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(out, "{rows} {DIMENSION}")?;
    let draw = Order::new(1);
    let mut line = Vec::new();
    for row in 0..rows {
        line.clear();
        // Words of two to five characters, each once.
        let mut rest = row + 3_000;
        while rest > 0 {
            let character = char::from_u32(0x4e00 + (rest % 3_000) as u32).unwrap_or('字');
            line.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest /= 3_000;
        }
        for column in 0..DIMENSION {
            let drawn = draw.place(u128::from(row * DIMENSION + column));
            // The sum of two draws: mostly small, never 1.
            let size = (drawn as u32 % 500_000 + (drawn >> 32) as u32 % 500_000).abs_diff(500_000);
            line.extend_from_slice(if drawn >> 63 == 0 { b" 0." } else { b" -0." });
            let digits =
                [100_000, 10_000, 1_000, 100, 10, 1].map(|power| b'0' + (size / power % 10) as u8);
            line.extend_from_slice(&digits);
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    out.flush()
}
