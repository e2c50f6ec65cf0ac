//! Facts, current and past.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::{GenericClient, Object, Transaction};
use memcloud_domain::{EpisodeId, Fact, FactId, FactScope, Metadata, Space, Timestamp};
use memcloud_ports::{
    Changed, ClaimedBatch, Damage, DamagedRow, EmbeddedFact, FactChanges, FactSets, FactsOf, RevisionSet,
};
use pgvector::HalfVector;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use super::queue;
use super::targets::{self, TargetColumns, named_targets};
use crate::error::WorkError;
use crate::query::Query;
use crate::read::{limited, moment};
use crate::{id, uuid};

/// What every read of facts selects, in the order that [`fact`] expects.
macro_rules! select_facts {
    ($($rest:tt)*) => {
        concat!(
            "SELECT f.id, coalesce(p.org, s.org), p.project, s.metadata, t.category, f.tag, f.feature, f.value, ",
            "f.valid_from, f.valid_to, f.learned_at, f.prompt, f.model, f.vector, ",
            "ARRAY(SELECT c.uid FROM memcloud.fact_citations c WHERE c.fact = f.id ORDER BY c.uid), f.metadata ",
            "FROM memcloud.facts f JOIN memcloud.targets t ON t.id = f.target ",
            "JOIN memcloud.fact_sets s ON s.id = t.fact_set LEFT JOIN memcloud.spaces p ON p.id = s.space ",
            $($rest)*
        )
    };
}

/// The facts of these rows. Those that cannot be read are noted and left out.
fn readable<'r>(damage: &Damage<EpisodeId>, rows: impl IntoIterator<Item = &'r Row>) -> Vec<EmbeddedFact> {
    let noted = |row: &'r Row| {
        let read = fact(row).ok();
        if read.is_none() {
            damage.note_row(DamagedRow::Fact(FactId::from_number(row.get(0))));
        }
        read
    };
    rows.into_iter().filter_map(noted).collect()
}

fn fact(row: &Row) -> Result<EmbeddedFact, WorkError> {
    let valid_to = match row.get::<_, Option<i64>>(9) {
        Some(_) => Some(moment(row, 9)?),
        None => None,
    };
    let fact = Fact {
        id: FactId::from_number(row.get(0)),
        target: targets::read(row, 1)?,
        tag: row.get(5),
        name: row.get(6),
        value: row.get(7),
        metadata: targets::from_json(row, 15)?,
        citations: row.get::<_, Vec<Uuid>>(14).into_iter().map(id).collect(),
        valid_from: moment(row, 8)?,
        valid_to,
        learned_at: moment(row, 10)?,
        prompt: row.get(11),
        model: row.get(12),
    };
    Ok(EmbeddedFact { fact, vector: row.get::<_, Option<HalfVector>>(13).map(Into::into) })
}

/// The facts of some sets, in the order in which they were learned.
pub(super) async fn of(
    client: Object,
    damage: &Damage<EpisodeId>,
    of: &FactsOf,
) -> Result<Vec<EmbeddedFact>, WorkError> {
    let select = select_facts!(
        "WHERE t.fact_set IN (SELECT f.id FROM ",
        named_targets!(),
        " JOIN memcloud.fact_sets f
                ON coalesce(f.space, 0) = n.space AND f.org = n.org AND f.metadata = n.metadata
              UNION ALL SELECT f.id FROM memcloud.fact_sets f
              WHERE coalesce(f.space, 0) = CASE WHEN $7::text IS NULL THEN 0 ELSE
                        (SELECT q.id FROM memcloud.spaces q WHERE q.org = $6 AND q.project = $7) END
                AND f.org = CASE WHEN $7 IS NULL THEN $6 ELSE '' END)
              AND ($8::text IS NULL OR t.category = $8)
              AND (($9::bigint IS NULL AND f.valid_to IS NULL)
                OR (f.valid_from <= $9 AND (f.valid_to IS NULL OR f.valid_to > $9)))
              ORDER BY f.id"
    );
    let (sets, org, project) = match &of.sets {
        FactSets::Of(scope) => (&[][..], scope.org.as_str(), scope.project.as_deref()),
        FactSets::These(sets) => (&sets[..], "", None),
    };
    let (columns, as_of) = (TargetColumns::of_sets(sets), of.as_of.map(Timestamp::as_micros));
    let of_scope: [&(dyn ToSql + Sync); 4] = [&org, &project, &of.category, &as_of];
    let parameters: Vec<_> = columns.parameters().into_iter().chain(of_scope).collect();
    Ok(readable(damage, &client.rows(select, &parameters).await?))
}

