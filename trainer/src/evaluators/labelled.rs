//! Files of texts with labels, and how they fall into halves to learn from and to be asked about.

use std::collections::BTreeSet;
use std::path::Path;

use juzi_schemas::fingerprint::Fingerprint;
use juzi_schemas::random::Draws;
use serde::Serialize;
use serde_json::Value;

use super::Make;
use super::lines::{Column, Lines};
use crate::Result;

/// Keeps the draws of folds apart from others of the same seed.
const STREAM: u64 = 0x666f_6c64;

/// A row of a labelled file.
#[derive(Clone, Debug)]
pub struct Row {
    /// Number of its line, from 1.
    pub line: usize,
    /// Its label.
    pub label: String,
    /// Its text.
    pub text: String,
}

/// Texts with labels.
#[derive(Clone, Debug, Default)]
pub struct Labelled {
    /// The texts.
    pub texts: Vec<String>,
    /// Number of the line of each text in its file, from 1.
    pub lines: Vec<usize>,
    /// Number of the label of each text.
    pub labels: Vec<usize>,
    /// The labels, sorted.
    pub names: Vec<String>,
    /// How many texts the first file had.
    pub first: usize,
}

/// Rows to learn from and rows to be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// To learn from.
    pub train: Vec<usize>,
    /// To be asked about.
    pub test: Vec<usize>,
}

impl Labelled {
    /// Reads one file after another.
    ///
    /// # Errors
    /// As [`rows`].
    pub fn read(files: &[&str], columns: Option<&[Column; 2]>) -> Result<Labelled> {
        let (mut read, mut labels) = (Labelled::default(), Vec::new());
        for (number, file) in files.iter().enumerate() {
            for row in rows(Path::new(file), columns)? {
                labels.push(row.label);
                read.texts.push(row.text);
                read.lines.push(row.line);
            }
            if number == 0 {
                read.first = read.texts.len();
            }
        }
        let names: BTreeSet<&String> = labels.iter().collect();
        read.names = names.into_iter().cloned().collect();
        let number = |label| read.names.binary_search(label);
        let numbers = labels.iter().map(number);
        read.labels = numbers
            .collect::<std::result::Result<_, _>>()
            .expect("all labels are among the names");
        Ok(read)
    }

    /// All texts, in the order of the rows.
    pub fn all(&self) -> Vec<&str> {
        self.texts.iter().map(String::as_str).collect()
    }

    /// Labels of some rows.
    pub fn labels_of(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&row| self.labels[row]).collect()
    }

    /// The two files as halves, or the folds of a single one.
    pub fn splits(&self, folds: usize, seed: u64) -> Vec<Split> {
        let rows = self.texts.len();
        match self.first < rows {
            true => vec![Split {
                train: (0..self.first).collect(),
                test: (self.first..rows).collect(),
            }],
            false => stratified(&self.labels, folds, seed),
        }
    }

    /// Texts that nothing may be learned from: those of the second file, or all.
    pub fn asked(&self) -> Vec<&str> {
        let start = self.first % self.texts.len().max(1);
        self.texts[start..].iter().map(String::as_str).collect()
    }

    /// Texts whose words may be counted: those of the first file.
    pub fn learned(&self) -> Vec<&str> {
        self.texts[..self.first]
            .iter()
            .map(String::as_str)
            .collect()
    }

    /// Hash of options, their files left out, and of what the files gave.
    pub fn fingerprint<T: Make + Clone + Serialize>(&self, options: &T) -> Fingerprint {
        let labels: Vec<&str> = self
            .labels
            .iter()
            .map(|&label| &*self.names[label])
            .collect();
        fingerprint(options, &(&self.texts, labels, self.first))
    }

    /// What to know about labels that are few or missing.
    pub fn warnings(&self, splits: &[Split]) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.names.len() == 1 {
            warnings.push(format!("all texts have the label `{}`", self.names[0]));
        }
        let mut unknown = vec![0usize; self.names.len()];
        for split in splits {
            let mut known = vec![false; self.names.len()];
            split
                .train
                .iter()
                .for_each(|&row| known[self.labels[row]] = true);
            let labels = split.test.iter().map(|&row| self.labels[row]);
            labels
                .filter(|&label| !known[label])
                .for_each(|label| unknown[label] += 1);
        }
        for (name, &texts) in self.names.iter().zip(&unknown) {
            if texts > 0 {
                warnings.push(format!(
                    "{texts} texts have the label `{name}`, which the texts to learn from lack: \
                     they count as wrong"
                ));
            }
        }
        warnings
    }
}

/// Hash of options, their files left out, and of what the files gave.
pub fn fingerprint<T: Make + Clone + Serialize>(
    options: &T,
    given: &impl Serialize,
) -> Fingerprint {
    let mut options = options.clone();
    options.files().into_iter().for_each(String::clear);
    Fingerprint::of_json(&(options, given))
}

/// Folds with as many of each label as can be: the members of a label, in an order of the seed, are
/// dealt to the folds in turn, and each label goes on where the one before it stopped.
pub fn stratified(labels: &[usize], folds: usize, seed: u64) -> Vec<Split> {
    let mut order: Vec<(usize, u64, usize)> = labels
        .iter()
        .enumerate()
        .map(|(row, &label)| {
            let place = Draws::new(seed, STREAM, 0, row as u128, 0).next_u64();
            (label, place, row)
        })
        .collect();
    order.sort_unstable();
    let mut fold_of = vec![0; labels.len()];
    for (at, &(_, _, row)) in order.iter().enumerate() {
        fold_of[row] = at % folds;
    }
    let split = |fold: usize| {
        let (test, train) = (0..labels.len()).partition(|&row| fold_of[row] == fold);
        Split { train, test }
    };
    let splits = (0..folds).map(split);
    splits.filter(|split| !split.test.is_empty()).collect()
}

/// Labels and texts of a file: columns with tabs between, or `.jsonl` with `text` and `label`.
///
/// # Errors
/// It cannot be read, has no row, or one without a label or a text.
pub fn rows(path: &Path, columns: Option<&[Column; 2]>) -> Result<Vec<Row>> {
    let lines = Lines::read(path)?;
    let found = match lines.has_objects() {
        true => objects(&lines)?,
        false => {
            let rows = lines.table(columns, ["label", "text"])?.into_iter();
            rows.map(|(line, [label, text])| (line, label.into(), text.into()))
                .collect()
        }
    };
    let row = |(line, label, text): (usize, String, String)| {
        Ok(Row {
            label: lines.text(line, "the label", label.trim())?,
            text: lines.text(line, "the text", &text)?,
            line,
        })
    };
    found.into_iter().map(row).collect()
}

/// Line, label and text of objects, one a line.
fn objects(lines: &Lines) -> Result<Vec<(usize, String, String)>> {
    #[derive(serde::Deserialize)]
    struct Object {
        text: String,
        label: Value,
    }
    let wanted = "an object with a text and a label, which is a word, a number, true or false";
    let row = |(line, object): (usize, Object)| {
        let label = match object.label {
            Value::String(label) => label,
            label @ (Value::Number(_) | Value::Bool(_)) => label.to_string(),
            other => {
                let message = format!("the label is {other}; wanted: {wanted}");
                return Err(lines.wrong(line, message));
            }
        };
        Ok((line, label, object.text))
    };
    lines.objects(wanted)?.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests;
