//! One fine-tuning: a model or its vectors, layers on top, and the steps that move them.
//!
//! ```text
//! frozen  texts ─▶ tokens ─▶ encoder, once ─▶ vectors ─▶ head ─▶ loss
//! full    texts ─▶ tokens ─────────▶ copy of the encoder ─▶ head ─▶ loss
//! ```

use candle_core::{Device, Tensor};
use juzi_schemas::random::Draws;

use super::rows::Rows;
use super::{FineTune, Kind, Mode, Splits};
use crate::collate::Batch;
use crate::encoder::{Dense, Encoder, Head, Kernels, Output, Pass, Projection, Sequences, start};
use crate::evaluators::Vectors;
use crate::evaluators::embedder::{encode, not_finite, tokens};
use crate::losses::{CosineBce, Embedded, Inputs, Loss, on_host};
use crate::metrics::classification::{accuracy, macro_f1};
use crate::metrics::correlation::spearman;
use crate::model::Model;
use crate::optimizer::{Optimizer, OptimizerOptions, norm};
use crate::parameters::Parameters;
use crate::schedule::{Schedule, ScheduleOptions};
use crate::{Error, Result};

/// Keeps these draws apart from those of others with the same seed.
const STREAM: u64 = 0x7475_6e65;

/// A fine-tuning that has not begun.
pub struct Trial<'a> {
    splits: &'a Splits,
    encoder: Encoder,
    head: Vec<Dense>,
    /// All that moves.
    trained: Parameters,
    kernels: Kernels,
    train: Source,
    dev: Source,
    test: Source,
}

/// What came of it.
pub struct Outcome {
    /// Of the step that `dev` chose.
    pub test: Score,
    /// The best.
    pub dev: Score,
    /// The step that it was found after, from 1.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
}

/// Accuracy and macro F1, or Spearman's correlation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    /// Accuracy or correlation.
    pub primary: f64,
    /// Macro F1.
    pub second: f64,
    /// Whether 0 stands for a correlation that there is not.
    pub undefined: bool,
}

/// What the texts of a split are when training begins.
enum Source {
    /// `[texts, D]`
    Vectors(Vec<f32>),
    /// `[texts]`
    Tokens(Vec<Vec<u32>>),
}

impl<'a> Trial<'a> {
    /// A fine-tuning of a model, which is left as it is.
    ///
    /// # Errors
    /// A text has no tokens or no vector; there is no memory left.
    pub fn new(splits: &'a Splits, model: &Model, prompt: &str) -> Result<Trial<'a>> {
        let options = &splits.options;
        // The pooled vectors themselves: what is normalised has lost its length.
        let output = Output {
            head: Head::None,
            normalize: false,
            ..model.encoder.output.clone()
        };
        let encoder = match options.mode {
            Mode::Full => model.encoder.copy()?,
            Mode::Frozen => model.encoder.clone(),
        };
        let encoder = encoder.with_output(output)?;
        let device = encoder.device().clone();
        let (head, mut trained) = head(splits, encoder.dimension(), &device)?;
        if options.mode == Mode::Full {
            trained.extend(&encoder.parameters);
        }
        let source = |rows: &Rows| -> Result<Source> {
            let texts: Vec<&str> = rows.texts().collect();
            let length_max = options.length_max.min(model.length_max);
            let tokens = tokens(model, &texts, prompt, length_max)?;
            match options.mode {
                Mode::Full => Ok(Source::Tokens(tokens)),
                Mode::Frozen => Ok(Source::Vectors(finite(&encoder, &tokens)?)),
            }
        };
        Ok(Trial {
            splits,
            train: source(&splits.train)?,
            dev: source(&splits.dev)?,
            test: source(&splits.test)?,
            kernels: match device.is_cpu() {
                true => Kernels::Fused,
                false => Kernels::Plain,
            },
            encoder,
            head,
            trained,
        })
    }

    /// Trains, keeps the weights of the step that is best on `dev`, and scores `test` with them.
    ///
    /// # Errors
    /// Loss or gradients are no numbers any more; the device fails.
    pub fn run(self) -> Result<Outcome> {
        let options = &self.splits.options;
        let of_epoch = self.splits.train.len().div_ceil(options.batch);
        let steps = of_epoch * options.epochs;
        let every = match options.eval_steps {
            0 => of_epoch,
            every => every,
        };
        let mut optimizer = Optimizer::new(&OptimizerOptions {
            learning_rate: options.learning_rate(),
            ..OptimizerOptions::default()
        });
        let schedule = schedule(options, steps);
        let mut best: Option<(usize, Score, Parameters)> = None;
        let mut step = 0;
        for epoch in 0..options.epochs {
            for rows in self.order(epoch).chunks(options.batch) {
                let rate = options.learning_rate() * schedule.factor(step as u64);
                self.step(rows, step, &mut optimizer, rate)?;
                step += 1;
                if !step.is_multiple_of(every) && step != steps {
                    continue;
                }
                let dev = self.score(&self.dev, &self.splits.dev)?;
                let beaten = |best: &(usize, Score, Parameters)| dev.primary > best.1.primary;
                if best.as_ref().is_none_or(beaten) {
                    best = Some((step, dev, self.trained.copy()?));
                }
            }
        }
        let (step, dev, weights) = best.expect("the last step is always scored");
        for parameter in self.trained.iter() {
            let kept = weights.get(&parameter.name);
            parameter.set(kept.expect("a copy has all names").tensor())?;
        }
        Ok(Outcome {
            test: self.score(&self.test, &self.splits.test)?,
            dev,
            step,
            steps,
        })
    }

    /// The rows of `train` in the order of an epoch.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let seed = self.splits.options.seed;
        let key = |row: usize| Draws::new(seed, STREAM, epoch as u64, row as u128, 0).next_u64();
        let mut order: Vec<usize> = (0..self.splits.train.len()).collect();
        order.sort_by_cached_key(|&row| (key(row), row));
        order
    }

