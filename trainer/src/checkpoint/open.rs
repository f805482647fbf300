//! Opening a checkpoint: all its files are proved before anything is taken from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, safetensors};
use juzi_schemas::Error as Fault;
use juzi_schemas::fingerprint::Fingerprint;

use super::{Checkpoints, FORMAT, STATE, State, name};
use crate::parameters::Parameters;
use crate::{Error, Result};

/// A checkpoint whose files are what its state says.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Its directory.
    pub dir: PathBuf,
    /// Its state.
    pub state: State,
}

/// The newest checkpoint that is whole.
#[derive(Debug)]
pub struct Newest {
    /// None where there was never one.
    pub checkpoint: Option<Checkpoint>,
    /// What newer ones were refused for.
    pub refused: Vec<String>,
}

impl Checkpoints {
    /// The newest checkpoint that is whole; damaged ones are passed over, and named.
    ///
    /// # Errors
    /// There are checkpoints and none of them is whole, or one is of another version of juzi.
    pub fn newest(&self) -> Result<Newest> {
        let mut refused = Vec::new();
        for step in self.steps()? {
            match Checkpoint::open(&self.dir.join(name(step))) {
                Ok(checkpoint) => {
                    let checkpoint = Some(checkpoint);
                    return Ok(Newest {
                        checkpoint,
                        refused,
                    });
                }
                Err(error @ Error::Usage(_)) => return Err(error),
                Err(error) => refused.push(format!("{error}; trying the one before")),
            }
        }
        match refused.is_empty() {
            true => Ok(Newest {
                checkpoint: None,
                refused,
            }),
            false => Err(Error::Mismatch {
                path: self.dir.clone(),
                message: format!("none of its checkpoints is whole: {}", refused.join("; ")),
            }),
        }
    }
}

impl Checkpoint {
    /// Opens a checkpoint and proves all its files.
    ///
    /// # Errors
    /// It is of another version of juzi, or a file is missing or was changed.
    pub fn open(dir: &Path) -> Result<Checkpoint> {
        let path = dir.join(STATE);
        let text = std::fs::read(&path).map_err(Fault::io(&path))?;
        let wrong = |message: String| Fault::Json {
            path: path.clone(),
            what: "state of a checkpoint",
            message,
        };
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if value["format"]
            .as_u64()
            .is_some_and(|own| own != u64::from(FORMAT))
        {
            return Err(Error::Usage(format!(
                "{}: its format is {}; this juzi reads {FORMAT}",
                path.display(),
                value["format"]
            )));
        }
        let state: State =
            serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
        if !state.is_whole() {
            return Err(wrong("its hash is not that of its content".into()).into());
        }
        for (name, proof) in &state.files {
            let path = dir.join(name);
            let bytes = std::fs::metadata(&path).map_err(Fault::io(&path))?.len();
            let damaged = |what, found: String, expected: String| Fault::Damaged {
                path: path.clone(),
                what,
                found,
                expected,
            };
            if bytes != proof.bytes {
                let (found, expected) = (bytes.to_string(), proof.bytes.to_string());
                return Err(damaged("size", found, expected).into());
            }
            let hash = Fingerprint::of_file(&path)?;
            if hash != proof.hash {
                let (found, expected) = (hash.to_string(), proof.hash.to_string());
                return Err(damaged("hash of bytes", found, expected).into());
            }
        }
        Ok(Checkpoint {
            dir: dir.into(),
            state,
        })
    }

    /// The tensors of one of its files; none where it has no such file.
    ///
    /// # Errors
    /// The file does not hold tensors, or the device has no memory left.
    pub fn tensors(&self, name: &str, device: &Device) -> Result<BTreeMap<String, Tensor>> {
        if !self.state.files.contains_key(name) {
            return Ok(BTreeMap::new());
        }
        let path = self.dir.join(name);
        let tensors = safetensors::load(&path, device);
        let tensors = tensors.map_err(|error| Error::Model {
            path,
            message: error.to_string(),
        })?;
        Ok(tensors.into_iter().collect())
    }

    /// Gives parameters the values that a file has for their names.
    ///
    /// # Errors
    /// A name is missing, one is left over, or a shape is another.
    pub fn restore(&self, name: &str, parameters: &Parameters) -> Result<()> {
        let mut tensors = self.tensors(name, &Device::Cpu)?;
        let wrong = |message: String| Error::Model {
            path: self.dir.join(name),
            message,
        };
        for parameter in parameters.iter() {
            let values = tensors.remove(&parameter.name);
            let values = values.ok_or_else(|| {
                let shape = parameter.tensor().dims();
                wrong(format!(
                    "no tensor `{}`; {shape:?} is wanted",
                    parameter.name
                ))
            })?;
            let (found, wanted) = (values.dims(), parameter.tensor().dims());
            if found != wanted {
                return Err(wrong(format!(
                    "tensor `{}` is {found:?}; {wanted:?} is wanted",
                    parameter.name
                )));
            }
            parameter.set(&values)?;
        }
        match tensors.keys().next() {
            None => Ok(()),
            Some(left) => Err(wrong(format!("tensor `{left}` belongs to nothing here"))),
        }
    }

    /// The text of one of its files.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn text(&self, name: &str) -> Result<String> {
        let path = self.dir.join(name);
        Ok(std::fs::read_to_string(&path).map_err(Fault::io(&path))?)
    }
}
