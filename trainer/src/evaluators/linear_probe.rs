//! Linear probe: what a logistic regression reads out of frozen vectors.

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use super::features::Features;
use super::labelled::{Labelled, Split, stratified};
use super::lines::{Column, check_columns};
use super::logistic::{Fit, Logistic};
use super::{Better, Embedder, Evaluator, Make, Role, Scores, Vectors};
use crate::Result;
use crate::metrics::classification::{accuracy, macro_f1};

/// Folds by which a weight is chosen inside the texts to learn from.
const CHOOSING: usize = 5;

/// Options of the evaluator `linear_probe`: logistic regression as scikit-learn fits it, on vectors
/// as they come, neither scaled nor centred.
///
/// With a file `test` it learns from `train` and is asked about `test`; without one it is
/// cross-validated on `train`, and the metrics are those of all guesses together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinearProbe {
    /// A file of labels and texts: columns with tabs between, or `.jsonl` with `text` and `label`.
    pub train: String,
    /// The same for the texts that it is asked about; "" for folds of `train`.
    pub test: String,
    /// The columns of label and text: numbers from 1, or names in the first line [all that there
    /// are].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<[Column; 2]>,
    /// Folds of `train`, with as many of each label as can be, where there is no `test`.
    pub folds: usize,
    /// Seed of the folds.
    pub seed: u64,
    /// Weight of the errors against the squares of the weights; of a list the one that is best in a
    /// cross-validation inside the texts to learn from.
    pub c: Weights,
    /// The largest number of the gradient at the end.
    pub tolerance: f64,
    /// Most steps of the regression.
    pub steps_max: usize,
}

/// A value, or several to choose from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Weights {
    /// This one.
    One(f64),
    /// The best of these.
    Several(Vec<f64>),
}

impl Default for LinearProbe {
    fn default() -> LinearProbe {
        LinearProbe {
            train: String::new(),
            test: String::new(),
            columns: None,
            folds: 10,
            seed: 1,
            c: Weights::One(1.0),
            tolerance: 1e-6,
            steps_max: 1000,
        }
    }
}

impl LinearProbe {
    /// The values of c, rising.
    fn weights(&self) -> Vec<f64> {
        let mut weights = match &self.c {
            Weights::One(one) => vec![*one],
            Weights::Several(several) => several.clone(),
        };
        weights.sort_by(f64::total_cmp);
        weights
    }

    fn fit(&self, c: f64) -> Fit {
        Fit {
            c,
            tolerance: self.tolerance,
            steps_max: self.steps_max,
        }
    }
}

impl Make for LinearProbe {
    fn check(&self) -> std::result::Result<(), String> {
        check_columns(self.columns.as_ref())?;
        if self.train.is_empty() {
            return Err("train: no file is named".into());
        }
        if self.folds < 2 {
            return Err(format!("folds = {}: at least 2 are wanted", self.folds));
        }
        let weights = self.weights();
        if weights.is_empty() || !weights.iter().all(|&c| c > 0.0 && c.is_finite()) {
            return Err(format!("c = {weights:?}: numbers above 0 are wanted"));
        }
        if self.tolerance.is_nan() || self.tolerance <= 0.0 {
            return Err(format!(
                "tolerance = {}: it must be above 0",
                self.tolerance
            ));
        }
        match self.steps_max {
            0 => Err("steps_max = 0: at least 1 is wanted".into()),
            _ => Ok(()),
        }
    }

    fn files(&mut self) -> Vec<&mut String> {
        vec![&mut self.train, &mut self.test]
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        let files = [self.train.as_str(), self.test.as_str()];
        let files: Vec<&str> = files.into_iter().filter(|file| !file.is_empty()).collect();
        Ok(Box::new(Probe {
            texts: Labelled::read(&files, self.columns.as_ref())?,
            options: self.clone(),
        }))
    }
}

