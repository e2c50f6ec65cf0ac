//! Facts that hold for the whole store, each said once.

use memcloud_domain::{Clock, EpisodeId, Error, SystemClock};
use memcloud_ports::ContentLocation;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Failure;

/// Ties the store to a vector space, or finds that it is tied to another.
pub(crate) fn bind_vector_space(tx: &Connection, running: &str) -> Result<(), Error> {
    let stored = said_first(tx, "vector_space", running)
        .map_err(|failure| failure.doing("binding the vector space"))?;
    if stored == running { Ok(()) } else { Err(Error::OtherVectorSpace { stored, running: running.into() }) }
}

/// The vector space that the store is tied to.
pub(crate) fn vector_space(connection: &Connection) -> Result<Option<String>, Failure> {
    let mut select = connection.prepare_cached("SELECT value FROM meta WHERE name = 'vector_space'")?;
    Ok(select.query_row([], |row| row.get(0)).optional()?)
}

/// Ties the store to the home of its episodes, or finds that they have another.
pub(crate) fn bind_home(tx: &Connection, home: ContentLocation, place: &str) -> Result<(), Error> {
    let kept = said_first(tx, "home", home.name()).map_err(|failure| failure.doing("binding the home"))?;
    let Err(elsewhere) = home.check(&kept, place) else { return Ok(()) };
    // Without any episode the records may still change it.
    let change = "UPDATE meta SET value = ?1 WHERE name = 'home' AND NOT EXISTS (SELECT 1 FROM episodes)";
    let changed =
        tx.execute(change, [home.name()]).map_err(|e| Failure::from(e).doing("binding the home"))?;
    if changed == 1 { Ok(()) } else { Err(elsewhere) }
}

/// The name of the memory, made when it is first asked for.
pub(crate) fn memory(tx: &Connection) -> Result<String, Error> {
    let named = EpisodeId::new(SystemClock.now(), 0).to_string();
    said_first(tx, "memory", &named).map_err(|failure| failure.doing("naming the memory"))
}

/// What was said first under this name: this, unless something else is there.
fn said_first(tx: &Connection, name: &str, value: &str) -> Result<String, Failure> {
    let mut select = tx.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    if let Some(stored) = select.query_row([name], |row| row.get(0)).optional()? {
        return Ok(stored);
    }
    tx.execute("INSERT INTO meta (name, value) VALUES (?1, ?2)", params![name, value])?;
    Ok(value.to_owned())
}
