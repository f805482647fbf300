//! Text work: cleaning, splitting into sentences, filtering, cutting into words.

pub mod characters;
pub mod clean;
mod effect;
mod escape;
pub mod filters;
pub mod fold;
mod html;
pub mod leaks;
pub mod luse;
pub mod minhash;
mod rewrite;
mod scan;
pub(crate) mod simplify;
pub mod split;
pub mod words;
