//! Reads of a damaged database: row after row in the table of episodes, without its indexes. What cannot be read costs
//! itself alone.

use std::collections::HashSet;

use memcloud_domain::{Episode, EpisodeId, Space};
use memcloud_ports::{Change, Cursor, Damage, DamagedRow, Gathered, Position};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::{WorkError, is_damage};
use crate::profile::facts;
use crate::{keys, read, spaces};

/// A row that cannot be read; one of episodes with the id that an index still knows.
pub type UnreadableRow = DamagedRow<(i64, Option<EpisodeId>)>;

/// What identifies a row.
struct Key {
    row: i64,
    sequence: i64,
    session: i64,
    created_at: i64,
    id: EpisodeId,
}

/// The keys of all rows of a space that can be read.
fn keys(connection: &Connection, damage: &Damage<i64>, space: i64) -> Result<Vec<Key>, WorkError> {
    let mut select = connection.prepare_cached(
        "SELECT e.id, e.seq, e.session, e.created_at, e.uid FROM episodes e NOT INDEXED
         WHERE e.id = ?1 AND e.space = ?2",
    )?;
    let mut keys = Vec::new();
    for row in 1..=last_row(connection)? {
        let key = select.query_row([row, space], |row| {
            let (sequence, session, created_at) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Key { row: row.get(0)?, sequence, session, created_at, id: read::id(row, 4)? })
        });
        keys.extend(readable(damage, row, key)?);
    }
    Ok(keys)
}

/// The number of the last row, from whatever can still be read.
fn last_row(connection: &Connection) -> Result<i64, WorkError> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
    let last = number("SELECT max(id) FROM episodes NOT INDEXED")
        .or_else(|_| number("SELECT max(id) FROM episodes INDEXED BY episodes_by_time"))
        .or_else(|_| number("SELECT max(id) FROM episodes INDEXED BY episodes_by_session"))?;
    Ok(last.unwrap_or(0))
}

/// A row, if it is there and can be read.
fn readable<T>(damage: &Damage<i64>, row: i64, read: rusqlite::Result<T>) -> Result<Option<T>, WorkError> {
    match read.optional() {
        Err(error) if is_damage(&error) => {
            damage.note_row(DamagedRow::Episode(row));
            Ok(None)
        }
        read => Ok(read?),
    }
}

