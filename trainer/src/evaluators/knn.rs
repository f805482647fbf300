//! Nearest neighbours: the label that most of the texts nearest to a text have.

use juzi_schemas::fingerprint::Fingerprint;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

use super::labelled::{Labelled, Split};
use super::lines::{Column, check_columns};
use super::{Better, Embedder, Evaluator, Make, Role, Scores, Vectors};
use crate::Result;
use crate::metrics::classification::{accuracy, macro_f1};

/// Rows whose products with all others are in memory at once.
const BLOCK: usize = 256;

/// How far a product in f32 of unit vectors may be from the exact one.
const ROUNDING: f32 = 1e-4;

/// Options of the evaluator `knn`: the label of the majority of the k nearest by cosine. Of labels
/// with as many members the one whose member is nearest; of texts at the same distance the one that
/// comes first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Knn {
    /// A file of labels and texts: columns with tabs between, or `.jsonl` with `text` and `label`.
    pub train: String,
    /// The same for the texts whose labels are guessed; "" for folds of `train`.
    pub test: String,
    /// The columns of label and text: numbers from 1, or names in the first line [all that there
    /// are].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<[Column; 2]>,
    /// Neighbours that are asked.
    pub k: usize,
    /// Folds of `train` where there is no `test`.
    pub folds: usize,
    /// Seed of the folds.
    pub seed: u64,
}

impl Default for Knn {
    fn default() -> Knn {
        Knn {
            train: String::new(),
            test: String::new(),
            columns: None,
            k: 5,
            folds: 10,
            seed: 1,
        }
    }
}

impl Make for Knn {
    fn check(&self) -> std::result::Result<(), String> {
        check_columns(self.columns.as_ref())?;
        if self.train.is_empty() {
            return Err("train: no file is named".into());
        }
        match (self.k, self.folds) {
            (0, _) => Err("k = 0: at least 1 is wanted".into()),
            (_, folds @ 0..2) => Err(format!("folds = {folds}: at least 2 are wanted")),
            _ => Ok(()),
        }
    }

    fn files(&mut self) -> Vec<&mut String> {
        vec![&mut self.train, &mut self.test]
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        let files = [self.train.as_str(), self.test.as_str()];
        let files: Vec<&str> = files.into_iter().filter(|file| !file.is_empty()).collect();
        Ok(Box::new(Neighbors {
            texts: Labelled::read(&files, self.columns.as_ref())?,
            options: self.clone(),
        }))
    }
}

struct Neighbors {
    options: Knn,
    texts: Labelled,
}

impl Neighbors {
    /// A label for each row that is asked about.
    fn guesses(&self, vectors: &Vectors, split: &Split) -> Result<Vec<usize>> {
        let known = vectors.select(&split.train);
        let asked = vectors.select(&split.test);
        let labels = self.texts.labels_of(&split.train);
        let mut guesses = Vec::with_capacity(split.test.len());
        for start in (0..split.test.len()).step_by(BLOCK) {
            let rows = start..(start + BLOCK).min(split.test.len());
            let products = asked.products(rows.clone(), &known)?;
            let found: Vec<usize> = rows
                .into_par_iter()
                .map(|row| {
                    let products = &products[(row - start) * labels.len()..][..labels.len()];
                    let near = nearest(products, self.options.k, |other| {
                        asked.dot(row, &known, other)
                    });
                    majority(near.into_iter().map(|row| labels[row]))
                })
                .collect();
            guesses.extend(found);
        }
        Ok(guesses)
    }
}

impl Evaluator for Neighbors {
    fn texts(&self) -> Vec<&str> {
        self.texts.asked()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.texts.fingerprint(&self.options)
    }

    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores> {
        embedder.fit(&self.texts.learned());
        let vectors = embedder.embed(&self.texts.all(), Role::Text)?.unit();
        let splits = self.texts.splits(self.options.folds, self.options.seed);
        let mut scores = Scores {
            warnings: self.texts.warnings(&splits),
            ..Scores::default()
        };
        let (mut gold, mut guesses) = (Vec::new(), Vec::new());
        for split in &splits {
            if split.train.len() < self.options.k {
                scores.warnings.push(format!(
                    "there are {} texts to learn from, fewer than the {} neighbours that are asked",
                    split.train.len(),
                    self.options.k
                ));
            }
            gold.extend(self.texts.labels_of(&split.test));
            guesses.extend(self.guesses(&vectors, split)?);
        }
        scores.push("accuracy", accuracy(&gold, &guesses), Better::Higher);
        scores.push("macro_f1", macro_f1(&gold, &guesses), Better::Higher);
        scores.count("texts", gold.len());
        scores.count("train", splits[0].train.len());
        scores.count("labels", self.texts.names.len());
        Ok(scores)
    }
}

/// The k rows with the largest exact products, the smaller row first of equals; `products` are
/// rounded ones.
fn nearest(products: &[f32], k: usize, exact: impl Fn(usize) -> f64) -> Vec<usize> {
    let k = k.min(products.len());
    if k == 0 {
        return Vec::new();
    }
    let mut sorted = products.to_vec();
    let (_, &mut last, _) = sorted.select_nth_unstable_by(k - 1, |one, other| other.total_cmp(one));
    let rows = (0..products.len()).filter(|&row| products[row] >= last - 2.0 * ROUNDING);
    let mut rows: Vec<(f64, usize)> = rows.map(|row| (exact(row), row)).collect();
    rows.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    rows.truncate(k);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The label that comes most often, the one that comes first of equals; 0 without any.
fn majority(labels: impl Iterator<Item = usize>) -> usize {
    let mut votes: Vec<(usize, usize)> = Vec::new();
    for label in labels {
        match votes.iter_mut().find(|(other, _)| *other == label) {
            Some((_, votes)) => *votes += 1,
            None => votes.push((label, 1)),
        }
    }
    let most = votes.iter().map(|(_, votes)| *votes).max();
    let first = votes.iter().find(|(_, votes)| Some(*votes) == most);
    first.map_or(0, |(label, _)| *label)
}

#[cfg(test)]
mod tests {
    use super::{majority, nearest};

    #[test]
    fn equal_neighbours_in_order_of_rows() {
        let exact = [0.5, 0.9, 0.9 + 1e-9, 0.5, 0.5];
        let rounded = [0.5, 0.9, 0.9 - 1e-7, 0.5, 0.5f32];
        assert_eq!(nearest(&rounded, 1, |row| exact[row]), [2]);
        assert_eq!(nearest(&rounded, 3, |row| exact[row]), [2, 1, 0]);
        assert_eq!(nearest(&rounded, 9, |row| exact[row]), [2, 1, 0, 3, 4]);
        assert!(nearest(&[], 3, |_| 0.0).is_empty());
    }

    #[test]
    fn the_nearest_breaks_a_tie() {
        assert_eq!(majority([3, 1, 1, 3, 2].into_iter()), 3);
        assert_eq!(majority([3, 1, 1].into_iter()), 1);
        assert_eq!(majority([].into_iter()), 0);
    }
}
