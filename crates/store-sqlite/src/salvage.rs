//! Reads of a damaged database: row after row in the table of episodes, without its indexes. What cannot be read costs
//! itself alone. The names of spaces and sessions are in their tables and once more in an index, so a page of one of these costs
//! no name.

use std::collections::{HashMap, HashSet};

use memcloud_domain::{Episode, EpisodeId, Member, Space, SpaceInfo, SpaceState};
use memcloud_ports::{
    Change, Cursor, Damage, DamagedRow, EpisodesOf, Gathered, LISTED_MEMBERS, Position, Selected, Sequence,
    SessionCursor, SessionPage, SessionRows, SessionsOf,
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::error::{WorkError, is_damage};
use crate::profile::facts;
use crate::read::ByRow;
use crate::{keys, read, spaces};

/// A row that cannot be read; one of episodes with the id that an index still knows.
pub type UnreadableRow = DamagedRow<(i64, Option<EpisodeId>)>;

/// A space, with the names of its sessions by their rows.
struct Place<'a> {
    row: i64,
    space: &'a Space,
    sessions: HashMap<i64, String>,
}

impl<'a> Place<'a> {
    /// Finds a space, if it is known.
    fn find(connection: &Connection, space: &'a Space) -> Result<Option<Self>, WorkError> {
        let Some(row) = space_row(connection, space)? else { return Ok(None) };
        let sessions = either(
            connection,
            [
                "SELECT id, name FROM sessions INDEXED BY sqlite_autoindex_sessions_1 WHERE space = ?1",
                "SELECT id, name FROM sessions NOT INDEXED WHERE space = ?1",
            ],
            &[row],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(Some(Self { row, space, sessions: sessions.into_iter().collect() }))
    }
}

/// The row of a space, if it is known.
fn space_row(connection: &Connection, space: &Space) -> Result<Option<i64>, WorkError> {
    let found = either(
        connection,
        [
            "SELECT id FROM spaces INDEXED BY sqlite_autoindex_spaces_1 WHERE org = ?1 AND project = ?2",
            "SELECT id FROM spaces NOT INDEXED WHERE org = ?1 AND project = ?2",
        ],
        &[&space.org, &space.project],
        |row| row.get(0),
    )?;
    Ok(found.first().copied())
}

/// The rows of the first of two queries that can be read.
fn either<T, P: Params + Clone>(
    connection: &Connection,
    queries: [&str; 2],
    params: &P,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, WorkError> {
    let rows = |sql| connection.prepare_cached(sql)?.query_map(params.clone(), read)?.collect();
    let [first, second] = queries;
    match rows(first) {
        Err(error) if is_damage(&error) => Ok(rows(second)?),
        rows => Ok(rows?),
    }
}

/// See [`read::head`]. Of a space whose row cannot be read, the number of its newest episode.
pub(crate) fn head(connection: &Connection, space: &Space) -> Result<Sequence, WorkError> {
    match read::head(connection, space) {
        Err(error) if error.is_damage() => {}
        head => return head,
    }
    let Some(space) = space_row(connection, space)? else { return Ok(0) };
    let mut select =
        connection.prepare_cached("SELECT ifnull(max(seq), 0) FROM episodes WHERE space = ?1")?;
    Ok(select.query_row([space], |row| row.get::<_, i64>(0))?.cast_unsigned())
}

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
    place: &Place<'_>,
    keys: &[Key],
    (sql, read): ByRow<T>,
    size: impl Fn(&T) -> usize,
    limit: usize,
) -> Result<Vec<T>, WorkError> {
    let mut select = connection.prepare_cached(sql)?;
    let Place { space: Space { org, project }, sessions, .. } = place;
    let found = keys.iter().filter_map(|key| {
        let Some(session) = sessions.get(&key.session) else {
            damage.note_row(DamagedRow::Episode(key.row));
            return None;
        };
        let row = select.query_row(params![key.row, org, project, session], read);
        readable(damage, key.row, row).transpose()
    });
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
    let head = head(connection, space)?;
    let Some(place) = Place::find(connection, space)? else { return Ok(Some(Vec::new())) };
    let mut keys = keys(connection, damage, place.row)?;
    keys.retain(|key| key.sequence > after.changes.cast_signed());
    keys.sort_unstable_by_key(|key| key.sequence);
    let mut changes = rows(connection, damage, &place, &keys, read::CHANGE_BY_ROW, Change::size, limit)?;
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
        match read::deletions(connection, place.row, after, end) {
            Err(error) if error.is_damage() => {
                error.note("reading deletions", damage);
                return Ok(None);
            }
            deletions => changes.extend(deletions?),
        }
    }
    changes.sort_unstable_by_key(|change| change.sequence);
    changes.truncate(limit);
    let is_pruned = match read::is_pruned(connection, place.row, after) {
        Err(error) if error.is_damage() => after.removals < head,
        is_pruned => is_pruned?,
    };
    Ok((!is_pruned).then_some(changes))
}

