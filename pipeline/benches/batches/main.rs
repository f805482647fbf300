//! `cargo bench --bench batches`: composing and writing batches of short pairs.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_RECORDS` | made-up pairs | 1,000,000 |
//! | `BENCH_TOPICS` | topics of the sampler `topic`, alone | 1,000 |
//! | `BENCH_THREADS` | threads of the stage | all cores |
//! | `BENCH_ROUNDS` | runs of each, of which the best counts | 3 |
//! | `BENCH_DIR` | where files go | the system's place for temporary files |
//!
//! One JSON object a line. The stage is the program itself, run as a process, with every sampler that
//! needs no topics; samplers are also measured alone, on hashes.

#[path = "../child.rs"]
mod child;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use juzi_pipeline::samplers::{Memory, Policy, Rows, SamplerOptions, Window};
use juzi_schemas::random::Draws;

/// Corpora of the made-up pairs, with their shares in percent.
const CORPORA: [(&str, u64); 3] = [("a", 60), ("b", 30), ("c", 10)];

fn main() -> ExitCode {
    // `cargo test --benches` only asks whether this builds.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match alone().and_then(|()| stage()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn number(name: &str, default: u64) -> Result<u64, String> {
    match std::env::var(name).ok().filter(|value| !value.is_empty()) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| format!("{name} is no number")),
    }
}

/// Benchmarks print their tables; there is no other output.
#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}

fn tell(measurement: &str, records: u64, seconds: f64, memory_mb: Option<f64>) {
    let line = serde_json::json!({
        "measurement": measurement,
        "records": records,
        "seconds": (seconds * 1e3).round() / 1e3,
        "records_per_second": (records as f64 / seconds).round(),
        "memory_mb": memory_mb.map(f64::round),
    });
    say(&line.to_string());
}

/// Every sampler on one window of hashes, one thread.
fn alone() -> Result<(), String> {
    let records = number("BENCH_RECORDS", 1_000_000)?;
    let topics = number("BENCH_TOPICS", 1_000)?.max(1);
    let mut rows = Rows::default();
    let mut shares = vec![0; CORPORA.len()];
    for record in 0..records {
        let mut draws = Draws::new(1, 0, 0, u128::from(record), 0);
        let at = draws.below(100) as u64;
        let mut last = 0;
        let corpus = CORPORA.iter().position(|(_, share)| {
            last += share;
            at < last
        });
        let corpus = corpus.unwrap_or_default();
        let topic = draws.below(topics as usize) as u32;
        let texts = [draws.next_u64(), draws.next_u64()];
        rows.push(corpus as u16, topic, 0, &texts, [&[], &[]]);
        shares[corpus] += 1;
    }
    let entries: Vec<u32> = (0..records as u32).collect();
    for options in [
        "name = \"shuffled\"",
        "name = \"corpus\"",
        "name = \"proportional\"",
        "name = \"round_robin\"",
        "name = \"halves\"",
        "name = \"topic\"",
        "name = \"topic\"\nelsewhere = 0.2",
    ] {
        let sampler: SamplerOptions = toml::from_str(options).map_err(|error| error.to_string())?;
        let mut window = Window {
            rows: &rows,
            entries: &entries,
            size: 128,
            policy: Policy::default(),
            shares: &shares,
            tour: &[],
            draws: Draws::new(1, 1, 0, 0, 0),
            last: true,
            incomplete: false,
        };
        let started = Instant::now();
        let composed = sampler
            .sampler()
            .compose(&mut window, &mut Memory::default());
        let seconds = started.elapsed().as_secs_f64();
        std::hint::black_box(composed.len());
        let options = options.replace('\n', ", ");
        tell(&format!("sampler alone: {options}"), records, seconds, None);
    }
    Ok(())
}

/// The whole stage.
fn stage() -> Result<(), String> {
    let records = number("BENCH_RECORDS", 1_000_000)?;
    let rounds = number("BENCH_ROUNDS", 3)?.max(1);
    let place = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = place.join(format!("juzi-bench-batches-{records}"));
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    std::fs::create_dir_all(&dir).map_err(failed)?;
    let mut tables = String::from("name = \"bench\"\n");
    for (name, share) in CORPORA {
        let path = dir.join(format!("{name}.jsonl"));
        write_pairs(&path, name.len() as u64 + share, records * share / 100).map_err(failed)?;
        tables += &format!(
            "[[corpora]]\nname = \"{name}\"\nreader = \"embedding_training_data\"\ntrain = [\"{name}.jsonl\"]\n"
        );
    }
    let data = dir.join("data");
    let threads = number("BENCH_THREADS", 0)?;
    let run = |stage: &str, plan: &Path| {
        let program = env!("CARGO_BIN_EXE_juzi").to_string();
        let mut command = vec![program, stage.into(), plan.display().to_string()];
        command.extend([
            "--data".into(),
            data.display().to_string(),
            "--quiet".into(),
        ]);
        if threads > 0 {
            command.extend(["--threads".into(), threads.to_string()]);
        }
        child::run(&command)
    };
    for sampler in [
        "shuffled",
        "corpus",
        "proportional",
        "round_robin",
        "halves",
    ] {
        let plan = dir.join(format!("{sampler}.toml"));
        let text = format!("{tables}[batches]\nsampler = {{ name = \"{sampler}\" }}\n");
        std::fs::write(&plan, text).map_err(failed)?;
        run("shards", &plan)?;
        let (mut seconds, mut memory) = (f64::INFINITY, 0f64);
        for _ in 0..rounds {
            remove(&data.join(".store"), "batches");
            let ended = run("batches", &plan)?;
            if !ended.text.is_empty() {
                return Err(format!("--quiet said: {}", ended.text));
            }
            seconds = seconds.min(ended.seconds);
            memory = memory.max(ended.memory_mb);
        }
        tell(&format!("stage: {sampler}"), records, seconds, Some(memory));
    }
    Ok(())
}

/// Removes the datasets of a stage; one that is not there is as good as removed.
fn remove(store: &Path, stage: &str) {
    for entry in std::fs::read_dir(store).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(stage) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Pairs of 8 to 24 Han characters each, all different.
fn write_pairs(path: &Path, seed: u64, count: u64) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let part = path.with_extension("part");
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(&part)?);
    for record in 0..count {
        let mut draws = Draws::new(seed, 1, 0, u128::from(record), 0);
        let mut text = || {
            let length = 8 + draws.below(17);
            let one = |_| char::from_u32(0x4e00 + draws.below(3000) as u32).unwrap_or('字');
            (0..length).map(one).collect::<String>()
        };
        writeln!(out, "[\"{}\", \"{}\"]", text(), text())?;
    }
    out.flush()?;
    std::fs::rename(part, path)
}
