//! word2vec text: one row a line, parsed by all workers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use juzi_schemas::dropped::Reason;
use juzi_schemas::record::Split;
use memchr::{memchr, memchr_iter, memchr2};

use super::collect::Collector;
use super::number::{is_separator, read, read_all};
use super::probe::Found;
use super::rows::{BLOCK_BYTES, Place, ROW_BYTES_MAX, Rows, excerpt};
use super::{Run, VectorFile};
use crate::error::{Error, Result};
use crate::flow::in_order;
use crate::inputs::stream::Limits;
use crate::inputs::{Block, Input, Sources};
use crate::readers::{ReaderOptions, reader};

/// The byte order mark that some editors put in front.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a text file; `header` says that its first line is not a row.
pub(super) fn read_file(
    file: &VectorFile,
    found: &Found,
    header: bool,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    run: &Run<'_>,
    collector: &mut Collector<'_>,
) -> Result<()> {
    let inputs = [input(file)?];
    let limits = Limits {
        unit_bytes: BLOCK_BYTES,
        line_bytes_max: ROW_BYTES_MAX,
    };
    let sources = Sources::new(&inputs, limits)?;
    let dimension = found.header.dimension;
    let step = |(block, room): &mut (Block, usize)| {
        if !sources.next(block, &|_| false)? {
            return Ok(None);
        }
        let mut lines = Lines {
            text: block.text(),
            dimension,
            wanted,
            rows: Rows::new(dimension, *room),
        };
        lines.block(block, header);
        *room = (*room).max(lines.rows.words.len());
        Ok(Some((u64::from(block.key.index), lines.rows)))
    };
    let mut consumed = 0;
    in_order::run(
        run.threads,
        "vectors",
        run.resume,
        Default::default,
        step,
        |mut rows| {
            let now = sources.consumed.load(Ordering::Relaxed);
            rows.consumed = now - std::mem::replace(&mut consumed, now);
            collector.take(rows)
        },
    )
}

/// The file as the inputs layer knows files; of the reader only its lines are used.
fn input(file: &VectorFile) -> Result<Input> {
    let wrong = |message| Error::Content {
        path: file.path.clone(),
        message,
    };
    let bytes = std::fs::metadata(&file.path)
        .map_err(Error::input(&file.path))?
        .len();
    Ok(Input {
        corpus: 0,
        split: Split::Train,
        path: file.path.clone(),
        name: String::new(),
        members: file.members.clone(),
        bytes,
        encoding: None,
        reader: Arc::from(reader("text", &ReaderOptions::default()).map_err(wrong)?),
    })
}

/// The lines of one block, on their way to rows.
struct Lines<'b> {
    text: &'b [u8],
    dimension: usize,
    wanted: &'b (dyn Fn(&str) -> bool + Sync),
    rows: Rows,
}

