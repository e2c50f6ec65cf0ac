use std::collections::BTreeMap;

use memcloud_domain::{EpisodeId, Error, Space, Timestamp};
use memcloud_ports::{EpisodesOf, Intent};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{self, WorkError};
use crate::profile::facts;
use crate::{intents, spaces};

/// What a transaction deleted, and what is left for the next one.
#[derive(Default)]
pub(crate) struct Deleted {
    pub(crate) ids: Vec<EpisodeId>,
    pub(crate) left: Vec<EpisodeId>,
}

/// Deletes inside the writer's transaction, up to about this number of bytes, and records each id so that indexes learn of it.
/// With an intent, records also that the other database must remove the episodes.
pub(crate) fn delete(
    tx: &Connection,
    space: &Space,
    ids: &[EpisodeId],
    most_bytes: usize,
    removal: Option<(Intent, Timestamp)>,
) -> Result<Deleted, WorkError> {
    let Some(space) = spaces::find(tx, space)? else {
        return Ok(Deleted::default());
    };
    let mut doomed = doomed(tx, space, ids)?;
    let left = doomed.split_off(part(&doomed, most_bytes));
    if doomed.is_empty() {
        return Ok(Deleted::default());
    }
    let first = spaces::advance(tx, space, doomed.len(), -(doomed.len() as i64))?;
    let mut record = tx.prepare_cached("INSERT INTO deletions (space, seq, uid) VALUES (?1, ?2, ?3)")?;
    let mut remove = tx.prepare_cached("DELETE FROM episodes WHERE id = ?1")?;
    for (sequence, Doomed { row, uid, .. }) in (first..).zip(&doomed) {
        record.execute(params![space, sequence, uid])?;
        remove.execute([row])?;
        facts::forget(tx, uid)?;
    }
    spaces::prune(tx, space)?;
    let [ids, left] = [doomed, left].map(|part| part.iter().map(Doomed::id).collect::<Vec<_>>());
    if let Some((intent, now)) = removal {
        intents::record_removal(tx, intent, now, &ids)?;
    }
    Ok(Deleted { ids, left })
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

/// The episodes to delete, in the order of storing.
fn doomed(tx: &Connection, space: i64, ids: &[EpisodeId]) -> Result<Vec<Doomed>, WorkError> {
    let mut select = tx.prepare_cached(
        "SELECT seq, id, uid, octet_length(content) + octet_length(metadata) + octet_length(analysis)
                + ifnull(octet_length(vector), 0)
         FROM episodes WHERE uid = ?1 AND space = ?2",
    )?;
    let mut found = BTreeMap::new();
    for id in ids {
        let row = select.query_row(params![id.as_bytes(), space], |row| {
            // Each row is in six indexes as well.
            let bytes = row.get::<_, i64>(3)? as usize + 8_192;
            Ok((row.get::<_, i64>(0)?, Doomed { row: row.get(1)?, uid: row.get(2)?, bytes }))
        });
        match row.optional() {
            // The row is damaged, and its neighbors on the page may be as well. Reads name them.
            Err(error) if error::is_damage(&error) => {
                let what = format!("the memory {id} cannot be read, and so not be deleted alone");
                return Err(Error::StorageDamaged { what }.into());
            }
            row => found.extend(row?),
        }
    }
    Ok(found.into_values().collect())
}

/// The ids of episodes, in the order of storing.
pub(crate) fn ids(
    connection: &Connection,
    space: &Space,
    of: &EpisodesOf,
) -> Result<Vec<EpisodeId>, WorkError> {
    const OF_SESSION: &str = "SELECT e.uid FROM episodes e JOIN sessions s ON s.id = e.session
                              WHERE s.space = ?1 AND s.name = ?2 ORDER BY e.seq";
    const OF_PERSON: &str =
        "SELECT uid FROM episodes WHERE space = ?1 AND (producer = ?2 OR produced_for = ?2) ORDER BY seq";
    let Some(space) = spaces::find(connection, space)? else { return Ok(Vec::new()) };
    let (sql, name) = match of {
        EpisodesOf::Session(name) => (OF_SESSION, name),
        EpisodesOf::Person(name) => (OF_PERSON, name),
    };
    let mut select = connection.prepare_cached(sql)?;
    let found = select.query_map(params![space, name], |row| row.get(0).map(EpisodeId::from_bytes))?;
    Ok(found.collect::<Result<_, _>>()?)
}
