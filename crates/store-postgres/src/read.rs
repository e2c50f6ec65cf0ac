use deadpool_postgres::Object;
use memcloud_domain::{Episode, EpisodeId, Error, Metadata, Purpose, Space, Timestamp};
use memcloud_ports::{Counts, Cursor};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use crate::error::WorkError;
use crate::query::Query;
use crate::{id, uuid};

/// A limit, as the database takes it.
pub(crate) fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
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
        purpose: purpose(row, 12)?,
    })
}

pub(crate) fn purpose(row: &Row, column: usize) -> Result<Purpose, WorkError> {
    let number: i16 = row.get(column);
    Purpose::numbered(number.into()).ok_or_else(|| {
        let source = format!("{number} is not the number of a purpose").into();
        Error::Storage { doing: "reading an episode", source }.into()
    })
}

pub(crate) fn moment(row: &Row, column: usize) -> Result<Timestamp, WorkError> {
    let micros: i64 = row.get(column);
    Timestamp::from_micros(micros).ok_or_else(|| {
        let source = format!("{micros} microseconds are not a valid time").into();
        Error::Storage { doing: "reading a time", source }.into()
    })
}

/// The episodes with these ids in this space, in the order asked for.
pub(crate) async fn episodes(
    client: Object,
    space: &Space,
    ids: &[EpisodeId],
) -> Result<Vec<Episode>, WorkError> {
    let select = select_episodes!(
        "JOIN unnest($3::uuid[]) WITH ORDINALITY AS wanted (uid, place) ON wanted.uid = e.uid
         WHERE p.org = $1 AND p.project = $2 ORDER BY wanted.place"
    );
    let uids: Vec<Uuid> = ids.iter().map(uuid).collect();
    client.gathered(select, &[&space.org, &space.project, &uids], episode, Episode::size).await
}

/// The newest episodes of a session, oldest first.
pub(crate) async fn newest(
    client: Object,
    space: &Space,
    session: &str,
    limit: usize,
) -> Result<Vec<Episode>, WorkError> {
    let select = select_episodes!(
        "WHERE e.session = (SELECT s.id FROM memcloud.sessions s JOIN memcloud.spaces h ON h.id = s.space
                            WHERE h.org = $1 AND h.project = $2 AND s.name = $3)
           AND e.purpose <> 1
         ORDER BY e.created_at DESC, e.uid DESC LIMIT $4"
    );
    let (org, project, limit) = (&space.org, &space.project, limited(limit));
    let mut newest =
        client.gathered(select, &[org, project, &session, &limit], episode, Episode::size).await?;
    newest.reverse();
    Ok(newest)
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
    let limit = limited(limit);
    let (org, project) = (&space.org, &space.project);
    match session {
        None => {
            let select = select_episodes!(
                "WHERE e.space = (SELECT id FROM memcloud.spaces WHERE org = $1 AND project = $2)
                   AND (e.created_at, e.uid) > ($3, $4)
                 ORDER BY e.created_at, e.uid LIMIT $5"
            );
            let values: [&(dyn ToSql + Sync); 5] = [org, project, &created_at, &uid, &limit];
            client.gathered(select, &values, episode, Episode::size).await
        }
        Some(name) => {
            let select = select_episodes!(
                "WHERE e.session = (SELECT s.id FROM memcloud.sessions s JOIN memcloud.spaces h ON h.id = s.space
                                    WHERE h.org = $1 AND h.project = $2 AND s.name = $6)
                   AND (e.created_at, e.uid) > ($3, $4)
                 ORDER BY e.created_at, e.uid LIMIT $5"
            );
            let values: [&(dyn ToSql + Sync); 6] = [org, project, &created_at, &uid, &limit, &name];
            client.gathered(select, &values, episode, Episode::size).await
        }
    }
}

/// Some episodes that have no vector yet, oldest first.
pub(crate) async fn without_vector(client: Object, limit: usize) -> Result<Vec<Episode>, WorkError> {
    let select =
        select_episodes!("WHERE e.vector IS NULL AND e.purpose = 0 ORDER BY e.ingested_at, e.uid LIMIT $1");
    client.gathered(select, &[&limited(limit)], episode, Episode::size).await
}

/// How much is stored.
pub(crate) async fn counts(client: Object) -> Result<Counts, WorkError> {
    let select = "SELECT (SELECT count(*) FROM memcloud.spaces), (SELECT count(*) FROM memcloud.sessions),
                         (SELECT count(*) FROM memcloud.episodes),
                         (SELECT count(*) FROM memcloud.episodes WHERE vector IS NULL AND purpose = 0)";
    let row = client.row(select, &[]).await?;
    let count = |column: usize| row.get::<_, i64>(column).cast_unsigned();
    Ok(Counts { spaces: count(0), sessions: count(1), episodes: count(2), without_vector: count(3) })
}
