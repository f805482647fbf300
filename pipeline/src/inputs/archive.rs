//! Containers: one plain or compressed file, the members of a zip, the members of a tar.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::tar::TarMembers;
use super::zip::TornZip;

pub use super::zip::{ZipMember, zip_members};

/// Members of a container, one after another; a file that is no archive is its own only member.
pub trait Members: Send {
    /// Goes to the next member: `None` at the end, else its name (`None` for a file that is no
    /// archive).
    fn advance(&mut self) -> io::Result<Option<Option<String>>>;

    /// Reads on in the current member; 0 at its end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// What a file name says of its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// The file itself.
    Plain,
    /// gzip, also of several members joined.
    Gzip,
    /// Zstandard.
    Zstd,
    /// zip.
    Zip,
    /// tar.
    Tar,
    /// tar in gzip.
    TarGzip,
    /// tar in Zstandard.
    TarZstd,
}

impl Container {
    /// By the endings of a file name.
    pub fn of(name: &str) -> Container {
        let name = name.to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        match () {
            () if ends(&[".tar.gz", ".tgz"]) => Container::TarGzip,
            () if ends(&[".tar.zst", ".tzst"]) => Container::TarZstd,
            () if ends(&[".tar"]) => Container::Tar,
            () if ends(&[".gz"]) => Container::Gzip,
            () if ends(&[".zst", ".zstd"]) => Container::Zstd,
            () if ends(&[".zip"]) => Container::Zip,
            () => Container::Plain,
        }
    }
}

/// A file that counts what was read of it.
pub(super) struct Counted {
    pub(super) file: File,
    pub(super) count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buffer)?;
        self.count.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}

fn counted(path: &Path, count: &Arc<AtomicU64>) -> io::Result<BufReader<Counted>> {
    let file = File::open(path)?;
    Ok(BufReader::with_capacity(
        1 << 20,
        Counted {
            file,
            count: count.clone(),
        },
    ))
}

/// Opens the container at `path`; `member` chooses one member of a zip.
pub fn open(
    path: &Path,
    member: Option<&ZipMember>,
    count: &Arc<AtomicU64>,
) -> io::Result<Box<dyn Members>> {
    let name = path.to_string_lossy();
    let single = |reader| -> Box<dyn Members> {
        Box::new(Single {
            reader,
            started: false,
            name: None,
        })
    };
    let raw = counted(path, count)?;
    Ok(match Container::of(&name) {
        Container::Plain => single(Box::new(raw)),
        Container::Gzip => single(Box::new(MultiGzDecoder::new(raw))),
        Container::Zstd => single(Box::new(zstd::stream::read::Decoder::with_buffer(raw)?)),
        Container::Tar => Box::new(TarMembers::new(Box::new(raw))),
        Container::TarGzip => Box::new(TarMembers::new(Box::new(MultiGzDecoder::new(raw)))),
        Container::TarZstd => Box::new(TarMembers::new(Box::new(
            zstd::stream::read::Decoder::with_buffer(raw)?,
        ))),
        Container::Zip => match member {
            Some(member) => Box::new(Single {
                reader: member.open(path, count)?,
                started: false,
                name: Some(member.name.clone()),
            }),
            None => Box::new(TornZip::new(raw)),
        },
    })
}

struct Single {
    reader: Box<dyn Read + Send>,
    started: bool,
    name: Option<String>,
}

impl Members for Single {
    fn advance(&mut self) -> io::Result<Option<Option<String>>> {
        let first = !std::mem::replace(&mut self.started, true);
        Ok(first.then(|| self.name.clone()))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

/// Files that packers add by themselves.
pub(super) fn is_junk(name: &str) -> bool {
    name.starts_with("__MACOSX/") || name.ends_with(".DS_Store")
}