/// A fact, if it is known and can be read.
pub(super) async fn find(
    client: &impl GenericClient,
    damage: &Damage<EpisodeId>,
    id: FactId,
) -> Result<Option<EmbeddedFact>, WorkError> {
    let select = select_facts!("WHERE f.id = $1");
    Ok(readable(damage, &client.row_if_any(select, &[&id.number()]).await?).pop())
}

/// All facts by id, after this one.
pub(crate) async fn all(
    client: &Object,
    damage: &Damage<EpisodeId>,
    after: Option<FactId>,
    limit: usize,
) -> Result<Vec<EmbeddedFact>, WorkError> {
    let select = select_facts!("WHERE f.id > $1 ORDER BY f.id LIMIT $2");
    let (mut after, mut found) = (after.map_or(i64::MIN, FactId::number), Vec::new());
    // Rows that cannot be read do not count toward the limit.
    while found.len() < limit {
        let rows = client.rows(select, &[&after, &limited(limit - found.len())]).await?;
        let Some(last) = rows.last() else { break };
        after = last.get(0);
        found.extend(readable(damage, &rows));
    }
    Ok(found)
}

/// Stores what was learned, unless the lease was lost.
pub(super) async fn learn(
    client: &mut Object,
    damage: &Damage<EpisodeId>,
    batch: &ClaimedBatch,
    set: &RevisionSet,
) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    targets::lock_scopes(&tx, [&set.target.set.scope]).await?;
    let Some(leased) = queue::leased(&tx, batch).await? else { return Ok(false) };
    change(&tx, damage, set).await?;
    queue::finish(&tx, leased, batch).await?;
    tx.commit().await?;
    Ok(true)
}

/// Changes what is known about a target; `None` if its space is unknown.
pub(super) async fn revise(
    client: &mut Object,
    damage: &Damage<EpisodeId>,
    set: &RevisionSet,
) -> Result<Option<Changed>, WorkError> {
    let tx = client.transaction().await?;
    targets::lock_scopes(&tx, [&set.target.set.scope]).await?;
    let changed = change(&tx, damage, set).await?;
    tx.commit().await?;
    Ok(changed)
}

/// The lock held while facts get their ids, which are unique in all sets: "memfacts" in ASCII.
const NUMBERS: i64 = 0x6d65_6d66_6163_7473;

async fn change(
    tx: &Transaction<'_>,
    damage: &Damage<EpisodeId>,
    set: &RevisionSet,
) -> Result<Option<Changed>, WorkError> {
    const HOLDING: &str = select_facts!("WHERE f.target = $1 AND f.valid_to IS NULL ORDER BY f.id");
    const LOCK: &str = "SELECT pg_advisory_xact_lock($1)";
    const NEWEST: &str = "SELECT max(id) FROM memcloud.facts";
    let Some(target) = targets::make_one(tx, &set.target).await? else { return Ok(None) };
    let stored = stored(tx, &set.target.set.scope, set.cited()).await?;
    tx.prepare_all(&[HOLDING, LOCK, NEWEST]).await?;
    let of_target: [&(dyn ToSql + Sync); 1] = [&target];
    let of_all: [&(dyn ToSql + Sync); 1] = [&NUMBERS];
    // The server reads the newest id when it has the lock.
    let (holding, _, newest) = tokio::try_join!(
        biased;
        tx.rows(HOLDING, &of_target),
        tx.run(LOCK, &of_all),
        tx.row(NEWEST, &[]),
    )?;
    let newest: Option<i64> = newest.get(0);
    let changed = set.change(readable(damage, &holding), newest.map(FactId::from_number), stored);
    write(tx, target, &changed).await?;
    Ok(Some(changed))
}

/// Those of the episodes that exist in the scope.
async fn stored(
    tx: &Transaction<'_>,
    scope: &FactScope,
    episodes: impl IntoIterator<Item = EpisodeId>,
) -> Result<HashSet<EpisodeId>, WorkError> {
    let select = "SELECT e.uid FROM memcloud.episodes e JOIN memcloud.spaces p ON p.id = e.space
                  WHERE e.uid = ANY($1) AND p.org = $2 AND ($3::text IS NULL OR p.project = $3)";
    let uids: Vec<Uuid> = episodes.into_iter().map(|episode| uuid(&episode)).collect();
    let rows = tx.rows(select, &[&uids, &scope.org, &scope.project]).await?;
    Ok(rows.iter().map(|row| id(row.get(0))).collect())
}

