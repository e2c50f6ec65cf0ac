use std::collections::HashMap;

use deadpool_postgres::Object;
use half::f16;
use memcloud_domain::{Episode, EpisodeId, Error, Member, Metadata, Purpose, Session, Space, Timestamp};
use memcloud_ports::{Change, ChangeKind, Counts, Cursor, IndexRow, Sequence, SessionsOf};
use pgvector::HalfVector;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::error::WorkError;
use crate::{id, uuid};

/// The newest sequence number of a space, 0 when it is unknown.
pub(crate) async fn head(client: Object, space: &Space) -> Result<Sequence, WorkError> {
    let select =
        client.prepare_cached("SELECT head FROM memcloud.spaces WHERE org = $1 AND project = $2").await?;
    let row = client.query_opt(&select, &[&space.org, &space.project]).await?;
    Ok(row.map_or(0, |row| row.get::<_, i64>(0).cast_unsigned()))
}

/// The changes of a space after a sequence number, oldest first.
pub(crate) async fn changes(
    client: Object,
    space: &Space,
    after: Sequence,
    limit: usize,
) -> Result<Vec<Change>, WorkError> {
    let select = client
        .prepare_cached(
            "WITH here AS (SELECT id FROM memcloud.spaces WHERE org = $1 AND project = $2)
             (SELECT e.seq, e.uid, t.name, e.producer, e.produced_for, e.kind, e.created_at, e.vector, e.analysis,
                     e.purpose
              FROM memcloud.episodes e JOIN memcloud.sessions t ON t.id = e.session
              WHERE e.space = (SELECT id FROM here) AND e.seq > $3
              ORDER BY e.seq LIMIT $4)
             UNION ALL
             (SELECT d.seq, d.uid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
              FROM memcloud.deletions d WHERE d.space = (SELECT id FROM here) AND d.seq > $3
              ORDER BY d.seq LIMIT $4)
             ORDER BY 1 LIMIT $4",
        )
        .await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = client.query(&select, &[&space.org, &space.project, &after.cast_signed(), &limit]).await?;
    rows.iter().map(change).collect()
}

fn change(row: &Row) -> Result<Change, WorkError> {
    let kind = match row.get::<_, Option<String>>(2) {
        None => ChangeKind::Removed,
        Some(session) => ChangeKind::Put(Box::new(IndexRow {
            session,
            producer: row.get(3),
            produced_for: row.get(4),
            kind: row.get(5),
            created_at: row.get(6),
            vector: row.get::<_, Option<HalfVector>>(7).map(Vec::<f16>::from),
            analysis: row.get(8),
            purpose: purpose(row.get(9))?,
        })),
    };
    Ok(Change { sequence: row.get::<_, i64>(0).cast_unsigned(), id: id(row.get(1)), kind })
}

/// What every read of whole episodes selects, in the order that [`episode`] expects.
macro_rules! select_episodes {
    ($rest:literal) => {
        concat!(
            "SELECT e.uid, p.org, p.project, t.name, e.content, e.producer, e.produced_for, e.role, e.kind, ",
            "e.metadata, e.created_at, e.ingested_at, e.purpose FROM memcloud.episodes e ",
            "JOIN memcloud.sessions t ON t.id = e.session JOIN memcloud.spaces p ON p.id = e.space ",
            $rest
        )
    };
}

fn episode(row: &Row) -> Result<Episode, WorkError> {
    Ok(Episode {
        id: id(row.get(0)),
        space: Space { org: row.get(1), project: row.get(2) },
        session: row.get(3),
        content: row.get(4),
        producer: row.get(5),
        produced_for: row.get(6),
        role: row.get(7),
        kind: row.get(8),
        metadata: row.try_get::<_, Json<Metadata>>(9)?.0,
        created_at: moment(row, 10)?,
        ingested_at: moment(row, 11)?,
        purpose: purpose(row.get(12))?,
    })
}

