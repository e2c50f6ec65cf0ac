//! Sets of facts, and the targets of learning: the rows that categories, facts and the queue belong to; and the rows of
//! spaces, which every transaction locks that changes anything in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use deadpool_postgres::{GenericClient, Transaction};
use memcloud_domain::{Error, FactScope, FactSet, FactTarget, Space, with_causes};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Json, ToSql};

use crate::error::WorkError;
use crate::query::Query;

/// A scope as the database has it: the row of a space, or 0 and an organization.
#[derive(Clone, Debug)]
pub(super) struct ScopeRow {
    pub(super) space: i64,
    pub(super) org: String,
}

/// A scope; `None` if its space is unknown.
pub(super) async fn scope(
    client: &impl GenericClient,
    scope: &FactScope,
) -> Result<Option<ScopeRow>, WorkError> {
    let Some(project) = &scope.project else {
        return Ok(Some(ScopeRow { space: 0, org: scope.org.clone() }));
    };
    let find = "SELECT id FROM memcloud.spaces WHERE org = $1 AND project = $2";
    let found = client.row_if_any(find, &[&scope.org, project]).await?;
    Ok(found.map(|row| ScopeRow { space: row.get(0), org: String::new() }))
}

/// The row of a space, if it is known. Other transactions that change anything in it wait until this one ends.
pub(crate) async fn lock_space(tx: &Transaction<'_>, space: &Space) -> Result<Option<i64>, WorkError> {
    let lock = "SELECT id FROM memcloud.spaces WHERE org = $1 AND project = $2 FOR NO KEY UPDATE";
    Ok(tx.row_if_any(lock, &[&space.org, &space.project]).await?.map(|row| row.get(0)))
}

/// Locks the spaces whose episodes facts of these scopes may cite, in one order.
pub(crate) async fn lock_scopes(
    tx: &Transaction<'_>,
    scopes: impl IntoIterator<Item = &FactScope>,
) -> Result<(), WorkError> {
    let lock = "SELECT s.id FROM memcloud.spaces s
                WHERE EXISTS (SELECT 1 FROM unnest($1::text[], $2::text[]) AS n (org, project)
                              WHERE n.org = s.org AND (n.project IS NULL OR n.project = s.project))
                ORDER BY s.id FOR NO KEY UPDATE";
    let scopes: BTreeSet<&FactScope> = scopes.into_iter().collect();
    let (orgs, projects): (Vec<&str>, Vec<Option<&str>>) =
        scopes.into_iter().map(|scope| (scope.org.as_str(), scope.project.as_deref())).unzip();
    tx.run(lock, &[&orgs, &projects]).await?;
    Ok(())
}

/// Sets and categories as columns, for statements about many of them.
#[derive(Default)]
pub(crate) struct TargetColumns<'a> {
    orgs: Vec<&'a str>,
    projects: Vec<Option<&'a str>>,
    metadata: Vec<Json<&'a BTreeMap<String, String>>>,
    keys: Vec<Json<Vec<&'a str>>>,
    categories: Vec<&'a str>,
}

impl<'a> TargetColumns<'a> {
    pub(super) fn of(targets: impl IntoIterator<Item = &'a FactTarget>) -> Self {
        let mut columns = Self::default();
        for FactTarget { set, category } in targets {
            columns.push(set, category);
        }
        columns
    }

    pub(super) fn of_sets(sets: impl IntoIterator<Item = &'a FactSet>) -> Self {
        let mut columns = Self::default();
        for set in sets {
            columns.push(set, "");
        }
        columns
    }

    pub(super) fn push(&mut self, set: &'a FactSet, category: &'a str) {
        self.orgs.push(&set.scope.org);
        self.projects.push(set.scope.project.as_deref());
        self.metadata.push(Json(&set.metadata));
        self.keys.push(Json(set.keys().collect()));
        self.categories.push(category);
    }

    /// The parameters `$1` to `$5` of [`named_targets`].
    pub(super) fn parameters(&self) -> [&(dyn ToSql + Sync); 5] {
        [&self.orgs, &self.projects, &self.metadata, &self.keys, &self.categories]
    }
}

/// The targets in the parameters `$1` to `$5` whose spaces are known, with their place: `space` is 0 where `org` is set.
macro_rules! named_targets {
    () => {
        "(SELECT coalesce(p.id, 0) AS space, CASE WHEN n.project IS NULL THEN n.org ELSE '' END AS org,
                 n.metadata, n.keys, n.category, n.place
          FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::text[]) WITH ORDINALITY
               AS n (org, project, metadata, keys, category, place)
          LEFT JOIN memcloud.spaces p ON p.org = n.org AND p.project = n.project
          WHERE n.project IS NULL OR p.id IS NOT NULL) AS n"
    };
}
pub(super) use named_targets;

/// Makes the sets that are new. Existing rows are excluded first, because an insert that does nothing still takes a number
/// from the sequence.
pub(super) const MAKE_SETS: &str = concat!(
    "INSERT INTO memcloud.fact_sets (space, org, metadata, keys)
     SELECT DISTINCT nullif(n.space, 0), n.org, n.metadata, n.keys FROM ",
    named_targets!(),
    " WHERE NOT EXISTS (SELECT 1 FROM memcloud.fact_sets f
                        WHERE coalesce(f.space, 0) = n.space AND f.org = n.org AND f.metadata = n.metadata)
      ON CONFLICT DO NOTHING"
);

