//! Seconds of a training step beside PyTorch's: forward, backward, AdamW, of random models of the
//! sizes of RBT3 and MiniLM.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_STEPS` | measured steps, after two that are not | 10 |
//! | `BENCH_THREADS` | threads | 2 |
//! | `BENCH_BATCH` | pairs of a batch, by commas | 32,128 |
//! | `BENCH_MODELS` | `rbt3`, `minilm`, by commas | both |
//! | `BENCH_LENGTHS` | `full`: 64 tokens each; `zh`: as Chinese sentences have, 22 on average; by commas | both |
//! | `BENCH_KEEP` | `0`: freed memory goes back to the system, as it does by itself | kept |
//! | `PEERS` | directory with `.venv/bin/python` | none run |
//! | `PEERS_SCRIPTS` | directory with `train_st.py` | that of `PEERS` |
//!
//! One JSON object a line, each of a process of its own, so that memory is its own. `gemm_s` is how long
//! the products of matrices alone take in the same process, one after another in the shapes of the
//! step: no step can be shorter. `cpu_s` is what threads had of processors, so that other work of the
//! machine does not count; `parts` says what they did with it, in seconds a step.

#[allow(dead_code)] // each benchmark uses a part of it
mod timing;

use std::process::{Command, ExitCode};
use std::time::Instant;

use candle_core::{D, Device, Tensor};
use juzi_schemas::random::Draws;
use juzi_trainer::encoder::{Config, Encoder, EncoderOptions, Kernels, Pass, Pooling, Sequences};
use juzi_trainer::kernels::adamw::{AdamW, adamw};
use juzi_trainer::kernels::gemm::{Matrix, MatrixMut, product_on_all, transposed};
use juzi_trainer::kernels::{self, memory, meter};
use serde_json::json;

use timing::{number, say, variable};

/// One measurement: model, pairs, lengths.
#[derive(Clone)]
struct Case {
    model: String,
    batch: usize,
    lengths: String,
}

/// What a step took.
#[derive(Clone, Copy, Default)]
struct Times {
    forward: f64,
    backward: f64,
    optimizer: f64,
}

fn main() -> ExitCode {
    timing::main(|| match variable("BENCH_CASE") {
        Some(case) => measure(&Case::parse(&case)?),
        None => cases(),
    })
}

/// Runs each case in a process of its own, then the peer.
fn cases() -> Result<(), String> {
    let list = |name: &str, default: &str| -> Vec<String> {
        let list = variable(name).unwrap_or_else(|| default.into());
        list.split(',').map(String::from).collect()
    };
    for lengths in list("BENCH_LENGTHS", "full,zh") {
        for model in list("BENCH_MODELS", "rbt3,minilm") {
            for batch in list("BENCH_BATCH", "32,128") {
                let case = Case::parse(&format!("{model} {batch} {lengths}"))?;
                let program = std::env::current_exe().map_err(|error| error.to_string())?;
                let mut command = Command::new(program);
                command.env("BENCH_CASE", format!("{model} {batch} {lengths}"));
                let own = run(command)?;
                if let Some(peers) = variable("PEERS") {
                    let theirs = run(case.peer(&peers))?;
                    compare(&case, &own, &theirs);
                }
            }
        }
    }
    Ok(())
}

/// Runs a process that prints one JSON object; prints it too.
fn run(mut command: Command) -> Result<serde_json::Value, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    let value = serde_json::from_str(line)
        .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned() + &text)?;
    say(line);
    Ok(value)
}

/// How many times as fast and as large as the peer's a step is.
fn compare(case: &Case, own: &serde_json::Value, peer: &serde_json::Value) {
    let of = |value: &serde_json::Value, name: &str| value[name].as_f64().unwrap_or(f64::NAN);
    say(&json!({
        "measured": format!("{} {} {}", case.model, case.batch, case.lengths),
        "ratio_of_medians": of(peer, "median_step_s") / of(own, "median_step_s"),
        "ratio_of_best": of(peer, "best_step_s") / of(own, "best_step_s"),
        "memory_ratio": of(own, "peak_rss_mb") / of(peer, "peak_rss_mb"),
    })
    .to_string());
}

impl Case {
    fn parse(text: &str) -> Result<Case, String> {
        let parts: Vec<&str> = text.split(' ').collect();
        match parts[..] {
            [
                model @ ("rbt3" | "minilm"),
                batch,
                lengths @ ("full" | "zh"),
            ] => Ok(Case {
                model: model.into(),
                batch: batch.parse().map_err(|_| format!("BENCH_BATCH: {batch}"))?,
                lengths: lengths.into(),
            }),
            _ => Err(format!("{text}: rbt3 or minilm, a number, full or zh")),
        }
    }

