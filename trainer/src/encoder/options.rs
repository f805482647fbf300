//! The table `[encoder]` of a recipe: which model is trained, and how it is opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::config::check_probability;
use super::files::Weights;
use super::{Config, Encoder, Head, Output, Pooling, Projection, config_file, modules, start};
use crate::parameters::{Parameter, Parameters};
use crate::{Error, Result};

/// What a masked language model has besides the encoder, but for the decoder, which is the word
/// embeddings.
const MLM_HEAD: [&str; 5] = [
    "cls.predictions.transform.dense.weight",
    "cls.predictions.transform.dense.bias",
    "cls.predictions.transform.LayerNorm.weight",
    "cls.predictions.transform.LayerNorm.bias",
    "cls.predictions.bias",
];

/// The trained model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderOptions {
    /// The Hugging Face folder that training starts from, relative to the recipe; in a recipe also a
    /// run, for its newest checkpoint, or a checkpoint of one (the average where there is one).
    /// Empty where `[encoder.config]` gives the sizes of a model from scratch.
    pub path: String,
    /// Only the first layers of the model are taken; 0 takes all.
    pub layers: usize,
    /// How the states of a sequence become one vector: `cls`, `cls_pooler`, `mean`,
    /// `mean_sqrt_length`, `max`, `weighted_mean`, `last`, `first_last_embeddings`,
    /// `first_last_layers` or `last2`.
    pub pooling: Pooling,
    /// Length of the vectors after a linear layer behind the pooling, which stays in the exported
    /// model; 0 for no such layer.
    pub projection: usize,
    /// A layer that is there in training only, behind all others: `none`, or `mlp` (linear and tanh,
    /// SimCSE's `mlp_only_train`).
    pub head: Head,
    /// Whether a user of the model gets vectors of length 1. Losses normalise by themselves.
    pub normalize: bool,
    /// Dropout after embeddings, attention and feed-forward part; without the key, as the model says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_dropout_prob: Option<f32>,
    /// Dropout on attention; without the key, as the model says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_probs_dropout_prob: Option<f32>,
    /// Sizes of a model that starts from random values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
}

impl Default for EncoderOptions {
    fn default() -> EncoderOptions {
        EncoderOptions {
            path: String::new(),
            layers: 0,
            pooling: Pooling::Cls,
            projection: 0,
            head: Head::None,
            normalize: true,
            hidden_dropout_prob: None,
            attention_probs_dropout_prob: None,
            config: None,
        }
    }
}

impl EncoderOptions {
    /// Checks all values that can be checked without the files.
    ///
    /// # Errors
    /// The key, its value and what is accepted.
    pub fn check(&self) -> std::result::Result<(), String> {
        if let Some(config) = &self.config {
            let named = |message| format!("[encoder.config] {message}");
            config.check_values().map_err(named)?;
            if !self.path.is_empty() {
                return Err(
                    "[encoder] path and [encoder.config]: only one of them is accepted; \
                            the sizes of a folder are in its config.json"
                        .into(),
                );
            }
        }
        for (key, p) in [
            ("[encoder] hidden_dropout_prob", self.hidden_dropout_prob),
            (
                "[encoder] attention_probs_dropout_prob",
                self.attention_probs_dropout_prob,
            ),
        ] {
            p.map_or(Ok(()), |p| check_probability(key, p))?;
        }
        Ok(())
    }

    /// Puts the names of files below the directory of the recipe.
    pub fn place_files(&mut self, base: &Path) {
        if !self.path.is_empty() {
            self.path = base.join(&self.path).to_string_lossy().into_owned();
        }
    }

