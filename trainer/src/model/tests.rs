//! Tests of whole models: texts in, vectors out, equal to sentence-transformers.
//!
//! Expected vectors in `fixtures/models` are made by `models.py` there:
//! `cd trainer/fixtures && python models.py models`, and for published models with
//! `--published e5-small-zh=DIR all-MiniLM-L6-v2=DIR`. Those are compared where the environment
//! variable `MODELS` names a directory that has folders of these names.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Model;
use crate::encoder::{Kernels, Pooling};
use crate::loader::fixtures::Place;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models")
}

/// The largest difference of the vectors of texts to those in a file.
fn difference(model: &Model, expected: &Path) -> f32 {
    let value: Value = serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap();
    let texts: Vec<&str> = value["texts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect();
    let vectors: Vec<Vec<f32>> = serde_json::from_value(value["vectors"].clone()).unwrap();
    let found = model.encode(&texts, Kernels::Fused).unwrap();
    assert_eq!(
        (found.len(), found[0].len()),
        (vectors.len(), vectors[0].len())
    );
    let pairs = found.iter().flatten().zip(vectors.iter().flatten());
    pairs
        .map(|(one, other)| (one - other).abs())
        .fold(0.0, f32::max)
}

/// A copy of the small BERT with further files.
fn with(place: &Place, files: &[(&str, Value)]) -> PathBuf {
    let to = place.path("model");
    std::fs::create_dir_all(&to).unwrap();
    for file in std::fs::read_dir(fixtures().join("bert")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    for (name, value) in files {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value.to_string()).unwrap();
    }
    to
}

fn modules(kinds: &[(&str, &str)]) -> Value {
    let module = |(path, kind): &(&str, &str)| json!({ "path": path, "type": format!("sentence_transformers.models.{kind}") });
    kinds.iter().map(module).collect()
}

#[test]
fn a_bare_folder_equals_sentence_transformers() {
    let folder = fixtures().join("bert");
    let model = Model::open(&folder).unwrap();
    assert!(model.encoder.messages[0].contains("no modules.json"));
    assert_eq!(model.length_max, 24);
    assert!(!model.normalize);
    let difference = difference(&model, &folder.join("texts.json"));
    assert!(difference <= 1e-5, "{difference}");
}

#[test]
fn published_models_equal_sentence_transformers() {
    let Some(models) = std::env::var_os("MODELS") else {
        return;
    };
    for name in ["e5-small-zh", "all-MiniLM-L6-v2"] {
        let folder = Path::new(&models).join(name);
        if folder.exists() {
            let model = Model::open(&folder).unwrap();
            let difference = difference(&model, &fixtures().join(format!("{name}.json")));
            assert!(difference <= 1e-5, "{name}: {difference}");
        }
    }
}

#[test]
fn modules_are_followed() {
    let place = Place::new();
    let folder = with(
        &place,
        &[
            (
                "modules.json",
                modules(&[
                    ("", "Transformer"),
                    ("1_Pooling", "Pooling"),
                    ("2_Normalize", "Normalize"),
                ]),
            ),
            (
                "1_Pooling/config.json",
                json!({
                    "word_embedding_dimension": 32, "pooling_mode_cls_token": true,
                    "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": false,
                }),
            ),
            (
                "sentence_bert_config.json",
                json!({ "max_seq_length": 12, "do_lower_case": true }),
            ),
            (
                "config_sentence_transformers.json",
                json!({
                    "prompts": { "query": "query: " }, "default_prompt_name": null,
                }),
            ),
        ],
    );
    let model = Model::open(&folder).unwrap();
    assert_eq!(model.encoder.pooling, Pooling::Cls);
    assert_eq!(model.encoder.output.further, [Pooling::Mean]);
    assert_eq!(model.encoder.dimension(), 64);
    assert_eq!(
        (model.length_max, model.lowercase, model.normalize),
        (12, true, true)
    );
    assert_eq!(model.prompts["query"], "query: ");
    assert_eq!(model.prepared("ÀB"), "àb");
    // Both parts of a vector are those of the two poolings.
    let bare = Model::open(&fixtures().join("bert")).unwrap();
    let both = &model.encode(&["今天 train"], Kernels::Plain).unwrap()[0];
    let mean = &bare.encode(&["今天 train"], Kernels::Plain).unwrap()[0];
    let scale = both[32] / mean[0];
    for (one, other) in both[32..].iter().zip(mean) {
        assert!((one - other * scale).abs() < 1e-5);
    }
}

#[test]
fn what_cannot_be_followed_is_named() {
    let pooled = [("", "Transformer"), ("1_Pooling", "Pooling")];
    let mean = ("1_Pooling/config.json", json!({ "pooling_mode": "mean" }));
    let cases: [(Vec<(&str, Value)>, &str); 9] = [
        (
            vec![(
                "modules.json",
                modules(&[("", "Transformer"), ("1_CNN", "CNN")]),
            )],
            "models.CNN",
        ),
        (
            vec![("modules.json", modules(&pooled[..1]))],
            "no module `Pooling`",
        ),
        (vec![("modules.json", modules(&pooled))], "1_Pooling"),
        (
            vec![
                ("modules.json", modules(&pooled)),
                ("1_Pooling/config.json", json!({ "pooling_mode": "sum" })),
            ],
            "pooling_mode = \"sum\"",
        ),
        (
            vec![
                ("modules.json", modules(&pooled)),
                (
                    "1_Pooling/config.json",
                    json!({ "pooling_mode": "cls", "include_prompt": false }),
                ),
            ],
            "include_prompt",
        ),
        (
            vec![
                ("modules.json", modules(&pooled)),
                (
                    "1_Pooling/config.json",
                    json!({ "pooling_mode": "cls", "embedding_dimension": 384 }),
                ),
            ],
            "384",
        ),
        (
            vec![
                (
                    "modules.json",
                    modules(&[pooled[0], pooled[1], ("2_Dense", "Dense")]),
                ),
                mean.clone(),
                (
                    "2_Dense/config.json",
                    json!({ "in_features": 31, "out_features": 8 }),
                ),
            ],
            "in_features = 31",
        ),
        (
            vec![
                (
                    "modules.json",
                    modules(&[pooled[0], pooled[1], ("2_Dense", "Dense")]),
                ),
                mean.clone(),
                (
                    "2_Dense/config.json",
                    json!({
                        "in_features": 32, "out_features": 8, "activation_function": "torch.nn.modules.activation.ReLU",
                    }),
                ),
            ],
            "activation.ReLU",
        ),
        (
            vec![(
                "sentence_bert_config.json",
                json!({ "max_seq_length": "long" }),
            )],
            "max_seq_length = \"long\"",
        ),
    ];
    for (files, word) in cases {
        let place = Place::new();
        let folder = with(&place, &files);
        let message = Model::open(&folder).unwrap_err().to_string();
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn a_vocabulary_beyond_the_model_is_refused() {
    let place = Place::new();
    let folder = with(&place, &[]);
    let path = folder.join("vocab.txt");
    let tokens = std::fs::read_to_string(&path).unwrap();
    let count = tokens.lines().count();
    std::fs::write(&path, format!("{tokens}beyond\n")).unwrap();
    let message = Model::open(&folder).unwrap_err().to_string();
    let wanted = format!(
        "the tokenizer has {} ids and the model has embeddings for {count}",
        count + 1
    );
    assert!(message.contains(&wanted), "{message}");
}
