//! Post-processing of vectors as a layer of the model: whitening, removal of the mean, removal of
//! the directions that all texts share.
//!
//! ```text
//! texts ─▶ sample ─▶ model, not normalised ─▶ moments ─▶ layer ─▶ model with one Dense more ─▶ DIR
//! ```
//! It is fitted on texts alone, without labels or scores; fit it on training text, never on that of an
//! evaluation. The layer stands before the normalisation, so whatever opens the folder has it.

mod fit;
mod sample;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use juzi_schemas::fingerprint::Fingerprint;

use crate::embed::{Source, prompt};
use crate::encoder::{Encoder, Head, Output, Projection};
use crate::evaluators::{Embedder, ModelEmbedder, Prompts, Role, Vectors};
use crate::export::{self, Card, Export};
use crate::model::Model;
use crate::parameters::Parameter;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

pub use fit::{Layer, Method, Moments};
use sample::Sample;

/// Texts that go through the model between two looks at whether to stop.
const TEXTS: usize = 2048;

/// What to fit, and where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// A run, a checkpoint of one, or the folder of a model.
    pub model: PathBuf,
    /// Files and datasets of texts.
    pub inputs: Vec<PathBuf>,
    /// The column of tables and datasets, by its name, or of tables by its number from 1.
    pub column: Option<String>,
    /// A prompt of the model by its name, or what else to put before each text.
    pub prompt: Option<String>,
    /// What the layer does.
    pub method: Method,
    /// Length of the new vectors, where the method can shorten them.
    pub dimensions: Option<usize>,
    /// Directions that are removed, where the method removes some.
    pub components: Option<usize>,
    /// Different texts to fit on at most.
    pub rows_max: usize,
    /// The folder to write.
    pub output: PathBuf,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Texts of the inputs.
    pub texts: u64,
    /// Different texts that it was fitted on.
    pub rows: usize,
    /// Length of a vector before and after.
    pub dimensions: (usize, usize),
    /// The share of the variance that is in the directions kept.
    pub kept: f64,
    /// Hash of the texts that it was fitted on.
    pub fingerprint: Fingerprint,
}

/// Fits a layer and writes the model with it. `stop` is asked now and then; `tell` gets the talk.
///
/// # Errors
/// The output exists; an input cannot be read or has no texts; the vectors do not vary in as many
/// directions as are wanted; [`Error::Interrupted`] once `stop` says so.
pub fn run(request: &Request, stop: &dyn Fn() -> bool, tell: &dyn Fn(&str)) -> Result<Outcome> {
    // It is known before the work, and not only after it.
    export::check_free(&request.output)?;
    request
        .method
        .check(request.dimensions, request.components)?;
    let export = export::open(&request.model, None, false)?;
    let messages = &export.encoder.messages;
    messages.iter().for_each(|line| tell(&format!("# {line}")));
    let model = bare(&export)?;
    let prompt = prompt(&model, request.prompt.as_deref())?;
    let sources = request.inputs.iter();
    let sources = sources.map(|path| Source::open(path, request.column.as_deref()));
    let sources: Vec<Source> = sources.collect::<Result<_>>()?;
    let sample = Sample::of(&sources, request.rows_max, stop)?;
    let vectors = vectors(&model, &prompt, &sample.texts, (stop, tell))?;
    let from = model.encoder.dimension();
    let moments = Moments::of(&vectors, from);
    let layer = fit::layer(
        &moments,
        request.method,
        request.dimensions,
        request.components,
    )?;
    if request.dimensions.is_none() && layer.dimension < from {
        let to = layer.dimension;
        tell(&format!(
            "# the vectors vary in {to} of {from} directions; these are kept"
        ));
    }
    let outcome = Outcome {
        texts: sample.read,
        rows: sample.texts.len(),
        dimensions: (from, layer.dimension),
        kept: layer.kept,
        fingerprint: Fingerprint::of_json(&(&prompt, &sample.texts)),
    };
    let export = Export {
        encoder: with_layer(&export.encoder, &layer)?,
        card: noted(export.card, request, &outcome, &prompt),
        ..export
    };
    export.write(&request.output)?;
    Ok(outcome)
}

