use std::io;
use std::net::SocketAddr;

use memcloud_domain::{KeyId, Space};
use memcloud_embed::weights::FetchError;
use memcloud_server::MIN_KEY_CHARACTERS;

/// Why an instance could not be opened, served or copied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its data could not be opened.
    #[error(transparent)]
    Data(memcloud_domain::Error),
    /// The memory failed.
    #[error(transparent)]
    Memory(#[from] memcloud_domain::Error),
    /// It would serve other machines without a key.
    #[error("anyone on the network could use this memory: {0} is not a loopback address and no key is set")]
    Exposed(SocketAddr),
    /// It would serve other machines with a key that is easy to guess.
    #[error("{0} is not a loopback address, and an API key has fewer than {MIN_KEY_CHARACTERS} characters")]
    ShortKey(SocketAddr),
    /// Its socket does not work.
    #[error("the listening socket failed")]
    Socket(#[source] io::Error),
    /// The server ended by itself.
    #[error("the server stopped")]
    Served(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The local model cannot be used.
    #[error(transparent)]
    Model(#[from] memcloud_embed::Error),
    /// The local model could not be fetched.
    #[error(transparent)]
    Fetch(FetchError),
    /// A damaged model could not be removed.
    #[error("cannot remove {}", dir.display())]
    Remove {
        /// Its folder.
        dir: std::path::PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The local model has no thread to run on.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The local model panicked.
    #[error("the embedding model failed")]
    Panicked(#[source] tokio::task::JoinError),
    /// The local model computes vectors that are not of length 1.
    #[error("the kernel {kernel} computes a vector of length {length}")]
    WrongVector {
        /// The instructions it computes with.
        kernel: String,
        /// The length.
        length: f32,
    },
    /// The endpoint does not embed.
    #[error("{model} at {address} does not embed")]
    Endpoint {
        /// The model.
        model: String,
        /// The address of its endpoint.
        address: String,
        /// What it said.
        #[source]
        source: memcloud_domain::Error,
    },
    /// Part of what is copied cannot be read.
    #[error("the copy has only what could be read: {0}")]
    Unread(String),
    /// After a copy, a space is not the same on both sides.
    #[error("the two sides of {space} differ: {here} and {there}")]
    SpacesDiffer {
        /// The space.
        space: Space,
        /// A summary of the source.
        here: String,
        /// A summary of the target.
        there: String,
    },
    /// After a copy, an API key is not the same on both sides.
    #[error("the API key {id} is not the same on both sides")]
    KeyDiffers {
        /// The id of the key.
        id: KeyId,
    },
    /// After a copy, the target lacks categories of the source.
    #[error("of the {here} categories, set types and settings of categories, {missing} differ on the target")]
    CategoriesDiffer {
        /// How many the source has.
        here: usize,
        /// How many are missing or different on the target.
        missing: usize,
    },
    /// After a copy, facts or the learning queue are not the same on both sides.
    #[error("the learned facts differ on the two sides: {here} and {there}")]
    FactsDiffer {
        /// A summary of the source.
        here: String,
        /// A summary of the target.
        there: String,
    },
}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Model(error) => Self::Model(error),
            other => Self::Fetch(other),
        }
    }
}
