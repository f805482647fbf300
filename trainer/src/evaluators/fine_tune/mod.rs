//! LUSE's fine-tuning protocol: what the vectors, or the model itself, are worth as the start of a
//! classifier or of a siamese model of pairs.
//!
//! **Reference.** DunZhang/LUSE, `eval/`. Classes: the pooled vector, where the model is frozen a
//! linear layer and ReLU, a linear layer, cross-entropy; accuracy and macro F1. Pairs: the cosine of
//! their vectors as the probability `(1 + cos) / 2` of being alike, binary cross-entropy, where the
//! model is frozen a linear layer, ReLU and a linear layer before it; Spearman's correlation.
//!
//! **Not as LUSE does it.** All rows of a split are scored, where LUSE leaves out those of its last
//! batch if that is not full. One split (`dev`) chooses the step and another one (`test`) is reported,
//! scored once, where LUSE reports the best of all scores on the split it chooses by.

mod rows;
mod trial;

use std::path::Path;

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use super::lines::{Column, check_columns};
use super::{Better, Embedder, Evaluator, Make, Role, Scores};
use crate::{Error, Result};
use rows::Rows;
use trial::{Outcome, Score, Trial};

/// Options of the evaluator `fine_tune`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FineTune {
    /// What is learned: classification or similarity.
    pub task: Kind,
    /// What moves: frozen (layers on the vectors alone) or full (the model too).
    pub mode: Mode,
    /// Rows to learn from. Of classification a label and a text a line, with a tab between, or
    /// `.jsonl` with `text` and `label`; of similarity two texts and a score from 0 to 1, with tabs.
    pub train: String,
    /// Rows that choose the step; without it a part of `train`, which is not learned from.
    pub dev: String,
    /// Rows that are reported; without it a part of `train`, which is not learned from.
    pub test: String,
    /// The columns of label and text, or of text, text and score: numbers from 1, or names in the
    /// first line [all that there are].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<Column>>,
    /// How large a part of `train` stands in for a file that is not named. It is stratified: labels
    /// and scores have the same shares in it.
    pub dev_share: f64,
    /// Rows of `train` that are learned from at most, after such parts were taken; 0 for all.
    pub rows_max: usize,
    /// The learning rate after the warm-up [5e-5 in full, 5e-4 frozen].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Rows of a step.
    pub batch: usize,
    /// Passes over `train`.
    pub epochs: usize,
    /// The share of all steps over which the learning rate rises.
    pub warmup_ratio: f64,
    /// Tokens of a text at most.
    pub length_max: usize,
    /// The seed of first weights, order, dropout and parts of `train`.
    pub seed: u64,
    /// Steps from one look at `dev` to the next; 0 for a look after each pass. The last step is
    /// always looked at.
    pub eval_steps: usize,
    /// Whether the classifier of a frozen model has a linear layer and ReLU before it.
    pub hidden: bool,
}

/// What is learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Classes of texts.
    #[default]
    Classification,
    /// Which pairs are alike.
    Similarity,
}

/// What moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Layers on the vectors.
    #[default]
    Frozen,
    /// They and the model.
    Full,
}

impl Default for FineTune {
    fn default() -> FineTune {
        FineTune {
            task: Kind::default(),
            mode: Mode::default(),
            train: String::new(),
            dev: String::new(),
            test: String::new(),
            columns: None,
            dev_share: 0.1,
            rows_max: 0,
            learning_rate: None,
            batch: 32,
            epochs: 10,
            warmup_ratio: 0.1,
            length_max: 64,
            seed: 2021,
            eval_steps: 0,
            hidden: true,
        }
    }
}

/// The rows of a fine-tuning.
struct Splits {
    options: FineTune,
    train: Rows,
    dev: Rows,
    test: Rows,
    /// Number of classes.
    classes: usize,
    /// What is to be said of the rows.
    warnings: Vec<String>,
}

impl FineTune {
    /// The learning rate after the warm-up.
    fn learning_rate(&self) -> f64 {
        self.learning_rate.unwrap_or(match self.mode {
            Mode::Full => 5e-5,
            Mode::Frozen => 5e-4,
        })
    }

    /// The columns, as many as the task wants.
    fn chosen<const N: usize>(&self) -> std::result::Result<Option<&[Column; N]>, String> {
        let Some(columns) = &self.columns else {
            return Ok(None);
        };
        match columns.as_slice().try_into() {
            Ok(columns) => Ok(Some(columns)),
            Err(_) => Err(format!(
                "columns: {} are named; {N} are wanted: {}",
                columns.len(),
                match self.task {
                    Kind::Classification => "label, text",
                    Kind::Similarity => "text, text, score",
                }
            )),
        }
    }
}

