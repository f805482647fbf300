//! From a trained encoder and texts to vectors: a table for other programs, or a dataset for ours.
//!
//! ```text
//! input ─▶ windows ─▶ tokens ─▶ encode ─▶ output
//! texts in    16,384 texts,    sorted by     packed batches    one committed part for each window;
//! order       equal ones once  length        without padding   the whole under its name at the end
//! ```
//! Every arrow is a bounded channel between threads. A window depends on the input alone, so a part
//! that an interrupted run committed is what the next run would make, and is left out. Memory holds
//! a few windows; only a dataset, whose texts are all different, also needs 16 to 40 bytes for each
//! different text.

mod encode;
mod flow;
mod identity;
pub(crate) mod input;
mod npy;
mod output;
mod progress;
mod rows;
mod table;
mod tokens;
mod windows;

use std::path::PathBuf;
use std::time::Instant;

use candle_core::Device;
use serde_json::json;

use crate::model::Model;
use crate::{Error, Result};
pub(crate) use identity::of_model;
use output::{Output, Parts};
use progress::Progress;

pub use input::Source;

/// What to embed, and where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder of the model.
    pub model: PathBuf,
    /// Files and datasets, one after another.
    pub inputs: Vec<PathBuf>,
    /// The column of tables and datasets, by its name, or of tables by its number from 1.
    pub column: Option<String>,
    /// A prompt of the model by its name, or what else to put before each text.
    pub prompt: Option<String>,
    /// `.npy`, `.parquet`, or else the directory of a dataset.
    pub output: PathBuf,
}

/// Sizes of the work. A vector follows from none of them; the cut of a dataset into files does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Texts of a window.
    pub window_texts: usize,
    /// Bytes of the texts of a window, after which it is closed early.
    pub window_bytes: usize,
    /// Tokens of a batch, but for a longer text.
    pub batch_tokens: usize,
    /// Threads that make tokens.
    pub tokenizers: usize,
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Texts of the input.
    pub texts: u64,
    /// Texts that have a vector of their own in a part; equal texts further apart are again there,
    /// but in a dataset.
    pub different: u64,
    /// Tokens of these, with special ones.
    pub tokens: u64,
    /// Texts without a character that is not white space.
    pub empty: u64,
    /// Different texts that were cut at the model's limit.
    pub cut: u64,
    /// Length of a vector.
    pub dimension: usize,
    /// Parts there are, and those that an earlier run had made.
    pub parts: usize,
    /// Of them, those of an earlier run.
    pub parts_found: usize,
    /// Texts and tokens of this run alone, for rates.
    pub embedded: (u64, u64),
    /// Time of this run from the opened model on.
    pub seconds: f64,
}

impl Sizes {
    /// What suits a device: batches that keep some cores busy, or a GPU.
    pub fn of(device: &Device) -> Sizes {
        let sizes = Sizes::default();
        match device.is_cpu() {
            true => sizes,
            false => Sizes {
                batch_tokens: 32_768,
                tokenizers: 4,
                ..sizes
            },
        }
    }
}

impl Default for Sizes {
    /// As it suits a CPU.
    fn default() -> Sizes {
        Sizes {
            window_texts: 16_384,
            window_bytes: 64 << 20,
            batch_tokens: 4096,
            tokenizers: 1,
        }
    }
}

impl Outcome {
    /// The figures for scripts.
    pub fn to_json(&self) -> serde_json::Value {
        let (texts, tokens) = self.embedded;
        let rate = |count: u64| count as f64 / self.seconds.max(1e-9);
        json!({
            "texts": self.texts, "different": self.different, "tokens": self.tokens,
            "empty": self.empty, "cut": self.cut, "dimension": self.dimension,
            "parts": self.parts, "parts_found": self.parts_found, "seconds": self.seconds,
            "texts_per_s": rate(texts), "tokens_per_s": rate(tokens),
        })
    }
}

