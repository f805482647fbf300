//! The score card of a model: what else its scores depend on.

use std::collections::BTreeMap;

use juzi_schemas::fingerprint::Fingerprint;

use super::contenders::{Contender, Kind};
use super::recognition::Set;
use crate::Result;
use crate::evaluators::{ModelEmbedder, Role};
use crate::model::Model;

/// How equal scores are put in order, everywhere.
const TIES: &str = "the smaller id or row first; in correlations the mean of the ranks";

/// What of a run's card stands on the score card, and by which name.
pub fn of_training(key: &str) -> Option<&'static str> {
    match key {
        "dataset, fingerprint" => Some("training_dataset"),
        "recipe, fingerprint" => Some("training_recipe"),
        _ => None,
    }
}

/// All that is known of a contender; name and value.
///
/// # Errors
/// The device does not give the weights.
pub fn of(contender: &Contender, sets: &[Set]) -> Result<BTreeMap<String, String>> {
    let mut about = contender.about.clone();
    about.insert("ties".into(), TIES.into());
    if let Kind::Model(model) = &contender.kind {
        let config = &model.encoder.config;
        let mut add = |name: &str, value: String| about.insert(name.into(), value);
        add(
            "encoder",
            format!(
                "{}, {} layers of {}",
                config.model_type, config.num_hidden_layers, config.hidden_size
            ),
        );
        add("pooling", pooling(model));
        add("vectors", vectors(model));
        add("longest_text", format!("{} tokens", model.length_max));
        add("prompts", prompts(model, sets));
        add("weights", weights(model)?.short());
    }
    Ok(about)
}

fn pooling(model: &Model) -> String {
    let encoder = &model.encoder;
    let all = std::iter::once(&encoder.pooling).chain(&encoder.output.further);
    let names = all.map(|pooling| {
        let name = serde_json::to_value(pooling).expect("a name has a JSON form");
        name.as_str().unwrap_or_default().to_string()
    });
    names.collect::<Vec<_>>().join(" and ")
}

fn vectors(model: &Model) -> String {
    let ending = match model.normalize {
        true => ", of length 1",
        false => "",
    };
    format!("{} numbers{ending}", model.encoder.dimension())
}

/// What stands before texts in each set of tasks.
fn prompts(model: &Model, sets: &[Set]) -> String {
    let mut all: Vec<String> = Vec::new();
    for set in sets {
        let embedder = ModelEmbedder::new(model, &set.prompts);
        let roles = [
            ("query", Role::Query),
            ("document", Role::Document),
            ("text", Role::Text),
        ];
        let named = roles.map(|(name, role)| (name, embedder.prompt(role)));
        let named = named.iter().filter(|(_, prompt)| !prompt.is_empty());
        let named = named.map(|(name, prompt)| format!("{name} {prompt:?}"));
        let line = named.collect::<Vec<_>>().join(", ");
        let line = if line.is_empty() { "none".into() } else { line };
        if !all.contains(&line) {
            all.push(line);
        }
    }
    all.join("; ")
}

/// The hash of all parameters with their names.
fn weights(model: &Model) -> Result<Fingerprint> {
    let mut hashes = Vec::new();
    for parameter in model.encoder.parameters.iter() {
        let values: Vec<f32> = parameter.tensor().flatten_all()?.to_vec1()?;
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        hashes.push((parameter.name.clone(), Fingerprint::of(&bytes)));
    }
    Ok(Fingerprint::of_json(&hashes))
}
