use memcloud_domain::{Episode, EpisodeId, Member, Purpose, Session, Space, Timestamp};
use memcloud_ports::{
    Change, ChangeKind, Counts, Cursor, Gathered, IndexRow, LISTED_MEMBERS, Position, Sequence,
    SessionCursor, SessionPage, SessionRows, SessionsOf,
};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::WorkError;
use crate::{spaces, vectors};

/// What every read of whole episodes selects, in the order that [`episode`] expects.
macro_rules! select_episodes {
    ($rest:literal) => {
        select_episodes!(
            "p.org, p.project, s.name",
            "JOIN sessions s ON s.id = e.session JOIN spaces p ON p.id = e.space ",
            $rest
        )
    };
    ($names:literal, $joins:literal, $rest:literal) => {
        concat!(
            "SELECT e.uid, ",
            $names,
            ", e.content, e.producer, e.produced_for, e.role, e.kind, ",
            "e.metadata, e.created_at, e.ingested_at, e.purpose FROM episodes e ",
            $joins,
            $rest
        )
    };
}

/// The newest sequence number of a space, 0 when it is unknown.
pub(crate) fn head(connection: &Connection, space: &Space) -> Result<Sequence, WorkError> {
    Ok(connection
        .prepare_cached("SELECT head FROM spaces WHERE org = ?1 AND project = ?2")?
        .query_row(params![space.org, space.project], |row| row.get::<_, i64>(0))
        .optional()?
        .map_or(0, i64::cast_unsigned))
}

/// The changes of a space after a position, oldest first.
pub(crate) fn changes(
    connection: &Connection,
    space: &Space,
    after: Position,
    limit: usize,
) -> Result<Option<Vec<Change>>, WorkError> {
    let Some(space) = spaces::find(connection, space)? else {
        return Ok(Some(Vec::new()));
    };
    let mut select = connection.prepare_cached(
        "SELECT e.seq, e.uid, s.name, e.producer, e.produced_for, e.kind, e.created_at, e.vector, e.analysis,
                e.purpose
         FROM episodes e JOIN sessions s ON s.id = e.session
         WHERE e.space = ?1 AND e.seq > ?2
         UNION ALL
         SELECT seq, uid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM deletions WHERE space = ?1 AND seq > ?3
         ORDER BY 1 LIMIT ?4",
    )?;
    let (changes, removals) = (after.changes.cast_signed(), after.removals.cast_signed());
    let rows = select.query_map(params![space, changes, removals, limit as i64], change)?;
    let changes = Gathered::from_rows(rows, Change::size)?;
    Ok((!is_pruned(connection, space, after)?).then_some(changes))
}

/// Whether removals after a position are pruned. Asked after they were read, so none was pruned before the read.
pub(crate) fn is_pruned(connection: &Connection, space: i64, after: Position) -> Result<bool, WorkError> {
    let mut select = connection.prepare_cached("SELECT 1 FROM spaces WHERE id = ?1 AND pruned > ?2")?;
    Ok(select.exists([space, after.removals.cast_signed()])?)
}

/// The removals of a space after a sequence number, up to another.
pub(crate) fn deletions(
    connection: &Connection,
    space: i64,
    after: Position,
    end: i64,
) -> Result<Vec<Change>, WorkError> {
    let mut select = connection
        .prepare_cached("SELECT seq, uid FROM deletions WHERE space = ?1 AND seq > ?2 AND seq <= ?3")?;
    let rows = select.query_map(params![space, after.removals.cast_signed(), end], |row| {
        let sequence = row.get::<_, i64>(0)?.cast_unsigned();
        Ok(Change { sequence, id: id(row, 1)?, kind: ChangeKind::Removed })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How rows are read one by one: a query for the number of a row and its names (organization, project and session, which are
/// in other tables), and what it selects.
pub(crate) type ByRow<T> = (&'static str, fn(&Row<'_>) -> rusqlite::Result<T>);

/// A change by the number of its row.
pub(crate) const CHANGE_BY_ROW: ByRow<Change> = (
    "SELECT e.seq, e.uid, ?4, e.producer, e.produced_for, e.kind, e.created_at, e.vector, e.analysis, e.purpose
     FROM episodes e WHERE e.id = ?1",
    change,
);

/// An episode by the number of its row.
pub(crate) const EPISODE_BY_ROW: ByRow<Episode> =
    (select_episodes!("?2, ?3, ?4", "", "WHERE e.id = ?1"), episode);

/// The same with the names from their tables.
pub(crate) const EPISODE_WITH_NAMES: ByRow<Episode> = (select_episodes!("WHERE e.id = ?1"), episode);

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let session: Option<String> = row.get(2)?;
    let kind = match session {
        None => ChangeKind::Removed,
        Some(session) => ChangeKind::Put(Box::new(IndexRow {
            session,
            producer: row.get(3)?,
            produced_for: row.get(4)?,
            kind: row.get(5)?,
            created_at: row.get(6)?,
            vector: row.get_ref(7)?.as_blob_or_null()?.map(vectors::decode),
            analysis: row.get(8)?,
            purpose: purpose(row, 9)?,
        })),
    };
    Ok(Change { sequence: row.get::<_, i64>(0)?.cast_unsigned(), id: id(row, 1)?, kind })
}

fn episode(row: &Row<'_>) -> rusqlite::Result<Episode> {
    let metadata: String = row.get(9)?;
    Ok(Episode {
        id: id(row, 0)?,
        space: Space { org: row.get(1)?, project: row.get(2)? },
        session: row.get(3)?,
        content: row.get(4)?,
        producer: row.get(5)?,
        produced_for: row.get(6)?,
        role: row.get(7)?,
        kind: row.get(8)?,
        metadata: serde_json::from_str(&metadata)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(9, Type::Text, e.into()))?,
        created_at: moment(row, 10)?,
        ingested_at: moment(row, 11)?,
        purpose: purpose(row, 12)?,
    })
}

fn purpose(row: &Row<'_>, column: usize) -> rusqlite::Result<Purpose> {
    let number = row.get(column)?;
    Purpose::numbered(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

pub(crate) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<EpisodeId> {
    Ok(EpisodeId::from_bytes(row.get(column)?))
}

pub(crate) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let micros: i64 = row.get(column)?;
    Timestamp::from_micros(micros).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, micros))
}

