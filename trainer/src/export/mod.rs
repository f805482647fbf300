//! Export: a model becomes a folder that sentence-transformers and transformers read.
//!
//! ```text
//! run, checkpoint, folder ─▶ source ─▶ Export ─▶ layout, tensors, tokenizer files, card ─▶ DIR
//!                                                                   read back, compared ─┘
//! ```
//! The folder is written under a hidden name and renamed as a whole, after it was read back and gave
//! the same vectors.

mod card;
mod front;
mod layout;
mod source;
mod tensors;
mod tokenizer;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde_json::{Value, json};

use crate::encoder::{Encoder, Kernels, Pass, Sequences, files::wrong};
use crate::model::Model;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

pub use crate::checkpoint::Step;
pub use card::{Card, Score};
pub use front::Front;
pub use source::open;

/// Two readings of the same parameters may differ by this much, as their sums may be ordered
/// otherwise.
const TOLERANCE: f32 = 1e-5;

/// The file of what a user of the vectors does not need.
pub const HEADS: &str = "heads.safetensors";

/// What is exported.
#[derive(Debug)]
pub struct Export {
    /// The encoder with its pooling and projections.
    pub encoder: Encoder,
    /// The tokenizer: a folder or a file.
    pub tokenizer: PathBuf,
    /// Tokens of a text at most.
    pub length_max: usize,
    /// Whether texts are put into lower case before the tokenizer sees them.
    pub lowercase: bool,
    /// What can stand before a text, by name.
    pub prompts: BTreeMap<String, String>,
    /// The prompt that is taken without being asked for.
    pub default_prompt: Option<String>,
    /// Heads of the training that are kept beside the model, by name; empty for none.
    pub heads: BTreeMap<String, Tensor>,
    /// What the model card says.
    pub card: Card,
}

impl Export {
    /// The same as a model in memory.
    ///
    /// # Errors
    /// The tokenizer cannot be read.
    pub fn into_model(self) -> Result<Model> {
        Ok(Model {
            normalize: self.encoder.output.normalize,
            tokenizer: Tokenizer::open(&self.tokenizer)?,
            encoder: self.encoder,
            length_max: self.length_max,
            lowercase: self.lowercase,
            prompts: self.prompts,
            default_prompt: self.default_prompt,
            folder: self.tokenizer,
        })
    }

    /// Writes the folder as a whole.
    ///
    /// # Errors
    /// It exists; the model has something that the layout cannot express; the disk refuses; what is
    /// read back gives other vectors.
    pub fn write(&self, out: &Path) -> Result<()> {
        let name = check_free(out)?;
        let parent = match out.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(parent).map_err(Error::input(parent))?;
        let hidden = parent.join(format!(".{}.partial", name.to_string_lossy()));
        remove(&hidden)?;
        let done = self.fill(&hidden).and_then(|()| self.prove(&hidden));
        if let Err(error) = done {
            // Half a folder only takes room away; the error is what matters.
            let _ = remove(&hidden);
            return Err(error);
        }
        std::fs::rename(&hidden, out).map_err(Error::input(out))?;
        sync(parent)
    }

