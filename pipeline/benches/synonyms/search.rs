//! Whole-vocabulary search by each index, and by the peer's script, over given and made-up vectors.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use juzi_schemas::random::Draws;
use serde_json::{Value, json};

use crate::{child, place, say, variable};

const DIMENSION: usize = 200;
/// Rows around one middle.
const ROWS_PER_MIDDLE: usize = 50;
/// Standard deviation of a number around that of its middle, which has 1: near words then have
/// cosines of about 0.74, as in real vectors.
const SPREAD: f64 = 0.6;

/// Prints all measurements.
pub fn measure() -> Result<(), String> {
    for file in variable("BENCH_VECTORS").unwrap_or_default().split(':') {
        if !file.is_empty() {
            let keys = format!("vectors = \"{file}\"");
            ours(file, &keys, &["exact", "ivf", "faiss"])?;
            peer(&["--vectors".into(), file.into()], "flat,hnsw,ivf")?;
        }
    }
    let (matrix, words) = made_up()?;
    let name = matrix.to_string_lossy().into_owned();
    let words = words.to_string_lossy().into_owned();
    let keys = format!("vectors = \"{name}\"\nvector_words = \"{words}\"");
    ours(&name, &keys, &["ivf", "faiss"])?;
    // Flat would take an hour at a million rows; our recall is measured on a sample.
    peer(&["--vectors".into(), name, "--words".into(), words], "ivf")
}

/// Runs our program with each index; the plan says what it searches.
fn ours(name: &str, keys: &str, indexes: &[&str]) -> Result<(), String> {
    let dir = place().join("bench-synonyms");
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let program = env!("CARGO_BIN_EXE_juzi");
    for index in indexes {
        // A dataset that is there already would be found fresh.
        let data = dir.join("data");
        let _ = std::fs::remove_dir_all(&data);
        let plan = dir.join("plan.toml");
        let text = format!(
            "name = \"bench\"\n[synonyms]\n{keys}\nvocabulary = \"vectors\"\nindex = \"{index}\"\nk = 10\n\
             neighbors = 10\ncosine_min = 0.0\n"
        );
        std::fs::write(&plan, text).map_err(|error| format!("{}: {error}", plan.display()))?;
        let place = |path: &Path| path.to_string_lossy().into_owned();
        let ended = child::run(&[
            program.into(),
            "synonyms".into(),
            place(&plan),
            "--data".into(),
            place(&data),
        ])?;
        let report = data.join("synonyms/report.json");
        let report = std::fs::read(&report).map_err(|error| error.to_string())?;
        let report: Value = serde_json::from_slice(&report).map_err(|error| error.to_string())?;
        let round = |value: &Value| value.as_f64().map(|value| (value * 1e3).round() / 1e3);
        say(&json!({
            "measurement": format!("juzi {index}"),
            "vectors": name,
            "rows": report["counts"]["vector_rows_kept"],
            "search_s": round(&report["phases"]["search"]),
            "whole_s": (ended.seconds * 1e3).round() / 1e3,
            "probes": report["search"]["probes"],
            "recall": round(&report["measures"]["recall"]),
            "peak_mb": ended.memory_mb.round(),
        })
        .to_string());
    }
    let _ = std::fs::remove_dir_all(&dir);
    Ok(())
}

fn peer(arguments: &[String], modes: &str) -> Result<(), String> {
    let Some(peers) = variable("PEERS").map(PathBuf::from) else {
        return Ok(());
    };
    let program = |name: &str| peers.join(name).to_string_lossy().into_owned();
    let mut command = vec![program(".venv/bin/python"), program("synonyms_faiss.py")];
    command.extend_from_slice(arguments);
    command.extend(["--modes".into(), modes.into()]);
    // Without words the script reads text or binary by itself.
    let ended = child::run(&command)?;
    say(ended.text.trim_end());
    Ok(())
}

/// A matrix of clustered unit vectors and its words, made once.
fn made_up() -> Result<(PathBuf, PathBuf), String> {
    let rows: usize = variable("BENCH_SEARCH_ROWS")
        .map_or(Ok(1_000_000), |text| text.parse())
        .map_err(|_| "BENCH_SEARCH_ROWS is no number")?;
    let matrix = place().join(format!("vectors-{rows}x{DIMENSION}.npy"));
    let words = matrix.with_extension("words");
    if !matrix.exists() {
        let part = matrix.with_extension("part");
        write(&part, &words, rows).map_err(|error| format!("{}: {error}", part.display()))?;
        std::fs::rename(&part, &matrix)
            .map_err(|error| format!("{}: {error}", matrix.display()))?;
    }
    Ok((matrix, words))
}

/// Two normal draws (Box and Muller).
fn normal(draws: &mut Draws) -> [f64; 2] {
    let radius = (-2.0 * (1.0 - draws.unit()).ln()).sqrt();
    let (sine, cosine) = (std::f64::consts::TAU * draws.unit()).sin_cos();
    [radius * cosine, radius * sine]
}

fn vector(draws: &mut Draws) -> Vec<f64> {
    let pairs = (0..DIMENSION / 2).flat_map(|_| normal(draws));
    pairs.collect()
}

fn write(matrix: &Path, words: &Path, rows: usize) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(matrix)?);
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {DIMENSION}), }}");
    // The header ends at a multiple of 64 bytes.
    let header = format!("{header:<117}\n");
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(header.len() as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let mut list = BufWriter::new(File::create(words)?);
    let middles = rows.div_ceil(ROWS_PER_MIDDLE);
    for row in 0..rows {
        let middle = vector(&mut Draws::new(1, 0, 0, (row * 7_919 % middles) as u128, 0));
        let own = vector(&mut Draws::new(1, 1, 0, row as u128, 0));
        let values: Vec<f64> = middle
            .iter()
            .zip(own)
            .map(|(x, y)| x + SPREAD * y)
            .collect();
        let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        for value in values {
            out.write_all(&((value / length) as f32).to_le_bytes())?;
        }
        let character = |number: usize| char::from_u32(0x4e00 + number as u32).unwrap_or('字');
        let word: String = [row % 97, row / 97 % 113, row / 97 / 113]
            .map(character)
            .iter()
            .collect();
        writeln!(list, "{word}")?;
    }
    list.flush()?;
    out.flush()
}
