//! Spaces: see [`SpaceStore`].

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Object};
use memcloud_domain::{Error, Space, SpaceChanges, SpaceCounts, SpaceInfo, SpaceState, Timestamp};
use memcloud_ports::{LIFE_BITS, SpaceStore};
use tokio_postgres::Row;

use crate::PostgresStore;
use crate::error::WorkError;
use crate::query::Query;
use crate::read::limited;

#[async_trait]
impl SpaceStore for PostgresStore {
    async fn spaces(&self, after: Option<&Space>, limit: usize) -> Result<Vec<SpaceInfo>, Error> {
        let list = |client: Object| async move {
            let (org, project) = after.map_or(("", ""), |after| (&after.org, &after.project));
            Ok(client.rows(LIST, &[&org, &project, &limited(limit)]).await?.iter().map(info).collect())
        };
        self.run_idempotent("reading spaces", list).await
    }

    async fn describe_space(&self, space: &Space) -> Result<Option<(SpaceInfo, SpaceCounts)>, Error> {
        let describe = |client: Object| async move {
            let row = client.row_if_any(DESCRIBE, &[&space.org, &space.project]).await?;
            Ok(row.map(|row| (info(&row), counts(&row))))
        };
        self.run_idempotent("reading a space", describe).await
    }

    async fn configure_space(&self, space: &Space, changes: SpaceChanges) -> Result<bool, Error> {
        let SpaceChanges { description, learns } = &changes;
        let configure = |client: Object| async move {
            Ok(client.run(CONFIGURE, &[&space.org, &space.project, description, learns]).await? == 1)
        };
        self.run_idempotent("configuring a space", configure).await
    }

    async fn put_space(&self, space: &SpaceInfo) -> Result<(), Error> {
        self.run_idempotent("keeping a space", |client| put(client, space)).await
    }

    async fn begin_space_deletion(&self, space: &Space) -> Result<bool, Error> {
        self.run_idempotent("deleting a space", |client| begin_deletion(client, space)).await
    }

    async fn hidden_spaces(&self) -> Result<Vec<Space>, Error> {
        let hidden = |client: Object| async move {
            let select =
                "SELECT org, project FROM memcloud.spaces WHERE deleting_org IS NOT NULL ORDER BY id";
            let rows = client.rows(select, &[]).await?;
            Ok(rows.iter().map(|row| Space { org: row.get(0), project: row.get(1) }).collect())
        };
        self.run_idempotent("reading spaces", hidden).await
    }

    async fn remove_space(&self, hidden: &Space) -> Result<(), Error> {
        self.run_idempotent("removing a space", |client| remove(client, hidden)).await
    }
}

// Existing rows are excluded first, because an insert that does nothing still takes a number from the sequence.
// Nothing is inserted while a space of this name is being deleted.
pub(crate) const MAKE: &str = "INSERT INTO memcloud.spaces (org, project, head, created_at)
    SELECT $1, $2, coalesce((SELECT value::bigint FROM memcloud.meta WHERE name = 'lives'), 0) << $3::integer,
           (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    WHERE NOT EXISTS (SELECT 1 FROM memcloud.spaces
                      WHERE (org = $1 AND project = $2) OR (deleting_org = $1 AND deleting_project = $2))
    ON CONFLICT DO NOTHING";

const LIST: &str = "SELECT * FROM (
        SELECT coalesce(deleting_org, org) AS org, coalesce(deleting_project, project) AS project, created_at,
               description, learns, deleting_org IS NOT NULL
        FROM memcloud.spaces) AS s
    WHERE (org, project) > ($1, $2) ORDER BY org, project LIMIT $3";

const DESCRIBE: &str = "SELECT $1::text, $2::text, created_at, description, learns, deleting_org IS NOT NULL,
           (SELECT count(*) FROM memcloud.sessions t WHERE t.space = s.id),
           (SELECT count(*) FROM memcloud.episodes e WHERE e.space = s.id),
           (SELECT count(*) FROM memcloud.facts f JOIN memcloud.targets t ON t.id = f.target
            JOIN memcloud.fact_sets b ON b.id = t.fact_set WHERE b.space = s.id)
    FROM memcloud.spaces s
    WHERE (org = $1 AND project = $2) OR (deleting_org = $1 AND deleting_project = $2)";

