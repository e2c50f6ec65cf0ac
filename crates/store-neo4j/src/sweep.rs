//! What every server does for the graph beside its requests; done twice it does no harm.
//!
//! It removes what no record tells of: turns of stores that failed or whose server was killed, and of deletions that
//! could not be finished. And it gives turns their embeddings, which only people's own Cypher reads: written many at a
//! time they cost a tenth of what they cost in each store.

use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::Error;
use tokio::time::Instant;

use crate::examine::AURA_FREE;
use crate::graph;
use crate::store::Shared;

/// How often it is looked for something to do.
const EVERY: Duration = Duration::from_secs(2);
/// No store takes this long: an intent that is older was left by a server that is gone.
const STALE: Duration = Duration::from_secs(45);
/// How often the room in the graph is looked at.
const LOOK_AT_ROOM_EVERY: Duration = Duration::from_mins(10);

/// Sweeps again and again.
pub(crate) async fn forever(shared: Arc<Shared>) {
    let mut looked_at_room = None;
    loop {
        if let Err(error) = once(&shared).await {
            // The links tell their troubles themselves.
            tracing::debug!(%error, "what is left in the graph stays for now");
        }
        if let Err(error) = embed(&shared).await {
            tracing::debug!(%error, "turns wait for their embeddings");
        }
        if shared.is_aura && looked_at_room.is_none_or(|at: Instant| at.elapsed() > LOOK_AT_ROOM_EVERY) {
            looked_at_room = Some(Instant::now());
            warn_of_little_room(&shared).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Sweeps once. Errs when something had to stay.
pub(crate) async fn once(shared: &Shared) -> Result<(), Error> {
    for orphan in shared.records.orphans(STALE).await? {
        shared.remove(&orphan.ids).await?;
        shared.records.clear(orphan.intent).await?;
        tracing::info!(turns = orphan.ids.len(), "removed from the graph what no record tells of");
    }
    Ok(())
}

/// Gives all turns that wait for one their embedding.
pub(crate) async fn embed(shared: &Shared) -> Result<(), Error> {
    let memory = shared.memory().await?;
    let _alone = shared.embedding.lock().await;
    loop {
        let waiting = shared.link.run_idempotent(|graph| graph::unembedded(graph, memory)).await?;
        // What is not recorded yet gets its own the next time, or is removed.
        let vectors = if waiting.is_empty() { Vec::new() } else { shared.records.vectors(&waiting).await? };
        if vectors.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        shared.link.run_idempotent(|graph| graph::embed(graph, memory, &vectors)).await?;
        // Half of the time is for the requests: nobody waits for this.
        tokio::time::sleep(began.elapsed()).await;
    }
}

async fn warn_of_little_room(shared: &Shared) {
    let size = async |graph| graph::size(&graph).await;
    if let Ok((nodes, relationships)) = shared.link.run_idempotent(size).await
        && AURA_FREE.share(nodes, relationships) >= AURA_FREE.warn_at
    {
        tracing::warn!(nodes, relationships, "{}", AURA_FREE.told(nodes, relationships));
    }
}
