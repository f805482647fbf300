//! The trainer of juzi: from datasets on disk to sentence encoders.
//!
//! ```text
//! shards, batches ─▶ loader ─▶ collate ─▶ Batch, Batch, …      recipe: every value that
//!                              │     │                                 changes a result
//! synonyms ────────────────▶ augment tokenizer ◀─ tokenizer.json
//!
//! Batch ─▶ encoder ─▶ losses ─▶ gradcache ─▶ optimizer ─▶ checkpoint ─▶ export      training: the loop
//!             └─▶ evaluators ─▶ metrics
//! ```
//! `augment` knows a text, its words and the synonyms, and nothing of files; `collate` makes the rows
//! of a batch into token ids, with `tokenizer`; `loader` knows order, files and threads. `rows` reads shards for
//! `audit` and `show`, which look at what `augment` makes; `feed` runs the loader alone. Nobody
//! knows the command line.

pub mod alignment;
pub mod audit;
pub mod augment;
pub mod baselines;
pub mod checkpoint;
pub mod collate;
pub mod distance;
pub mod doctor;
pub mod embed;
pub mod encoder;
pub mod error;
pub mod evaluate;
pub mod evaluators;
pub mod events;
pub mod experiment;
pub mod export;
pub mod feed;
pub mod gradcache;
pub mod interrupt;
pub mod kernels;
pub mod leaks;
pub mod loader;
pub mod losses;
pub mod metrics;
pub mod model;
pub mod optimizer;
pub mod parameters;
pub mod recipe;
pub mod report;
pub mod rounds;
pub mod rows;
pub mod schedule;
pub mod show;
pub mod tokenizer;
pub mod training;
pub mod whiten;

pub use error::{Error, Result};
