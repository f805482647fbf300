//! Geometry: how near the two texts of a pair are, how evenly texts spread over the sphere, and how
//! many directions of the space they use.

use juzi_schemas::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};

use super::features::Features;
use super::labelled::fingerprint;
use super::lines::{Column, Lines, check_columns};
use super::{Better, Embedder, Evaluator, Make, Role, Scores, Vectors};
use crate::metrics::eigen;
use crate::metrics::geometry::{Spectrum, alignment, closeness, spectrum, uniformity};
use crate::{Error, Result};

/// Rows that are compared with all others at once.
const BLOCK: usize = 64;

/// Largest matrix whose eigenvalues are computed.
const SIDE_MAX: usize = 1024;

/// Options of the evaluator `geometry`: unit vectors of pairs and of texts.
///
/// Pairs give alignment. The texts, or both sides of all pairs, give uniformity, the mean cosine of
/// two of them, and the spectrum of their singular values: as they are and without their mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Geometry {
    /// A file of pairs: text, text and perhaps a score a line, tabs between; "" for none.
    pub pairs: String,
    /// The columns of their texts and score: numbers from 1, or names in the first line [the first
    /// ones].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<[Column; 3]>,
    /// Only pairs whose score is above this are aligned; without it all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// A file of texts, with tabs between columns; "" for those of the pairs.
    pub texts: String,
    /// The column of the text: its number from 1, or its name in the first line.
    pub column: Column,
    /// Most texts: the first ones. The work of uniformity grows with their square.
    pub texts_max: usize,
}

impl Default for Geometry {
    fn default() -> Geometry {
        Geometry {
            pairs: String::new(),
            columns: None,
            above: None,
            texts: String::new(),
            column: Column::Number(1),
            texts_max: 10_000,
        }
    }
}

impl Make for Geometry {
    fn check(&self) -> std::result::Result<(), String> {
        if self.pairs.is_empty() && self.texts.is_empty() {
            return Err("pairs, texts: no file is named; at least one is wanted".into());
        }
        if self.above.is_some_and(|above| !above.is_finite()) {
            return Err("above: a finite number is wanted".into());
        }
        if self.column == Column::Number(0) {
            return Err("column = 0: the first column is 1".into());
        }
        check_columns(self.columns.as_ref())?;
        match self.texts_max {
            few @ 0..2 => Err(format!("texts_max = {few}: at least 2 are wanted")),
            _ => Ok(()),
        }
    }

    fn files(&mut self) -> Vec<&mut String> {
        vec![&mut self.pairs, &mut self.texts]
    }

    fn open(&self) -> Result<Box<dyn Evaluator>> {
        let mut space = Space {
            options: self.clone(),
            one: Vec::new(),
            other: Vec::new(),
            texts: Vec::new(),
        };
        let mut all = Vec::new();
        if !self.pairs.is_empty() {
            let lines = Lines::read(&self.pairs)?;
            for (line, [one, other], score) in self.rows(&lines)? {
                let one = lines.text(line, "the first text", one)?;
                let other = lines.text(line, "the second text", other)?;
                if self.above.is_none_or(|above| score > above) {
                    space.one.push(one.clone());
                    space.other.push(other.clone());
                }
                all.extend([one, other]);
            }
        }
        if !self.texts.is_empty() {
            let lines = Lines::read(&self.texts)?;
            let rows = lines.table(Some(std::array::from_ref(&self.column)), ["text"])?;
            let texts = rows.into_iter();
            let texts = texts.map(|(line, [text])| lines.text(line, "the text", text));
            all = texts.collect::<Result<_>>()?;
        }
        if all.len() < 2 {
            return Err(Error::Usage(format!("{}: one text is too few", self.texts)));
        }
        all.truncate(self.texts_max);
        space.texts = all;
        Ok(Box::new(space))
    }
}

