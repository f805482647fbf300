//! What juzi leaves on disk: tables, manifests, journals and the protocol that commits them.
//!
//! ```text
//! Row ──▶ shard::ShardWriter ──▶ dataset::FileWriter ──▶ dataset::DatasetWriter::commit
//!           Arrow, Parquet         temporary name, hash     fsync · rename · fsync · journal line
//!                                                                     │ all files
//!                                                    DatasetWriter::finish ──▶ manifest.json
//! ```
//! A dataset directory is complete if and only if it holds `manifest.json`. Nothing here knows of
//! threads, of a command line or of text.

pub mod batch;
mod columns;
pub mod dataset;
pub mod describe;
pub mod dropped;
pub mod embedding;
pub mod error;
pub mod fault;
pub mod fingerprint;
pub mod journal;
pub mod lock;
pub mod manifest;
pub mod negative;
pub mod random;
pub mod record;
pub mod rows_hash;
pub mod shard;
mod shared_file;
pub mod space;
pub mod synonym;
pub mod topic;
pub mod words;

pub use error::{Error, Result};
