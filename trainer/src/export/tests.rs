//! Tests of export: what is written is read back, by runs, checkpoints and folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use candle_core::Device;
use juzi_schemas::fingerprint::Fingerprint;
use serde_json::{Value, json};

use super::{Card, Export, HEADS, Step, open, tensors};
use crate::encoder::{
    Encoder, EncoderOptions, Head, Kernels, Output, Pass, Pooling, Projection, Sequences,
};
use crate::evaluators::{Better, Evaluation, FORMAT, Scores, TaskScores};
use crate::loader::fixtures::Place;
use crate::model::Model;
use crate::training::evaluations;

fn bert() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/bert")
}

fn options(pooling: Pooling) -> EncoderOptions {
    EncoderOptions {
        path: bert().to_string_lossy().into_owned(),
        pooling,
        ..EncoderOptions::default()
    }
}

fn export(encoder: Encoder) -> Export {
    Export {
        encoder,
        tokenizer: bert(),
        length_max: 20,
        lowercase: false,
        prompts: BTreeMap::new(),
        default_prompt: None,
        heads: BTreeMap::new(),
        card: Card::default(),
    }
}

fn vectors(encoder: &Encoder) -> Vec<f32> {
    let sequences = Sequences::new([&[2, 7, 9, 30, 3][..], &[2, 3], &[2, 44, 3]]);
    let vectors = encoder.encode(&sequences, &Pass::inference(Kernels::Plain));
    vectors.unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_pooling_is_read_back() {
    for (number, pooling) in Pooling::ALL.into_iter().enumerate() {
        let projected = number % 2 == 1;
        let options = EncoderOptions {
            projection: if projected { 8 } else { 0 },
            normalize: projected,
            head: Head::Mlp,
            ..options(pooling)
        };
        let export = export(options.open(3, &Device::Cpu).unwrap());
        let place = Place::new();
        let out = place.path("out");
        export.write(&out).unwrap();
        let model = Model::open(&out).unwrap();
        assert_eq!(
            vectors(&model.encoder),
            vectors(&export.encoder),
            "{pooling:?}"
        );
        assert_eq!(model.encoder.dimension(), export.encoder.dimension());
        let messages = &model.encoder.messages;
        assert!(messages.is_empty(), "{messages:?}");
        assert_eq!(model.length_max, 20);
    }
}

/// Writes models for `export_check.py`, which compares them in Python.
#[test]
fn export_for_the_check() {
    let Some(out) = std::env::var_os("EXPORT_OUT").map(PathBuf::from) else {
        return;
    };
    let texts = [
        "今天天气好。",
        "The trainers of a sentence encoder",
        "unknown 龘",
        "",
        "大大大大大大大大大大大大大大大大大大大大大大大大大大大大",
    ];
    let mut exports = Vec::new();
    for pooling in Pooling::ALL {
        for projection in [0, 8] {
            let options = EncoderOptions {
                projection,
                ..options(pooling)
            };
            let encoder = options.open(3, &Device::Cpu).unwrap();
            let name = format!("{}-{projection}", pooling.name());
            exports.push((name, export(encoder)));
        }
    }
    // RoBERTa's positions; the tokens of these texts are those of the small BERT.
    let options = EncoderOptions {
        path: bert()
            .with_file_name("xlm-roberta-bin")
            .to_string_lossy()
            .into_owned(),
        ..options(Pooling::Mean)
    };
    let encoder = options.open(3, &Device::Cpu).unwrap();
    exports.push(("xlm-roberta".into(), export(encoder)));
    if let Some(models) = std::env::var_os("MODELS") {
        for name in ["e5-small-zh", "all-MiniLM-L6-v2"] {
            let folder = Path::new(&models).join(name);
            exports.push((name.into(), open(&folder, None, false).unwrap()));
        }
    }
    for (name, export) in exports {
        let folder = out.join(&name);
        export.write(&folder).unwrap();
        let model = Model::open(&folder).unwrap();
        // [UNK] of the small BERT is padding to the small XLM-R.
        let texts = match name.as_str() {
            "xlm-roberta" => &texts[..2],
            _ => &texts[..],
        };
        let vectors = model.encode(texts, Kernels::Fused).unwrap();
        let value = json!({ "texts": texts, "vectors": vectors });
        std::fs::write(out.join(format!("{name}.json")), value.to_string()).unwrap();
    }
}

#[test]
fn several_poolings_and_projections_are_read_back() {
    let dense = |dimension, bias, tanh| Projection {
        dimension,
        bias,
        tanh,
    };
    let mut encoder = options(Pooling::Max).open(3, &Device::Cpu).unwrap();
    let output = Output {
        further: vec![Pooling::Mean, Pooling::Last],
        projections: vec![dense(12, true, true), dense(5, false, false)],
        head: Head::None,
        normalize: true,
    };
    for (name, width, own) in output.named(&encoder.config, encoder.pooling) {
        for (ending, shape) in [
            ("weight", vec![own.dimension, width]),
            ("bias", vec![own.dimension]),
        ] {
            let name = format!("{name}.{ending}");
            let parameter = crate::encoder::start::parameter(&name, &shape, 0.2, 1, &Device::Cpu);
            encoder.parameters.insert(parameter.unwrap());
        }
    }
    let export = export(encoder.with_output(output).unwrap());
    let place = Place::new();
    let out = place.path("out");
    export.write(&out).unwrap();
    let model = Model::open(&out).unwrap();
    assert_eq!(vectors(&model.encoder), vectors(&export.encoder));
    assert_eq!(model.encoder.dimension(), 5);
}

#[test]
fn the_layout_is_that_of_sentence_transformers() {
    let options = EncoderOptions {
        projection: 8,
        ..options(Pooling::ClsPooler)
    };
    let mut export = export(options.open(3, &Device::Cpu).unwrap());
    export.prompts.insert("query".into(), "问：".into());
    export.default_prompt = Some("query".into());
    let place = Place::new();
    let out = place.path("deep/out");
    export.write(&out).unwrap();
    let modules = json(out.join("modules.json"));
    let modules = modules.as_array().unwrap();
    let kinds: Vec<&str> = modules
        .iter()
        .map(|module| module["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["", "1_Pooling", "2_Dense", "3_Dense", "4_Normalize"]
    );
    let pooling = json(out.join("1_Pooling/config.json"));
    assert_eq!(pooling["pooling_mode_cls_token"], true);
    assert_eq!(pooling["pooling_mode_mean_tokens"], false);
    assert_eq!(pooling["word_embedding_dimension"], 32);
    let tanh = "torch.nn.modules.activation.Tanh";
    assert_eq!(
        json(out.join("2_Dense/config.json"))["activation_function"],
        tanh
    );
    let config = json(out.join("config.json"));
    assert_eq!(config["architectures"], json!(["BertModel"]));
    assert_eq!(config["hidden_dropout_prob"], 0.1);
    let prompts = json(out.join("config_sentence_transformers.json"));
    assert_eq!(prompts["prompts"]["query"], "问：");
    assert_eq!(prompts["default_prompt_name"], "query");
    let names: BTreeSet<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in [
        "vocab.txt",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "README.md",
    ] {
        assert!(names.contains(name), "{names:?}");
    }
    let special = json(out.join("special_tokens_map.json"));
    assert_eq!(special["cls_token"], "[CLS]");
    let model = Model::open(&out).unwrap();
    assert_eq!(model.prompts["query"], "问：");
    assert_eq!(model.default_prompt.as_deref(), Some("query"));
    // Nothing hidden stays beside it.
    assert_eq!(std::fs::read_dir(place.path("deep")).unwrap().count(), 1);
}

#[test]
fn nothing_is_overwritten_and_nothing_half_stays() {
    let export = export(options(Pooling::Mean).open(3, &Device::Cpu).unwrap());
    let place = Place::new();
    let out = place.path("out");
    std::fs::create_dir_all(&out).unwrap();
    export.write(&out).unwrap();
    let message = export.write(&out).unwrap_err().to_string();
    assert!(message.contains("exists already"), "{message}");
    let bad = Export {
        tokenizer: place.path("none"),
        ..export
    };
    assert!(bad.write(&place.path("other")).is_err());
    let names: Vec<_> = std::fs::read_dir(place.path("")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    // A pooling order that switches cannot say.
    let encoder = options(Pooling::Mean).open(3, &Device::Cpu).unwrap();
    let output = Output {
        further: vec![Pooling::Cls],
        ..Output::default()
    };
    let bad = Export {
        encoder: encoder.with_output(output).unwrap(),
        tokenizer: bert(),
        ..bad
    };
    let message = bad.write(&place.path("other")).unwrap_err().to_string();
    assert!(message.contains("[\"mean\", \"cls\"]"), "{message}");
}

#[test]
fn parameters_that_are_not_numbers_are_not_exported() {
    let export = export(options(Pooling::Mean).open(3, &Device::Cpu).unwrap());
    let bias = export
        .encoder
        .parameters
        .get("encoder.layer.0.output.dense.bias");
    crate::kernels::in_place(bias.unwrap().tensor(), |values| values[3] = f32::NAN).unwrap();
    let place = Place::new();
    let message = export.write(&place.path("out")).unwrap_err().to_string();
    assert!(message.contains("not all numbers"), "{message}");
}

/// A run as a training leaves it, with two checkpoints.
fn run(place: &Place) -> PathBuf {
    let run = place.path("my-run");
    let recipe = format!(
        "seed = 4\n[data]\ndataset = '/somewhere/secret/shards'\n[tokenizer]\npath = '{0}'\n\
         length_max = 16\n[encoder]\npath = '{0}'\npooling = 'mean'\nprojection = 6\nlayers = 2\n\
         head = 'mlp'\n[loss]\nname = 'matryoshka'\ndimensions = [3]\n[loss.of]\nname = 'nt_xent'\n",
        bert().display()
    );
    std::fs::create_dir_all(run.join("checkpoints")).unwrap();
    std::fs::write(run.join("recipe.toml"), recipe).unwrap();
    let provenance = json!({ "starts": [{ "records": 77, "device": "cpu" }] });
    std::fs::write(run.join("provenance.json"), provenance.to_string()).unwrap();
    for (step, seed) in [(5, 1), (10, 2)] {
        let dir = run.join(format!("checkpoints/step-{step:06}"));
        std::fs::create_dir_all(&dir).unwrap();
        let all = trained(seed).parameters;
        let all: BTreeMap<_, _> = all
            .iter()
            .map(|own| (own.name.clone(), own.tensor().clone()))
            .collect();
        tensors::write(&dir.join("model.safetensors"), &all).unwrap();
        let scale = candle_core::Tensor::new(&[20f32], &Device::Cpu).unwrap();
        let heads = BTreeMap::from([("scale".to_string(), scale)]);
        tensors::write(&dir.join("heads.safetensors"), &heads).unwrap();
        let config = serde_json::to_string(&trained(seed).config).unwrap();
        std::fs::write(dir.join("config.json"), config).unwrap();
        let state = json!({ "position": { "step": step }, "dataset": "abcdef0123" });
        std::fs::write(dir.join("state.json"), state.to_string()).unwrap();
    }
    std::fs::write(run.join("checkpoints/latest"), "step-000010\n").unwrap();
    std::fs::write(run.join("checkpoints/best"), "step-000005").unwrap();
    run
}

fn evaluation(step: u64, value: f64) -> Evaluation {
    let mut scores = Scores::default();
    scores.push("spearman", value, Better::Higher);
    let task = TaskScores {
        evaluator: "similarity".into(),
        fingerprint: Fingerprint(1),
        scores,
        seconds: 1.0,
    };
    Evaluation {
        format: FORMAT,
        model: "my-run".into(),
        step: Some(step),
        about: BTreeMap::new(),
        tasks: BTreeMap::from([("sts".into(), task)]),
    }
}

fn trained(seed: u64) -> Encoder {
    let options = EncoderOptions {
        projection: 6,
        layers: 2,
        head: Head::Mlp,
        ..options(Pooling::Mean)
    };
    options.open(seed, &Device::Cpu).unwrap()
}

#[test]
fn runs_and_checkpoints_are_exported() {
    let place = Place::new();
    let run = run(&place);
    let (five, ten) = (vectors(&trained(1)), vectors(&trained(2)));
    assert_ne!(five, ten);
    let of = |step| vectors(&open(&run, step, false).unwrap().encoder);
    assert_eq!(of(None), ten);
    assert_eq!(of(Some(Step::Latest)), ten);
    assert_eq!(of(Some(Step::Best)), five);
    assert_eq!(of(Some(Step::Number(5))), five);
    let message = open(&run, Some(Step::Number(6)), false)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("there are step-000005, step-000010"),
        "{message}"
    );
    for (step, value) in [(0, 0.25), (5, 0.5)] {
        evaluations::write(&run, step, &evaluation(step, value)).unwrap();
    }
    assert!(open(&run, None, false).unwrap().card.scores.is_empty());
    let own = open(&run.join("checkpoints/step-000005"), None, true).unwrap();
    assert_eq!(vectors(&own.encoder), five);
    assert_eq!(own.length_max, 16);
    let out = place.path("out");
    own.write(&out).unwrap();
    assert_eq!(vectors(&Model::open(&out).unwrap().encoder), five);
    let heads = candle_core::safetensors::load(out.join(HEADS), &Device::Cpu).unwrap();
    let names: BTreeSet<&str> = heads.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        BTreeSet::from(["head.dense.bias", "head.dense.weight", "scale"])
    );
    let page = std::fs::read_to_string(out.join("README.md")).unwrap();
    for word in [
        "# my-run",
        "step 5",
        "dataset = \"shards\"",
        "abcdef0123",
        "| records | `77` |",
        "[3]",
        "head.dense.weight",
        "| task | metric | before | value |",
        "| sts | spearman | 0.2500 | 0.5000 |",
        "\nbase_model: bert\n",
    ] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(!page.contains("secret"), "{page}");
}

#[test]
fn averaged_weights_are_taken_where_there_are_some() {
    let place = Place::new();
    let run = run(&place);
    let checkpoint = run.join("checkpoints/step-000010");
    let weights = run.join("checkpoints/step-000005/model.safetensors");
    std::fs::copy(weights, checkpoint.join("average.safetensors")).unwrap();
    let export = open(&run, None, false).unwrap();
    assert_eq!(vectors(&export.encoder), vectors(&trained(1)));
    assert!(export.card.notes[0].contains("moving average"));
}

#[test]
fn incomplete_checkpoints_and_other_places_are_refused() {
    let place = Place::new();
    let run = run(&place);
    let weights = run.join("checkpoints/step-000010/model.safetensors");
    let mut all = trained(2)
        .parameters
        .iter()
        .map(|own| (own.name.clone(), own.tensor().clone()))
        .collect::<BTreeMap<_, _>>();
    all.remove("projection.weight");
    tensors::write(&weights, &all).unwrap();
    let message = open(&run, None, false).unwrap_err().to_string();
    assert!(
        message.contains("no tensor `projection.weight`"),
        "{message}"
    );
    let message = open(&place.path(""), None, false).unwrap_err().to_string();
    assert!(message.contains("expected a run"), "{message}");
    let message = open(&bert(), Some(Step::Best), false)
        .unwrap_err()
        .to_string();
    assert!(message.contains("not a run"), "{message}");
    assert!(open(&place.path("none"), None, false).is_err());
}

#[test]
fn a_published_folder_is_exported() {
    let place = Place::new();
    let export = open(&bert(), None, true).unwrap();
    let out = place.path("out");
    export.write(&out).unwrap();
    let model = Model::open(&out).unwrap();
    assert_eq!(vectors(&model.encoder), vectors(&export.encoder));
    assert!(model.encoder.spare.contains_key("pooler.dense.weight"));
    let heads = candle_core::safetensors::load(out.join(HEADS), &Device::Cpu).unwrap();
    assert!(heads.contains_key("cls.predictions.transform.dense.weight"));
}
