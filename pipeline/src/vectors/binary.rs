//! word2vec binary: after the header line, each row is a word, a space and little-endian `f32`, with
//! a line break behind it (the original, gensim) or none.

use juzi_schemas::dropped::Reason;
use memchr::memchr;

use super::collect::Collector;
use super::open::Decoded;
use super::probe::{Found, is_control};
use super::rows::{BLOCK_BYTES, Place, Rows, excerpt, squares};
use super::stream::{self, Cut, RawBlock};
use super::{Run, VectorFile};
use crate::error::{Error, Result};

/// Longest word; where no space comes for so long, there is no row.
const WORD_BYTES_MAX: usize = 1 << 16;
/// Rows that the first look judges.
const ROWS_LOOKED_AT: usize = 64;

/// Reads a binary file whose rows begin at `start`.
pub(super) fn read_file(
    file: &VectorFile,
    found: &Found,
    start: usize,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    run: &Run<'_>,
    collector: &mut Collector<'_>,
) -> Result<()> {
    let dimension = found.header.dimension;
    let mut decoded = Decoded::open(&file.path, file.members.as_ref())?;
    decoded
        .fill(&mut Vec::new(), start)
        .map_err(Error::input(&file.path))?;
    let cut = BinaryCut {
        file,
        decoded,
        dimension,
        carry: Vec::new(),
        offset: start as u64,
        rows: 0,
        done: false,
    };
    // The header is the first line.
    collector.lines = 1;
    let parse = |block: &RawBlock, rows: &mut Rows| parse(block, dimension, wanted, rows);
    stream::read(cut, dimension, parse, run, collector)
}

struct BinaryCut<'f> {
    file: &'f VectorFile,
    decoded: Decoded,
    dimension: usize,
    /// Begin of a row that the last block did not hold whole.
    carry: Vec<u8>,
    offset: u64,
    rows: u64,
    done: bool,
}

impl Cut for BinaryCut<'_> {
    fn next(&mut self, block: &mut RawBlock) -> Result<bool> {
        if self.done {
            return Ok(false);
        }
        block.offset = self.offset;
        block.bytes.clear();
        std::mem::swap(&mut block.bytes, &mut self.carry);
        let filled = self.decoded.fill(&mut block.bytes, BLOCK_BYTES);
        block.consumed = self.decoded.consumed();
        let mut end = 0;
        while let Some(row) = row(&block.bytes, end, self.dimension) {
            end = row.end;
            self.rows += 1;
        }
        let rest = &block.bytes[end..];
        if rest.len() > WORD_BYTES_MAX && memchr(b' ', &rest[..WORD_BYTES_MAX]).is_none() {
            return Err(Error::Content {
                path: self.file.path.clone(),
                message: format!(
                    "row {} has no word: no space within {WORD_BYTES_MAX} bytes from byte {}; the \
                     file is damaged, or the header's dimension {} is wrong",
                    self.rows,
                    self.offset + end as u64,
                    self.dimension
                ),
            });
        }
        match filled {
            Ok(true) => {
                self.carry.extend_from_slice(rest);
                block.bytes.truncate(end);
                self.offset += end as u64;
            }
            // What is left is for the ledger.
            Ok(false) => {
                self.done = true;
                self.decoded.expect_end(self.file)?;
            }
            Err(error) => {
                self.done = true;
                block.bytes.truncate(end);
                block.damage = Some(error.to_string());
            }
        }
        Ok(true)
    }
}

/// Where the parts of a row stand.
struct Row {
    start: usize,
    /// End of the word; a space follows.
    word: usize,
    end: usize,
}

/// The row from `at` on, if it is all there.
fn row(bytes: &[u8], at: usize, dimension: usize) -> Option<Row> {
    let start = at + line_breaks(&bytes[at..]);
    let most = bytes.len().min(start + WORD_BYTES_MAX);
    let word = start + memchr(b' ', &bytes[start..most])?;
    let end = word + 1 + 4 * dimension;
    (end <= bytes.len()).then_some(Row { start, word, end })
}

fn line_breaks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| byte == b'\n').count()
}

fn parse(
    block: &RawBlock,
    dimension: usize,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    rows: &mut Rows,
) {
    let (bytes, mut at) = (&block.bytes, 0);
    while let Some(Row { start, word, end }) = row(bytes, at, dimension) {
        at = end;
        let place = Place {
            offset: block.offset + start as u64,
            line: rows.lines,
        };
        rows.lines += 1;
        let Some(text) = rows.word(&bytes[start..word], place) else {
            continue;
        };
        if !wanted(text) {
            rows.skip();
            continue;
        }
        let room = rows.room();
        for (slot, number) in room.iter_mut().zip(bytes[word + 1..end].chunks_exact(4)) {
            *slot = f32::from_le_bytes([number[0], number[1], number[2], number[3]]);
        }
        let squares = squares(room);
        rows.keep(text, place, squares);
    }
    at += line_breaks(&bytes[at..]);
    if at < bytes.len() {
        let place = Place {
            offset: block.offset + at as u64,
            line: rows.lines,
        };
        rows.lines += 1;
        let word = bytes[at..]
            .split(|&byte| byte == b' ')
            .next()
            .unwrap_or_default();
        rows.drop(Reason::TruncatedRow, place, Some(excerpt(word)));
    }
}

/// True if most of the first rows have words that are text: with a wrong dimension all but the first
/// begin amid numbers. Only a dimension that is one too large may leave words, as a line break and a
/// Han character take the place of a number; then all last numbers begin with a line break.
pub(super) fn plausible(bytes: &[u8], dimension: usize) -> bool {
    let (mut at, mut seen, mut good, mut breaks) = (0, 0, 0, 0);
    while let Some(Row { start, word, end }) = row(bytes, at, dimension) {
        at = end;
        seen += 1;
        good += usize::from(is_word(&bytes[start..word]));
        breaks += usize::from(bytes[end - 4] == b'\n');
        if seen == ROWS_LOOKED_AT {
            break;
        }
    }
    match seen {
        // Not one row is whole: then its word must do.
        0 => {
            memchr(b' ', bytes).is_some_and(|end| is_word(&bytes[line_breaks(bytes).min(end)..end]))
        }
        _ => 2 * good > seen && (breaks < seen || seen < 4),
    }
}

fn is_word(bytes: &[u8]) -> bool {
    let printable = !bytes.iter().any(|&byte| is_control(byte) || byte == b'\n');
    !bytes.is_empty() && printable && std::str::from_utf8(bytes).is_ok()
}
