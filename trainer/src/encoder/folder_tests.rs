//! Tests of opening folders: equal to PyTorch on small models, refusals, messages.
//!
//! The models and the expected vectors in `fixtures/models` are made by
//! `cd trainer/fixtures && python models.py models`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use super::{Config, Encoder, EncoderOptions, Head, Kernels, Pass, Pooling, Sequences, normalized};
use crate::loader::fixtures::Place;

fn folder(name: &str) -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models");
    models.join(name)
}

fn options(path: &Path) -> EncoderOptions {
    EncoderOptions {
        path: path.to_string_lossy().into_owned(),
        ..EncoderOptions::default()
    }
}

fn open(path: &Path) -> crate::Result<Encoder> {
    options(path).open(1, &Device::Cpu)
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).unwrap()
}

fn largest_difference(found: &Tensor, expected: &[Vec<f64>]) -> f64 {
    let found = found.to_vec2::<f32>().unwrap();
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    pairs
        .map(|(found, expected)| (f64::from(*found) - expected).abs())
        .fold(0.0, f64::max)
}

/// A copy of the small BERT that a test may spoil.
fn copied(place: &Place, name: &str) -> PathBuf {
    let to = place.path("model");
    std::fs::create_dir_all(&to).unwrap();
    for file in std::fs::read_dir(folder(name)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    to
}

fn tensors(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path.join("model.safetensors"), &Device::Cpu).unwrap()
}

fn save(path: &Path, tensors: &HashMap<String, Tensor>) {
    candle_core::safetensors::save(tensors, path.join("model.safetensors")).unwrap();
}

#[test]
fn poolings_of_all_files_equal_pytorch() {
    for name in [
        "bert",
        "bert-old-bin",
        "bert-f16",
        "bert-bf16",
        "xlm-roberta-bin",
    ] {
        let expected = json(folder(name).join("expected.json"));
        let ids: Vec<Vec<u32>> = serde_json::from_value(expected["ids"].clone()).unwrap();
        let sequences = Sequences::new(ids.iter().map(Vec::as_slice));
        for pooling in Pooling::ALL {
            let options = EncoderOptions {
                pooling,
                ..options(&folder(name))
            };
            let encoder = options.open(1, &Device::Cpu).unwrap();
            for kernels in [Kernels::Plain, Kernels::Fused] {
                let pass = Pass::inference(kernels);
                let found = encoder.embed(&sequences, &pass).unwrap();
                let expected = rows(&expected["poolings"][pooling.name()]);
                let difference = largest_difference(&found, &expected);
                assert!(difference <= 1e-5, "{name}, {pooling:?}: {difference}");
            }
        }
    }
}

#[test]
fn poolings_differ_and_have_their_names() {
    let expected = json(folder("bert").join("expected.json"));
    let mut seen: Vec<Value> = Vec::new();
    for pooling in Pooling::ALL {
        let own = expected["poolings"][pooling.name()].clone();
        assert!(own.is_array() && !seen.contains(&own), "{pooling:?}");
        assert_eq!(serde_json::to_value(pooling).unwrap(), pooling.name());
        seen.push(own);
    }
}

#[test]
fn a_part_of_the_layers_is_the_beginning_of_the_whole() {
    let whole = open(&folder("bert")).unwrap();
    let options = EncoderOptions {
        layers: 1,
        ..options(&folder("bert"))
    };
    let cut = options.open(1, &Device::Cpu).unwrap();
    assert_eq!(cut.parameters.len(), whole.parameters.len() - 32);
    assert!(
        !cut.messages
            .iter()
            .any(|message| message.contains("layer.1"))
    );
    let sequences = Sequences::new([&[2, 7, 3][..], &[2, 3]]);
    let pass = Pass::inference(Kernels::Plain);
    let first = whole.states(&sequences, &pass, |_| true).unwrap();
    let first = first.layers[1].as_ref().unwrap().to_vec2::<f32>().unwrap();
    let last = cut.states(&sequences, &pass, |_| false).unwrap();
    assert_eq!(last.last().to_vec2::<f32>().unwrap(), first);
}

