//! Intents: episodes that Neo4j has, or may have, without a record here. See
//! [`RecordStore`](memcloud_ports::RecordStore).

use std::time::Duration;

use deadpool_postgres::{Object, Transaction};
use memcloud_domain::EpisodeId;
use memcloud_ports::{AGAIN_AFTER, Intent, Orphan};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::WorkError;
use crate::query::Query;
use crate::{id, uuid};

/// Records that these episodes are about to be written to Neo4j.
pub(crate) async fn intend(client: Object, intent: Intent, ids: &[EpisodeId]) -> Result<(), WorkError> {
    // An intent with this id was recorded by the first of two attempts.
    let insert =
        "INSERT INTO memcloud.intents (id, rounds, uids) VALUES ($1, 2, $2) ON CONFLICT (id) DO NOTHING";
    client.run(insert, &[&name(intent), &uuids(ids)]).await?;
    Ok(())
}

/// Records that these episodes must be removed from Neo4j.
pub(crate) async fn record_removal(
    tx: &Transaction<'_>,
    intent: Intent,
    ids: &[EpisodeId],
) -> Result<(), WorkError> {
    let insert = "INSERT INTO memcloud.intents (id, withdrawn, rounds, uids) VALUES ($1, true, 2, $2)";
    tx.run(insert, &[&name(intent), &uuids(ids)]).await?;
    Ok(())
}

/// Removes an intent because its episodes are being recorded in this transaction. Affects no row if it is withdrawn or
/// unknown.
pub(crate) const SETTLE: &str = "DELETE FROM memcloud.intents WHERE id = $1 AND NOT withdrawn";

/// Makes sure that an intent can no longer be recorded. Waits for a transaction that is recording it.
pub(crate) async fn withdraw(client: Object, intent: Intent) -> Result<bool, WorkError> {
    let withdraw = "UPDATE memcloud.intents SET withdrawn = true, due = clock_timestamp()
                    WHERE id = $1 AND NOT withdrawn";
    client.run(withdraw, &[&name(intent)]).await?;
    let known = client.row_if_any("SELECT 1 FROM memcloud.intents WHERE id = $1", &[&name(intent)]).await?;
    Ok(known.is_some())
}

/// The episodes that must be removed from Neo4j by now.
pub(crate) async fn orphans(client: Object, older: Duration) -> Result<Vec<Orphan>, WorkError> {
    let withdraw = "UPDATE memcloud.intents SET withdrawn = true, due = clock_timestamp()
                    WHERE NOT withdrawn AND at <= clock_timestamp() - make_interval(secs => $1)";
    client.run(withdraw, &[&older.as_secs_f64()]).await?;
    let due = "SELECT id, uids FROM memcloud.intents WHERE withdrawn AND due <= clock_timestamp()
               ORDER BY due LIMIT 100";
    Ok(client.rows(due, &[]).await?.iter().map(orphan).collect())
}

fn orphan(row: &Row) -> Orphan {
    let ids = row.get::<_, Vec<Uuid>>(1).into_iter().map(id).collect();
    Orphan { intent: Intent::from_bytes(row.get::<_, Uuid>(0).into_bytes()), ids }
}

/// Records that the episodes have been removed from Neo4j.
pub(crate) async fn clear(client: Object, intent: Intent) -> Result<(), WorkError> {
    // If two sweepers have listed the same intent, only the first removal counts.
    let clear = "WITH cleared AS (DELETE FROM memcloud.intents
                                  WHERE id = $1 AND withdrawn AND due <= clock_timestamp() AND rounds <= 1)
                 UPDATE memcloud.intents
                 SET rounds = rounds - 1, due = clock_timestamp() + make_interval(secs => $2)
                 WHERE id = $1 AND withdrawn AND due <= clock_timestamp() AND rounds > 1";
    client.run(clear, &[&name(intent), &AGAIN_AFTER.as_secs_f64()]).await?;
    Ok(())
}

/// An intent as the database has it.
pub(crate) fn name(intent: Intent) -> Uuid {
    Uuid::from_bytes(*intent.as_bytes())
}

fn uuids(ids: &[EpisodeId]) -> Vec<Uuid> {
    ids.iter().map(uuid).collect()
}
