//! A file that many readers share: each reads at places of its own, and no cursor is common to them.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// An open file. Parquet's own reader of a [`File`] moves the cursor of the file, which all
/// duplicates of it have in common, so threads would read from each other's places.
#[derive(Clone)]
pub(crate) struct SharedFile {
    file: Arc<File>,
    bytes: u64,
}

/// Reads on from a place.
pub(crate) struct ReadAt {
    file: Arc<File>,
    at: u64,
}

impl SharedFile {
    /// Takes a file over.
    pub(crate) fn new(file: File) -> std::io::Result<SharedFile> {
        Ok(SharedFile {
            bytes: file.metadata()?.len(),
            file: Arc::new(file),
        })
    }
}

impl Read for ReadAt {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for SharedFile {
    type T = std::io::BufReader<ReadAt>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let file = self.file.clone();
        Ok(std::io::BufReader::new(ReadAt { file, at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes> {
        if start.saturating_add(length as u64) > self.bytes {
            let message = format!("{length} bytes at {start} of a file of {}", self.bytes);
            return Err(ParquetError::EOF(message));
        }
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer.into())
    }
}
