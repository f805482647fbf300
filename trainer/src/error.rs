//! The error type of the trainer, and how an error becomes an exit code.

use std::path::PathBuf;

/// What can go wrong between a recipe, its datasets and what is made of them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The recipe says something that cannot be.
    #[error("{path}: {message}")]
    Recipe {
        /// The recipe file.
        path: PathBuf,
        /// Table, key and accepted values.
        message: String,
    },
    /// An input file cannot be opened or read.
    #[error("{path}: {source}")]
    Input {
        /// The input file.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A row of a dataset is not what its schema promises.
    #[error("{path}: row {row}: {message}")]
    Row {
        /// The Parquet file.
        path: PathBuf,
        /// Number of the row in the file, from 0.
        row: u64,
        /// What was found and what is expected.
        message: String,
    },
    /// A request that makes no sense: a flag, a dataset of another kind.
    #[error("{0}")]
    Usage(String),
    /// The dataset on disk.
    #[error(transparent)]
    Dataset(#[from] juzi_schemas::Error),
}

/// Result of everything in the trainer.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps an IO error with the input it happened on.
    pub fn input(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Input { path, source }
    }

    /// 1: the recipe, the input or the request is wrong; 2: it failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Dataset(
                juzi_schemas::Error::NoDataset { .. } | juzi_schemas::Error::Locked { .. },
            ) => 1,
            Error::Dataset(_) | Error::Row { .. } => 2,
            Error::Recipe { .. } | Error::Input { .. } | Error::Usage(_) => 1,
        }
    }
}
