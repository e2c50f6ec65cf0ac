use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{Database, Episode, EpisodeId, Error, Purpose, Space};
use memcloud_ports::{
    Appended, Batch, Check, Counts, Cursor, Deletion, Engine, EpisodeStore, Health, Idempotency, Intent,
    PROBE_WITHIN, Part, RecordStore, VectorStore,
};
use memcloud_store_connection::{Connection, Timeouts};
use memcloud_tasks::Tasks;
use tokio::sync::{Mutex, OnceCell};

use crate::connect::Opener;
use crate::graph::{self, STEP};
use crate::target::Target;
use crate::turn::Turn;
use crate::{schema, sweep};

/// How long finding out what became of a store may take, after its last word failed.
const LAST_WORD: Duration = Duration::from_millis(700);

/// A store whose episodes are in a graph and whose records are in another engine.
pub struct GraphStore {
    shared: Arc<Shared>,
    /// The sweeper, and operations that must not end halfway when their caller leaves.
    tasks: Tasks,
}

/// What operations and the sweeper work with.
pub(crate) struct Shared {
    pub(crate) records: Arc<dyn RecordStore>,
    pub(crate) link: Connection<Opener>,
    pub(crate) is_aura: bool,
    place: String,
    /// Held while embeddings are written: two at it would do everything twice.
    pub(crate) embedding: Mutex<()>,
    /// The name of the memory, once the records have told it.
    memory: OnceCell<String>,
}

impl GraphStore {
    /// Opens a store over this graph and these records. It is there at once; while the graph cannot be reached, every
    /// operation that needs it says so.
    pub async fn open(target: Target, records: Arc<dyn RecordStore>) -> Self {
        let (is_aura, place) = (target.is_aura(), target.place());
        let link = Connection::start(Opener { target }, Timeouts::default()).await;
        let shared = Arc::new(Shared {
            records,
            link,
            is_aura,
            place,
            embedding: Mutex::new(()),
            memory: OnceCell::new(),
        });
        let tasks = Tasks::new();
        tasks.spawn("sweeper", |_| sweep::forever(Arc::clone(&shared)));
        Self { shared, tasks }
    }

    /// The engine: episodes and their embeddings in the graph, everything else with the records.
    pub fn engine(self: Arc<Self>) -> Engine {
        let records = Engine::from(Arc::clone(&self.shared.records));
        Engine { episodes: self.clone(), vectors: self.clone(), health: self, ..records }
    }

    /// Does at once what is otherwise done by and by: removes from the graph what no record tells of, and gives turns
    /// their embeddings.
    pub async fn settle(&self) -> Result<(), Error> {
        sweep::once(&self.shared).await?;
        sweep::embed(&self.shared).await
    }
}

impl Shared {
    /// The name of the memory, once it is sure that its turns are in this graph.
    pub(crate) async fn memory(&self) -> Result<&str, Error> {
        let known = self.memory.get_or_try_init(|| async {
            let (name, counts) = tokio::try_join!(self.records.memory(), self.records.counts())?;
            let fresh = counts.episodes == 0;
            if self.link.run_idempotent(|graph| graph::knows(graph, &name, fresh)).await? {
                return Ok(name);
            }
            let (kept, wanted) = ("in another Neo4j".to_owned(), format!("in {}", self.place));
            Err(Error::EpisodesElsewhere { place: "use".into(), kept, wanted })
        });
        known.await.map(String::as_str)
    }

