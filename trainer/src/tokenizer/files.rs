//! Reading a tokenizer from a Hugging Face folder, and the names of its special tokens.

use std::path::Path;

use serde_json::Value;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Tokenizer};

use crate::{Error, Result};

/// What the files beside a tokenizer say of it.
#[derive(Debug, Default)]
pub struct Config {
    tokenizer: Value,
    special: Value,
}

/// The error that names a tokenizer's file and says what is expected.
pub fn error(path: &Path, message: impl std::fmt::Display) -> Error {
    Error::Tokenizer {
        path: path.to_owned(),
        message: message.to_string(),
    }
}

/// A tokenizer from a folder or a file, what is said of it, and the file it came from.
pub fn open(path: &Path) -> Result<(Tokenizer, Config, std::path::PathBuf)> {
    let metadata = std::fs::metadata(path).map_err(Error::input(path))?;
    let file = match metadata.is_dir() {
        false => path.to_owned(),
        true => {
            let names = ["tokenizer.json", "vocab.txt"].map(|name| path.join(name));
            let Some(file) = names.into_iter().find(|file| file.exists()) else {
                return Err(error(
                    path,
                    "has neither tokenizer.json nor vocab.txt; a Hugging Face folder has one",
                ));
            };
            file
        }
    };
    let folder = file.parent().unwrap_or(Path::new("."));
    let config = Config {
        tokenizer: read_json(&folder.join("tokenizer_config.json"))?,
        special: read_json(&folder.join("special_tokens_map.json"))?,
    };
    let bytes = std::fs::read(&file).map_err(Error::input(&file))?;
    let tokenizer = match file.extension().and_then(|ending| ending.to_str()) {
        Some("json") => from_json(&file, &bytes)?,
        Some("txt") => from_vocabulary(&file, &bytes, &config)?,
        _ => {
            return Err(error(
                &file,
                "expected a folder, tokenizer.json or vocab.txt",
            ));
        }
    };
    Ok((tokenizer, config, file))
}

/// A file of settings; without the file, no settings.
fn read_json(path: &Path) -> Result<Value> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|source| error(path, format!("not valid JSON: {source}"))),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Value::Null),
        Err(source) => Err(Error::input(path)(source)),
    }
}

fn from_json(path: &Path, bytes: &[u8]) -> Result<Tokenizer> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|source| error(path, format!("not valid JSON: {source}")))?;
    if !value["model"].is_object() {
        return Err(error(
            path,
            "has no table `model`; expected a tokenizer.json as the library tokenizers saves it",
        ));
    }
    Tokenizer::from_bytes(bytes).map_err(|source| {
        let message = "not a tokenizer that the library tokenizers can read";
        error(path, format!("{message}: {source}"))
    })
}

/// BERT's tokenizer from its list of tokens.
fn from_vocabulary(path: &Path, bytes: &[u8], config: &Config) -> Result<Tokenizer> {
    let vocabulary = WordPiece::read_bytes(bytes)
        .map_err(|source| error(path, format!("expected one token a line, UTF-8: {source}")))?;
    let special = |key, name: &str| {
        let name = config.name(key).unwrap_or(name).to_owned();
        match vocabulary.get(&name) {
            Some(&id) => Ok((name, id)),
            None => Err(missing(path, &name, key)),
        }
    };
    let (unknown, _) = special("unk_token", "[UNK]")?;
    let (pad, _) = special("pad_token", "[PAD]")?;
    let cls = special("cls_token", "[CLS]")?;
    let sep = special("sep_token", "[SEP]")?;
    let mask = special("mask_token", "[MASK]").ok();
    let lowercase = config.switch(path, "do_lower_case")?.unwrap_or(true);
    let chinese = config.switch(path, "tokenize_chinese_chars")?;
    let normalizer = BertNormalizer::new(
        true,
        chinese.unwrap_or(true),
        config.switch(path, "strip_accents")?,
        lowercase,
    );
    let names = [pad, unknown.clone(), cls.0.clone(), sep.0.clone()];
    let names = names.into_iter().chain(mask.map(|(name, _)| name));
    let added: Vec<AddedToken> = names.map(|name| AddedToken::from(name, true)).collect();
    let build = || {
        let model = WordPiece::builder().vocab(vocabulary).unk_token(unknown);
        let mut tokenizer = Tokenizer::new(model.build()?);
        tokenizer.with_normalizer(Some(normalizer))?;
        tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        tokenizer.with_post_processor(Some(BertProcessing::new(sep, cls)));
        tokenizer.add_special_tokens(added)?;
        tokenizers::Result::Ok(tokenizer)
    };
    build().map_err(|source| error(path, source))
}

/// A special token that the vocabulary does not have.
pub fn missing(path: &Path, name: &str, key: &str) -> Error {
    error(
        path,
        format!(
            "the vocabulary has no {name}; expected one, or its name as `{key}` in tokenizer_config.json"
        ),
    )
}

impl Config {
    /// The name of a special token, by its key, as `pad_token`.
    pub fn name(&self, key: &str) -> Option<&str> {
        [&self.tokenizer[key], &self.special[key]]
            .into_iter()
            .find_map(|value| value.as_str().or_else(|| value["content"].as_str()))
    }

    /// A switch of tokenizer_config.json; `null` is as if it were not there.
    fn switch(&self, path: &Path, key: &str) -> Result<Option<bool>> {
        match &self.tokenizer[key] {
            Value::Null => Ok(None),
            Value::Bool(on) => Ok(Some(*on)),
            other => Err(error(
                &path.with_file_name("tokenizer_config.json"),
                format!("{key}: {other}; expected true, false or null"),
            )),
        }
    }
}
