//! The files of a sentence-transformers folder besides weights and tokenizer: which modules there
//! are, and what each is told.

use std::collections::BTreeMap;

use candle_core::Tensor;
use serde_json::{Value, json};

use crate::encoder::modules::{POOLINGS, layer_weights};
use crate::encoder::{Config, Encoder, Output, Pooling};
use crate::parameters::Parameter;

/// A module that follows the transformer.
pub struct Module {
    /// Its class in sentence-transformers.
    pub class: &'static str,
    /// Its `config.json`.
    pub config: Value,
    /// Its weights.
    pub tensors: BTreeMap<String, Tensor>,
}

/// All modules after the transformer, in their order.
///
/// # Errors
/// The model has something that sentence-transformers cannot express.
pub fn modules(encoder: &Encoder) -> std::result::Result<Vec<Module>, String> {
    let (config, output) = (&encoder.config, &encoder.output);
    let mut modules = Vec::from_iter(weighted_layers(encoder)?);
    modules.push(pooling(encoder)?);
    if encoder.pooling == Pooling::ClsPooler {
        if !output.further.is_empty() {
            return Err("cls_pooler beside other poolings has no form there".into());
        }
        let width = config.hidden_size;
        modules.push(dense(encoder, "pooler.dense", (width, width), true, true));
    }
    let mut width = config.hidden_size * (1 + output.further.len());
    for (number, own) in output.projections.iter().enumerate() {
        let name = Output::projection_name(number);
        let sizes = (width, own.dimension);
        modules.push(dense(encoder, &name, sizes, own.bias, own.tanh));
        width = own.dimension;
    }
    if output.normalize {
        modules.push(Module {
            class: "Normalize",
            config: json!({}),
            tensors: BTreeMap::new(),
        });
    }
    Ok(modules)
}

/// Whether a pooling is over two layers.
pub fn over_layers(pooling: Pooling) -> bool {
    matches!(
        pooling,
        Pooling::FirstLastEmbeddings | Pooling::FirstLastLayers | Pooling::Last2
    )
}

/// The states that a pooling over two layers averages: the mean over tokens comes after.
fn weighted_layers(encoder: &Encoder) -> std::result::Result<Option<Module>, String> {
    if !over_layers(encoder.pooling) {
        return Ok(None);
    }
    if !encoder.output.further.is_empty() {
        return Err("a pooling over two layers beside others has no form there".into());
    }
    let layers = encoder.config.num_hidden_layers;
    let weights = layer_weights(encoder.pooling, layers);
    let weights = Tensor::new(weights, &candle_core::Device::Cpu);
    let weights = weights.map_err(|error| error.to_string())?;
    Ok(Some(Module {
        class: "WeightedLayerPooling",
        config: json!({
            "word_embedding_dimension": encoder.config.hidden_size,
            "layer_start": 0,
            "num_hidden_layers": layers,
        }),
        tensors: BTreeMap::from([("layer_weights".to_string(), weights)]),
    }))
}

fn pooling(encoder: &Encoder) -> std::result::Result<Module, String> {
    let mut wanted = vec![match encoder.pooling {
        Pooling::ClsPooler => Pooling::Cls,
        pooling if over_layers(pooling) => Pooling::Mean,
        pooling => pooling,
    }];
    wanted.extend(&encoder.output.further);
    let order: Vec<Pooling> = POOLINGS
        .iter()
        .map(|(pooling, ..)| *pooling)
        .filter(|pooling| wanted.contains(pooling))
        .collect();
    if order != wanted {
        return Err(format!(
            "poolings {:?}: switches there always have the order cls, max, mean, mean_sqrt_length, \
             weighted_mean, last",
            wanted.iter().map(|own| own.name()).collect::<Vec<_>>()
        ));
    }
    // Switches are read by all versions; the newer `pooling_mode` is not.
    let mut config = json!({ "word_embedding_dimension": encoder.config.hidden_size });
    for (pooling, _, switch) in POOLINGS {
        config[switch] = wanted.contains(&pooling).into();
    }
    config["include_prompt"] = true.into();
    Ok(Module {
        class: "Pooling",
        config,
        tensors: BTreeMap::new(),
    })
}

fn dense(
    encoder: &Encoder,
    name: &str,
    (from, to): (usize, usize),
    bias: bool,
    tanh: bool,
) -> Module {
    let mut tensors = BTreeMap::new();
    for ending in ["weight", "bias"] {
        let own = encoder.parameters.get(&format!("{name}.{ending}"));
        if let Some(own) = own.filter(|_| bias || ending == "weight") {
            tensors.insert(format!("linear.{ending}"), own.tensor().clone());
        }
    }
    Module {
        class: "Dense",
        config: json!({
            "in_features": from,
            "out_features": to,
            "bias": bias,
            "activation_function": match tanh {
                true => "torch.nn.modules.activation.Tanh",
                false => "torch.nn.modules.linear.Identity",
            },
        }),
        tensors,
    }
}

/// `modules.json`, and the folder of each module.
pub fn listed(modules: &[Module]) -> (Value, Vec<String>) {
    let paths: Vec<String> = modules
        .iter()
        .enumerate()
        .map(|(number, module)| format!("{}_{}", number + 1, module.class))
        .collect();
    let entry = |number: usize, path: &str, class: &str| {
        json!({
            "idx": number,
            "name": number.to_string(),
            "path": path,
            "type": format!("sentence_transformers.models.{class}"),
        })
    };
    let mut all = vec![entry(0, "", "Transformer")];
    for (number, (path, module)) in paths.iter().zip(modules).enumerate() {
        all.push(entry(number + 1, path, module.class));
    }
    (all.into(), paths)
}

/// `config.json` of the transformer.
pub fn transformer(config: &Config, pooling: Pooling) -> Value {
    let class = match config.model_type.as_str() {
        "bert" => "BertModel",
        "roberta" => "RobertaModel",
        "camembert" => "CamembertModel",
        _ => "XLMRobertaModel",
    };
    let mut value = serde_json::to_value(config).expect("sizes have a JSON form");
    // f32 are written with all the digits of f64 else.
    for (key, p) in [
        ("hidden_dropout_prob", config.hidden_dropout_prob),
        (
            "attention_probs_dropout_prob",
            config.attention_probs_dropout_prob,
        ),
    ] {
        let shortest: f64 = p.to_string().parse().expect("a number's own form");
        value[key] = shortest.into();
    }
    value["architectures"] = json!([class]);
    value["position_embedding_type"] = "absolute".into();
    value["torch_dtype"] = "float32".into();
    if over_layers(pooling) {
        value["output_hidden_states"] = true.into();
    }
    value
}

/// Whether a parameter belongs to the transformer itself.
pub fn of_transformer(parameter: &Parameter) -> bool {
    let starts = ["embeddings.", "encoder.", "pooler."];
    starts.iter().any(|start| parameter.name.starts_with(start))
}