#[test]
fn what_is_not_used_is_told_and_heads_are_kept() {
    let encoder = open(&folder("bert")).unwrap();
    let message = &encoder.messages[0];
    assert!(message.contains("cls.seq_relationship.weight"), "{message}");
    assert!(!message.contains("predictions"), "{message}");
    let names: Vec<&str> = encoder.spare.keys().map(String::as_str).collect();
    let wanted = [
        "cls.predictions.bias",
        "cls.predictions.transform.LayerNorm.bias",
        "cls.predictions.transform.LayerNorm.weight",
        "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.dense.weight",
        "pooler.dense.bias",
        "pooler.dense.weight",
    ];
    assert_eq!(names, wanted);
    // Without a pooler in the folder it begins at random, and says so.
    let options = EncoderOptions {
        pooling: Pooling::ClsPooler,
        ..options(&folder("bert-f16"))
    };
    let encoder = options.open(1, &Device::Cpu).unwrap();
    assert!(encoder.messages.is_empty(), "{:?}", encoder.messages);
    let place = Place::new();
    let copy = copied(&place, "bert-f16");
    let mut all = tensors(&copy);
    all.retain(|name, _| !name.starts_with("pooler"));
    save(&copy, &all);
    let options = EncoderOptions {
        path: copy.to_string_lossy().into_owned(),
        ..options
    };
    let encoder = options.open(1, &Device::Cpu).unwrap();
    assert!(encoder.messages[0].contains("pooler.dense.weight"));
}

#[test]
fn another_pooling_than_the_folders_is_told() {
    let place = Place::new();
    let copy = copied(&place, "bert-f16");
    let module = |path: &str, kind: &str| serde_json::json!({ "path": path, "type": format!("sentence_transformers.models.{kind}") });
    let all = [module("", "Transformer"), module("1_Pooling", "Pooling")];
    let all = Value::from(all.to_vec()).to_string();
    std::fs::write(copy.join("modules.json"), all).unwrap();
    std::fs::create_dir(copy.join("1_Pooling")).unwrap();
    let mean = r#"{ "pooling_mode_mean_tokens": true }"#;
    std::fs::write(copy.join("1_Pooling/config.json"), mean).unwrap();
    let messages = |pooling| {
        let options = EncoderOptions {
            pooling,
            ..options(&copy)
        };
        options.open(1, &Device::Cpu).unwrap().messages
    };
    let told = messages(Pooling::Cls).join("\n");
    assert!(
        told.contains("its pooling is mean, the recipe takes cls"),
        "{told}"
    );
    assert_eq!(messages(Pooling::Mean), Vec::<String>::new());
}

#[test]
fn parts_of_an_index_are_one_model() {
    let place = Place::new();
    let copy = copied(&place, "bert-f16");
    let whole = open(&copy).unwrap();
    let (mut first, mut second, mut map) = (HashMap::new(), HashMap::new(), HashMap::new());
    for (number, (name, tensor)) in tensors(&copy).into_iter().enumerate() {
        let (part, file) = match number % 2 {
            0 => (&mut first, "a.safetensors"),
            _ => (&mut second, "b.safetensors"),
        };
        map.insert(name.clone(), file);
        part.insert(name, tensor);
    }
    candle_core::safetensors::save(&first, copy.join("a.safetensors")).unwrap();
    candle_core::safetensors::save(&second, copy.join("b.safetensors")).unwrap();
    std::fs::remove_file(copy.join("model.safetensors")).unwrap();
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    let path = copy.join("model.safetensors.index.json");
    std::fs::write(path, index.to_string()).unwrap();
    let parts = open(&copy).unwrap();
    for parameter in whole.parameters.iter() {
        let own = parts.parameters.get(&parameter.name).unwrap().tensor();
        let difference = (own - parameter.tensor()).unwrap().abs().unwrap();
        let difference = difference.sum_all().unwrap().to_scalar::<f32>().unwrap();
        assert_eq!(difference, 0.0);
    }
    std::fs::remove_file(copy.join("b.safetensors")).unwrap();
    let message = open(&copy).unwrap_err().to_string();
    assert!(message.contains("b.safetensors"), "{message}");
}

