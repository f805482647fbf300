//! Rows in memory: the text of a unit, and of a whole window.

use arrow::array::{
    ArrayRef, AsArray, FixedSizeBinaryArray, Float32Array, ListArray, StringArray, UInt32Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Float32Type, UInt16Type, UInt32Type};
use arrow::record_batch::RecordBatch;

use crate::samplers::Rows;

/// Wanted rows of a unit, or some of them: their text and where they stand.
pub struct Block {
    /// Their file, as a place among the inputs.
    pub source: usize,
    /// Columns as in the shards, then `mined`, `mined_words`, `mined_scores`,
    /// `positive_score`, `kept` and `line` where they are.
    pub batch: RecordBatch,
}

/// The columns of a block.
pub struct Columns {
    /// Ids of the records.
    pub ids: FixedSizeBinaryArray,
    /// Columns of one text each.
    pub texts: Vec<StringArray>,
    /// Own negatives.
    pub negatives: Option<ListArray>,
    /// Mined negatives.
    pub mined: Option<ListArray>,
    /// Lengths of the words of all texts.
    pub words: Option<ListArray>,
    /// Lengths of the words of mined negatives.
    pub mined_words: Option<ListArray>,
    /// The miner's scores of mined negatives.
    pub mined_scores: Option<ListArray>,
    /// The miner's scores of positives.
    pub positive_scores: Option<Float32Array>,
    /// Which negatives are used, own ones counted before mined ones.
    pub kept: Option<ListArray>,
    /// Scores.
    pub scores: Option<Float32Array>,
    /// Row in the file.
    pub lines: UInt32Array,
}

impl Block {
    /// The columns; `names` are those of one text each.
    pub fn columns(&self, names: &[&str]) -> Columns {
        let column = |name: &str| self.batch.column_by_name(name);
        let always = |name: &str| column(name).expect("every block has it");
        let list = |name: &str| column(name).map(|column| column.as_list::<i32>().clone());
        let floats =
            |name: &str| column(name).map(|column| column.as_primitive::<Float32Type>().clone());
        let texts = names
            .iter()
            .map(|name| always(name).as_string::<i32>().clone());
        Columns {
            ids: always("id").as_fixed_size_binary().clone(),
            texts: texts.collect(),
            negatives: list("negatives"),
            mined: list("mined"),
            words: list("words"),
            mined_words: list("mined_words"),
            mined_scores: list("mined_scores"),
            positive_scores: floats("positive_score"),
            kept: list("kept"),
            scores: floats("score"),
            lines: always("line").as_primitive::<UInt32Type>().clone(),
        }
    }

    /// The block of some of its rows.
    fn some(&self, rows: Vec<u32>) -> Block {
        let rows = UInt32Array::from(rows);
        let batch = take_record_batch(&self.batch, &rows);
        Block {
            source: self.source,
            batch: batch.expect("the rows are there"),
        }
    }
}

/// Strings of a list column.
pub fn strings(list: &Option<ListArray>, row: usize) -> Strings<'_> {
    let Some(list) = list else {
        return Strings {
            texts: None,
            start: 0,
            end: 0,
        };
    };
    let ends = list.value_offsets();
    Strings {
        texts: Some(list.values().as_string::<i32>()),
        start: ends[row] as usize,
        end: ends[row + 1] as usize,
    }
}

/// Some strings of a list column.
#[derive(Clone, Copy)]
pub struct Strings<'s> {
    texts: Option<&'s StringArray>,
    start: usize,
    end: usize,
}

impl<'s> Strings<'s> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The string with a number.
    pub fn get(&self, number: usize) -> &'s str {
        let texts = self.texts.expect("there is a string");
        texts.value(self.start + number)
    }
}

/// Numbers of a list column.
pub fn numbers(list: &Option<ListArray>, row: usize) -> &[u16] {
    let Some(list) = list else {
        return &[];
    };
    let ends = list.value_offsets();
    let values = list.values().as_primitive::<UInt16Type>().values();
    &values[ends[row] as usize..ends[row + 1] as usize]
}

/// What was made of a unit.
pub struct Part {
    /// The text.
    pub block: Block,
    /// The facts, row by row.
    pub rows: Rows,
    /// Random place and row of each entry.
    pub entries: Vec<(u64, u32)>,
    /// Negatives that were left out because they repeat a text of their row.
    pub removed: u64,
    /// Negatives that were left out because there are too many.
    pub over: u64,
}

/// The rows of a window.
#[derive(Default)]
pub struct Stock {
    /// Their text.
    pub blocks: Vec<Block>,
    /// Their facts.
    pub rows: Rows,
    /// Block and row in it, for each row.
    pub places: Vec<(u32, u32)>,
    /// Random place and row of each entry, sorted.
    pub entries: Vec<(u64, u32)>,
}

impl Stock {
    /// Adds the rows of a unit.
    pub fn add(&mut self, part: Part) {
        let first = self.rows.len() as u32;
        let block = self.blocks.len() as u32;
        self.places
            .extend((0..part.rows.len() as u32).map(|row| (block, row)));
        self.rows.append(&part.rows);
        let entries = part.entries.into_iter();
        self.entries
            .extend(entries.map(|(place, row)| (place, first + row)));
        self.blocks.push(part.block);
    }

    /// Takes out what some entries need, for the next window.
    pub fn carry(&self, entries: &[u32]) -> Stock {
        let mut rows: Vec<u32> = entries
            .iter()
            .map(|&entry| self.entries[entry as usize].1)
            .collect();
        rows.sort_unstable();
        rows.dedup();
        let mut carried = Stock::default();
        carried.rows.append_some(&self.rows, &rows);
        // Rows of one block stand together.
        for run in rows.chunk_by(|a, b| self.places[*a as usize].0 == self.places[*b as usize].0) {
            let block = self.places[run[0] as usize].0;
            let number = carried.blocks.len() as u32;
            let inside: Vec<u32> = run.iter().map(|&row| self.places[row as usize].1).collect();
            carried
                .places
                .extend((0..run.len() as u32).map(|row| (number, row)));
            carried
                .blocks
                .push(self.blocks[block as usize].some(inside));
        }
        carried.entries = entries
            .iter()
            .map(|&entry| {
                let (place, row) = self.entries[entry as usize];
                let at = rows.binary_search(&row).expect("the row was taken out");
                (place, at as u32)
            })
            .collect();
        carried
    }
}

/// A column of row numbers.
pub fn lines(values: Vec<u32>) -> ArrayRef {
    std::sync::Arc::new(UInt32Array::from(values))
}