fn purpose(number: i16) -> Result<Purpose, WorkError> {
    match number {
        0 => Ok(Purpose::Recall),
        1 => Ok(Purpose::ProfileOnly),
        2 => Ok(Purpose::Transcript),
        _ => {
            let source = format!("{number} is no purpose").into();
            Err(Error::Storage { doing: "reading an episode", source }.into())
        }
    }
}

pub(crate) fn moment(row: &Row, column: usize) -> Result<Timestamp, WorkError> {
    let micros: i64 = row.get(column);
    Timestamp::from_micros(micros).ok_or_else(|| {
        let source = format!("{micros} microseconds are no moment").into();
        Error::Storage { doing: "reading a time", source }.into()
    })
}

/// The episodes with these ids in this space, in the order asked for.
pub(crate) async fn episodes(
    client: Object,
    space: &Space,
    ids: &[EpisodeId],
) -> Result<Vec<Episode>, WorkError> {
    let select = client
        .prepare_cached(select_episodes!("WHERE e.uid = ANY($3) AND p.org = $1 AND p.project = $2"))
        .await?;
    let uids: Vec<Uuid> = ids.iter().map(uuid).collect();
    let rows = client.query(&select, &[&space.org, &space.project, &uids]).await?;
    let found: Vec<Episode> = rows.iter().map(episode).collect::<Result<_, _>>()?;
    let mut found: HashMap<EpisodeId, Episode> = found.into_iter().map(|e| (e.id, e)).collect();
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// The newest episodes of a session, oldest first.
pub(crate) async fn newest(
    client: Object,
    space: &Space,
    session: &str,
    limit: usize,
) -> Result<Vec<Episode>, WorkError> {
    let select = client
        .prepare_cached(select_episodes!(
            "WHERE e.session = (SELECT s.id FROM memcloud.sessions s JOIN memcloud.spaces h ON h.id = s.space
                                WHERE h.org = $1 AND h.project = $2 AND s.name = $3)
               AND e.purpose <> 1
             ORDER BY e.created_at DESC, e.uid DESC LIMIT $4"
        ))
        .await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = client.query(&select, &[&space.org, &space.project, &session, &limit]).await?;
    rows.iter().rev().map(episode).collect()
}

/// A page of a space, or of one session in it, oldest first.
pub(crate) async fn page(
    client: Object,
    space: &Space,
    session: Option<&str>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<Episode>, WorkError> {
    let (created_at, uid) =
        after.map_or((i64::MIN, Uuid::nil()), |cursor| (cursor.created_at, uuid(&cursor.id)));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (org, project) = (&space.org, &space.project);
    let rows = match session {
        None => {
            let select = client
                .prepare_cached(select_episodes!(
                    "WHERE e.space = (SELECT id FROM memcloud.spaces WHERE org = $1 AND project = $2)
                       AND (e.created_at, e.uid) > ($3, $4)
                     ORDER BY e.created_at, e.uid LIMIT $5"
                ))
                .await?;
            client.query(&select, &[org, project, &created_at, &uid, &limit]).await?
        }
        Some(name) => {
            let select = client
                .prepare_cached(select_episodes!(
                    "WHERE e.session = (SELECT s.id FROM memcloud.sessions s JOIN memcloud.spaces h ON h.id = s.space
                                        WHERE h.org = $1 AND h.project = $2 AND s.name = $6)
                       AND (e.created_at, e.uid) > ($3, $4)
                     ORDER BY e.created_at, e.uid LIMIT $5"
                ))
                .await?;
            client.query(&select, &[org, project, &created_at, &uid, &limit, &name]).await?
        }
    };
    rows.iter().map(episode).collect()
}

/// Some episodes that have no vector yet, oldest first.
pub(crate) async fn without_vector(client: Object, limit: usize) -> Result<Vec<Episode>, WorkError> {
    let select = client
        .prepare_cached(select_episodes!(
            "WHERE e.vector IS NULL AND e.purpose = 0 ORDER BY e.ingested_at, e.uid LIMIT $1"
        ))
        .await?;
    let rows = client.query(&select, &[&i64::try_from(limit).unwrap_or(i64::MAX)]).await?;
    rows.iter().map(episode).collect()
}

