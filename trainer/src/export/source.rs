//! What can be exported: a run, one of its checkpoints, or the folder of a model.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde::Deserialize;
use serde_json::Value;

use super::card::Score;
use super::front::Front;
use super::{Card, Export};
use crate::checkpoint::{self, Step};
use crate::encoder::files::{read_json, wrong};
use crate::encoder::{Encoder, EncoderOptions};
use crate::losses;
use crate::model::{Model, check_vocabulary};
use crate::recipe::TokenizerOptions;
use crate::tokenizer::Tokenizer;
use crate::training::evaluations;
use crate::{Error, Result};

/// Keys of a recipe whose values are places.
const PLACES: [&str; 4] = ["dataset", "synonyms", "path", "stop_words"];

/// What of a recipe says how a model is used.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tables {
    encoder: EncoderOptions,
    tokenizer: TokenizerOptions,
    loss: Option<losses::Options>,
}

/// Opens a run (a directory with `recipe.toml`), a checkpoint of one (with `state.json`) or the
/// folder of a model (with `config.json`); with the heads of the training where they are wanted.
///
/// # Errors
/// It is none of them; a file is missing or is not what it should be.
pub fn open(path: &Path, step: Option<Step>, heads: bool) -> Result<Export> {
    std::fs::metadata(path).map_err(Error::input(path))?;
    let has = |name: &str| path.join(name).exists();
    match (has("recipe.toml"), has("state.json"), has("config.json")) {
        (true, false, _) => {
            let checkpoint = checkpoint::find(path, step.unwrap_or_default())?;
            trained(path, &checkpoint, heads)
        }
        (_, _, true) if step.is_some() => Err(Error::Usage(format!(
            "{}: not a run, so it has no steps to choose from",
            path.display()
        ))),
        (false, true, true) => match checkpoint::run_of(path) {
            Some(run) => trained(&run, path, heads),
            None => Err(wrong(
                path,
                "a checkpoint outside of its run; the recipe.toml of the run is expected two \
                 directories above"
                    .into(),
            )),
        },
        (false, false, true) => folder(path, heads),
        _ => Err(Error::Usage(format!(
            "{}: expected a run (recipe.toml), a checkpoint (state.json) or the folder of a model \
             (config.json)",
            path.display()
        ))),
    }
}

/// A checkpoint of a run.
fn trained(run: &Path, checkpoint: &Path, heads: bool) -> Result<Export> {
    let path = run.join("recipe.toml");
    let text = std::fs::read_to_string(&path).map_err(Error::input(&path))?;
    let bad = |error: toml::de::Error| Error::Recipe {
        path: path.clone(),
        message: error.to_string(),
    };
    let tables: Tables = toml::from_str(&text).map_err(bad)?;
    let mut recipe: toml::Table = toml::from_str(&text).map_err(bad)?;
    shorten(&mut recipe);
    let file = checkpoint::weights(checkpoint);
    let options = &tables.encoder;
    let encoder = options.reopen(checkpoint, file, &Device::Cpu)?;
    let tokenizer = run.join(&tables.tokenizer.path);
    check_vocabulary(&encoder, &Tokenizer::open(&tokenizer)?, &tokenizer)?;
    let front = Front::of_base(Path::new(&options.path));
    let mut card = Card {
        recipe: Some(recipe.to_string()),
        front,
        ..about(run, checkpoint)?
    };
    card.notes.extend(card.front.note());
    if file == checkpoint::AVERAGE {
        let note = "The weights are the moving average over the steps of the training.";
        card.notes.push(note.into());
    }
    if let Some(losses::Options::Matryoshka(loss)) = &tables.loss {
        card.notes.push(format!(
            "The first {:?} elements of a vector were trained to be vectors of their own: cut, then \
             normalise.",
            loss.dimensions
        ));
    }
    let heads = match heads {
        true => kept(checkpoint, &encoder)?,
        false => BTreeMap::new(),
    };
    Ok(Export {
        length_max: tables.tokenizer.length_max.min(encoder.config.length_max()),
        encoder,
        tokenizer,
        lowercase: false,
        prompts: BTreeMap::new(),
        default_prompt: None,
        heads,
        card,
    })
}

