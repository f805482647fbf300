//! One unit of input: documents read, cut, filtered and sorted into a spill file's bytes.

use juzi_schemas::dataset::FileWriter;
use juzi_schemas::dropped::Reason;
use juzi_schemas::random::Order;
use memchr::memchr;
use xxhash_rust::xxh3::xxh3_64;

use super::documents::{self, Raw};
use super::identity::Identity;
use super::pieces::{Cutter, Scratch};
use super::records::{Origin, Records, shortened};
use super::sorter::Sorter;
use super::spill::{Counts, SpillDrop, UnitNote};
use crate::error::Result;
use crate::inputs::{Block, Content, Input};
use crate::plan::Plan;
use crate::readers::{Document, Reader, parquet};
use crate::text::filters::Filters;
use crate::text::leaks::LeakGate;

/// Bad documents of a unit that are shown as examples.
const EXAMPLES: usize = 3;

/// What all workers share.
pub struct Tools<'p> {
    /// The plan.
    pub plan: &'p Plan,
    /// Cleaning and splitting.
    pub cutter: Cutter,
    /// What is kept.
    pub filters: Filters,
    /// Evaluation texts to keep out.
    pub gate: Option<LeakGate>,
}

/// One worker's memory.
pub struct UnitWorker<'p> {
    tools: &'p Tools<'p>,
    sorter: Sorter,
    scratch: Scratch,
    records: Records,
    examples: Vec<String>,
    base: u64,
}

