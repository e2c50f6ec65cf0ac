//! What is known, now and in the past.

use std::collections::HashSet;

use deadpool_postgres::{Object, Transaction};
use memcloud_domain::{EpisodeId, Fact, FactId, Space, Timestamp};
use memcloud_ports::{Changed, ClaimedBatch, EmbeddedFact, FactsOf, RevisionSet};
use pgvector::HalfVector;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{queue, subjects};
use crate::error::WorkError;
use crate::read::moment;
use crate::{id, uuid};

/// What every read of facts selects, in the order that [`fact`] expects.
macro_rules! select_facts {
    ($rest:literal) => {
        concat!(
            "SELECT f.id, p.org, p.project, s.owner, s.category, f.tag, f.feature, f.value, f.valid_from, f.valid_to, ",
            "f.learned_at, f.prompt, f.model, f.vector, ",
            "ARRAY(SELECT c.uid FROM memcloud.citations c WHERE c.feature = f.id ORDER BY c.uid) ",
            "FROM memcloud.features f JOIN memcloud.subjects s ON s.id = f.subject ",
            "JOIN memcloud.spaces p ON p.id = s.space ",
            $rest
        )
    };
}

fn fact(row: &Row) -> Result<EmbeddedFact, WorkError> {
    let valid_to = match row.get::<_, Option<i64>>(9) {
        Some(_) => Some(moment(row, 9)?),
        None => None,
    };
    let fact = Fact {
        id: FactId::from_number(row.get(0)),
        subject: subjects::read(row, 1),
        tag: row.get(5),
        name: row.get(6),
        value: row.get(7),
        citations: row.get::<_, Vec<Uuid>>(14).into_iter().map(id).collect(),
        valid_from: moment(row, 8)?,
        valid_to,
        learned_at: moment(row, 10)?,
        prompt: row.get(11),
        model: row.get(12),
    };
    Ok(EmbeddedFact { fact, vector: row.get::<_, Option<HalfVector>>(13).map(Into::into) })
}

/// Facts of a space, in the order in which they were learned.
pub(super) async fn of(client: Object, of: &FactsOf) -> Result<Vec<EmbeddedFact>, WorkError> {
    let select = client
        .prepare_cached(select_facts!(
            "WHERE p.org = $1 AND p.project = $2 AND ($3::text[] IS NULL OR s.owner = ANY($3))
               AND ($4::text IS NULL OR s.category = $4)
               AND (($5::bigint IS NULL AND f.valid_to IS NULL)
                 OR (f.valid_from <= $5 AND (f.valid_to IS NULL OR f.valid_to > $5)))
             ORDER BY f.id"
        ))
        .await?;
    let as_of = of.as_of.map(Timestamp::as_micros);
    let rows =
        client.query(&select, &[&of.space.org, &of.space.project, &of.owners, &of.category, &as_of]).await?;
    rows.iter().map(fact).collect()
}

/// Facts of all spaces by id, after this one.
pub(super) async fn all(
    client: Object,
    after: Option<FactId>,
    limit: usize,
) -> Result<Vec<EmbeddedFact>, WorkError> {
    let select = client.prepare_cached(select_facts!("WHERE f.id > $1 ORDER BY f.id LIMIT $2")).await?;
    let (after, limit) = (after.map_or(i64::MIN, FactId::number), i64::try_from(limit).unwrap_or(i64::MAX));
    client.query(&select, &[&after, &limit]).await?.iter().map(fact).collect()
}

/// Keeps what was learned, unless the lease was lost.
pub(super) async fn learn(
    client: &mut Object,
    assignment: &ClaimedBatch,
    lessons: &RevisionSet,
) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    let space = subjects::lock_space(&tx, &lessons.subject.space).await?;
    let Some(leased) = queue::leased(&tx, assignment).await? else { return Ok(false) };
    if let Some(space) = space {
        change(&tx, space, lessons).await?;
    }
    queue::finish(&tx, leased, assignment).await?;
    tx.commit().await?;
    Ok(true)
}

/// Changes what is known, and says how many revisions took effect.
pub(super) async fn revise(client: &mut Object, lessons: &RevisionSet) -> Result<usize, WorkError> {
    let tx = client.transaction().await?;
    let Some(space) = subjects::lock_space(&tx, &lessons.subject.space).await? else { return Ok(0) };
    let effects = change(&tx, space, lessons).await?;
    tx.commit().await?;
    Ok(effects)
}

/// The lock held while facts get their numbers, which are unique in all spaces: "memfacts" in ASCII.
const NUMBERS: i64 = 0x6d65_6d66_6163_7473;

