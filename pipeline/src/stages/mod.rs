//! Stages: each a pure function from a plan and its inputs to one dataset.

pub mod shards;

use std::path::PathBuf;

/// How a stage runs; nothing here changes what it makes.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Directory of the plan's datasets.
    pub data: PathBuf,
    /// Worker threads.
    pub threads: usize,
    /// Memory to stay within, in bytes.
    pub memory_bytes: u64,
    /// Shows nothing but errors.
    pub quiet: bool,
    /// The command that goes on after an interruption.
    pub resume: String,
}
