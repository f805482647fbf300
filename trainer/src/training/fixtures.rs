//! Trainings of a small model on made-up text, for tests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use juzi_schemas::record::Kind;

use super::{Model, Setup, Start, Training};
use crate::Result;
use crate::encoder::{Config, Pooling, fixtures};
use crate::loader::Feed;
use crate::loader::fixtures::{Place, made_up, recipe, shards, threads};
use crate::losses::{Inputs, Loss, Offer, Output};
use crate::parameters::{Parameter, Parameters};

/// Two views of a text, batches of 4 of 40 texts, 12 steps, a checkpoint after each 3.
pub const LINES: &str = "
[data]
size = 4
[views]
augmented = 0
copies = 1
[tokenizer]
length_max = 16
[encoder]
path = 'model'
pooling = 'mean'
[loss]
name = 'info_nce'
[optimizer]
learning_rate = 0.01
[schedule]
steps = 12
warmup_steps = 3
[training]
checkpoint_steps = 3
log_steps = 1
";

/// The distance of two views, times a learned number, plus what a queue of keys says.
pub struct Trial {
    scale: Arc<Parameter>,
    queue: Tensor,
    /// What else it should do.
    pub twist: Twist,
}

/// What a loss does besides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Twist {
    /// Keys by momentum, and a queue of them.
    pub momentum: Option<f64>,
    /// From this batch on the loss is multiplied with the number.
    pub factor: Option<(u64, f64)>,
    /// Each batch costs this much more than the one before.
    pub rise: f64,
}

impl Trial {
    /// With an empty queue.
    pub fn new(twist: Twist) -> Trial {
        let one = Tensor::new(&[1.0f32], &Device::Cpu).unwrap();
        Trial {
            scale: Arc::new(Parameter::new("loss.log_scale", &one).unwrap()),
            queue: Tensor::zeros((3, 16), candle_core::DType::F32, &Device::Cpu).unwrap(),
            twist,
        }
    }
}

impl Loss for Trial {
    fn check(&self, offer: &Offer) -> std::result::Result<(), String> {
        match offer.columns.iter().any(|(_, views)| *views > 1) {
            true => Ok(()),
            false => Err(format!(
                "two views are wanted; there are {:?}",
                offer.columns
            )),
        }
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let column = &inputs.columns[0];
        let one = column.vectors.narrow(0, 0, column.texts)?;
        let other = column.vectors.narrow(0, column.texts, column.texts)?;
        let distance = (&one - &other)?.sqr()?.mean_all()?;
        let scale = self.scale.tensor().squeeze(0)?;
        let near = one.matmul(&self.queue.t()?)?.sqr()?.mean_all()?;
        let mut loss = ((distance * scale)? + (near * 0.1)?)?;
        if let Some(keys) = inputs.keys {
            let keys = keys[0].vectors.narrow(0, 0, column.texts)?;
            loss = (loss + (one - keys)?.sqr()?.mean_all()?)?;
        }
        let batch = inputs.batch.step;
        if let Some((from, factor)) = self.twist.factor
            && batch >= from
        {
            loss = (loss * factor)?;
        }
        Ok(Output {
            loss: (loss + self.twist.rise * batch as f64)?,
            figures: vec![("rows", column.texts as f64)],
        })
    }

    fn advance(&mut self, inputs: &Inputs<'_>) -> Result<()> {
        if let Some(keys) = inputs.keys {
            let newest = keys[0].vectors.narrow(0, 0, 1)?;
            self.queue = Tensor::cat(&[newest, self.queue.narrow(0, 0, 2)?], 0)?;
        }
        Ok(())
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.share(self.scale.clone());
        parameters
    }

    fn clamp(&self) -> Result<()> {
        self.scale
            .set(&self.scale.tensor().detach().clamp(0.5, 0.995)?)
    }

    fn momentum(&self) -> Option<f64> {
        self.twist.momentum
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        BTreeMap::from([("queue".into(), self.queue.clone())])
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        self.queue = state["queue"].clone();
        Ok(())
    }
}

/// A place with a dataset.
pub fn place() -> (Place, PathBuf) {
    let place = Place::new();
    let rows = made_up(40);
    let dataset = shards(&place.path("data"), Kind::Text, false, &[vec![rows]]);
    (place, dataset)
}

/// What a training is made of; `changes` are lines of the recipe and what they become.
pub fn setup(
    (place, dataset): (&Place, &PathBuf),
    run: &str,
    changes: &[(&str, &str)],
    twist: Twist,
) -> Setup {
    let mut lines = LINES.to_string();
    for (from, to) in changes {
        assert!(lines.contains(from), "{from}");
        lines = lines.replace(from, to);
    }
    let recipe = recipe(place, dataset, &lines);
    let config = Config {
        vocab_size: 80,
        ..fixtures::config()
    };
    Setup {
        feed: Feed::open(&recipe, None).unwrap(),
        model: Model {
            encoder: fixtures::encoder(&config, Pooling::Mean),
            loss: Some(Box::new(Trial::new(twist))),
            token_losses: Vec::new(),
        },
        recipe,
        run: place.path(run),
        threads: threads(1),
    }
}

/// Opens a training that must open.
pub fn open(setup: Setup, start: Start) -> Training {
    let (training, messages) = Training::open(setup, start).unwrap();
    assert!(messages.is_empty(), "{messages:?}");
    training
}