#[test]
fn bad_weights_are_named() {
    let place = Place::new();
    let copy = copied(&place, "bert-f16");
    let good = tensors(&copy);
    let spoil = |change: &dyn Fn(&mut HashMap<String, Tensor>)| {
        let mut all = good.clone();
        change(&mut all);
        save(&copy, &all);
        open(&copy).unwrap_err().to_string()
    };
    let name = "encoder.layer.1.output.dense.weight";
    type Case<'a> = (&'a dyn Fn(&mut HashMap<String, Tensor>), &'a [&'a str]);
    let cases: [Case<'_>; 4] = [
        (
            &|all| {
                all.remove(name);
            },
            &["model.safetensors: no tensor", name, "[32, 48]"],
        ),
        (
            &|all| {
                let turned = all[name].t().unwrap().contiguous().unwrap();
                all.insert(name.into(), turned);
            },
            &[name, "has shape [48, 32], expected [32, 48]"],
        ),
        (
            &|all| {
                let bad = Tensor::full(f32::NAN, (32, 48), &Device::Cpu).unwrap();
                all.insert(name.into(), bad.to_dtype(DType::F16).unwrap());
            },
            &[name, "not all numbers"],
        ),
        (
            &|all| {
                let twice = all[name].clone();
                all.insert(format!("bert.{name}"), twice);
            },
            &[name, "mean the same"],
        ),
    ];
    for (change, words) in cases {
        let message = spoil(change);
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    }
    let file = copy.join("model.safetensors");
    let bytes = std::fs::read(folder("bert-f16").join("model.safetensors")).unwrap();
    for length in [0, 5, 100, bytes.len() / 2] {
        std::fs::write(&file, &bytes[..length]).unwrap();
        let message = open(&copy).unwrap_err().to_string();
        assert!(message.contains("model.safetensors"), "{message}");
    }
    std::fs::remove_file(&file).unwrap();
    let message = open(&copy).unwrap_err().to_string();
    assert!(message.contains("pytorch_model.bin"), "{message}");
    for name in ["bert-old-bin", "xlm-roberta-bin"] {
        let file = copy.join("pytorch_model.bin");
        let bytes = std::fs::read(folder(name).join("pytorch_model.bin")).unwrap();
        for length in [0, 20, 300, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&file, &bytes[..length]).unwrap();
            let message = open(&copy).unwrap_err().to_string();
            assert!(message.contains("pytorch_model.bin"), "{message}");
        }
    }
}

#[test]
fn options_that_do_not_fit_are_named() {
    let parse = |text: &str| toml::from_str::<EncoderOptions>(text).map_err(|it| it.to_string());
    let open = |text: &str| {
        let mut options = parse(text)?;
        options.check()?;
        options.place_files(&folder(""));
        let opened = options.open(1, &Device::Cpu);
        opened.map(|_| ()).map_err(|error| error.to_string())
    };
    let cases = [
        ("", "[encoder] path"),
        ("path = 'none'", "none"),
        ("path = 'bert'\nlayers = 4", "layers = 4: the model has 3"),
        ("path = 'bert'\npooling = 'avg'", "avg"),
        ("path = 'bert'\nhead = 'linear'", "linear"),
        (
            "path = 'bert'\nhidden_dropout_prob = 1",
            "hidden_dropout_prob",
        ),
        (
            "path = 'bert'\nhidden_dropout_prob = 1.5",
            "hidden_dropout_prob = 1.5",
        ),
        (
            "path = 'bert'\n[config]\nhidden_size = 8",
            "[encoder.config]",
        ),
        (
            "[config]\nhidden_size = 10\nnum_attention_heads = 4",
            "a multiple of",
        ),
        ("[config]\nhiden_size = 10", "hiden_size"),
        ("pool = 'cls'", "pool"),
    ];
    for (text, word) in cases {
        let message = open(text).unwrap_err();
        assert!(message.contains(word), "{text}: {message}");
    }
    let text = "path = 'bert'\nlayers = 1\npooling = 'last2'\nprojection = 8\nhead = 'mlp'\n\
                hidden_dropout_prob = 0.2";
    let options = parse(text).unwrap();
    assert_eq!(options.check(), Ok(()));
    let again = parse(&toml::to_string(&options).unwrap()).unwrap();
    assert_eq!(again, options);
    let scratch = parse("[config]\nhidden_size = 8\nnum_attention_heads = 2").unwrap();
    let again = parse(&toml::to_string(&scratch).unwrap()).unwrap();
    assert_eq!(again, scratch);
}

