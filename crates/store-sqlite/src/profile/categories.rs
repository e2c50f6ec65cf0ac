//! Categories, the types of sets that share them, and which of them a set has disabled.

use std::collections::BTreeSet;

use memcloud_domain::{
    Category, CategoryId, CategoryOrigin, FactScope, FactSet, FactTarget, SetType, SetTypeId, Tag, TagId,
};
use memcloud_ports::{SetCategory, version_after};
use rusqlite::{Connection, Params, Row, params};
use uuid::Uuid;

use super::targets::{self, ScopeRow};
use crate::error::WorkError;

/// What every read of categories selects, in the order that [`category`] expects.
macro_rules! select_categories {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.name, c.description, c.prompt, c.version, c.set_type, c.fact_set, ifnull(p.org, s.org), ",
            "p.project, s.metadata ",
            "FROM categories c LEFT JOIN fact_sets s ON s.id = c.fact_set LEFT JOIN spaces p ON p.id = s.space ",
            $rest
        )
    };
}

/// Holds for the categories `c` that set `?1` of space `?2` and organization `?3` with the keys `?4` has or inherits.
macro_rules! of_set {
    () => {
        "(c.fact_set = ?1 OR (c.fact_set IS NULL AND c.set_type IS NULL) OR c.set_type =
            (SELECT id FROM set_types WHERE ifnull(space, 0) = ?2 AND org = ?3 AND keys = ?4))"
    };
}

fn category(row: &Row<'_>) -> rusqlite::Result<Category> {
    let origin = match (row.get::<_, Option<[u8; 16]>>(5)?, row.get::<_, Option<i64>>(6)?) {
        (Some(set_type), _) => CategoryOrigin::SetType(SetTypeId(Uuid::from_bytes(set_type))),
        (None, Some(_)) => CategoryOrigin::Set(targets::read_set(row, 7)?),
        (None, None) => CategoryOrigin::BuiltIn,
    };
    Ok(Category {
        id: CategoryId(uuid(row, 0)?),
        origin,
        name: row.get(1)?,
        description: row.get(2)?,
        prompt: row.get(3)?,
        version: row.get(4)?,
        tags: Vec::new(),
    })
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    Ok(Uuid::from_bytes(row.get(column)?))
}

/// The categories of a select, with their tags.
fn select(
    connection: &Connection,
    select: &str,
    parameters: impl Params,
) -> Result<Vec<Category>, WorkError> {
    let mut select = connection.prepare_cached(select)?;
    let mut tags = connection
        .prepare_cached("SELECT id, name, description FROM category_tags WHERE category = ?1 ORDER BY id")?;
    let mut categories = select.query_map(parameters, category)?.collect::<Result<Vec<_>, _>>()?;
    for category in &mut categories {
        let tag =
            |row: &Row<'_>| Ok(Tag { id: TagId(uuid(row, 0)?), name: row.get(1)?, description: row.get(2)? });
        category.tags = tags.query_map([category.id.0.as_bytes()], tag)?.collect::<Result<_, _>>()?;
    }
    Ok(categories)
}

/// The rows of a set and its scope; rows that do not exist if it is unknown.
fn rows(connection: &Connection, set: &FactSet) -> Result<(i64, ScopeRow), WorkError> {
    let unknown = || ScopeRow { space: -1, org: String::new() };
    let scope = targets::scope(connection, &set.scope)?.unwrap_or_else(unknown);
    Ok((targets::find_set(connection, set)?.unwrap_or(0), scope))
}

/// The categories of a set, sorted by name.
pub(super) fn of_set(connection: &Connection, set: &FactSet) -> Result<Vec<SetCategory>, WorkError> {
    let (id, scope) = rows(connection, set)?;
    let candidates = select(
        connection,
        concat!(select_categories!("WHERE "), of_set!()),
        params![id, scope.space, scope.org, targets::keys(set)],
    )?;
    let disabled = connection
        .prepare_cached("SELECT name FROM disabled_categories WHERE fact_set = ?1")?
        .query_map([id], |row| row.get(0))?
        .collect::<Result<BTreeSet<String>, _>>()?;
    Ok(SetCategory::of(candidates, &disabled))
}

/// The names of the categories that are enabled in each of these sets.
pub(super) fn enabled(connection: &Connection, sets: &[FactSet]) -> Result<Vec<Vec<String>>, WorkError> {
    let mut select = connection.prepare_cached(concat!(
        "SELECT DISTINCT c.name FROM categories c WHERE ",
        of_set!(),
        " AND c.name NOT IN (SELECT name FROM disabled_categories WHERE fact_set = ?1) ORDER BY c.name"
    ))?;
    let mut all = Vec::with_capacity(sets.len());
    for set in sets {
        let (id, scope) = rows(connection, set)?;
        let of_set = params![id, scope.space, scope.org, targets::keys(set)];
        all.push(select.query_map(of_set, |row| row.get(0))?.collect::<Result<_, _>>()?);
    }
    Ok(all)
}

