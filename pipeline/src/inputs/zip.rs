//! Members of a zip: by its directory, or, when that was lost, by the header before each of them.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::archive::{Counted, Members, is_junk};

/// Place of one member of a zip, from its central directory.
#[derive(Clone, Debug)]
pub struct ZipMember {
    /// Name inside the archive.
    pub name: String,
    start: u64,
    packed: u64,
    size: u64,
    crc: u32,
    stored: bool,
}

/// The text members of a zip by name that fit the pattern, or why its directory cannot be read.
pub fn zip_members(path: &Path, wanted: Option<&glob::Pattern>) -> io::Result<Vec<ZipMember>> {
    let mut archive = ::zip::ZipArchive::new(BufReader::new(File::open(path)?))?;
    let mut members = Vec::new();
    for at in 0..archive.len() {
        let member = archive.by_index_raw(at)?;
        let name = member.name()?;
        if member.is_dir() || is_junk(&name) || !wanted.is_none_or(|wanted| wanted.matches(&name)) {
            continue;
        }
        let stored = match member.compression() {
            ::zip::CompressionMethod::Stored => true,
            ::zip::CompressionMethod::Deflated => false,
            other => {
                let message = format!(
                    "member {} is packed by {other}; accepted are stored and deflate",
                    member.name()?
                );
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
        };
        let start = member
            .data_start()
            .ok_or_else(|| io::Error::other("a member without data"))?;
        members.push(ZipMember {
            name: member.name()?.into_owned(),
            start,
            packed: member.compressed_size(),
            size: member.size(),
            crc: member.crc32(),
            stored,
        });
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

impl ZipMember {
    /// Bytes that the member takes in the archive.
    pub fn packed_bytes(&self) -> u64 {
        self.packed
    }

    pub(super) fn open(
        &self,
        path: &Path,
        count: &Arc<AtomicU64>,
    ) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.start))?;
        let packed = BufReader::with_capacity(
            1 << 20,
            Counted {
                file,
                count: count.clone(),
            }
            .take(self.packed),
        );
        let inner: Box<dyn Read + Send> = if self.stored {
            Box::new(packed)
        } else {
            Box::new(DeflateDecoder::new(packed))
        };
        Ok(Box::new(Checked {
            inner,
            crc: Crc::new(),
            size: 0,
            want: (self.size, self.crc),
        }))
    }
}

/// Compares size and checksum at the end of a member.
struct Checked {
    inner: Box<dyn Read + Send>,
    crc: Crc,
    size: u64,
    want: (u64, u32),
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.crc.update(&buffer[..got]);
        self.size += got as u64;
        if got == 0 && !buffer.is_empty() && (self.size, self.crc.sum()) != self.want {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "size or checksum of the member differs",
            ));
        }
        Ok(got)
    }
}

/// A zip without its directory, as a broken download leaves it: members are found by the header
/// before each of them, and the last one is read as far as it goes.
pub(super) struct TornZip {
    raw: Option<BufReader<Counted>>,
    current: Option<TornMember>,
}

enum TornMember {
    Deflated(DeflateDecoder<BufReader<Counted>>),
    Stored(io::Take<BufReader<Counted>>),
}

const LOCAL_HEADER: [u8; 4] = *b"PK\x03\x04";

fn torn(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, message.to_string())
}

impl TornMember {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            TornMember::Deflated(member) => member.read(buffer),
            TornMember::Stored(member) => match member.read(buffer)? {
                0 if member.limit() > 0 && !buffer.is_empty() => Err(torn("the zip ends early")),
                got => Ok(got),
            },
        }
    }

    /// The file behind the member.
    fn pass(mut self) -> io::Result<BufReader<Counted>> {
        let mut rest = vec![0; 1 << 16];
        while self.read(&mut rest)? > 0 {}
        Ok(match self {
            TornMember::Deflated(member) => member.into_inner(),
            TornMember::Stored(member) => member.into_inner(),
        })
    }
}

impl TornZip {
    pub(super) fn new(raw: BufReader<Counted>) -> TornZip {
        TornZip {
            raw: Some(raw),
            current: None,
        }
    }

    /// Goes to the next member of any kind; its name.
    fn header(&mut self) -> io::Result<String> {
        let mut raw = self.raw.take().ok_or_else(|| torn("the zip ends early"))?;
        let mut header = [0; 30];
        raw.read_exact(&mut header[..4])?;
        if header[..4] == *b"PK\x07\x08" {
            raw.read_exact(&mut [0; 12])?;
            raw.read_exact(&mut header[..4])?;
        }
        if header[..4] != LOCAL_HEADER {
            return Err(torn(
                "the zip has no directory and no further member is found",
            ));
        }
        raw.read_exact(&mut header[4..])?;
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let packed = u32::from(short(18)) | u32::from(short(20)) << 16;
        let sized = short(6) & 8 == 0 && packed < u32::MAX;
        let mut name = vec![0; usize::from(short(26))];
        raw.read_exact(&mut name)?;
        raw.read_exact(&mut vec![0; usize::from(short(28))])?;
        self.current = Some(match short(8) {
            8 => TornMember::Deflated(DeflateDecoder::new(raw)),
            0 if sized => TornMember::Stored(raw.take(u64::from(packed))),
            _ => {
                return Err(torn(
                    "the zip has no directory and a member is not deflated",
                ));
            }
        });
        Ok(String::from_utf8_lossy(&name).into_owned())
    }
}

impl Members for TornZip {
    fn advance(&mut self) -> io::Result<Option<Option<String>>> {
        loop {
            if let Some(member) = self.current.take() {
                self.raw = Some(member.pass()?);
            }
            let name = self.header()?;
            if !name.ends_with('/') && !is_junk(&name) {
                return Ok(Some(Some(name)));
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.current
            .as_mut()
            .map_or(Ok(0), |member| member.read(buffer))
    }
}