/// See [`read::episodes`].
pub(crate) fn episodes(
    connection: &Connection,
    damage: &Damage<i64>,
    space: &Space,
    ids: &[EpisodeId],
) -> Result<Vec<Episode>, WorkError> {
    let Some(place) = Place::find(connection, space)? else { return Ok(Vec::new()) };
    let wanted: HashSet<EpisodeId> = ids.iter().copied().collect();
    let mut keys = keys(connection, damage, place.row)?;
    keys.retain(|key| wanted.contains(&key.id));
    keys.sort_by_key(|key| ids.iter().position(|id| *id == key.id));
    rows(connection, damage, &place, &keys, read::EPISODE_BY_ROW, Episode::size, usize::MAX)
}

/// See [`read::newest`].
pub(crate) fn newest(
    connection: &Connection,
    damage: &Damage<i64>,
    space: &Space,
    session: &str,
    limit: usize,
) -> Result<Vec<Episode>, WorkError> {
    let Some(place) = Place::find(connection, space)? else { return Ok(Vec::new()) };
    let mut keys = in_session(connection, damage, &place, Some(session))?;
    keys.sort_unstable_by_key(|key| std::cmp::Reverse((key.created_at, key.id)));
    let mut found = rows(connection, damage, &place, &keys, read::EPISODE_BY_ROW, Episode::size, limit)?;
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
    let Some(place) = Place::find(connection, space)? else { return Ok(Vec::new()) };
    let mut keys = in_session(connection, damage, &place, session)?;
    if let Some(after) = after {
        keys.retain(|key| (key.created_at, key.id) > (after.created_at, after.id));
    }
    keys.sort_unstable_by_key(|key| (key.created_at, key.id));
    rows(connection, damage, &place, &keys, read::EPISODE_BY_ROW, Episode::size, limit)
}

fn in_session(
    connection: &Connection,
    damage: &Damage<i64>,
    place: &Place<'_>,
    session: Option<&str>,
) -> Result<Vec<Key>, WorkError> {
    let mut keys = keys(connection, damage, place.row)?;
    if let Some(name) = session {
        keys.retain(|key| place.sessions.get(&key.session).is_some_and(|known| known == name));
    }
    Ok(keys)
}

