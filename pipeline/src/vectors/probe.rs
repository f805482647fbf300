//! A first look at a file: what it holds, by its first bytes and its name.

use super::open::Decoded;
use super::rows::{ROW_BYTES_MAX, excerpt};
use super::text::{MARK, fields, read_apart, split, trimmed};
use super::{Format, Header, VectorFile, binary, npy};
use crate::error::{Error, Result};

/// Bytes that are looked at.
const HEAD_BYTES: usize = 1 << 20;
/// Lines that are looked at.
const LINES: usize = 1_000;
/// Largest dimension, so that a wrong header takes no memory.
pub(super) const DIMENSION_MAX: usize = 1 << 16;

const ACCEPTED: &str = "accepted values of `format` are auto, text, binary, npy";

/// What a file holds.
pub(super) struct Found {
    pub(super) header: Header,
    pub(super) layout: Layout,
    /// Name of the member that holds it.
    pub(super) member: Option<String>,
}

/// How the rows are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Lines; the first may be a header.
    Text { header: bool },
    /// word2vec binary, whose rows begin at `start`.
    Binary { start: usize },
    /// A NumPy matrix.
    Npy(npy::Matrix),
}

impl Layout {
    fn format(self) -> Format {
        match self {
            Layout::Text { .. } => Format::Text,
            Layout::Binary { .. } => Format::Binary,
            Layout::Npy(_) => Format::Npy,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Layout::Text { .. } => "word2vec text",
            Layout::Binary { .. } => "word2vec binary",
            Layout::Npy(_) => "a NumPy matrix",
        }
    }
}

/// Looks at a file.
pub(super) fn look(file: &VectorFile) -> Result<Found> {
    let wrong = |message: String| Error::Content {
        path: file.path.clone(),
        message,
    };
    let mut decoded = Decoded::open(&file.path, file.members.as_ref())?;
    let (mut head, mut len) = (Vec::new(), HEAD_BYTES);
    let whole = loop {
        match decoded.fill(&mut head, len) {
            Ok(true) if len < ROW_BYTES_MAX && lines(&head, false).nth(1).is_none() => len *= 2,
            Ok(more) => break !more,
            // Reading meets the damage again and says where it is, if there is something to read.
            Err(_) if lines(&head, false).nth(1).is_some() => break false,
            Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
        }
    };
    let name = decoded
        .member
        .clone()
        .unwrap_or_else(|| file.path.to_string_lossy().into_owned());
    let place = decoded
        .member
        .as_ref()
        .map_or(String::new(), |name| format!("member `{name}`: "));
    let wrong = |message: String| wrong(place.clone() + &message);
    let (header, layout) =
        detect(&head, whole).map_err(|found| wrong(format!("{found}; {ACCEPTED}")))?;
    let format = match file.format {
        Format::Auto if name.to_ascii_lowercase().ends_with(".npy") => Format::Npy,
        other => other,
    };
    if format != Format::Auto && format != layout.format() {
        return Err(wrong(format!(
            "`format` is `{}`{}, but the file holds {}, dimension {}; {ACCEPTED}",
            format.name(),
            if format == file.format {
                ""
            } else {
                " by the file's name"
            },
            layout.describe(),
            header.dimension
        )));
    }
    match (layout, &file.words) {
        (Layout::Npy(_), None) => Err(wrong(
            "a NumPy matrix has no words: `vector_words` must name a file with one word a line"
                .into(),
        )),
        (Layout::Text { .. } | Layout::Binary { .. }, Some(_)) => Err(wrong(format!(
            "holds {} with its own words: `vector_words` is for a NumPy matrix",
            layout.describe()
        ))),
        _ => Ok(Found {
            header,
            layout,
            member: decoded.member,
        }),
    }
}

