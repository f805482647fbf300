//! The tokenizer's files of an exported model.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::write_json;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Files that a tokenizer is read from, by transformers or by us.
const SOURCES: [&str; 6] = [
    "tokenizer.json",
    "vocab.txt",
    "sentencepiece.bpe.model",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
];

/// Copies a tokenizer, from its folder or from beside its file, and writes what transformers wants
/// besides where it is not there.
///
/// # Errors
/// It is not a tokenizer; the disk refuses.
pub fn copy(from: &Path, to: &Path, length_max: usize) -> Result<()> {
    let tokenizer = Tokenizer::open(from)?;
    let folder = match from.is_dir() {
        true => from,
        false => from.parent().unwrap_or(Path::new(".")),
    };
    for name in SOURCES {
        let own = folder.join(name);
        // A file that was named alone is the tokenizer, whatever stands beside it.
        let meant = from.is_dir() || own == from;
        if meant && own.exists() {
            copy_file(&own, &to.join(name))?;
        }
    }
    let [config, special] = ["tokenizer_config.json", "special_tokens_map.json"];
    for (name, value) in [
        (config, configured(&tokenizer, to, length_max)),
        (special, Value::Object(specials(&tokenizer))),
    ] {
        let own = folder.join(name);
        match own.exists() {
            true => copy_file(&own, &to.join(name))?,
            false => write_json(&to.join(name), &value)?,
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from).map_err(Error::input(from))?;
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(to)?;
        std::io::Write::write_all(&mut file, &bytes)?;
        file.sync_all()
    };
    write().map_err(Error::input(to))
}

/// `tokenizer_config.json` as we have read the tokenizer.
fn configured(tokenizer: &Tokenizer, to: &Path, length_max: usize) -> Value {
    let mut value = match to.join("tokenizer.json").exists() {
        true => json!({ "tokenizer_class": "PreTrainedTokenizerFast" }),
        false => json!({
            "tokenizer_class": "BertTokenizer", "do_lower_case": true,
            "tokenize_chinese_chars": true, "strip_accents": null,
        }),
    };
    value["model_max_length"] = length_max.into();
    for (key, token) in specials(tokenizer) {
        value[key] = token;
    }
    value
}

/// Special tokens by what they are for.
fn specials(tokenizer: &Tokenizer) -> Map<String, Value> {
    let named = [
        ("unk_token", tokenizer.unk()),
        ("sep_token", tokenizer.sep()),
        ("pad_token", Some(tokenizer.pad())),
        ("cls_token", tokenizer.cls()),
        ("mask_token", tokenizer.mask()),
    ];
    let named = named
        .into_iter()
        .filter_map(|(key, id)| Some((key.to_string(), tokenizer.token(id?)?.into())));
    named.collect()
}
