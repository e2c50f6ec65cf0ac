//! Sessions and people are removed: see [`SessionStore`](memcloud_ports::SessionStore).

use deadpool_postgres::Object;
use memcloud_domain::{FactScope, FactSet, Space};
use memcloud_ports::REMOVED_AT_ONCE;

use crate::error::WorkError;
use crate::profile::targets;
use crate::query::Query;
use crate::read::limited;

/// Removes sessions without episodes. `true` when none of them is left.
pub(crate) async fn sessions(
    client: &mut Object,
    space: &Space,
    names: &[String],
) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    // Waits for stores that use these sessions. A later store waits for this transaction, and makes its session again.
    let lock = "SELECT s.id FROM memcloud.sessions s JOIN memcloud.spaces p ON p.id = s.space
                WHERE p.org = $1 AND p.project = $2 AND s.name = ANY($3) ORDER BY s.id FOR UPDATE OF s";
    let locked = tx.rows(lock, &[&space.org, &space.project, &names]).await?;
    let unused = "SELECT s FROM unnest($1::bigint[]) AS s
                  WHERE NOT EXISTS (SELECT 1 FROM memcloud.episodes e WHERE e.session = s)";
    let locked: Vec<i64> = locked.iter().map(|row| row.get(0)).collect();
    let unused: Vec<i64> = tx.rows(unused, &[&locked]).await?.iter().map(|row| row.get(0)).collect();
    let members = "DELETE FROM memcloud.members WHERE (session, role, name) IN (
                       SELECT session, role, name FROM memcloud.members WHERE session = ANY($1) LIMIT $2)";
    let members = tx.run(members, &[&unused, &limited(REMOVED_AT_ONCE)]).await?;
    let no_members = members < REMOVED_AT_ONCE as u64;
    if no_members {
        tx.run("DELETE FROM memcloud.sessions WHERE id = ANY($1)", &[&unused]).await?;
    }
    tx.commit().await?;
    Ok(no_members && unused.len() == locked.len())
}

/// Removes a person's memberships, and then what is known about them. `false` when there was nothing.
pub(crate) async fn person(client: &mut Object, space: &Space, name: &str) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    let of_organization = "SELECT 1 FROM memcloud.fact_sets WHERE org = $1 AND metadata->>$2 = $3";
    let of_organization = tx.row_if_any(of_organization, &[&space.org, &FactSet::OWNER, &name]).await?;
    let scopes = [space.into(), FactScope::organization(&space.org)];
    targets::lock_scopes(&tx, &scopes[..if of_organization.is_some() { 2 } else { 1 }]).await?;
    let Some(id) = targets::lock_space(&tx, space).await? else { return Ok(false) };
    let members = "DELETE FROM memcloud.members WHERE (session, role, name) IN (
                       SELECT m.session, m.role, m.name FROM memcloud.members m
                       JOIN memcloud.sessions s ON s.id = m.session WHERE m.name = $1 AND s.space = $2 LIMIT $3)";
    let members = tx.run(members, &[&name, &id, &limited(REMOVED_AT_ONCE)]).await?;
    let sets = if members < REMOVED_AT_ONCE as u64 {
        tx.run(REMOVE_SETS, &[&FactSet::OWNER, &name, &id, &space.org]).await?
    } else {
        0
    };
    tx.commit().await?;
    Ok(members + sets > 0)
}

/// Deletes the sets about person `$2` in space `$3`, and those of organization `$4` when no session of it has them.
const REMOVE_SETS: &str = "DELETE FROM memcloud.fact_sets WHERE metadata->>$1 = $2
    AND ((coalesce(space, 0) = $3 AND org = '') OR (coalesce(space, 0) = 0 AND org = $4 AND NOT EXISTS (
        SELECT 1 FROM memcloud.members m JOIN memcloud.sessions s ON s.id = m.session
        JOIN memcloud.spaces p ON p.id = s.space WHERE m.name = $2 AND p.org = $4)))";