impl<'p> UnitWorker<'p> {
    /// A worker of a plan.
    pub fn new(tools: &'p Tools<'p>) -> UnitWorker<'p> {
        let identity = Identity::new(tools.plan.shards.profile);
        UnitWorker {
            tools,
            sorter: Sorter::new(Order::new(tools.plan.seed), identity),
            scratch: Scratch::default(),
            examples: Vec::new(),
            base: 0,
            records: Records::default(),
        }
    }

    /// Works through a block and writes its spill file.
    ///
    /// # Errors
    /// The spill file cannot be written.
    pub fn run(&mut self, block: &Block, input: &Input, out: &mut FileWriter) -> Result<UnitNote> {
        self.records.counts = Counts::default();
        self.base = block.offset;
        let (lines, broken) = match block.content {
            Content::RowGroup(group) => self.row_group(group, input),
            Content::Bytes => (self.text(block, input), None),
        };
        for &offset in &block.long_lines {
            let detail = format!("longer than {}", self.tools.plan.shards.line_bytes_max);
            self.bad_document(
                Reason::LineTooLong,
                offset.saturating_sub(block.offset),
                lines,
                &detail,
                offset,
            );
        }
        if let Some(damage) = &block.damage {
            let offset = damage.offset.saturating_sub(block.offset);
            self.bad_document(
                Reason::DamagedContainer,
                offset,
                lines,
                &damage.detail,
                damage.offset,
            );
        }
        let mut counts = std::mem::take(&mut self.records.counts);
        counts.bytes_unread = block
            .damage
            .as_ref()
            .map_or(0, |damage| damage.bytes_unread);
        let table_bytes = self
            .sorter
            .finish(out, &mut counts)
            .map_err(juzi_schemas::Error::io(out.path()))?;
        Ok(UnitNote {
            unit: (block.key.source, block.key.index),
            input: block.input,
            member: block.member.as_deref().map(String::from),
            offset: block.offset,
            lines: lines + block.lines_before + block.long_lines.len() as u64,
            table_bytes,
            counts,
            damage: block
                .damage
                .as_ref()
                .map(|damage| format!("at byte {}: {}", damage.offset, damage.detail))
                .or(broken),
            examples: std::mem::take(&mut self.examples),
        })
    }

    fn text(&mut self, block: &Block, input: &Input) -> u64 {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        let whole = block.text();
        let text = if block.first {
            whole.strip_prefix(MARK).unwrap_or(whole)
        } else {
            whole
        };
        let skipped = whole.len() - text.len();
        let valid = simdutf8::basic::from_utf8(text).is_ok();
        let no_nul = memchr(0, text).is_none();
        let reader = input.reader.as_ref();
        let mut document = Document::default();
        let mut header_possible = block.first;
        documents::visit(reader.framing(), text, |raw| {
            let raw = Raw {
                offset: raw.offset + skipped,
                ..raw
            };
            if std::mem::take(&mut header_possible)
                && simdutf8::basic::from_utf8(raw.bytes).is_ok_and(|line| reader.is_header(line))
            {
                return;
            }
            let line_bytes_max = self.tools.plan.shards.line_bytes_max;
            if raw.bytes.len() as u64 > line_bytes_max.0 {
                let detail = format!("longer than {line_bytes_max}");
                let place = self.base + raw.offset as u64;
                self.bad_document(
                    Reason::LineTooLong,
                    raw.offset as u64,
                    raw.line,
                    &detail,
                    place,
                );
                return;
            }
            self.records.counts.bytes += raw.bytes.len() as u64;
            if !no_nul && memchr(0, raw.bytes).is_some() {
                let detail = String::from_utf8_lossy(raw.bytes);
                self.bad_document(
                    Reason::NulByte,
                    raw.offset as u64,
                    raw.line,
                    &detail,
                    xxh3_64(raw.bytes),
                );
                return;
            }
            let line = if valid {
                // SAFETY: the block is valid UTF-8 and documents are cut at ASCII bytes.
                Ok(unsafe { std::str::from_utf8_unchecked(raw.bytes) })
            } else {
                simdutf8::compat::from_utf8(raw.bytes)
            };
            match line {
                Ok(line) => self.line(reader, line, raw, input, &mut document),
                Err(error) => {
                    let detail = format!("byte {} of the document", error.valid_up_to());
                    self.bad_document(
                        Reason::InvalidUtf8,
                        raw.offset as u64,
                        raw.line,
                        &detail,
                        xxh3_64(raw.bytes),
                    );
                }
            }
        })
    }

    fn line<'a>(
        &mut self,
        reader: &dyn Reader,
        line: &'a str,
        raw: Raw<'a>,
        input: &Input,
        document: &mut Document<'a>,
    ) {
        document.clear(reader.columns().len());
        let origin = Origin {
            hash: xxh3_64(raw.bytes),
            offset: raw.offset as u64,
            line: raw.line,
        };
        match reader.read(line, document) {
            Ok(()) => self.document(document, origin, input),
            Err(reject) => self.bad_document(
                reject.reason,
                origin.offset,
                origin.line,
                &reject.detail,
                origin.hash,
            ),
        }
    }

    /// Rows of a row group, and why it cannot be read further.
    fn row_group(&mut self, group: usize, input: &Input) -> (u64, Option<String>) {
        let columns = input.reader.columns();
        let (mut document, mut rows, mut key) = (Document::default(), 0, Vec::new());
        let read = parquet::read_row_group(&input.path, group, columns, |row, result, values| {
            key.clear();
            values.iter().for_each(|value| {
                key.extend_from_slice(value.as_bytes());
                key.push(0x1f);
            });
            rows += 1;
            self.records.counts.bytes += key.len() as u64;
            let origin = Origin {
                hash: xxh3_64(&key),
                offset: row,
                line: row,
            };
            match result {
                Err(reject) => {
                    self.bad_document(reject.reason, row, row, &reject.detail, origin.hash)
                }
                Ok(()) => {
                    document.clear(columns.len());
                    for (column, value) in document.columns.iter_mut().zip(values) {
                        *column = value.to_string().into();
                    }
                    self.document(&document, origin, input);
                }
            }
        });
        if let Err(message) = read {
            let hash = xxh3_64(format!("{} {group}", input.name).as_bytes());
            // The ledger names files, never paths.
            let detail = message.replace(&input.path.display().to_string(), &input.name);
            self.bad_document(Reason::DamagedContainer, rows, rows, &detail, hash);
            return (rows, Some(detail));
        }
        (rows, None)
    }

    /// Makes the records of one document.
    fn document(&mut self, document: &Document<'_>, origin: Origin, input: &Input) {
        let UnitWorker {
            tools,
            sorter,
            scratch,
            records,
            ..
        } = self;
        records.counts.documents += 1;
        let before = records.counts.records;
        let key = |column: Option<usize>| {
            column
                .map(|column| document.columns[column].as_ref())
                .filter(|key| !key.is_empty())
        };
        let (topic, group) = (
            key(input.reader.topic_column()),
            key(input.reader.group_column()),
        );
        for view in &tools.plan.corpora[usize::from(input.corpus)].views {
            tools.cutter.cut(view, document, scratch, |candidate| {
                records.take(tools, sorter, &candidate, origin, topic, group);
            });
        }
        if records.counts.records == before {
            records.counts.documents -= 1;
            self.bad_document(
                Reason::Empty,
                origin.offset,
                origin.line,
                "no text in any column that a view uses",
                origin.hash,
            );
        }
    }

    fn bad_document(&mut self, reason: Reason, offset: u64, line: u64, detail: &str, hash: u64) {
        let counts = &mut self.records.counts;
        counts.documents += 1;
        counts.documents_dropped += 1;
        counts.drop(reason);
        if self.examples.len() < EXAMPLES && reason.is_bad_input() {
            self.examples.push(format!(
                "byte {}: {}: {}",
                self.base + offset,
                reason.name(),
                shortened(detail)
            ));
        }
        let detail = Some(shortened(detail));
        let drop = SpillDrop {
            reason,
            offset,
            line: Some(line),
            keeper: None,
            detail,
        };
        self.sorter.push_drop(&drop, hash, 0);
    }
}