/// The rows of these keys, each read by its number.
fn rows<T>(
    connection: &Connection,
    damage: &Damage<i64>,
    keys: &[Key],
    (sql, read): (&str, fn(&Row<'_>) -> rusqlite::Result<T>),
    size: impl Fn(&T) -> usize,
    limit: usize,
) -> Result<Vec<T>, WorkError> {
    let mut select = connection.prepare_cached(sql)?;
    let found = keys
        .iter()
        .filter_map(|key| readable(damage, key.row, select.query_row(params![key.row], read)).transpose());
    Gathered::from_rows(found.take(limit), size)
}

/// See [`read::changes`].
pub(crate) fn changes(
    connection: &Connection,
    damage: &Damage<i64>,
    space: &Space,
    after: Position,
    limit: usize,
) -> Result<Option<Vec<Change>>, WorkError> {
    let head = read::head(connection, space)?;
    let Some(space) = spaces::find(connection, space)? else { return Ok(Some(Vec::new())) };
    let mut keys = keys(connection, damage, space)?;
    keys.retain(|key| key.sequence > after.changes.cast_signed());
    keys.sort_unstable_by_key(|key| key.sequence);
    let mut changes = rows(connection, damage, &keys, read::CHANGE_BY_ROW, Change::size, limit)?;
    // What comes after a full answer is read later.
    let end = if changes.len() < limit && changes.len() < keys.len() {
        changes
            .last()
            .filter(|_| changes.iter().map(Change::size).sum::<usize>() >= memcloud_ports::READ_BYTES)
    } else {
        changes.last()
    };
    let end = end.map_or(i64::MAX, |change| change.sequence.cast_signed());
    // There are none after the head. So an index that is built again reads none.
    if after.removals < head {
        match read::deletions(connection, space, after, end) {
            Err(error) if error.is_damage() => {
                damage.note(&error.doing("reading deletions"));
                return Ok(None);
            }
            deletions => changes.extend(deletions?),
        }
    }
    changes.sort_unstable_by_key(|change| change.sequence);
    changes.truncate(limit);
    Ok((!read::is_pruned(connection, space, after)?).then_some(changes))
}

/// See [`read::episodes`].
pub(crate) fn episodes(
    connection: &Connection,
    damage: &Damage<i64>,
    space: &Space,
    ids: &[EpisodeId],
) -> Result<Vec<Episode>, WorkError> {
    let Some(space) = spaces::find(connection, space)? else { return Ok(Vec::new()) };
    let wanted: HashSet<EpisodeId> = ids.iter().copied().collect();
    let mut keys = keys(connection, damage, space)?;
    keys.retain(|key| wanted.contains(&key.id));
    keys.sort_by_key(|key| ids.iter().position(|id| *id == key.id));
    rows(connection, damage, &keys, read::EPISODE_BY_ROW, Episode::size, usize::MAX)
}

/// See [`read::newest`].
pub(crate) fn newest(
    connection: &Connection,
    damage: &Damage<i64>,
    space: &Space,
    session: &str,
    limit: usize,
) -> Result<Vec<Episode>, WorkError> {
    let mut keys = in_session(connection, damage, space, Some(session))?;
    keys.sort_unstable_by_key(|key| std::cmp::Reverse((key.created_at, key.id)));
    let mut found = rows(connection, damage, &keys, read::EPISODE_BY_ROW, Episode::size, limit)?;
    found.retain(|episode| episode.purpose != memcloud_domain::Purpose::ProfileOnly);
    found.reverse();
    Ok(found)
}

/// See [`read::page`].
pub(crate) fn page(
    connection: &Connection,
    damage: &Damage<i64>,
    space: &Space,
    session: Option<&str>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<Episode>, WorkError> {
    let mut keys = in_session(connection, damage, space, session)?;
    if let Some(after) = after {
        keys.retain(|key| (key.created_at, key.id) > (after.created_at, after.id));
    }
    keys.sort_unstable_by_key(|key| (key.created_at, key.id));
    rows(connection, damage, &keys, read::EPISODE_BY_ROW, Episode::size, limit)
}

fn in_session(
    connection: &Connection,
    damage: &Damage<i64>,
    space: &Space,
    session: Option<&str>,
) -> Result<Vec<Key>, WorkError> {
    let Some(number) = spaces::find(connection, space)? else { return Ok(Vec::new()) };
    let mut keys = keys(connection, damage, number)?;
    if let Some(name) = session {
        let session = read::find_session(connection, space, name)?;
        keys.retain(|key| Some(key.session) == session);
    }
    Ok(keys)
}

/// The rows that cannot be read; those of episodes with the ids that an index still knows.
pub(crate) fn unreadable(connection: &Connection) -> Result<Vec<UnreadableRow>, WorkError> {
    let damage = Damage::default();
    let (sql, read) = read::EPISODE_BY_ROW;
    let mut select = connection.prepare_cached(sql)?;
    for row in 1..=last_row(connection)? {
        readable(&damage, row, select.query_row([row], read))?;
    }
    // Where these cannot be read at all, the check of the integrity says so.
    for read in [
        facts::all(connection, &damage, None, usize::MAX).map(drop),
        keys::all(connection, &damage).map(drop),
    ] {
        read.or_else(|error| if error.is_damage() { Ok(()) } else { Err(error) })?;
    }
    let lost = damage.rows();
    let known = if lost.is_empty() { Vec::new() } else { ids(connection).unwrap_or_default() };
    let id = |row| known.iter().find(|(known, _)| *known == row).map(|(_, id)| *id);
    Ok(lost.into_iter().map(|lost| lost.map(|row| (row, id(row)))).collect())
}

/// The rows and ids that the index by time knows.
fn ids(connection: &Connection) -> Result<Vec<(i64, EpisodeId)>, WorkError> {
    let mut select = connection.prepare_cached("SELECT id, uid FROM episodes INDEXED BY episodes_by_time")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, read::id(row, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
