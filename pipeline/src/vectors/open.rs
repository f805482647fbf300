//! One file or member as a stream of decoded bytes.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::VectorFile;
use crate::error::{Error, Result};
use crate::inputs::archive::{self, Container, Members, ZipMember};

/// The decoded bytes of a file, or of the one member of an archive that is asked for.
pub(super) struct Decoded {
    members: Box<dyn Members>,
    /// Name of the member.
    pub(super) member: Option<String>,
    wanted: Option<glob::Pattern>,
    /// Bytes of the file read so far, compressed where it is.
    count: Arc<AtomicU64>,
    reported: u64,
}

impl Decoded {
    /// Opens a file at its first fitting member.
    pub(super) fn open(path: &Path, wanted: Option<&glob::Pattern>) -> Result<Decoded> {
        let wrong = |message: String| Error::Content {
            path: path.into(),
            message,
        };
        let zip_member = match Container::of(&path.to_string_lossy()) {
            Container::Zip => Some(zip_member(path, wanted).map_err(wrong)?),
            _ => None,
        };
        let count = Arc::new(AtomicU64::new(0));
        let mut decoded = Decoded {
            members: archive::open(path, zip_member.as_ref(), &count)
                .map_err(Error::input(path))?,
            member: None,
            wanted: wanted.cloned(),
            count,
            reported: 0,
        };
        let name = decoded.advance();
        match name.map_err(|error| wrong(format!("cannot be read: {error}")))? {
            Some(name) => decoded.member = name,
            None => {
                let fits = wanted.map_or(String::new(), |wanted| format!(" that fits `{wanted}`"));
                return Err(wrong(format!("the archive holds no member{fits}")));
            }
        }
        Ok(decoded)
    }

    /// Goes to the next member that is asked for; its name, or nothing at the end.
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

    /// Fails when the archive holds a second member that is asked for.
    pub(super) fn expect_end(&mut self, file: &VectorFile) -> Result<()> {
        match self.advance() {
            Ok(None) => Ok(()),
            Ok(Some(second)) => {
                let first = self.member.clone().unwrap_or_default();
                Err(several(file, &first, &second.unwrap_or_default()))
            }
            Err(error) => Err(Error::Content {
                path: file.path.clone(),
                message: format!("cannot be read to its end: {error}"),
            }),
        }
    }

    /// Reads until `bytes` holds `len`, or the end; false at the end.
    pub(super) fn fill(&mut self, bytes: &mut Vec<u8>, len: usize) -> io::Result<bool> {
        let mut have = bytes.len();
        bytes.resize(have.max(len), 0);
        while have < bytes.len() {
            match self.members.read(&mut bytes[have..]) {
                Ok(0) => {
                    bytes.truncate(have);
                    return Ok(false);
                }
                Ok(got) => have += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    bytes.truncate(have);
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    /// Bytes of the file that were read since the last call.
    pub(super) fn consumed(&mut self) -> u64 {
        let now = self.count.load(Ordering::Relaxed);
        now - std::mem::replace(&mut self.reported, now)
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.members.read(buffer)
    }
}

/// Two members are two files.
pub(super) fn several(file: &VectorFile, first: &str, second: &str) -> Error {
    let name = file.path.file_name().unwrap_or_default().to_string_lossy();
    Error::Content {
        path: file.path.clone(),
        message: format!(
            "more than one member fits, `{first}` and `{second}`; name one: `{name}::{first}`"
        ),
    }
}

/// The one member of a zip that fits. A zip without its directory is not whole, so refused.
fn zip_member(
    path: &Path,
    wanted: Option<&glob::Pattern>,
) -> std::result::Result<ZipMember, String> {
    let mut members = archive::zip_members(path, wanted)
        .map_err(|error| format!("the zip cannot be read, it may be truncated: {error}"))?;
    if members.len() == 1 {
        return members.pop().ok_or_else(String::new);
    }
    let fits = wanted.map_or(String::new(), |wanted| format!(" fit `{wanted}`"));
    let names: Vec<&str> = members
        .iter()
        .take(8)
        .map(|member| member.name.as_str())
        .collect();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Err(format!(
        "{} members{fits} where one is needed ({}); name it as `{name}::member`",
        members.len(),
        names.join(", ")
    ))
}
