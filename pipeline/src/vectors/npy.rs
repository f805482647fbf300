//! NumPy matrices (`.npy`, NEP 1) beside a list of words.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use super::collect::Collector;
use super::open::Decoded;
use super::probe::{Found, checked};
use super::rows::{BLOCK_BYTES, Place, ROW_BYTES_MAX, Rows, squares};
use super::stream::{self, Cut, RawBlock};
use super::text::MARK;
use super::{Header, Run, VectorFile};
use crate::error::{Error, Result};

/// First bytes of the format.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// How a number is stored, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Half,
    Single,
    Double,
}

impl Number {
    fn bytes(self) -> usize {
        match self {
            Number::Half => 2,
            Number::Single => 4,
            Number::Double => 8,
        }
    }
}

/// A matrix, as its header describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matrix {
    pub(super) header: Header,
    /// Offset of the first row.
    start: usize,
    number: Number,
}

impl Matrix {
    fn row_bytes(self) -> usize {
        self.header.dimension * self.number.bytes()
    }
}

/// Reads the header of a matrix.
pub(super) fn matrix(head: &[u8]) -> std::result::Result<Matrix, String> {
    let short = || "the NumPy header is cut off".to_string();
    let size = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0, |size, &byte| size << 8 | usize::from(byte))
    };
    let (start, length) = match head.get(6).ok_or_else(short)? {
        1 => (10, size(head.get(8..10).ok_or_else(short)?)),
        2 | 3 => (12, size(head.get(8..12).ok_or_else(short)?)),
        other => {
            return Err(format!(
                "NumPy format version {other}; accepted are 1, 2 and 3"
            ));
        }
    };
    let text = head.get(start..start + length).ok_or_else(short)?;
    let text = String::from_utf8_lossy(text);
    let value = |key: &str| -> std::result::Result<&str, String> {
        let after = text
            .split_once(key)
            .and_then(|(_, after)| after.split_once(':'));
        after
            .map(|(_, value)| value.trim())
            .ok_or_else(|| format!("the NumPy header has no {key}"))
    };
    let kind = value("'descr'")?;
    let number = match kind.get(..5) {
        Some("'<f2'") => Number::Half,
        Some("'<f4'") => Number::Single,
        Some("'<f8'") => Number::Double,
        _ => {
            let kind = kind.split(", '").next().unwrap_or_default();
            return Err(format!(
                "numbers of type {kind}; accepted are '<f4', '<f2' and '<f8'"
            ));
        }
    };
    if !value("'fortran_order'")?.starts_with("False") {
        return Err("a matrix in Fortran order; accepted is C order".into());
    }
    let shape = value("'shape'")?;
    let shape = shape
        .strip_prefix('(')
        .and_then(|shape| shape.split_once(')'))
        .map_or("", |(shape, _)| shape);
    let sizes = shape
        .split(',')
        .map(|size| size.trim().trim_end_matches('L'));
    let sizes: Vec<Option<u64>> = sizes
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().ok())
        .collect();
    let [Some(rows), Some(dimension)] = sizes[..] else {
        return Err(format!(
            "an array of shape ({shape}); accepted is (rows, dimension)"
        ));
    };
    Ok(Matrix {
        header: checked(Some(rows), usize::try_from(dimension).unwrap_or(usize::MAX))?,
        start: start + length,
        number,
    })
}

/// Reads a matrix and its words.
pub(super) fn read_file(
    file: &VectorFile,
    found: &Found,
    matrix: Matrix,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    run: &Run<'_>,
    collector: &mut Collector<'_>,
) -> Result<()> {
    let path = file.words.clone().unwrap_or_default();
    let words = Words {
        lines: BufReader::new(Decoded::open(&path, None)?),
        path,
        count: 0,
    };
    let mut decoded = Decoded::open(&file.path, file.members.as_ref())?;
    decoded
        .fill(&mut Vec::new(), matrix.start)
        .map_err(Error::input(&file.path))?;
    let cut = MatrixCut {
        file,
        decoded,
        words,
        matrix,
        next: 0,
    };
    let parse = |block: &RawBlock, rows: &mut Rows| parse(block, matrix, wanted, rows);
    stream::read(cut, found.header.dimension, parse, run, collector)
}

struct MatrixCut<'f> {
    file: &'f VectorFile,
    decoded: Decoded,
    words: Words,
    matrix: Matrix,
    next: u64,
}

