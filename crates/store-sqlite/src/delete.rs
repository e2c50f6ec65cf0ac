use std::collections::BTreeMap;

use memcloud_domain::{EpisodeId, Space, Timestamp};
use memcloud_ports::{Deletion, Intent};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::WorkError;
use crate::profile::facts;
use crate::{intents, spaces};

/// Deletes inside the writer's transaction, and records each id so that indexes learn of it. With an intent, records
/// also that the other database must remove the episodes.
pub(crate) fn delete(
    tx: &Connection,
    space: &Space,
    deletion: &Deletion,
    removal: Option<(Intent, Timestamp)>,
) -> Result<Vec<EpisodeId>, WorkError> {
    let Some(space) = spaces::find(tx, space)? else {
        return Ok(Vec::new());
    };
    let doomed = doomed(tx, space, deletion)?;
    let first = spaces::advance(tx, space, doomed.len())?;
    let mut record = tx.prepare_cached("INSERT INTO deletions (space, seq, uid) VALUES (?1, ?2, ?3)")?;
    let mut remove = tx.prepare_cached("DELETE FROM episodes WHERE id = ?1")?;
    for (sequence, (id, uid)) in (first..).zip(&doomed) {
        record.execute(params![space, sequence, uid])?;
        remove.execute([id])?;
        facts::forget(tx, uid)?;
    }
    let ids: Vec<EpisodeId> = doomed.into_iter().map(|(_, uid)| EpisodeId::from_bytes(uid)).collect();
    if let Some((intent, now)) = removal.filter(|_| !ids.is_empty()) {
        intents::record_removal(tx, intent, now, &ids)?;
    }
    Ok(ids)
}

/// The episodes to delete, in parts of about this number of bytes.
pub(crate) fn parts(
    connection: &Connection,
    space: &Space,
    deletion: &Deletion,
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
    for (id, uid) in doomed(connection, space, deletion)? {
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
fn doomed(tx: &Connection, space: i64, deletion: &Deletion) -> Result<Vec<(i64, [u8; 16])>, WorkError> {
    let mut doomed = Vec::new();
    match deletion {
        Deletion::Session(name) => {
            let mut select = tx.prepare_cached(
                "SELECT e.id, e.uid FROM episodes e JOIN sessions s ON s.id = e.session
                 WHERE s.space = ?1 AND s.name = ?2 ORDER BY e.seq",
            )?;
            for row in select.query_map(params![space, name], |row| Ok((row.get(0)?, row.get(1)?)))? {
                doomed.push(row?);
            }
        }
        Deletion::Episodes(ids) => {
            let mut select =
                tx.prepare_cached("SELECT seq, id, uid FROM episodes WHERE uid = ?1 AND space = ?2")?;
            let mut found = BTreeMap::new();
            for id in ids {
                let row = select
                    .query_row(params![id.as_bytes(), space], |row| {
                        Ok((row.get::<_, i64>(0)?, (row.get(1)?, row.get(2)?)))
                    })
                    .optional()?;
                found.extend(row);
            }
            doomed.extend(found.into_values());
        }
    }
    Ok(doomed)
}