    /// Opens the folder, or makes a model from scratch. What the folder lacks besides the encoder
    /// begins at random values that follow from the seed; the model says so in its messages, and
    /// too where `modules.json` names another pooling than this.
    ///
    /// # Errors
    /// A file is missing or is not what it should be; a tensor is missing or has another shape; the
    /// options do not fit the model.
    pub fn open(&self, seed: u64, device: &Device) -> Result<Encoder> {
        if let Some(config) = &self.config {
            self.check().map_err(Error::Usage)?;
            let source = Source::random(config, seed, device);
            return self.assemble(config.clone(), source, Vec::new());
        }
        if self.path.is_empty() {
            return Err(Error::Usage(
                "[encoder] path: no model is named; write a Hugging Face folder there, or the sizes \
                 of a new model in [encoder.config]"
                    .into(),
            ));
        }
        let mut encoder = self.open_bare(seed, device)?;
        let folder = Path::new(&self.path);
        let listed = folder.join("modules.json");
        if listed.exists() {
            let other = modules::read(folder)?.0.other(self.pooling);
            let told = |message| format!("{}: {message}", listed.display());
            encoder.messages.extend(other.map(told));
        }
        Ok(encoder)
    }

    /// Opens the folder whatever its `modules.json` says.
    pub(crate) fn open_bare(&self, seed: u64, device: &Device) -> Result<Encoder> {
        self.of_weights(&|| Weights::open(Path::new(&self.path)), seed, device)
    }

    /// As [`EncoderOptions::open`] for a folder whose weights are in other files than usual, such as
    /// those of a training.
    ///
    /// # Errors
    /// As there.
    pub fn open_files(&self, files: Vec<PathBuf>, seed: u64, device: &Device) -> Result<Encoder> {
        let open = || Weights::read(PathBuf::from(&self.path), files.clone());
        self.of_weights(&open, seed, device)
    }

    /// A model of the folder's sizes with weights that `open` gives.
    fn of_weights(
        &self,
        open: &dyn Fn() -> Result<Weights>,
        seed: u64,
        device: &Device,
    ) -> Result<Encoder> {
        let folder = Path::new(&self.path);
        let (config, messages) = config_file::read(&folder.join("config.json"))?;
        let source = Source {
            weights: Some(open()?),
            ..Source::random(&config, seed, device)
        };
        self.assemble(config, source, messages)
    }

    /// Opens what a training with these options has saved: `config.json` in a folder, and all
    /// parameters in one file there, those of projections and of the head too.
    ///
    /// # Errors
    /// As [`EncoderOptions::open`]; nothing begins at random here.
    pub fn reopen(&self, folder: &Path, file: &str, device: &Device) -> Result<Encoder> {
        let (config, messages) = config_file::read(&folder.join("config.json"))?;
        let path = folder.join(file);
        let source = Source {
            weights: Some(Weights::read(path.clone(), vec![path])?),
            complete: true,
            ..Source::random(&config, 0, device)
        };
        let whole = EncoderOptions {
            layers: 0,
            ..self.clone()
        };
        whole.assemble(config, source, messages)
    }

    /// A model of these sizes with values from some source.
    fn assemble(
        &self,
        config: Config,
        mut source: Source<'_>,
        mut messages: Vec<String>,
    ) -> Result<Encoder> {
        let config = self.fitted(config)?;
        let mut parameters = Parameters::default();
        for (name, shape) in start::shapes(&config) {
            parameters.insert(source.needed(&name, &shape)?);
        }
        let output = self.output();
        for (name, width, dense) in output.named(&config, self.pooling) {
            for (ending, shape) in [
                ("weight", vec![dense.dimension, width]),
                ("bias", vec![dense.dimension]),
            ] {
                let name = format!("{name}.{ending}");
                let (parameter, new) = source.wished(&name, &shape)?;
                if new && ending == "weight" {
                    messages.push(format!(
                        "`{name}` is not in the folder: it begins at random"
                    ));
                }
                parameters.insert(parameter);
            }
        }
        let mut spare = BTreeMap::new();
        if let Some(weights) = &mut source.weights {
            spare = spares(weights, &config, &parameters)?;
            messages.extend(left(weights, config.num_hidden_layers));
        }
        let encoder = Encoder::new(config, self.pooling, parameters)?.with_output(output)?;
        Ok(Encoder {
            spare,
            messages,
            ..encoder
        })
    }

