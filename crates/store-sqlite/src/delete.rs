use memcloud_domain::{EpisodeId, Error, Space};
use memcloud_ports::{Deletion, Intent};
use rusqlite::{Connection, params};

use crate::append::{advance, find_space};
use crate::error::Failure;
use crate::intents;
use crate::profile::facts;

/// Deletes inside the writer's transaction and leaves a note of each id, so that indexes learn of it; and one of all,
/// if they are to be removed elsewhere as well.
pub(crate) fn delete(
    tx: &Connection,
    space: &Space,
    deletion: &Deletion,
    elsewhere: Option<Intent>,
) -> Result<Vec<EpisodeId>, Error> {
    work(tx, space, deletion, elsewhere).map_err(|failure| failure.doing("deleting episodes"))
}

fn work(
    tx: &Connection,
    space: &Space,
    deletion: &Deletion,
    elsewhere: Option<Intent>,
) -> Result<Vec<EpisodeId>, Failure> {
    let Some(space) = find_space(tx, space)? else {
        return Ok(Vec::new());
    };
    let doomed = doomed(tx, space, deletion)?;
    let first = advance(tx, space, doomed.len())?;
    let mut note = tx.prepare_cached("INSERT INTO deletions (space, seq, uid) VALUES (?1, ?2, ?3)")?;
    let mut remove = tx.prepare_cached("DELETE FROM episodes WHERE id = ?1")?;
    for (sequence, (id, uid)) in (first..).zip(&doomed) {
        note.execute(params![space, sequence, uid])?;
        remove.execute([id])?;
        facts::forget(tx, uid)?;
    }
    let ids: Vec<EpisodeId> = doomed.into_iter().map(|(_, uid)| EpisodeId::from_bytes(uid)).collect();
    if let Some(intent) = elsewhere.filter(|_| !ids.is_empty()) {
        intents::note_removal(tx, intent, &ids)?;
    }
    Ok(ids)
}

/// The row and id of each episode to delete.
fn doomed(tx: &Connection, space: i64, deletion: &Deletion) -> Result<Vec<(i64, [u8; 16])>, Failure> {
    let mut doomed = Vec::new();
    match deletion {
        Deletion::Session(name) => {
            let mut select = tx.prepare_cached(
                "SELECT e.id, e.uid FROM episodes e JOIN sessions s ON s.id = e.session
                 WHERE s.space = ?1 AND s.name = ?2",
            )?;
            for row in select.query_map(params![space, name], |row| Ok((row.get(0)?, row.get(1)?)))? {
                doomed.push(row?);
            }
        }
        Deletion::Episodes(ids) => {
            let mut select =
                tx.prepare_cached("SELECT id, uid FROM episodes WHERE uid = ?1 AND space = ?2")?;
            let mut ids = ids.clone();
            ids.sort_unstable();
            ids.dedup();
            for id in ids {
                for row in
                    select.query_map(params![id.as_bytes(), space], |row| Ok((row.get(0)?, row.get(1)?)))?
                {
                    doomed.push(row?);
                }
            }
        }
    }
    Ok(doomed)
}