async fn write(tx: &Transaction<'_>, target: i64, changed: &Changed) -> Result<(), WorkError> {
    insert(tx, &changed.learned.iter().map(|fact| (target, fact)).collect::<Vec<_>>()).await?;
    cite(tx, &changed.cited).await?;
    let end = "UPDATE memcloud.facts f SET valid_to = e.at
               FROM unnest($1::bigint[], $2::bigint[]) AS e (id, at) WHERE f.id = e.id";
    let (ids, ends): (Vec<i64>, Vec<i64>) =
        changed.ended.iter().map(|(id, at)| (id.number(), at.as_micros())).unzip();
    if !ids.is_empty() {
        tx.run(end, &[&ids, &ends]).await?;
    }
    Ok(())
}

const FACTS: &str = "INSERT INTO memcloud.facts
        (id, target, tag, feature, value, metadata, valid_from, valid_to, learned_at, prompt, model, vector)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::json[], $7::bigint[],
                         $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::halfvec[])
    ON CONFLICT (id) DO UPDATE SET target = EXCLUDED.target, tag = EXCLUDED.tag, feature = EXCLUDED.feature,
        value = EXCLUDED.value, metadata = EXCLUDED.metadata, vector = EXCLUDED.vector";

/// Stores facts, each for the target in this row, with their citations; or replaces those with the same ids.
async fn insert(tx: &Transaction<'_>, facts: &[(i64, &EmbeddedFact)]) -> Result<(), WorkError> {
    if facts.is_empty() {
        return Ok(());
    }
    let facts_alone = || facts.iter().map(|(_, fact)| &fact.fact);
    let numbers = |of: fn(&Fact) -> i64| facts_alone().map(of).collect::<Vec<i64>>();
    let texts = |of: fn(&Fact) -> &str| facts_alone().map(of).collect::<Vec<&str>>();
    let columns: &[&(dyn ToSql + Sync)] = &[
        &numbers(|f| f.id.number()),
        &facts.iter().map(|(target, _)| *target).collect::<Vec<i64>>(),
        &texts(|f| &f.tag),
        &texts(|f| &f.name),
        &texts(|f| &f.value),
        &facts_alone().map(|f| Json(&f.metadata)).collect::<Vec<Json<&Metadata>>>(),
        &numbers(|f| f.valid_from.as_micros()),
        &facts_alone().map(|f| f.valid_to.map(Timestamp::as_micros)).collect::<Vec<Option<i64>>>(),
        &numbers(|f| f.learned_at.as_micros()),
        &texts(|f| &f.prompt),
        &texts(|f| &f.model),
        &facts.iter().map(|(_, fact)| fact.vector.clone().map(HalfVector::from)).collect::<Vec<_>>(),
    ];
    tx.run(FACTS, columns).await?;
    let cited = facts_alone().flat_map(|f| f.citations.iter().map(|episode| (f.id, *episode)));
    cite(tx, &cited.collect::<Vec<_>>()).await
}

/// Changes a fact of this scope; `false` if it is unknown there.
pub(super) async fn update(
    client: &mut Object,
    damage: &Damage<EpisodeId>,
    scope: &FactScope,
    id: FactId,
    changes: &FactChanges,
) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    targets::lock_scopes(&tx, [scope]).await?;
    let known = find(&tx, damage, id).await?.filter(|known| known.fact.target.set.scope == *scope);
    let Some(known) = known else { return Ok(false) };
    let stored = stored(&tx, scope, changes.citations.iter().flatten().copied()).await?;
    let changed = changes.apply(known, stored);
    let Some(target) = targets::make_one(&tx, &changed.fact.target).await? else { return Ok(false) };
    tx.execute("DELETE FROM memcloud.fact_citations WHERE fact = $1", &[&id.number()]).await?;
    insert(&tx, &[(target, &changed)]).await?;
    tx.commit().await?;
    Ok(true)
}

async fn cite(tx: &Transaction<'_>, citations: &[(FactId, EpisodeId)]) -> Result<(), WorkError> {
    let (ids, uids): (Vec<i64>, Vec<Uuid>) =
        citations.iter().map(|(id, episode)| (id.number(), uuid(episode))).unzip();
    if ids.is_empty() {
        return Ok(());
    }
    let insert = "INSERT INTO memcloud.fact_citations (fact, uid)
                  SELECT * FROM unnest($1::bigint[], $2::uuid[]) ON CONFLICT DO NOTHING";
    tx.run(insert, &[&ids, &uids]).await?;
    Ok(())
}

