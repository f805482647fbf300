//! Inputs: files and archive members as a sequence of blocks that hold whole documents.
//!
//! ```text
//! plain file, one document a line ─▶ byte ranges, each read by the worker that takes it
//! .gz .zst .zip .tar, other framing ─▶ a stream behind a lock; whoever holds it decodes one block
//! Parquet                         ─▶ row groups
//! ```
//! A block's number and content follow from the input alone, never from the number of workers.

pub mod archive;
mod hash;
mod range;
mod source;
pub mod stream;
mod tar;
mod zip;

pub use hash::{PIECE_BYTES, hash_files};
pub use source::{Block, Content, Damage, Sources, UnitKey};

use std::path::PathBuf;
use std::sync::Arc;

use juzi_schemas::record::Split;

use crate::readers::Reader;

/// One file of a corpus, ready to be read.
#[derive(Clone)]
pub struct Input {
    /// Index of the corpus in the plan's sorted list.
    pub corpus: u16,
    /// Part of the corpus.
    pub split: Split,
    /// Where the file lies.
    pub path: PathBuf,
    /// Its base name, with the pattern of members, for ledgers and fingerprints.
    pub name: String,
    /// Which members of an archive belong to the corpus; all, if none is given.
    pub members: Option<glob::Pattern>,
    /// Its size.
    pub bytes: u64,
    /// Encoding other than UTF-8.
    pub encoding: Option<&'static encoding_rs::Encoding>,
    /// How its documents are read.
    pub reader: Arc<dyn Reader>,
}

/// Bytes of all files; one that is named several times, for several members, counts once.
pub fn total_bytes(inputs: &[Input]) -> u64 {
    let files: std::collections::BTreeMap<_, u64> = inputs
        .iter()
        .map(|input| (&input.path, input.bytes))
        .collect();
    files.values().sum()
}