/// The episodes with these ids in this space, in the order asked for.
pub(crate) fn episodes(
    connection: &Connection,
    space: &Space,
    ids: &[EpisodeId],
) -> Result<Vec<Episode>, WorkError> {
    // Without it each query would lock the database for itself.
    let tx = connection.unchecked_transaction()?;
    let mut select =
        tx.prepare_cached(select_episodes!("WHERE e.uid = ?1 AND p.org = ?2 AND p.project = ?3"))?;
    let mut find = |id: &EpisodeId| {
        select.query_row(params![id.as_bytes(), space.org, space.project], episode).optional()
    };
    Ok(Gathered::from_rows(ids.iter().filter_map(|id| find(id).transpose()), Episode::size)?)
}

/// The newest episodes of a session, oldest first.
pub(crate) fn newest(
    connection: &Connection,
    space: &Space,
    session: &str,
    limit: usize,
) -> Result<Vec<Episode>, WorkError> {
    let Some(session) = find_session(connection, space, session)? else {
        return Ok(Vec::new());
    };
    let mut select = connection.prepare_cached(select_episodes!(
        "WHERE e.session = ?1 AND e.purpose <> 1 ORDER BY e.created_at DESC, e.uid DESC LIMIT ?2"
    ))?;
    let rows = select.query_map(params![session, limit as i64], episode)?;
    let mut found = Gathered::from_rows(rows, Episode::size)?;
    found.reverse();
    Ok(found)
}

