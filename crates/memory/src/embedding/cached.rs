use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hashlink::LruCache;
use memcloud_domain::Error;
use memcloud_ports::Embedder;

/// How many queries are remembered: more than there are chats at once, so that a question is still here when it is stored.
const ENTRIES: usize = 256;
/// Longer texts are not remembered, so that the cache stays within a few megabytes.
const TEXT_BYTES: usize = 8 << 10;

/// A cache of recent queries in front of an embedder.
///
/// A chat turn embeds its question twice, once to search and once to store it, and people repeat queries; with this cache
/// each such text reaches the model once. A vector of a query also serves a document with the same text: every model that
/// MemCloud runs embeds both alike.
pub(crate) struct CachedEmbedder {
    embedder: Arc<dyn Embedder>,
    recent: Mutex<LruCache<String, Vec<f32>>>,
}

impl CachedEmbedder {
    pub(crate) fn new(embedder: Arc<dyn Embedder>) -> Self {
        Self { embedder, recent: Mutex::new(LruCache::new(ENTRIES)) }
    }

    fn recent(&self) -> MutexGuard<'_, LruCache<String, Vec<f32>>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Embedder for CachedEmbedder {
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        if text.len() > TEXT_BYTES {
            return self.embedder.embed_query(text).await;
        }
        let known = self.recent().get(text).cloned();
        if let Some(vector) = known {
            return Ok(vector);
        }
        let vector = self.embedder.embed_query(text).await?;
        self.recent().insert(text.to_owned(), vector.clone());
        Ok(vector)
    }

    async fn embed_documents(&self, mut texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors: Vec<Option<Vec<f32>>> = {
            let mut recent = self.recent();
            // Looking for a long text would take long, while all others wait for the lock.
            let known = |text: &String| {
                if text.len() > TEXT_BYTES { None } else { recent.get(text).cloned() }
            };
            texts.iter().map(known).collect()
        };
        let mut known = vectors.iter().map(Option::is_some);
        texts.retain(|_| known.next() == Some(false));
        if !texts.is_empty() {
            let mut embedded = self.embedder.embed_documents(texts).await?.into_iter();
            for missing in vectors.iter_mut().filter(|vector| vector.is_none()) {
                *missing = embedded.next();
            }
        }
        let complete: Option<Vec<_>> = vectors.into_iter().collect();
        complete.ok_or_else(|| Error::Embedding("the model returned too few vectors".into()))
    }

    fn space(&self) -> &str {
        self.embedder.space()
    }

    fn dimensions(&self) -> usize {
        self.embedder.dimensions()
    }
}
