use std::sync::Arc;

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{Database, Episode, EpisodeId, Error, Purpose, Space};
use memcloud_ports::{
    Appended, Batch, Component, Counts, Cursor, Damage, Engine, EpisodeStore, EpisodesOf, Health,
    HealthCheck, Idempotency, Intent, PROBE_WITHIN, RecordStore, Selected, VectorStore,
};
use memcloud_store_connection::{Connection, Timeouts};
use memcloud_tasks::Tasks;
use tokio::sync::{Mutex, OnceCell};

use crate::connect::Opener;
use crate::graph::{self, STEP};
use crate::node::EpisodeNode;
use crate::shared::{Shared, merge};
use crate::target::Target;
use crate::{schema, sweep};

/// A store whose episodes are in a graph and whose records are in another engine.
pub struct GraphStore {
    shared: Arc<Shared>,
    /// The sweeper, and operations that must finish even if their caller leaves.
    tasks: Tasks,
}

impl GraphStore {
    /// Opens a store over this graph and these records. Returns even when the graph cannot be reached; every operation that
    /// needs it then returns that error.
    pub async fn open(target: Target, records: Arc<dyn RecordStore>) -> Self {
        let (is_aura, place) = (target.is_aura(), target.place());
        let connection = Connection::start(Opener { target }, Timeouts::default()).await;
        let shared = Arc::new(Shared {
            records,
            connection,
            is_aura,
            place,
            damage: Damage::default(),
            embedding: Mutex::new(()),
            memory: OnceCell::new(),
        });
        let tasks = Tasks::new();
        tasks.spawn("sweeper", |_| sweep::forever(Arc::clone(&shared)));
        Self { shared, tasks }
    }

    /// The engine: episodes and their embeddings in the graph, everything else with the records.
    pub fn engine(self: Arc<Self>) -> Engine {
        let records = Engine::of(self.shared.records.clone());
        Engine { episodes: self.clone(), vectors: self.clone(), health: self, ..records }
    }

    /// Does now what the sweeper does in the background: removes orphaned episodes from the graph, and writes missing
    /// embeddings.
    pub async fn settle(&self) -> Result<(), Error> {
        sweep::once(&self.shared).await?;
        sweep::embed(&self.shared).await
    }
}

/// Deletes the records, then the episodes in the graph.
async fn delete(shared: &Shared, space: &Space, ids: &[EpisodeId]) -> Result<u64, Error> {
    let Some(deleted) = shared.records.delete_noted(space, ids).await? else {
        // An earlier deletion may have removed the records alone. Finish it before reporting that all is gone.
        sweep::once(shared).await?;
        return Ok(0);
    };
    shared.remove(&deleted.ids).await?;
    if let Err(error) = shared.records.clear(deleted.intent).await {
        tracing::debug!(%error, "cannot clear the intent of a deletion; the sweeper will");
    }
    Ok(deleted.ids.len() as u64)
}

#[async_trait]
impl EpisodeStore for GraphStore {
    async fn begin(&self, episodes: &[Episode], embedded: bool) -> Result<Option<Intent>, Error> {
        if episodes.is_empty() {
            return Ok(None);
        }
        let node =
            |episode| EpisodeNode { episode, unembedded: embedded && episode.purpose == Purpose::Recall };
        let nodes: Vec<EpisodeNode<'_>> = episodes.iter().map(node).collect();
        self.shared.begin(&nodes).await.map(Some)
    }

    async fn append(&self, mut batch: Batch) -> Result<Appended, Error> {
        if batch.episodes.is_empty() {
            return self.shared.records.append(batch).await;
        }
        let intent = if let Some(intent) = batch.intent.take() {
            intent
        } else {
            let nodes: Vec<EpisodeNode<'_>> = batch.episodes.iter().map(EpisodeNode::of).collect();
            self.shared.begin(&nodes).await?
        };
        for prepared in &mut batch.episodes {
            prepared.episode.content.clear();
            prepared.episode.metadata.clear();
        }
        // A task of its own, so that a client that leaves does not stop it between the commit and what follows.
        let shared = Arc::clone(&self.shared);
        let recorded = self.tasks.run("store", |_| async move { shared.record(intent, batch).await }).await;
        recorded.map_err(|error| Error::Storage { doing: "storing episodes", source: error.into() })?
    }

