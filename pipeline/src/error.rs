//! The error type of the pipeline, and how an error becomes an exit code.

use std::path::PathBuf;

/// What can go wrong between a plan and its datasets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plan says something that cannot be.
    #[error("{path}: {message}")]
    Plan {
        /// The plan file.
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
    /// An input file can be read but is not what its reader expects.
    #[error("{path}: {message}")]
    Content {
        /// The input file.
        path: PathBuf,
        /// What was found and what is accepted.
        message: String,
    },
    /// More of the input was bad than the plan allows.
    #[error("{0}")]
    TooManyDropped(String),
    /// The machine is too small for the job as planned.
    #[error("{0}")]
    Resources(String),
    /// A request that makes no sense: a flag, a query, a dataset name.
    #[error("{0}")]
    Usage(String),
    /// The dataset on disk.
    #[error(transparent)]
    Dataset(#[from] juzi_schemas::Error),
    /// Ctrl-C.
    #[error("interrupted; nothing that was finished is lost. Go on with: {resume}")]
    Interrupted {
        /// The command that goes on.
        resume: String,
    },
    /// A query over a dataset failed.
    #[error("query: {0}")]
    Query(String),
}

/// Result of everything in the pipeline.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps an IO error with the input it happened on.
    pub fn input(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Input { path, source }
    }

    /// 1: the plan, the input or the request is wrong; 2: it failed; 130: interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Interrupted { .. } => 130,
            Error::Dataset(
                juzi_schemas::Error::NoDataset { .. } | juzi_schemas::Error::Locked { .. },
            ) => 1,
            Error::Dataset(_) | Error::Resources(_) => 2,
            _ => 1,
        }
    }
}
