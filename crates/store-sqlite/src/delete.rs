use memcloud_memory::ports::Deletion;
use memcloud_model::{Error, Space};
use rusqlite::{Connection, params};

use crate::append::{advance, find_space};
use crate::error::Failure;

/// Deletes inside the writer's transaction and leaves a note of each id, so that indexes learn of it.
pub(crate) fn delete(tx: &Connection, space: &Space, deletion: &Deletion) -> Result<u64, Error> {
    work(tx, space, deletion).map_err(|failure| failure.doing("deleting episodes"))
}

fn work(tx: &Connection, space: &Space, deletion: &Deletion) -> Result<u64, Failure> {
    let Some(space) = find_space(tx, space)? else {
        return Ok(0);
    };
    let doomed = doomed(tx, space, deletion)?;
    let first = advance(tx, space, doomed.len())?;
    let mut note = tx.prepare_cached("INSERT INTO deletions (space, seq, uid) VALUES (?1, ?2, ?3)")?;
    let mut remove = tx.prepare_cached("DELETE FROM episodes WHERE id = ?1")?;
    for (sequence, (id, uid)) in (first..).zip(&doomed) {
        note.execute(params![space, sequence, uid])?;
        remove.execute([id])?;
    }
    Ok(doomed.len() as u64)
}

/// The row and id of each episode to delete.
fn doomed(tx: &Connection, space: i64, deletion: &Deletion) -> Result<Vec<(i64, Vec<u8>)>, Failure> {
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