/// A category, if it is known.
pub(super) fn find(connection: &Connection, id: CategoryId) -> Result<Option<Category>, WorkError> {
    Ok(select(connection, select_categories!("WHERE c.id = ?1"), [id.0.as_bytes()])?.pop())
}

/// The categories of an origin, or all of them; by id.
pub(super) fn list(
    connection: &Connection,
    origin: Option<&CategoryOrigin>,
) -> Result<Vec<Category>, WorkError> {
    match origin {
        None => select(connection, select_categories!("ORDER BY c.id"), []),
        Some(CategoryOrigin::BuiltIn) => {
            const BUILT_IN: &str =
                select_categories!("WHERE c.fact_set IS NULL AND c.set_type IS NULL ORDER BY c.id");
            select(connection, BUILT_IN, [])
        }
        Some(CategoryOrigin::SetType(id)) => {
            select(connection, select_categories!("WHERE c.set_type = ?1 ORDER BY c.id"), [id.0.as_bytes()])
        }
        Some(CategoryOrigin::Set(set)) => {
            let set = targets::find_set(connection, set)?;
            select(connection, select_categories!("WHERE c.fact_set = ?1 ORDER BY c.id"), [set])
        }
    }
}

/// Stores a category, new or in place of a known one.
pub(super) fn put(tx: &Connection, new: &Category) -> Result<bool, WorkError> {
    let is_known = match find(tx, new.id)? {
        Some(known) => {
            let version = version_after(&known, new);
            tx.prepare_cached(
                "UPDATE categories SET description = ?2, prompt = ?3, version = ?4 WHERE id = ?1",
            )?
            .execute(params![new.id.0.as_bytes(), new.description, new.prompt, version])?;
            true
        }
        None => insert(tx, new)?,
    };
    if is_known {
        tx.prepare_cached("DELETE FROM category_tags WHERE category = ?1")?.execute([new.id.0.as_bytes()])?;
        for tag in &new.tags {
            insert_tag(tx, new.id, tag)?;
        }
    }
    Ok(is_known)
}

/// Stores a new category. Returns `false` if its name is taken, or its origin is unknown.
fn insert(tx: &Connection, new: &Category) -> Result<bool, WorkError> {
    let (set, set_type) = match &new.origin {
        CategoryOrigin::Set(set) => match targets::make_set(tx, set)? {
            Some(set) => (Some(set), None),
            None => return Ok(false),
        },
        CategoryOrigin::SetType(id) if !is_known_type(tx, *id)? => return Ok(false),
        CategoryOrigin::SetType(id) => (None, Some(id.0.as_bytes())),
        CategoryOrigin::BuiltIn => (None, None),
    };
    let inserted = tx
        .prepare_cached(
            "INSERT INTO categories (id, fact_set, set_type, name, description, prompt, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (ifnull(fact_set, 0), ifnull(set_type, x''), name) DO NOTHING",
        )?
        .execute(params![
            new.id.0.as_bytes(),
            set,
            set_type,
            new.name,
            new.description,
            new.prompt,
            new.version
        ])?;
    Ok(inserted == 1)
}

fn is_known_type(tx: &Connection, id: SetTypeId) -> Result<bool, WorkError> {
    Ok(tx.prepare_cached("SELECT 1 FROM set_types WHERE id = ?1")?.exists([id.0.as_bytes()])?)
}

/// Stores a tag; `false` if the category has one of this name.
fn insert_tag(tx: &Connection, category: CategoryId, tag: &Tag) -> Result<bool, WorkError> {
    let inserted = tx
        .prepare_cached(
            "INSERT INTO category_tags (id, category, name, description) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (category, name) DO NOTHING",
        )?
        .execute(params![tag.id.0.as_bytes(), category.0.as_bytes(), tag.name, tag.description])?;
    Ok(inserted == 1)
}

/// Deletes a category, with its facts and queues in the sets that have it and not another of the same name.
pub(super) fn delete(tx: &Connection, id: CategoryId) -> Result<bool, WorkError> {
    tx.prepare_cached(
        "DELETE FROM targets WHERE ?1 = (
             SELECT c.id FROM categories c JOIN fact_sets s ON s.id = targets.fact_set
             WHERE c.name = targets.category
               AND (c.fact_set = s.id OR (c.fact_set IS NULL AND c.set_type IS NULL) OR c.set_type = (
                   SELECT y.id FROM set_types y
                   WHERE ifnull(y.space, 0) = ifnull(s.space, 0) AND y.org = s.org AND y.keys = s.keys))
             ORDER BY c.fact_set IS NULL, c.set_type IS NULL LIMIT 1)",
    )?
    .execute([id.0.as_bytes()])?;
    Ok(tx.prepare_cached("DELETE FROM categories WHERE id = ?1")?.execute([id.0.as_bytes()])? == 1)
}

