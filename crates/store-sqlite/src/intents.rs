//! Notes of what is under way in another database. See [`RecordStore`](memcloud_ports::RecordStore).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use memcloud_domain::{EpisodeId, Error};
use memcloud_ports::{AGAIN_AFTER, Intent, Orphan};
use rusqlite::{Connection, params};

use crate::error::Failure;

/// Notes that these episodes are about to be written elsewhere.
pub(crate) fn intend(tx: &Connection, intent: Intent, ids: &[EpisodeId]) -> Result<(), Error> {
    note(tx, intent, ids, false).map_err(|failure| failure.doing("noting an intent"))
}

/// Notes that these episodes are to be removed elsewhere.
pub(crate) fn note_removal(tx: &Connection, intent: Intent, ids: &[EpisodeId]) -> Result<(), Failure> {
    note(tx, intent, ids, true)
}

fn note(tx: &Connection, intent: Intent, ids: &[EpisodeId], removal: bool) -> Result<(), Failure> {
    let (now, uids) = (micros(), ids.iter().flat_map(|id| *id.as_bytes()).collect::<Vec<u8>>());
    tx.prepare_cached(
        "INSERT INTO intents (id, at, withdrawn, due, rounds, uids) VALUES (?1, ?2, ?3, ?2, 2, ?4)",
    )?
    .execute(params![intent.as_bytes(), now, removal, uids])?;
    Ok(())
}

/// Takes the note away because its episodes are being recorded in this transaction.
pub(crate) fn settle(tx: &Connection, intent: Intent) -> Result<(), Failure> {
    let settled = tx
        .prepare_cached("DELETE FROM intents WHERE id = ?1 AND withdrawn = 0")?
        .execute([intent.as_bytes()])?;
    if settled == 1 { Ok(()) } else { Err(Error::Withdrawn.into()) }
}

/// Makes sure that an intent can no longer be recorded.
pub(crate) fn withdraw(tx: &Connection, intent: Intent) -> Result<bool, Error> {
    let update = || -> Result<bool, Failure> {
        let id = intent.as_bytes();
        tx.prepare_cached("UPDATE intents SET withdrawn = 1, due = ?2 WHERE id = ?1 AND withdrawn = 0")?
            .execute(params![id, micros()])?;
        Ok(tx.prepare_cached("SELECT 1 FROM intents WHERE id = ?1")?.exists([id])?)
    };
    update().map_err(|failure| failure.doing("withdrawing an intent"))
}

/// What is to be removed elsewhere by now.
pub(crate) fn orphans(tx: &Connection, older: Duration) -> Result<Vec<Orphan>, Error> {
    let list = || -> Result<Vec<Orphan>, Failure> {
        let now = micros();
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
    };
    list().map_err(|failure| failure.doing("listing what is left to remove"))
}

/// Notes that the episodes have been removed elsewhere.
pub(crate) fn clear(tx: &Connection, intent: Intent) -> Result<(), Error> {
    let work = || -> Result<(), Failure> {
        let (id, now, again) = (intent.as_bytes(), micros(), AGAIN_AFTER.as_micros() as i64);
        tx.prepare_cached(
            "UPDATE intents SET rounds = rounds - 1, due = ?2 + ?3 WHERE id = ?1 AND withdrawn = 1 AND due <= ?2",
        )?
        .execute(params![id, now, again])?;
        tx.prepare_cached("DELETE FROM intents WHERE id = ?1 AND rounds <= 0")?.execute([id])?;
        Ok(())
    };
    work().map_err(|failure| failure.doing("clearing an intent"))
}

/// The moment, in microseconds of the epoch.
fn micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
