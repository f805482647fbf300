//! `config.json` of a Hugging Face folder: what is understood, what is refused, what does not matter.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Config, MODEL_TYPES};
use crate::{Error, Result};

/// Keys that a model cannot do without: the library's defaults for them are another model's.
const NEEDED: [&str; 6] = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
];

/// Further keys of [`Config`].
const KNOWN: [&str; 8] = [
    "model_type",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "type_vocab_size",
    "initializer_range",
    "layer_norm_eps",
    "pad_token_id",
];

/// Keys that change the arithmetic, with the values that leave it as it is here.
const FIXED: [(&str, &[Fixed]); 10] = [
    ("position_embedding_type", &[Fixed::Word("absolute")]),
    ("is_decoder", &[Fixed::Switch(false)]),
    ("add_cross_attention", &[Fixed::Switch(false)]),
    ("is_encoder_decoder", &[Fixed::Switch(false)]),
    ("chunk_size_feed_forward", &[Fixed::Zero]),
    ("pruned_heads", &[Fixed::Empty]),
    ("embedding_size", &[Fixed::SameAsHidden]),
    ("tie_word_embeddings", &[Fixed::Switch(true)]),
    ("quantization_config", &[]),
    ("auto_map", &[]),
];

/// Keys that change nothing: of tasks, of training, of other programs.
const HARMLESS: [&str; 47] = [
    "_name_or_path",
    "_attn_implementation_autoset",
    "adapters",
    "architectures",
    "attn_implementation",
    "bos_token_id",
    "classifier_dropout",
    "cls_token_id",
    "cross_attention_hidden_size",
    "custom_pipelines",
    "decoder_start_token_id",
    "directionality",
    "dtype",
    "eos_token_id",
    "finetuning_task",
    "gradient_checkpointing",
    "id2label",
    "inference_type",
    "keys_to_ignore_at_inference",
    "label2id",
    "language",
    "layer_norm_type",
    "mask_token_id",
    "max_length",
    "model_max_length",
    "name",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "problem_type",
    "return_dict",
    "sentence_transformers",
    "sep_token_id",
    "summary_type",
    "task_specific_params",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "unk_token_id",
    "use_cache",
];

/// A value that a key may have.
enum Fixed {
    Word(&'static str),
    Switch(bool),
    Zero,
    Empty,
    SameAsHidden,
}

/// The sizes that `config.json` of a folder states, and what is to be said of it: keys that nobody
/// here knows are named in a message, since most of them belong to tasks and to other programs; a
/// known key with a value that would change the arithmetic is refused.
///
/// # Errors
/// There is no such file; it is not what it should be; the key, its value and what is accepted.
pub fn read(path: &Path) -> Result<(Config, Vec<String>)> {
    let text = std::fs::read_to_string(path).map_err(Error::input(path))?;
    let wrong = |message: String| Error::Model {
        path: path.into(),
        message,
    };
    let all: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|source| wrong(format!("expected a JSON object: {source}")))?;
    parse(all).map_err(wrong)
}

fn parse(all: Map<String, Value>) -> std::result::Result<(Config, Vec<String>), String> {
    // Of another architecture every key may be another; its name says most.
    if let Some(kind) = all.get("model_type").and_then(Value::as_str)
        && !MODEL_TYPES.contains(&kind)
    {
        let accepted = MODEL_TYPES.join(", ");
        return Err(format!("model_type = \"{kind}\": {accepted} are accepted"));
    }
    for key in NEEDED {
        if !all.contains_key(key) {
            return Err(format!("no `{key}`; a BERT-like model has one"));
        }
    }
    check_fixed(&all)?;
    let mut unknown: Vec<&str> = Vec::new();
    let mut own = Map::new();
    for (key, value) in &all {
        let key = key.as_str();
        match NEEDED.contains(&key) || KNOWN.contains(&key) {
            // null stands for the default.
            true if !value.is_null() => {
                own.insert(key.into(), value.clone());
            }
            true => {}
            false if HARMLESS.contains(&key) || FIXED.iter().any(|(name, _)| *name == key) => {}
            false => unknown.push(key),
        }
    }
    if !own.contains_key("pad_token_id") && own.get("model_type") != Some(&"bert".into()) {
        own.insert("pad_token_id".into(), 1.into());
    }
    let config: Config = serde_json::from_value(own.into()).map_err(|error| error.to_string())?;
    config.check_values()?;
    let mut messages = Vec::new();
    if !unknown.is_empty() {
        messages.push(format!(
            "config.json: nobody here knows {}; they are not followed",
            unknown.join(", ")
        ));
    }
    Ok((config, messages))
}

