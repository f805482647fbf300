//! A small batch and small losses for tests.

use candle_core::{D, Device, Tensor};
use juzi_schemas::random::Draws;

use crate::Result;
use crate::collate::{Batch, Column};
use crate::encoder::{Config, Encoder, Pass, Sequences};
use crate::losses::{Inputs, Loss, Offer, Output, TokenLoss};
use crate::parameters::{Parameter, Parameters};

/// Column 0's first view block against all other vectors, by scaled cosine; the scale is learned.
pub struct Contrast {
    pub parameters: Parameters,
    /// Whether keys of a momentum encoder are further candidates.
    pub keys: bool,
}

impl Contrast {
    pub fn new(scale: f32) -> Contrast {
        let mut parameters = Parameters::default();
        let values = Tensor::new(&[scale.ln()], &Device::Cpu).unwrap();
        parameters.insert(Parameter::new("loss.log_scale", &values).unwrap());
        Contrast {
            parameters,
            keys: false,
        }
    }
}

fn normalised(vectors: &Tensor) -> Result<Tensor> {
    let norms = vectors.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
    Ok(vectors.broadcast_div(&norms)?)
}

impl Loss for Contrast {
    fn check(&self, _: &Offer) -> std::result::Result<(), String> {
        Ok(())
    }

    fn forward(&self, inputs: &Inputs<'_>) -> Result<Output> {
        let first = &inputs.columns[0];
        let queries = normalised(&first.vectors.narrow(0, 0, first.texts)?)?;
        let rest = first.texts * (first.views - 1);
        let mut candidates = vec![first.vectors.narrow(0, first.texts, rest)?];
        let others = inputs.columns[1..].iter();
        candidates.extend(others.map(|column| column.vectors.clone()));
        let keys = inputs.keys.unwrap_or_default().iter();
        candidates.extend(keys.map(|column| column.vectors.clone()));
        let candidates = normalised(&Tensor::cat(&candidates, 0)?)?;
        let scale = self.parameters.get("loss.log_scale").unwrap();
        let logits = queries.matmul(&candidates.t()?)?;
        let logits = logits.broadcast_mul(&scale.tensor().exp()?)?;
        let labels = Tensor::arange(0, first.texts as u32, &Device::Cpu)?;
        Ok(Output {
            loss: candle_nn::loss::cross_entropy(&logits, &labels)?,
            figures: vec![("candidates", candidates.dim(0)? as f64)],
        })
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    fn momentum(&self) -> Option<f64> {
        self.keys.then_some(0.9)
    }
}

/// Guesses token ids from states, for about a third of the tokens.
pub struct Guess {
    pub parameters: Parameters,
    pub weight: f64,
    /// What is wrong with it, for the doctor to find.
    pub defect: Defect,
}

/// What is wrong with a [`Guess`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    None,
    /// The head's gradient stops.
    Detached,
    /// The fused way has another value.
    FusedForward,
    /// The fused way has another gradient.
    FusedBackward,
    /// Both ways have a gradient that is not that of the value.
    Backward,
    /// The value of a part is a mean over its own labels.
    Mean,
    /// A second pass differs from the first.
    Forgetful,
    /// The gradient is not a number.
    Nan,
}

impl Guess {
    pub fn new(config: &Config, weight: f64, defect: Defect) -> Guess {
        let values = crate::encoder::fixtures::values(config.hidden_size, 77);
        let values = Tensor::from_vec(values, (config.hidden_size, 1), &Device::Cpu).unwrap();
        let mut parameters = Parameters::default();
        parameters.insert(Parameter::new("guess.weight", &values).unwrap());
        Guess {
            parameters,
            weight,
            defect,
        }
    }

    fn picks(sequences: &Sequences, step_key: u64) -> Vec<u32> {
        let rows = 0..sequences.rows();
        let tokens = rows.flat_map(|row| {
            sequences
                .span(row)
                .enumerate()
                .filter_map(move |(at, token)| {
                    let number = sequences.numbers[row];
                    let mut draws = Draws::new(step_key, 0, 0, number.into(), at as u64);
                    draws.chance(0.3).then_some(token as u32)
                })
        });
        tokens.collect()
    }
}

impl TokenLoss for Guess {
    fn check(&self, _: &Encoder, _: bool) -> std::result::Result<(), String> {
        Ok(())
    }

