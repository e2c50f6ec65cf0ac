use async_trait::async_trait;
use deadpool_postgres::Object;
use half::f16;
use memcloud_domain::{EpisodeId, Error, Space};
use memcloud_ports::{Change, ChangeKind, History, IndexRow, Position, Sequence};
use pgvector::HalfVector;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::query::Query;
use crate::read::{limited, purpose};
use crate::{PostgresStore, id, uuid};

#[async_trait]
impl History for PostgresStore {
    async fn head(&self, space: &Space) -> Result<Sequence, Error> {
        let head = |client: Object| async move {
            let head = "SELECT head FROM memcloud.spaces WHERE org = $1 AND project = $2";
            let row = client.row_if_any(head, &[&space.org, &space.project]).await?;
            Ok(row.map_or(0, |row| row.get::<_, i64>(0).cast_unsigned()))
        };
        self.run_idempotent("reading a space's head", head).await
    }

    async fn changes(
        &self,
        space: &Space,
        after: Position,
        limit: usize,
    ) -> Result<Option<Vec<Change>>, Error> {
        let changes = |client: Object| async move {
            let (after, removals) = (after.changes.cast_signed(), after.removals.cast_signed());
            let (org, project) = (&space.org, &space.project);
            let values: [&(dyn ToSql + Sync); 5] = [org, project, &after, &limited(limit), &removals];
            let read = |row: &Row| Some((change(row)?, row.get::<_, bool>(10)));
            let size = |(change, _): &(Change, bool)| change.size();
            let rows = client.gathered(CHANGES, &self.damage, &values, read, size).await?;
            let is_pruned = match rows.first() {
                Some((_, is_pruned)) => *is_pruned,
                None => client.row_if_any(PRUNED, &[org, project, &removals]).await?.is_some(),
            };
            Ok((!is_pruned).then(|| rows.into_iter().map(|(change, _)| change).collect()))
        };
        self.run_idempotent("reading changes", changes).await
    }

    async fn set_analyses(&self, analyses: Vec<(EpisodeId, Vec<u8>)>) -> Result<(), Error> {
        let (uids, analyses): (Vec<Uuid>, Vec<Vec<u8>>) =
            analyses.into_iter().map(|(episode, analysis)| (uuid(&episode), analysis)).unzip();
        let (uids, analyses) = (&uids, &analyses);
        let set = |client: Object| async move {
            let set = "UPDATE memcloud.episodes e SET analysis = g.analysis
                       FROM unnest($1::uuid[], $2::bytea[]) AS g (uid, analysis) WHERE e.uid = g.uid";
            client.run(set, &[uids, analyses]).await?;
            Ok(())
        };
        self.run_idempotent("storing analyses", set).await
    }
}

const PRUNED: &str = "SELECT 1 FROM memcloud.spaces WHERE org = $1 AND project = $2 AND pruned > $3";

const CHANGES: &str = "WITH here AS (SELECT id, pruned > $6 AS is_pruned FROM memcloud.spaces
                                     WHERE org = $2 AND project = $3)
    (SELECT e.seq, e.uid, t.name, e.producer, e.produced_for, e.kind, e.created_at, e.vector, e.analysis, e.purpose,
            (SELECT is_pruned FROM here)
     FROM memcloud.episodes e JOIN memcloud.sessions t ON t.id = e.session
     WHERE e.space = (SELECT id FROM here) AND e.seq > $4 AND e.uid <> ALL ($1)
     ORDER BY e.seq LIMIT $5)
    UNION ALL
    (SELECT d.seq, d.uid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, (SELECT is_pruned FROM here)
     FROM memcloud.deletions d WHERE d.space = (SELECT id FROM here) AND d.seq > $6
     ORDER BY d.seq LIMIT $5)
    ORDER BY 1 LIMIT $5";

fn change(row: &Row) -> Option<Change> {
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
            purpose: purpose(row, 9)?,
        })),
    };
    Some(Change { sequence: row.get::<_, i64>(0).cast_unsigned(), id: id(row.get(1)), kind })
}
