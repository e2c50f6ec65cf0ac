//! Nothing here only grows: what is new replaces what is oldest, in one transaction.

use memcloud_control::{Operation, OrganizationId};
use memcloud_domain::Timestamp;
use rusqlite::{Connection, params};

use crate::error::WorkError;

/// How many operations of an instance are kept. One that keeps failing is recovered every minute.
const OPERATIONS: i64 = 200;
/// How many audit entries of an organization are kept.
const AUDIT_ENTRIES: i64 = 100_000;
/// How long the operations of a removed instance are kept, and tokens that open nothing any more: thirty days, in
/// microseconds.
const KEPT: i64 = 30 * 24 * 60 * 60 * 1_000_000;

/// Deletes the oldest operations of the instance that a new one is for, and old ones of removed instances.
pub(crate) fn prune_operations(tx: &Connection, new: &Operation) -> Result<(), WorkError> {
    let mut select = tx.prepare_cached(
        "SELECT id FROM (SELECT id FROM operations WHERE instance = ?1 ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET ?2)
         UNION SELECT operations.id FROM instances JOIN operations ON operations.instance = instances.id
         WHERE instances.state = 'removed' AND operations.ended_at < ?3",
    )?;
    let before = new.created_at.as_micros() - KEPT;
    let old = select.query_map(params![new.instance.as_str(), OPERATIONS, before], |row| row.get(0))?;
    for id in old.collect::<Result<Vec<String>, _>>()? {
        tx.prepare_cached("DELETE FROM events WHERE operation = ?1")?.execute([&id])?;
        tx.prepare_cached("DELETE FROM steps WHERE operation = ?1")?.execute([&id])?;
        tx.prepare_cached("DELETE FROM operations WHERE id = ?1")?.execute([&id])?;
    }
    Ok(())
}

/// Deletes the oldest audit entries of an organization.
pub(crate) fn prune_audit(tx: &Connection, organization: &OrganizationId) -> Result<(), WorkError> {
    tx.prepare_cached(
        "DELETE FROM audit WHERE organization = ?1 AND number <=
         (SELECT number FROM audit WHERE organization = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![organization.as_str(), AUDIT_ENTRIES])?;
    Ok(())
}

/// Deletes tokens that opened nothing for a while.
pub(crate) fn prune_tokens(tx: &Connection, now: Timestamp) -> Result<(), WorkError> {
    tx.prepare_cached("DELETE FROM tokens WHERE expires_at < ?1 OR revoked_at < ?1")?
        .execute([now.as_micros() - KEPT])?;
    Ok(())
}
