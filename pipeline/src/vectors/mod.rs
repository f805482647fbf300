//! Word vectors: files of one word and one vector a row, read in one pass, keeping wanted rows.
//!
//! ```text
//! file ─▶ probe: format, rows, dimension
//!   text    blocks of whole lines ─┐
//!   binary  blocks of whole rows  ─┼▶ workers: wanted? parse, check, unit length ─▶ in file order:
//!   npy     rows beside a word list┘                                    first of a word ─▶ sink
//! ```
//! Formats, each plain or in `.gz .zst .zip .tar .tar.gz`:
//! - word2vec text, also of Tencent, fastText (`.vec`) and GloVe: `word v1 .. vD` a line, separated
//!   by spaces or tabs, after an optional line `rows D`. A word may hold spaces.
//! - word2vec binary: the line `rows D`, then the word, a space, D little-endian `f32` and mostly a
//!   line break.
//! - `.npy`: a matrix of little-endian `f16`, `f32` or `f64` in C order, beside a list of words.
//!
//! Rows, their order and every bit of their values follow from the file alone, not from the format
//! that holds the same numbers, the container, the machine or the number of threads.

mod binary;
mod collect;
mod npy;
mod number;
mod open;
mod probe;
mod rows;
pub mod sif;
pub mod static_text;
mod stream;
#[cfg(test)]
mod tests;
mod text;

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use juzi_schemas::dropped::Reason;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use collect::Collector;
use probe::Layout;

/// How a file holds its vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// What the file's name and first bytes say.
    #[default]
    Auto,
    /// word2vec text, with or without the first line `rows dimension`.
    Text,
    /// word2vec binary.
    Binary,
    /// A NumPy matrix beside a list of words.
    Npy,
}

impl Format {
    /// The word in a plan.
    pub fn name(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Text => "text",
            Format::Binary => "binary",
            Format::Npy => "npy",
        }
    }
}

/// A file of vectors.
#[derive(Clone, Debug)]
pub struct VectorFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The member of an archive; exactly one must fit.
    pub members: Option<glob::Pattern>,
    /// Its format.
    pub format: Format,
    /// The words of a `.npy` matrix, one a line; `.gz` and `.zst` are read too.
    pub words: Option<PathBuf>,
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of rows, where the format tells.
    pub rows: Option<u64>,
    /// Numbers of a vector.
    pub dimension: usize,
}

/// Rows that passed, in file order; values are unit length, `words.len() * dimension` of them.
#[derive(Debug, Default)]
pub struct Part {
    /// The word of each row.
    pub words: Vec<String>,
    /// Number of each row in the file, from 0, counting every row that was seen.
    pub rows: Vec<u64>,
    /// The vectors, one after another, each divided by its Euclidean length.
    pub values: Vec<f32>,
    /// Rows that were wanted or broken and could not be kept, in file order.
    pub dropped: Vec<BadRow>,
}

/// A row for the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Why it was dropped.
    pub reason: Reason,
    /// Member of an archive.
    pub member: Option<String>,
    /// Byte offset of the row in the decoded file or member.
    pub offset: u64,
    /// Line from 1: of a text file; of a binary file as if it were text; of a matrix in its word list.
    pub line: Option<u64>,
    /// What was found.
    pub detail: Option<String>,
}

/// What reading found: `rows = wanted + skipped + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows seen.
    pub rows: u64,
    /// Rows that were wanted and passed.
    pub wanted: u64,
    /// Sound rows that were not wanted.
    pub skipped: u64,
    /// Rows in the ledger.
    pub dropped: u64,
    /// Numbers of a vector.
    pub dimension: usize,
}

/// How to read.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Workers.
    pub threads: usize,
    /// The command that goes on after an interruption.
    pub resume: &'a str,
    /// Bytes of the file read so far are added here, compressed where it is.
    pub bytes: &'a AtomicU64,
    /// Rows seen so far are added here.
    pub rows: &'a AtomicU64,
}

/// Opens a file, finds its format and looks at its first rows; cheap.
///
/// # Errors
/// `Input` when it cannot be opened; `Content`, with what was found and what is accepted, when it
/// holds no vectors, not those that `format` says, or its first rows do not fit its header.
pub fn header(file: &VectorFile) -> Result<Header> {
    probe::look(file).map(|found| found.header)
}

/// Reads a file once. `wanted` says of each word whether its vector is needed; `sink` gets what
/// passed, strictly in file order, on the calling thread. Of a word that comes more than once the
/// first sound row is kept. A file without any wanted row is no error.
///
/// # Errors
/// As [`header`]; `Content` when the file cannot be read to its end, or does not hold the number of
/// rows that it says; whatever `sink` returns; an interruption.
pub fn read(
    file: &VectorFile,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    run: &Run<'_>,
    sink: &mut dyn FnMut(Part) -> Result<()>,
) -> Result<Totals> {
    let found = probe::look(file)?;
    let mut collector = Collector::new(file, &found, run, sink);
    match &found.layout {
        Layout::Text { header } => {
            text::read_file(file, &found, *header, wanted, run, &mut collector)?;
        }
        Layout::Binary { start } => {
            binary::read_file(file, &found, *start, wanted, run, &mut collector)?;
        }
        Layout::Npy(matrix) => {
            npy::read_file(file, &found, *matrix, wanted, run, &mut collector)?;
        }
    }
    collector.finish()
}