async fn change(tx: &Transaction<'_>, space: i64, lessons: &RevisionSet) -> Result<usize, WorkError> {
    let subject = subjects::make(tx, space, &lessons.subject).await?;
    let stored = stored(tx, space, lessons.cited()).await?;
    let (holding, lock, newest) = tokio::try_join!(
        tx.prepare_cached(select_facts!("WHERE f.subject = $1 AND f.valid_to IS NULL ORDER BY f.id")),
        tx.prepare_cached("SELECT pg_advisory_xact_lock($1)"),
        tx.prepare_cached("SELECT max(id) FROM memcloud.features"),
    )?;
    let of_subject: [&(dyn ToSql + Sync); 1] = [&subject];
    let of_all: [&(dyn ToSql + Sync); 1] = [&NUMBERS];
    // The server reads the newest number when it has the lock.
    let (holding, _, newest) = tokio::try_join!(
        biased;
        tx.query(&holding, &of_subject),
        tx.execute(&lock, &of_all),
        tx.query_one(&newest, &[]),
    )?;
    let current = holding.iter().map(fact).collect::<Result<Vec<EmbeddedFact>, WorkError>>()?;
    let newest: Option<i64> = newest.get(0);
    let changed = lessons.change(current, newest.map(FactId::from_number), stored);
    write(tx, subject, &changed).await?;
    Ok(changed.effects)
}

/// Those of the episodes that exist in this space.
async fn stored(
    tx: &Transaction<'_>,
    space: i64,
    episodes: impl IntoIterator<Item = EpisodeId>,
) -> Result<HashSet<EpisodeId>, WorkError> {
    let select =
        tx.prepare_cached("SELECT uid FROM memcloud.episodes WHERE uid = ANY($1) AND space = $2").await?;
    let uids: Vec<Uuid> = episodes.into_iter().map(|episode| uuid(&episode)).collect();
    Ok(tx.query(&select, &[&uids, &space]).await?.iter().map(|row| id(row.get(0))).collect())
}

async fn write(tx: &Transaction<'_>, subject: i64, changed: &Changed) -> Result<(), WorkError> {
    insert(tx, &changed.learned.iter().map(|fact| (subject, fact)).collect::<Vec<_>>()).await?;
    cite(tx, &changed.cited).await?;
    let end = tx
        .prepare_cached(
            "UPDATE memcloud.features f SET valid_to = e.at
             FROM unnest($1::bigint[], $2::bigint[]) AS e (id, at) WHERE f.id = e.id",
        )
        .await?;
    let (ids, ends): (Vec<i64>, Vec<i64>) =
        changed.ended.iter().map(|(id, at)| (id.number(), at.as_micros())).unzip();
    if !ids.is_empty() {
        tx.execute(&end, &[&ids, &ends]).await?;
    }
    Ok(())
}

const FEATURES: &str = "INSERT INTO memcloud.features
        (id, subject, tag, feature, value, valid_from, valid_to, learned_at, prompt, model, vector)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                         $8::bigint[], $9::text[], $10::text[], $11::halfvec[])";

/// Writes facts, each about the subject in this row, with their citations.
async fn insert(tx: &Transaction<'_>, facts: &[(i64, &EmbeddedFact)]) -> Result<(), WorkError> {
    if facts.is_empty() {
        return Ok(());
    }
    let insert = tx.prepare_cached(FEATURES).await?;
    let facts_alone = || facts.iter().map(|(_, fact)| &fact.fact);
    let numbers = |of: fn(&Fact) -> i64| facts_alone().map(of).collect::<Vec<i64>>();
    let texts = |of: fn(&Fact) -> &str| facts_alone().map(of).collect::<Vec<&str>>();
    let columns: &[&(dyn ToSql + Sync)] = &[
        &numbers(|f| f.id.number()),
        &facts.iter().map(|(subject, _)| *subject).collect::<Vec<i64>>(),
        &texts(|f| &f.tag),
        &texts(|f| &f.name),
        &texts(|f| &f.value),
        &numbers(|f| f.valid_from.as_micros()),
        &facts_alone().map(|f| f.valid_to.map(Timestamp::as_micros)).collect::<Vec<Option<i64>>>(),
        &numbers(|f| f.learned_at.as_micros()),
        &texts(|f| &f.prompt),
        &texts(|f| &f.model),
        &facts.iter().map(|(_, fact)| fact.vector.clone().map(HalfVector::from)).collect::<Vec<_>>(),
    ];
    tx.execute(&insert, columns).await?;
    let cited = facts_alone().flat_map(|f| f.citations.iter().map(|episode| (f.id, *episode)));
    cite(tx, &cited.collect::<Vec<_>>()).await
}