/// See [`delete::select`](crate::delete::select). The indexes know which rows there are.
pub(crate) fn select(
    connection: &Connection,
    damage: &Damage<i64>,
    space: &Space,
    of: &EpisodesOf,
) -> Result<Selected, WorkError> {
    const OF_SESSION: &str =
        "SELECT id, uid FROM episodes INDEXED BY episodes_by_session WHERE session = ?1 ORDER BY id";
    const OF_SPACE: &str =
        "SELECT id, uid FROM episodes INDEXED BY episodes_by_time WHERE space = ?1 ORDER BY id";
    let mut selected = Selected::default();
    let Some(place) = Place::find(connection, space)? else { return Ok(selected) };
    let (sql, owner, session, person) = match of {
        EpisodesOf::Person(name) => (OF_SPACE, place.row, None, Some(name)),
        EpisodesOf::Session(name) => {
            let known = place.sessions.iter().find(|(_, known)| *known == name);
            let Some((session, _)) = known else { return Ok(selected) };
            (OF_SESSION, *session, Some(session), None)
        }
    };
    let mut known = connection.prepare_cached(sql)?;
    let known = known.query_map([owner], |row| Ok((row.get(0)?, read::id(row, 1)?)))?;
    let mut is_of = connection.prepare_cached(
        "SELECT session IS ?2 OR producer IS ?3 OR produced_for IS ?3 FROM episodes NOT INDEXED WHERE id = ?1",
    )?;
    for known in known {
        let (row, id): (i64, EpisodeId) = known?;
        match readable(damage, row, is_of.query_row(params![row, session, person], |row| row.get(0)))? {
            Some(true) => selected.ids.push(id),
            Some(false) => {}
            None => selected.unreadable += 1,
        }
    }
    Ok(selected)
}

/// See [`read::without_vector`].
pub(crate) fn without_vector(
    connection: &Connection,
    damage: &Damage<i64>,
    limit: usize,
) -> Result<Vec<Episode>, WorkError> {
    let mut select = connection.prepare_cached(
        "SELECT id FROM episodes INDEXED BY episodes_without_vector WHERE vector IS NULL AND purpose = 0 ORDER BY id",
    )?;
    let waiting = select.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    let (sql, read) = read::EPISODE_WITH_NAMES;
    let mut select = connection.prepare_cached(sql)?;
    let found = waiting
        .into_iter()
        .filter_map(|row| readable(damage, row, select.query_row([row], read)).transpose());
    Gathered::from_rows(found.take(limit), Episode::size)
}

/// See [`spaces::spaces`](memcloud_ports::SpaceStore::spaces). Of a space whose row cannot be read, only the name is known.
pub(crate) fn spaces(
    connection: &Connection,
    after: &Space,
    limit: usize,
) -> Result<Vec<SpaceInfo>, WorkError> {
    let mut known = Vec::new();
    for (row, space) in space_names(connection)? {
        match spaces::info_by_row(connection, row) {
            Ok(info) => known.push(info),
            // One that is being deleted has a hidden name.
            Err(error) if is_damage(&error) && space.org.is_empty() => {}
            Err(error) if is_damage(&error) => known.push(SpaceInfo {
                space,
                created_at: None,
                description: String::new(),
                learns: true,
                state: SpaceState::Active,
            }),
            Err(error) => return Err(error.into()),
        }
    }
    let name = |space: &Space| (space.org.clone(), space.project.clone());
    known.retain(|info| name(&info.space) > name(after));
    known.sort_by_key(|info| name(&info.space));
    known.truncate(limit);
    Ok(known)
}

/// The names of all spaces by their rows.
fn space_names(connection: &Connection) -> Result<HashMap<i64, Space>, WorkError> {
    let names = either(
        connection,
        [
            "SELECT id, org, project FROM spaces INDEXED BY sqlite_autoindex_spaces_1",
            "SELECT id, org, project FROM spaces NOT INDEXED",
        ],
        &[],
        |row| Ok((row.get(0)?, Space { org: row.get(1)?, project: row.get(2)? })),
    )?;
    Ok(names.into_iter().collect())
}

