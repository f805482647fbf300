//! The integration tests of juzi: the program as people run it, on corpora that the tests write.

#![allow(clippy::unwrap_used)]

mod augment;
mod commands;
mod damaged;
mod determinism;
mod fixtures;
mod inputs;
mod properties;
mod refusals;
mod resume;
mod schemas;
mod splits;
mod stages;
mod support;
mod synonyms;
mod synonyms_lexicon;
mod synonyms_refusals;
mod synonyms_resume;
mod synonyms_vocabulary;
mod tidy;
mod vectors;
mod views;
