//! Categories, the types of sets that share them, and which of them a set has disabled.

use std::collections::{BTreeSet, HashMap};

use deadpool_postgres::{GenericClient, Object, Transaction};
use memcloud_domain::{
    Category, CategoryId, CategoryOrigin, FactScope, FactSet, FactTarget, SetType, SetTypeId, Tag, TagId,
};
use memcloud_ports::{SetCategory, version_after};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use super::targets::{self, TargetColumns};
use crate::error::WorkError;
use crate::query::Query;

/// What every read of categories selects, in the order that [`category`] expects.
macro_rules! select_categories {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.name, c.description, c.prompt, c.version, c.set_type, c.fact_set, coalesce(p.org, s.org), ",
            "p.project, s.metadata ",
            "FROM memcloud.categories c LEFT JOIN memcloud.fact_sets s ON s.id = c.fact_set ",
            "LEFT JOIN memcloud.spaces p ON p.id = s.space ",
            $rest
        )
    };
}

fn category(row: &Row) -> Result<Category, WorkError> {
    let origin = match (row.get::<_, Option<Uuid>>(5), row.get::<_, Option<i64>>(6)) {
        (Some(set_type), _) => CategoryOrigin::SetType(SetTypeId(set_type)),
        (None, Some(_)) => CategoryOrigin::Set(targets::read_set(row, 7)?),
        (None, None) => CategoryOrigin::BuiltIn,
    };
    Ok(Category {
        id: CategoryId(row.get(0)),
        origin,
        name: row.get(1),
        description: row.get(2),
        prompt: row.get(3),
        version: row.get::<_, i32>(4).cast_unsigned(),
        tags: Vec::new(),
    })
}

