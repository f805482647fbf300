//! What is known of words: dictionaries of synonyms, guards against false ones, and how good a list of them is.

pub mod dictionary;
pub mod guards;
pub mod luse;
pub mod numbers;
mod opposites;
mod parts;
pub mod quality;
pub mod telling;