    /// Intends in the records, then writes to the graph.
    async fn begin(&self, turns: &[Turn<'_>]) -> Result<Intent, Error> {
        // Known to be down, it is not even intended.
        if let Some(trouble) = self.link.outage() {
            return Err(trouble);
        }
        let memory = self.memory().await?;
        let intent = self.records.intend(turns.iter().map(|turn| turn.episode.id).collect()).await?;
        for turns in turns.chunks(STEP) {
            let put = self.link.run_idempotent(|graph| graph::put(graph, memory, turns)).await;
            if let Err(error) = put {
                // What it left in the graph is removed by the sweeper; if nobody can be asked now, by whoever finds it.
                drop(tokio::time::timeout(LAST_WORD, self.records.withdraw(intent)).await);
                return Err(error);
            }
        }
        Ok(intent)
    }

    /// Records what is in the graph: answered after this.
    async fn record(&self, intent: Intent, batch: Batch) -> Result<Appended, Error> {
        let (space, ids) = (batch.space.clone(), batch.episodes.iter().map(|p| p.episode.id).collect());
        match self.records.append_intended(intent, batch).await {
            Ok(Appended::Stored) => Ok(Appended::Stored),
            Err(Error::Withdrawn) => Err(Error::Withdrawn),
            not_stored => {
                let last_word = self.take_back(intent, &space, ids);
                match tokio::time::timeout(LAST_WORD, last_word).await {
                    // It was recorded all the same: only the answer got lost.
                    Ok(Ok(true)) => Ok(Appended::Stored),
                    Ok(Ok(false)) => not_stored.map_err(|error| match error {
                        Error::OutcomeUnknown { .. } => Error::Withdrawn,
                        certain => certain,
                    }),
                    // Nobody could be asked. What is still intended then is withdrawn by whoever finds it.
                    Ok(Err(_)) | Err(_) => not_stored,
                }
            }
        }
    }

    /// Sees to it that a store which was not answered as stored leaves nothing: the sweeper removes it from the graph.
    /// Answers whether it turns out to be stored.
    async fn take_back(&self, intent: Intent, space: &Space, ids: Vec<EpisodeId>) -> Result<bool, Error> {
        if self.records.withdraw(intent).await? {
            return Ok(false);
        }
        Ok(self.records.episodes(space, &ids).await?.len() == ids.len())
    }

    /// Removes turns from the graph.
    pub(crate) async fn remove(&self, ids: &[EpisodeId]) -> Result<(), Error> {
        let memory = self.memory().await?;
        for ids in ids.chunks(STEP) {
            self.link.run_idempotent(|graph| graph::remove(graph, memory, ids)).await?;
        }
        Ok(())
    }

    async fn delete(&self, space: &Space, deletion: Deletion) -> Result<u64, Error> {
        let Some(deleted) = self.records.delete_noted(space, deletion).await? else {
            // Perhaps it was begun before and could not be finished: then it is, before all is called gone.
            sweep::once(self).await?;
            return Ok(0);
        };
        self.remove(&deleted.ids).await?;
        if let Err(error) = self.records.clear(deleted.intent).await {
            tracing::debug!(%error, "what was deleted is noted still; the sweeper looks once more");
        }
        Ok(deleted.ids.len() as u64)
    }

    /// Puts what the graph keeps into what the records keep. An episode whose turn is gone is being deleted, and left
    /// out.
    async fn filled(&self, recorded: Vec<Episode>) -> Result<Vec<Episode>, Error> {
        if recorded.is_empty() {
            return Ok(recorded);
        }
        let ids: Vec<EpisodeId> = recorded.iter().map(|episode| episode.id).collect();
        let contents = self.contents(&ids).await?;
        Ok(fill(recorded, contents))
    }

    async fn contents(&self, ids: &[EpisodeId]) -> Result<Contents, Error> {
        let memory = self.memory().await?;
        self.link.run_idempotent(|graph| graph::contents(graph, memory, ids)).await
    }
}

type Contents = std::collections::HashMap<EpisodeId, graph::Content>;

fn fill(recorded: Vec<Episode>, mut contents: Contents) -> Vec<Episode> {
    let filled = recorded.into_iter().filter_map(|mut episode| {
        let graph::Content { content, metadata } = contents.remove(&episode.id)?;
        episode.content = content;
        episode.metadata = metadata;
        Some(episode)
    });
    filled.collect()
}

#[async_trait]
impl EpisodeStore for GraphStore {
    async fn begin(&self, episodes: &[Episode], embedded: bool) -> Result<Option<Intent>, Error> {
        if episodes.is_empty() {
            return Ok(None);
        }
        let turn = |episode| Turn { episode, unembedded: embedded && episode.purpose == Purpose::Recall };
        let turns: Vec<Turn<'_>> = episodes.iter().map(turn).collect();
        self.shared.begin(&turns).await.map(Some)
    }

    async fn append(&self, mut batch: Batch) -> Result<Appended, Error> {
        if batch.episodes.is_empty() {
            return self.shared.records.append(batch).await;
        }
        let intent = if let Some(intent) = batch.intent.take() {
            intent
        } else {
            let turns: Vec<Turn<'_>> = batch.episodes.iter().map(Turn::of).collect();
            self.shared.begin(&turns).await?
        };
        for prepared in &mut batch.episodes {
            prepared.episode.content.clear();
            prepared.episode.metadata.clear();
        }
        // A task of its own: a client that leaves does not stop it between the last word and what follows it.
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
        Ok(fill(recorded, contents))
    }

    async fn newest(&self, space: &Space, session: &str, limit: usize) -> Result<Vec<Episode>, Error> {
        self.shared.filled(self.shared.records.newest(space, session, limit).await?).await
    }

    async fn page(
        &self,
        space: &Space,
        session: Option<&str>,
        mut after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Episode>, Error> {
        let mut page = Vec::new();
        // A page that is not full is the last one: what is being deleted meanwhile is made up for.
        loop {
            let wanted = limit - page.len();
            let recorded = self.shared.records.page(space, session, after, wanted).await?;
            let complete = recorded.len() < wanted;
            after = recorded.last().map(|e| Cursor { created_at: e.created_at.as_micros(), id: e.id });
            page.extend(self.shared.filled(recorded).await?);
            if complete || page.len() >= limit {
                return Ok(page);
            }
        }
    }

    async fn delete(&self, space: &Space, deletion: Deletion) -> Result<u64, Error> {
        let (shared, space) = (Arc::clone(&self.shared), space.clone());
        let deleted =
            self.tasks.run("delete", |_| async move { shared.delete(&space, deletion).await }).await;
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
            let made = async |graph| schema::make_vector_index(&graph, dimensions).await;
            self.shared.link.run_idempotent(made).await?;
        }
        Ok(())
    }

    async fn vector_space(&self) -> Result<Option<String>, Error> {
        self.shared.records.vector_space().await
    }

    async fn without_vector(&self, limit: usize) -> Result<Vec<Episode>, Error> {
        self.shared.filled(self.shared.records.without_vector(limit).await?).await
    }

    async fn set_vectors(&self, vectors: Vec<(EpisodeId, Vec<f16>)>) -> Result<(), Error> {
        let memory = self.shared.memory().await?;
        for vectors in vectors.chunks(STEP) {
            self.shared.link.run_idempotent(|graph| graph::embed(graph, memory, vectors)).await?;
        }
        self.shared.records.set_vectors(vectors).await
    }
}

#[async_trait]
impl Health for GraphStore {
    async fn probe(&self) -> Vec<Check> {
        let probe = async |graph| schema::prove_writable(&graph).await;
        let (mut checks, outcome) =
            tokio::join!(self.shared.records.probe(), self.shared.link.run_within(PROBE_WITHIN, probe));
        checks.push(Check { part: Part::Database(Database::Neo4j), outcome });
        checks
    }
}
