//! Whole runs: ours in several settings and the peers', in turn, each with time and memory.

use std::path::{Path, PathBuf};

use crate::input::variable;
use crate::{child, say};

struct Run {
    name: String,
    command: Vec<String>,
    output: PathBuf,
    /// The peer times its own work, without imports; ours is timed as a whole process.
    reports_seconds: bool,
    seconds: Vec<f64>,
    memory_mb: f64,
}

/// Runs everything in turn and prints medians.
pub fn measure(file: &Path, dir: &Path) -> Result<(), String> {
    let rounds = variable("BENCH_ROUNDS")
        .and_then(|text| text.parse().ok())
        .unwrap_or(3);
    let bytes = std::fs::metadata(file)
        .map_err(|error| format!("{}: {error}", file.display()))?
        .len();
    let mut runs = ours(file, dir)?;
    if let Some(peers) = variable("PEERS") {
        runs.extend(peer_runs(Path::new(&peers), file, dir));
    }
    for round in 1..=rounds {
        for run in &mut runs {
            remove(&run.output);
            let (seconds, memory_mb) = once(run)?;
            say(&format!(
                "round {round}: {:<28} {seconds:6.2} s {memory_mb:7.0} MB",
                run.name
            ));
            run.seconds.push(seconds);
            run.memory_mb = run.memory_mb.max(memory_mb);
            remove(&run.output);
        }
    }
    say("\n| whole run | median s | MB/s | best s | peak MB |\n|---|---|---|---|---|");
    for run in &mut runs {
        run.seconds.sort_by(f64::total_cmp);
        let median = run.seconds[run.seconds.len() / 2];
        let rate = bytes as f64 / 1e6 / median;
        say(&format!(
            "| {} | {median:.2} | {rate:.0} | {:.2} | {:.0} |",
            run.name, run.seconds[0], run.memory_mb
        ));
    }
    Ok(())
}

fn ours(file: &Path, dir: &Path) -> Result<Vec<Run>, String> {
    let program = Path::new(env!("CARGO_BIN_EXE_juzi"))
        .to_string_lossy()
        .into_owned();
    let settings = [
        ("juzi luse", "profile = \"luse\""),
        ("juzi default", "profile = \"default\""),
        (
            "juzi luse, near duplicates",
            "profile = \"luse\"\nnear_duplicates = { enabled = true }",
        ),
        ("juzi luse, words", "profile = \"luse\"\nwords = true"),
    ];
    let mut runs = Vec::new();
    for (number, (name, lines)) in settings.into_iter().enumerate() {
        let plan = dir.join(format!("plan-{number}.toml"));
        let input = std::fs::canonicalize(file).map_err(|error| error.to_string())?;
        let text = format!(
            "name = \"bench\"\n[[corpora]]\nname = \"news\"\nreader = \"news2016zh\"\ntrain = [{input:?}]\n\
             views = [\"sentences\"]\n[shards]\n{lines}\n"
        );
        std::fs::write(&plan, text).map_err(|error| error.to_string())?;
        let output = dir.join(format!("out-{number}"));
        let arguments = [
            "shards",
            &plan.to_string_lossy(),
            "--data",
            &output.to_string_lossy(),
            "--quiet",
        ]
        .map(String::from);
        let command = [vec![program.clone()], arguments.to_vec()].concat();
        runs.push(run(name, command, output, false));
    }
    Ok(runs)
}

fn peer_runs(peers: &Path, file: &Path, dir: &Path) -> Vec<Run> {
    let python = peers
        .join(".venv/bin/python")
        .to_string_lossy()
        .into_owned();
    let names = ["shards_polars", "shards_duckdb", "shards_luse_style"];
    let runs = names.into_iter().map(|name| {
        let output = dir.join(name);
        let script = peers
            .join(format!("{name}.py"))
            .to_string_lossy()
            .into_owned();
        let (input, out) = (
            file.to_string_lossy().into_owned(),
            output.to_string_lossy().into_owned(),
        );
        run(
            name,
            vec![
                python.clone(),
                script,
                "--input".into(),
                input,
                "--out".into(),
                out,
            ],
            output,
            true,
        )
    });
    runs.collect()
}

fn run(name: &str, command: Vec<String>, output: PathBuf, reports_seconds: bool) -> Run {
    Run {
        name: name.into(),
        command,
        output,
        reports_seconds,
        seconds: Vec::new(),
        memory_mb: 0.0,
    }
}

/// One run: seconds and the largest resident memory of the process, in MB.
fn once(run: &Run) -> Result<(f64, f64), String> {
    let ended = child::run(&run.command).map_err(|error| format!("{}: {error}", run.name))?;
    let own = run
        .reports_seconds
        .then(|| serde_json::from_str::<serde_json::Value>(ended.text.lines().last()?).ok())
        .flatten();
    let seconds = own.and_then(|line| line["seconds"].as_f64());
    Ok((seconds.unwrap_or(ended.seconds), ended.memory_mb))
}

fn remove(dir: &Path) {
    // A directory that is not there is as good as removed.
    let _ = std::fs::remove_dir_all(dir);
}
