//! Sessions and people are removed: see [`SessionStore`](memcloud_ports::SessionStore).

use memcloud_domain::{FactSet, Space};
use memcloud_ports::REMOVED_AT_ONCE;
use rusqlite::{Connection, params};

use crate::error::WorkError;
use crate::{read, spaces};

/// Removes sessions without episodes. `true` when none of them is left.
pub(crate) fn remove(tx: &Connection, space: &Space, names: &[String]) -> Result<bool, WorkError> {
    let mut is_used = tx.prepare_cached("SELECT 1 FROM episodes WHERE session = ?1")?;
    let mut remove_members = tx.prepare_cached(
        "DELETE FROM members WHERE session = ?1
           AND (role, name) IN (SELECT role, name FROM members WHERE session = ?1 LIMIT ?2)",
    )?;
    let mut remove = tx.prepare_cached("DELETE FROM sessions WHERE id = ?1")?;
    let (mut is_done, mut left) = (true, REMOVED_AT_ONCE);
    for name in names {
        let Some(session) = read::find_session(tx, space, name)? else { continue };
        if is_used.exists([session])? {
            is_done = false;
            continue;
        }
        left -= remove_members.execute(params![session, left as i64])?;
        if left == 0 {
            return Ok(false);
        }
        remove.execute([session])?;
    }
    Ok(is_done)
}

/// Removes a person's memberships, and then what is known about them. `false` when there was nothing.
pub(crate) fn remove_person(tx: &Connection, space: &Space, name: &str) -> Result<bool, WorkError> {
    let Some(id) = spaces::find(tx, space)? else { return Ok(false) };
    let members = "DELETE FROM members WHERE name = ?1 AND (session, role) IN (
                       SELECT m.session, m.role FROM members m JOIN sessions s ON s.id = m.session
                       WHERE m.name = ?1 AND s.space = ?2 LIMIT ?3)";
    let members = tx.prepare_cached(members)?.execute(params![name, id, REMOVED_AT_ONCE as i64])?;
    if members == REMOVED_AT_ONCE {
        return Ok(true);
    }
    let sets = "DELETE FROM fact_sets WHERE json_extract(metadata, ?1) = ?2
                  AND ((ifnull(space, 0) = ?3 AND org = '') OR (ifnull(space, 0) = 0 AND org = ?4 AND NOT EXISTS (
                      SELECT 1 FROM members m JOIN sessions s ON s.id = m.session JOIN spaces p ON p.id = s.space
                      WHERE m.name = ?2 AND p.org = ?4)))";
    let owner = format!("$.{}", FactSet::OWNER);
    let sets = tx.prepare_cached(sets)?.execute(params![owner, name, id, space.org])?;
    Ok(members + sets > 0)
}
