//! Embeddings beside the episodes, and the vector space they belong to.

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{Episode, EpisodeId, Error};

/// Keeps the embeddings of episodes. All vectors of a store belong to one vector space.
/// As for every port: what returns `Ok` is durable, and what returns an error has changed nothing.
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// Ties the store to a vector space (provider, model, dimensions). The first call decides; later ones with another
    /// space are refused with [`Error::OtherVectorSpace`].
    async fn bind_vector_space(&self, running: &str) -> Result<(), Error>;

    /// The vector space that the store is tied to, if it is tied to one.
    async fn vector_space(&self) -> Result<Option<String>, Error>;

    /// Some episodes that have no vector yet, oldest first.
    async fn without_vector(&self, limit: usize) -> Result<Vec<Episode>, Error>;

    /// Gives episodes their vectors, each under a new sequence number of its space. Episodes that are gone are passed
    /// over.
    async fn set_vectors(&self, vectors: Vec<(EpisodeId, Vec<f16>)>) -> Result<(), Error>;
}
