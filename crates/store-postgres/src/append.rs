//! Stores a batch in one transaction. Statements that do not need each other's results are sent together.

use std::sync::atomic::{AtomicBool, Ordering};

use std::collections::BTreeSet;

use deadpool_postgres::{GenericClient, Object, Transaction};
use memcloud_domain::{Database, EpisodeId, Error, Member};
use memcloud_ports::{Appended, Batch, DAY, Idempotency, Intent, LIFE_BITS, REMEMBERED_DAYS};
use pgvector::HalfVector;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use crate::error::WorkError;
use crate::profile::queue::{self, MessageColumns};
use crate::query::Query;
use crate::{id, intents, spaces, uuid};

/// Stores a batch, and settles the intent under which Neo4j wrote it. May be called again with the same batch: it is
/// stored once.
///
/// Sets `committing` before COMMIT. If the caller gives up after that, the outcome is unknown.
pub(crate) async fn append(
    mut client: Object,
    batch: &Batch,
    intent: Option<Intent>,
    committing: &AtomicBool,
) -> Result<Appended, WorkError> {
    retry_conflicts!(append_once(&mut client, batch, intent, committing))
}

/// The result of writing a batch, before the commit.
enum Written {
    New,
    Repeated(Vec<EpisodeId>),
    /// The intent is settled or withdrawn already.
    NotIntended,
}

async fn append_once(
    client: &mut Object,
    batch: &Batch,
    intent: Option<Intent>,
    committing: &AtomicBool,
) -> Result<Appended, WorkError> {
    let tx = client.transaction().await?;
    let doubtful = match write(&tx, batch, intent).await {
        Ok(Written::New) => {
            committing.store(true, Ordering::Relaxed);
            commit(tx).await?;
            return Ok(Appended::Stored);
        }
        Ok(Written::Repeated(ids)) => return Ok(Appended::Repeated(ids)),
        Ok(Written::NotIntended) => Error::Withdrawn.into(),
        Err(failure) if failure.violates("episodes_pkey") => failure,
        Err(failure) => return Err(failure),
    };
    tx.rollback().await?;
    committing.store(false, Ordering::Relaxed);
    // The first of two attempts may have been committed.
    if is_stored(client, batch).await? { Ok(Appended::Stored) } else { Err(doubtful) }
}

/// Commits. If the connection breaks here, the outcome is unknown.
async fn commit(tx: Transaction<'_>) -> Result<(), WorkError> {
    tx.commit().await.map_err(|error| {
        let error = WorkError::from(error).doing("storing episodes");
        let unknown = Error::OutcomeUnknown { database: Database::Postgres };
        if error.lost_connection() { unknown } else { error }
    })?;
    Ok(())
}

async fn write(tx: &Transaction<'_>, batch: &Batch, intent: Option<Intent>) -> Result<Written, WorkError> {
    if let Some(idempotency) = &batch.idempotency
        && let Some(ids) = repeated_under_lock(tx, idempotency, stored_at(batch)).await?
    {
        return Ok(Written::Repeated(ids));
    }
    // Preparing takes a round trip: all statements are prepared before the first is sent.
    let of_batch = [intents::SETTLE, spaces::MAKE, SESSIONS, MEMBERS, REQUEST, EPISODES];
    tx.prepare_all(&[&of_batch[..], &queue::STATEMENTS].concat()).await?;
    let messages = MessageColumns::of(batch);
    // They are sent in this order when they are first polled. The server runs them one after the other.
    let (settled, (), (), (), (), inserted, ()) = tokio::try_join!(
        biased;
        settle(tx, intent),
        make_space(tx, batch),
        make_sessions(tx, batch),
        add_members(tx, batch),
        remember(tx, batch),
        insert(tx, batch),
        queue::add(tx, &messages, true),
    )?;
    if !settled {
        return Ok(Written::NotIntended);
    }
    let count = batch.episodes.len() as u64;
    if inserted == 0 && spaces::is_being_deleted(tx, &batch.space).await? {
        return Err(Error::SpaceDeleting(batch.space.clone()).into());
    }
    if inserted == count {
        return Ok(Written::New);
    }
    Err(WorkError::SessionRemoved)
}

const SESSIONS: &str = "INSERT INTO memcloud.sessions (space, name)
    SELECT s.id, n.name FROM memcloud.spaces s, unnest($3::text[]) WITH ORDINALITY AS n (name, place)
    WHERE s.org = $1 AND s.project = $2
      AND NOT EXISTS (SELECT 1 FROM memcloud.sessions t WHERE t.space = s.id AND t.name = n.name)
    ORDER BY n.place
    ON CONFLICT DO NOTHING";