const CONFIGURE: &str = "UPDATE memcloud.spaces
    SET description = coalesce($3, description), learns = coalesce($4, learns)
    WHERE org = $1 AND project = $2";

fn info(row: &Row) -> SpaceInfo {
    SpaceInfo {
        space: Space { org: row.get(0), project: row.get(1) },
        created_at: row.get::<_, Option<i64>>(2).and_then(Timestamp::from_micros),
        description: row.get(3),
        learns: row.get(4),
        state: if row.get(5) { SpaceState::Deleting } else { SpaceState::Active },
    }
}

/// What an active space holds. One that is being deleted holds nothing.
fn counts(row: &Row) -> SpaceCounts {
    let count = |column| row.get::<_, i64>(column).cast_unsigned();
    if row.get(5) {
        return SpaceCounts::default();
    }
    SpaceCounts { sessions: count(6), episodes: count(7), facts: count(8) }
}

/// Whether a space is being deleted.
pub(crate) async fn is_being_deleted(client: &impl GenericClient, space: &Space) -> Result<bool, WorkError> {
    let select = "SELECT 1 FROM memcloud.spaces WHERE deleting_org = $1 AND deleting_project = $2";
    Ok(client.row_if_any(select, &[&space.org, &space.project]).await?.is_some())
}

async fn put(mut client: Object, info: &SpaceInfo) -> Result<(), WorkError> {
    let (Space { org, project }, tx) = (&info.space, client.transaction().await?);
    tx.execute(MAKE, &[org, project, &(LIFE_BITS as i32)]).await?;
    let update =
        "UPDATE memcloud.spaces SET created_at = least(created_at, $3), description = $4, learns = $5
                  WHERE org = $1 AND project = $2";
    let created_at = info.created_at.map(Timestamp::as_micros);
    if tx.execute(update, &[org, project, &created_at, &info.description, &info.learns]).await? == 0 {
        return Err(Error::SpaceDeleting(info.space.clone()).into());
    }
    tx.commit().await?;
    Ok(())
}

async fn begin_deletion(mut client: Object, space: &Space) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    let hide = "UPDATE memcloud.spaces SET deleting_org = org, deleting_project = project, description = '', org = '',
                                           project = replace(gen_random_uuid()::text, '-', '')
                WHERE org = $1 AND project = $2 RETURNING id";
    let Some(row) = tx.query_opt(hide, &[&space.org, &space.project]).await? else {
        return is_being_deleted(&tx, space).await;
    };
    let id: i64 = row.get(0);
    let forget =
        "DELETE FROM memcloud.queue q USING memcloud.episodes e WHERE e.uid = q.uid AND e.space = $1";
    tx.execute(forget, &[&id]).await?;
    tx.commit().await?;
    Ok(true)
}

async fn remove(mut client: Object, hidden: &Space) -> Result<(), WorkError> {
    let tx = client.transaction().await?;
    let find = "SELECT id FROM memcloud.spaces
                WHERE org = $1 AND project = $2 AND deleting_org IS NOT NULL FOR UPDATE";
    let Some(row) = tx.query_opt(find, &[&hidden.org, &hidden.project]).await? else { return Ok(()) };
    let id: i64 = row.get(0);
    for rest in [
        "DELETE FROM memcloud.fact_sets WHERE space = $1",
        "DELETE FROM memcloud.set_types WHERE space = $1",
        "DELETE FROM memcloud.members WHERE session IN (SELECT id FROM memcloud.sessions WHERE space = $1)",
        "DELETE FROM memcloud.sessions WHERE space = $1",
        "DELETE FROM memcloud.deletions WHERE space = $1",
        "DELETE FROM memcloud.spaces WHERE id = $1",
    ] {
        tx.execute(rest, &[&id]).await?;
    }
    let live = "INSERT INTO memcloud.meta (name, value) VALUES ('lives', '1')
                ON CONFLICT (name) DO UPDATE SET value = (memcloud.meta.value::bigint + 1)::text";
    tx.execute(live, &[]).await?;
    tx.commit().await?;
    Ok(())
}
