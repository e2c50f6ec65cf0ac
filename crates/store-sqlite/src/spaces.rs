//! Spaces: see [`SpaceStore`](memcloud_ports::SpaceStore).

use memcloud_domain::{Error, Space, SpaceChanges, SpaceCounts, SpaceInfo, SpaceState, Timestamp};
use memcloud_ports::{LIFE_BITS, REMOVALS_KEPT};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::{WorkError, is_damage};

/// The row of a space, if it is known and not being deleted.
pub(crate) fn find(connection: &Connection, space: &Space) -> Result<Option<i64>, WorkError> {
    Ok(connection
        .prepare_cached("SELECT id FROM spaces WHERE org = ?1 AND project = ?2")?
        .query_row(params![space.org, space.project], |row| row.get(0))
        .optional()?)
}

/// The row of a space, made when it is new.
pub(crate) fn make(tx: &Connection, space: &Space, now: Timestamp) -> Result<i64, WorkError> {
    if let Some(id) = find(tx, space)? {
        return Ok(id);
    }
    if is_being_deleted(tx, space)? {
        return Err(Error::SpaceDeleting(space.clone()).into());
    }
    tx.prepare_cached(
        "INSERT INTO spaces (org, project, head, created_at)
         VALUES (?1, ?2, coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'lives'), 0) << ?3, ?4)",
    )?
    .execute(params![space.org, space.project, LIFE_BITS, now.as_micros()])?;
    Ok(tx.last_insert_rowid())
}

fn is_being_deleted(connection: &Connection, space: &Space) -> Result<bool, WorkError> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM spaces WHERE deleting_org = ?1 AND deleting_project = ?2")?
        .exists(params![space.org, space.project])?)
}

/// Takes the next `count` sequence numbers of a space, adds `gained` to its count of episodes, and returns the first of them.
pub(crate) fn advance(tx: &Connection, space: i64, count: usize, gained: i64) -> Result<i64, WorkError> {
    let count = count as i64;
    let advance = "UPDATE spaces SET head = head + ?2, episodes = episodes + ?3 WHERE id = ?1 RETURNING head";
    let head: i64 = tx.prepare_cached(advance)?.query_row(params![space, count, gained], |row| row.get(0))?;
    Ok(head - count + 1)
}

