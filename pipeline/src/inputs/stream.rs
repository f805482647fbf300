//! A stream: a container that can only be read from its start, cut into blocks as it goes.

use std::io;
use std::sync::Arc;

use encoding_rs::{Decoder, DecoderResult, Encoding};
use memchr::{memchr, memchr_iter, memchr2_iter, memmem, memrchr};

use super::archive::Members;
use super::source::{Block, Damage};
use crate::readers::Framing;

/// Bounds that decide where blocks end; they come from the plan and so never vary between runs.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes after which a block ends at the next document.
    pub unit_bytes: usize,
    /// Longest document; a longer one is dropped.
    pub line_bytes_max: usize,
}

/// The state between two blocks.
pub struct Stream {
    members: Box<dyn Members>,
    wanted: Option<glob::Pattern>,
    framing: Framing,
    limits: Limits,
    carry: Vec<u8>,
    offset: u64,
    member: Option<Arc<str>>,
    open: bool,
    first: bool,
    done: bool,
    /// Met behind bytes that are still to be handed out.
    broken: Option<io::Error>,
}

/// Bytes that are read at a time to find the end of an over-long document.
const PASSED_BYTES: usize = 1 << 16;

enum Filled {
    Full,
    End,
    Broken(io::Error),
}

impl Stream {
    /// A stream over a container.
    pub fn new(
        members: Box<dyn Members>,
        wanted: Option<glob::Pattern>,
        encoding: Option<&'static Encoding>,
        framing: Framing,
        limits: Limits,
    ) -> Stream {
        let members: Box<dyn Members> = match encoding {
            Some(encoding) => Box::new(Transcoded::new(members, encoding)),
            None => members,
        };
        Stream {
            members,
            wanted,
            framing,
            limits,
            carry: Vec::new(),
            offset: 0,
            member: None,
            open: false,
            first: false,
            done: false,
            broken: None,
        }
    }

    /// Fills `block` with the next whole documents; false at the end of the stream.
    pub fn next(&mut self, block: &mut Block) -> bool {
        block.reset();
        block.bytes.clear();
        if self.done {
            return false;
        }
        if !self.open {
            match self.advance() {
                Ok(Some(name)) => {
                    (self.member, self.open, self.first) = (name.map(Arc::from), true, true);
                    self.offset = 0;
                    self.carry.clear();
                }
                Ok(None) => {
                    self.done = true;
                    return false;
                }
                Err(error) => {
                    self.done = true;
                    block.damage = Some(Damage {
                        offset: self.offset,
                        detail: error.to_string(),
                        bytes_unread: 0,
                    });
                    return true;
                }
            }
        }
        block.member = self.member.clone();
        block.first = std::mem::take(&mut self.first);
        std::mem::swap(&mut block.bytes, &mut self.carry);
        self.carry.clear();
        block.offset = self.offset;
        let mut wanted = self.limits.unit_bytes;
        loop {
            let filled = self.fill(&mut block.bytes, wanted);
            match filled {
                Filled::End => {
                    self.open = false;
                    return true;
                }
                Filled::Broken(error) => {
                    self.done = true;
                    let cut = boundary(self.framing, &block.bytes);
                    block.bytes.truncate(cut);
                    block.damage = Some(Damage {
                        offset: block.offset + cut as u64,
                        detail: error.to_string(),
                        bytes_unread: 0,
                    });
                    return true;
                }
                Filled::Full => {
                    let cut = boundary(self.framing, &block.bytes);
                    if cut > 0 {
                        self.carry.extend_from_slice(&block.bytes[cut..]);
                        block.bytes.truncate(cut);
                        self.offset = block.offset + cut as u64;
                        return true;
                    }
                    if block.bytes.len() > self.limits.line_bytes_max {
                        self.pass_over(block);
                        return true;
                    }
                    wanted = block.bytes.len() * 2;
                }
            }
        }
    }

    /// Goes to the next member that the plan wants.
    fn advance(&mut self) -> io::Result<Option<Option<String>>> {
        loop {
            match self.members.advance()? {
                Some(Some(name))
                    if !self
                        .wanted
                        .as_ref()
                        .is_none_or(|wanted| wanted.matches(&name)) => {}
                other => return Ok(other),
            }
        }
    }