/// The categories of a select, with their tags.
async fn select(
    client: &impl GenericClient,
    select: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Category>, WorkError> {
    let rows = client.rows(select, parameters).await?;
    let mut categories = rows.iter().map(category).collect::<Result<Vec<Category>, WorkError>>()?;
    let tags = "SELECT category, id, name, description FROM memcloud.category_tags WHERE category = ANY($1) ORDER BY id";
    let ids: Vec<Uuid> = categories.iter().map(|category| category.id.0).collect();
    let mut of: HashMap<Uuid, Vec<Tag>> = HashMap::new();
    for row in client.rows(tags, &[&ids]).await? {
        let tag = Tag { id: TagId(row.get(1)), name: row.get(2), description: row.get(3) };
        of.entry(row.get(0)).or_default().push(tag);
    }
    for category in &mut categories {
        category.tags = of.remove(&category.id.0).unwrap_or_default();
    }
    Ok(categories)
}

/// The categories of a set, sorted by name.
pub(super) async fn of_set(client: Object, set: &FactSet) -> Result<Vec<SetCategory>, WorkError> {
    let scope = targets::scope(&client, &set.scope).await?;
    let (space, org) = scope.map_or((-1, String::new()), |scope| (scope.space, scope.org));
    let id = targets::find_set(&client, set).await?;
    let candidates = select(
        &client,
        select_categories!(
            "WHERE c.fact_set = $1 OR (c.fact_set IS NULL AND c.set_type IS NULL) OR c.set_type =
                 (SELECT y.id FROM memcloud.set_types y
                  WHERE coalesce(y.space, 0) = $2 AND y.org = $3 AND y.keys = $4)"
        ),
        &[&id, &space, &org, &Json(set.keys().collect::<Vec<_>>())],
    )
    .await?;
    let disabled =
        client.prepare_cached("SELECT name FROM memcloud.disabled_categories WHERE fact_set = $1").await?;
    let disabled = client.query(&disabled, &[&id]).await?.iter().map(|row| row.get(0)).collect();
    Ok(SetCategory::of(candidates, &disabled))
}

/// The names of the categories that are enabled in each of these sets.
pub(super) async fn enabled(client: Object, sets: &[FactSet]) -> Result<Vec<Vec<String>>, WorkError> {
    let select = concat!(
        "SELECT DISTINCT n.place, c.name FROM ",
        "unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::text[]) WITH ORDINALITY ",
        "    AS n (org, project, metadata, keys, category, place) ",
        "LEFT JOIN memcloud.spaces p ON p.org = n.org AND p.project = n.project ",
        "CROSS JOIN LATERAL (SELECT CASE WHEN n.project IS NULL THEN 0 ELSE coalesce(p.id, -1) END AS space, ",
        "                           CASE WHEN n.project IS NULL THEN n.org ELSE '' END AS org) AS o ",
        "LEFT JOIN memcloud.fact_sets f ",
        "    ON coalesce(f.space, 0) = o.space AND f.org = o.org AND f.metadata = n.metadata ",
        "LEFT JOIN memcloud.set_types y ",
        "    ON coalesce(y.space, 0) = o.space AND y.org = o.org AND y.keys = n.keys ",
        "JOIN memcloud.categories c ",
        "    ON c.fact_set = f.id OR c.set_type = y.id OR (c.fact_set IS NULL AND c.set_type IS NULL) ",
        "WHERE NOT EXISTS (SELECT 1 FROM memcloud.disabled_categories d ",
        "                  WHERE d.fact_set = f.id AND d.name = c.name) ",
        "ORDER BY n.place, c.name"
    );
    let columns = TargetColumns::of_sets(sets);
    let mut enabled = vec![Vec::new(); sets.len()];
    for row in client.rows(select, &columns.parameters()).await? {
        let place = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or_default();
        enabled[place].push(row.get(1));
    }
    Ok(enabled)
}

/// A category, if it is known.
pub(super) async fn find(client: &impl GenericClient, id: CategoryId) -> Result<Option<Category>, WorkError> {
    Ok(select(client, select_categories!("WHERE c.id = $1"), &[&id.0]).await?.pop())
}

/// The categories of an origin, or all of them; by id.
pub(super) async fn list(
    client: &impl GenericClient,
    origin: Option<&CategoryOrigin>,
) -> Result<Vec<Category>, WorkError> {
    match origin {
        None => select(client, select_categories!("ORDER BY c.id"), &[]).await,
        Some(CategoryOrigin::BuiltIn) => {
            const BUILT_IN: &str =
                select_categories!("WHERE c.fact_set IS NULL AND c.set_type IS NULL ORDER BY c.id");
            select(client, BUILT_IN, &[]).await
        }
        Some(CategoryOrigin::SetType(id)) => {
            select(client, select_categories!("WHERE c.set_type = $1 ORDER BY c.id"), &[&id.0]).await
        }
        Some(CategoryOrigin::Set(set)) => {
            let set = targets::find_set(client, set).await?;
            select(client, select_categories!("WHERE c.fact_set = $1 ORDER BY c.id"), &[&set]).await
        }
    }
}

/// Stores a category, new or in place of a known one.
pub(super) async fn put(client: &mut Object, new: &Category) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&CATALOG]).await?;
    let is_known = match find(&tx, new.id).await? {
        Some(known) => {
            let version = version_after(&known, new).cast_signed();
            let update =
                "UPDATE memcloud.categories SET description = $2, prompt = $3, version = $4 WHERE id = $1";
            tx.execute(update, &[&new.id.0, &new.description, &new.prompt, &version]).await?;
            true
        }
        None => insert(&tx, new).await?,
    };
    if is_known {
        tx.execute("DELETE FROM memcloud.category_tags WHERE category = $1", &[&new.id.0]).await?;
        insert_tags(&tx, new.id, &new.tags).await?;
    }
    tx.commit().await?;
    Ok(is_known)
}

/// The lock held while the catalog of categories changes: "memcateg" in ASCII.
const CATALOG: i64 = 0x6d65_6d63_6174_6567;

