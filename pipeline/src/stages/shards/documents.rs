//! From the bytes of a block to its documents, each with offset and line.

use memchr::{memchr_iter, memchr2_iter};

use crate::readers::Framing;

/// One document as it stands in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// Offset from the start of the block.
    pub offset: usize,
    /// Line from the start of the block, from 0.
    pub line: u64,
    /// The bytes, without the line end.
    pub bytes: &'a [u8],
}

/// Calls `visit` with every document that is not blank; gives the number of lines.
pub fn visit<'a>(framing: Framing, block: &'a [u8], mut visit: impl FnMut(Raw<'a>)) -> u64 {
    match framing {
        Framing::Lines | Framing::Parquet => {
            let (mut start, mut line) = (0, 0);
            for end in memchr_iter(b'\n', block).chain(unterminated(block)) {
                offer(block, start, end, line, &mut visit);
                (start, line) = (end + 1, line + 1);
            }
            line
        }
        Framing::QuotedLines => {
            let (mut start, mut first_line, mut line, mut quoted) = (0, 0, 0, false);
            for at in memchr2_iter(b'"', b'\n', block).chain(unterminated(block)) {
                if block.get(at) == Some(&b'"') {
                    quoted = !quoted;
                    continue;
                }
                line += 1;
                if !quoted || at == block.len() {
                    offer(block, start, at, first_line, &mut visit);
                    (start, first_line) = (at + 1, line);
                }
            }
            line
        }
        Framing::Paragraphs => {
            let (mut start, mut first_line, mut line, mut line_start) = (0, 0, 0, 0);
            for end in memchr_iter(b'\n', block).chain(unterminated(block)) {
                if block[line_start..end].iter().all(u8::is_ascii_whitespace) {
                    offer(
                        block,
                        start,
                        line_start.saturating_sub(1).max(start),
                        first_line,
                        &mut visit,
                    );
                    (start, first_line) = (end + 1, line + 1);
                }
                (line_start, line) = (end + 1, line + 1);
            }
            offer(
                block,
                start.min(block.len()),
                block.len(),
                first_line,
                &mut visit,
            );
            line
        }
    }
}

/// The end of a last line that has no line break.
fn unterminated(block: &[u8]) -> Option<usize> {
    (!block.is_empty() && block.last() != Some(&b'\n')).then_some(block.len())
}

fn offer<'a>(
    block: &'a [u8],
    start: usize,
    end: usize,
    line: u64,
    visit: &mut impl FnMut(Raw<'a>),
) {
    let bytes = &block[start..end];
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    if !bytes.iter().all(u8::is_ascii_whitespace) {
        visit(Raw {
            offset: start,
            line,
            bytes,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Framing, visit};

    fn found(framing: Framing, text: &str) -> (Vec<(usize, u64, String)>, u64) {
        let mut all = Vec::new();
        let lines = visit(framing, text.as_bytes(), |raw| {
            all.push((
                raw.offset,
                raw.line,
                String::from_utf8_lossy(raw.bytes).into_owned(),
            ));
        });
        (all, lines)
    }

    #[test]
    fn lines_with_offsets() {
        let (documents, lines) = found(Framing::Lines, "a\r\n\n  \nbc\nd");
        assert_eq!(
            documents,
            [(0, 0, "a".into()), (7, 3, "bc".into()), (10, 4, "d".into())]
        );
        assert_eq!(lines, 5);
        assert_eq!(found(Framing::Lines, ""), (vec![], 0));
    }

    #[test]
    fn quoted_line_breaks_belong_to_the_document() {
        let (documents, lines) = found(Framing::QuotedLines, "a,\"b\nc\"\nd,\"e\"\"\n\"\nf");
        assert_eq!(
            documents,
            [
                (0, 0, "a,\"b\nc\"".into()),
                (8, 2, "d,\"e\"\"\n\"".into()),
                (17, 4, "f".into())
            ]
        );
        assert_eq!(lines, 5);
    }

    #[test]
    fn paragraphs_are_separated_by_blank_lines() {
        let (documents, lines) = found(Framing::Paragraphs, "\na\nb\n\n \nc\r\n\r\nd");
        assert_eq!(
            documents,
            [
                (1, 1, "a\nb".into()),
                (8, 5, "c".into()),
                (13, 7, "d".into())
            ]
        );
        assert_eq!(lines, 8);
    }
}
