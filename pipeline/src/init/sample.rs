//! The first text of a file or of the members of an archive, decoded.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use encoding_rs::{Encoding, GB18030, UTF_16BE, UTF_16LE};

use crate::inputs::archive::{self, Container, Members};

const SAMPLE_BYTES: usize = 128 << 10;

/// For files whose records are so long that the first bytes hold few of them.
const LONG_SAMPLE_BYTES: usize = 2 << 20;

/// Members of an archive that are looked into; the first speaks for those behind.
const MEMBERS_MAX: usize = 10_000;

/// The start of a text, whole lines only.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The text.
    pub text: String,
    /// Encoding other than UTF-8.
    pub encoding: Option<&'static str>,
}

impl Sample {
    /// Lines that are not blank.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.trim().is_empty())
    }
}

/// A file that is no archive, or one member of an archive.
pub struct Member {
    /// Its name in the archive.
    pub name: Option<String>,
    /// The bytes that it takes in the archive, where they are known.
    pub bytes: Option<u64>,
    /// The start of its text, or why there is none; `None` if it was not looked into.
    pub sample: Option<Result<Sample, String>>,
}

/// Samples of what is in a file.
///
/// # Errors
/// The file or archive cannot be read at all.
pub fn members(path: &Path) -> io::Result<Vec<Member>> {
    let count = Arc::new(AtomicU64::new(0));
    let container = Container::of(&path.to_string_lossy());
    let mut list = Vec::new();
    if container == Container::Zip {
        for member in archive::zip_members(path, None)? {
            let looked_into = list.len() < MEMBERS_MAX;
            let sample = looked_into.then(|| {
                let failed = |error: io::Error| error.to_string();
                let mut members = archive::open(path, Some(&member), &count).map_err(failed)?;
                members.advance().map_err(failed)?;
                sample(members.as_mut())
            });
            list.push(Member {
                name: Some(member.name.clone()),
                bytes: Some(member.packed_bytes()),
                sample,
            });
        }
        return Ok(list);
    }
    let mut members = archive::open(path, None, &count)?;
    while let Some(name) = members.advance()? {
        let looked_into = list.len() < MEMBERS_MAX;
        list.push(Member {
            name,
            bytes: None,
            sample: looked_into.then(|| sample(members.as_mut())),
        });
        // A tar is read to its end, as its names stand between the members.
        let tar = matches!(
            container,
            Container::Tar | Container::TarGzip | Container::TarZstd
        );
        if !tar {
            break;
        }
    }
    Ok(list)
}

/// Names and sizes of the members of a zip.
pub fn zip_sizes(path: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut archive = zip::ZipArchive::new(io::BufReader::new(File::open(path)?))?;
    let mut sizes = Vec::new();
    for at in 0..archive.len() {
        let member = archive.by_index_raw(at)?;
        sizes.push((member.name()?.into_owned(), member.size()));
    }
    Ok(sizes)
}

fn sample(member: &mut dyn Members) -> Result<Sample, String> {
    let failed = |error: io::Error| error.to_string();
    let mut bytes = Vec::new();
    let mut ended = fill(member, &mut bytes, SAMPLE_BYTES).map_err(failed)?;
    if !ended && memchr::memchr_iter(b'\n', &bytes).count() < 20 {
        ended = fill(member, &mut bytes, LONG_SAMPLE_BYTES).map_err(failed)?;
    }
    if bytes.is_empty() {
        return Err("empty".into());
    }
    decode(&bytes, ended)
}

/// Reads until `bytes` holds so many; true at the end of the member.
fn fill(member: &mut dyn Members, bytes: &mut Vec<u8>, wanted: usize) -> io::Result<bool> {
    let mut have = bytes.len();
    bytes.resize(wanted, 0);
    while have < wanted {
        let got = member.read(&mut bytes[have..])?;
        if got == 0 {
            bytes.truncate(have);
            return Ok(true);
        }
        have += got;
    }
    Ok(false)
}

fn decode(bytes: &[u8], ended: bool) -> Result<Sample, String> {
    for (mark, encoding, name) in [
        (b"\xff\xfe", UTF_16LE, "utf-16le"),
        (b"\xfe\xff", UTF_16BE, "utf-16be"),
    ] {
        if bytes.starts_with(mark) {
            let (text, _) = encoding.decode_with_bom_removal(bytes);
            let text = if ended {
                &text
            } else {
                &text[..text.rfind('\n').map_or(0, |at| at + 1)]
            };
            return Ok(Sample {
                text: text.to_string(),
                encoding: Some(name),
            });
        }
    }
    let end = if ended {
        bytes.len()
    } else {
        memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1)
    };
    let bytes = &bytes[..end];
    if end == 0 {
        return Err(format!(
            "its first line is longer than {} MiB",
            LONG_SAMPLE_BYTES >> 20
        ));
    }
    if memchr::memchr(0, bytes).is_some() {
        return Err("not text".into());
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    // GB18030 can be read into most UTF-8, so UTF-8 comes first; a few bad lines do not unmake it.
    let (mut good, mut bad) = (0, 0);
    for line in bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_ascii())
    {
        if std::str::from_utf8(line).is_ok() {
            good += 1
        } else {
            bad += 1
        }
    }
    if bad <= good / 10 {
        return Ok(Sample {
            text: text.to_string(),
            encoding: None,
        });
    }
    match chinese(GB18030, bytes) {
        Some(text) => Ok(Sample {
            text,
            encoding: Some("gb18030"),
        }),
        None if bad <= good => Ok(Sample {
            text: text.to_string(),
            encoding: None,
        }),
        None => Err("neither UTF-8 nor GB18030 text".into()),
    }
}

/// The text in this encoding, if it is clean and most of what is not ASCII is Chinese.
fn chinese(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
    let (text, failed) = encoding.decode_without_bom_handling(bytes);
    let foreign = text.chars().filter(|letter| !letter.is_ascii()).count();
    let known = text
        .chars()
        .filter(|&letter| is_han(letter) || is_punctuation(letter))
        .count();
    (!failed && known * 10 >= foreign * 9).then(|| text.into_owned())
}

/// A Han character of the blocks in common use.
pub fn is_han(letter: char) -> bool {
    matches!(letter, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{323af}')
}

fn is_punctuation(letter: char) -> bool {
    matches!(letter, '\u{2010}'..='\u{2027}' | '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}' | '·')
}
