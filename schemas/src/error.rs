//! The error type of everything that touches a dataset on disk.

use std::path::PathBuf;

/// What can go wrong with a dataset; nearly every variant says where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused a read or a write.
    #[error("{path}: {source}")]
    Io {
        /// File or directory that was touched.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The Parquet or Arrow library refused a file or a batch.
    #[error("{path}: {message}")]
    Parquet {
        /// File that was read or written.
        path: PathBuf,
        /// The library's own words.
        message: String,
    },
    /// A JSON file of ours does not parse.
    #[error("{path}: not a valid {what}: {message}")]
    Json {
        /// File that was read.
        path: PathBuf,
        /// What it should have been.
        what: &'static str,
        /// Where and why parsing stopped.
        message: String,
    },
    /// The directory is no dataset, or not yet one.
    #[error("{path}: no dataset here: {reason}")]
    NoDataset {
        /// Directory that was opened.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A file differs from what its manifest or journal says.
    #[error("{path}: damaged: {what} is {found}, the manifest says {expected}")]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Which property differs.
        what: &'static str,
        /// The value found.
        found: String,
        /// The value recorded.
        expected: String,
    },
    /// Another process writes here.
    #[error("{path}: another juzi is writing here{holder}; wait for it or stop it")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// ` (process 123)` where it is known.
        holder: String,
    },
    /// Rows in and rows out do not balance: a defect of the stage, never of the data.
    #[error("totals of {stage} do not balance: {detail}")]
    Unbalanced {
        /// Name of the stage.
        stage: String,
        /// The figures.
        detail: String,
    },
}

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps an IO error with the path it happened on.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, source }
    }

    /// Wraps a Parquet or Arrow error with the path it happened on.
    pub fn parquet<E: std::fmt::Display>(path: impl Into<PathBuf>) -> impl FnOnce(E) -> Error {
        let path = path.into();
        move |error| Error::Parquet {
            path,
            message: error.to_string(),
        }
    }
}
