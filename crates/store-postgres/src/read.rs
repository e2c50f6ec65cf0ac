use std::pin::pin;

use deadpool_postgres::Object;
use futures_util::TryStreamExt;
use memcloud_domain::{Episode, EpisodeId, Error, Metadata, Purpose, Space, Timestamp};
use memcloud_ports::{Counts, Cursor, Damage, DamagedRow};
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

/// What every read of whole episodes selects, in the order that [`episode`] expects. `$1` leaves out rows that are known to
/// be damaged.
macro_rules! select_episodes {
    ($rest:literal) => {
        concat!(
            "SELECT e.uid, p.org, p.project, t.name, e.content, e.producer, e.produced_for, e.role, e.kind, ",
            "e.metadata, e.created_at, e.ingested_at, e.purpose FROM memcloud.episodes e ",
            "JOIN memcloud.sessions t ON t.id = e.session JOIN memcloud.spaces p ON p.id = e.space AND e.uid <> ALL ($1) ",
            $rest
        )
    };
}

fn episode(row: &Row) -> Option<Episode> {
    Some(Episode {
        id: id(row.get(0)),
        space: Space { org: row.get(1), project: row.get(2) },
        session: row.get(3),
        content: row.get(4),
        producer: row.get(5),
        produced_for: row.get(6),
        role: row.get(7),
        kind: row.get(8),
        metadata: row.try_get::<_, Json<Metadata>>(9).ok()?.0,
        created_at: Timestamp::from_micros(row.get(10))?,
        ingested_at: Timestamp::from_micros(row.get(11))?,
        purpose: purpose(row, 12)?,
    })
}

pub(crate) fn purpose(row: &Row, column: usize) -> Option<Purpose> {
    Purpose::numbered(row.get::<_, i16>(column).into())
}

pub(crate) fn moment(row: &Row, column: usize) -> Result<Timestamp, WorkError> {
    let micros: i64 = row.get(column);
    Timestamp::from_micros(micros).ok_or_else(|| {
        Error::StorageDamaged { what: format!("{micros} microseconds are not a valid time") }.into()
    })
}

/// The episodes with these ids in this space, in the order asked for.
pub(crate) async fn episodes(
    client: Object,
    damage: &Damage<EpisodeId>,
    space: &Space,
    ids: &[EpisodeId],
) -> Result<Vec<Episode>, WorkError> {
    let select = select_episodes!(
        "JOIN unnest($4::uuid[]) WITH ORDINALITY AS wanted (uid, place) ON wanted.uid = e.uid
         WHERE p.org = $2 AND p.project = $3 ORDER BY wanted.place"
    );
    let uids: Vec<Uuid> = ids.iter().map(uuid).collect();
    client.gathered(select, damage, &[&space.org, &space.project, &uids], episode, Episode::size).await
}

/// The newest episodes of a session, oldest first.
pub(crate) async fn newest(
    client: Object,
    damage: &Damage<EpisodeId>,
    space: &Space,
    session: &str,
    limit: usize,
) -> Result<Vec<Episode>, WorkError> {
    let select = select_episodes!(
        "WHERE e.session = (SELECT s.id FROM memcloud.sessions s JOIN memcloud.spaces h ON h.id = s.space
                            WHERE h.org = $2 AND h.project = $3 AND s.name = $4)
           AND e.purpose <> 1
         ORDER BY e.created_at DESC, e.uid DESC LIMIT $5"
    );
    let (org, project, limit) = (&space.org, &space.project, limited(limit));
    let mut newest =
        client.gathered(select, damage, &[org, project, &session, &limit], episode, Episode::size).await?;
    newest.reverse();
    Ok(newest)
}

/// A page of a space, or of one session in it, oldest first.
pub(crate) async fn page(
    client: Object,
    damage: &Damage<EpisodeId>,
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
                "WHERE e.space = (SELECT id FROM memcloud.spaces WHERE org = $2 AND project = $3)
                   AND (e.created_at, e.uid) > ($4, $5)
                 ORDER BY e.created_at, e.uid LIMIT $6"
            );
            let values: [&(dyn ToSql + Sync); 5] = [org, project, &created_at, &uid, &limit];
            client.gathered(select, damage, &values, episode, Episode::size).await
        }
        Some(name) => {
            let select = select_episodes!(
                "WHERE e.session = (SELECT s.id FROM memcloud.sessions s JOIN memcloud.spaces h ON h.id = s.space
                                    WHERE h.org = $2 AND h.project = $3 AND s.name = $7)
                   AND (e.created_at, e.uid) > ($4, $5)
                 ORDER BY e.created_at, e.uid LIMIT $6"
            );
            let values: [&(dyn ToSql + Sync); 6] = [org, project, &created_at, &uid, &limit, &name];
            client.gathered(select, damage, &values, episode, Episode::size).await
        }
    }
}

/// Some episodes that have no vector yet, oldest first.
pub(crate) async fn without_vector(
    client: Object,
    damage: &Damage<EpisodeId>,
    limit: usize,
) -> Result<Vec<Episode>, WorkError> {
    let select =
        select_episodes!("WHERE e.vector IS NULL AND e.purpose = 0 ORDER BY e.ingested_at, e.uid LIMIT $2");
    client.gathered(select, damage, &[&limited(limit)], episode, Episode::size).await
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

/// Notes the episodes that cannot be read, of all. Reads each, which may take long.
pub(crate) async fn note_unreadable(client: &Object, damage: &Damage<EpisodeId>) -> Result<(), WorkError> {
    let mut rows = pin!(client.stream(select_episodes!(""), &[&Vec::<Uuid>::new()]).await?);
    while let Some(row) = rows.try_next().await? {
        if episode(&row).is_none() {
            damage.note_row(DamagedRow::Episode(id(row.get(0))));
        }
    }
    Ok(())
}

/// Forgets the rows that do not exist any more.
pub(crate) async fn forget_gone(client: &Object, damage: &Damage<EpisodeId>) -> Result<(), WorkError> {
    let select = "SELECT (SELECT array_agg(uid) FROM memcloud.episodes WHERE uid = ANY ($1)),
                         (SELECT array_agg(id) FROM memcloud.facts WHERE id = ANY ($2)),
                         (SELECT array_agg(id) FROM memcloud.api_keys WHERE id = ANY ($3))";
    let (mut episodes, mut facts, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for row in damage.rows() {
        match row {
            DamagedRow::Episode(id) => episodes.push(uuid(&id)),
            DamagedRow::Fact(id) => facts.push(id.number()),
            DamagedRow::Key(id) => keys.push(id),
        }
    }
    if episodes.is_empty() && facts.is_empty() && keys.is_empty() {
        return Ok(());
    }
    let row = client.row(select, &[&episodes, &facts, &keys]).await?;
    let (episodes, facts, keys): (Vec<Uuid>, Vec<i64>, Vec<String>) = (
        row.get::<_, Option<_>>(0).unwrap_or_default(),
        row.get::<_, Option<_>>(1).unwrap_or_default(),
        row.get::<_, Option<_>>(2).unwrap_or_default(),
    );
    damage.forget(|row| match row {
        DamagedRow::Episode(id) => !episodes.contains(&uuid(id)),
        DamagedRow::Fact(id) => !facts.contains(&id.number()),
        DamagedRow::Key(id) => !keys.contains(id),
    });
    Ok(())
}
