//! The sweeper: what every server does for the graph in the background. Two servers may sweep at the same time.
//!
//! It removes orphaned episodes: of stores that failed or whose server was killed, and of deletions that could not finish.
//! And it writes embeddings, which only operators' own Cypher reads. Written in batches they cost a tenth of what they
//! cost in each store.

use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::Error;
use tokio::time::Instant;

use crate::examine::AURA_FREE;
use crate::graph;
use crate::shared::Shared;

/// How often to sweep.
const EVERY: Duration = Duration::from_secs(2);
/// Longer than any store takes: the server that recorded an older intent has ended.
const STALE: Duration = Duration::from_secs(45);
/// How often to check the room in the graph.
const CHECK_ROOM_EVERY: Duration = Duration::from_mins(10);

/// Sweeps until the task is cut off.
pub(crate) async fn forever(shared: Arc<Shared>) {
    let mut checked_room = None;
    loop {
        if let Err(error) = once(&shared).await {
            // The connection logs its own outages.
            tracing::debug!(%error, "cannot remove orphaned episodes from Neo4j; will retry");
        }
        if let Err(error) = embed(&shared).await {
            tracing::debug!(%error, "cannot write embeddings to Neo4j; will retry");
        }
        if shared.is_aura && checked_room.is_none_or(|at: Instant| at.elapsed() > CHECK_ROOM_EVERY) {
            checked_room = Some(Instant::now());
            warn_if_nearly_full(&shared).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Removes orphaned episodes once. Fails if one could not be removed.
pub(crate) async fn once(shared: &Shared) -> Result<(), Error> {
    for orphan in shared.records.orphans(STALE).await? {
        shared.remove(&orphan.ids).await?;
        shared.records.clear(orphan.intent).await?;
        tracing::info!(episodes = orphan.ids.len(), "removed orphaned episodes from Neo4j");
    }
    Ok(())
}

/// Writes all missing embeddings.
pub(crate) async fn embed(shared: &Shared) -> Result<(), Error> {
    let memory = shared.memory().await?;
    let _guard = shared.embedding.lock().await;
    loop {
        let waiting = shared.connection.run_idempotent(|graph| graph::unembedded(graph, memory)).await?;
        // Episodes that are not recorded yet are embedded by a later sweep, or removed.
        let vectors = if waiting.is_empty() { Vec::new() } else { shared.records.vectors(&waiting).await? };
        if vectors.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        shared.connection.run_idempotent(|graph| graph::embed(graph, memory, &vectors)).await?;
        // Leave half of the time to requests, because no caller waits for this.
        tokio::time::sleep(began.elapsed()).await;
    }
}

async fn warn_if_nearly_full(shared: &Shared) {
    let size = async |graph| graph::size(&graph).await;
    if let Ok((nodes, relationships)) = shared.connection.run_idempotent(size).await
        && AURA_FREE.share(nodes, relationships) >= AURA_FREE.warn_at
    {
        tracing::warn!(
            nodes,
            relationships,
            "Neo4j is nearly full: {}",
            AURA_FREE.usage(nodes, relationships)
        );
    }
}
