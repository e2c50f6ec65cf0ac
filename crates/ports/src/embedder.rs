//! A model that turns text into vectors.

use async_trait::async_trait;
use memcloud_domain::Error;

/// A model that turns text into vectors of unit length.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// The vector of a question. Questions go before passages when both wait.
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error>;

    /// The vectors of texts to be stored, in their order.
    async fn embed_documents(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error>;

    /// What the vectors belong to: provider, model and dimensions, such as `local/all-MiniLM-L6-v2/384`.
    fn space(&self) -> &str;

    /// The length of a vector.
    fn dimensions(&self) -> usize;
}