/// The model whose vectors are those that the layer will be given.
fn bare(export: &Export) -> Result<Model> {
    let output = Output {
        head: Head::None,
        normalize: false,
        ..export.encoder.output.clone()
    };
    Ok(Model {
        encoder: export.encoder.clone().with_output(output)?,
        tokenizer: Tokenizer::open(&export.tokenizer)?,
        length_max: export.length_max,
        normalize: false,
        lowercase: export.lowercase,
        prompts: export.prompts.clone(),
        default_prompt: export.default_prompt.clone(),
        folder: export.tokenizer.clone(),
    })
}

/// What says whether a person wants it stopped, and what hears how far it is.
type Listeners<'a> = (&'a dyn Fn() -> bool, &'a dyn Fn(&str));

/// The vectors of texts. `[texts, D]`
fn vectors(
    model: &Model,
    prompt: &str,
    texts: &[String],
    (stop, tell): Listeners<'_>,
) -> Result<Vec<f32>> {
    let prompts = Prompts {
        text: Some(prompt.into()),
        ..Prompts::default()
    };
    let mut embedder = ModelEmbedder::new(model, &prompts);
    let mut all = Vec::with_capacity(texts.len() * model.encoder.dimension());
    for (number, texts_of) in texts.chunks(TEXTS).enumerate() {
        if stop() {
            let resume = String::new();
            return Err(Error::Interrupted { resume });
        }
        let some: Vec<&str> = texts_of.iter().map(String::as_str).collect();
        let Vectors::Dense(dense) = embedder.embed(&some, Role::Text)? else {
            return Err(Error::Defect("a model made sparse vectors".into()));
        };
        all.extend(dense.values);
        let done = number * TEXTS + texts_of.len();
        tell(&format!("# {done} of {} texts", texts.len()));
    }
    Ok(all)
}

/// The encoder with a layer behind its projections. A head of its training has no place there any
/// more.
///
/// # Errors
/// The device has no memory left.
pub fn with_layer(encoder: &Encoder, layer: &Layer) -> Result<Encoder> {
    let mut encoder = encoder.clone();
    let mut output = Output {
        head: Head::None,
        ..encoder.output.clone()
    };
    let name = Output::projection_name(output.projections.len());
    let (from, device) = (encoder.dimension(), encoder.device().clone());
    let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
    let weight = Tensor::from_vec(single(&layer.weight), (layer.dimension, from), &device)?;
    let bias = Tensor::from_vec(single(&layer.bias), layer.dimension, &device)?;
    for (ending, values) in [("weight", weight), ("bias", bias)] {
        let parameter = Parameter::new(format!("{name}.{ending}"), &values)?;
        encoder.parameters.insert(parameter);
    }
    output.projections.push(Projection {
        dimension: layer.dimension,
        bias: true,
        tanh: false,
    });
    encoder.with_output(output)
}

/// The card with what was done. Scores that were measured before it are no longer the model's.
fn noted(mut card: Card, request: &Request, outcome: &Outcome, prompt: &str) -> Card {
    card.scores.clear();
    let names = request.inputs.iter().map(|path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Path::new(name).display().to_string()
    });
    let names: Vec<String> = names.collect();
    let (from, to) = outcome.dimensions;
    let mut note = format!(
        "The last linear layer was fitted after the training, on {} different texts of {} and nothing \
         else: {}, from vectors of length {from} to {to}, which keep {:.2} % of the variance.",
        outcome.rows,
        names.join(", "),
        request.method.what(),
        100.0 * outcome.kept,
    );
    if !prompt.is_empty() {
        // Writing into a string cannot fail.
        let _ = write!(note, " Before each text stood `{prompt}`.");
    }
    card.notes.push(note);
    let hash = outcome.fingerprint.to_string();
    card.data
        .push(("texts of the layer, fingerprint".into(), hash));
    let rows = outcome.rows.to_string();
    card.data.push(("texts of the layer".into(), rows));
    card
}

#[cfg(test)]
mod tests;
