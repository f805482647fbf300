//! Texts on disk, each with its words and its terms, any of which is one read away.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use juzi_schemas::dataset::{DatasetWriter, Durability, FileWriter};
use juzi_schemas::rows_hash::RowsHash;

use crate::error::{Error, Result};

/// Bytes that are collected before they are written.
const BUFFER: usize = 1 << 20;

/// Bytes before a record's text: the lengths of its three parts.
const HEAD: usize = 12;

/// Texts on their way to disk.
pub struct StoreWriter {
    file: FileWriter,
    place: PathBuf,
    buffer: Vec<u8>,
}

impl StoreWriter {
    /// Starts a scratch file.
    ///
    /// # Errors
    /// The disk.
    pub fn new(writer: &DatasetWriter, name: &str) -> Result<StoreWriter> {
        Ok(StoreWriter {
            file: writer.create(name)?,
            place: writer.dir().join(name),
            buffer: Vec::with_capacity(BUFFER * 2),
        })
    }

    /// Appends a text with the lengths of its words and its terms.
    ///
    /// # Errors
    /// The disk.
    pub fn push(&mut self, text: &str, lengths: &[u16], terms: &[u32]) -> Result<()> {
        let buffer = &mut self.buffer;
        for length in [text.len(), lengths.len(), terms.len()] {
            buffer.extend_from_slice(&(length as u32).to_le_bytes());
        }
        buffer.extend_from_slice(text.as_bytes());
        buffer.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
        buffer.extend(terms.iter().flat_map(|term| term.to_le_bytes()));
        match buffer.len() >= BUFFER {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        let written = self.file.write_all(&self.buffer);
        written.map_err(juzi_schemas::Error::io(&self.place))?;
        self.buffer.clear();
        Ok(())
    }

    /// Commits the file.
    ///
    /// # Errors
    /// The disk.
    pub fn commit(mut self, writer: &DatasetWriter) -> Result<()> {
        self.flush()?;
        let rows = RowsHash::default();
        writer.commit(
            self.file,
            Durability::Scratch,
            rows,
            serde_json::Value::Null,
        )?;
        Ok(())
    }
}

enum Bytes {
    Held(Vec<u8>),
    File(File),
}

/// Texts by number.
pub struct Store {
    bytes: Bytes,
    starts: Vec<u64>,
    path: PathBuf,
}

/// A text with its words and terms.
#[derive(Clone, Copy)]
pub struct Record<'r> {
    /// The text.
    pub text: &'r str,
    lengths: &'r [u8],
    terms: &'r [u8],
}

impl Record<'_> {
    /// Lengths of its words in characters.
    pub fn lengths(&self) -> impl Iterator<Item = u16> {
        let pairs = self.lengths.as_chunks::<2>().0.iter();
        pairs.map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// Its terms, sorted; they repeat.
    pub fn terms(&self) -> impl Iterator<Item = u32> {
        let fours = self.terms.as_chunks::<4>().0.iter();
        fours.map(|bytes| u32::from_le_bytes(*bytes))
    }
}

/// The lengths in a record's head: of the text, the words and the terms, in bytes.
fn parts(head: &[u8; HEAD]) -> [usize; 3] {
    let number = |at: usize| {
        let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
        u32::from_le_bytes(bytes) as usize
    };
    [number(0), number(4) * 2, number(8) * 4]
}

impl Store {
    /// Opens a committed file; it is held in memory when it has at most `held_max` bytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(path: &Path, held_max: u64) -> Result<Store> {
        let failed = |error| Error::input(path)(error);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut starts = vec![0];
        let mut at = 0;
        let mut reader = BufReader::with_capacity(BUFFER, &file);
        let mut head = [0; HEAD];
        while at < length {
            reader.read_exact(&mut head).map_err(failed)?;
            let rest: usize = parts(&head).iter().sum();
            reader.seek_relative(rest as i64).map_err(failed)?;
            at += (HEAD + rest) as u64;
            starts.push(at);
        }
        let bytes = match length <= held_max {
            true => Bytes::Held(std::fs::read(path).map_err(failed)?),
            false => Bytes::File(file),
        };
        Ok(Store {
            bytes,
            starts,
            path: path.into(),
        })
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// A text; `buffer` holds it where the file is not in memory.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn record<'r>(&'r self, number: u32, buffer: &'r mut Vec<u8>) -> Result<Record<'r>> {
        let number = number as usize;
        let (start, end) = (self.starts[number], self.starts[number + 1]);
        let bytes = match &self.bytes {
            Bytes::Held(bytes) => &bytes[start as usize..end as usize],
            Bytes::File(file) => {
                buffer.resize((end - start) as usize, 0);
                file.read_exact_at(buffer, start)
                    .map_err(Error::input(&self.path))?;
                buffer
            }
        };
        let parsed = bytes.split_first_chunk::<HEAD>().and_then(|(head, rest)| {
            let [text, lengths, _] = parts(head);
            let (text, rest) = rest.split_at_checked(text)?;
            let (lengths, terms) = rest.split_at_checked(lengths)?;
            let text = std::str::from_utf8(text).ok()?;
            Some(Record {
                text,
                lengths,
                terms,
            })
        });
        parsed.ok_or_else(|| Error::Content {
            path: self.path.clone(),
            message: "no list of texts; delete the unfinished dataset".into(),
        })
    }

    /// The terms of a text, into `terms`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn terms(&self, number: u32, buffer: &mut Vec<u8>, terms: &mut Vec<u32>) -> Result<()> {
        terms.clear();
        terms.extend(self.record(number, buffer)?.terms());
        Ok(())
    }
}
