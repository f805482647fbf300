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
    /// A tokenizer cannot be read, or cannot encode a text.
    #[error("{path}: {message}")]
    Tokenizer {
        /// The file, or the folder it should be in.
        path: PathBuf,
        /// What was found and what is expected.
        message: String,
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
    /// A thread of the feed failed.
    #[error("worker {worker} of the feed, step {step}: {source}")]
    Worker {
        /// Number of the worker, from 0.
        worker: usize,
        /// The step whose batch it was making.
        step: u64,
        /// What happened.
        source: Box<Error>,
    },
    /// A thread ended in a way that it must not.
    #[error("{0}; this is a defect of juzi")]
    Defect(String),
    /// A row group of a dataset is not what its lists promise.
    #[error("{path}: row group {group}: {message}")]
    Group {
        /// The Parquet file.
        path: PathBuf,
        /// Number of the row group in the file, from 0.
        group: usize,
        /// What was found and what is expected.
        message: String,
    },
    /// What a run has seen is not what its recipe says.
    #[error("{path}: {message}")]
    Mismatch {
        /// The directory of the run.
        path: PathBuf,
        /// Which steps differ.
        message: String,
    },
    /// Ctrl-C; what was asked for before it is done.
    #[error("interrupted{resume}")]
    Interrupted {
        /// How to go on, or nothing.
        resume: String,
    },
    /// The files of a model are not what they must be.
    #[error("{path}: {message}")]
    Model {
        /// The file, or the folder it should be in.
        path: PathBuf,
        /// What was found and what is expected.
        message: String,
    },
    /// A training cannot go on: its loss or its gradients are not numbers any more.
    #[error("step {step}: {message}")]
    Training {
        /// The step that did it.
        step: u64,
        /// What happened, and with which batch.
        message: String,
    },
    /// An evaluation failed.
    #[error("task {task}: {source}")]
    Task {
        /// Name of the task.
        task: String,
        /// What happened.
        source: Box<Error>,
    },
    /// An operation on tensors failed.
    #[error("{0}")]
    Tensor(#[from] candle_core::Error),
    /// Parts of a larger work failed; the others are done.
    #[error("{0}")]
    Failed(String),
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

    /// 1: the recipe, the input or the request is wrong; 2: it failed; 130: interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Dataset(
                juzi_schemas::Error::NoDataset { .. } | juzi_schemas::Error::Locked { .. },
            ) => 1,
            Error::Interrupted { .. } => 130,
            Error::Worker { source, .. } | Error::Task { source, .. } => source.exit_code(),
            Error::Dataset(_)
            | Error::Row { .. }
            | Error::Group { .. }
            | Error::Mismatch { .. }
            | Error::Training { .. }
            | Error::Tensor(_)
            | Error::Failed(_)
            | Error::Defect(_) => 2,
            Error::Recipe { .. }
            | Error::Input { .. }
            | Error::Tokenizer { .. }
            | Error::Model { .. }
            | Error::Usage(_) => 1,
        }
    }
}
