//! A model as users have it: a folder of sentence-transformers or of transformers, opened whole.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::Device;
use serde_json::Value;

use crate::Result;
use crate::encoder::files::{read_json, wrong};
use crate::encoder::{Encoder, EncoderOptions, Kernels, Pass, Sequences, modules};
use crate::tokenizer::{Encoded, Scratch, Tokenizer};

/// Files in which sentence-transformers keeps the longest text, by the age of the model.
const LENGTH_FILES: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// An encoder, and all that stands between it and a text.
#[derive(Debug)]
pub struct Model {
    /// The encoder with its pooling and projections; its messages are those of the whole folder.
    pub encoder: Encoder,
    /// From text to token ids.
    pub tokenizer: Tokenizer,
    /// Tokens of a text at most, special ones counted.
    pub length_max: usize,
    /// Whether vectors have length 1; [`Encoder::encode`] sees to it.
    pub normalize: bool,
    /// Whether texts are put into lower case before the tokenizer sees them.
    pub lowercase: bool,
    /// What can stand before a text, by name.
    pub prompts: BTreeMap<String, String>,
    /// The prompt that stands before a text where none is asked for.
    pub default_prompt: Option<String>,
    /// The folder with `config.json`, the weights and the tokenizer.
    pub folder: PathBuf,
}

impl Model {
    /// Opens a folder on the CPU. One without `modules.json` is a bare encoder: it gets the mean of
    /// all states, as sentence-transformers gives it, and says so.
    ///
    /// # Errors
    /// A file is missing or is not what it should be; a module is not known; the tokenizer has more
    /// ids than the model.
    pub fn open(folder: &Path) -> Result<Model> {
        Model::open_on(folder, &Device::Cpu)
    }

    /// Opens a folder, with the parameters on a device.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_on(folder: &Path, device: &Device) -> Result<Model> {
        let (modules, mut messages) = modules::read(folder)?;
        let own = folder.join(&modules.transformer);
        let options = EncoderOptions {
            path: own.to_string_lossy().into_owned(),
            pooling: modules.pooling(),
            ..EncoderOptions::default()
        };
        let encoder = options.open_bare(0, device)?;
        let mut encoder = modules.finish(encoder, device)?;
        let tokenizer = Tokenizer::open(&own)?;
        check_vocabulary(&encoder, &tokenizer, &own)?;
        let settings = Settings::read(&own)?;
        let length_max = settings.length_max(&encoder, &own, &mut messages);
        let (prompts, default_prompt) = prompts(folder)?;
        messages.append(&mut encoder.messages);
        encoder.messages = messages;
        Ok(Model {
            normalize: encoder.output.normalize,
            encoder,
            tokenizer,
            length_max,
            lowercase: settings.lowercase,
            prompts,
            default_prompt,
            folder: own,
        })
    }

    /// A text as the tokenizer is to see it.
    pub fn prepared<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.lowercase {
            true => text.chars().flat_map(char::to_lowercase).collect(),
            false => Cow::Borrowed(text),
        }
    }

    /// The vectors of a few texts, without a prompt. `[rows][D]`
    ///
    /// # Errors
    /// The tokenizer fails on a text; or the device fails.
    pub fn encode(&self, texts: &[&str], kernels: Kernels) -> Result<Vec<Vec<f32>>> {
        let (mut scratch, mut encoded) = (Scratch::default(), Encoded::default());
        let mut sequences = Sequences::default();
        for text in texts {
            encoded.clear();
            let text = self.prepared(text);
            self.tokenizer
                .encode(&text, self.length_max, &mut scratch, &mut encoded);
            if let Some(failure) = scratch.failure() {
                return Err(failure);
            }
            sequences.push(&encoded.ids);
        }
        let vectors = self.encoder.encode(&sequences, &Pass::inference(kernels))?;
        Ok(vectors.to_vec2()?)
    }
}

/// Checks that a model has a row for every id of a tokenizer.
///
/// # Errors
/// How many each has.
pub fn check_vocabulary(encoder: &Encoder, tokenizer: &Tokenizer, folder: &Path) -> Result<()> {
    let (rows, ids) = (encoder.config.vocab_size, tokenizer.vocabulary());
    match ids <= rows {
        true => Ok(()),
        false => Err(wrong(
            folder,
            format!(
                "the tokenizer has {ids} ids and the model has embeddings for {rows}: they do not \
                 belong together"
            ),
        )),
    }
}

/// What sentence-transformers says of texts.
struct Settings {
    stated: Option<usize>,
    lowercase: bool,
}

impl Settings {
    fn read(folder: &Path) -> Result<Settings> {
        let paths = LENGTH_FILES.map(|name| folder.join(name));
        let path = paths.into_iter().find(|path| path.exists());
        let (value, path) = match path {
            Some(path) => (read_json(&path)?, path),
            None => (Value::Null, folder.to_path_buf()),
        };
        let lowercase = match &value["do_lower_case"] {
            Value::Null => false,
            Value::Bool(on) => *on,
            other => {
                let message = format!("do_lower_case = {other}: true or false is accepted");
                return Err(wrong(&path, message));
            }
        };
        let mut stated = match &value["max_seq_length"] {
            Value::Null => None,
            found => match found.as_u64().filter(|&length| length > 2) {
                Some(length) => Some(length as usize),
                None => {
                    let message = format!("max_seq_length = {found}: 3 or more is accepted");
                    return Err(wrong(&path, message));
                }
            },
        };
        let path = folder.join("tokenizer_config.json");
        if stated.is_none() && path.exists() {
            // Tokenizers without a limit state 1e30 here.
            let length = read_json(&path)?["model_max_length"].as_f64();
            stated = length
                .filter(|&length| (3.0..1e9).contains(&length))
                .map(|length| length as usize);
        }
        Ok(Settings { stated, lowercase })
    }

    fn length_max(&self, encoder: &Encoder, folder: &Path, messages: &mut Vec<String>) -> usize {
        let most = encoder.config.length_max();
        match self.stated {
            Some(stated) if stated > most => {
                messages.push(format!(
                    "{}: texts of {stated} tokens are stated, the model has positions for {most}; \
                     texts are cut there",
                    folder.display()
                ));
                most
            }
            stated => stated.unwrap_or(most),
        }
    }
}

/// Prompts by name, and the name of the one to take without being asked.
fn prompts(folder: &Path) -> Result<(BTreeMap<String, String>, Option<String>)> {
    let path = folder.join("config_sentence_transformers.json");
    if !path.exists() {
        return Ok(Default::default());
    }
    let value = read_json(&path)?;
    let strings = |value: &Value| -> Option<BTreeMap<String, String>> {
        let all = value.as_object()?.iter();
        all.map(|(name, text)| Some((name.clone(), text.as_str()?.to_string())))
            .collect()
    };
    let prompts = match &value["prompts"] {
        Value::Null => BTreeMap::new(),
        found => strings(found)
            .ok_or_else(|| wrong(&path, "prompts: texts by their names are accepted".into()))?,
    };
    let default = value["default_prompt_name"].as_str().map(str::to_string);
    if let Some(name) = default.as_ref().filter(|name| !prompts.contains_key(*name)) {
        let names: Vec<&str> = prompts.keys().map(String::as_str).collect();
        let names = names.join(", ");
        let message = format!("default_prompt_name = \"{name}\": one of {names} is accepted");
        return Err(wrong(&path, message));
    }
    Ok((prompts, default))
}

#[cfg(test)]
mod tests;