fn scratch(pooling: Pooling, seed: u64) -> Encoder {
    let options = EncoderOptions {
        pooling,
        projection: 6,
        head: Head::Mlp,
        config: Some(super::fixtures::config()),
        ..EncoderOptions::default()
    };
    options.open(seed, &Device::Cpu).unwrap()
}

#[test]
fn a_model_from_scratch_follows_from_the_seed() {
    let value = |encoder: &Encoder| {
        let sequences = super::fixtures::sequences(&encoder.config);
        let vectors = encoder.embed(&sequences, &Pass::inference(Kernels::Plain));
        vectors.unwrap().to_vec2::<f32>().unwrap()
    };
    let one = scratch(Pooling::Cls, 1);
    assert_eq!(value(&one), value(&scratch(Pooling::Cls, 1)));
    assert_ne!(value(&one), value(&scratch(Pooling::Cls, 2)));
    assert_eq!(value(&one), value(&one.copy().unwrap()));
    assert_eq!(one.messages, Vec::<String>::new());
    assert_eq!(one.dimension(), 6);
    let all = Config::default();
    let elements: usize = super::start::shapes(&all)
        .iter()
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum();
    // BERT base Chinese without its pooler.
    assert_eq!(elements, 101_677_056);
}

#[test]
fn gradients_reach_everything_through_every_pooling() {
    for pooling in Pooling::ALL {
        let encoder = scratch(pooling, 3);
        let sequences = super::fixtures::sequences(&encoder.config);
        let pass = Pass::training(Kernels::Plain, 5);
        let vectors = encoder.embed(&sequences, &pass).unwrap();
        let weights = super::fixtures::values(vectors.elem_count(), 9);
        let weights = Tensor::from_vec(weights, vectors.shape(), &Device::Cpu).unwrap();
        let loss = (vectors * weights).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        encoder.parameters.collect(&gradients).unwrap();
        for parameter in encoder.parameters.iter() {
            let gradient = parameter.gradient().unwrap();
            let gradient = gradient.unwrap_or_else(|| panic!("{} has none", parameter.name));
            let sum = gradient.abs().unwrap().sum_all().unwrap();
            let sum = sum.to_scalar::<f32>().unwrap();
            assert!(
                sum > 0.0 || parameter.name.ends_with("key.bias"),
                "{pooling:?}, {}",
                parameter.name
            );
        }
    }
}

