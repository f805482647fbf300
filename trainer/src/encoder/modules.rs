//! `modules.json` of sentence-transformers: what follows the encoder, read and checked.

use std::path::{Path, PathBuf};

use candle_core::Device;
use serde_json::Value;

use super::files::{Weights, read_json, wrong};
use super::{Encoder, Output, Pooling, Projection};
use crate::Result;
use crate::parameters::Parameter;

/// Poolings as sentence-transformers writes them: today's name, and the switch of older files. In
/// the order of concatenation.
pub const POOLINGS: [(Pooling, &str, &str); 6] = [
    (Pooling::Cls, "cls", "pooling_mode_cls_token"),
    (Pooling::Max, "max", "pooling_mode_max_tokens"),
    (Pooling::Mean, "mean", "pooling_mode_mean_tokens"),
    (
        Pooling::MeanSqrtLength,
        "mean_sqrt_len_tokens",
        "pooling_mode_mean_sqrt_len_tokens",
    ),
    (
        Pooling::WeightedMean,
        "weightedmean",
        "pooling_mode_weightedmean_tokens",
    ),
    (Pooling::Last, "lasttoken", "pooling_mode_lasttoken"),
];

/// The modules of a folder.
pub struct Modules {
    /// Folder of the transformer, below that of the model.
    pub transformer: String,
    poolings: Vec<Pooling>,
    /// The file of the pooling, and the length of a state that it states.
    width: Option<(PathBuf, usize)>,
    /// Folders of linear layers.
    dense: Vec<PathBuf>,
    normalize: bool,
}

/// Reads `modules.json`, and what is to be said of it.
///
/// # Errors
/// It is not what it should be; a module is not known or stands in another place.
pub fn read(folder: &Path) -> Result<(Modules, Vec<String>)> {
    let mut modules = Modules {
        transformer: String::new(),
        poolings: Vec::new(),
        width: None,
        dense: Vec::new(),
        normalize: false,
    };
    let path = folder.join("modules.json");
    if !path.exists() {
        modules.poolings.push(Pooling::Mean);
        let message = format!(
            "{}: no modules.json, so this is a bare encoder: pooling is the mean, vectors are not \
             normalised",
            folder.display()
        );
        return Ok((modules, vec![message]));
    }
    let value = read_json(&path)?;
    let Some(all) = value.as_array() else {
        return Err(wrong(&path, "expected a list of modules".into()));
    };
    let mut layers = None;
    for (place, module) in all.iter().enumerate() {
        let (Some(kind), Some(own)) = (module["type"].as_str(), module["path"].as_str()) else {
            let message = format!("module {place}: expected `type` and `path`");
            return Err(wrong(&path, message));
        };
        let short = kind.rsplit('.').next().unwrap_or(kind);
        let pooled = !modules.poolings.is_empty();
        let first = place == 0;
        match short {
            "Transformer" if first => modules.transformer = own.into(),
            "WeightedLayerPooling" if !first && !pooled => layers = Some(own),
            "Pooling" if !first && !pooled => {
                (modules.poolings, modules.width) = pooling(&folder.join(own))?;
            }
            "Dense" if pooled && !modules.normalize => modules.dense.push(folder.join(own)),
            "Normalize" if pooled => modules.normalize = true,
            _ => {
                return Err(wrong(
                    &path,
                    format!(
                        "module {place} is `{kind}`; accepted are, in this order, Transformer, \
                         WeightedLayerPooling or none, Pooling, Dense as often as wanted, Normalize \
                         or none"
                    ),
                ));
            }
        }
    }
    if modules.poolings.is_empty() {
        return Err(wrong(&path, "no module `Pooling`".into()));
    }
    if let Some(own) = layers {
        let other = layer_pooling(&folder.join(own))?;
        if modules.poolings != [Pooling::Mean] {
            let message = "WeightedLayerPooling is accepted before a mean only";
            return Err(wrong(&path, message.into()));
        }
        modules.poolings = vec![other];
    }
    Ok((modules, Vec::new()))
}

impl Modules {
    /// What is to be said to somebody who takes another pooling than the folder's: with it a model
    /// does not do what it was trained to do, or its training begins elsewhere.
    pub fn other(&self, pooling: Pooling) -> Option<String> {
        let names: Vec<&str> = self.poolings.iter().map(|own| own.name()).collect();
        // The pooler is a linear layer with tanh behind the first token's state.
        let pooler = pooling == Pooling::ClsPooler && self.poolings == [Pooling::Cls];
        let same = self.poolings == [pooling] || (pooler && self.dense.len() == 1);
        let mut message = String::new();
        if !same {
            let (theirs, ours) = (names.join(", "), pooling.name());
            message = format!("its pooling is {theirs}, the recipe takes {ours}");
        } else if !pooler && !self.dense.is_empty() {
            message = "its linear layers behind the pooling are not taken".into();
        }
        (!message.is_empty()).then_some(message)
    }

    /// The first pooling.
    pub fn pooling(&self) -> Pooling {
        self.poolings[0]
    }

    /// The encoder with all that follows its first pooling.
    ///
    /// # Errors
    /// A linear layer's files are not what they should be.
    pub fn finish(&self, encoder: Encoder, device: &Device) -> Result<Encoder> {
        let mut output = Output {
            further: self.poolings[1..].to_vec(),
            normalize: self.normalize,
            ..Output::default()
        };
        let mut encoder = encoder;
        let width = encoder.config.hidden_size;
        if let Some((path, stated)) = &self.width
            && *stated != width
        {
            let message = format!("states of length {stated}; the model has states of {width}");
            return Err(wrong(path, message));
        }
        for (number, own) in self.dense.iter().enumerate() {
            let width = output.dimension(&encoder.config);
            let name = Output::projection_name(number);
            let (projection, parameters) = dense(own, &name, width, device)?;
            for parameter in parameters {
                encoder.parameters.insert(parameter);
            }
            output.projections.push(projection);
        }
        encoder.with_output(output)
    }
}