    /// Reads past the end of an over-long document; the block then stands for it alone.
    fn pass_over(&mut self, block: &mut Block) {
        block.long_lines.push(block.offset);
        let mut passed = block.bytes.len();
        block.lines_before = memchr_iter(b'\n', &block.bytes).count() as u64;
        loop {
            block.bytes.clear();
            let filled = self.fill(&mut block.bytes, PASSED_BYTES);
            if let Some(end) = memchr(b'\n', &block.bytes) {
                self.carry.extend_from_slice(&block.bytes[end + 1..]);
                passed += end + 1;
                if let Filled::Broken(error) = filled {
                    self.broken = Some(error);
                }
                break;
            }
            passed += block.bytes.len();
            match filled {
                Filled::Full => {}
                Filled::End => {
                    self.open = false;
                    break;
                }
                Filled::Broken(error) => {
                    self.done = true;
                    let offset = block.offset + passed as u64;
                    block.damage = Some(Damage {
                        offset,
                        detail: error.to_string(),
                        bytes_unread: 0,
                    });
                    break;
                }
            }
        }
        block.bytes.clear();
        self.offset = block.offset + passed as u64;
    }

    fn fill(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> Filled {
        if let Some(error) = self.broken.take() {
            return Filled::Broken(error);
        }
        let mut have = bytes.len();
        bytes.resize(have.max(wanted), 0);
        while have < bytes.len() {
            match self.members.read(&mut bytes[have..]) {
                Ok(0) => {
                    bytes.truncate(have);
                    return Filled::End;
                }
                Ok(got) => have += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    bytes.truncate(have);
                    return Filled::Broken(error);
                }
            }
        }
        Filled::Full
    }
}

/// End of the last whole document in `bytes`, which start at the start of a document; 0 if none
/// ends here.
fn boundary(framing: Framing, bytes: &[u8]) -> usize {
    match framing {
        Framing::Lines | Framing::Parquet => memrchr(b'\n', bytes).map_or(0, |at| at + 1),
        Framing::QuotedLines => {
            let (mut quoted, mut end) = (false, 0);
            for at in memchr2_iter(b'"', b'\n', bytes) {
                match bytes[at] {
                    b'"' => quoted = !quoted,
                    _ if !quoted => end = at + 1,
                    _ => {}
                }
            }
            end
        }
        Framing::Paragraphs => {
            let after =
                |pattern: &[u8]| memmem::rfind(bytes, pattern).map_or(0, |at| at + pattern.len());
            after(b"\n\n").max(after(b"\n\r\n"))
        }
    }
}

/// A container in another encoding, read as UTF-8. What is not valid in the encoding becomes the
/// byte 0xFF, which is never valid UTF-8, so that its document is dropped by name.
struct Transcoded {
    inner: Box<dyn Members>,
    encoding: &'static Encoding,
    decoder: Decoder,
    input: Vec<u8>,
    at: usize,
    ended: bool,
    /// Decoded bytes that the last buffer had no room for.
    over: Vec<u8>,
}

impl Transcoded {
    fn new(inner: Box<dyn Members>, encoding: &'static Encoding) -> Transcoded {
        let decoder = encoding.new_decoder_with_bom_removal();
        Transcoded {
            inner,
            encoding,
            decoder,
            input: Vec::new(),
            at: 0,
            ended: false,
            over: Vec::new(),
        }
    }
}

impl Members for Transcoded {
    fn advance(&mut self) -> io::Result<Option<Option<String>>> {
        self.decoder = self.encoding.new_decoder_with_bom_removal();
        self.input.clear();
        self.over.clear();
        (self.at, self.ended) = (0, false);
        self.inner.advance()
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // The decoder wants room for one whole character.
        if buffer.len() < 16 && self.over.is_empty() {
            let mut small = [0; 16];
            let got = self.read(&mut small)?;
            self.over.extend_from_slice(&small[..got]);
        }
        if buffer.len() < 16 || !self.over.is_empty() {
            let got = buffer.len().min(self.over.len());
            buffer[..got].copy_from_slice(&self.over[..got]);
            self.over.drain(..got);
            return Ok(got);
        }
        loop {
            if self.at == self.input.len() && !self.ended {
                self.input.resize(1 << 16, 0);
                let got = self.inner.read(&mut self.input)?;
                self.input.truncate(got);
                (self.at, self.ended) = (0, got == 0);
            }
            let room = buffer.len() - 1;
            let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
                &self.input[self.at..],
                &mut buffer[..room],
                self.ended,
            );
            self.at += read;
            match result {
                DecoderResult::Malformed(_, _) => {
                    buffer[written] = 0xff;
                    return Ok(written + 1);
                }
                _ if written > 0 => return Ok(written),
                DecoderResult::InputEmpty if self.ended => return Ok(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Framing, boundary};

    #[test]
    fn boundaries_by_framing() {
        assert_eq!(boundary(Framing::Lines, b"ab\ncd"), 3);
        assert_eq!(boundary(Framing::Lines, b"abcd"), 0);
        assert_eq!(boundary(Framing::QuotedLines, b"a,\"b\nc\"\nd,\"e\n"), 8);
        assert_eq!(boundary(Framing::Paragraphs, b"a\nb\n\nc\nd"), 5);
        assert_eq!(boundary(Framing::Paragraphs, b"a\r\n\r\nc"), 5);
    }
}