    fn step(
        &self,
        rows: &[usize],
        step: usize,
        optimizer: &mut Optimizer,
        learning_rate: f64,
    ) -> Result<()> {
        let train = &self.splits.train;
        let seconds = rows.iter().map(|row| row + train.len());
        let mut texts = rows.to_vec();
        texts.extend(seconds.filter(|_| !train.other.is_empty()));
        let seed = self.splits.options.seed;
        let key = Draws::new(seed, STREAM, step as u64, 0, 1).next_u64();
        let vectors = match &self.train {
            Source::Vectors(all) => {
                let width = self.encoder.dimension();
                let picked = texts.iter().flat_map(|&text| &all[text * width..][..width]);
                let picked: Vec<f32> = picked.copied().collect();
                Tensor::from_vec(picked, (texts.len(), width), self.encoder.device())?
            }
            Source::Tokens(all) => {
                let sequences = Sequences::new(texts.iter().map(|&text| &all[text][..]));
                let pass = Pass::training(self.kernels, key);
                self.encoder.embed(&sequences, &pass)?
            }
        };
        let gold: Vec<f64> = rows.iter().map(|&row| train.gold[row]).collect();
        let loss = self.loss(&self.headed(vectors)?, &gold)?;
        let gradients = loss.backward()?;
        self.trained.collect(&gradients)?;
        let norm = norm(&self.trained)?;
        let value = loss.to_scalar::<f32>()?;
        if !(value.is_finite() && norm.is_finite()) {
            return Err(Error::Training {
                step: step as u64,
                message: format!(
                    "of a fine-tuning the loss is {value} and the norm of the gradients {norm}; \
                     try a smaller learning_rate"
                ),
            });
        }
        optimizer.step(&self.trained, learning_rate, norm)?;
        self.trained.clear_gradients();
        Ok(())
    }

    /// The layers on top, ReLU between them. `[rows, D]` to `[rows, out]`
    fn headed(&self, mut vectors: Tensor) -> Result<Tensor> {
        for (number, layer) in self.head.iter().enumerate() {
            if number > 0 {
                vectors = vectors.relu()?;
            }
            vectors = layer.forward(&vectors, self.kernels)?;
        }
        Ok(vectors)
    }

    fn loss(&self, out: &Tensor, gold: &[f64]) -> Result<Tensor> {
        if self.splits.options.task == Kind::Classification {
            return on_host(out, |logits| cross_entropy(logits, gold));
        }
        let rows = gold.len();
        let side = |name, start| -> Result<Embedded> {
            Ok(Embedded {
                name,
                views: 1,
                texts: rows,
                vectors: out.narrow(0, start, rows)?,
            })
        };
        let loss = CosineBce::default().forward(&Inputs {
            columns: &[side("sentence1", 0)?, side("sentence2", rows)?],
            keys: None,
            batch: &Batch {
                scores: gold.iter().map(|&score| score as f32).collect(),
                ..Batch::default()
            },
        })?;
        Ok(loss.loss)
    }

    /// The score of all rows of a split.
    fn score(&self, source: &Source, rows: &Rows) -> Result<Score> {
        let width = self.encoder.dimension();
        let vectors = match source {
            Source::Vectors(all) => all.clone(),
            Source::Tokens(tokens) => finite(&self.encoder, tokens)?,
        };
        let shape = (vectors.len() / width, width);
        let vectors = Tensor::from_vec(vectors, shape, self.encoder.device())?;
        let out = self.headed(vectors)?.detach();
        let (texts, width) = out.dims2()?;
        let out = out.flatten_all()?.to_vec1::<f32>()?;
        if self.splits.options.task == Kind::Classification {
            let logits = out.chunks_exact(width);
            let found: Vec<usize> = logits.map(largest).collect();
            let gold: Vec<usize> = rows.gold.iter().map(|&class| class as usize).collect();
            return Ok(Score {
                primary: accuracy(&gold, &found),
                second: macro_f1(&gold, &found),
                undefined: false,
            });
        }
        let vectors = Vectors::dense(width, out)?.unit();
        debug_assert_eq!(texts, 2 * rows.len());
        let pairs = 0..rows.len();
        let cosines = pairs.map(|pair| vectors.dot(pair, &vectors, rows.len() + pair));
        let cosines: Vec<f64> = cosines.collect();
        let found = spearman(&cosines, &rows.gold);
        Ok(Score {
            primary: found.unwrap_or(0.0),
            undefined: found.is_none(),
            ..Score::default()
        })
    }
}

