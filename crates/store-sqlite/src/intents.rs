//! Intents: episodes that another database has, or may have, without a record here. See
//! [`RecordStore`](memcloud_ports::RecordStore).

use std::time::Duration;

use memcloud_domain::{EpisodeId, Error, Timestamp};
use memcloud_ports::{AGAIN_AFTER, Intent, Orphan};
use rusqlite::{Connection, params};

use crate::error::WorkError;

/// Records that these episodes are about to be written to the other database.
pub(crate) fn intend(
    tx: &Connection,
    intent: Intent,
    now: Timestamp,
    ids: &[EpisodeId],
) -> Result<(), WorkError> {
    insert(tx, intent, now, ids, false)
}

/// Records that these episodes must be removed from the other database.
pub(crate) fn record_removal(
    tx: &Connection,
    intent: Intent,
    now: Timestamp,
    ids: &[EpisodeId],
) -> Result<(), WorkError> {
    insert(tx, intent, now, ids, true)
}

fn insert(
    tx: &Connection,
    intent: Intent,
    now: Timestamp,
    ids: &[EpisodeId],
    withdrawn: bool,
) -> Result<(), WorkError> {
    let uids: Vec<u8> = ids.iter().flat_map(|id| *id.as_bytes()).collect();
    tx.prepare_cached(
        "INSERT INTO intents (id, at, withdrawn, due, rounds, uids) VALUES (?1, ?2, ?3, ?2, 2, ?4)",
    )?
    .execute(params![intent.as_bytes(), now.as_micros(), withdrawn, uids])?;
    Ok(())
}

/// Removes an intent because its episodes are being recorded in this transaction.
pub(crate) fn settle(tx: &Connection, intent: Intent) -> Result<(), WorkError> {
    let settled = tx
        .prepare_cached("DELETE FROM intents WHERE id = ?1 AND withdrawn = 0")?
        .execute([intent.as_bytes()])?;
    if settled == 1 { Ok(()) } else { Err(Error::Withdrawn.into()) }
}

/// Makes sure that an intent can no longer be recorded.
pub(crate) fn withdraw(tx: &Connection, intent: Intent, now: Timestamp) -> Result<bool, WorkError> {
    let id = intent.as_bytes();
    tx.prepare_cached("UPDATE intents SET withdrawn = 1, due = ?2 WHERE id = ?1 AND withdrawn = 0")?
        .execute(params![id, now.as_micros()])?;
    Ok(tx.prepare_cached("SELECT 1 FROM intents WHERE id = ?1")?.exists([id])?)
}

/// The episodes that must be removed from the other database by now.
pub(crate) fn orphans(tx: &Connection, now: Timestamp, older: Duration) -> Result<Vec<Orphan>, WorkError> {
    let now = now.as_micros();
    tx.prepare_cached("UPDATE intents SET withdrawn = 1, due = ?1 WHERE withdrawn = 0 AND at <= ?2")?
        .execute(params![now, now - older.as_micros() as i64])?;
    let mut select = tx.prepare_cached(
        "SELECT id, uids FROM intents WHERE withdrawn = 1 AND due <= ?1 ORDER BY due LIMIT 100",
    )?;
    let rows = select.query_map([now], |row| {
        let uids: Vec<u8> = row.get(1)?;
        let ids = uids.as_chunks::<16>().0.iter().map(|uid| EpisodeId::from_bytes(*uid)).collect();
        Ok(Orphan { intent: Intent::from_bytes(row.get(0)?), ids })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Records that the episodes have been removed from the other database.
pub(crate) fn clear(tx: &Connection, intent: Intent, now: Timestamp) -> Result<(), WorkError> {
    let (id, again) = (intent.as_bytes(), AGAIN_AFTER.as_micros() as i64);
    tx.prepare_cached(
        "UPDATE intents SET rounds = rounds - 1, due = ?2 + ?3 WHERE id = ?1 AND withdrawn = 1 AND due <= ?2",
    )?
    .execute(params![id, now.as_micros(), again])?;
    tx.prepare_cached("DELETE FROM intents WHERE id = ?1 AND rounds <= 0")?.execute([id])?;
    Ok(())
}
