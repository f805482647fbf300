//! The rows of a fine-tuning: files of labelled texts or scored pairs, and parts of them.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use juzi_schemas::random::Draws;
use serde::Serialize;

use super::{FineTune, Kind};
use crate::evaluators::labelled;
use crate::evaluators::lines::{Column, Lines, wrong};
use crate::{Error, Result};

/// Keeps these draws apart from those of others with the same seed.
const STREAM: u64 = 0x726f_7773;

/// Labels that an error names at most.
const NAMED: usize = 8;

/// Texts or pairs with their gold.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rows {
    /// The text of each row, or the first one of its pair.
    pub one: Vec<String>,
    /// The second text of each pair; empty where rows are single texts.
    pub other: Vec<String>,
    /// Number of the class, or score of the pair.
    pub gold: Vec<f64>,
}

/// Reads a file, and the classes in the order of their names; those of a file read before are the
/// only ones accepted.
///
/// # Errors
/// The file, the line and what is wanted there.
pub fn read(
    path: &Path,
    options: &FineTune,
    known: Option<&[String]>,
) -> Result<(Rows, Vec<String>)> {
    match options.task {
        Kind::Classification => {
            let columns = options.chosen().map_err(Error::Usage)?;
            classes(path, labelled::rows(path, columns)?, known)
        }
        Kind::Similarity => {
            let columns = options.chosen().map_err(Error::Usage)?;
            Ok((pairs(&Lines::read(path)?, columns)?, Vec::new()))
        }
    }
}

fn classes(
    path: &Path,
    found: Vec<labelled::Row>,
    known: Option<&[String]>,
) -> Result<(Rows, Vec<String>)> {
    let classes = match known {
        Some(known) => known.to_vec(),
        None => {
            let different: BTreeSet<&String> = found.iter().map(|row| &row.label).collect();
            different.into_iter().cloned().collect()
        }
    };
    if classes.len() < 2 {
        let (path, label) = (path.display(), &found[0].label);
        return Err(Error::Usage(format!(
            "{path}: `{label}` is the only label; two or more are wanted"
        )));
    }
    let mut rows = Rows::default();
    for row in found {
        let class = classes.binary_search(&row.label).map_err(|_| {
            let more = if classes.len() > NAMED { ", …" } else { "" };
            let named = classes[..classes.len().min(NAMED)].join(", ");
            let label = &row.label;
            let message = format!("no row of train has the label `{label}`; it has {named}{more}");
            wrong(path, row.line, message)
        })?;
        rows.gold.push(class as f64);
        rows.one.push(row.text);
    }
    Ok((rows, classes))
}

fn pairs(lines: &Lines, columns: Option<&[Column; 3]>) -> Result<Rows> {
    let mut rows = Rows::default();
    for (line, [one, other, score]) in lines.table(columns, ["text", "text", "score"])? {
        let value = lines.number(line, "the score", score)?;
        if !(0.0..=1.0).contains(&value) {
            let message = format!("the score is `{score}`; 0 to 1 is wanted");
            return Err(lines.wrong(line, message));
        }
        rows.one.push(lines.text(line, "the first text", one)?);
        rows.other.push(lines.text(line, "the second text", other)?);
        rows.gold.push(value);
    }
    Ok(rows)
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.gold.len()
    }

    /// All texts: those of all rows, then the second ones of all pairs.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.one.iter().chain(&self.other).map(String::as_str)
    }

    /// Whether gold is the same everywhere.
    pub fn constant(&self) -> bool {
        self.gold.windows(2).all(|two| two[0] == two[1])
    }

    /// How many rows of others have the texts of a row of these.
    pub fn shared(&self, others: &Rows) -> usize {
        let own: HashSet<_> = (0..self.len()).map(|row| self.row(row)).collect();
        let others = (0..others.len()).map(|row| others.row(row));
        others.filter(|row| own.contains(row)).count()
    }

    /// Takes a share of the rows out, of each gold value the same share; `stream` keeps several such
    /// parts apart.
    ///
    /// # Errors
    /// There are too few rows; `path` is where they are from.
    pub fn take(&mut self, share: f64, seed: u64, stream: u64, path: &Path) -> Result<Rows> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        let key = |row: usize| (draw(seed, stream, row), row);
        order.sort_by(|&one, &other| {
            let gold = self.gold[one].total_cmp(&self.gold[other]);
            gold.then_with(|| key(one).cmp(&key(other)))
        });
        // Rows of one gold value stand together, and every so many-th row is taken.
        let passed = |place: usize| (place as f64 * share).floor();
        let taken: HashSet<usize> = order
            .iter()
            .enumerate()
            .filter(|(place, _)| passed(place + 1) > passed(*place))
            .map(|(_, &row)| row)
            .collect();
        if taken.is_empty() {
            return Err(Error::Usage(format!(
                "{}: {} rows left; with dev_share = {share} none would stand in for a file that is \
                 not named",
                path.display(),
                self.len()
            )));
        }
        let part = |inside: bool| -> Vec<usize> {
            let all = 0..self.len();
            all.filter(|row| taken.contains(row) == inside).collect()
        };
        let (held, rest) = (self.select(&part(true)), self.select(&part(false)));
        *self = rest;
        Ok(held)
    }

    /// So many of the rows at most, in their order.
    pub fn some(&self, rows_max: usize, seed: u64) -> Rows {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&row| (draw(seed, 2, row), row));
        order.truncate(rows_max);
        order.sort_unstable();
        self.select(&order)
    }

    fn row(&self, row: usize) -> (&str, Option<&str>) {
        (&self.one[row], self.other.get(row).map(String::as_str))
    }

    fn select(&self, rows: &[usize]) -> Rows {
        let pick = |texts: &[String]| -> Vec<String> {
            let picked = rows.iter().filter_map(|&row| texts.get(row));
            picked.cloned().collect()
        };
        Rows {
            one: pick(&self.one),
            other: pick(&self.other),
            gold: rows.iter().map(|&row| self.gold[row]).collect(),
        }
    }
}

fn draw(seed: u64, stream: u64, row: usize) -> u64 {
    Draws::new(seed, STREAM, stream, row as u128, 0).next_u64()
}
