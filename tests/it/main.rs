//! The integration tests of juzi: the program as people run it, on corpora that the tests write.

#![allow(clippy::unwrap_used)]

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
mod tidy;
mod views;