    fn config(&self) -> Config {
        let rbt3 = self.model == "rbt3";
        Config {
            num_hidden_layers: if rbt3 { 3 } else { 6 },
            hidden_size: if rbt3 { 768 } else { 384 },
            intermediate_size: if rbt3 { 3072 } else { 1536 },
            ..Config::default()
        }
    }

    fn peer(&self, peers: &str) -> Command {
        let config = self.config();
        let scripts = variable("PEERS_SCRIPTS").unwrap_or_else(|| peers.into());
        let mut command = Command::new(format!("{peers}/.venv/bin/python"));
        command.arg(format!("{scripts}/train_st.py"));
        for (name, value) in [
            ("--layers", config.num_hidden_layers),
            ("--hidden", config.hidden_size),
            ("--heads", config.num_attention_heads),
            ("--ffn", config.intermediate_size),
            ("--batch", self.batch),
            ("--seq", 64),
            ("--steps", steps()),
            ("--workers", threads()),
        ] {
            command.arg(name).arg(value.to_string());
        }
        command.args(["--lengths", &self.lengths]);
        command
    }

    /// The sequences of a step: anchors, then positives.
    fn sequences(&self, step: usize, vocabulary: usize) -> Sequences {
        let mut draws = Draws::new(1, 0, 0, step as u128, 0);
        let rows = (0..2 * self.batch).map(|_| {
            let length = match self.lengths.as_str() {
                "full" => 64,
                _ => {
                    let uniform = (draws.unit().max(1e-9), draws.unit());
                    let normal =
                        (-2.0 * uniform.0.ln()).sqrt() * (uniform.1 * std::f64::consts::TAU).cos();
                    (((normal * 0.5 + 3.0).exp()) as usize).clamp(4, 64)
                }
            };
            let ids = (0..length).map(|_| 5 + draws.below(vocabulary - 5) as u32);
            ids.collect::<Vec<u32>>()
        });
        let rows: Vec<Vec<u32>> = rows.collect();
        Sequences::new(rows.iter().map(Vec::as_slice))
    }
}

fn steps() -> usize {
    number("BENCH_STEPS", 10)
}

fn threads() -> usize {
    number("BENCH_THREADS", 2)
}

/// Measures one case and prints its line.
fn measure(case: &Case) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    if variable("BENCH_KEEP").as_deref() != Some("0") {
        memory::keep_freed();
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads());
    pool.build_global().map_err(|error| text(&error))?;
    let config = case.config();
    let encoder = random(&config).map_err(|error| text(&error))?;
    let mut moments: Vec<[Vec<f32>; 2]> = encoder
        .parameters
        .iter()
        .map(|own| [vec![0.0; own.elements()], vec![0.0; own.elements()]])
        .collect();
    let (mut all, mut cpu, mut tokens, mut last) = (Vec::new(), 0.0, 0, 0.0);
    for number in 0..2 + steps() {
        if number == 2 {
            meter::take();
            meter::measure(true);
            (cpu, tokens) = (processor(), 0);
        }
        let sequences = case.sequences(number, config.vocab_size);
        tokens += sequences.tokens();
        let own = step(&encoder, &sequences, &mut moments, number);
        let (times, loss) = own.map_err(|error| text(&error))?;
        (all, last) = ([all, vec![times]].concat(), loss);
    }
    let (cpu, parts) = ((processor() - cpu) / steps() as f64, meter::take());
    meter::measure(false);
    let all = &all[2..];
    let median = |pick: fn(&Times) -> f64| {
        let mut times: Vec<f64> = all.iter().map(pick).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let best = all.iter().map(Times::step).fold(f64::INFINITY, f64::min);
    let total: f64 = all.iter().map(Times::step).sum();
    let memory = peak_mb();
    let (gemm, gemm_cpu, work) = products(&config, tokens / steps());
    let parts =
        parts.map(|(work, seconds)| (format!("{work:?}"), json!(round(seconds / steps() as f64))));
    let known: f64 = parts
        .iter()
        .filter_map(|(_, seconds)| seconds.as_f64())
        .sum();
    say(&json!({
        "peer": "juzi", "model": case.model, "lengths": case.lengths, "batch": case.batch,
        "workers": threads(), "steps": steps(), "tokens_per_step": tokens / steps(),
        "median_step_s": round(median(Times::step)), "best_step_s": round(best),
        "median_ms": {
            "forward": round(median(|times| times.forward) * 1e3),
            "backward": round(median(|times| times.backward) * 1e3),
            "optimizer": round(median(|times| times.optimizer) * 1e3),
        },
        "tokens_per_s": (tokens as f64 / total).round(), "peak_rss_mb": memory,
        "cpu_s": round(cpu), "gemm_s": round(gemm), "gemm_cpu_s": round(gemm_cpu),
        "gemm_gflop_per_s": (work / gemm / 1e9).round(),
        "share_of_gemm_limit": round(gemm / best), "cpu_share_of_gemm_limit": round(gemm_cpu / cpu),
        "parts": serde_json::Map::from_iter(parts), "other_cpu_s": round(cpu - known),
        "last_loss": last,
    })
    .to_string());
    Ok(())
}