impl Make for FineTune {
    fn check(&self) -> std::result::Result<(), String> {
        if self.train.is_empty() {
            return Err("train: no file is named".into());
        }
        match self.task {
            Kind::Classification => check_columns(self.chosen::<2>()?)?,
            Kind::Similarity => check_columns(self.chosen::<3>()?)?,
        }
        let rate = self.learning_rate();
        for (key, value, accepted, range) in [
            ("dev_share", self.dev_share, 0.0..0.5, "above 0, below 0.5"),
            ("learning_rate", rate, 0.0..10.0, "above 0, below 10"),
        ] {
            if !accepted.contains(&value) || value == 0.0 {
                return Err(format!("{key} = {value}: {range} is accepted"));
            }
        }
        if !(0.0..=1.0).contains(&self.warmup_ratio) {
            let found = self.warmup_ratio;
            return Err(format!("warmup_ratio = {found}: 0 to 1 is accepted"));
        }
        for (key, value, least) in [
            ("batch", self.batch, 1),
            ("epochs", self.epochs, 1),
            ("length_max", self.length_max, 3),
        ] {
            if !(least..=1_000_000).contains(&value) {
                return Err(format!("{key} = {value}: {least} to 1000000 is accepted"));
            }
        }
        Ok(())
    }

    fn files(&mut self) -> Vec<&mut String> {
        vec![&mut self.train, &mut self.dev, &mut self.test]
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        Ok(Box::new(Splits::open(self)?))
    }
}

impl Splits {
    fn open(options: &FineTune) -> Result<Splits> {
        let path = Path::new(&options.train);
        let (mut train, classes) = rows::read(path, options, None)?;
        let mut split = |file: &str, stream: u64| match file.is_empty() {
            false => Ok(rows::read(Path::new(file), options, Some(&classes))?.0),
            true => train.take(options.dev_share, options.seed, stream, path),
        };
        let dev = split(&options.dev, 0)?;
        let test = split(&options.test, 1)?;
        if options.rows_max > 0 {
            train = train.some(options.rows_max, options.seed);
        }
        let mut splits = Splits {
            options: options.clone(),
            classes: classes.len(),
            warnings: Vec::new(),
            train,
            dev,
            test,
        };
        splits.warn();
        Ok(splits)
    }

    /// Notes what makes scores worth less than they look.
    fn warn(&mut self) {
        let known = [("dev", &self.dev), ("test", &self.test)];
        for (name, rows) in known {
            match self.train.shared(rows) {
                0 => {}
                count => self.warnings.push(format!(
                    "{count} of {} rows of {name} have the text of a row that is learned from",
                    rows.len()
                )),
            }
        }
        for (name, rows) in [("train", &self.train), known[0], known[1]] {
            if rows.constant() {
                self.warnings
                    .push(format!("all rows of {name} have the same gold"));
            }
        }
    }

    fn scores(&self, outcome: &Outcome) -> Scores {
        let mut scores = Scores {
            warnings: self.warnings.clone(),
            ..Scores::default()
        };
        let names: &[&str] = match self.options.task {
            Kind::Classification => &["accuracy", "macro_f1"],
            Kind::Similarity => &["spearman"],
        };
        let of = |score: &Score| [score.primary, score.second];
        for (before, score) in [("", &outcome.test), ("dev_", &outcome.dev)] {
            for (name, value) in names.iter().zip(of(score)) {
                scores.push(format!("{before}{name}"), value, Better::Higher);
            }
        }
        scores.push("step", outcome.step as f64, Better::Neither);
        for (name, score) in [("test", &outcome.test), ("dev", &outcome.dev)] {
            if score.undefined {
                scores.warnings.push(format!(
                    "gold or scores of {name} are constant: 0 stands for no correlation"
                ));
            }
        }
        for (name, rows) in [
            ("train", &self.train),
            ("dev", &self.dev),
            ("test", &self.test),
        ] {
            scores.count(name, rows.len());
        }
        if self.options.task == Kind::Classification {
            scores.count("classes", self.classes);
        }
        scores.count("steps", outcome.steps);
        scores
    }
}

impl Evaluator for Splits {
    fn texts(&self) -> Vec<&str> {
        self.dev.texts().chain(self.test.texts()).collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut options = self.options.clone();
        options.files().into_iter().for_each(String::clear);
        Fingerprint::of_json(&(options, &self.train, &self.dev, &self.test))
    }

    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores> {
        let Some(model) = embedder.model() else {
            return Err(Error::Usage(
                "fine_tune trains a model further, and there is none behind these vectors; take \
                 linear_probe for vectors alone"
                    .into(),
            ));
        };
        let trial = Trial::new(self, model, embedder.prompt(Role::Text))?;
        Ok(self.scores(&trial.run()?))
    }
}

#[cfg(test)]
mod tests;
