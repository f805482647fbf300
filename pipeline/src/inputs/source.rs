//! Sources: everything that yields blocks, shared by all workers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

use super::archive::{self, Container, ZipMember};
use super::range::read_range;
use super::stream::{Limits, Stream};
use super::{Input, total_bytes};
use crate::error::{Error, Result};
use crate::readers::{Column, Framing, parquet};

/// Identity of a block: the same in every run over the same inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitKey {
    /// Index of the source.
    pub source: u32,
    /// Number of the block within the source.
    pub index: u32,
}

/// A place after which a container cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Offset in the decoded member.
    pub offset: u64,
    /// The decoder's words.
    pub detail: String,
    /// Bytes of the file behind the damage, as far as they are known.
    pub bytes_unread: u64,
}

/// What a block holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// Text, in `bytes`.
    #[default]
    Bytes,
    /// A row group of a Parquet file.
    RowGroup(usize),
}

/// Whole documents of one file or member.
#[derive(Debug, Default)]
pub struct Block {
    /// Identity.
    pub key: UnitKey,
    /// Index of the input file.
    pub input: usize,
    /// What it holds.
    pub content: Content,
    /// Memory of the documents, reused from block to block.
    pub(super) bytes: Vec<u8>,
    /// Where in `bytes` the first document starts.
    pub(super) start: usize,
    /// Offset of the first document in the decoded member.
    pub offset: u64,
    /// Member of an archive.
    pub member: Option<Arc<str>>,
    /// First block of its file or member.
    pub first: bool,
    /// Lines that were passed over before `bytes`.
    pub lines_before: u64,
    /// Offsets of documents that are too long to read.
    pub long_lines: Vec<u64>,
    /// Set when the container cannot be read further.
    pub damage: Option<Damage>,
}

impl Block {
    /// The documents.
    pub fn text(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Forgets everything but the memory, whose content is then meaningless.
    pub(super) fn reset(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        *self = Block {
            key: self.key,
            input: self.input,
            bytes,
            ..Block::default()
        };
    }
}

enum Access {
    Ranges,
    RowGroups,
    Stream(Box<Streamed>),
}

/// A stream, opened by the first worker that wants a block of it, and its next block's number.
struct Streamed {
    member: Option<ZipMember>,
    state: Mutex<Option<(Stream, u32)>>,
}

struct Source {
    input: usize,
    access: Access,
    /// Blocks known ahead; a stream's number shows only at its end.
    blocks: u32,
    next: AtomicU64,
    exhausted: AtomicBool,
    /// Compressed bytes read of a stream.
    consumed: Arc<AtomicU64>,
}

/// All sources of a stage.
pub struct Sources<'i> {
    inputs: &'i [Input],
    limits: Limits,
    list: Vec<Source>,
    /// Bytes of input consumed so far, compressed where it is.
    pub consumed: AtomicU64,
}