async fn cite(tx: &Transaction<'_>, citations: &[(FactId, EpisodeId)]) -> Result<(), WorkError> {
    let (ids, uids): (Vec<i64>, Vec<Uuid>) =
        citations.iter().map(|(id, episode)| (id.number(), uuid(episode))).unzip();
    if ids.is_empty() {
        return Ok(());
    }
    let insert = tx
        .prepare_cached(
            "INSERT INTO memcloud.citations (feature, uid)
             SELECT * FROM unnest($1::bigint[], $2::uuid[]) ON CONFLICT DO NOTHING",
        )
        .await?;
    tx.execute(&insert, &[&ids, &uids]).await?;
    Ok(())
}

/// Keeps facts as they are.
pub(super) async fn put(client: &mut Object, facts: &[EmbeddedFact]) -> Result<(), WorkError> {
    let tx = client.transaction().await?;
    let rows = subjects::lock_and_make(&tx, facts.iter().map(|fact| &fact.fact.subject)).await?;
    let known = tx.prepare_cached("SELECT id FROM memcloud.features WHERE id = ANY($1)").await?;
    let ids: Vec<i64> = facts.iter().map(|fact| fact.fact.id.number()).collect();
    let known: HashSet<i64> = tx.query(&known, &[&ids]).await?.iter().map(|row| row.get(0)).collect();
    let stored = stored_with(&tx, facts).await?;
    let mut kept: Vec<(i64, EmbeddedFact)> = facts
        .iter()
        .filter(|fact| !known.contains(&fact.fact.id.number()))
        .filter_map(|fact| Some((*rows.get(&fact.fact.subject)?, fact.clone())))
        .collect();
    for (_, EmbeddedFact { fact, .. }) in &mut kept {
        let space = &fact.subject.space;
        fact.citations.retain(|episode| stored.contains(&(space.clone(), *episode)));
    }
    kept.retain(|(_, fact)| !fact.fact.citations.is_empty());
    insert(&tx, &kept.iter().map(|(subject, fact)| (*subject, fact)).collect::<Vec<_>>()).await?;
    tx.commit().await?;
    Ok(())
}

/// Those of the episodes that facts cite which exist, with their spaces.
async fn stored_with(
    tx: &Transaction<'_>,
    facts: &[EmbeddedFact],
) -> Result<HashSet<(Space, EpisodeId)>, WorkError> {
    let select = tx
        .prepare_cached(
            "SELECT p.org, p.project, e.uid FROM memcloud.episodes e JOIN memcloud.spaces p ON p.id = e.space
             WHERE e.uid = ANY($1)",
        )
        .await?;
    let uids: Vec<Uuid> = facts.iter().flat_map(|fact| fact.fact.citations.iter().map(uuid)).collect();
    let rows = tx.query(&select, &[&uids]).await?;
    let stored = rows.iter().map(|row| (Space { org: row.get(0), project: row.get(1) }, id(row.get(2))));
    Ok(stored.collect())
}

/// Deletes a fact, if this space has it.
pub(super) async fn delete(mut client: Object, space: &Space, id: FactId) -> Result<bool, WorkError> {
    let tx = client.transaction().await?;
    let Some(space) = subjects::lock_space(&tx, space).await? else { return Ok(false) };
    let delete = tx
        .prepare_cached(
            "DELETE FROM memcloud.features f USING memcloud.subjects s
             WHERE f.id = $1 AND s.id = f.subject AND s.space = $2",
        )
        .await?;
    let deleted = tx.execute(&delete, &[&id.number(), &space]).await?;
    tx.commit().await?;
    Ok(deleted == 1)
}

/// Takes deleted episodes out of the queue and out of all citations, and deletes the facts that rest on no other. Their
/// space is locked.
pub(crate) async fn forget(tx: &Transaction<'_>, episodes: &[EpisodeId]) -> Result<(), WorkError> {
    let (unqueue, uncite) = tokio::try_join!(
        tx.prepare_cached("DELETE FROM memcloud.lessons WHERE uid = ANY($1)"),
        tx.prepare_cached("DELETE FROM memcloud.citations WHERE uid = ANY($1) RETURNING feature"),
    )?;
    let uids: Vec<Uuid> = episodes.iter().map(uuid).collect();
    let parameters: [&(dyn ToSql + Sync); 1] = [&uids];
    let (_, uncited) = tokio::try_join!(tx.execute(&unqueue, &parameters), tx.query(&uncite, &parameters))?;
    let features: Vec<i64> = uncited.iter().map(|row| row.get(0)).collect();
    if features.is_empty() {
        return Ok(());
    }
    let baseless = tx
        .prepare_cached(
            "DELETE FROM memcloud.features f WHERE f.id = ANY($1)
               AND NOT EXISTS (SELECT 1 FROM memcloud.citations c WHERE c.feature = f.id)",
        )
        .await?;
    tx.execute(&baseless, &[&features]).await?;
    Ok(())
}
