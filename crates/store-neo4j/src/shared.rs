//! What the operations and the sweeper share: the records, the graph, and the steps over both.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{Episode, EpisodeId, Error, Space};
use memcloud_ports::{Appended, Batch, Damage, DamagedRow, Intent, RecordStore, read_all};
use memcloud_store_connection::Connection;
use neo4rs::Graph;
use tokio::sync::{Mutex, OnceCell};

use crate::connect::Opener;
use crate::graph::{self, Content, STEP};
use crate::node::EpisodeNode;
use crate::schema;

/// How long to wait for the outcome of a store whose recording failed.
const OUTCOME_TIMEOUT: Duration = Duration::from_millis(700);

/// The records and the graph.
pub(crate) struct Shared {
    pub(crate) records: Arc<dyn RecordStore>,
    pub(crate) connection: Connection<Opener>,
    pub(crate) is_aura: bool,
    pub(crate) place: String,
    pub(crate) damage: Damage<EpisodeId>,
    /// Held while embeddings are written: two tasks would write each of them twice.
    pub(crate) embedding: Mutex<()>,
    /// The name of the memory, once it was read from the records.
    pub(crate) memory: OnceCell<String>,
}

impl Shared {
    /// The name of the memory. Refuses a graph that does not hold its episodes.
    pub(crate) async fn memory(&self) -> Result<&str, Error> {
        let known = self.memory.get_or_try_init(|| async {
            let (name, counts) = tokio::try_join!(self.records.memory(), self.records.counts())?;
            let fresh = counts.episodes == 0;
            if self.connection.run_idempotent(|graph| graph::knows(graph, &name, fresh)).await? {
                return Ok(name);
            }
            Err(Error::OtherGraph { place: self.place.clone() })
        });
        known.await.map(String::as_str)
    }

    /// Records an intent, then writes to the graph.
    pub(crate) async fn begin(&self, nodes: &[EpisodeNode<'_>]) -> Result<Intent, Error> {
        // While the graph is known to be down, not even an intent is recorded.
        if let Some(outage) = self.connection.outage() {
            return Err(outage);
        }
        let memory = self.memory().await?;
        let intent = self.records.intend(nodes.iter().map(|node| node.episode.id).collect()).await?;
        for nodes in nodes.chunks(STEP) {
            let put = self.connection.run_idempotent(|graph| graph::put(graph, memory, nodes)).await;
            if let Err(error) = put {
                // The sweeper removes what was written. If the records are down, a later sweep withdraws the intent.
                drop(tokio::time::timeout(OUTCOME_TIMEOUT, self.records.withdraw(intent)).await);
                return Err(error);
            }
        }
        Ok(intent)
    }

    /// Records episodes that are in the graph. After this the store is answered.
    pub(crate) async fn record(&self, intent: Intent, batch: Batch) -> Result<Appended, Error> {
        let (space, ids) = (batch.space.clone(), batch.episodes.iter().map(|p| p.episode.id).collect());
        match self.records.append_intended(intent, batch).await {
            Ok(Appended::Stored) => Ok(Appended::Stored),
            Err(Error::Withdrawn) => Err(Error::Withdrawn),
            not_stored => {
                let outcome = self.undo(intent, &space, ids);
                match tokio::time::timeout(OUTCOME_TIMEOUT, outcome).await {
                    // It was recorded, and only the answer was lost.
                    Ok(Ok(true)) => Ok(Appended::Stored),
                    Ok(Ok(false)) => not_stored.map_err(|error| match error {
                        Error::OutcomeUnknown { .. } => Error::Withdrawn,
                        certain => certain,
                    }),
                    // The records are down. A later sweep withdraws the intent if it is still there.
                    Ok(Err(_)) | Err(_) => not_stored,
                }
            }
        }
    }

    /// Makes sure that a store that failed leaves nothing: the sweeper removes its episodes from the graph. Returns whether
    /// it was stored after all.
    async fn undo(&self, intent: Intent, space: &Space, ids: Vec<EpisodeId>) -> Result<bool, Error> {
        if self.records.withdraw(intent).await? {
            return Ok(false);
        }
        Ok(read_all(&*self.records, space, &ids).await?.len() == ids.len())
    }

    /// Removes episodes from the graph.
    pub(crate) async fn remove(&self, ids: &[EpisodeId]) -> Result<(), Error> {
        let memory = self.memory().await?;
        for ids in ids.chunks(STEP) {
            self.connection.run_idempotent(|graph| graph::remove(graph, memory, ids)).await?;
        }
        Ok(())
    }

    /// Completes recorded episodes with the content from the graph. An episode that is not in the graph is being deleted,
    /// and is left out. So are the last ones when those before are large together.
    pub(crate) async fn complete(&self, recorded: Vec<Episode>) -> Result<Vec<Episode>, Error> {
        if recorded.is_empty() {
            return Ok(recorded);
        }
        let ids: Vec<EpisodeId> = recorded.iter().map(|episode| episode.id).collect();
        Ok(merge(recorded, self.contents(&ids).await?))
    }

    /// The contents of the first of these episodes, until they are large together.
    pub(crate) async fn contents(&self, ids: &[EpisodeId]) -> Result<Contents, Error> {
        let memory = self.memory().await?;
        self.connection.run_idempotent(|graph| graph::contents(graph, memory, ids, &self.damage)).await
    }

    /// Proves that the graph can be written, and that all that was read of it could be read.
    pub(crate) async fn prove(&self, graph: Graph) -> Result<(), Error> {
        let damaged = self.damage.episodes();
        if !damaged.is_empty() {
            let gone = graph::gone(&graph, self.memory().await?, &damaged).await?;
            self.damage.forget(|row| matches!(row, DamagedRow::Episode(id) if gone.contains(id)));
        }
        schema::prove_writable(&graph).await?;
        self.damage.check()
    }
}

type Contents = HashMap<EpisodeId, Content>;

/// Recorded episodes with their contents, without those that have none.
pub(crate) fn merge(recorded: Vec<Episode>, mut contents: Contents) -> Vec<Episode> {
    let complete = recorded.into_iter().filter_map(|mut episode| {
        let Content { content, metadata } = contents.remove(&episode.id)?;
        episode.content = content;
        episode.metadata = metadata;
        Some(episode)
    });
    complete.collect()
}