/// Stores facts unchanged.
pub(super) async fn put(client: &mut Object, facts: &[EmbeddedFact]) -> Result<(), WorkError> {
    let tx = client.transaction().await?;
    targets::lock_scopes(&tx, facts.iter().map(|fact| &fact.fact.target.set.scope)).await?;
    let known = tx.prepare_cached("SELECT id FROM memcloud.facts WHERE id = ANY($1)").await?;
    let ids: Vec<i64> = facts.iter().map(|fact| fact.fact.id.number()).collect();
    let known: HashSet<i64> = tx.query(&known, &[&ids]).await?.iter().map(|row| row.get(0)).collect();
    let stored = spaces_of(&tx, facts).await?;
    let mut new = Vec::new();
    for fact in facts.iter().filter(|fact| !known.contains(&fact.fact.id.number())) {
        let mut fact = fact.clone();
        let Fact { target, citations, .. } = &mut fact.fact;
        let cited = citations.len();
        citations.retain(|id| stored.get(id).is_some_and(|space| target.set.scope.contains(space)));
        if cited == 0 || !citations.is_empty() {
            new.push(fact);
        }
    }
    let rows = targets::make(&tx, new.iter().map(|fact| &fact.fact.target)).await?;
    let new: Vec<(i64, &EmbeddedFact)> =
        new.iter().filter_map(|fact| Some((*rows.get(&fact.fact.target)?, fact))).collect();
    insert(&tx, &new).await?;
    tx.commit().await?;
    Ok(())
}

/// The spaces of the episodes that facts cite. Those that are not stored are left out.
async fn spaces_of(
    tx: &Transaction<'_>,
    facts: &[EmbeddedFact],
) -> Result<HashMap<EpisodeId, Space>, WorkError> {
    let select =
        "SELECT e.uid, p.org, p.project FROM memcloud.episodes e JOIN memcloud.spaces p ON p.id = e.space
             WHERE e.uid = ANY($1)";
    let uids: Vec<Uuid> = facts.iter().flat_map(|fact| fact.fact.citations.iter().map(uuid)).collect();
    let rows = tx.rows(select, &[&uids]).await?;
    let spaces = rows.iter().map(|row| (id(row.get(0)), Space { org: row.get(1), project: row.get(2) }));
    Ok(spaces.collect())
}

/// Deletes a fact; `false` if it is unknown in this scope.
pub(super) async fn delete(client: &mut Object, scope: &FactScope, id: FactId) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    targets::lock_scopes(&tx, [scope]).await?;
    let Some(scope) = targets::scope(&tx, scope).await? else { return Ok(false) };
    let delete = "DELETE FROM memcloud.facts WHERE id = $1 AND target IN (
                      SELECT t.id FROM memcloud.targets t JOIN memcloud.fact_sets s ON s.id = t.fact_set
                      WHERE coalesce(s.space, 0) = $2 AND s.org = $3)";
    let deleted = tx.execute(delete, &[&id.number(), &scope.space, &scope.org]).await?;
    tx.commit().await?;
    Ok(deleted == 1)
}

/// Removes deleted episodes from the queue and from all citations, and deletes the facts that cited them and no others.
/// Their space is locked.
pub(crate) async fn forget(tx: &Transaction<'_>, episodes: &[EpisodeId]) -> Result<(), WorkError> {
    const UNQUEUE: &str = "DELETE FROM memcloud.queue WHERE uid = ANY($1)";
    const UNCITE: &str = "DELETE FROM memcloud.fact_citations WHERE uid = ANY($1) RETURNING fact";
    tx.prepare_all(&[UNQUEUE, UNCITE]).await?;
    let uids: Vec<Uuid> = episodes.iter().map(uuid).collect();
    let parameters: [&(dyn ToSql + Sync); 1] = [&uids];
    let (_, uncited) = tokio::try_join!(tx.run(UNQUEUE, &parameters), tx.rows(UNCITE, &parameters))?;
    let facts: Vec<i64> = uncited.iter().map(|row| row.get(0)).collect();
    if facts.is_empty() {
        return Ok(());
    }
    let baseless = "DELETE FROM memcloud.facts f WHERE f.id = ANY($1)
                    AND NOT EXISTS (SELECT 1 FROM memcloud.fact_citations c WHERE c.fact = f.id)";
    tx.run(baseless, &[&facts]).await?;
    Ok(())
}
