//! Sets of facts, and the targets of learning: the rows that categories, facts and the queue belong to.

use std::collections::BTreeMap;

use memcloud_domain::{FactScope, FactSet, FactTarget, Space};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::WorkError;
use crate::spaces;

/// A scope as the database has it: the row of a space, or 0 and an organization.
#[derive(Clone, Debug)]
pub(super) struct ScopeRow {
    pub(super) space: i64,
    pub(super) org: String,
}

/// A scope; `None` if its space is unknown.
pub(super) fn scope(connection: &Connection, scope: &FactScope) -> Result<Option<ScopeRow>, WorkError> {
    let Some(project) = &scope.project else {
        return Ok(Some(ScopeRow { space: 0, org: scope.org.clone() }));
    };
    let space = spaces::find(connection, &Space::new(&scope.org, project))?;
    Ok(space.map(|space| ScopeRow { space, org: String::new() }))
}

/// The row of a set, if it is known.
pub(super) fn find_set(connection: &Connection, set: &FactSet) -> Result<Option<i64>, WorkError> {
    match scope(connection, &set.scope)? {
        Some(scope) => find_set_in(connection, &scope, &set.metadata),
        None => Ok(None),
    }
}

fn find_set_in(
    connection: &Connection,
    scope: &ScopeRow,
    metadata: &BTreeMap<String, String>,
) -> Result<Option<i64>, WorkError> {
    Ok(connection
        .prepare_cached(
            "SELECT id FROM fact_sets WHERE ifnull(space, 0) = ?1 AND org = ?2 AND metadata = ?3",
        )?
        .query_row(params![scope.space, scope.org, json(metadata)], |row| row.get(0))
        .optional()?)
}

/// The row of a set, made when it is new; `None` if its space is unknown.
pub(super) fn make_set(tx: &Connection, set: &FactSet) -> Result<Option<i64>, WorkError> {
    let Some(scope) = scope(tx, &set.scope)? else { return Ok(None) };
    if let Some(id) = find_set_in(tx, &scope, &set.metadata)? {
        return Ok(Some(id));
    }
    tx.prepare_cached(
        "INSERT INTO fact_sets (space, org, metadata, keys) VALUES (nullif(?1, 0), ?2, ?3, ?4)",
    )?
    .execute(params![scope.space, scope.org, json(&set.metadata), keys(set)])?;
    Ok(Some(tx.last_insert_rowid()))
}

/// The row of a target, if it is known.
pub(super) fn find(connection: &Connection, target: &FactTarget) -> Result<Option<i64>, WorkError> {
    match find_set(connection, &target.set)? {
        Some(set) => find_in(connection, set, &target.category),
        None => Ok(None),
    }
}

fn find_in(connection: &Connection, set: i64, category: &str) -> Result<Option<i64>, WorkError> {
    Ok(connection
        .prepare_cached("SELECT id FROM targets WHERE fact_set = ?1 AND category = ?2")?
        .query_row(params![set, category], |row| row.get(0))
        .optional()?)
}

/// The row of a target, made when it is new; `None` if its space is unknown.
pub(super) fn make(tx: &Connection, target: &FactTarget) -> Result<Option<i64>, WorkError> {
    let Some(set) = make_set(tx, &target.set)? else { return Ok(None) };
    if let Some(id) = find_in(tx, set, &target.category)? {
        return Ok(Some(id));
    }
    tx.prepare_cached("INSERT INTO targets (fact_set, category) VALUES (?1, ?2)")?
        .execute(params![set, target.category])?;
    Ok(Some(tx.last_insert_rowid()))
}

/// A target in four columns: organization, project, metadata, category.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<FactTarget> {
    Ok(FactTarget { set: read_set(row, first)?, category: row.get(first + 3)? })
}

/// A set in three columns: organization, project, metadata.
pub(super) fn read_set(row: &Row<'_>, first: usize) -> rusqlite::Result<FactSet> {
    let scope = FactScope { org: row.get(first)?, project: row.get(first + 1)? };
    Ok(FactSet { scope, metadata: from_json(row, first + 2)? })
}

/// The keys of a set's metadata, as they are compared with those of a type.
pub(super) fn keys(set: &FactSet) -> String {
    json(&set.keys().collect::<Vec<_>>())
}

/// Sorted texts as JSON, the same for equal values.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::json!(value).to_string()
}

/// The value of a column that has JSON.
pub(super) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into()))
}