/// What the first bytes of a file are, or what is wrong with them.
fn detect(head: &[u8], whole: bool) -> std::result::Result<(Header, Layout), String> {
    const PACKED: [(&[u8], &str); 3] = [
        (b"\x1f\x8b", ".gz"),
        (b"\x28\xb5\x2f\xfd", ".zst"),
        (b"PK\x03\x04", ".zip"),
    ];
    if head.is_empty() {
        return Err("the file is empty".into());
    }
    if head.starts_with(npy::MAGIC) {
        let matrix = npy::matrix(head)?;
        return Ok((matrix.header, Layout::Npy(matrix)));
    }
    if let Some((_, ending)) = PACKED.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(format!(
            "holds packed bytes, but its name does not end in `{ending}`"
        ));
    }
    let text = head.strip_prefix(MARK).unwrap_or(head);
    let mut lines_found = lines(text, whole);
    let first = lines_found.next().unwrap_or_default();
    let Some(header) = rows_and_dimension(first)? else {
        let dimension = dimension_of(lines(text, whole))
            .filter(|&dimension| lines(text, whole).any(|line| fits(line, dimension)));
        let dimension = dimension.ok_or("holds no word vectors: neither a header `rows dimension` nor lines of a word and numbers")?;
        let header = checked(None, dimension)?;
        return Ok((header, Layout::Text { header: false }));
    };
    let rows = || lines(text, whole).skip(1);
    let start = head
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(head.len(), |at| at + 1);
    // Without any row nothing contradicts the header; their number is for the reading to judge.
    let blank = head[start..].iter().all(u8::is_ascii_whitespace);
    if blank || rows().any(|line| fits(line, header.dimension)) {
        return Ok((header, Layout::Text { header: true }));
    }
    let garbled = !is_text(&head[start..]);
    if garbled && binary::plausible(&head[start..], header.dimension) {
        return Ok((header, Layout::Binary { start }));
    }
    let Header {
        rows: said,
        dimension,
    } = header;
    let said = format!("the header `{} {dimension}`", said.unwrap_or_default());
    match dimension_of(rows()) {
        _ if garbled => Err(format!(
            "after {said} come neither lines of a word and {dimension} numbers nor words with so \
             many binary numbers: the dimension is likely wrong"
        )),
        Some(found) if rows().any(|line| fits(line, found)) => Err(format!(
            "after {said} come rows of {found} numbers: the header's dimension is wrong"
        )),
        _ => Err(format!(
            "after {said} comes no row of a word and {dimension} numbers, but `{}`",
            excerpt(rows().next().unwrap_or_default())
        )),
    }
}

/// The first lines that are not blank; of a head that is not the whole file, only whole ones.
fn lines(text: &[u8], whole: bool) -> impl Iterator<Item = &[u8]> {
    let end = match whole {
        true => text.len(),
        false => memchr::memrchr(b'\n', text).unwrap_or(0),
    };
    let lines = text[..end].split(|&byte| byte == b'\n').map(trimmed);
    lines.filter(|line| !line.is_empty()).take(LINES)
}

/// A line of two whole numbers is a header.
fn rows_and_dimension(line: &[u8]) -> std::result::Result<Option<Header>, String> {
    let number = |(start, end): (usize, usize)| -> Option<u64> {
        std::str::from_utf8(&line[start..end]).ok()?.parse().ok()
    };
    let mut found = fields(line).map(number);
    match (found.next(), found.next(), found.next()) {
        (Some(Some(rows)), Some(Some(dimension)), None) => {
            checked(Some(rows), usize::try_from(dimension).unwrap_or(usize::MAX)).map(Some)
        }
        _ => Ok(None),
    }
}

/// A header with a dimension that can be.
pub(super) fn checked(rows: Option<u64>, dimension: usize) -> std::result::Result<Header, String> {
    match dimension {
        1..=DIMENSION_MAX => Ok(Header { rows, dimension }),
        _ => Err(format!(
            "a dimension of {dimension} is not within 1 to {DIMENSION_MAX}"
        )),
    }
}

/// The number of numbers that most lines have, so that one odd line decides nothing.
fn dimension_of<'t>(lines: impl Iterator<Item = &'t [u8]>) -> Option<usize> {
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for line in lines {
        let dimension = fields(line).count() - 1;
        match counts.iter_mut().find(|(known, _)| *known == dimension) {
            Some((_, count)) => *count += 1,
            None => counts.push((dimension, 1)),
        }
    }
    // Of equal counts the first in the file.
    let most = counts.iter().rev().max_by_key(|(_, count)| *count)?;
    (most.0 > 0).then_some(most.0)
}

/// True for a word and so many numbers.
fn fits(line: &[u8], dimension: usize) -> bool {
    let mut out = vec![0.0; dimension];
    split(line, dimension).is_ok_and(|(_, numbers)| read_apart(numbers, &mut out).is_ok())
}

/// True if nothing stands here that no text holds; the last character may be cut.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid && !bytes.iter().any(|&byte| is_control(byte))
}

/// Bytes of no text.
pub(super) fn is_control(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r') || byte == 0x7f
}
