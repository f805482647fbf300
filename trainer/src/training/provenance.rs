//! `provenance.json`: with what a run was made, one entry for each time that it was started.

use std::path::Path;

use candle_core::Device;
use juzi_schemas::{Error as Fault, dataset};
use serde_json::{Value, json};

use super::Setup;
use crate::Result;

/// Name of the file in the directory of a run.
pub const FILE: &str = "provenance.json";

/// Appends an entry for a start at a step.
///
/// # Errors
/// The file is damaged or cannot be written.
pub fn write(setup: &Setup, from_step: u64) -> Result<()> {
    let path = setup.run.join(FILE);
    let mut starts = starts(&path)?;
    let source = setup.feed.source();
    starts.push(json!({
        "from_step": from_step,
        "juzi": env!("CARGO_PKG_VERSION"),
        "candle": "0.11.1",
        "system": std::env::consts::OS,
        "processor": std::env::consts::ARCH,
        "device": match setup.model.encoder.device() {
            Device::Cpu => "cpu",
            Device::Cuda(_) => "cuda",
            Device::Metal(_) => "metal",
        },
        "threads": rayon::current_num_threads(),
        "workers": setup.threads.workers,
        "recipe": setup.recipe.training_fingerprint(),
        "dataset": source.fingerprint,
        "dataset_dir": source.dir,
        "records": source.records(),
        "batches": source.batches(),
        "parameters": setup.model.parameters().elements(),
    }));
    let text = serde_json::to_string_pretty(&json!({ "starts": starts }));
    let text = text.expect("a value has a JSON form") + "\n";
    Ok(dataset::replace(&path, text.as_bytes())?)
}

fn starts(path: &Path) -> Result<Vec<Value>> {
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(Fault::io(path))?,
    };
    let value: Value = serde_json::from_slice(&text).map_err(|error| Fault::Json {
        path: path.into(),
        what: "provenance of a run",
        message: error.to_string(),
    })?;
    Ok(value["starts"].as_array().cloned().unwrap_or_default())
}
