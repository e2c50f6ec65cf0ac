//! Values that hold for the whole store, one row each.

use memcloud_domain::{Error, Timestamp};
use memcloud_ports::{ContentLocation, unique_id};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::WorkError;

/// Ties the store to a vector space. Refuses if it is tied to another.
pub(crate) fn bind_vector_space(tx: &Connection, running: &str) -> Result<(), WorkError> {
    let stored = get_or_set(tx, "vector_space", running)?;
    if stored == running {
        Ok(())
    } else {
        Err(Error::OtherVectorSpace { stored, running: running.into() }.into())
    }
}

/// The vector space that the store is tied to.
pub(crate) fn vector_space(connection: &Connection) -> Result<Option<String>, WorkError> {
    get(connection, "vector_space")
}

/// Ties the store to the place where the content of its episodes is. A store without episodes may change it.
pub(crate) fn bind_content_location(
    tx: &Connection,
    content: ContentLocation,
    place: &str,
) -> Result<(), WorkError> {
    let stored = get_or_set(tx, "home", content.name())?;
    let Err(elsewhere) = content.check(&stored, place) else { return Ok(()) };
    let change = "UPDATE meta SET value = ?1 WHERE name = 'home' AND NOT EXISTS (SELECT 1 FROM episodes)";
    if tx.execute(change, [content.name()])? == 1 { Ok(()) } else { Err(elsewhere.into()) }
}

/// The name of the memory, made at this moment if it has none.
pub(crate) fn memory(tx: &Connection, now: Timestamp) -> Result<String, WorkError> {
    get_or_set(tx, "memory", &unique_id(now).to_string())
}

/// The name of the memory, if it has one.
pub(crate) fn existing_memory(connection: &Connection) -> Result<Option<String>, WorkError> {
    get(connection, "memory")
}

/// Keeps the number of a write that does not keep it with a space.
pub(crate) fn set_writes(tx: &Connection, number: u64) -> rusqlite::Result<()> {
    let mut set = tx.prepare_cached(
        "INSERT INTO meta (name, value) VALUES ('writes', ?1)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?;
    set.execute([number.to_string()]).map(drop)
}

/// The number of the newest write, which is how many there were.
pub(crate) fn writes(connection: &Connection) -> Result<u64, WorkError> {
    let newest =
        "SELECT max(number) FROM (SELECT CAST(value AS INTEGER) AS number FROM meta WHERE name = 'writes'
                                           UNION ALL SELECT written FROM spaces)";
    let newest: Option<i64> = connection.query_row(newest, [], |row| row.get(0))?;
    Ok(newest.map_or(0, i64::cast_unsigned))
}

fn get(connection: &Connection, name: &str) -> Result<Option<String>, WorkError> {
    let mut select = connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    Ok(select.query_row([name], |row| row.get(0)).optional()?)
}

/// The stored value, or this one, stored now.
fn get_or_set(tx: &Connection, name: &str, value: &str) -> Result<String, WorkError> {
    if let Some(stored) = get(tx, name)? {
        return Ok(stored);
    }
    tx.execute("INSERT INTO meta (name, value) VALUES (?1, ?2)", params![name, value])?;
    Ok(value.to_owned())
}