/// The name of a run, its data and its scores.
fn about(run: &Path, checkpoint: &Path) -> Result<Card> {
    let whole = run.canonicalize().map_err(Error::input(run))?;
    let title = whole.file_name().unwrap_or_default();
    let state = optional(&checkpoint.join("state.json"))?;
    let provenance = optional(&run.join("provenance.json"))?;
    let start = &provenance["starts"][0];
    let mut data = Vec::new();
    for (name, value) in [
        ("dataset, fingerprint", &state["dataset"]),
        ("recipe, fingerprint", &state["recipe"]),
        ("records", &start["records"]),
        ("batches of an epoch", &start["batches"]),
        ("device", &start["device"]),
        ("juzi", &start["juzi"]),
    ] {
        match value {
            Value::Null => {}
            Value::String(text) => data.push((name.to_string(), text.clone())),
            other => data.push((name.to_string(), other.to_string())),
        }
    }
    let step = state["position"]["step"].as_u64();
    Ok(Card {
        title: title.to_string_lossy().into_owned(),
        step,
        data,
        scores: scores(run, step)?,
        ..Card::default()
    })
}

/// What was measured at the step of a checkpoint, beside what it was before the training.
fn scores(run: &Path, step: Option<u64>) -> Result<Vec<Score>> {
    let read = |step| evaluations::read(run, step);
    let Some(measured) = step.map_or(Ok(None), read)? else {
        return Ok(Vec::new());
    };
    let before = read(0)?.filter(|before| before.step != measured.step);
    let mut scores = Vec::new();
    for (name, task) in &measured.tasks {
        let old = before.as_ref().and_then(|before| before.tasks.get(name));
        for metric in &task.scores.metrics {
            scores.push(Score {
                task: name.clone(),
                metric: metric.name.clone(),
                before: old.and_then(|old| Some(old.scores.get(&metric.name)?.value)),
                value: metric.value,
            });
        }
    }
    Ok(scores)
}

/// The folder of a model, as it is.
fn folder(path: &Path, heads: bool) -> Result<Export> {
    let model = Model::open(path)?;
    let whole = path.canonicalize().map_err(Error::input(path))?;
    let title = whole.file_name().unwrap_or_default().to_string_lossy();
    let spare = model.encoder.spare.iter();
    let spare = spare.filter(|(name, _)| heads && !name.starts_with("pooler."));
    Ok(Export {
        heads: spare
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect(),
        tokenizer: model.folder,
        length_max: model.length_max,
        lowercase: model.lowercase,
        prompts: model.prompts,
        default_prompt: model.default_prompt,
        card: Card {
            title: title.into_owned(),
            notes: vec!["Written from a published model; it was not trained here.".into()],
            front: Front::of_folder(path),
            ..Card::default()
        },
        encoder: model.encoder,
    })
}

/// Parameters of losses, and of the encoder's head.
fn kept(checkpoint: &Path, encoder: &Encoder) -> Result<BTreeMap<String, Tensor>> {
    let path = checkpoint.join("heads.safetensors");
    let mut kept = BTreeMap::new();
    if path.exists() {
        let tensors = candle_core::safetensors::load(&path, &Device::Cpu)
            .map_err(|source| wrong(&path, format!("cannot be read: {source}")))?;
        kept.extend(tensors);
    }
    for parameter in encoder.parameters.iter() {
        if parameter.name.starts_with("head.") {
            kept.insert(parameter.name.clone(), parameter.tensor().clone());
        }
    }
    Ok(kept)
}

/// Leaves the last part of every place, so that a card does not tell of somebody's directories.
fn shorten(table: &mut toml::Table) {
    for (key, value) in table.iter_mut() {
        match value {
            toml::Value::Table(inner) => shorten(inner),
            toml::Value::String(text) if PLACES.contains(&key.as_str()) => {
                let last = Path::new(text.as_str()).file_name();
                *text = last.map_or(String::new(), |last| last.to_string_lossy().into_owned());
            }
            _ => {}
        }
    }
}

/// A file of JSON, or null where there is none.
fn optional(path: &Path) -> Result<Value> {
    match path.exists() {
        true => read_json(path),
        false => Ok(Value::Null),
    }
}
