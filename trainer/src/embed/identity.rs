//! What a result follows from: the model's files, the texts, the prompt. Equal identities give equal
//! results, so that parts of one may go on in the other.

use std::path::{Path, PathBuf};

use juzi_schemas::embedding::STAGE;
use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::manifest;
use juzi_schemas::shard::FORMAT;
use serde_json::{Value, json};

use super::input::Source;
use super::output::Format;
use super::{Request, Sizes};
use crate::model::Model;
use crate::{Error, Result};

/// Endings of files that say what a model is.
const ENDINGS: [&str; 5] = ["json", "txt", "safetensors", "bin", "model"];

/// Everything that an output follows from.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Values by name.
    pub plan: Value,
    /// The inputs in order.
    pub inputs: Vec<manifest::Input>,
    /// The hash of all this.
    pub fingerprint: Fingerprint,
}

impl Identity {
    /// The identity of a request.
    ///
    /// # Errors
    /// A file of the model or an input cannot be read.
    pub fn of(
        model: &Model,
        prompt: &str,
        request: &Request,
        sources: &[Source],
        sizes: Sizes,
    ) -> Result<Identity> {
        let plan = json!({
            "model": of_model(&request.model)?,
            "length_max": model.length_max,
            "normalize": model.normalize,
            "lowercase": model.lowercase,
            "prompt": prompt,
            "column": request.column,
            "output": Format::of(&request.output),
            "window_texts": sizes.window_texts,
            "window_bytes": sizes.window_bytes,
        });
        let inputs = sources.iter().map(Source::identity);
        let inputs: Vec<manifest::Input> = inputs.collect::<Result<_>>()?;
        let hashes: Vec<Fingerprint> = inputs.iter().map(|input| input.hash).collect();
        Ok(Identity {
            fingerprint: Fingerprint::of_json(&(STAGE, FORMAT, &plan, hashes)),
            plan,
            inputs,
        })
    }

    /// The values for people and scripts: those of the plan, and the hashes of the inputs.
    pub fn to_json(&self) -> Value {
        let inputs = self.inputs.iter().map(|input| {
            let (file, hash) = (&input.file, input.hash);
            json!({ "file": file, "hash": hash })
        });
        json!({ "plan": self.plan, "inputs": inputs.collect::<Vec<_>>() })
    }

    /// What differs from another identity as it was written down, key by key.
    pub fn difference(&self, other: &Value) -> String {
        let own = self.to_json();
        let keys = self.plan.as_object().into_iter().flatten();
        let keys = keys.map(|(key, _)| (key.as_str(), &own["plan"][key], &other["plan"][key]));
        let inputs = [("inputs", &own["inputs"], &other["inputs"])];
        let all = keys.chain(inputs).filter(|(_, own, other)| own != other);
        let all = all.map(|(key, own, other)| format!("{key} was {other} and is {own}"));
        all.collect::<Vec<_>>().join("; ")
    }
}

/// The hash of the files of a model, without those that only tell people of it.
pub(crate) fn of_model(dir: &Path) -> Result<Fingerprint> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort();
    let hashes = files.iter().map(|path| {
        let name = path.strip_prefix(dir).unwrap_or(path).to_string_lossy();
        Ok((name.into_owned(), Fingerprint::of_file(path)?))
    });
    let hashes: Vec<(String, Fingerprint)> = hashes.collect::<Result<_>>()?;
    Ok(Fingerprint::of_json(&hashes))
}

/// Files of a folder and of the folders in it, hidden ones aside.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir).map_err(Error::input(dir))? {
        let path = entry.map_err(Error::input(dir))?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let hidden = path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with('.')
        });
        match path.is_dir() {
            _ if hidden => {}
            true => collect(&path, files)?,
            false if ending.is_some_and(|ending| ENDINGS.contains(&ending)) => files.push(path),
            false => {}
        }
    }
    Ok(())
}
