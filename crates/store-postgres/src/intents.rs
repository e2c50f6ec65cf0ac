//! Notes of what is under way in Neo4j. See [`RecordStore`](memcloud_ports::RecordStore).

use std::time::Duration;

use deadpool_postgres::{Object, Transaction};
use memcloud_domain::EpisodeId;
use memcloud_ports::{AGAIN_AFTER, Intent, Orphan};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Failure;
use crate::{id, uuid};

/// Notes that these episodes are about to be written elsewhere.
pub(crate) async fn intend(client: Object, intent: Intent, ids: &[EpisodeId]) -> Result<(), Failure> {
    // A note that is there already was made by the first of two attempts.
    let insert = client
        .prepare_cached(
            "INSERT INTO memcloud.intents (id, rounds, uids) VALUES ($1, 2, $2) ON CONFLICT (id) DO NOTHING",
        )
        .await?;
    client.execute(&insert, &[&name(intent), &uuids(ids)]).await?;
    Ok(())
}

/// Notes that these episodes are to be removed elsewhere.
pub(crate) async fn note_removal(
    tx: &Transaction<'_>,
    intent: Intent,
    ids: &[EpisodeId],
) -> Result<(), Failure> {
    let insert = tx
        .prepare_cached("INSERT INTO memcloud.intents (id, withdrawn, rounds, uids) VALUES ($1, true, 2, $2)")
        .await?;
    tx.execute(&insert, &[&name(intent), &uuids(ids)]).await?;
    Ok(())
}

/// Takes the note away because its episodes are being recorded in this transaction. No row when there is none that is
/// still valid.
pub(crate) const SETTLE: &str = "DELETE FROM memcloud.intents WHERE id = $1 AND NOT withdrawn";

/// Makes sure that an intent can no longer be recorded. Waits for a transaction that is just recording it.
pub(crate) async fn withdraw(client: Object, intent: Intent) -> Result<bool, Failure> {
    let update = client
        .prepare_cached(
            "UPDATE memcloud.intents SET withdrawn = true, due = clock_timestamp()
             WHERE id = $1 AND NOT withdrawn",
        )
        .await?;
    let noted = client.prepare_cached("SELECT 1 FROM memcloud.intents WHERE id = $1").await?;
    client.execute(&update, &[&name(intent)]).await?;
    Ok(client.query_opt(&noted, &[&name(intent)]).await?.is_some())
}

/// What is to be removed elsewhere by now.
pub(crate) async fn orphans(client: Object, older: Duration) -> Result<Vec<Orphan>, Failure> {
    let withdraw = client
        .prepare_cached(
            "UPDATE memcloud.intents SET withdrawn = true, due = clock_timestamp()
             WHERE NOT withdrawn AND at <= clock_timestamp() - make_interval(secs => $1)",
        )
        .await?;
    let list = client
        .prepare_cached(
            "SELECT id, uids FROM memcloud.intents WHERE withdrawn AND due <= clock_timestamp()
             ORDER BY due LIMIT 100",
        )
        .await?;
    client.execute(&withdraw, &[&older.as_secs_f64()]).await?;
    Ok(client.query(&list, &[]).await?.iter().map(orphan).collect())
}

fn orphan(row: &Row) -> Orphan {
    let ids = row.get::<_, Vec<Uuid>>(1).into_iter().map(id).collect();
    Orphan { intent: Intent::from_bytes(row.get::<_, Uuid>(0).into_bytes()), ids }
}

/// Notes that the episodes have been removed elsewhere.
pub(crate) async fn clear(client: Object, intent: Intent) -> Result<(), Failure> {
    let clear = client
        .prepare_cached(
            // Of two sweepers that have listed the same note, one counts.
            "WITH cleared AS (DELETE FROM memcloud.intents
                              WHERE id = $1 AND withdrawn AND due <= clock_timestamp() AND rounds <= 1)
             UPDATE memcloud.intents
             SET rounds = rounds - 1, due = clock_timestamp() + make_interval(secs => $2)
             WHERE id = $1 AND withdrawn AND due <= clock_timestamp() AND rounds > 1",
        )
        .await?;
    client.execute(&clear, &[&name(intent), &AGAIN_AFTER.as_secs_f64()]).await?;
    Ok(())
}

/// How an intent is named in the database.
pub(crate) fn name(intent: Intent) -> Uuid {
    Uuid::from_bytes(*intent.as_bytes())
}

fn uuids(ids: &[EpisodeId]) -> Vec<Uuid> {
    ids.iter().map(uuid).collect()
}