    /// The sizes after what the options change.
    fn fitted(&self, mut config: Config) -> Result<Config> {
        if self.layers > config.num_hidden_layers {
            return Err(Error::Usage(format!(
                "[encoder] layers = {}: the model has {} layers",
                self.layers, config.num_hidden_layers
            )));
        }
        if self.layers > 0 {
            config.num_hidden_layers = self.layers;
        }
        let hidden = self.hidden_dropout_prob;
        config.hidden_dropout_prob = hidden.unwrap_or(config.hidden_dropout_prob);
        let attention = self.attention_probs_dropout_prob;
        config.attention_probs_dropout_prob =
            attention.unwrap_or(config.attention_probs_dropout_prob);
        Ok(config)
    }

    /// What follows the pooling.
    pub fn output(&self) -> Output {
        let projection = Projection {
            dimension: self.projection,
            bias: true,
            tanh: false,
        };
        Output {
            further: Vec::new(),
            projections: Vec::from_iter((self.projection > 0).then_some(projection)),
            head: self.head,
            normalize: self.normalize,
        }
    }
}

/// Where parameters come from: files, or random values.
struct Source<'a> {
    weights: Option<Weights>,
    /// Whether the files must have all parameters.
    complete: bool,
    range: f64,
    seed: u64,
    device: &'a Device,
}

impl<'a> Source<'a> {
    /// Random values only.
    fn random(config: &Config, seed: u64, device: &'a Device) -> Source<'a> {
        Source {
            weights: None,
            complete: false,
            range: config.initializer_range,
            seed,
            device,
        }
    }

    /// A parameter that the files must have, if there are files.
    fn needed(&mut self, name: &str, shape: &[usize]) -> Result<Parameter> {
        match &mut self.weights {
            Some(weights) => Parameter::new(name, &weights.take(name, shape, self.device)?),
            None => start::parameter(name, shape, self.range, self.seed, self.device),
        }
    }

    /// A parameter that files may lack, and whether it is one that they lack.
    fn wished(&mut self, name: &str, shape: &[usize]) -> Result<(Parameter, bool)> {
        match &self.weights {
            Some(weights) if self.complete || weights.has(name) => {
                Ok((self.needed(name, shape)?, false))
            }
            weights => {
                let new = weights.is_some();
                let own = start::parameter(name, shape, self.range, self.seed, self.device)?;
                Ok((own, new))
            }
        }
    }
}

/// Tensors of heads that the model itself does not have.
fn spares(
    weights: &mut Weights,
    config: &Config,
    parameters: &Parameters,
) -> Result<BTreeMap<String, Tensor>> {
    let width = config.hidden_size;
    let pooler = ["pooler.dense.weight", "pooler.dense.bias"];
    let mut spare = BTreeMap::new();
    for name in pooler.into_iter().chain(MLM_HEAD) {
        if parameters.get(name).is_none() && weights.has(name) {
            let shape = match name {
                "cls.predictions.bias" => vec![config.vocab_size],
                name if name.ends_with("dense.weight") => vec![width, width],
                _ => vec![width],
            };
            let tensor = weights.take(name, &shape, &Device::Cpu)?;
            spare.insert(name.to_string(), tensor);
        }
    }
    Ok(spare)
}

/// What is to be said of tensors that nobody took: layers that were cut off on purpose are counted,
/// copies and tables of numbers are left out.
fn left(weights: &Weights, layers: usize) -> Option<String> {
    let silent = [
        "position_ids",
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias",
        "lm_head.decoder.weight",
        "lm_head.decoder.bias",
    ];
    let beyond = |name: &str| {
        let number = name.split("encoder.layer.").nth(1);
        let number = number.and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        number.is_some_and(|number| number >= layers)
    };
    let left: Vec<&str> = weights
        .left()
        .into_iter()
        .filter(|name| !silent.iter().any(|end| name.ends_with(end)) && !beyond(name))
        .collect();
    let more = left.len().saturating_sub(8);
    let shown = left[..left.len() - more].join(", ");
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let path = weights.path.display();
    (!left.is_empty()).then(|| format!("{path}: tensors not used: {shown}{more}"))
}
