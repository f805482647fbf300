//! Baselines: what a model must beat. They are embedders, so that the same evaluators measure them.
//!
//! ```text
//! text ─▶ analyzer ─▶ terms ─▶ counts: Tfidf, Bm25              sparse
//! text ─▶ longest words that have a vector ─▶ WordVectors       dense, their mean
//! model ─▶ untrained: its sizes and its tokenizer, random values
//! ```

pub mod analyzer;
mod counts;
mod untrained;
mod vector_file;
mod words;

pub use counts::{B, Bm25, K1, Tfidf};
pub use untrained::untrained;
pub use words::WordVectors;
