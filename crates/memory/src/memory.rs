use std::sync::Arc;

use memcloud_domain::{Clock, Episode, EpisodeId, Error, Fault, Session, Space};
use tokio::sync::OnceCell;

use crate::search::{Indexes, RankingWeights};
use memcloud_ports::{Check, Counts, Cursor, Deletion, Embedder, Engine, KeyStore, Part, SessionsOf};

/// What a memory accepts and how much room it takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest content of one episode, in bytes of UTF-8. Default 1 MiB.
    pub content_bytes: usize,
    /// The longest name of a session, member or kind, in bytes. Default 1 KiB.
    pub name_bytes: usize,
    /// The most results of one search. Default 1,000.
    pub results: usize,
    /// The most memory that the ranking indexes of all spaces may take, in bytes, beyond the one in use. Default 1 GiB.
    pub index_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { content_bytes: 1 << 20, name_bytes: 1 << 10, results: 1_000, index_bytes: 1 << 30 }
    }
}

/// A memory: stores episodes and finds them again. Shared by every request of a server.
pub struct Memory {
    pub(crate) store: Engine,
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) weights: RankingWeights,
    pub(crate) indexes: Indexes,
    /// Whether messages are queued for the profile.
    pub(crate) learns: bool,
    /// Set once the store is known to hold vectors of this embedder only.
    bound: OnceCell<()>,
}

impl Memory {
    /// Opens a memory over an engine. Without an embedder it works by words alone.
    ///
    /// Refuses with [`Error::OtherVectorSpace`] when the stored vectors come from another model. While the engine cannot
    /// be reached that is not known: then the memory opens all the same, and asks before the first use.
    pub async fn open(
        store: Engine,
        embedder: Option<Arc<dyn Embedder>>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        weights: RankingWeights,
    ) -> Result<Self, Error> {
        let (indexes, bound) = (Indexes::new(limits.index_bytes), OnceCell::new());
        let memory = Self { store, embedder, clock, limits, weights, indexes, learns: false, bound };
        match memory.bind().await {
            Err(error) if error.fault() != Fault::Unavailable => Err(error),
            _ => Ok(memory),
        }
    }

    /// Queues every message that people say for the profile, too: for a memory that has a learner: see [`profile`](crate::profile).
    #[must_use]
    pub fn learning(mut self) -> Self {
        self.learns = true;
        self
    }

    /// Makes sure that the store holds vectors of this embedder only. Asks the store until it has answered once.
    pub(crate) async fn bind(&self) -> Result<(), Error> {
        let Some(embedder) = &self.embedder else { return Ok(()) };
        self.bound.get_or_try_init(|| self.store.vectors.bind_vector_space(embedder.space())).await.copied()
    }

    /// What is accepted.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The keys that the instance made.
    pub fn api_keys(&self) -> &dyn KeyStore {
        self.store.keys.as_ref()
    }

    /// Where it takes the time from.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The newest episodes of a session, oldest first.
    pub async fn newest(&self, space: &Space, session: &str, limit: usize) -> Result<Vec<Episode>, Error> {
        self.store.episodes.newest(space, session, limit).await
    }

    /// A page of a space, or of one session in it, oldest first.
    pub async fn page(
        &self,
        space: &Space,
        session: Option<&str>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Episode>, Error> {
        self.store.episodes.page(space, session, after, limit).await
    }

    /// The episodes with these ids that exist in this space.
    pub async fn episodes(&self, space: &Space, ids: &[EpisodeId]) -> Result<Vec<Episode>, Error> {
        self.store.episodes.episodes(space, ids).await
    }

    /// Deletes for good, and says how many episodes there were.
    pub async fn forget(&self, space: &Space, deletion: Deletion) -> Result<u64, Error> {
        self.store.episodes.delete(space, deletion).await
    }

    /// One session with its members, if it exists.
    pub async fn session(&self, space: &Space, name: &str) -> Result<Option<Session>, Error> {
        self.store.sessions.session(space, name).await
    }

    /// Sessions in the order they were first seen.
    pub async fn sessions(&self, of: SessionsOf) -> Result<Vec<Session>, Error> {
        self.store.sessions.sessions(of).await
    }

    /// How much is stored.
    pub async fn counts(&self) -> Result<Counts, Error> {
        self.store.episodes.counts().await
    }

    /// Proves at this moment that each part of the store can be written and read and that the model answers.
    pub async fn probe(&self) -> Vec<Check> {
        let mut checks = self.store.health.probe().await;
        if let Some(embedder) = &self.embedder {
            let works = checks.iter().all(|check| check.outcome.is_ok());
            // A store that does not work cannot tell whose vectors it holds.
            let outcome = match if works { self.bind().await } else { Ok(()) } {
                Ok(()) => embedder.embed_query("Is anyone there?").await.map(drop),
                Err(error) => Err(error),
            };
            checks.push(Check { part: Part::Embedder, outcome });
        }
        checks
    }

    /// Gives vectors to episodes that were stored while no model ran. Says how many it served this time; 0 means that
    /// nothing is left to do.
    pub async fn embed_backlog(&self, limit: usize) -> Result<usize, Error> {
        if self.embedder.is_none() {
            return Ok(0);
        }
        self.bind().await?;
        let waiting = self.store.vectors.without_vector(limit).await?;
        let vectors = self.vectors(&waiting, None).await?;
        let ready = waiting.iter().zip(vectors).filter_map(|(e, v)| v.map(|v| (e.id, v))).collect();
        self.store.vectors.set_vectors(ready).await?;
        Ok(waiting.len())
    }
}
