use std::sync::Arc;

use memcloud_domain::{Clock, Error, Fact, Fault, InFlight, with_causes};
use memcloud_ports::{Component, Embedder, Engine, FactsOf, HealthCheck};
use tokio::sync::Notify;

use crate::embedding::Embedding;
use crate::ingest::{Ingest, StoreRequest, Stored};
use crate::limits::{Checked, Limits};
use crate::profile::categories::Categories;
use crate::search::{FactHit, ListQuery, ListedPage, RankingWeights, Search, SearchQuery, SearchResults};

/// A memory: stores episodes and finds them again. One is shared by all requests of a server.
pub struct Memory {
    pub(crate) engine: Engine,
    pub(crate) embedding: Arc<Embedding>,
    pub(crate) categories: Arc<Categories>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) ingest: Ingest,
    pub(crate) search: Search,
    pub(crate) in_flight: Arc<InFlight>,
    /// Wakes the deleter of spaces.
    pub(crate) deletions: Notify,
}

impl Memory {
    /// Opens a memory over an engine. Without an embedder it searches by words alone.
    ///
    /// Refuses with [`Error::OtherVectorSpace`] when the stored vectors come from another model. An engine that cannot be
    /// reached cannot answer that: then the memory opens nevertheless, and asks again before its first use.
    pub async fn open(
        engine: Engine,
        embedder: Option<Arc<dyn Embedder>>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        weights: RankingWeights,
    ) -> Result<Self, Error> {
        let embedding = Arc::new(Embedding::new(Arc::clone(&engine.vectors), embedder));
        let categories = Arc::new(Categories::new(Arc::clone(&engine.categories)));
        match embedding.bind().await {
            Err(error) if error.fault() != Fault::Unavailable => return Err(error),
            _ => {}
        }
        // Learning asks for the categories again. Everything else works without them, also on a damaged store.
        if let Err(error) = categories.complete().await {
            tracing::warn!(error = with_causes(&error), "cannot store the built-in categories; will retry");
        }
        let ingest = Ingest::new(
            Arc::clone(&engine.episodes),
            Arc::clone(&embedding),
            Arc::clone(&categories),
            Arc::clone(&clock),
        );
        let search = Search::new(engine.clone(), Arc::clone(&embedding), Arc::clone(&clock), limits, weights);
        let in_flight = Arc::clone(search.in_flight());
        let deletions = Notify::new();
        Ok(Self { engine, embedding, categories, clock, limits, ingest, search, in_flight, deletions })
    }

    /// Also queues every message that a person writes for the [`Learner`](crate::Learner).
    #[must_use]
    pub fn learning(mut self) -> Self {
        self.ingest.learns = true;
        self
    }

    /// Whether messages are queued for the [`Learner`](crate::Learner).
    pub fn learns(&self) -> bool {
        self.ingest.learns
    }

    /// The account of what requests and answers take. Searches and pages count what they read in it.
    pub fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    /// What the memory accepts.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Stores episodes. When this returns, they are durable, and the very next search finds them.
    pub async fn store(&self, request: Checked<StoreRequest>) -> Result<Stored, Error> {
        self.ingest.store(request).await
    }

    /// Finds the episodes that answer a query, best first. Searches everything that was stored before the call.
    pub async fn search(&self, query: &Checked<SearchQuery>) -> Result<SearchResults, Error> {
        self.search.episodes(query).await
    }

    /// Finds the facts that are most similar to the text of a query, best first.
    pub async fn search_facts(
        &self,
        query: &Checked<SearchQuery>,
        of: &FactsOf,
        most: usize,
    ) -> Result<Vec<FactHit>, Error> {
        self.search.facts(of, query, most).await
    }

    /// Finds episodes and facts at once. Costs little more than the episodes alone.
    pub async fn search_both(
        &self,
        query: &Checked<SearchQuery>,
        of: &FactsOf,
        most_facts: usize,
    ) -> Result<(SearchResults, Vec<FactHit>), Error> {
        self.search.both(query, of, most_facts).await
    }

    /// The engine below, for everything that needs neither text analysis nor an embedder: reading, deleting, sessions, the
    /// learning queue and keys.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The clock that the memory reads.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// A page of a space, or of one session in it, oldest first. Includes episodes that no search finds.
    pub async fn list(&self, query: &ListQuery) -> Result<ListedPage, Error> {
        self.search.list(query).await
    }

    /// Facts, in the order in which they were learned.
    pub async fn facts(&self, of: &FactsOf) -> Result<Vec<Fact>, Error> {
        let facts = self.engine.facts.facts(of).await?;
        Ok(facts.into_iter().map(|fact| fact.fact).collect())
    }

    /// Proves at this moment that each component of the store can be written and read, and that the embedder works.
    pub async fn probe(&self) -> Vec<HealthCheck> {
        let mut checks = self.engine.health.probe().await;
        if self.embedding.is_available() {
            let store_works = checks.iter().all(|check| check.outcome.is_ok());
            // A store that does not work cannot say whose vectors it holds.
            let outcome = match if store_works { self.embedding.bind().await } else { Ok(()) } {
                Ok(()) => self.embedding.probe().await,
                Err(error) => Err(error),
            };
            checks.push(HealthCheck { component: Component::Embedder, outcome });
        }
        checks
    }

    /// Embeds some of the episodes that were stored while no embedder ran, and says how many; 0 when none is left.
    pub async fn embed_backlog(&self, limit: usize) -> Result<usize, Error> {
        if !self.embedding.is_available() {
            return Ok(0);
        }
        self.embedding.bind().await?;
        let waiting = self.engine.vectors.without_vector(limit).await?;
        let vectors = self.ingest.embed(&waiting).await?;
        let ready = waiting.iter().zip(vectors).filter_map(|(e, v)| v.map(|v| (e.id, v))).collect();
        self.engine.vectors.set_vectors(ready).await?;
        Ok(waiting.len())
    }
}