struct Probe {
    options: LinearProbe,
    texts: Labelled,
}

impl Probe {
    /// The best weight for some rows, by how many guesses about folds of them are right; the
    /// smallest of equals.
    fn choose(&self, vectors: &Vectors, rows: &[usize]) -> f64 {
        let weights = self.options.weights();
        let [_, _, ..] = weights[..] else {
            return weights[0];
        };
        let labels = self.texts.labels_of(rows);
        let mut right = vec![0; weights.len()];
        for split in stratified(&labels, CHOOSING, self.options.seed) {
            let pick = |rows_of: &[usize]| rows_of.iter().map(|&at| rows[at]).collect::<Vec<_>>();
            let (train, test) = (pick(&split.train), pick(&split.test));
            let (known, gold) = (self.texts.labels_of(&train), self.texts.labels_of(&test));
            let train = Features::new(&vectors.select(&train));
            let test = Features::new(&vectors.select(&test));
            let mut last: Option<Logistic> = None;
            for (right, &c) in right.iter_mut().zip(&weights) {
                let model = Logistic::fit(&train, &known, self.options.fit(c), last.as_ref());
                let guesses = model.predict(&test);
                *right += guesses.iter().zip(&gold).filter(|(a, b)| a == b).count();
                last = Some(model);
            }
        }
        let better = |best: usize, at: usize| if right[at] > right[best] { at } else { best };
        weights[(1..weights.len()).fold(0, better)]
    }

    fn learn(&self, vectors: &Vectors, split: &Split) -> (Logistic, f64) {
        let c = self.choose(vectors, &split.train);
        let features = Features::new(&vectors.select(&split.train));
        let labels = self.texts.labels_of(&split.train);
        (
            Logistic::fit(&features, &labels, self.options.fit(c), None),
            c,
        )
    }
}

impl Evaluator for Probe {
    fn texts(&self) -> Vec<&str> {
        self.texts.asked()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.texts.fingerprint(&self.options)
    }

    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores> {
        embedder.fit(&self.texts.learned());
        let vectors = embedder.embed(&self.texts.all(), Role::Text)?;
        let splits = self.texts.splits(self.options.folds, self.options.seed);
        let mut scores = Scores {
            warnings: self.texts.warnings(&splits),
            ..Scores::default()
        };
        let (mut gold, mut guesses) = (Vec::new(), Vec::new());
        let (mut each, mut weights, mut unfinished) = (Vec::new(), Vec::new(), 0);
        for split in &splits {
            let (model, c) = self.learn(&vectors, split);
            unfinished += usize::from(model.gradient_max > self.options.tolerance);
            let found = model.predict(&Features::new(&vectors.select(&split.test)));
            let wanted = self.texts.labels_of(&split.test);
            each.push(accuracy(&wanted, &found));
            weights.push(c);
            guesses.extend(found);
            gold.extend(wanted);
        }
        if unfinished > 0 {
            scores.warnings.push(format!(
                "{unfinished} of {} regressions ended before their gradient was below {}",
                splits.len(),
                self.options.tolerance
            ));
        }
        scores.push("accuracy", accuracy(&gold, &guesses), Better::Higher);
        scores.push("macro_f1", macro_f1(&gold, &guesses), Better::Higher);
        if splits.len() > 1 {
            scores.push("accuracy_std", deviation(&each), Better::Neither);
        }
        if self.options.weights().len() > 1 {
            weights.sort_by(f64::total_cmp);
            scores.push("c", weights[(weights.len() - 1) / 2], Better::Neither);
        }
        scores.count("texts", gold.len());
        scores.count("train", splits[0].train.len());
        scores.count("labels", self.texts.names.len());
        Ok(scores)
    }
}

/// The standard deviation of values around their mean, of one value 0; it divides by one less than
/// there are.
pub(super) fn deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (count - 1.0).max(1.0)).sqrt()
}

#[cfg(test)]
mod tests;