fn check_fixed(all: &Map<String, Value>) -> std::result::Result<(), String> {
    for (key, accepted) in &FIXED {
        let Some(value) = all.get(*key).filter(|value| !value.is_null()) else {
            continue;
        };
        let hidden = all.get("hidden_size");
        let fits = |fixed: &Fixed| match fixed {
            Fixed::Word(word) => value == word,
            Fixed::Switch(on) => value == on,
            Fixed::Zero => value == 0,
            Fixed::Empty => value.as_object().is_some_and(Map::is_empty),
            Fixed::SameAsHidden => Some(value) == hidden,
        };
        if !accepted.iter().any(fits) {
            let words = accepted.first().map_or("no such key".into(), Fixed::words);
            return Err(format!("{key} = {value}: only {words} is accepted"));
        }
    }
    Ok(())
}

impl Fixed {
    fn words(&self) -> String {
        match self {
            Fixed::Word(word) => format!("\"{word}\""),
            Fixed::Switch(on) => on.to_string(),
            Fixed::Zero => "0".into(),
            Fixed::Empty => "{}".into(),
            Fixed::SameAsHidden => "the value of hidden_size".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::parse;
    use crate::encoder::Config;

    fn published() -> Value {
        json!({
            "architectures": ["BertForMaskedLM"], "model_type": "bert", "vocab_size": 21128,
            "hidden_size": 768, "num_hidden_layers": 3, "num_attention_heads": 12,
            "intermediate_size": 3072, "max_position_embeddings": 512, "directionality": "bidi",
            "classifier_dropout": null, "position_embedding_type": "absolute",
        })
    }

    fn with(key: &str, value: Value) -> std::result::Result<(Config, Vec<String>), String> {
        let mut all = published();
        all[key] = value;
        parse(all.as_object().unwrap().clone())
    }

    #[test]
    fn a_published_config_is_read() {
        let (config, messages) = with("use_cache", json!(true)).unwrap();
        assert_eq!(config.num_hidden_layers, 3);
        assert_eq!(config.pad_token_id, 0);
        assert_eq!(messages, Vec::<String>::new());
        let (config, _) = with("model_type", json!("xlm-roberta")).unwrap();
        assert_eq!((config.pad_token_id, config.length_max()), (1, 510));
    }

    #[test]
    fn unknown_keys_are_told() {
        let (_, messages) = with("rotary_theta", json!(1)).unwrap();
        assert!(messages[0].contains("rotary_theta"), "{messages:?}");
    }

    #[test]
    fn what_changes_the_arithmetic_is_refused() {
        let cases = [
            ("hidden_act", json!("gelu_new"), "gelu_new"),
            ("position_embedding_type", json!("relative_key"), "absolute"),
            ("is_decoder", json!(true), "is_decoder = true: only false"),
            ("model_type", json!("deberta"), "bert, roberta"),
            ("num_attention_heads", json!(7), "a multiple of"),
            ("embedding_size", json!(128), "hidden_size"),
            ("vocab_size", json!("many"), "many"),
            ("hidden_size", json!(0), "hidden_size = 0"),
            ("hidden_dropout_prob", json!(1.0), "hidden_dropout_prob = 1"),
            ("layer_norm_eps", json!(0.0), "layer_norm_eps = 0"),
            ("auto_map", json!({}), "auto_map"),
        ];
        for (key, value, word) in cases {
            let message = with(key, value).unwrap_err();
            assert!(message.contains(word), "{key}: {message}");
        }
        let mut all = published();
        all.as_object_mut().unwrap().remove("intermediate_size");
        let message = parse(all.as_object().unwrap().clone()).unwrap_err();
        assert!(message.contains("intermediate_size"), "{message}");
    }
}