/// Poolings, and the length of a state with the file that states it.
type Pooled = (Vec<Pooling>, Option<(PathBuf, usize)>);

/// The poolings that a folder switches on, and the length of a state that it states.
fn pooling(folder: &Path) -> Result<Pooled> {
    let path = folder.join("config.json");
    let value = read_json(&path)?;
    if value["include_prompt"] == false {
        let message =
            "include_prompt = false: only true is accepted, prompts are pooled with texts";
        return Err(wrong(&path, message.into()));
    }
    let named = |name: &Value| {
        let mut all = POOLINGS.iter();
        all.find(|(_, own, _)| name == own)
            .map(|(pooling, ..)| *pooling)
    };
    let poolings: Option<Vec<Pooling>> = match &value["pooling_mode"] {
        Value::Null => {
            let on = POOLINGS
                .iter()
                .filter(|(.., switch)| value[*switch] == true);
            Some(on.map(|(pooling, ..)| *pooling).collect())
        }
        Value::Array(names) => names.iter().map(named).collect(),
        name => named(name).map(|pooling| vec![pooling]),
    };
    let keys = ["embedding_dimension", "word_embedding_dimension"];
    let width = keys.iter().find_map(|key| value[*key].as_u64());
    let width = width.map(|width| (path.clone(), width as usize));
    match poolings {
        Some(poolings) if !poolings.is_empty() => Ok((poolings, width)),
        // As sentence-transformers has it where no switch is on.
        Some(_) => Ok((vec![Pooling::Mean], width)),
        None => {
            let names = POOLINGS.map(|(_, name, _)| name).join(", ");
            let found = &value["pooling_mode"];
            let message = format!("pooling_mode = {found}: {names} are accepted");
            Err(wrong(&path, message))
        }
    }
}

/// The pooling whose layers a folder weighs.
fn layer_pooling(folder: &Path) -> Result<Pooling> {
    let path = folder.join("config.json");
    let value = read_json(&path)?;
    let number = |key: &str| value[key].as_u64().map(|number| number as usize);
    let (Some(layers), Some(start)) = (number("num_hidden_layers"), number("layer_start")) else {
        let message = "expected `num_hidden_layers` and `layer_start`";
        return Err(wrong(&path, message.into()));
    };
    let mut weights = Weights::open(folder)?;
    let shape = [(layers + 1).saturating_sub(start)];
    let weights = weights.take("layer_weights", &shape, &Device::Cpu)?;
    let mut all = vec![0.0; start];
    all.extend(weights.to_vec1::<f32>()?);
    let known = [
        Pooling::FirstLastEmbeddings,
        Pooling::FirstLastLayers,
        Pooling::Last2,
    ];
    let found = known.into_iter().find(|pooling| {
        let wanted = layer_weights(*pooling, layers);
        wanted.iter().zip(&all).all(|(wanted, own)| wanted == own)
    });
    found.ok_or_else(|| {
        let message = "layer_weights: accepted are 1 for two layers, the last and the embeddings, \
                       the first or the last but one, and 0 for the others";
        wrong(&path, message.into())
    })
}

/// The weight of each layer in a pooling over two of them, the embeddings first. `[layers + 1]`
pub fn layer_weights(pooling: Pooling, layers: usize) -> Vec<f32> {
    let wanted = |number| f32::from(u8::from(pooling.wants(number, layers)));
    (0..=layers).map(wanted).collect()
}

/// A linear layer of a folder and its parameters.
fn dense(
    folder: &Path,
    name: &str,
    width: usize,
    device: &Device,
) -> Result<(Projection, Vec<Parameter>)> {
    let path = folder.join("config.json");
    let value = read_json(&path)?;
    let (Some(from), Some(to)) = (
        value["in_features"].as_u64(),
        value["out_features"].as_u64(),
    ) else {
        let message = "expected `in_features` and `out_features`";
        return Err(wrong(&path, message.into()));
    };
    if from as usize != width {
        let message = format!("in_features = {from}; it is given vectors of length {width}");
        return Err(wrong(&path, message));
    }
    let activation = value["activation_function"].as_str();
    let activation = activation.unwrap_or("torch.nn.modules.activation.Tanh");
    let tanh = match activation.rsplit('.').next() {
        Some("Tanh") => true,
        Some("Identity") => false,
        _ => {
            let message =
                format!("activation_function = {activation}: Tanh or Identity is accepted");
            return Err(wrong(&path, message));
        }
    };
    if value["use_residual"] == true {
        let message = "use_residual = true: only false is accepted";
        return Err(wrong(&path, message.into()));
    }
    for key in ["module_input_name", "module_output_name"] {
        if !(value[key].is_null() || value[key] == "sentence_embedding") {
            let message = format!(
                "{key} = {}: only sentence_embedding is accepted",
                value[key]
            );
            return Err(wrong(&path, message));
        }
    }
    let projection = Projection {
        dimension: to as usize,
        bias: value["bias"] != false,
        tanh,
    };
    let mut weights = Weights::open(folder)?;
    let shape = [projection.dimension, width];
    let weight = weights.take("linear.weight", &shape, device)?;
    let mut parameters = vec![Parameter::new(format!("{name}.weight"), &weight)?];
    if projection.bias {
        let bias = weights.take("linear.bias", &shape[..1], device)?;
        parameters.push(Parameter::new(format!("{name}.bias"), &bias)?);
    }
    Ok((projection, parameters))
}