    fn fill(&self, dir: &Path) -> Result<()> {
        let encoder = &self.encoder;
        let modules = layout::modules(encoder).map_err(|message| {
            let message = format!("the layout of sentence-transformers: {message}");
            wrong(dir, message)
        })?;
        std::fs::create_dir_all(dir).map_err(Error::input(dir))?;
        tensors::write(&dir.join("model.safetensors"), &self.transformer())?;
        let config = layout::transformer(&encoder.config, encoder.pooling);
        write_json(&dir.join("config.json"), &config)?;
        let (listed, paths) = layout::listed(&modules);
        write_json(&dir.join("modules.json"), &listed)?;
        for (path, module) in paths.iter().zip(&modules) {
            let own = dir.join(path);
            std::fs::create_dir(&own).map_err(Error::input(&own))?;
            write_json(&own.join("config.json"), &module.config)?;
            if !module.tensors.is_empty() {
                tensors::write(&own.join("model.safetensors"), &module.tensors)?;
            }
            sync(&own)?;
        }
        let settings = json!({
            "max_seq_length": self.length_max,
            "do_lower_case": self.lowercase,
        });
        write_json(&dir.join("sentence_bert_config.json"), &settings)?;
        let settings = json!({
            "__version__": { "juzi": env!("CARGO_PKG_VERSION") },
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt,
            "similarity_fn_name": "cosine",
        });
        write_json(&dir.join("config_sentence_transformers.json"), &settings)?;
        tokenizer::copy(&self.tokenizer, dir, self.length_max)?;
        if !self.heads.is_empty() {
            tensors::write(&dir.join(HEADS), &self.heads)?;
        }
        write_text(&dir.join("README.md"), &self.card.page(self))?;
        sync(dir)
    }

    /// Tensors of `model.safetensors`: those of the bare encoder, and the pooler if there is one.
    fn transformer(&self) -> BTreeMap<String, Tensor> {
        let own = self.encoder.parameters.iter();
        let own = own.filter(|parameter| layout::of_transformer(parameter));
        let own = own.map(|parameter| (parameter.name.clone(), parameter.tensor().clone()));
        let spare = self.encoder.spare.iter();
        let spare = spare.filter(|(name, _)| name.starts_with("pooler."));
        let spare = spare.map(|(name, tensor)| (name.clone(), tensor.clone()));
        spare.chain(own).collect()
    }

    /// Reads the folder back and compares the vectors of a few sequences.
    fn prove(&self, dir: &Path) -> Result<()> {
        let model = Model::open(dir)?;
        let ids = self.encoder.config.vocab_size as u32;
        let longest = self.length_max.min(24);
        let rows: Vec<Vec<u32>> = [longest, 1, longest / 2 + 1]
            .iter()
            .map(|&length| (0..length as u32).map(|place| place * 37 % ids).collect())
            .collect();
        let sequences = Sequences::new(rows.iter().map(Vec::as_slice));
        let pass = Pass::inference(Kernels::Plain);
        let ours = self.encoder.encode(&sequences, &pass)?.flatten_all()?;
        let theirs = model.encoder.encode(&sequences, &pass)?.flatten_all()?;
        let pairs = ours.to_vec1::<f32>()?.into_iter();
        let mut pairs = pairs.zip(theirs.to_vec1::<f32>()?);
        let close = pairs.all(|(one, other)| {
            (one - other).abs() <= TOLERANCE * one.abs().max(1.0) && one.is_finite()
        });
        match close && ours.dims() == theirs.dims() && model.length_max == self.length_max {
            true => Ok(()),
            false => Err(wrong(
                dir,
                "what was written gives other vectors when it is read back".into(),
            )),
        }
    }
}

/// Checks that nothing stands where a folder is to be written, an empty folder aside; gives its name.
///
/// # Errors
/// Something stands there.
pub fn check_free(out: &Path) -> Result<&OsStr> {
    let empty = std::fs::read_dir(out).is_ok_and(|mut files| files.next().is_none());
    let taken = out.symlink_metadata().is_ok() && !empty;
    let name = out.file_name().filter(|_| !taken);
    name.ok_or_else(|| {
        Error::Usage(format!(
            "{}: exists already; name a folder that does not",
            out.display()
        ))
    })
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::input(path)(error))
        }
        _ => Ok(()),
    }
}

fn sync(dir: &Path) -> Result<()> {
    let open = File::open(dir).and_then(|dir| dir.sync_all());
    open.map_err(Error::input(dir))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).expect("a value has a JSON form");
    write_text(path, &(text + "\n"))
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = File::create(path)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(Error::input(path))
}

#[cfg(test)]
mod tests;
