//! Texts and tokens per second of `juzi embed`, beside sentence-transformers on the same file, and the
//! largest difference of their vectors.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_MODEL` | a sentence-transformers folder | none: nothing is measured |
//! | `BENCH_INPUT` | texts, one a line | none: nothing is measured |
//! | `BENCH_LENGTH` | tokens of a text at most | 64 |
//! | `BENCH_ROUNDS` | rounds, ours and the peer's in turn; the best of each counts | 3 |
//! | `BENCH_THREADS` | threads of both | all cores |
//! | `BENCH_BATCH` | tokens of our batches | as `juzi embed` has it |
//! | `BENCH_PEER_BATCH` | texts of a batch of the peer | 32 |
//! | `PEERS` | the folder of `embed_st.py` | none: no peer |
//! | `BENCH_PYTHON` | its Python | python3 |
//!
//! One JSON object a line; times are those on the clock, without loading the model.

#[allow(dead_code)] // each benchmark uses a part of it
mod timing;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use juzi_trainer::embed::{self, Request, Sizes};
use juzi_trainer::model::Model;
use serde_json::{Value, json};

use timing::{number, say, variable};

fn main() -> ExitCode {
    timing::main(bench)
}

fn bench() -> Result<(), String> {
    let (Some(folder), Some(input)) = (variable("BENCH_MODEL"), variable("BENCH_INPUT")) else {
        say(&json!({ "left_out": "BENCH_MODEL and BENCH_INPUT are not set" }).to_string());
        return Ok(());
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = number("BENCH_THREADS", cores);
    let place = std::env::temp_dir().join(format!("juzi-bench-embed-{}", std::process::id()));
    std::fs::create_dir_all(&place).map_err(|error| error.to_string())?;
    let mut model = Model::open(Path::new(&folder)).map_err(|error| error.to_string())?;
    model.length_max = number("BENCH_LENGTH", 64);
    let request = Request {
        model: folder.into(),
        inputs: vec![input.into()],
        column: None,
        prompt: None,
        output: place.join("ours.npy"),
    };
    let peer = place.join("peer.npy");
    let (mut ours, mut theirs) = (0f64, 0f64);
    for _ in 0..number("BENCH_ROUNDS", 3usize).max(1) {
        ours = ours.max(embed_ours(&model, &request, threads)?);
        if let Some(peers) = variable("PEERS") {
            theirs = theirs.max(embed_peer(Path::new(&peers), &request, &peer, threads)?);
        }
    }
    if theirs > 0.0 {
        let difference = difference(&request.output, &peer)?;
        say(&json!({ "ratio": ours / theirs, "largest_difference": difference }).to_string());
    }
    std::fs::remove_dir_all(&place).map_err(|error| error.to_string())
}

/// Gives texts per second.
fn embed_ours(model: &Model, request: &Request, threads: usize) -> Result<f64, String> {
    let sizes = Sizes::default();
    let sizes = Sizes {
        batch_tokens: number("BENCH_BATCH", sizes.batch_tokens),
        ..sizes
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    let pool = pool.build().map_err(|error| error.to_string())?;
    let outcome = pool.install(|| embed::run(model, request, sizes, &|_| false, &|_| {}));
    let outcome = outcome.map_err(|error| error.to_string())?;
    let mut figures = outcome.to_json();
    figures["measured"] = "juzi embed".into();
    figures["threads"] = threads.into();
    // Equal texts of a window are embedded once; the peer does each.
    let rate = outcome.texts as f64 / outcome.seconds;
    figures["lines_per_s"] = rate.into();
    say(&figures.to_string());
    Ok(rate)
}

fn embed_peer(
    peers: &Path,
    request: &Request,
    output: &PathBuf,
    threads: usize,
) -> Result<f64, String> {
    let python = variable("BENCH_PYTHON").unwrap_or_else(|| "python3".into());
    let ran = Command::new(&python)
        .arg(peers.join("embed_st.py"))
        .arg("--model")
        .arg(&request.model)
        .arg("--input")
        .args(&request.inputs)
        .arg("--max-len")
        .arg(number("BENCH_LENGTH", 64usize).to_string())
        .arg("--batch")
        .arg(number("BENCH_PEER_BATCH", 32usize).to_string())
        .arg("--workers")
        .arg(threads.to_string())
        .arg("--out")
        .arg(output)
        .output()
        .map_err(|error| format!("{python}: {error}"))?;
    let line = String::from_utf8_lossy(&ran.stdout);
    let mut figures: Value = serde_json::from_str(line.trim()).map_err(|_| {
        let talk = String::from_utf8_lossy(&ran.stderr);
        format!("embed_st.py said {line}{talk}")
    })?;
    figures["measured"] = "peer".into();
    say(&figures.to_string());
    let rate = figures["items_per_s"].as_f64();
    rate.ok_or_else(|| "embed_st.py gave no rate".into())
}

/// The largest difference of two arrays of one shape.
fn difference(ours: &Path, theirs: &Path) -> Result<f32, String> {
    let read = |path: &Path| {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        let length = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let values: Vec<f32> = bytes[length..].chunks_exact(4).map(number).collect();
        Ok::<_, String>(values)
    };
    let (ours, theirs) = (read(ours)?, read(theirs)?);
    if ours.len() != theirs.len() {
        return Err(format!("{} numbers, the peer {}", ours.len(), theirs.len()));
    }
    let differences = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
    Ok(differences.fold(0.0, f32::max))
}