const MEMBERS: &str = "INSERT INTO memcloud.members (session, role, name)
    SELECT t.id, m.role, m.name
    FROM unnest($3::text[], $4::smallint[], $5::text[]) AS m (session, role, name)
    JOIN memcloud.spaces s ON s.org = $1 AND s.project = $2
    JOIN memcloud.sessions t ON t.space = s.id AND t.name = m.session
    ON CONFLICT DO NOTHING";

const REQUEST: &str = "INSERT INTO memcloud.requests (key, at, request, uids) VALUES ($1, $2, $3, $4)
    ON CONFLICT (key) DO UPDATE SET at = $2, request = $3, uids = $4";

/// Takes the space's next sequence numbers and writes the episodes under them.
const EPISODES: &str = "WITH space AS (
        UPDATE memcloud.spaces SET head = head + $3, episodes = episodes + $3 WHERE org = $1 AND project = $2
        RETURNING id, head - $3 AS before
    )
    INSERT INTO memcloud.episodes (uid, space, session, seq, purpose, producer, produced_for, role, kind, created_at,
                                   ingested_at, analysis, vector, metadata, content)
    SELECT e.uid, space.id, t.id, space.before + e.place, e.purpose, e.producer, e.produced_for, e.role, e.kind,
           e.created_at, e.ingested_at, e.analysis, e.vector, e.metadata, e.content
    FROM space
    CROSS JOIN unnest($4::uuid[], $5::text[], $6::smallint[], $7::text[], $8::text[], $9::text[], $10::text[],
                      $11::bigint[], $12::bigint[], $13::bytea[], $14::halfvec[], $15::json[], $16::text[])
         WITH ORDINALITY AS e (uid, session, purpose, producer, produced_for, role, kind, created_at, ingested_at,
                               analysis, vector, metadata, content, place)
    JOIN memcloud.sessions t ON t.space = space.id AND t.name = e.session";

async fn settle(tx: &Transaction<'_>, intent: Option<Intent>) -> Result<bool, WorkError> {
    match intent {
        Some(intent) => Ok(tx.run(intents::SETTLE, &[&intents::name(intent)]).await? == 1),
        None => Ok(true),
    }
}

async fn make_space(tx: &Transaction<'_>, batch: &Batch) -> Result<(), WorkError> {
    tx.run(spaces::MAKE, &[&batch.space.org, &batch.space.project, &(LIFE_BITS as i32)]).await?;
    Ok(())
}

/// Makes all sessions of the batch that are new, in the order of their first mention.
async fn make_sessions(tx: &Transaction<'_>, batch: &Batch) -> Result<(), WorkError> {
    let named = batch.sessions.iter().map(|(name, _)| name);
    let mut seen = BTreeSet::new();
    let names: Vec<_> = named
        .chain(batch.episodes.iter().map(|p| &p.episode.session))
        .filter(|name| seen.insert(*name))
        .collect();
    tx.run(SESSIONS, &[&batch.space.org, &batch.space.project, &names]).await?;
    Ok(())
}

async fn add_members(tx: &Transaction<'_>, batch: &Batch) -> Result<(), WorkError> {
    let members: Vec<(&String, &Member)> = batch
        .sessions
        .iter()
        .flat_map(|(session, members)| members.iter().map(move |member| (session, member)))
        .collect();
    let sessions = column(&members, |(session, _)| *session);
    let roles = column(&members, |(_, member)| member_role(member));
    let names = column(&members, |(_, member)| member.name());
    tx.run(MEMBERS, &[&batch.space.org, &batch.space.project, &sessions, &roles, &names]).await?;
    Ok(())
}

/// The number of a member's role in the database.
pub(crate) fn member_role(member: &Member) -> i16 {
    match member {
        Member::User(_) => 0,
        Member::Agent(_) => 1,
    }
}

/// Records the request with the ids that it stored.
async fn remember(tx: &Transaction<'_>, batch: &Batch) -> Result<(), WorkError> {
    let Some(Idempotency { key, request }) = &batch.idempotency else { return Ok(()) };
    tx.run(REQUEST, &[&&key[..], &stored_at(batch), &&request[..], &uids(batch)]).await?;
    Ok(())
}