    fn labels(&self, sequences: &Sequences, step_key: u64) -> Vec<usize> {
        vec![Guess::picks(sequences, step_key).len()]
    }

    fn forward(
        &self,
        encoder: &Encoder,
        sequences: &Sequences,
        labels: &[usize],
        step_key: u64,
        pass: &Pass,
    ) -> Result<Output> {
        let picks = Guess::picks(sequences, step_key);
        let ids = picks.iter().map(|&token| sequences.ids[token as usize]);
        let wanted: Vec<f32> = ids.map(|id| id as f32 / 20.0 - 1.0).collect();
        let wanted = Tensor::from_vec(wanted, (picks.len(), 1), &Device::Cpu)?;
        let states = encoder.states(sequences, pass, |_| false)?;
        let index = Tensor::new(picks.as_slice(), &Device::Cpu)?;
        let states = states.last().index_select(&index, 0)?;
        let weight = self.parameters.get("guess.weight").unwrap().tensor();
        let mut guesses = match self.defect {
            Defect::Detached => states.matmul(&weight.detach())?,
            _ => states.matmul(weight)?,
        };
        let fused = pass.kernels == crate::encoder::Kernels::Fused;
        match self.defect {
            Defect::FusedForward if fused => guesses = (guesses * 1.01)?,
            Defect::FusedBackward if fused => guesses = double_gradient(&guesses)?,
            Defect::Backward => guesses = double_gradient(&guesses)?,
            Defect::Forgetful => {
                static CALLS: std::sync::atomic::AtomicUsize =
                    std::sync::atomic::AtomicUsize::new(0);
                let calls = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                guesses = (guesses + calls as f64)?;
            }
            _ => {}
        }
        let loss = (&guesses - wanted)?.sqr()?.sum_all()?;
        let mut loss = (loss * (self.weight / labels[0] as f64))?;
        match self.defect {
            Defect::Mean => loss = (loss * (labels[0] as f64 / picks.len() as f64))?,
            Defect::Nan => {
                // The root of 0 has no gradient.
                let same = &guesses;
                loss = (loss + (&guesses - same)?.sqr()?.sum_all()?.sqrt()?)?;
            }
            _ => {}
        }
        Ok(Output {
            loss,
            figures: vec![("share", picks.len() as f64 / labels[0] as f64)],
        })
    }

    fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }
}

/// The same values, with twice the gradient.
fn double_gradient(x: &Tensor) -> Result<Tensor> {
    Ok(((x * 2.0)? - x.detach())?)
}

/// 6 records: anchors with a copy, positives sorted by length, ragged negatives.
pub fn batch(config: &Config) -> Batch {
    let negatives = vec![2, 0, 1, 2, 0, 2];
    let count = negatives.iter().sum::<u32>() as usize;
    let columns = vec![
        column("anchor", (2, 6), false, config),
        column("positive", (1, 6), true, config),
        column("negatives", (1, count), false, config),
    ];
    Batch {
        step: 3,
        record_ids: (0..6).collect(),
        corpora: vec![0; 6],
        topics: vec![None; 6],
        negatives,
        columns,
        ..Batch::default()
    }
}

fn column(
    name: &'static str,
    (views, texts): (usize, usize),
    sorted: bool,
    config: &Config,
) -> Column {
    let mut draws = Draws::new(11, name.len() as u64, 0, 0, 0);
    let mut lengths: Vec<u32> = (0..texts).map(|_| 3 + draws.below(10) as u32).collect();
    if sorted {
        lengths.sort_unstable();
    }
    let lengths = lengths.repeat(views);
    let width = 13;
    let mut rows: Vec<Vec<u32>> = Vec::new();
    for &length in &lengths[..texts] {
        let ids = (0..length).map(|_| draws.below(config.vocab_size) as u32);
        let mut ids: Vec<u32> = ids.collect();
        ids.resize(width, config.pad_token_id);
        rows.push(ids);
    }
    let order = (0..texts as u32).rev().collect::<Vec<u32>>();
    Column {
        name,
        views,
        texts,
        width,
        ids: rows.concat().repeat(views),
        lengths,
        word_ids: None,
        order: sorted.then_some(order),
    }
}
