use deadpool_postgres::Object;
use memcloud_domain::{EpisodeId, Space};
use memcloud_ports::{EpisodesOf, Intent, REMOVALS_KEPT};
use uuid::Uuid;

use crate::error::WorkError;
use crate::profile::{facts, targets};
use crate::query::Query;
use crate::{id, intents, uuid};

/// Deletes episodes `$2` of space `$1`, each under a sequence number of its own.
const DELETE: &str =
    "WITH gone AS (DELETE FROM memcloud.episodes WHERE space = $1 AND uid = ANY($2) RETURNING uid, seq),
    numbered AS (SELECT uid, row_number() OVER (ORDER BY seq) AS place FROM gone),
    total AS (SELECT count(*) AS count FROM gone),
    advanced AS (UPDATE memcloud.spaces SET head = head + total.count, episodes = episodes - total.count
                 FROM total WHERE id = $1 RETURNING head - total.count AS before)
    INSERT INTO memcloud.deletions (space, seq, uid)
    SELECT $1, advanced.before + place, uid FROM numbered, advanced RETURNING uid";

/// Forgets the old deletions of space `$1`: see [`pruned_up_to`](memcloud_ports::pruned_up_to).
const PRUNE: &str =
    "WITH kept AS (UPDATE memcloud.spaces SET pruned = greatest(pruned, head - greatest(episodes, $2))
                                   WHERE id = $1 RETURNING pruned)
    DELETE FROM memcloud.deletions d USING kept WHERE d.space = $1 AND d.seq <= kept.pruned";

/// Deletes in one transaction, and records each id so that indexes learn of it. With an intent, records also that Neo4j
/// must remove the episodes.
pub(crate) async fn delete(
    client: &mut Object,
    space: &Space,
    ids: &[EpisodeId],
    removal: Option<Intent>,
) -> Result<Vec<EpisodeId>, WorkError> {
    let tx = client.transaction().await?;
    // Each of the episodes may be long.
    tx.batch_execute("SET LOCAL statement_timeout = '60s'").await?;
    // Stores in this space wait, so none gets a number between those of the deletion.
    let Some(owner) = targets::lock_space(&tx, space).await? else {
        return Ok(Vec::new());
    };
    let uids: Vec<Uuid> = ids.iter().map(uuid).collect();
    let rows = tx.rows(DELETE, &[&owner, &uids]).await?;
    let ids: Vec<EpisodeId> = rows.iter().map(|row| id(row.get(0))).collect();
    if ids.is_empty() {
        return Ok(ids);
    }
    tx.run(PRUNE, &[&owner, &REMOVALS_KEPT.cast_signed()]).await?;
    if let Some(intent) = removal {
        intents::record_removal(&tx, intent, &ids).await?;
    }
    facts::forget(&tx, &ids).await?;
    tx.commit().await?;
    Ok(ids)
}

/// The ids of episodes, in the order of storing.
pub(crate) async fn ids(client: Object, space: &Space, of: &EpisodesOf) -> Result<Vec<EpisodeId>, WorkError> {
    const OF_SESSION: &str =
        "SELECT e.uid FROM memcloud.episodes e JOIN memcloud.sessions s ON s.id = e.session
                              JOIN memcloud.spaces p ON p.id = s.space
                              WHERE p.org = $1 AND p.project = $2 AND s.name = $3 ORDER BY e.seq";
    const OF_PERSON: &str = "SELECT e.uid FROM memcloud.episodes e JOIN memcloud.spaces p ON p.id = e.space
                             WHERE p.org = $1 AND p.project = $2 AND (e.producer = $3 OR e.produced_for = $3)
                             ORDER BY e.seq";
    let (select, name) = match of {
        EpisodesOf::Session(name) => (OF_SESSION, name),
        EpisodesOf::Person(name) => (OF_PERSON, name),
    };
    let rows = client.rows(select, &[&space.org, &space.project, name]).await?;
    Ok(rows.iter().map(|row| id(row.get(0))).collect())
}
