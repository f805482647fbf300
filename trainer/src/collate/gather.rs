//! The records of a batch, gathered from the row groups that hold them.

use arrow::array::{Array, AsArray, ListArray, StringArray};
use arrow::datatypes::{Float32Type, UInt32Type};
use juzi_schemas::record::Kind;
use juzi_schemas::words::Texts;

use super::batch::{Batch, Lists};
use crate::Result;
use crate::augment::Words;
use crate::loader::Piece;

/// A text with its words, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'b> {
    /// The text; the lengths of its words are empty where words were not asked for.
    pub words: Words<'b>,
    /// Number of its piece in the batch.
    pub piece: usize,
    /// Its row in the row group.
    pub row: u32,
}

/// The texts of a batch, column by column.
pub(super) type Columns<'b> = Vec<(&'static str, Vec<Source<'b>>)>;

/// What the gathering needs to know of a dataset.
#[derive(Debug)]
pub(super) struct Gatherer {
    pub kind: Kind,
    /// Names of the corpora.
    pub corpora: Vec<String>,
    /// Whether the words of texts are wanted.
    pub words: bool,
}

/// The columns of a piece.
struct Table<'b> {
    texts: Vec<&'b StringArray>,
    negatives: Option<&'b ListArray>,
    words: Option<Texts<'b>>,
}

impl Gatherer {
    /// Names of the columns that hold texts.
    pub fn columns(&self) -> Vec<&'static str> {
        let names = self.kind.text_columns();
        let language = self.kind.language_columns(names.len());
        let mut columns = names[..language].to_vec();
        if self.kind == Kind::Triplet {
            columns.push("negatives");
        }
        columns
    }

    /// Fills `batch` with all but its columns, and gives the texts of these.
    ///
    /// # Errors
    /// A column is missing or of another type, words do not add up, or a mask names no document.
    pub fn gather<'b>(&self, pieces: &'b [Piece], batch: &mut Batch) -> Result<Columns<'b>> {
        let rows = pieces.iter().map(|piece| piece.rows.len()).sum();
        let names = self.columns().into_iter();
        let mut columns: Columns = names.map(|name| (name, Vec::with_capacity(rows))).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let wrong = |message: String| piece.wrong(message);
            self.facts(piece, batch).map_err(wrong)?;
            let table = self.table(piece).map_err(wrong)?;
            let ids = piece.ids()?;
            for &row in &piece.rows {
                let id = ids(row as usize);
                batch.record_ids.push(id);
                let place = (id, number, row);
                let taken = table.row(place, &mut columns);
                taken.map_err(|message| piece.wrong(format!("row {row}: {message}")))?;
                if let Some(lists) = table.negatives {
                    batch
                        .negatives
                        .push(lists.value_length(row as usize) as u32);
                }
            }
        }
        self.check_masks(pieces, batch)?;
        self.teacher(pieces, batch)?;
        Ok(columns)
    }

    fn table<'b>(&self, piece: &'b Piece) -> std::result::Result<Table<'b>, String> {
        let batch = &piece.batch;
        let texts =
            |name: &&str| -> std::result::Result<&'b StringArray, String> { strings(piece, name) };
        let names = self.kind.text_columns();
        let names = &names[..self.kind.language_columns(names.len())];
        let negatives = match self.kind {
            Kind::Triplet => Some(list(piece, "negatives")?),
            _ => None,
        };
        if let Some(lists) = negatives {
            let strings = lists.values().as_string_opt::<i32>();
            strings.ok_or("the column `negatives` is not of strings")?;
        }
        let words = match self.words {
            true => Some(Texts::of(batch, self.kind).ok_or("it has no words")?),
            false => None,
        };
        Ok(Table {
            texts: names
                .iter()
                .map(texts)
                .collect::<std::result::Result<_, _>>()?,
            negatives,
            words,
        })
    }

    /// All that a record has besides id and texts.
    fn facts(&self, piece: &Piece, batch: &mut Batch) -> std::result::Result<(), String> {
        let corpora = strings(piece, "corpus")?;
        for &row in &piece.rows {
            let name = corpora.value(row as usize);
            let number = self.corpora.iter().position(|known| known == name);
            let number = number
                .ok_or_else(|| format!("row {row}: the manifest names no corpus `{name}`"))?;
            batch.corpora.push(number as u16);
        }
        let topics = piece.batch.column_by_name("topic");
        let topics = topics.and_then(|topics| topics.as_primitive_opt::<UInt32Type>());
        batch.topics.extend(piece.rows.iter().map(|&row| {
            let row = row as usize;
            topics
                .filter(|topics| topics.is_valid(row))
                .map(|topics| topics.value(row))
        }));
        match self.kind {
            Kind::Labelled => {
                let labels = strings(piece, "label")?;
                let labels = piece
                    .rows
                    .iter()
                    .map(|&row| labels.value(row as usize).into());
                batch.labels.extend(labels);
            }
            Kind::Scored => {
                let scores = piece.batch.column_by_name("score");
                let scores = scores.and_then(|scores| scores.as_primitive_opt::<Float32Type>());
                let scores = scores.ok_or("it has no column `score` of 32-bit numbers")?;
                let scores = piece.rows.iter().map(|&row| scores.value(row as usize));
                batch.scores.extend(scores);
            }
            Kind::Triplet => {
                lists(piece, "positives", &mut batch.positives)?;
                lists(piece, "ignored", &mut batch.ignored)?;
            }
            Kind::Text | Kind::Pair => {}
        }
        Ok(())
    }

    /// A teacher's scores, where the batches have them: a record's list begins with the score of
    /// its positive.
    fn teacher(&self, pieces: &[Piece], batch: &mut Batch) -> Result<()> {
        let scored = |piece: &Piece| piece.batch.column_by_name("scores").is_some();
        if self.kind != Kind::Triplet || !pieces.iter().any(scored) {
            return Ok(());
        }
        let mut negatives = Vec::new();
        let mut counts = batch.negatives.iter();
        for piece in pieces {
            let lists = list(piece, "scores").map_err(|message| piece.wrong(message))?;
            let scores = lists.values().as_primitive_opt::<Float32Type>();
            let scores = scores.ok_or_else(|| {
                piece.wrong("the column `scores` is not of 32-bit numbers".into())
            })?;
            let score = |at: usize| {
                if scores.is_valid(at) {
                    scores.value(at)
                } else {
                    f32::NAN
                }
            };
            let ends = lists.value_offsets();
            for (&row, &count) in piece.rows.iter().zip(&mut counts) {
                let own = ends[row as usize] as usize..ends[row as usize + 1] as usize;
                if own.len() != count as usize + 1 {
                    return Err(piece.wrong(format!(
                        "row {row}: {} scores of a positive and {count} negatives",
                        own.len()
                    )));
                }
                batch.teacher.push(score(own.start));
                negatives.extend(own.skip(1).map(score));
            }
        }
        batch.teacher.append(&mut negatives);
        Ok(())
    }

    /// Masks must name documents of the batch.
    fn check_masks(&self, pieces: &[Piece], batch: &Batch) -> Result<()> {
        let negatives: u32 = batch.negatives.iter().sum();
        let documents = batch.rows() as u32 + negatives;
        let numbers = batch.positives.items.iter().chain(&batch.ignored.items);
        match (numbers.max(), pieces.first()) {
            (Some(&most), Some(piece)) if most >= documents => Err(piece.wrong(format!(
                "a mask names document {most}; the batch has {documents}, numbered from 0"
            ))),
            _ => Ok(()),
        }
    }
}