/// Takes the sequence numbers of this many new episodes of a space, and keeps the number of the write. Returns the first of
/// them, and whether messages in the space are learned from.
pub(crate) fn extend(
    tx: &Connection,
    space: i64,
    count: usize,
    write: u64,
) -> Result<(i64, bool), WorkError> {
    let count = count as i64;
    let mut extend = tx.prepare_cached(
        "UPDATE spaces SET head = head + ?2, episodes = episodes + ?2, written = ?3 WHERE id = ?1
         RETURNING head - ?2 + 1, learns",
    )?;
    let taken =
        extend.query_row(params![space, count, write.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(taken?)
}

/// Forgets the old deletions of a space: see [`pruned_up_to`](memcloud_ports::pruned_up_to).
pub(crate) fn prune(tx: &Connection, space: i64) -> Result<(), WorkError> {
    let advance =
        "UPDATE spaces SET pruned = max(pruned, head - max(episodes, ?2)) WHERE id = ?1 RETURNING pruned";
    let pruned: i64 = tx
        .prepare_cached(advance)?
        .query_row(params![space, REMOVALS_KEPT.cast_signed()], |row| row.get(0))?;
    tx.prepare_cached("DELETE FROM deletions WHERE space = ?1 AND seq <= ?2")?.execute([space, pruned])?;
    Ok(())
}

pub(crate) fn list(
    connection: &Connection,
    after: &Space,
    limit: usize,
) -> Result<Vec<SpaceInfo>, WorkError> {
    let mut select = connection.prepare_cached(
        "SELECT ifnull(deleting_org, org) AS named_org, ifnull(deleting_project, project) AS named_project,
                created_at, description, learns, deleting_org IS NOT NULL
         FROM spaces WHERE (named_org, named_project) > (?1, ?2)
         ORDER BY named_org, named_project LIMIT ?3",
    )?;
    let rows = select.query_map(params![after.org, after.project, limit as i64], info)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What is known about a space, by the number of its row.
pub(crate) fn info_by_row(connection: &Connection, row: i64) -> rusqlite::Result<SpaceInfo> {
    let mut select = connection.prepare_cached(
        "SELECT ifnull(deleting_org, org), ifnull(deleting_project, project), created_at, description, learns,
                deleting_org IS NOT NULL
         FROM spaces WHERE id = ?1",
    )?;
    select.query_row([row], info)
}

fn info(row: &Row<'_>) -> rusqlite::Result<SpaceInfo> {
    Ok(SpaceInfo {
        space: Space { org: row.get(0)?, project: row.get(1)? },
        created_at: row.get::<_, Option<i64>>(2)?.and_then(Timestamp::from_micros),
        description: row.get(3)?,
        learns: row.get(4)?,
        state: if row.get(5)? { SpaceState::Deleting } else { SpaceState::Active },
    })
}

pub(crate) fn describe(
    connection: &Connection,
    space: &Space,
) -> Result<Option<(SpaceInfo, SpaceCounts)>, WorkError> {
    let mut select = connection.prepare_cached(
        "SELECT ?1, ?2, created_at, description, learns, deleting_org IS NOT NULL,
                (SELECT count(*) FROM sessions t WHERE t.space = s.id),
                s.episodes,
                (SELECT count(*) FROM facts f JOIN targets t ON t.id = f.target JOIN fact_sets b ON b.id = t.fact_set
                 WHERE b.space = s.id)
         FROM spaces s WHERE (org = ?1 AND project = ?2) OR (deleting_org = ?1 AND deleting_project = ?2)",
    )?;
    let described = select.query_row(params![space.org, space.project], |row| {
        let (info, count) = (info(row)?, |column| row.get::<_, i64>(column).map(i64::cast_unsigned));
        let counts = match info.state {
            SpaceState::Active => SpaceCounts { sessions: count(6)?, episodes: count(7)?, facts: count(8)? },
            SpaceState::Deleting => SpaceCounts::default(),
        };
        Ok((info, counts))
    });
    Ok(described.optional()?)
}

pub(crate) fn configure(tx: &Connection, space: &Space, changes: &SpaceChanges) -> Result<bool, WorkError> {
    let changed = tx
        .prepare_cached(
            "UPDATE spaces SET description = ifnull(?3, description), learns = ifnull(?4, learns)
             WHERE org = ?1 AND project = ?2",
        )?
        .execute(params![space.org, space.project, changes.description, changes.learns])?;
    Ok(changed == 1)
}

pub(crate) fn put(tx: &Connection, info: &SpaceInfo, now: Timestamp) -> Result<(), WorkError> {
    let id = make(tx, &info.space, now)?;
    let created_at = info.created_at.map(Timestamp::as_micros);
    tx.prepare_cached(
        "UPDATE spaces SET created_at = ifnull(min(created_at, ?2), ifnull(created_at, ?2)), description = ?3, learns = ?4
         WHERE id = ?1",
    )?
    .execute(params![id, created_at, info.description, info.learns])?;
    Ok(())
}

pub(crate) fn begin_deletion(tx: &Connection, space: &Space) -> Result<bool, WorkError> {
    let Some(id) = find(tx, space)? else { return is_being_deleted(tx, space) };
    let row_by_row =
        "DELETE FROM queue WHERE EXISTS (SELECT 1 FROM episodes e WHERE e.uid = queue.uid AND e.space = ?1)";
    let by_index = "DELETE FROM queue WHERE uid IN (SELECT uid FROM episodes INDEXED BY episodes_by_time WHERE space = ?1)";
    match tx.execute(row_by_row, [id]) {
        // The index costs more in a large space, and none of its rows.
        Err(error) if is_damage(&error) => tx.execute(by_index, [id])?,
        done => done?,
    };
    tx.execute(
        "UPDATE spaces SET deleting_org = org, deleting_project = project, description = '', org = '',
                           project = lower(hex(randomblob(16)))
         WHERE id = ?1",
        [id],
    )?;
    Ok(true)
}

pub(crate) fn hidden(connection: &Connection) -> Result<Vec<Space>, WorkError> {
    let mut select = connection
        .prepare_cached("SELECT org, project FROM spaces WHERE deleting_org IS NOT NULL ORDER BY id")?;
    let rows = select.query_map([], |row| Ok(Space { org: row.get(0)?, project: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn remove(tx: &Connection, hidden: &Space) -> Result<(), WorkError> {
    let Some(id) = find(tx, hidden)? else { return Ok(()) };
    for rest in [
        "DELETE FROM fact_sets WHERE space = ?1",
        "DELETE FROM set_types WHERE space = ?1",
        "DELETE FROM members WHERE session IN (SELECT id FROM sessions WHERE space = ?1)",
        "DELETE FROM sessions WHERE space = ?1",
        "DELETE FROM deletions WHERE space = ?1",
        "DELETE FROM spaces WHERE id = ?1 AND deleting_org IS NOT NULL",
    ] {
        tx.execute(rest, [id])?;
    }
    tx.execute(
        "INSERT INTO meta (name, value) VALUES ('lives', '1')
         ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
        [],
    )?;
    Ok(())
}