/// A page of a space, or of one session in it, oldest first.
pub(crate) fn page(
    connection: &Connection,
    space: &Space,
    session: Option<&str>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<Episode>, WorkError> {
    let (created_at, uid) =
        after.map_or((i64::MIN, [0; 16]), |cursor| (cursor.created_at, *cursor.id.as_bytes()));
    let (sql, owner) = match session {
        None => (
            select_episodes!(
                "WHERE e.space = ?1 AND (e.created_at, e.uid) > (?2, ?3) ORDER BY e.created_at, e.uid LIMIT ?4"
            ),
            spaces::find(connection, space)?,
        ),
        Some(name) => (
            select_episodes!(
                "WHERE e.session = ?1 AND (e.created_at, e.uid) > (?2, ?3) ORDER BY e.created_at, e.uid LIMIT ?4"
            ),
            find_session(connection, space, name)?,
        ),
    };
    let Some(owner) = owner else { return Ok(Vec::new()) };
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map(params![owner, created_at, uid, limit as i64], episode)?;
    Ok(Gathered::from_rows(rows, Episode::size)?)
}

/// Some episodes that have no vector yet, oldest first.
pub(crate) fn without_vector(connection: &Connection, limit: usize) -> Result<Vec<Episode>, WorkError> {
    let mut select = connection.prepare_cached(select_episodes!(
        "WHERE e.vector IS NULL AND e.purpose = 0 ORDER BY e.id LIMIT ?1"
    ))?;
    let rows = select.query_map([limit as i64], episode)?;
    Ok(Gathered::from_rows(rows, Episode::size)?)
}

pub(crate) fn find_session(
    connection: &Connection,
    space: &Space,
    name: &str,
) -> Result<Option<i64>, WorkError> {
    Ok(connection
        .prepare_cached(
            "SELECT s.id FROM sessions s JOIN spaces p ON p.id = s.space
             WHERE p.org = ?1 AND p.project = ?2 AND s.name = ?3",
        )?
        .query_row(params![space.org, space.project, name], |row| row.get(0))
        .optional()?)
}

/// One session with the first of its members.
pub(crate) fn session(
    connection: &Connection,
    space: &Space,
    name: &str,
    most_members: usize,
) -> Result<Option<Session>, WorkError> {
    let Some(id) = find_session(connection, space, name)? else {
        return Ok(None);
    };
    let mut members = Vec::new();
    first_members(connection, id, most_members, |member| members.push(member))?;
    Ok(Some(Session { space: space.clone(), name: name.to_owned(), members }))
}

/// Those members of a session that have one of these names.
pub(crate) fn members(
    connection: &Connection,
    space: &Space,
    session: &str,
    names: &[String],
) -> Result<Vec<Member>, WorkError> {
    let Some(id) = find_session(connection, space, session)? else {
        return Ok(Vec::new());
    };
    let mut select = connection
        .prepare_cached("SELECT role, name FROM members WHERE session = ?1 AND role = ?2 AND name = ?3")?;
    let mut found = Vec::new();
    for name in names {
        for role in [USER, AGENT] {
            found.extend(select.query_row(params![id, role, name], member).optional()?);
        }
    }
    Ok(found)
}

/// A page of sessions in the order they were first seen.
pub(crate) fn sessions(
    connection: &Connection,
    of: &SessionsOf,
    after: Option<SessionCursor>,
    limit: usize,
) -> Result<SessionPage, WorkError> {
    const ALL: &str = "SELECT s.id, p.org, p.project, s.name FROM sessions s JOIN spaces p ON p.id = s.space
                       WHERE ?1 IS NULL AND ?2 IS NULL AND p.deleting_org IS NULL AND s.id > ?3
                       ORDER BY s.id LIMIT ?4";
    // Only numbers are sorted, not the names that belong to them.
    const OF_SPACE: &str = "SELECT s.id, p.org, p.project, s.name FROM sessions s JOIN spaces p ON p.id = s.space
                            WHERE s.id IN (SELECT t.id FROM sessions t JOIN spaces q ON q.id = t.space
                                           WHERE q.org = ?1 AND q.project = ?2 AND t.id > ?3 ORDER BY t.id LIMIT ?4)
                            ORDER BY s.id";
    const OF_MEMBER: &str = "SELECT s.id, p.org, p.project, s.name
                             FROM members m JOIN sessions s ON s.id = m.session JOIN spaces p ON p.id = s.space
                             WHERE m.name = ?1 AND m.role = CAST(?2 AS INTEGER) AND p.deleting_org IS NULL
                               AND m.session > ?3
                             ORDER BY m.session LIMIT ?4";
    let (sql, first, second) = match of {
        SessionsOf::Everyone => (ALL, None, None),
        SessionsOf::Space(space) => (OF_SPACE, Some(&space.org), Some(space.project.as_str())),
        SessionsOf::User(name) => (OF_MEMBER, Some(name), Some("0")),
        SessionsOf::Agent(name) => (OF_MEMBER, Some(name), Some("1")),
    };
    let mut select = connection.prepare_cached(sql)?;
    let after = after.map_or(0, |after| after.0);
    let mut found = select.query(params![first, second, after, limit.saturating_add(1) as i64])?;
    let mut rows = SessionRows::new(limit);
    while let Some(row) = found.next()? {
        let (id, space) = (row.get(0)?, Space { org: row.get(1)?, project: row.get(2)? });
        if !rows.add(SessionCursor(id), space, row.get(3)?) {
            break;
        }
        // A query for each session costs no way to a server, and reads no more members than are shown.
        first_members(connection, id, LISTED_MEMBERS + 1, |member| rows.add_member(member))?;
    }
    Ok(rows.into_page())
}

/// The roles of members.
pub(crate) const USER: i64 = 0;
pub(crate) const AGENT: i64 = 1;

pub(crate) fn first_members(
    connection: &Connection,
    session: i64,
    most: usize,
    mut each: impl FnMut(Member),
) -> Result<(), WorkError> {
    let mut select = connection
        .prepare_cached("SELECT role, name FROM members WHERE session = ?1 ORDER BY role, name LIMIT ?2")?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    for found in select.query_map(params![session, most], member)? {
        each(found?);
    }
    Ok(())
}

fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    let name = row.get(1)?;
    Ok(if row.get::<_, i64>(0)? == USER { Member::User(name) } else { Member::Agent(name) })
}

/// How much is stored.
pub(crate) fn counts(connection: &Connection) -> Result<Counts, WorkError> {
    let counts = connection.query_row(
        "SELECT (SELECT count(*) FROM spaces), (SELECT count(*) FROM sessions), (SELECT count(*) FROM episodes),
                (SELECT count(*) FROM episodes WHERE vector IS NULL AND purpose = 0)",
        [],
        |row| {
            let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(Counts { spaces: count(0)?, sessions: count(1)?, episodes: count(2)?, without_vector: count(3)? })
        },
    )?;
    Ok(counts)
}
