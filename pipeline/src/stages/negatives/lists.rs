//! Hits of queries on disk, in blocks that are committed one by one.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use juzi_schemas::dataset::{DatasetWriter, Durability};
use juzi_schemas::rows_hash::RowsHash;

use crate::error::{Error, Result};
use crate::neighbors::Hit;

/// Most queries in a block.
const BLOCK_MAX: usize = 1 << 14;

/// Blocks are at least so small that progress and a crash come in small pieces.
const BLOCKS_MIN: usize = 64;

/// Where the hits of queries 0 to `queries` stand: blocks of records of one size, so that each query
/// is one read.
#[derive(Clone, Debug)]
pub struct Lists {
    dir: PathBuf,
    prefix: String,
    /// Queries in all.
    pub queries: usize,
    /// Queries in a block.
    pub block: usize,
    /// Most hits of a query.
    pub k: usize,
}

/// The block that a reader has open.
#[derive(Default)]
pub struct Open {
    file: Option<(PathBuf, File)>,
    bytes: Vec<u8>,
}

impl Lists {
    /// Lists below a name in a dataset.
    pub fn new(writer: &DatasetWriter, prefix: String, queries: usize, k: usize) -> Lists {
        Lists {
            dir: writer.dir().into(),
            prefix,
            queries,
            block: queries.div_ceil(BLOCKS_MIN).clamp(64, BLOCK_MAX),
            k,
        }
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.queries.div_ceil(self.block)
    }

    /// Queries of a block.
    pub fn members(&self, block: usize) -> std::ops::Range<usize> {
        block * self.block..((block + 1) * self.block).min(self.queries)
    }

    /// Name of a block's file.
    pub fn name(&self, block: usize) -> String {
        format!("{}-{block:05}", self.prefix)
    }

    /// Commits the hits of a block's queries, best first.
    ///
    /// # Errors
    /// The disk.
    pub fn keep(&self, writer: &DatasetWriter, block: usize, hits: &[Vec<Hit>]) -> Result<()> {
        let name = self.name(block);
        let mut bytes = Vec::with_capacity(hits.len() * self.record());
        for hits in hits {
            bytes.extend_from_slice(&(hits.len() as u32).to_le_bytes());
            for hit in hits {
                bytes.extend_from_slice(&hit.id.to_le_bytes());
                bytes.extend_from_slice(&hit.cosine.to_le_bytes());
            }
            bytes.resize(bytes.len() + (self.k - hits.len()) * 8, 0);
        }
        let mut file = writer.create(&name)?;
        file.write_all(&bytes)
            .map_err(juzi_schemas::Error::io(self.dir.join(&name)))?;
        let rows = RowsHash::default();
        writer.commit(file, Durability::Scratch, rows, serde_json::Value::Null)?;
        Ok(())
    }

    fn record(&self) -> usize {
        4 + self.k * 8
    }

    /// The hits of a query, best first, into `hits`.
    ///
    /// # Errors
    /// The disk.
    pub fn read(&self, query: usize, open: &mut Open, hits: &mut Vec<Hit>) -> Result<()> {
        let block = query / self.block;
        let path = self.dir.join(self.name(block));
        let failed = |error| Error::input(&path)(error);
        if open.file.as_ref().is_none_or(|(other, _)| *other != path) {
            open.file = Some((path.clone(), File::open(&path).map_err(failed)?));
        }
        let (_, file) = open.file.as_ref().expect("it was opened above");
        let place = (query % self.block * self.record()) as u64;
        open.bytes.resize(self.record(), 0);
        file.read_exact_at(&mut open.bytes, place).map_err(failed)?;
        let fours = open.bytes.as_chunks::<4>().0;
        let number = |at: usize| u32::from_le_bytes(fours[at]);
        let count = number(0) as usize;
        hits.clear();
        hits.extend((0..count).map(|at| Hit {
            id: number(1 + at * 2),
            cosine: f32::from_bits(number(2 + at * 2)),
        }));
        Ok(())
    }
}
