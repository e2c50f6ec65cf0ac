use std::collections::BTreeMap;

use memcloud_domain::{EpisodeId, Space, Timestamp};
use memcloud_ports::{EpisodesOf, Intent};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::WorkError;
use crate::profile::facts;
use crate::{intents, spaces};

/// Deletes inside the writer's transaction, and records each id so that indexes learn of it. With an intent, records
/// also that the other database must remove the episodes.
pub(crate) fn delete(
    tx: &Connection,
    space: &Space,
    ids: &[EpisodeId],
    removal: Option<(Intent, Timestamp)>,
) -> Result<Vec<EpisodeId>, WorkError> {
    let Some(space) = spaces::find(tx, space)? else {
        return Ok(Vec::new());
    };
    let doomed = doomed(tx, space, ids)?;
    if doomed.is_empty() {
        return Ok(Vec::new());
    }
    let first = spaces::advance(tx, space, doomed.len(), -(doomed.len() as i64))?;
    let mut record = tx.prepare_cached("INSERT INTO deletions (space, seq, uid) VALUES (?1, ?2, ?3)")?;
    let mut remove = tx.prepare_cached("DELETE FROM episodes WHERE id = ?1")?;
    for (sequence, (id, uid)) in (first..).zip(&doomed) {
        record.execute(params![space, sequence, uid])?;
        remove.execute([id])?;
        facts::forget(tx, uid)?;
    }
    spaces::prune(tx, space)?;
    let ids: Vec<EpisodeId> = doomed.into_iter().map(|(_, uid)| EpisodeId::from_bytes(uid)).collect();
    if let Some((intent, now)) = removal {
        intents::record_removal(tx, intent, now, &ids)?;
    }
    Ok(ids)
}

/// The episodes to delete, in parts of about this number of bytes.
pub(crate) fn parts(
    connection: &Connection,
    space: &Space,
    ids: &[EpisodeId],
    most_bytes: usize,
) -> Result<Vec<Vec<EpisodeId>>, WorkError> {
    let Some(space) = spaces::find(connection, space)? else {
        return Ok(Vec::new());
    };
    let mut size = connection.prepare_cached(
        "SELECT length(CAST(content AS BLOB)) + length(CAST(metadata AS BLOB)) + length(analysis)
                + ifnull(length(vector), 0)
         FROM episodes WHERE id = ?1",
    )?;
    let (mut parts, mut bytes) = (Vec::<Vec<EpisodeId>>::new(), usize::MAX);
    for (id, uid) in doomed(connection, space, ids)? {
        // Each row is in six indexes as well.
        let size = size.query_row([id], |row| row.get::<_, i64>(0))? as usize + 8_192;
        bytes = bytes.saturating_add(size);
        if bytes > most_bytes {
            parts.push(Vec::new());
            bytes = size;
        }
        parts.last_mut().into_iter().for_each(|part| part.push(EpisodeId::from_bytes(uid)));
    }
    Ok(parts)
}

/// The row and id of each episode to delete, in the order of storing.
fn doomed(tx: &Connection, space: i64, ids: &[EpisodeId]) -> Result<Vec<(i64, [u8; 16])>, WorkError> {
    let mut select = tx.prepare_cached("SELECT seq, id, uid FROM episodes WHERE uid = ?1 AND space = ?2")?;
    let mut found = BTreeMap::new();
    for id in ids {
        let row = select.query_row(params![id.as_bytes(), space], |row| {
            Ok((row.get::<_, i64>(0)?, (row.get(1)?, row.get(2)?)))
        });
        found.extend(row.optional()?);
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
