//! The embedder of a memory, bound to the vector space of its store.

mod cached;

use std::sync::Arc;

use half::f16;
use memcloud_domain::Error;
use memcloud_ports::{Embedder, VectorStore};
use tokio::sync::OnceCell;

use crate::embedding::cached::CachedEmbedder;

/// The embedder, if the memory has one. Without one, episodes and facts are found by words alone.
pub(crate) struct Embedding {
    store: Arc<dyn VectorStore>,
    model: Option<Model>,
    /// Set once the store has confirmed that it holds vectors of this model only.
    bound: OnceCell<()>,
}

struct Model {
    direct: Arc<dyn Embedder>,
    cached: CachedEmbedder,
}

impl Embedding {
    pub(crate) fn new(store: Arc<dyn VectorStore>, embedder: Option<Arc<dyn Embedder>>) -> Self {
        let model = embedder.map(|direct| Model { cached: CachedEmbedder::new(Arc::clone(&direct)), direct });
        Self { store, model, bound: OnceCell::new() }
    }

    /// Whether there is an embedder.
    pub(crate) fn is_available(&self) -> bool {
        self.model.is_some()
    }

    /// Binds the store to the model's vector space. Asks the store until it has answered once, then never again.
    pub(crate) async fn bind(&self) -> Result<(), Error> {
        let Some(model) = &self.model else { return Ok(()) };
        self.bound.get_or_try_init(|| self.store.bind_vector_space(model.direct.space())).await.copied()
    }

    /// Embeds a query; `None` without an embedder.
    pub(crate) async fn query(&self, text: &str) -> Result<Option<Vec<f32>>, Error> {
        let Some(model) = &self.model else { return Ok(None) };
        match self.bind().await {
            // It cannot say whose vectors it holds. Words still find.
            Err(Error::DamagedReadOnly { .. }) => return Ok(None),
            bound => bound?,
        }
        let vector = model.cached.embed_query(text).await?;
        if vector.iter().all(|x| x.is_finite()) { Ok(Some(vector)) } else { Err(not_finite()) }
    }

    /// Embeds texts to be stored, in order; `None` without an embedder.
    pub(crate) async fn documents(&self, texts: Vec<String>) -> Result<Option<Vec<Vec<f16>>>, Error> {
        let Some(model) = &self.model else { return Ok(None) };
        if texts.is_empty() {
            return Ok(Some(vec![]));
        }
        self.bind().await?;
        let vectors = model.cached.embed_documents(texts).await?.into_iter();
        let vectors: Vec<Vec<f16>> =
            vectors.map(|vector| vector.into_iter().map(f16::from_f32).collect()).collect();
        if is_finite(&vectors) { Ok(Some(vectors)) } else { Err(not_finite()) }
    }

    /// Proves that the model works at this moment. Goes past the cache. Does nothing without an embedder.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        match &self.model {
            Some(model) => {
                let vector = model.direct.embed_query("Is anyone there?").await?;
                if vector.iter().all(|x| x.is_finite()) { Ok(()) } else { Err(not_finite()) }
            }
            None => Ok(()),
        }
    }
}

fn is_finite(vectors: &[Vec<f16>]) -> bool {
    vectors.iter().flatten().all(|x| x.is_finite())
}

/// A vector like that is similar to nothing, and hides its text.
fn not_finite() -> Error {
    Error::Embedding("it returned a vector with values that are not finite numbers".into())
}