/// Stores a new category. Returns `false` if its name is taken, or its origin is unknown.
async fn insert(tx: &Transaction<'_>, new: &Category) -> Result<bool, WorkError> {
    let (set, set_type) = match &new.origin {
        CategoryOrigin::Set(set) => match targets::make_set(tx, set).await? {
            Some(set) => (Some(set), None),
            None => return Ok(false),
        },
        CategoryOrigin::SetType(id) => {
            let known = tx.query_opt("SELECT 1 FROM memcloud.set_types WHERE id = $1", &[&id.0]).await?;
            if known.is_none() {
                return Ok(false);
            }
            (None, Some(id.0))
        }
        CategoryOrigin::BuiltIn => (None, None),
    };
    let insert =
        "INSERT INTO memcloud.categories (id, fact_set, set_type, name, description, prompt, version)
                  VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let version = new.version.cast_signed();
    let columns: [&(dyn ToSql + Sync); 7] =
        [&new.id.0, &set, &set_type, &new.name, &new.description, &new.prompt, &version];
    Ok(tx.execute(insert, &columns).await? == 1)
}

/// Stores tags, and returns how many; those whose names the category has are left out.
async fn insert_tags(tx: &Transaction<'_>, category: CategoryId, tags: &[Tag]) -> Result<u64, WorkError> {
    let insert = "INSERT INTO memcloud.category_tags (id, category, name, description)
                  SELECT n.id, $1, n.name, n.description FROM unnest($2::uuid[], $3::text[], $4::text[])
                      AS n (id, name, description)
                  ON CONFLICT (category, name) DO NOTHING";
    let ids: Vec<Uuid> = tags.iter().map(|tag| tag.id.0).collect();
    let names: Vec<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
    let descriptions: Vec<&str> = tags.iter().map(|tag| tag.description.as_str()).collect();
    Ok(tx.execute(insert, &[&category.0, &ids, &names, &descriptions]).await?)
}

/// Deletes a category; `false` if it is unknown.
pub(super) async fn delete(client: &mut Object, id: CategoryId) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&CATALOG]).await?;
    let deleted = delete_in(&tx, id).await?;
    tx.commit().await?;
    Ok(deleted)
}

/// Deletes a category, with its facts and queues in the sets that have it and not another of the same name.
async fn delete_in(tx: &Transaction<'_>, id: CategoryId) -> Result<bool, WorkError> {
    let targets = "DELETE FROM memcloud.targets t WHERE $1 = (
                   SELECT c.id FROM memcloud.categories c JOIN memcloud.fact_sets s ON s.id = t.fact_set
                   WHERE c.name = t.category
                     AND (c.fact_set = s.id OR (c.fact_set IS NULL AND c.set_type IS NULL) OR c.set_type = (
                         SELECT y.id FROM memcloud.set_types y
                         WHERE coalesce(y.space, 0) = coalesce(s.space, 0) AND y.org = s.org AND y.keys = s.keys))
                   ORDER BY c.fact_set IS NULL, c.set_type IS NULL LIMIT 1)";
    tx.execute(targets, &[&id.0]).await?;
    Ok(tx.execute("DELETE FROM memcloud.categories WHERE id = $1", &[&id.0]).await? == 1)
}

/// Enables or disables a category in a set; `false` if the space is unknown.
pub(super) async fn enable(
    client: &mut Object,
    target: &FactTarget,
    enabled: bool,
) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    let Some(set) = targets::make_set(&tx, &target.set).await? else { return Ok(false) };
    let change = if enabled {
        "DELETE FROM memcloud.disabled_categories WHERE fact_set = $1 AND name = $2"
    } else {
        "INSERT INTO memcloud.disabled_categories (fact_set, name) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    };
    tx.execute(change, &[&set, &target.category]).await?;
    tx.commit().await?;
    Ok(true)
}

/// The names of categories that sets have disabled.
pub(super) async fn disabled(client: Object) -> Result<Vec<FactTarget>, WorkError> {
    let select = "SELECT coalesce(p.org, s.org), p.project, s.metadata, d.name
                  FROM memcloud.disabled_categories d JOIN memcloud.fact_sets s ON s.id = d.fact_set
                  LEFT JOIN memcloud.spaces p ON p.id = s.space";
    let rows = client.query(select, &[]).await?;
    let disabled = rows.iter().map(|row| targets::read(row, 0)).collect::<Result<BTreeSet<_>, _>>()?;
    Ok(disabled.into_iter().collect())
}

