//! The rows of spaces and their sequence numbers.

use memcloud_domain::Space;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::WorkError;

/// The row of a space, created when it is new.
pub(crate) fn make(tx: &Connection, space: &Space) -> Result<i64, WorkError> {
    if let Some(id) = find(tx, space)? {
        return Ok(id);
    }
    tx.prepare_cached("INSERT INTO spaces (org, project) VALUES (?1, ?2)")?
        .execute(params![space.org, space.project])?;
    Ok(tx.last_insert_rowid())
}

/// The row of a space, if it is known.
pub(crate) fn find(connection: &Connection, space: &Space) -> Result<Option<i64>, WorkError> {
    Ok(connection
        .prepare_cached("SELECT id FROM spaces WHERE org = ?1 AND project = ?2")?
        .query_row(params![space.org, space.project], |row| row.get(0))
        .optional()?)
}

/// Takes the next `count` sequence numbers of a space and returns the first of them.
pub(crate) fn advance(tx: &Connection, space: i64, count: usize) -> Result<i64, WorkError> {
    let count = count as i64;
    let head: i64 = tx
        .prepare_cached("UPDATE spaces SET head = head + ?2 WHERE id = ?1 RETURNING head")?
        .query_row(params![space, count], |row| row.get(0))?;
    Ok(head - count + 1)
}
