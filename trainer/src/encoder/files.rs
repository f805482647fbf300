//! The weights of a Hugging Face folder: which tensors there are, by the names of the bare encoder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::safetensors::BufferedSafetensors;
use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use super::pickle::Pickle;
use crate::{Error, Result};

/// What may stand before the name of every tensor of the encoder.
const PREFIXES: [&str; 4] = ["bert.", "roberta.", "camembert.", "auto_model."];

/// Beginnings of names of RoBERTa's masked language model, and BERT's names of the same.
const HEADS: [(&str, &str); 4] = [
    ("lm_head.dense.", "cls.predictions.transform.dense."),
    (
        "lm_head.layer_norm.",
        "cls.predictions.transform.LayerNorm.",
    ),
    ("lm_head.bias", "cls.predictions.bias"),
    ("lm_head.decoder.", "cls.predictions.decoder."),
];

/// The tensors of a folder, opened and not yet read.
pub struct Weights {
    /// The file, or the index of several.
    pub path: PathBuf,
    stores: Vec<(PathBuf, Store)>,
    found: BTreeMap<String, Found>,
}

struct Found {
    store: usize,
    /// The name in the file.
    name: String,
    shape: Vec<usize>,
    taken: bool,
}

enum Store {
    Safetensors(BufferedSafetensors),
    Pickle(Pickle),
}

impl Weights {
    /// Opens `model.safetensors`, else the parts that `model.safetensors.index.json` lists, else
    /// `pytorch_model.bin`.
    ///
    /// # Errors
    /// There is none of them, or one is not what it should be; two tensors mean the same.
    pub fn open(folder: &Path) -> Result<Weights> {
        std::fs::metadata(folder).map_err(Error::input(folder))?;
        let names = [
            "model.safetensors",
            "model.safetensors.index.json",
            "pytorch_model.bin",
        ];
        let Some(path) = names
            .map(|name| folder.join(name))
            .into_iter()
            .find(|path| path.exists())
        else {
            let message = format!("no weights here; expected one of {}", names.join(", "));
            return Err(wrong(folder, message));
        };
        let parts = match path.extension().is_some_and(|ending| ending == "json") {
            true => parts(&path)?,
            false => vec![path.clone()],
        };
        Weights::read(path, parts)
    }

    /// Opens one file, or several that are one.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn read(path: PathBuf, parts: Vec<PathBuf>) -> Result<Weights> {
        let mut weights = Weights {
            path,
            stores: Vec::new(),
            found: BTreeMap::new(),
        };
        for part in parts {
            let store = Store::open(&part)?;
            for (name, shape) in store.shapes() {
                let found = Found {
                    store: weights.stores.len(),
                    name: name.clone(),
                    shape,
                    taken: false,
                };
                if let Some(other) = weights.found.insert(own_name(&name), found) {
                    let other = other.name;
                    let message = format!("tensors `{name}` and `{other}` mean the same");
                    return Err(wrong(&part, message));
                }
            }
            weights.stores.push((part, store));
        }
        Ok(weights)
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.found.contains_key(name)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.found.get(name)?.shape)
    }

    /// Reads a tensor of this shape, as f32.
    ///
    /// # Errors
    /// It is missing or has another shape, both shapes are named; it holds something that is not a
    /// number.
    pub fn take(&mut self, name: &str, shape: &[usize], device: &Device) -> Result<Tensor> {
        let Some(found) = self.found.get_mut(name) else {
            let message = format!("no tensor `{name}`; one of shape {shape:?} is expected");
            return Err(wrong(&self.path, message));
        };
        let (path, store) = &self.stores[found.store];
        let named = &found.name;
        if found.shape != shape {
            let found = &found.shape;
            let message = format!("tensor `{named}` has shape {found:?}, expected {shape:?}");
            return Err(wrong(path, message));
        }
        let failed = |source| wrong(path, format!("tensor `{named}`: {source}"));
        let tensor = store.load(named).map_err(failed)?;
        let tensor = tensor.to_dtype(DType::F32).map_err(failed)?;
        let sum = tensor.sum_all().map_err(failed)?.to_scalar::<f32>();
        if !sum.map_err(failed)?.is_finite() {
            return Err(wrong(path, format!("tensor `{named}` is not all numbers")));
        }
        found.taken = true;
        tensor.to_device(device).map_err(failed)
    }

    /// Names of the tensors that nobody took, as they are in the files.
    pub fn left(&self) -> Vec<&str> {
        let left = self.found.values().filter(|found| !found.taken);
        left.map(|found| found.name.as_str()).collect()
    }
}

impl Store {
    fn open(path: &Path) -> Result<Store> {
        let bad = |source: candle_core::Error| wrong(path, format!("cannot be read: {source}"));
        if path.extension().is_some_and(|ending| ending == "bin") {
            return Ok(Store::Pickle(Pickle::open(path).map_err(bad)?));
        }
        let bytes = std::fs::read(path).map_err(Error::input(path))?;
        let file = BufferedSafetensors::new(bytes).map_err(bad)?;
        Ok(Store::Safetensors(file))
    }

    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        match self {
            Store::Safetensors(file) => {
                let all = file.tensors().into_iter();
                all.map(|(name, view)| (name, view.shape().to_vec()))
                    .collect()
            }
            Store::Pickle(file) => file.shapes(),
        }
    }

    fn load(&self, name: &str) -> candle_core::Result<Tensor> {
        match self {
            Store::Safetensors(file) => file.load(name, &Device::Cpu),
            Store::Pickle(file) => file.load(name),
        }
    }
}

/// The name of a tensor in the bare encoder of BERT, whatever file it is in.
fn own_name(name: &str) -> String {
    let prefix = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    let mut name = prefix.unwrap_or(name).to_owned();
    for (theirs, ours) in HEADS {
        if let Some(rest) = name.strip_prefix(theirs) {
            name = format!("{ours}{rest}");
        }
    }
    for (old, new) in [(".gamma", ".weight"), (".beta", ".bias")] {
        if let Some(start) = name.strip_suffix(old) {
            name = format!("{start}{new}");
        }
    }
    name
}

/// The files that an index lists, each once.
fn parts(index: &Path) -> Result<Vec<PathBuf>> {
    let value = read_json(index)?;
    let map = value["weight_map"].as_object();
    let names = map.map(|map| map.values().map(Value::as_str).collect::<Option<Vec<_>>>());
    let Some(Some(mut names)) = names else {
        return Err(wrong(
            index,
            "expected `weight_map`, from tensors to files".into(),
        ));
    };
    names.sort_unstable();
    names.dedup();
    Ok(names
        .iter()
        .map(|name| index.with_file_name(name))
        .collect())
}

/// A file of JSON.
///
/// # Errors
/// It cannot be read; it is not JSON.
pub fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(Error::input(path))?;
    serde_json::from_str(&text).map_err(|source| wrong(path, format!("expected JSON: {source}")))
}

/// The error that names a file of a model.
pub fn wrong(path: &Path, message: String) -> Error {
    Error::Model {
        path: path.into(),
        message,
    }
}
