//! Sequences of token ids, one after another without padding.

use std::ops::Range;

use candle_core::{Device, Tensor};

use crate::Result;
use crate::collate::Column;

/// Token ids of some sequences, `T` in all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequences {
    /// Token ids. `[T]`
    pub ids: Vec<u32>,
    /// Where each sequence begins in `ids`, and `T` at the end. `[rows + 1]`
    pub starts: Vec<u32>,
    /// Number of the word that each token begins in, `NO_WORD` for special tokens, where the batch
    /// knows words. `[T]`
    pub words: Option<Vec<u16>>,
    /// What dropout knows each sequence by: its number in the whole step. `[rows]`
    pub numbers: Vec<u64>,
}

impl Sequences {
    /// Sequences from their ids, numbered from 0.
    pub fn new<'a>(rows: impl IntoIterator<Item = &'a [u32]>) -> Sequences {
        let mut sequences = Sequences::default();
        rows.into_iter().for_each(|ids| sequences.push(ids));
        sequences
    }

    /// The sequences of columns, those of the first column first, each column in its natural order:
    /// sequence `block * texts + row` is text `row` of a view block.
    pub fn of_columns(columns: &[Column]) -> Sequences {
        let mut sequences = Sequences::default();
        for column in columns {
            let rows = column.lengths.len();
            let mut places: Vec<usize> = (0..rows).collect();
            if let Some(order) = &column.order {
                for (place, &text) in order.iter().enumerate() {
                    places[place / column.texts * column.texts + text as usize] = place;
                }
            }
            for place in places {
                let length = column.lengths[place] as usize;
                if let Some(words) = &column.word_ids {
                    let start = place * column.width;
                    let own = &words[start..start + length];
                    sequences
                        .words
                        .get_or_insert_default()
                        .extend_from_slice(own);
                }
                sequences.push(&column.sequence(place)[..length]);
            }
        }
        sequences
    }

    /// Appends a sequence; its number is that of those before it.
    pub fn push(&mut self, ids: &[u32]) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.numbers.push(self.numbers.len() as u64);
        self.ids.extend_from_slice(ids);
        self.starts.push(self.ids.len() as u32);
    }

    /// Number of sequences.
    pub fn rows(&self) -> usize {
        self.numbers.len()
    }

    /// Tokens of all.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Where the tokens of a sequence are.
    pub fn span(&self, row: usize) -> Range<usize> {
        self.starts[row] as usize..self.starts[row + 1] as usize
    }

    /// The longest sequence's tokens.
    pub fn length_max(&self) -> usize {
        (0..self.rows())
            .map(|row| self.span(row).len())
            .max()
            .unwrap_or(0)
    }

    /// Some of the sequences, with the numbers that they have here.
    pub fn part(&self, rows: Range<usize>) -> Sequences {
        let (start, end) = (self.starts[rows.start], self.starts[rows.end]);
        let starts = self.starts[rows.start..=rows.end].iter();
        Sequences {
            ids: self.ids[start as usize..end as usize].to_vec(),
            starts: starts.map(|own| own - start).collect(),
            words: self
                .words
                .as_ref()
                .map(|words| words[start as usize..end as usize].to_vec()),
            numbers: self.numbers[rows].to_vec(),
        }
    }

    /// For each row and place up to the longest, which token it is; places behind the end of a
    /// sequence say token 0 and are told apart by the second tensor, 1 inside and 0 behind.
    /// `[rows, L]` each, u32 and f32
    ///
    /// # Errors
    /// The device fails.
    pub fn padded(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let (rows, width) = (self.rows(), self.length_max());
        let mut index = vec![0u32; rows * width];
        let mut inside = vec![0f32; rows * width];
        for row in 0..rows {
            for (place, token) in self.span(row).enumerate() {
                index[row * width + place] = token as u32;
                inside[row * width + place] = 1.0;
            }
        }
        Ok((
            Tensor::from_vec(index, (rows, width), device)?,
            Tensor::from_vec(inside, (rows, width), device)?,
        ))
    }

    /// For each token, its place in the padded form: `row * L + position`. `[T]`
    ///
    /// # Errors
    /// The device fails.
    pub fn places(&self, device: &Device) -> Result<Tensor> {
        let width = self.length_max();
        let rows = 0..self.rows();
        let places =
            rows.flat_map(|row| (0..self.span(row).len()).map(move |place| row * width + place));
        let places: Vec<u32> = places.map(|place| place as u32).collect();
        Ok(Tensor::from_vec(places, self.tokens(), device)?)
    }
}