/// Writes the episodes, and returns how many there were.
async fn insert(tx: &Transaction<'_>, batch: &Batch) -> Result<u64, WorkError> {
    let (space, episodes) = (&batch.space, &batch.episodes);
    tx.run(
        EPISODES,
        &[
            &space.org,
            &space.project,
            &(episodes.len() as i64),
            &uids(batch),
            &column(episodes, |p| &p.episode.session),
            &column(episodes, |p| p.episode.purpose as i16),
            &column(episodes, |p| &p.episode.producer),
            &column(episodes, |p| &p.episode.produced_for),
            &column(episodes, |p| &p.episode.role),
            &column(episodes, |p| &p.episode.kind),
            &column(episodes, |p| p.episode.created_at.as_micros()),
            &column(episodes, |p| p.episode.ingested_at.as_micros()),
            &column(episodes, |p| &p.analysis),
            &column(episodes, |p| p.vector.clone().map(HalfVector::from)),
            &column(episodes, |p| Json(&p.episode.metadata)),
            &column(episodes, |p| &p.episode.content),
        ],
    )
    .await
}

/// One column of many rows that a statement inserts at once.
fn column<'a, Row, Value>(rows: &'a [Row], value: impl FnMut(&'a Row) -> Value) -> Vec<Value> {
    rows.iter().map(value).collect()
}

fn stored_at(batch: &Batch) -> i64 {
    batch.episodes.first().map_or(0, |prepared| prepared.episode.ingested_at.as_micros())
}

fn uids(batch: &Batch) -> Vec<Uuid> {
    column(&batch.episodes, |prepared| uuid(&prepared.episode.id))
}

/// Whether the whole batch is stored.
async fn is_stored(client: &Object, batch: &Batch) -> Result<bool, WorkError> {
    let uids = uids(batch);
    let row = client.row("SELECT count(*) FROM memcloud.episodes WHERE uid = ANY($1)", &[&uids]).await?;
    let there: i64 = row.get(0);
    Ok(!uids.is_empty() && there == uids.len() as i64)
}

/// The ids stored under this key before. Other requests with this key wait until this transaction ends. Deletes requests of
/// long ago.
async fn repeated_under_lock(
    tx: &Transaction<'_>,
    idempotency: &Idempotency,
    now: i64,
) -> Result<Option<Vec<EpisodeId>>, WorkError> {
    let number = i64::from_le_bytes(std::array::from_fn(|at| idempotency.key[at]));
    tx.prepare_all(&[LOCK, FORGET, REPEATED]).await?;
    // The server reads after it has the lock.
    let (lock, forget): (&[&(dyn ToSql + Sync)], &[&(dyn ToSql + Sync)]) =
        (&[&number], &[&now, &DAY, &REMEMBERED_DAYS]);
    let (_, _, known) =
        tokio::try_join!(biased; tx.run(LOCK, lock), tx.run(FORGET, forget), repeated(tx, idempotency))?;
    Ok(known)
}

const LOCK: &str = "SELECT pg_advisory_xact_lock($1)";
/// Deletes the requests with `$3` later days of requests, if no other request of the day of `$1` has come. A day has `$2`
/// microseconds.
const FORGET: &str = "
    WITH RECURSIVE days (number, at) AS (
        SELECT 0::bigint, max(at) FROM memcloud.requests
        UNION ALL
        SELECT number + 1, (SELECT max(r.at) FROM memcloud.requests r WHERE r.at <= days.at - $2::bigint) FROM days
        WHERE days.at IS NOT NULL AND number < $3::bigint
    )
    DELETE FROM memcloud.requests WHERE at < (SELECT days.at FROM days WHERE number = $3::bigint)
        AND NOT EXISTS (SELECT 1 FROM memcloud.requests WHERE at BETWEEN $1::bigint - $1::bigint % $2::bigint AND $1::bigint)";
const REPEATED: &str = "SELECT r.request, r.uids FROM memcloud.requests r
                        WHERE r.key = $1 AND EXISTS (SELECT 1 FROM memcloud.episodes e WHERE e.uid = ANY(r.uids))";

/// The ids stored under this key before, unless all of them have been deleted since. The same key with another request
/// is a conflict.
pub(crate) async fn repeated(
    client: &impl GenericClient,
    idempotency: &Idempotency,
) -> Result<Option<Vec<EpisodeId>>, WorkError> {
    let Some(row) = client.row_if_any(REPEATED, &[&&idempotency.key[..]]).await? else { return Ok(None) };
    if row.get::<_, &[u8]>(0) != idempotency.request {
        return Err(Error::IdempotencyConflict.into());
    }
    Ok(Some(row.get::<_, Vec<Uuid>>(1).into_iter().map(id).collect()))
}
