//! The pipeline of juzi: from raw corpora to datasets that a trainer reads.
//!
//! ```text
//! plan ─▶ inputs ─▶ readers ─▶ views ─▶ text ─▶ stages ─▶ juzi-schemas ─▶ data/<plan>/…
//! ```
//! `stages` know everything below them and nothing of each other; readers know only themselves;
//! nobody knows the command line.

pub mod bm25;
pub mod error;
pub mod flow;
pub mod init;
pub mod inputs;
pub mod lexicon;
pub mod neighbors;
pub mod plan;
pub mod readers;
pub mod samplers;
pub mod selftest;
pub mod show;
pub mod sibling;
pub mod size;
pub mod stages;
pub mod status;
pub mod text;
pub mod vectors;
pub mod views;

pub use error::{Error, Result};