/// One step; what it took, and the loss.
fn step(
    encoder: &Encoder,
    sequences: &Sequences,
    moments: &mut [[Vec<f32>; 2]],
    number: usize,
) -> juzi_trainer::Result<(Times, f32)> {
    let start = Instant::now();
    let pass = Pass::training(Kernels::Fused, number as u64);
    let z = encoder.embed(sequences, &pass)?;
    let z = z.broadcast_div(&z.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)?;
    let batch = sequences.rows() / 2;
    let scores = (z
        .narrow(0, 0, batch)?
        .matmul(&z.narrow(0, batch, batch)?.t()?)?
        * 20.0)?;
    let labels = Tensor::arange(0, batch as u32, &Device::Cpu)?;
    let loss = candle_nn::loss::cross_entropy(&scores, &labels)?;
    let forward = start.elapsed().as_secs_f64();
    encoder.parameters.collect(&loss.backward()?)?;
    let backward = start.elapsed().as_secs_f64();
    for (parameter, [m, v]) in encoder.parameters.iter().zip(moments) {
        let mut gradient = parameter.host_gradient();
        let numbers = AdamW {
            lr: 5e-5,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: if parameter.decay { 0.01 } else { 0.0 },
            bias_correction1: 1.0 - 0.9f32.powi(number as i32 + 1),
            bias_correction2: 1.0 - 0.999f32.powi(number as i32 + 1),
            gradient_scale: 1.0,
        };
        kernels::in_place(parameter.tensor(), |p| {
            adamw(p, &mut gradient, m, v, &numbers)
        })?;
    }
    let optimizer = start.elapsed().as_secs_f64();
    let times = Times {
        forward,
        backward: backward - forward,
        optimizer: optimizer - backward,
    };
    Ok((times, loss.to_scalar()?))
}

impl Times {
    fn step(&self) -> f64 {
        self.forward + self.backward + self.optimizer
    }
}

/// A model of random parameters.
fn random(config: &Config) -> juzi_trainer::Result<Encoder> {
    let options = EncoderOptions {
        pooling: Pooling::Mean,
        config: Some(config.clone()),
        ..EncoderOptions::default()
    };
    options.open(2, &Device::Cpu)
}

/// Seconds on the clock and on processors that the linear layers' products of a step take alone, and
/// their operations: the best of three rounds.
fn products(config: &Config, tokens: usize) -> (f64, f64, f64) {
    let (h, inner, layers) = (
        config.hidden_size,
        config.intermediate_size,
        config.num_hidden_layers,
    );
    let (mut seconds, mut cpu, mut work) = (0.0, 0.0, 0.0);
    for (outputs, inputs, times) in [(h, h, 4), (inner, h, 1), (h, inner, 1)] {
        let x = vec![0.5f32; tokens * inputs];
        let weight = vec![0.5f32; outputs * inputs];
        let turned = transposed(&weight, inputs);
        let mut y = vec![0.5f32; tokens * outputs];
        let mut best = (f64::INFINITY, f64::INFINITY);
        for _ in 0..4 {
            let (start, start_cpu) = (Instant::now(), processor());
            let matrix = Matrix::new(&weight, inputs);
            product_on_all(
                MatrixMut::new(&mut y, outputs),
                Matrix::new(&x, inputs),
                Matrix::new(&turned, outputs),
                false,
            );
            let mut dx = memory::buffer(tokens * inputs);
            product_on_all(
                MatrixMut::new(&mut dx, inputs),
                Matrix::new(&y, outputs),
                matrix,
                false,
            );
            let mut dw = memory::buffer(outputs * inputs);
            let gradient = Matrix::new(&y, outputs).transposed();
            product_on_all(
                MatrixMut::new(&mut dw, inputs),
                gradient,
                Matrix::new(&x, inputs),
                true,
            );
            best.0 = best.0.min(start.elapsed().as_secs_f64());
            best.1 = best.1.min(processor() - start_cpu);
        }
        let count = f64::from(times) * layers as f64;
        seconds += count * best.0;
        cpu += count * best.1;
        work += count * 6.0 * (tokens * outputs * inputs) as f64;
    }
    (seconds, cpu, work)
}

/// Seconds that all threads of this process had a processor.
fn processor() -> f64 {
    let mut own = 0.0;
    if let Ok(tasks) = std::fs::read_dir("/proc/self/task") {
        for task in tasks.flatten() {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok();
            let nanoseconds = text.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
            own += nanoseconds.unwrap_or(0.0) / 1e9;
        }
    }
    own
}

/// The most memory that this process had, in MiB.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    (kilobytes.unwrap_or(f64::NAN) / 102.4).round() / 10.0
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
