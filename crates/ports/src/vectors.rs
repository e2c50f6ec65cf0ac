//! Embeddings of the episodes, and the vector space they belong to.

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{Episode, EpisodeId, Error};

/// Stores the embeddings of episodes. All of them belong to one vector space.
///
/// As in every port, an operation that returns `Ok` is durable, and one that returns an error has changed nothing.
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// Ties the store to a vector space (provider, model, dimensions). The first call decides. Later calls with another
    /// space fail with [`Error::OtherVectorSpace`].
    async fn bind_vector_space(&self, running: &str) -> Result<(), Error>;

    /// The vector space that the store is tied to, if it is tied to one.
    async fn vector_space(&self) -> Result<Option<String>, Error>;

    /// Some episodes that have no vector yet, oldest first. Ends early at [`READ_BYTES`](crate::READ_BYTES).
    async fn without_vector(&self, limit: usize) -> Result<Vec<Episode>, Error>;

    /// Sets the vectors of episodes, each under a new sequence number of its space. Skips episodes that do not exist.
    async fn set_vectors(&self, vectors: Vec<(EpisodeId, Vec<f16>)>) -> Result<(), Error>;
}
