use std::collections::BTreeMap;

use memcloud_domain::{EpisodeId, Space, Timestamp};
use memcloud_ports::{Damage, DamagedRow, EpisodesOf, Intent, Selected};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{self, WorkError};
use crate::profile::facts;
use crate::{intents, salvage, spaces};

/// What a transaction deleted, and what is left for the next one.
#[derive(Default)]
pub(crate) struct Deleted {
    pub(crate) ids: Vec<EpisodeId>,
    pub(crate) left: Vec<EpisodeId>,
    /// How many cannot be deleted, because they are damaged.
    pub(crate) lost: u64,
}

/// Deletes inside the writer's transaction, up to about this number of bytes, and records each id so that indexes learn of it.
/// With an intent, records also that the other database must remove the episodes.
///
/// Episodes that cannot be read are noted as damage and counted. Fails with [`Error::StorageDamaged`] when one of the others
/// cannot be deleted; then a smaller number of them may be.
pub(crate) fn delete(
    tx: &Connection,
    space: &Space,
    ids: &[EpisodeId],
    most_bytes: usize,
    removal: Option<(Intent, Timestamp)>,
    damage: &Damage<i64>,
) -> Result<Deleted, WorkError> {
    let Some(space) = spaces::find(tx, space)? else {
        return Ok(Deleted::default());
    };
    let (mut doomed, lost) = doomed(tx, space, ids, damage)?;
    let left = doomed.split_off(part(&doomed, most_bytes));
    if !doomed.is_empty() {
        remove(tx, &doomed, damage)?;
        let first = spaces::advance(tx, space, doomed.len(), -(doomed.len() as i64))?;
        let mut record = tx.prepare_cached("INSERT INTO deletions (space, seq, uid) VALUES (?1, ?2, ?3)")?;
        for (sequence, Doomed { uid, .. }) in (first..).zip(&doomed) {
            record.execute(params![space, sequence, uid])?;
            facts::forget(tx, uid)?;
        }
        spaces::prune(tx, space)?;
    }
    let [ids, left] = [doomed, left].map(|part| part.iter().map(Doomed::id).collect::<Vec<_>>());
    if let Some((intent, now)) = removal.filter(|_| !ids.is_empty()) {
        intents::record_removal(tx, intent, now, &ids)?;
    }
    Ok(Deleted { ids, left, lost })
}

/// Deletes the rows. The transaction is lost when that meets damage, which is noted.
fn remove(tx: &Connection, doomed: &[Doomed], damage: &Damage<i64>) -> Result<(), WorkError> {
    let mut remove = tx.prepare_cached("DELETE FROM episodes WHERE id = ?1")?;
    for Doomed { row, .. } in doomed {
        if let Err(error) = remove.execute([row]) {
            if error::is_damage(&error) {
                // SQLite moves rows between neighboring pages, of which one may be damaged.
                salvage::note_near(tx, damage, *row)?;
            }
            let is_of_rows = error::is_damage(&error) && !damage.episodes().is_empty();
            let error = WorkError::from(error);
            return Err(if is_of_rows { error.doing("deleting episodes").into() } else { error });
        }
    }
    Ok(())
}

/// An episode to delete.
struct Doomed {
    row: i64,
    uid: [u8; 16],
    bytes: usize,
}

impl Doomed {
    fn id(&self) -> EpisodeId {
        EpisodeId::from_bytes(self.uid)
    }
}

/// How many of the episodes fit in this number of bytes; at least one, if there is one.
fn part(doomed: &[Doomed], most_bytes: usize) -> usize {
    let mut left = most_bytes;
    let fitting = doomed.iter().map_while(|one| {
        left = left.checked_sub(one.bytes)?;
        Some(())
    });
    fitting.count().max(1).min(doomed.len())
}

/// The episodes to delete, in the order of storing, and how many of them cannot be read.
fn doomed(
    tx: &Connection,
    space: i64,
    ids: &[EpisodeId],
    damage: &Damage<i64>,
) -> Result<(Vec<Doomed>, u64), WorkError> {
    let mut select = tx.prepare_cached(
        "SELECT seq, id, uid, octet_length(content) + octet_length(metadata) + octet_length(analysis)
                + ifnull(octet_length(vector), 0)
         FROM episodes WHERE uid = ?1 AND space = ?2",
    )?;
    let (mut found, mut lost) = (BTreeMap::new(), 0);
    for id in ids {
        let row = select.query_row(params![id.as_bytes(), space], |row| {
            // Each row is in six indexes as well.
            let bytes = row.get::<_, i64>(3)? as usize + 8_192;
            Ok((row.get::<_, i64>(0)?, Doomed { row: row.get(1)?, uid: row.get(2)?, bytes }))
        });
        match row.optional() {
            Err(error) if error::is_damage(&error) => {
                // From the index, which has the number of the row.
                let row = tx
                    .query_row("SELECT id FROM episodes WHERE uid = ?1", [id.as_bytes()], |row| row.get(0))?;
                damage.note_row(DamagedRow::Episode(row));
                lost += 1;
            }
            row => found.extend(row?),
        }
    }
    Ok((found.into_values().collect(), lost))
}

/// Finds episodes, in the order of storing.
pub(crate) fn select(connection: &Connection, space: &Space, of: &EpisodesOf) -> Result<Selected, WorkError> {
    const OF_SESSION: &str = "SELECT e.uid FROM episodes e JOIN sessions s ON s.id = e.session
                              WHERE s.space = ?1 AND s.name = ?2 ORDER BY e.seq";
    const OF_PERSON: &str =
        "SELECT uid FROM episodes WHERE space = ?1 AND (producer = ?2 OR produced_for = ?2) ORDER BY seq";
    let Some(space) = spaces::find(connection, space)? else { return Ok(Selected::default()) };
    let (sql, name) = match of {
        EpisodesOf::Session(name) => (OF_SESSION, name),
        EpisodesOf::Person(name) => (OF_PERSON, name),
    };
    let mut select = connection.prepare_cached(sql)?;
    let found = select.query_map(params![space, name], |row| row.get(0).map(EpisodeId::from_bytes))?;
    Ok(Selected { ids: found.collect::<Result<_, _>>()?, unreadable: 0 })
}