/// What every read of sessions selects: a row for each member, or one without for a session that has none.
macro_rules! select_sessions {
    ($rest:literal) => {
        concat!(
            "SELECT t.id, p.org, p.project, t.name, m.role, m.name FROM memcloud.sessions t ",
            "JOIN memcloud.spaces p ON p.id = t.space LEFT JOIN memcloud.members m ON m.session = t.id ",
            $rest,
            " ORDER BY t.id, m.role, m.name"
        )
    };
}

/// One session with its members.
pub(crate) async fn session(client: Object, space: &Space, name: &str) -> Result<Option<Session>, WorkError> {
    let select = client
        .prepare_cached(select_sessions!("WHERE p.org = $1 AND p.project = $2 AND t.name = $3"))
        .await?;
    let rows = client.query(&select, &[&space.org, &space.project, &name]).await?;
    Ok(gathered(&rows).pop())
}

/// Sessions in the order they were first seen.
pub(crate) async fn sessions(client: Object, of: &SessionsOf) -> Result<Vec<Session>, WorkError> {
    let rows = match of {
        SessionsOf::Everyone => {
            let select = client.prepare_cached(select_sessions!("WHERE p.deleting_org IS NULL")).await?;
            client.query(&select, &[]).await?
        }
        SessionsOf::Space(space) => {
            let select =
                client.prepare_cached(select_sessions!("WHERE p.org = $1 AND p.project = $2")).await?;
            client.query(&select, &[&space.org, &space.project]).await?
        }
        SessionsOf::User(name) => of_member(&client, 0, name).await?,
        SessionsOf::Agent(name) => of_member(&client, 1, name).await?,
    };
    Ok(gathered(&rows))
}

async fn of_member(client: &Object, role: i16, name: &str) -> Result<Vec<Row>, WorkError> {
    let select = client
        .prepare_cached(select_sessions!(
            "WHERE p.deleting_org IS NULL
               AND t.id IN (SELECT session FROM memcloud.members WHERE name = $1 AND role = $2)"
        ))
        .await?;
    Ok(client.query(&select, &[&name, &role]).await?)
}

/// Sessions out of their rows, which come one after the other.
fn gathered(rows: &[Row]) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    let mut last = None;
    for row in rows {
        let number: i64 = row.get(0);
        if last != Some(number) {
            last = Some(number);
            let space = Space { org: row.get(1), project: row.get(2) };
            sessions.push(Session { space, name: row.get(3), members: Vec::new() });
        }
        let member = match (row.get::<_, Option<i16>>(4), row.get::<_, Option<String>>(5)) {
            (Some(0), Some(name)) => Member::User(name),
            (Some(_), Some(name)) => Member::Agent(name),
            _ => continue,
        };
        if let Some(session) = sessions.last_mut() {
            session.members.push(member);
        }
    }
    sessions
}

/// The vector space that the store is tied to.
pub(crate) async fn vector_space(client: Object) -> Result<Option<String>, WorkError> {
    let row = client.query_opt("SELECT value FROM memcloud.meta WHERE name = 'vector_space'", &[]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// How much is stored.
pub(crate) async fn counts(client: Object) -> Result<Counts, WorkError> {
    let select = client
        .prepare_cached(
            "SELECT (SELECT count(*) FROM memcloud.spaces), (SELECT count(*) FROM memcloud.sessions),
                    (SELECT count(*) FROM memcloud.episodes),
                    (SELECT count(*) FROM memcloud.episodes WHERE vector IS NULL AND purpose = 0)",
        )
        .await?;
    let row = client.query_one(&select, &[]).await?;
    let count = |column: usize| row.get::<_, i64>(column).cast_unsigned();
    Ok(Counts { spaces: count(0), sessions: count(1), episodes: count(2), without_vector: count(3) })
}
