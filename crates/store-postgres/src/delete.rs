use deadpool_postgres::Object;
use memcloud_domain::{EpisodeId, Space};
use memcloud_ports::{Deletion, Intent};
use uuid::Uuid;

use crate::error::WorkError;
use crate::profile::{facts, targets};
use crate::query::Query;
use crate::{id, intents, uuid};

/// Deletes the episodes of space `$1` for which this holds, each under a sequence number of its own.
macro_rules! delete_where {
    ($condition:literal) => {
        concat!(
            "WITH gone AS (DELETE FROM memcloud.episodes e WHERE e.space = $1 AND ",
            $condition,
            " RETURNING e.uid, e.seq), ",
            "numbered AS (SELECT uid, row_number() OVER (ORDER BY seq) AS place FROM gone), ",
            "advanced AS (UPDATE memcloud.spaces SET head = head + (SELECT count(*) FROM gone) WHERE id = $1 ",
            "RETURNING head - (SELECT count(*) FROM gone) AS before) ",
            "INSERT INTO memcloud.deletions (space, seq, uid) ",
            "SELECT $1, advanced.before + place, uid FROM numbered, advanced RETURNING uid"
        )
    };
}

/// Deletes in one transaction, and records each id so that indexes learn of it. With an intent, records also that Neo4j
/// must remove the episodes.
pub(crate) async fn delete(
    client: &mut Object,
    space: &Space,
    deletion: &Deletion,
    removal: Option<Intent>,
) -> Result<Vec<EpisodeId>, WorkError> {
    let tx = client.transaction().await?;
    // A session may be long.
    tx.batch_execute("SET LOCAL statement_timeout = '60s'").await?;
    // Stores in this space wait, so none gets a number between those of the deletion.
    let Some(owner) = targets::lock_space(&tx, space).await? else {
        return Ok(Vec::new());
    };
    let rows = match deletion {
        Deletion::Session(name) => {
            let delete = delete_where!(
                "e.session = (SELECT id FROM memcloud.sessions WHERE space = $1 AND name = $2)"
            );
            tx.rows(delete, &[&owner, &name]).await?
        }
        Deletion::Episodes(ids) => {
            let uids: Vec<Uuid> = ids.iter().map(uuid).collect();
            tx.rows(delete_where!("e.uid = ANY($2)"), &[&owner, &uids]).await?
        }
    };
    let ids: Vec<EpisodeId> = rows.iter().map(|row| id(row.get(0))).collect();
    if !ids.is_empty() {
        if let Some(intent) = removal {
            intents::record_removal(&tx, intent, &ids).await?;
        }
        facts::forget(&tx, &ids).await?;
    }
    tx.commit().await?;
    Ok(ids)
}
