//! The trainer of juzi: from datasets on disk to sentence encoders.
//!
//! ```text
//! shards, batches ─▶ loader ─▶ collate ─▶ Batch, Batch, …      recipe: every value that
//!                              │     │                                 changes a result
//! synonyms ────────────────▶ augment tokenizer ◀─ tokenizer.json
//! ```
//! `augment` knows a text, its words and the synonyms, and nothing of files; `collate` makes the rows
//! of a batch into token ids, with `tokenizer`; `loader` knows order, files and threads. `rows` reads shards for
//! `audit` and `show`, which look at what `augment` makes; `feed` runs the loader alone. Nobody
//! knows the command line.

pub mod audit;
pub mod augment;
pub mod collate;
pub mod distance;
pub mod error;
pub mod feed;
pub mod interrupt;
pub mod loader;
pub mod recipe;
pub mod rows;
pub mod show;
pub mod tokenizer;

pub use error::{Error, Result};