impl<'i> Sources<'i> {
    /// Lists the blocks of all inputs as far as they are known ahead.
    ///
    /// # Errors
    /// A file cannot be opened, or a Parquet file is none.
    pub fn new(inputs: &'i [Input], limits: Limits) -> Result<Sources<'i>> {
        let mut list = Vec::new();
        for (at, input) in inputs.iter().enumerate() {
            let framing = input.reader.framing();
            let container = Container::of(&input.path.to_string_lossy());
            let plain = container == Container::Plain && input.encoding.is_none();
            if framing == Framing::Parquet {
                check_columns(input)?;
                let groups =
                    parquet::row_groups(&input.path).map_err(|message| Error::Content {
                        path: input.path.clone(),
                        message,
                    })?;
                list.push(source(at, Access::RowGroups, groups as u32));
            } else if plain && framing == Framing::Lines {
                let blocks = input.bytes.div_ceil(limits.unit_bytes as u64) as u32;
                list.push(source(at, Access::Ranges, blocks));
            } else if container == Container::Zip {
                let wanted = zip_members(input)?;
                list.extend(
                    wanted
                        .into_iter()
                        .map(|member| source(at, stream(member), u32::MAX)),
                );
            } else {
                list.push(source(at, stream(None), u32::MAX));
            }
        }
        Ok(Sources {
            inputs,
            limits,
            list,
            consumed: AtomicU64::new(0),
        })
    }

    /// Bytes of all inputs.
    pub fn total(&self) -> u64 {
        total_bytes(self.inputs)
    }

    /// Fills `block` with the next block that `done` does not know; false when there is none.
    ///
    /// # Errors
    /// The system refuses a read.
    pub fn next(&self, block: &mut Block, done: &dyn Fn(UnitKey) -> bool) -> Result<bool> {
        loop {
            let mut waiting = None;
            for (number, source) in self.list.iter().enumerate() {
                if source.exhausted.load(Ordering::Acquire) {
                    continue;
                }
                match &source.access {
                    Access::Ranges | Access::RowGroups => {
                        if self.next_listed(number, source, block, done)? {
                            return Ok(true);
                        }
                    }
                    Access::Stream(streamed) => match streamed.state.try_lock() {
                        Ok(mut state) => {
                            if self.next_streamed(
                                number,
                                source,
                                streamed.member.as_ref(),
                                &mut state,
                                block,
                                done,
                            )? {
                                return Ok(true);
                            }
                        }
                        Err(TryLockError::WouldBlock) => {
                            waiting = waiting.or(Some(&streamed.state))
                        }
                        Err(TryLockError::Poisoned(_)) => {
                            source.exhausted.store(true, Ordering::Release)
                        }
                    },
                }
            }
            match waiting {
                // Another worker decodes; when it lets go there is a next block, or the end.
                Some(state) => drop(state.lock()),
                None => return Ok(false),
            }
        }
    }

    fn next_listed(
        &self,
        number: usize,
        source: &Source,
        block: &mut Block,
        done: &dyn Fn(UnitKey) -> bool,
    ) -> Result<bool> {
        loop {
            let index = source.next.fetch_add(1, Ordering::Relaxed);
            if index >= u64::from(source.blocks) {
                source.exhausted.store(true, Ordering::Release);
                return Ok(false);
            }
            let key = UnitKey {
                source: number as u32,
                index: index as u32,
            };
            let input = &self.inputs[source.input];
            let bytes = (input.bytes / u64::from(source.blocks)).max(1);
            self.consumed.fetch_add(bytes, Ordering::Relaxed);
            if done(key) {
                continue;
            }
            block.reset();
            (block.key, block.input) = (key, source.input);
            match source.access {
                Access::RowGroups => block.content = Content::RowGroup(index as usize),
                _ => read_range(&input.path, index, self.limits, block)?,
            }
            return Ok(true);
        }
    }

    fn next_streamed(
        &self,
        number: usize,
        source: &Source,
        member: Option<&ZipMember>,
        state: &mut Option<(Stream, u32)>,
        block: &mut Block,
        done: &dyn Fn(UnitKey) -> bool,
    ) -> Result<bool> {
        let input = &self.inputs[source.input];
        if source.exhausted.load(Ordering::Acquire) {
            return Ok(false);
        }
        if state.is_none() {
            let members = archive::open(&input.path, member, &source.consumed)
                .map_err(Error::input(&input.path))?;
            let framing = input.reader.framing();
            *state = Some((
                Stream::new(
                    members,
                    input.members.clone(),
                    input.encoding,
                    framing,
                    self.limits,
                ),
                0,
            ));
        }
        let (stream, index) = state.as_mut().expect("opened above");
        loop {
            let before = source.consumed.load(Ordering::Relaxed);
            let more = stream.next(block);
            let read = source.consumed.load(Ordering::Relaxed) - before;
            self.consumed.fetch_add(read, Ordering::Relaxed);
            if !more {
                source.exhausted.store(true, Ordering::Release);
                return Ok(false);
            }
            (block.key, block.input) = (
                UnitKey {
                    source: number as u32,
                    index: *index,
                },
                source.input,
            );
            *index += 1;
            if let Some(damage) = &mut block.damage {
                let size = member.map_or(input.bytes, ZipMember::packed_bytes);
                damage.bytes_unread = size.saturating_sub(source.consumed.load(Ordering::Relaxed));
            }
            if !done(block.key) {
                return Ok(true);
            }
        }
    }
}

/// The members of a zip that the plan wants. A torn zip has no directory: it is one source, read by
/// the headers of its members.
fn zip_members(input: &Input) -> Result<Vec<Option<ZipMember>>> {
    let wrong = |message: String| Error::Content {
        path: input.path.clone(),
        message,
    };
    match archive::zip_members(&input.path, input.members.as_ref()) {
        Ok(members) => match &input.members {
            Some(wanted) if members.is_empty() => Err(wrong(format!("no member fits `{wanted}`"))),
            _ => Ok(members.into_iter().map(Some).collect()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
            Err(wrong(error.to_string()))
        }
        Err(_) => Ok(vec![None]),
    }
}

/// A column that a Parquet file lacks is the plan's mistake, not a bad row.
fn check_columns(input: &Input) -> Result<()> {
    let bad = |message| Error::Content {
        path: input.path.clone(),
        message,
    };
    let there = parquet::column_names(&input.path).map_err(bad)?;
    let lacks = |column: &&Column| !there.iter().any(|(name, _)| *name == column.name);
    match input.reader.columns().iter().find(lacks) {
        None => Ok(()),
        Some(column) => {
            let names: Vec<&str> = there.iter().map(|(name, _)| name.as_str()).collect();
            Err(bad(format!(
                "no column `{}`; the file's columns are {}",
                column.name,
                names.join(", ")
            )))
        }
    }
}

fn source(input: usize, access: Access, blocks: u32) -> Source {
    Source {
        input,
        access,
        blocks,
        next: AtomicU64::new(0),
        exhausted: AtomicBool::new(false),
        consumed: Arc::new(AtomicU64::new(0)),
    }
}

fn stream(member: Option<ZipMember>) -> Access {
    Access::Stream(Box::new(Streamed {
        member,
        state: Mutex::new(None),
    }))
}