/// See [`read::sessions`]. Members that cannot be read are left out.
pub(crate) fn sessions(
    connection: &Connection,
    damage: &Damage<i64>,
    of: &SessionsOf,
    after: Option<SessionCursor>,
    limit: usize,
) -> Result<SessionPage, WorkError> {
    let spaces = space_names(connection)?;
    let mut sessions = either(
        connection,
        [
            "SELECT id, space, name FROM sessions INDEXED BY sqlite_autoindex_sessions_1",
            "SELECT id, space, name FROM sessions NOT INDEXED",
        ],
        &[],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?)),
    )?;
    sessions.retain(|(row, ..)| after.is_none_or(|after| *row > after.0));
    sessions.sort_unstable_by_key(|(row, ..)| *row);
    let mut page = SessionRows::new(limit);
    for (row, space, name) in sessions {
        // One that is being deleted has a hidden name.
        let Some(space) = spaces.get(&space).filter(|space| !space.org.is_empty()) else { continue };
        let is_wanted = match of {
            SessionsOf::Everyone => true,
            SessionsOf::Space(of) => of == space,
            SessionsOf::User(name) => is_member(connection, damage, row, &Member::User(name.clone()))?,
            SessionsOf::Agent(name) => is_member(connection, damage, row, &Member::Agent(name.clone()))?,
        };
        if !is_wanted {
            continue;
        }
        if !page.add(SessionCursor(row), space.clone(), name) {
            break;
        }
        let members =
            read::first_members(connection, row, LISTED_MEMBERS + 1, |member| page.add_member(member));
        past(damage, members)?;
    }
    Ok(page.into_page())
}

/// Whether a session is known to have this member.
fn is_member(
    connection: &Connection,
    damage: &Damage<i64>,
    session: i64,
    member: &Member,
) -> Result<bool, WorkError> {
    let role = if matches!(member, Member::User(_)) { read::USER } else { read::AGENT };
    let mut select =
        connection.prepare_cached("SELECT 1 FROM members WHERE session = ?1 AND role = ?2 AND name = ?3")?;
    let is_member = select.exists(params![session, role, member.name()]).map_err(WorkError::from);
    Ok(past(damage, is_member)?.unwrap_or(false))
}

/// Notes members that cannot be read, and goes on without them.
fn past<T>(damage: &Damage<i64>, read: Result<T, WorkError>) -> Result<Option<T>, WorkError> {
    match read {
        Err(error) if error.is_damage() => {
            error.note("reading members", damage);
            Ok(None)
        }
        read => Ok(Some(read?)),
    }
}

/// Reads the rows again that could not be read, and forgets those that can be read now.
pub(crate) fn recheck(connection: &Connection, damage: &Damage<i64>) -> Result<(), WorkError> {
    let (before, again) = (damage.rows(), Damage::unlogged());
    for row in damage.episodes() {
        try_row(connection, &again, row)?;
    }
    for row in &before {
        if let DamagedRow::Fact(id) = row {
            facts::find(connection, &again, *id)?;
        }
    }
    if before.iter().any(|row| matches!(row, DamagedRow::Key(_))) {
        keys::all(connection, &again)?;
    }
    let left = again.rows();
    damage.forget(|row| before.contains(row) && !left.contains(row));
    Ok(())
}

/// Reads all of a row of episodes, and notes it where that fails.
fn try_row(connection: &Connection, damage: &Damage<i64>, row: i64) -> Result<(), WorkError> {
    let names = params![row, "", "", ""];
    let (sql, read) = read::EPISODE_BY_ROW;
    readable(damage, row, connection.prepare_cached(sql)?.query_row(names, read))?;
    let (sql, read) = read::CHANGE_BY_ROW;
    readable(damage, row, connection.prepare_cached(sql)?.query_row(names, read))?;
    Ok(())
}

/// Looks for rows that cannot be read on the pages next to that of a row, unless some are known already.
pub(crate) fn note_near(connection: &Connection, damage: &Damage<i64>, row: i64) -> Result<(), WorkError> {
    // No page has more rows than this.
    const NEAR: i64 = 512;
    if damage.episodes().is_empty() {
        for row in row - NEAR..=row + NEAR {
            try_row(connection, damage, row)?;
        }
    }
    Ok(())
}

/// The rows that cannot be read; those of episodes with the ids that an index still knows.
pub(crate) fn unreadable(connection: &Connection) -> Result<Vec<UnreadableRow>, WorkError> {
    let damage = Damage::default();
    for row in 1..=last_row(connection)? {
        try_row(connection, &damage, row)?;
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