/// Embeds all texts of the inputs, or goes on where a run was stopped. `stop` is asked between
/// batches, with the number of windows embedded so far; `tell` gets the talk.
///
/// # Errors
/// An input that cannot be read or has no texts; an output of something else; a vector that is none;
/// [`Error::Interrupted`] once `stop` says so.
pub fn run(
    model: &Model,
    request: &Request,
    sizes: Sizes,
    stop: &(dyn Fn(usize) -> bool + Sync),
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Outcome> {
    let started = Instant::now();
    let prompt = prompt(model, request.prompt.as_deref())?;
    let sources = open(request)?;
    let identity = identity::Identity::of(model, &prompt, request, &sources, sizes)?;
    let output = match Output::open(&request.output, &identity)? {
        Output::Made(outcome) => {
            tell(&format!("{}: made before", request.output.display()));
            return Ok(outcome);
        }
        Output::Unfinished(parts) => parts,
    };
    let found = output.number();
    if found > 0 {
        tell(&format!("{found} parts of an earlier run are kept"));
    }
    let progress = Progress::new(sources.iter().map(Source::size).sum());
    let job = flow::Job {
        model,
        sources: &sources,
        prompt: &prompt,
        sizes,
        parts: &output,
        progress: &progress,
        stop,
    };
    let totals = match job.run(tell) {
        Ok(totals) => totals,
        Err(error) => {
            // Without a part there is nothing to go on from, and a better request is welcome.
            if output.number() == 0 {
                output.forget();
            }
            return Err(error);
        }
    };
    if totals.texts == 0 {
        output.forget();
        let places: Vec<_> = request.inputs.iter().map(|path| path.display()).collect();
        return Err(Error::Usage(format!("{places:?}: no texts here")));
    }
    let outcome = finish(output, &totals, &identity, found)?;
    Ok(Outcome {
        embedded: progress.done(),
        seconds: started.elapsed().as_secs_f64(),
        ..outcome
    })
}

/// The text before each text: the prompt of this name, or this text; without, the model's own.
///
/// # Errors
/// The model has no prompt of what is a name rather than a text.
pub fn prompt(model: &Model, wanted: Option<&str>) -> Result<String> {
    let Some(wanted) = wanted.or(model.default_prompt.as_deref()) else {
        return Ok(String::new());
    };
    if let Some(prompt) = model.prompts.get(wanted) {
        return Ok(prompt.clone());
    }
    // One plain word is much rather a name with a slip than a text.
    let word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if wanted.is_empty() || !wanted.chars().all(word) {
        return Ok(wanted.into());
    }
    let names: Vec<&str> = model.prompts.keys().map(String::as_str).collect();
    Err(Error::Usage(format!(
        "--prompt {wanted}: the model has no prompt of this name; it has [{}], and a text of its own has a space or a \
         sign in it",
        names.join(", ")
    )))
}

fn open(request: &Request) -> Result<Vec<Source>> {
    let column = request.column.as_deref();
    let sources = request.inputs.iter();
    sources.map(|path| Source::open(path, column)).collect()
}

/// Whether an output of this name has a row for each text of the input; else one for each different
/// text.
pub fn is_table(output: &std::path::Path) -> bool {
    output::Format::of(output) != output::Format::Dataset
}

/// Sums up what the parts say, and makes the output of them.
fn finish(
    parts: Parts,
    totals: &windows::Totals,
    identity: &identity::Identity,
    found: usize,
) -> Result<Outcome> {
    let notes = parts.notes(totals.windows)?;
    let outcome = Outcome {
        texts: totals.texts,
        different: notes.iter().map(|note| note.different).sum(),
        tokens: notes.iter().map(|note| note.tokens).sum(),
        empty: totals.empty,
        cut: notes.iter().map(|note| note.cut).sum(),
        dimension: notes.first().map_or(0, |note| note.dimension),
        parts: totals.windows,
        parts_found: found,
        ..Outcome::default()
    };
    parts.finish(&outcome, &notes, identity)?;
    Ok(outcome)
}

#[cfg(test)]
mod tests;