/// Enables or disables a category in a set; `false` if the space is unknown.
pub(super) fn enable(tx: &Connection, target: &FactTarget, enabled: bool) -> Result<bool, WorkError> {
    let Some(set) = targets::make_set(tx, &target.set)? else { return Ok(false) };
    let change = if enabled {
        "DELETE FROM disabled_categories WHERE fact_set = ?1 AND name = ?2"
    } else {
        "INSERT INTO disabled_categories (fact_set, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING"
    };
    tx.prepare_cached(change)?.execute(params![set, target.category])?;
    Ok(true)
}

/// The names of categories that sets have disabled.
pub(super) fn disabled(connection: &Connection) -> Result<Vec<FactTarget>, WorkError> {
    let mut select = connection.prepare_cached(
        "SELECT ifnull(p.org, s.org), p.project, s.metadata, d.name
         FROM disabled_categories d JOIN fact_sets s ON s.id = d.fact_set LEFT JOIN spaces p ON p.id = s.space",
    )?;
    let disabled = select.query_map([], |row| targets::read(row, 0))?.collect::<Result<BTreeSet<_>, _>>()?;
    Ok(disabled.into_iter().collect())
}

/// Adds a tag; `false` if the category is unknown or has one of this name.
pub(super) fn add_tag(tx: &Connection, category: CategoryId, tag: &Tag) -> Result<bool, WorkError> {
    let is_known =
        tx.prepare_cached("SELECT 1 FROM categories WHERE id = ?1")?.exists([category.0.as_bytes()])?;
    Ok(is_known && insert_tag(tx, category, tag)?)
}

/// Deletes a tag; `false` if it is unknown.
pub(super) fn delete_tag(tx: &Connection, id: TagId) -> Result<bool, WorkError> {
    Ok(tx.prepare_cached("DELETE FROM category_tags WHERE id = ?1")?.execute([id.0.as_bytes()])? == 1)
}

/// The types of sets of an organization or of all, by id.
pub(super) fn set_types(connection: &Connection, org: Option<&str>) -> Result<Vec<SetType>, WorkError> {
    let mut select = connection.prepare_cached(
        "SELECT y.id, ifnull(p.org, y.org) AS owner, p.project, y.keys, y.name, y.description
         FROM set_types y LEFT JOIN spaces p ON p.id = y.space WHERE ?1 IS NULL OR owner = ?1 ORDER BY y.id",
    )?;
    let types = select.query_map([org], |row| {
        Ok(SetType {
            id: SetTypeId(uuid(row, 0)?),
            scope: FactScope { org: row.get(1)?, project: row.get(2)? },
            keys: targets::from_json(row, 3)?,
            name: row.get(4)?,
            description: row.get(5)?,
        })
    })?;
    Ok(types.collect::<Result<_, _>>()?)
}

/// Stores a type of sets, new or in place of a known one; `false` if its definition is taken, or its space is unknown.
pub(super) fn put_set_type(tx: &Connection, new: &SetType) -> Result<bool, WorkError> {
    let SetType { id, scope, keys, name, description } = new;
    let changed = tx
        .prepare_cached("UPDATE set_types SET name = ?2, description = ?3 WHERE id = ?1")?
        .execute(params![id.0.as_bytes(), name, description])?;
    if changed == 1 {
        return Ok(true);
    }
    let Some(scope) = targets::scope(tx, scope)? else { return Ok(false) };
    let inserted = tx
        .prepare_cached(
            "INSERT INTO set_types (id, space, org, keys, name, description)
             VALUES (?1, nullif(?2, 0), ?3, ?4, ?5, ?6)
             ON CONFLICT (ifnull(space, 0), org, keys) DO NOTHING",
        )?
        .execute(params![id.0.as_bytes(), scope.space, scope.org, targets::json(keys), name, description])?;
    Ok(inserted == 1)
}

/// Deletes a type of sets with its categories; `false` if it is unknown.
pub(super) fn delete_set_type(tx: &Connection, id: SetTypeId) -> Result<bool, WorkError> {
    for template in list(tx, Some(&CategoryOrigin::SetType(id)))? {
        delete(tx, template.id)?;
    }
    Ok(tx.prepare_cached("DELETE FROM set_types WHERE id = ?1")?.execute([id.0.as_bytes()])? == 1)
}

/// The known sets of a scope.
pub(super) fn sets(connection: &Connection, scope: &FactScope) -> Result<Vec<FactSet>, WorkError> {
    let Some(row) = targets::scope(connection, scope)? else { return Ok(Vec::new()) };
    let mut select = connection
        .prepare_cached("SELECT ?3, ?4, metadata FROM fact_sets WHERE ifnull(space, 0) = ?1 AND org = ?2")?;
    let of_scope = params![row.space, row.org, scope.org, scope.project];
    let sets = select.query_map(of_scope, |row| targets::read_set(row, 0))?;
    Ok(sets.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect())
}