impl Geometry {
    /// Line, texts and score of all pairs; 0 where no score is asked for.
    fn rows<'a>(&self, lines: &'a Lines) -> Result<Vec<(usize, [&'a str; 2], f64)>> {
        // More columns than are wanted may stand there.
        let first = [1, 2, 3].map(Column::Number);
        let [one, other, score] = self.columns.as_ref().unwrap_or(&first);
        if self.above.is_none() {
            let rows = lines.table(Some(&[one.clone(), other.clone()]), ["text", "text"])?;
            let rows = rows.into_iter();
            return Ok(rows.map(|(line, texts)| (line, texts, 0.0)).collect());
        }
        let columns = [one.clone(), other.clone(), score.clone()];
        let rows = lines.table(Some(&columns), ["text", "text", "score"])?;
        let row = |(line, [one, other, score]): (usize, [&'a str; 3])| {
            Ok((line, [one, other], lines.number(line, "the score", score)?))
        };
        rows.into_iter().map(row).collect()
    }
}

struct Space {
    options: Geometry,
    one: Vec<String>,
    other: Vec<String>,
    texts: Vec<String>,
}

impl Evaluator for Space {
    fn texts(&self) -> Vec<&str> {
        let all = self.one.iter().chain(&self.other).chain(&self.texts);
        all.map(String::as_str).collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.options, &(&self.one, &self.other, &self.texts))
    }

    fn evaluate(&self, embedder: &mut dyn Embedder) -> Result<Scores> {
        let texts = Evaluator::texts(self);
        embedder.fit(&texts);
        let vectors = embedder.embed(&texts, Role::Text)?.unit();
        let pairs = self.one.len();
        let mut scores = Scores::default();
        if !self.options.pairs.is_empty() {
            let squares = (0..pairs).map(|pair| distance(&vectors, pair, pairs + pair));
            let found = alignment(squares);
            if found.is_none() {
                let message = "no pair has a score above `above`: 0 stands for no alignment";
                scores.warnings.push(message.into());
            }
            scores.push("alignment", found.unwrap_or(0.0), Better::Lower);
            scores.count("pairs", pairs);
        }
        let rows: Vec<usize> = (2 * pairs..texts.len()).collect();
        let features = Features::new(&vectors.select(&rows));
        let sum = closeness_sum(&features);
        let even = uniformity(sum, features.rows).expect("there are two texts");
        scores.push("uniformity", even, Better::Lower);
        scores.push("mean_cosine", mean_cosine(&features), Better::Neither);
        let (plain, centered) = spectra(&features);
        for (name, found) in [("", plain), ("centered_", centered)] {
            scores.push(format!("{name}first_share"), found.first, Better::Neither);
            scores.push(format!("{name}tenth_share"), found.tenth, Better::Neither);
            scores.push(
                format!("{name}effective_rank"),
                found.effective_rank,
                Better::Neither,
            );
        }
        let zeros = features
            .squares()
            .iter()
            .filter(|&&square| square == 0.0)
            .count();
        if zeros > 0 {
            scores
                .warnings
                .push(format!("{zeros} texts have a vector of zeros"));
        }
        scores.count("texts", features.rows);
        scores.count("directions", features.dimension);
        Ok(scores)
    }
}

/// The squared distance of two rows.
fn distance(vectors: &Vectors, one: usize, other: usize) -> f64 {
    let square = |row| vectors.dot(row, vectors, row);
    (square(one) + square(other) - 2.0 * vectors.dot(one, vectors, other)).max(0.0)
}

/// The closeness of all pairs of different rows, exact in f64 and block by block.
fn closeness_sum(features: &Features) -> f64 {
    let squares = features.squares();
    let mut sum = 0.0;
    for start in (0..features.rows).step_by(BLOCK) {
        let block: Vec<usize> = (start..(start + BLOCK).min(features.rows)).collect();
        let products = features.product(&columns(features, &block), block.len());
        for (one, products) in products.chunks_exact(block.len()).enumerate() {
            for (&other, product) in block.iter().zip(products) {
                if one > other {
                    let square = squares[one] + squares[other] - 2.0 * product;
                    sum += closeness(square.max(0.0));
                }
            }
        }
    }
    sum
}

/// Some rows as columns. `[dimension, rows]`
fn columns(features: &Features, rows: &[usize]) -> Vec<f64> {
    let mut out = vec![0.0; features.dimension * rows.len()];
    for (at, &row) in rows.iter().enumerate() {
        let column = out.iter_mut().skip(at).step_by(rows.len());
        column
            .zip(features.row(row))
            .for_each(|(to, value)| *to = value);
    }
    out
}

/// The mean product of two different unit vectors.
fn mean_cosine(features: &Features) -> f64 {
    let rows = features.rows as f64;
    let sum: f64 = features.sum().iter().map(|part| part * part).sum();
    (sum - features.squares().iter().sum::<f64>()) / (rows * (rows - 1.0))
}

/// Spectra of vectors as they are and without their mean: of all where they have few numbers, of the
/// first [`SIDE_MAX`] otherwise.
fn spectra(features: &Features) -> (Spectrum, Spectrum) {
    let (rows, dimension) = (features.rows, features.dimension);
    let of = |matrix: &[f64], side: usize| {
        let (values, _) = eigen::symmetric(matrix, side);
        spectrum(&values, dimension.min(rows).min(SIDE_MAX))
    };
    if dimension <= SIDE_MAX {
        let mut moments = features.moments();
        let plain = of(&moments, dimension);
        let sum = features.sum();
        for (row, part) in moments.chunks_exact_mut(dimension).zip(&sum) {
            eigen::add(row, -part / rows as f64, &sum);
        }
        return (plain, of(&moments, dimension));
    }
    // The products of few rows have the same values as those of many columns.
    let some: Vec<usize> = (0..rows.min(SIDE_MAX)).collect();
    let side = some.len();
    let mut products = vec![0.0; side * side];
    for block in some.chunks(BLOCK) {
        let part = features.product(&columns(features, block), block.len());
        let rows = products
            .chunks_exact_mut(side)
            .zip(part.chunks_exact(block.len()));
        rows.for_each(|(row, part)| row[block[0]..][..block.len()].copy_from_slice(part));
    }
    let plain = of(&products, side);
    let rows_of = products.chunks_exact(side);
    let means: Vec<f64> = rows_of
        .map(|row| row.iter().sum::<f64>() / side as f64)
        .collect();
    let mean = means.iter().sum::<f64>() / side as f64;
    for (row, one) in products.chunks_exact_mut(side).zip(&means) {
        let pairs = row.iter_mut().zip(&means);
        pairs.for_each(|(product, other)| *product += mean - one - other);
    }
    (plain, of(&products, side))
}

#[cfg(test)]
mod tests;