impl MatrixCut<'_> {
    fn wrong(&self, message: String) -> Error {
        Error::Content {
            path: self.file.path.clone(),
            message,
        }
    }

    /// Nothing may be left of either file.
    fn end(&mut self, rows: u64) -> Result<bool> {
        let mut more = Vec::new();
        let more = self.decoded.fill(&mut more, 1).map(|_| !more.is_empty());
        match more {
            Ok(false) => self.decoded.expect_end(self.file)?,
            Ok(true) => {
                let message = format!("the header says {rows} rows, but more bytes follow");
                return Err(self.wrong(message));
            }
            Err(error) => {
                return Err(self.wrong(format!("cannot be read further after row {rows}: {error}")));
            }
        }
        let (mut line, mut blank) = (Vec::new(), true);
        while self.words.next(&mut line)? {
            blank &= line.iter().all(u8::is_ascii_whitespace);
            line.clear();
        }
        match blank {
            true => Ok(false),
            false => Err(self.words.wrong(rows)),
        }
    }
}

impl Cut for MatrixCut<'_> {
    fn next(&mut self, block: &mut RawBlock) -> Result<bool> {
        let rows = self.matrix.header.rows.unwrap_or_default();
        let row_bytes = self.matrix.row_bytes();
        let count = (rows - self.next).min((BLOCK_BYTES / row_bytes).max(1) as u64);
        if count == 0 {
            return self.end(rows);
        }
        block.offset = self.matrix.start as u64 + self.next * row_bytes as u64;
        block.bytes.clear();
        let filled = self
            .decoded
            .fill(&mut block.bytes, count as usize * row_bytes);
        block.consumed = self.decoded.consumed();
        let ended = match filled {
            Ok(true) => None,
            Ok(false) => Some("the file ends there".to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(detail) = ended {
            let whole = self.next + (block.bytes.len() / row_bytes) as u64;
            return Err(self.wrong(format!(
                "the header says {rows} rows, but only {whole} can be read: {detail}; the file is \
                 likely truncated"
            )));
        }
        for _ in 0..count {
            if !self.words.next(&mut block.words)? {
                return Err(self.words.wrong(rows));
            }
        }
        self.next += count;
        Ok(true)
    }
}

/// The list of words.
struct Words {
    lines: BufReader<Decoded>,
    path: PathBuf,
    count: u64,
}

impl Words {
    /// Adds the next line, with a line break; false at the end.
    fn next(&mut self, words: &mut Vec<u8>) -> Result<bool> {
        let start = words.len();
        let mut line = (&mut self.lines).take(ROW_BYTES_MAX as u64);
        let got = line.read_until(b'\n', words);
        let wrong = |message: String| Error::Content {
            path: self.path.clone(),
            message,
        };
        let line = self.count + 1;
        match got.map_err(|error| wrong(format!("cannot be read at line {line}: {error}")))? {
            0 => return Ok(false),
            ROW_BYTES_MAX => {
                return Err(wrong(format!(
                    "line {line} is longer than {} MiB",
                    ROW_BYTES_MAX >> 20
                )));
            }
            _ => {}
        }
        if words.last() != Some(&b'\n') {
            words.push(b'\n');
        }
        if self.count == 0 && words[start..].starts_with(MARK) {
            words.drain(start..start + MARK.len());
        }
        self.count += 1;
        Ok(true)
    }

    /// The lists differ in length.
    fn wrong(&self, rows: u64) -> Error {
        Error::Content {
            path: self.path.clone(),
            message: format!("holds {} words, but the matrix has {rows} rows", self.count),
        }
    }
}

fn parse(
    block: &RawBlock,
    matrix: Matrix,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    rows: &mut Rows,
) {
    let words = block.words.split(|&byte| byte == b'\n');
    let row_bytes = matrix.row_bytes();
    for (bytes, word) in block.bytes.chunks_exact(row_bytes).zip(words) {
        let place = Place {
            offset: block.offset + rows.lines * row_bytes as u64,
            line: rows.lines,
        };
        rows.lines += 1;
        let Some(word) = rows.word(word.strip_suffix(b"\r").unwrap_or(word), place) else {
            continue;
        };
        if !wanted(word) {
            rows.skip();
            continue;
        }
        let room = rows.room();
        numbers(bytes, matrix.number, room);
        let squares = squares(room);
        rows.keep(word, place, squares);
    }
}

fn numbers(bytes: &[u8], number: Number, out: &mut [f32]) {
    for (slot, bytes) in out.iter_mut().zip(bytes.chunks_exact(number.bytes())) {
        *slot = match (number, bytes) {
            (Number::Half, &[a, b]) => half::f16::from_le_bytes([a, b]).to_f32(),
            (Number::Single, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Number::Double, &[a, b, c, d, e, f, g, h]) => {
                f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32
            }
            _ => f32::NAN,
        };
    }
}