impl Lines<'_> {
    fn block(&mut self, block: &Block, header: bool) {
        let text = self.text;
        if block.first && block.key.index > 0 {
            self.rows.second = Some(block.member.as_deref().unwrap_or_default().into());
            return;
        }
        let mut header = header && block.first;
        let marked = block.first && text.starts_with(MARK);
        let mut at = if marked { MARK.len() } else { 0 };
        while at < text.len() {
            let stop = memchr(b'\n', &text[at..]).map(|length| at + length);
            let end = at + trimmed(&text[at..stop.unwrap_or(text.len())]).len();
            if end > at && !std::mem::take(&mut header) {
                let place = Place {
                    offset: block.offset + at as u64,
                    line: self.rows.lines,
                };
                self.line(at, end, stop.is_none(), place);
            }
            self.rows.lines += 1;
            at = stop.map_or(text.len(), |stop| stop + 1);
        }
        self.rows.lines += block.lines_before;
        for &offset in &block.long_lines {
            let line = self.rows.lines;
            self.too_long(Place { offset, line });
            self.rows.lines += 1;
        }
        self.rows.damage = block.damage.as_ref().map(|damage| damage.detail.clone());
    }

    /// The line at `at..end` of the block; only the last of a file has no line break.
    #[inline]
    fn line(&mut self, at: usize, end: usize, last: bool, place: Place) {
        let line = &self.text[at..end];
        if line.len() > ROW_BYTES_MAX {
            return self.too_long(place);
        }
        // An ordinary row's word is its first field; everything else is looked at more closely.
        let word = memchr2(b' ', b'\t', line).unwrap_or(line.len());
        if let (1.., Ok(text)) = (word, std::str::from_utf8(&line[..word])) {
            if !(self.wanted)(text) {
                if has_fields(line, self.dimension) {
                    return self.rows.skip();
                }
            } else if let Ok(squares) = read_all(self.text, at + word + 1, end, self.rows.room()) {
                return self.rows.keep(text, place, squares);
            }
        }
        self.odd_line(line, last, place);
    }

    fn odd_line(&mut self, line: &[u8], last: bool, place: Place) {
        let (word, numbers) = match split(line, self.dimension) {
            Ok(fields) => fields,
            Err(found) => {
                let reason = match found < self.dimension && last {
                    true => Reason::TruncatedRow,
                    false => Reason::WrongDimension,
                };
                let detail = format!(
                    "{found} numbers instead of {}: {}",
                    self.dimension,
                    excerpt(line)
                );
                return self.rows.drop(reason, place, Some(detail));
            }
        };
        let Some(word) = self.rows.word(word, place) else {
            return;
        };
        if !(self.wanted)(word) {
            return self.rows.skip();
        }
        match read_apart(numbers, self.rows.room()) {
            Ok(squares) => self.rows.keep(word, place, squares),
            Err(detail) => {
                let reason = if last {
                    Reason::TruncatedRow
                } else {
                    Reason::BadNumber
                };
                self.rows.drop(
                    reason,
                    place,
                    Some(format!("{}: {detail}", excerpt(word.as_bytes()))),
                );
            }
        }
    }

    fn too_long(&mut self, place: Place) {
        let detail = format!("longer than {} MiB", ROW_BYTES_MAX >> 20);
        self.rows.drop(Reason::LineTooLong, place, Some(detail));
    }
}

/// A line without the blanks at its end, a carriage return among them.
#[inline]
pub(super) fn trimmed(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t' | b'\r'] = line {
        line = rest;
    }
    line
}

/// True if so many separators stand in a line.
#[inline]
fn has_fields(line: &[u8], separators: usize) -> bool {
    let spaces = memchr_iter(b' ', line).count();
    spaces == separators || spaces + memchr_iter(b'\t', line).count() == separators
}

/// Starts and ends of the fields of a line; several separators in a row count as one.
pub(super) fn fields(line: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += line[at..].iter().position(|&byte| !is_separator(byte))?;
        let start = at;
        at = memchr2(b' ', b'\t', &line[at..]).map_or(line.len(), |length| at + length);
        Some((start, at))
    })
}

/// Word and numbers of a line that is not blank. The numbers are its last fields, and all before is
/// the word, which may hold spaces; but if what stands between the first field and the numbers are
/// numbers too, they are too many.
///
/// # Errors
/// How many numbers there seem to be.
pub(super) fn split(line: &[u8], dimension: usize) -> std::result::Result<(&[u8], &[u8]), usize> {
    let count = fields(line).count();
    if count == dimension && line.first().copied().is_some_and(is_separator) {
        return Ok((&[], line));
    }
    let Some(words) = count.checked_sub(dimension).filter(|&words| words > 0) else {
        return Err(count.saturating_sub(1));
    };
    let (mut first, mut last, mut numbers) = (None, 0, words > 1);
    for (at, (start, end)) in fields(line).take(words).enumerate() {
        first.get_or_insert(start);
        last = end;
        numbers &= at == 0 || read(&line[start..end]).is_some();
    }
    if numbers {
        return Err(count - 1);
    }
    Ok((&line[first.unwrap_or_default()..last], &line[last..]))
}

/// Reads as many fields as `out` has places, however far apart; the sum of their squares.
///
/// # Errors
/// The field that is no number.
pub(super) fn read_apart(numbers: &[u8], out: &mut [f32]) -> std::result::Result<f64, String> {
    let mut squares = 0.0;
    for (at, ((start, end), slot)) in fields(numbers).zip(out).enumerate() {
        let field = &numbers[start..end];
        let value =
            read(field).ok_or_else(|| format!("number {} is `{}`", at + 1, excerpt(field)))?;
        *slot = value;
        squares += f64::from(value) * f64::from(value);
    }
    Ok(squares)
}
