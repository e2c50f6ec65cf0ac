//! What can go wrong with a model folder.

use std::path::{Path, PathBuf};

use memcloud_kernels::UnavailableIsa;

/// Why a model could not be loaded. The text names the file, and what is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the model cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the default model is damaged.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Expected and found size or hash.
        what: String,
    },
    /// A file cannot be understood, or describes a model that is not supported.
    #[error("{} cannot be used as an embedding model: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what is supported.
        what: String,
    },
    /// This machine lacks the requested instruction set.
    #[error(transparent)]
    Isa(#[from] UnavailableIsa),
    /// The threads could not be started.
    #[error("cannot start threads for the embedding model: {0}")]
    Threads(String),
}

impl Error {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    pub(crate) fn unsupported(path: &Path, what: impl Into<String>) -> Self {
        Self::Unsupported { path: path.to_owned(), what: what.into() }
    }
}
