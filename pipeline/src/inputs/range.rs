//! Byte ranges of a plain file: each holds the lines that start in it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memchr;

use super::source::Block;
use super::stream::Limits;
use crate::error::{Error, Result};

/// Reads the lines that start in the `index`-th range of a plain file.
pub(super) fn read_range(path: &Path, index: u64, limits: Limits, block: &mut Block) -> Result<()> {
    let file = File::open(path).map_err(Error::input(path))?;
    let unit = limits.unit_bytes as u64;
    let start = index * unit;
    // One byte earlier, so that a line that starts exactly here is recognised.
    let from = start.saturating_sub(1);
    let bytes = &mut block.bytes;
    // Growing fills with zeros; shrinking and overwriting costs nothing.
    bytes.resize((start + unit - from) as usize, 0);
    let got = read_at(&file, bytes, from).map_err(Error::input(path))?;
    bytes.truncate(got);
    block.first = index == 0;
    let skip = match index {
        0 => 0,
        _ => match memchr(b'\n', bytes) {
            Some(end) => end + 1,
            None => bytes.len(),
        },
    };
    // The range's own last line goes on into the next range.
    let ends_here = |bytes: &[u8]| bytes.is_empty() || bytes.last() == Some(&b'\n');
    if skip < bytes.len() && !ends_here(bytes) {
        let line_start = memchr::memrchr(b'\n', bytes)
            .map_or(0, |at| at + 1)
            .max(skip);
        let mut piece = vec![0; 1 << 16];
        loop {
            let at = from + bytes.len() as u64;
            let got = read_at(&file, &mut piece, at).map_err(Error::input(path))?;
            if got == 0 {
                break;
            }
            match memchr(b'\n', &piece[..got]) {
                Some(end) => {
                    bytes.extend_from_slice(&piece[..=end]);
                    break;
                }
                None => bytes.extend_from_slice(&piece[..got]),
            }
            if bytes.len() - line_start > limits.line_bytes_max {
                block.long_lines.push(from + line_start as u64);
                bytes.truncate(line_start);
                break;
            }
            piece.resize((piece.len() * 2).min(1 << 22), 0);
        }
    }
    block.start = skip.min(bytes.len());
    block.offset = from + skip as u64;
    Ok(())
}

fn read_at(file: &File, buffer: &mut [u8], from: u64) -> std::io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match file.read_at(&mut buffer[have..], from + have as u64) {
            Ok(0) => break,
            Ok(got) => have += got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}