    async fn repeated(&self, idempotency: Idempotency) -> Result<Option<Vec<EpisodeId>>, Error> {
        self.shared.records.repeated(idempotency).await
    }

    async fn episodes(&self, space: &Space, ids: &[EpisodeId]) -> Result<Vec<Episode>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (recorded, contents) =
            tokio::try_join!(self.shared.records.episodes(space, ids), self.shared.contents(ids))?;
        Ok(merge(recorded, contents))
    }

    async fn episode(&self, space: &Space, id: EpisodeId) -> Result<Option<Episode>, Error> {
        let found = self.episodes(space, &[id]).await?.pop();
        // What cannot be read is in one of the two.
        if found.is_none() && self.shared.records.episode(space, id).await?.is_some() {
            self.shared.damage.refuse_unreadable(id)?;
        }
        Ok(found)
    }

    async fn newest(&self, space: &Space, session: &str, limit: usize) -> Result<Vec<Episode>, Error> {
        let mut recorded = self.shared.records.newest(space, session, limit).await?;
        // The newest first: where the contents are large, the oldest are left out.
        recorded.reverse();
        let mut newest = self.shared.complete(recorded).await?;
        newest.reverse();
        Ok(newest)
    }

    async fn page(
        &self,
        space: &Space,
        session: Option<&str>,
        mut after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Episode>, Error> {
        loop {
            let recorded = self.shared.records.page(space, session, after, limit).await?;
            let Some(last) = recorded.last() else { return Ok(Vec::new()) };
            after = Some(Cursor { created_at: last.created_at.as_micros(), id: last.id });
            let page = self.shared.complete(recorded).await?;
            // An empty page would end the listing. These are all being deleted, and later ones may be there.
            if !page.is_empty() {
                return Ok(page);
            }
        }
    }

    async fn select(&self, space: &Space, of: &EpisodesOf) -> Result<Selected, Error> {
        self.shared.records.select(space, of).await
    }

    async fn delete(&self, space: &Space, ids: &[EpisodeId]) -> Result<u64, Error> {
        let (shared, space, ids) = (Arc::clone(&self.shared), space.clone(), ids.to_vec());
        let deleted = self.tasks.run("delete", |_| async move { delete(&shared, &space, &ids).await }).await;
        deleted.map_err(|error| Error::Storage { doing: "deleting episodes", source: error.into() })?
    }

    async fn counts(&self) -> Result<Counts, Error> {
        self.shared.records.counts().await
    }
}

#[async_trait]
impl VectorStore for GraphStore {
    async fn bind_vector_space(&self, running: &str) -> Result<(), Error> {
        self.shared.records.bind_vector_space(running).await?;
        let dimensions = running.rsplit('/').next().and_then(|number| number.parse::<i64>().ok());
        if let Some(dimensions) = dimensions {
            let create = async |graph| schema::create_vector_index(&graph, dimensions).await;
            self.shared.connection.run_idempotent(create).await?;
        }
        Ok(())
    }

    async fn vector_space(&self) -> Result<Option<String>, Error> {
        self.shared.records.vector_space().await
    }

    async fn without_vector(&self, limit: usize) -> Result<Vec<Episode>, Error> {
        self.shared.complete(self.shared.records.without_vector(limit).await?).await
    }

    async fn set_vectors(&self, vectors: Vec<(EpisodeId, Vec<f16>)>) -> Result<(), Error> {
        let memory = self.shared.memory().await?;
        for vectors in vectors.chunks(STEP) {
            self.shared.connection.run_idempotent(|graph| graph::embed(graph, memory, vectors)).await?;
        }
        self.shared.records.set_vectors(vectors).await
    }
}

#[async_trait]
impl Health for GraphStore {
    async fn probe(&self) -> Vec<HealthCheck> {
        let (mut checks, outcome) = tokio::join!(
            self.shared.records.probe(),
            self.shared.connection.run_within(PROBE_WITHIN, |graph| self.shared.prove(graph))
        );
        checks.push(HealthCheck { component: Component::Database(Database::Neo4j), outcome });
        checks
    }

    fn intact(&self) -> Result<(), Error> {
        self.shared.records.intact()?;
        self.shared.damage.check()
    }
}
