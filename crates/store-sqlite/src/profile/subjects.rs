//! What is learned together, as a row that everything learned hangs on.

use memcloud_domain::{ProfileKey, Space};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::WorkError;
use crate::spaces;

/// The row of a subject in the row of a space, made when it is new.
pub(crate) fn make(tx: &Connection, space: i64, owner: &str, category: &str) -> Result<i64, WorkError> {
    if let Some(id) = find_in(tx, space, owner, category)? {
        return Ok(id);
    }
    tx.prepare_cached("INSERT INTO subjects (space, owner, category) VALUES (?1, ?2, ?3)")?
        .execute(params![space, owner, category])?;
    Ok(tx.last_insert_rowid())
}

/// The rows of a subject's space and of the subject, made when it is new; `None` while the space is not known.
pub(crate) fn make_in_space(tx: &Connection, subject: &ProfileKey) -> Result<Option<(i64, i64)>, WorkError> {
    let Some(space) = spaces::find(tx, &subject.space)? else { return Ok(None) };
    Ok(Some((space, make(tx, space, &subject.owner, &subject.category)?)))
}

/// The row of a subject, if it is known.
pub(crate) fn find(connection: &Connection, subject: &ProfileKey) -> Result<Option<i64>, WorkError> {
    match spaces::find(connection, &subject.space)? {
        Some(space) => find_in(connection, space, &subject.owner, &subject.category),
        None => Ok(None),
    }
}

fn find_in(
    connection: &Connection,
    space: i64,
    owner: &str,
    category: &str,
) -> Result<Option<i64>, WorkError> {
    Ok(connection
        .prepare_cached("SELECT id FROM subjects WHERE space = ?1 AND owner = ?2 AND category = ?3")?
        .query_row(params![space, owner, category], |row| row.get(0))
        .optional()?)
}

/// The subject in four columns: org, project, owner, category.
pub(crate) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<ProfileKey> {
    Ok(ProfileKey {
        space: Space { org: row.get(first)?, project: row.get(first + 1)? },
        owner: row.get(first + 2)?,
        category: row.get(first + 3)?,
    })
}