/// Makes the targets that are new. Their sets exist.
pub(super) const MAKE_TARGETS: &str = concat!(
    "INSERT INTO memcloud.targets (fact_set, category) SELECT DISTINCT f.id, n.category FROM ",
    named_targets!(),
    " JOIN memcloud.fact_sets f
        ON coalesce(f.space, 0) = n.space AND f.org = n.org AND f.metadata = n.metadata
      WHERE NOT EXISTS (SELECT 1 FROM memcloud.targets t WHERE t.fact_set = f.id AND t.category = n.category)
      ON CONFLICT DO NOTHING"
);

/// Queues messages `$6` for these targets: since `$7`, after attempts `$8`, parked for the reasons `$9`. With `$10`, only
/// those of spaces that are learned from. The targets exist.
pub(super) const QUEUE: &str = concat!(
    "INSERT INTO memcloud.queue (target, uid, queued_at, attempts, due, parked)
     SELECT t.id, e.uid, q.since, q.attempts, q.since, q.parked FROM ",
    named_targets!(),
    " JOIN memcloud.fact_sets f
        ON coalesce(f.space, 0) = n.space AND f.org = n.org AND f.metadata = n.metadata
      JOIN memcloud.targets t ON t.fact_set = f.id AND t.category = n.category
      JOIN unnest($6::uuid[], $7::bigint[], $8::integer[], $9::text[]) WITH ORDINALITY
           AS q (uid, since, attempts, parked, place) ON q.place = n.place
      JOIN memcloud.episodes e ON e.uid = q.uid
      JOIN memcloud.spaces s ON s.id = e.space AND (s.learns OR NOT $10)
      WHERE s.id = n.space OR s.org = n.org
      ON CONFLICT DO NOTHING"
);

/// The rows of the targets whose spaces are known, made where they are new.
pub(super) async fn make(
    tx: &Transaction<'_>,
    targets: impl IntoIterator<Item = &FactTarget>,
) -> Result<HashMap<FactTarget, i64>, WorkError> {
    const FIND: &str = concat!(
        "SELECT n.place, t.id FROM ",
        named_targets!(),
        " JOIN memcloud.fact_sets f
            ON coalesce(f.space, 0) = n.space AND f.org = n.org AND f.metadata = n.metadata
          JOIN memcloud.targets t ON t.fact_set = f.id AND t.category = n.category"
    );
    let targets: BTreeSet<&FactTarget> = targets.into_iter().collect();
    let columns = TargetColumns::of(targets.iter().copied());
    tx.prepare_all(&[MAKE_SETS, MAKE_TARGETS, FIND]).await?;
    let parameters = columns.parameters();
    // They are sent in this order, and each sees what the ones before it have done.
    let (_, _, rows) = tokio::try_join!(
        biased;
        tx.run(MAKE_SETS, &parameters),
        tx.run(MAKE_TARGETS, &parameters),
        tx.rows(FIND, &parameters),
    )?;
    let places: HashMap<i64, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let known = (1..).zip(targets).filter_map(|(place, target)| Some((target.clone(), *places.get(&place)?)));
    Ok(known.collect())
}

/// The row of a target, made when it is new; `None` if its space is unknown.
pub(super) async fn make_one(tx: &Transaction<'_>, target: &FactTarget) -> Result<Option<i64>, WorkError> {
    Ok(make(tx, [target]).await?.into_values().next())
}

/// The row of a set, made when it is new; `None` if its space is unknown.
pub(super) async fn make_set(tx: &Transaction<'_>, set: &FactSet) -> Result<Option<i64>, WorkError> {
    tx.run(MAKE_SETS, &TargetColumns::of_sets([set]).parameters()).await?;
    find_set(tx, set).await
}

/// The row of a set, if it is known.
pub(super) async fn find_set(client: &impl GenericClient, set: &FactSet) -> Result<Option<i64>, WorkError> {
    let Some(scope) = scope(client, &set.scope).await? else { return Ok(None) };
    let find =
        "SELECT id FROM memcloud.fact_sets WHERE coalesce(space, 0) = $1 AND org = $2 AND metadata = $3";
    let found = client.row_if_any(find, &[&scope.space, &scope.org, &Json(&set.metadata)]).await?;
    Ok(found.map(|row| row.get(0)))
}

/// The row of a target, if it is known.
pub(super) async fn find(client: &impl GenericClient, target: &FactTarget) -> Result<Option<i64>, WorkError> {
    let Some(set) = find_set(client, &target.set).await? else { return Ok(None) };
    let find = "SELECT id FROM memcloud.targets WHERE fact_set = $1 AND category = $2";
    Ok(client.row_if_any(find, &[&set, &target.category]).await?.map(|row| row.get(0)))
}

/// A target in four columns: organization, project, metadata, category.
pub(super) fn read(row: &Row, first: usize) -> Result<FactTarget, WorkError> {
    Ok(FactTarget { set: read_set(row, first)?, category: row.get(first + 3) })
}

/// A set in three columns: organization, project, metadata.
pub(super) fn read_set(row: &Row, first: usize) -> Result<FactSet, WorkError> {
    let scope = FactScope { org: row.get(first), project: row.get(first + 1) };
    Ok(FactSet { scope, metadata: from_json(row, first + 2)? })
}

/// The value of a column that has JSON.
pub(super) fn from_json<'r, T>(row: &'r Row, column: usize) -> Result<T, WorkError>
where
    Json<T>: FromSql<'r>,
{
    match row.try_get(column) {
        Ok(Json(value)) => Ok(value),
        Err(error) => Err(Error::StorageDamaged { what: with_causes(&error) }.into()),
    }
}