impl<'b> Table<'b> {
    /// Appends the texts of a row to their columns.
    fn row(
        &self,
        (id, piece, row): (u128, usize, u32),
        columns: &mut Columns<'b>,
    ) -> std::result::Result<(), String> {
        let mut number = 0;
        let mut push = |text: &'b str, lengths: &'b [u16]| {
            // All texts after those of the named columns are negatives.
            let column = (number as usize).min(self.texts.len());
            columns[column].1.push(Source {
                words: Words {
                    id,
                    number,
                    text,
                    lengths,
                },
                piece,
                row,
            });
            number += 1;
        };
        if let Some(words) = &self.words {
            let taken = words.row(row as usize, push);
            return taken
                .map_err(|_| "the lengths in `words` do not add up to the texts".to_string());
        }
        for texts in &self.texts {
            push(texts.value(row as usize), &[]);
        }
        if let Some(lists) = self.negatives {
            let ends = lists.value_offsets();
            let texts = lists.values().as_string::<i32>();
            let range = ends[row as usize]..ends[row as usize + 1];
            range.for_each(|at| push(texts.value(at as usize), &[]));
        }
        Ok(())
    }
}

fn strings<'b>(piece: &'b Piece, name: &str) -> std::result::Result<&'b StringArray, String> {
    let column = piece.batch.column_by_name(name);
    let strings = column.and_then(|column| column.as_string_opt::<i32>());
    strings.ok_or_else(|| format!("it has no column `{name}` of strings"))
}

fn list<'b>(piece: &'b Piece, name: &str) -> std::result::Result<&'b ListArray, String> {
    let column = piece.batch.column_by_name(name);
    let lists = column.and_then(|column| column.as_list_opt::<i32>());
    lists.ok_or_else(|| format!("it has no column `{name}` of lists"))
}

/// Appends the lists of a column of numbers, where there is such a column.
fn lists(piece: &Piece, name: &str, out: &mut Lists) -> std::result::Result<(), String> {
    if piece.batch.column_by_name(name).is_none() {
        return Ok(());
    }
    let lists = list(piece, name)?;
    let items = lists.values().as_primitive_opt::<UInt32Type>();
    let items = items.ok_or_else(|| format!("the column `{name}` is not of 32-bit numbers"))?;
    let ends = lists.value_offsets();
    for &row in &piece.rows {
        let range = ends[row as usize] as usize..ends[row as usize + 1] as usize;
        out.push(&items.values()[range]);
    }
    Ok(())
}
