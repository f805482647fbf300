//! Anchors and documents of a batch: their vectors, and which document is a positive of which
//! anchor, which one is no negative of it, and which ones are its own negatives.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::Tensor;

use super::matrix::Masks;
use super::{Embedded, Inputs, Offer};
use crate::{Error, Result};

/// The anchors and documents of a batch. Documents are numbered as the batch does it: positives
/// from 0 to B - 1, then negatives.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// `[B, D]`
    pub anchors: Tensor,
    /// Documents 0 to B - 1. `[B, D]`
    pub positives: Tensor,
    /// Documents from B on. `[N, D]`; none where there is no negative
    pub negatives: Option<Tensor>,
    links: Links,
}

/// Which documents belong to which anchor.
#[derive(Clone, Debug, Default)]
struct Links {
    positives: Vec<Vec<u32>>,
    ignored: Vec<Vec<u32>>,
    /// Documents that are an anchor's own negatives.
    own: Vec<Range<u32>>,
}

/// Refuses an offer that holds no anchors and positives.
///
/// # Errors
/// What the loss wants and what there is.
pub fn check(name: &str, offer: &Offer) -> std::result::Result<(), String> {
    let one = |column| offer.views(column) == Some(1);
    let texts = offer.views("text") == Some(2);
    let negatives = one("negatives") || offer.views("negatives").is_none();
    let fits = texts || (one("anchor") && one("positive") && negatives);
    let wanted =
        "`text` with 2 view blocks, or `anchor` and `positive` (and `negatives`) with 1 each";
    offer.wants(fits, name, wanted)
}

impl Pairs {
    /// What a batch that passed [`check`] holds.
    ///
    /// # Errors
    /// Columns and lists of the batch do not fit each other.
    pub fn of(inputs: &Inputs<'_>) -> Result<Pairs> {
        Pairs::with_documents(inputs, inputs.columns)
    }

    /// Likewise, with the anchors of the inputs and the documents of other columns, such as keys.
    ///
    /// # Errors
    /// As [`Pairs::of`].
    pub fn with_documents(inputs: &Inputs<'_>, others: &[Embedded]) -> Result<Pairs> {
        let (anchors, positives) = match find(inputs.columns, "text") {
            Some(text) => (text.block(0)?, column(others, "text")?.last()?),
            None => (
                column(inputs.columns, "anchor")?.last()?,
                column(others, "positive")?.last()?,
            ),
        };
        let negatives = find(others, "negatives").filter(|column| column.texts > 0);
        let count = negatives.map_or(0, |negatives| negatives.texts);
        let links = Links::of(inputs, anchors.dim(0)?, count)?;
        if positives.dim(0)? != anchors.dim(0)? {
            let (anchors, positives) = (anchors.dim(0)?, positives.dim(0)?);
            let message = format!("{anchors} anchors and {positives} positives in a batch");
            return Err(Error::Defect(message));
        }
        let negatives = negatives.map(Embedded::last).transpose()?;
        Ok(Pairs {
            anchors,
            positives,
            negatives,
            links,
        })
    }

    /// Number of anchors.
    pub fn rows(&self) -> usize {
        self.links.positives.len()
    }

    /// All documents. `[B + N, D]`
    ///
    /// # Errors
    /// The device has no memory left.
    pub fn documents(&self) -> Result<Tensor> {
        Ok(match &self.negatives {
            Some(negatives) => Tensor::cat(&[&self.positives, negatives], 0)?,
            None => self.positives.clone(),
        })
    }

    /// The negatives of an anchor's own, as numbers of documents.
    pub fn own_negatives(&self, anchor: usize) -> Range<u32> {
        self.links.own[anchor].clone()
    }

    /// Rows are anchors, columns documents; without `in_batch` an anchor sees its own positive and
    /// its own negatives alone.
    pub fn masks(&self, in_batch: bool) -> Masks {
        let Links {
            positives,
            ignored,
            own,
        } = &self.links;
        if in_batch {
            return Masks {
                ignored: ignored.clone(),
                ..Masks::of_positives(positives.iter().cloned())
            };
        }
        let sees =
            |row: usize, document: u32| document as usize == row || own[row].contains(&document);
        let positives = positives.iter().enumerate().map(|(row, positives)| {
            let seen = positives.iter().copied();
            seen.filter(|&document| sees(row, document)).collect()
        });
        let seen = own.iter().enumerate();
        let seen = seen.map(|(row, own)| vec![row as u32..row as u32 + 1, own.clone()]);
        Masks {
            ignored: ignored.clone(),
            seen: seen.collect(),
            ..Masks::of_positives(positives)
        }
    }

    /// Rows are the documents 0 to B - 1, columns the anchors.
    pub fn turned(&self) -> Masks {
        let rows = self.rows();
        let turn = |lists: &[Vec<u32>]| {
            let mut turned = vec![Vec::new(); rows];
            for (anchor, list) in lists.iter().enumerate() {
                for &document in list.iter().filter(|&&document| (document as usize) < rows) {
                    turned[document as usize].push(anchor as u32);
                }
            }
            turned
        };
        Masks {
            ignored: turn(&self.links.ignored),
            ..Masks::of_positives(turn(&self.links.positives))
        }
    }

