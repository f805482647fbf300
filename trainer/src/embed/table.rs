//! Lines and tables of text: one text a line, or a column of TSV or CSV.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// No text is longer; a file without line breaks must not fill the memory.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// What stands between the fields of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// Fields between tabs, nothing quoted.
    Tab,
    /// RFC 4180: fields between commas, quoted where they hold a comma, a doubled quote or a line
    /// break.
    Comma,
}

/// A file of lines.
#[derive(Clone, Debug)]
pub struct Lines {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Where the text of a line is; without it the line is the text.
    pub column: Option<(Separator, String)>,
}

/// The lines of an open file.
struct Reader<'r> {
    path: &'r Path,
    input: BufReader<File>,
    /// Number of the last line, from 1.
    line: u64,
    read: &'r AtomicU64,
}

impl Lines {
    /// Calls `visit` with each text until it says false; whether it never did. `read` counts bytes.
    ///
    /// # Errors
    /// The file and the line: not UTF-8, no such column, stray quotes.
    pub fn each(
        &self,
        read: &AtomicU64,
        visit: &mut dyn FnMut(&str) -> Result<bool>,
    ) -> Result<bool> {
        let file = File::open(&self.path).map_err(Error::input(&self.path))?;
        let mut reader = Reader {
            path: &self.path,
            input: BufReader::with_capacity(1 << 18, file),
            line: 0,
            read,
        };
        let mut line = Vec::new();
        let Some((separator, name)) = &self.column else {
            while reader.next(&mut line)? {
                if !visit(reader.text(&line)?)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        };
        let mut column = name.parse::<usize>().ok().map(|number| number - 1);
        while reader.record(*separator, &mut line)? {
            let fields = split(*separator, reader.text(&line)?);
            let fields = fields.map_err(|message| reader.wrong(&message))?;
            let Some(at) = column else {
                column = Some(reader.find(&fields, name)?);
                continue;
            };
            let field = fields.get(at).ok_or_else(|| {
                let (found, wanted) = (fields.len(), at + 1);
                reader.wrong(&format!("{found} fields; column {wanted} is wanted"))
            })?;
            if !visit(field)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Refuses what cannot be the name or the number of a column.
    ///
    /// # Errors
    /// What is accepted.
    pub fn check(&self) -> Result<()> {
        match &self.column {
            Some((_, name)) if name.parse() == Ok(0usize) => Err(Error::Usage(format!(
                "--column 0: columns of {} are named, or counted from 1",
                self.path.display()
            ))),
            _ => Ok(()),
        }
    }
}

impl Reader<'_> {
    /// Reads a line without its end; false after the last.
    fn next(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        line.clear();
        let more = self.append(line)?;
        if self.line == 1 && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        Ok(more)
    }

    fn append(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        let before = line.len();
        let mut limited = (&mut self.input).take(LINE_BYTES_MAX);
        let found = limited.read_until(b'\n', line);
        let found = found.map_err(Error::input(self.path))?;
        if found == 0 {
            return Ok(false);
        }
        self.line += 1;
        self.read.fetch_add(found as u64, Ordering::Relaxed);
        if found as u64 == LINE_BYTES_MAX || line.len() as u64 > LINE_BYTES_MAX {
            return Err(self.wrong("longer than 64 MiB; is this a file with one text a line?"));
        }
        if line[before..].ends_with(b"\n") {
            line.pop();
            if line[before..].ends_with(b"\r") {
                line.pop();
            }
        }
        Ok(true)
    }

    /// Reads a record: a line, and with quotes those after it up to the closing quote.
    fn record(&mut self, separator: Separator, record: &mut Vec<u8>) -> Result<bool> {
        if !self.next(record)? {
            return Ok(false);
        }
        let first = self.line;
        let open = |record: &[u8]| memchr::memchr_iter(b'"', record).count() % 2 == 1;
        while separator == Separator::Comma && open(record) {
            record.push(b'\n');
            if !self.append(record)? {
                self.line = first;
                return Err(self.wrong("a quote is opened here and never closed"));
            }
        }
        Ok(true)
    }

    fn text<'l>(&self, line: &'l [u8]) -> Result<&'l str> {
        std::str::from_utf8(line).map_err(|error| {
            let place = error.valid_up_to();
            self.wrong(&format!("byte {place} of the line is not UTF-8"))
        })
    }

    /// The number of a column by its name in the header.
    fn find(&self, header: &[Cow<str>], name: &str) -> Result<usize> {
        let place = header.iter().position(|field| field == name);
        place.ok_or_else(|| {
            let names = header.join("`, `");
            let accepted = "accepted are these, or a number from 1 where there is no header";
            self.wrong(&format!("no column `{name}` in `{names}`; {accepted}"))
        })
    }

    fn wrong(&self, message: &str) -> Error {
        let (path, line) = (self.path.display(), self.line);
        Error::Usage(format!("{path}: line {line}: {message}"))
    }
}

/// The fields of a record.
fn split(separator: Separator, record: &str) -> std::result::Result<Vec<Cow<'_, str>>, String> {
    if separator == Separator::Tab {
        return Ok(record.split('\t').map(Cow::Borrowed).collect());
    }
    let (mut fields, mut rest) = (Vec::new(), record);
    loop {
        let after = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                fields.push(Cow::Borrowed(&rest[..end]));
                &rest[end..]
            }
            Some(quoted) => {
                let end = closing(quoted).ok_or("a quote is never closed")?;
                fields.push(match quoted[..end].contains('"') {
                    true => Cow::Owned(quoted[..end].replace("\"\"", "\"")),
                    false => Cow::Borrowed(&quoted[..end]),
                });
                &quoted[end + 1..]
            }
        };
        if after.is_empty() {
            return Ok(fields);
        }
        let number = fields.len();
        rest = after.strip_prefix(',').ok_or_else(|| {
            format!("field {number}: characters after the closing quote; a comma is wanted")
        })?;
    }
}

/// Where the quote is that closes a field; doubled ones are part of it.
fn closing(quoted: &str) -> Option<usize> {
    let bytes = quoted.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr(b'"', &bytes[at..])?;
        match bytes.get(at + 1) {
            Some(b'"') => at += 2,
            _ => return Some(at),
        }
    }
}