/// Adds a tag; `false` if the category is unknown or has one of this name.
pub(super) async fn add_tag(client: &mut Object, category: CategoryId, tag: &Tag) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    let lock = "SELECT 1 FROM memcloud.categories WHERE id = $1 FOR UPDATE";
    if tx.query_opt(lock, &[&category.0]).await?.is_none() {
        return Ok(false);
    }
    let added = insert_tags(&tx, category, std::slice::from_ref(tag)).await?;
    tx.commit().await?;
    Ok(added == 1)
}

/// Deletes a tag; `false` if it is unknown.
pub(super) async fn delete_tag(client: Object, id: TagId) -> Result<bool, WorkError> {
    Ok(client.execute("DELETE FROM memcloud.category_tags WHERE id = $1", &[&id.0]).await? == 1)
}

/// The types of sets of an organization or of all, by id.
pub(super) async fn set_types(client: Object, org: Option<&str>) -> Result<Vec<SetType>, WorkError> {
    let select = "SELECT y.id, coalesce(p.org, y.org), p.project, y.keys, y.name, y.description
                  FROM memcloud.set_types y LEFT JOIN memcloud.spaces p ON p.id = y.space
                  WHERE $1::text IS NULL OR coalesce(p.org, y.org) = $1 ORDER BY y.id";
    let set_type = |row: &Row| {
        Ok(SetType {
            id: SetTypeId(row.get(0)),
            scope: FactScope { org: row.get(1), project: row.get(2) },
            keys: targets::from_json(row, 3)?,
            name: row.get(4),
            description: row.get(5),
        })
    };
    client.query(select, &[&org]).await?.iter().map(set_type).collect()
}

/// Stores a type of sets, new or in place of a known one; `false` if its definition is taken, or its space is unknown.
pub(super) async fn put_set_type(client: &mut Object, new: &SetType) -> Result<bool, WorkError> {
    let SetType { id, scope, keys, name, description } = new;
    let tx = client.transaction().await?;
    let update = "UPDATE memcloud.set_types SET name = $2, description = $3 WHERE id = $1";
    let mut stored = tx.execute(update, &[&id.0, name, description]).await?;
    if stored == 0 {
        let Some(scope) = targets::scope(&tx, scope).await? else { return Ok(false) };
        let insert = "INSERT INTO memcloud.set_types (id, space, org, keys, name, description)
                      VALUES ($1, nullif($2::bigint, 0), $3, $4, $5, $6) ON CONFLICT DO NOTHING";
        let columns: [&(dyn ToSql + Sync); 6] =
            [&id.0, &scope.space, &scope.org, &Json(keys), name, description];
        stored = tx.execute(insert, &columns).await?;
    }
    tx.commit().await?;
    Ok(stored == 1)
}

/// Deletes a type of sets with its categories; `false` if it is unknown.
pub(super) async fn delete_set_type(client: &mut Object, id: SetTypeId) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&CATALOG]).await?;
    for template in list(&tx, Some(&CategoryOrigin::SetType(id))).await? {
        delete_in(&tx, template.id).await?;
    }
    let deleted = tx.execute("DELETE FROM memcloud.set_types WHERE id = $1", &[&id.0]).await?;
    tx.commit().await?;
    Ok(deleted == 1)
}

/// The known sets of a scope.
pub(super) async fn sets(client: Object, scope: &FactScope) -> Result<Vec<FactSet>, WorkError> {
    let Some(row) = targets::scope(&client, scope).await? else { return Ok(Vec::new()) };
    let select = "SELECT $3::text, $4::text, metadata FROM memcloud.fact_sets
                  WHERE coalesce(space, 0) = $1 AND org = $2";
    let rows = client.query(select, &[&row.space, &row.org, &scope.org, &scope.project]).await?;
    let sets = rows.iter().map(|row| targets::read_set(row, 0)).collect::<Result<BTreeSet<_>, _>>()?;
    Ok(sets.into_iter().collect())
}