    /// Rows are all anchors, then all positives; columns are the same and all negatives after them.
    /// A row does not see itself.
    pub fn both_ways(&self) -> Masks {
        let rows = self.rows() as u32;
        let turned = self.turned();
        let shifted = |list: &Vec<u32>| list.iter().map(|document| document + rows).collect();
        let columns = |row: Vec<(u32, f32)>| row.into_iter().map(|(column, _)| column).collect();
        let positives = self.links.positives.iter().map(shifted);
        let positives = positives.chain(turned.targets.into_iter().map(columns));
        let ignored = self.links.ignored.iter().map(shifted);
        let mut ignored: Vec<Vec<u32>> = ignored.chain(turned.ignored).collect();
        for (row, list) in ignored.iter_mut().enumerate() {
            list.push(row as u32);
        }
        Masks {
            ignored,
            own_column: true,
            ..Masks::of_positives(positives)
        }
    }
}

impl Links {
    /// What a batch says of `rows` anchors and so many negatives.
    fn of(inputs: &Inputs<'_>, rows: usize, negatives: usize) -> Result<Links> {
        let batch = inputs.batch;
        let wrong = |message: String| Error::Defect(format!("step {}: {message}", batch.step));
        let counted: usize = batch.negatives.iter().map(|&count| count as usize).sum();
        if negatives > 0 && (batch.negatives.len() != rows || counted != negatives) {
            return Err(wrong(format!(
                "{negatives} negatives of {rows} anchors, where the batch counts {counted} of {}",
                batch.negatives.len()
            )));
        }
        let mut links = Links::default();
        let mut start = rows as u32;
        let groups = groups(inputs, rows)?;
        let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (row, &group) in groups.iter().enumerate() {
            members.entry(group).or_default().push(row as u32);
        }
        for (row, group) in groups.iter().enumerate() {
            let list = |lists: &crate::collate::Lists| match lists.is_empty() {
                true => Vec::new(),
                false => lists.get(row).to_vec(),
            };
            let mut positives = members[group].clone();
            positives.extend(list(&batch.positives));
            positives.sort_unstable();
            positives.dedup();
            links.positives.push(positives);
            links.ignored.push(list(&batch.ignored));
            let count = match negatives {
                0 => 0,
                _ => batch.negatives[row],
            };
            links.own.push(start..start + count);
            start += count;
        }
        Ok(links)
    }
}

/// For each record the first one of the batch that is equal to it: most often itself.
///
/// # Errors
/// The batch has another number of records.
pub fn groups(inputs: &Inputs<'_>, rows: usize) -> Result<Vec<u32>> {
    let batch = inputs.batch;
    let lists = [&batch.positives, &batch.ignored];
    let fits = |length: usize| length == 0 || length == rows;
    if batch.rows() != rows || !lists.iter().all(|lists| fits(lists.len())) {
        return Err(Error::Defect(format!(
            "step {}: {rows} vectors of a column, {} records, {} lists of positives and {} of what \
             to ignore",
            batch.step,
            batch.rows(),
            batch.positives.len(),
            batch.ignored.len()
        )));
    }
    let mut first = BTreeMap::new();
    let ids = batch.record_ids.iter().enumerate();
    Ok(ids
        .map(|(row, &id)| *first.entry(id).or_insert(row as u32))
        .collect())
}

/// A column by its name.
///
/// # Errors
/// There is none.
pub fn column<'a>(columns: &'a [Embedded], name: &str) -> Result<&'a Embedded> {
    let missing = || Error::Defect(format!("a batch without the column `{name}`"));
    find(columns, name).ok_or_else(missing)
}

fn find<'a>(columns: &'a [Embedded], name: &str) -> Option<&'a Embedded> {
    columns.iter().find(|column| column.name == name)
}

impl Embedded {
    /// The vectors of a view block. `[texts, D]`
    ///
    /// # Errors
    /// There is no such block.
    pub fn block(&self, number: usize) -> Result<Tensor> {
        Ok(self.vectors.narrow(0, number * self.texts, self.texts)?)
    }

    /// The vectors of the texts themselves. `[texts, D]`
    ///
    /// # Errors
    /// There are no views.
    pub fn last(&self) -> Result<Tensor> {
        self.block(self.views - 1)
    }
}

impl Offer {
    /// View blocks of a column, if there is such a column.
    pub fn views(&self, column: &str) -> Option<usize> {
        let found = self.columns.iter().find(|(name, _)| *name == column);
        found.map(|&(_, views)| views)
    }

    /// Refuses what does not fit, in words.
    ///
    /// # Errors
    /// What the loss wants and what there is.
    pub fn wants(&self, fits: bool, loss: &str, wanted: &str) -> std::result::Result<(), String> {
        if fits {
            return Ok(());
        }
        let columns = self.columns.iter();
        let columns = columns.map(|(name, views)| format!("`{name}` with {views}"));
        let mut there: Vec<String> = columns.collect();
        for (has, what) in [
            (self.scores, "scores"),
            (self.labels, "labels"),
            (self.teacher, "scores by a teacher"),
        ] {
            if has {
                there.push(what.into());
            }
        }
        Err(format!(
            "[loss] name = \"{loss}\" wants {wanted}; the batches have, with view blocks: {} \
             ([views] makes blocks: augmented + copies + 1)",
            there.join(", ")
        ))
    }
}
