//! The trainer of juzi: from datasets on disk to sentence encoders.
//!
//! ```text
//! shards ──▶ rows ──▶ augment ──▶ views
//!                        ▲
//! synonyms ──────────────┘            recipe: every value that changes a result
//! ```
//! `augment` knows a text, its words and the synonyms, and nothing of files; `rows` reads datasets;
//! `audit` and `show` look at what `augment` makes. Nobody knows the command line.

pub mod audit;
pub mod augment;
pub mod distance;
pub mod error;
pub mod recipe;
pub mod rows;
pub mod show;

pub use error::{Error, Result};
