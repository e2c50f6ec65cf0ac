use deadpool_postgres::Object;
use half::f16;
use memcloud_domain::EpisodeId;
use pgvector::HalfVector;
use uuid::Uuid;

use crate::error::WorkError;
use crate::query::Query;
use crate::{id, uuid};

/// The vectors of those of these episodes that have one.
pub(crate) async fn of(client: Object, ids: &[EpisodeId]) -> Result<Vec<(EpisodeId, Vec<f16>)>, WorkError> {
    let uids: Vec<Uuid> = ids.iter().map(uuid).collect();
    let select = "SELECT uid, vector FROM memcloud.episodes WHERE uid = ANY($1) AND vector IS NOT NULL";
    let rows = client.rows(select, &[&uids]).await?;
    Ok(rows.iter().map(|row| (id(row.get(0)), row.get::<_, HalfVector>(1).into())).collect())
}

/// Gives episodes their vectors, each as a change of its own, so that indexes take it up.
pub(crate) async fn set(client: Object, vectors: &[(EpisodeId, Vec<f16>)]) -> Result<(), WorkError> {
    let uids: Vec<Uuid> = vectors.iter().map(|(episode, _)| uuid(episode)).collect();
    let vectors: Vec<HalfVector> = vectors.iter().map(|(_, vector)| vector.clone().into()).collect();
    client.run(SET, &[&uids, &vectors]).await?;
    Ok(())
}

const SET: &str = "WITH known AS (
         SELECT g.uid, g.vector, e.space, row_number() OVER (PARTITION BY e.space ORDER BY g.place) AS place
         FROM unnest($1::uuid[], $2::halfvec[]) WITH ORDINALITY AS g (uid, vector, place)
         JOIN memcloud.episodes e ON e.uid = g.uid
     ),
     wanted AS (SELECT space, count(*) AS count FROM known GROUP BY space),
     -- In one order, so that two of these do not wait for each other.
     locked AS (SELECT id FROM memcloud.spaces WHERE id IN (SELECT space FROM wanted) ORDER BY id FOR NO KEY UPDATE),
     advanced AS (
         UPDATE memcloud.spaces s SET head = s.head + w.count
         FROM wanted w JOIN locked l ON l.id = w.space WHERE s.id = w.space
         RETURNING s.id, s.head - w.count AS before
     )
     UPDATE memcloud.episodes e SET vector = k.vector, seq = a.before + k.place
     FROM known k JOIN advanced a ON a.id = k.space WHERE e.uid = k.uid";