/// The layers on vectors of some length as they begin, and their parameters. Weights have the
/// deviation of PyTorch's linear layers.
fn head(splits: &Splits, width: usize, device: &Device) -> Result<(Vec<Dense>, Parameters)> {
    let FineTune {
        task, mode, hidden, ..
    } = splits.options;
    let names: &[(&str, usize)] = match (task, mode) {
        (Kind::Classification, Mode::Frozen) if hidden => {
            &[("hidden", width), ("classifier", splits.classes)]
        }
        (Kind::Classification, _) => &[("classifier", splits.classes)],
        (Kind::Similarity, Mode::Frozen) => &[("hidden", width), ("output", width)],
        (Kind::Similarity, Mode::Full) => &[],
    };
    let (mut layers, mut parameters) = (Vec::new(), Parameters::default());
    for &(name, dimension) in names {
        let name = format!("fine_tune.{name}");
        let deviation = (3.0 * width as f64).sqrt().recip();
        let seed = splits.options.seed;
        for (ending, shape) in [
            ("weight", vec![dimension, width]),
            ("bias", vec![dimension]),
        ] {
            let name = format!("{name}.{ending}");
            let parameter = start::parameter(&name, &shape, deviation, seed, device)?;
            parameters.insert(parameter);
        }
        let projection = Projection {
            dimension,
            bias: true,
            tanh: false,
        };
        layers.push(Dense::new(&name, width, &projection, &parameters)?);
    }
    Ok((layers, parameters))
}

fn schedule(options: &FineTune, steps: usize) -> Schedule {
    let schedule = ScheduleOptions {
        warmup_ratio: Some(options.warmup_ratio),
        steps: Some(steps as u64),
        ..ScheduleOptions::default()
    };
    schedule.resolve(steps as u64, 1)
}

/// The vectors of all texts, all of them numbers. `[texts, D]`
fn finite(encoder: &Encoder, tokens: &[Vec<u32>]) -> Result<Vec<f32>> {
    let vectors = encode(encoder, tokens)?;
    match not_finite(&vectors, encoder.dimension()) {
        None => Ok(vectors),
        Some(row) => Err(Error::Usage(format!(
            "the vector of text {row} of a split is not of finite numbers; nothing can be trained on it"
        ))),
    }
}

/// Mean cross-entropy of rows of logits to classes, and its gradient.
fn cross_entropy(logits: &[f64], gold: &[f64]) -> (f64, Vec<f64>) {
    let share = 1.0 / gold.len() as f64;
    let (mut loss, mut gradient) = (0.0, Vec::with_capacity(logits.len()));
    let rows = logits.chunks_exact(logits.len() / gold.len());
    for (row, &class) in rows.zip(gold) {
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = row.iter().map(|logit| (logit - top).exp()).sum();
        loss += (total.ln() + top - row[class as usize]) * share;
        gradient.extend(row.iter().enumerate().map(|(number, logit)| {
            let target = f64::from(u8::from(number == class as usize));
            ((logit - top).exp() / total - target) * share
        }));
    }
    (loss, gradient)
}

/// The class with the largest logit, the first of equal ones.
fn largest(logits: &[f32]) -> usize {
    let all = 0..logits.len();
    let best = all.reduce(|best, other| match logits[other] > logits[best] {
        true => other,
        false => best,
    });
    best.expect("there are two classes or more")
}

#[cfg(test)]
mod tests {
    use super::{cross_entropy, largest};

    #[test]
    fn the_first_of_equal_logits_counts() {
        assert_eq!(largest(&[0.5, 2.0, 2.0]), 1);
    }

    #[test]
    fn the_gradient_is_that_of_the_value() {
        let logits = [0.3, -1.0, 2.0, 0.0, 0.5, -0.25];
        let gold = [2.0, 0.0];
        let (value, gradient) = cross_entropy(&logits, &gold);
        for (place, gradient) in gradient.iter().enumerate() {
            let mut moved = logits;
            moved[place] += 1e-6;
            let slope = (cross_entropy(&moved, &gold).0 - value) / 1e-6;
            assert!((slope - gradient).abs() < 1e-5, "{place}");
        }
    }
}