#[test]
fn gradients_of_poolings_are_those_of_differences() {
    let config = super::fixtures::config();
    let sequences = super::fixtures::sequences(&config);
    for pooling in Pooling::ALL {
        let encoder = super::fixtures::encoder(&config, Pooling::Cls);
        let pooled = |direction: f32| -> (f64, Option<Tensor>) {
            // The state of the embeddings stands for all layers: pooling sees no others.
            let shape = (sequences.tokens(), config.hidden_size);
            let base = super::fixtures::values(sequences.tokens() * config.hidden_size, 1);
            let step = super::fixtures::values(base.len(), 2);
            let moved: Vec<f32> = base
                .iter()
                .zip(&step)
                .map(|(base, step)| base + direction * step)
                .collect();
            let state = candle_core::Var::from_vec(moved, shape, &Device::Cpu).unwrap();
            let state = state.as_tensor().clone();
            let layers = vec![Some(state.clone()); config.num_hidden_layers + 1];
            let states = super::States { layers };
            let square = super::Projection {
                dimension: config.hidden_size,
                bias: false,
                tanh: true,
            };
            let pooler = super::Dense::new(
                "encoder.layer.0.attention.self.query",
                config.hidden_size,
                &square,
                &encoder.parameters,
            );
            let pass = Pass::training(Kernels::Plain, 1);
            let pooler = pooler.unwrap();
            let vectors = pooling
                .forward(&states, &sequences, Some(&pooler), &pass)
                .unwrap();
            let weights = super::fixtures::values(vectors.elem_count(), 3);
            let weights = Tensor::from_vec(weights, vectors.shape(), &Device::Cpu).unwrap();
            let product = (vectors * weights).unwrap();
            let exact = product.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let loss = product.sum_all().unwrap();
            let gradient = loss.backward().unwrap().get(&state).map(|gradient| {
                let step = Tensor::from_vec(step, shape, &Device::Cpu).unwrap();
                (gradient * step).unwrap().sum_all().unwrap()
            });
            (exact.iter().map(|&x| f64::from(x)).sum(), gradient)
        };
        let (above, below) = (pooled(1e-3).0, pooled(-1e-3).0);
        let slope = (above - below) / 2e-3;
        let gradient = pooled(0.0).1.unwrap().to_scalar::<f32>().unwrap();
        let difference = (slope - f64::from(gradient)).abs();
        assert!(
            difference <= 2e-3 * slope.abs().max(1.0),
            "{pooling:?}: {slope} {gradient}"
        );
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    /// A vector follows from its own sequence, whatever is beside it.
    #[test]
    fn vectors_do_not_see_their_neighbours(
        lengths in proptest::collection::vec(1usize..20, 1..6),
        number in 0usize..Pooling::ALL.len(),
    ) {
        let encoder = scratch(Pooling::ALL[number], 7);
        let rows: Vec<Vec<u32>> = lengths
            .iter()
            .enumerate()
            .map(|(row, &length)| (0..length).map(|at| ((at * 7 + row * 3) % 37) as u32).collect())
            .collect();
        let sequences = Sequences::new(rows.iter().map(Vec::as_slice));
        let pass = Pass::inference(Kernels::Plain);
        let all = encoder.encode(&sequences, &pass).unwrap().to_vec2::<f32>().unwrap();
        for (row, all) in all.iter().enumerate() {
            let own = encoder.encode(&sequences.part(row..row + 1), &pass).unwrap();
            for (one, other) in own.to_vec2::<f32>().unwrap()[0].iter().zip(all) {
                proptest::prop_assert!((one - other).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn the_head_is_for_training_and_lengths_for_users() {
    let encoder = scratch(Pooling::Mean, 4);
    let sequences = super::fixtures::sequences(&encoder.config);
    let pass = Pass::inference(Kernels::Plain);
    let trained = encoder.embed(&sequences, &pass).unwrap();
    let used = encoder.encode(&sequences, &pass).unwrap();
    for row in used.to_vec2::<f32>().unwrap() {
        let length: f32 = row.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5);
    }
    let without = EncoderOptions {
        pooling: Pooling::Mean,
        projection: 6,
        normalize: false,
        config: Some(super::fixtures::config()),
        ..EncoderOptions::default()
    };
    let without = without.open(4, &Device::Cpu).unwrap();
    let raw = without.encode(&sequences, &pass).unwrap();
    let expected = normalized(&raw).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(used.to_vec2::<f32>().unwrap(), expected);
    assert_ne!(
        trained.to_vec2::<f32>().unwrap(),
        raw.to_vec2::<f32>().unwrap()
    );
}
