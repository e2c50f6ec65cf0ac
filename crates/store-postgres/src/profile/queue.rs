//! Messages that wait to be learned from.

use std::time::Duration;

use deadpool_postgres::{Object, Transaction};
use memcloud_domain::{EpisodeId, FactTarget, Space, Timestamp};
use memcloud_ports::{
    Batch, CLAIM_SIZES, ClaimedBatch, Lease, Outcome, Parked, Prepared, Queued, Trigger, Waiting, unique_id,
};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::targets::{self, MAKE_SETS, MAKE_TARGETS, QUEUE, TargetColumns};
use crate::error::WorkError;
use crate::query::Query;
use crate::read::{limited, moment};
use crate::{id, uuid};

/// The target that is due, if there is one.
macro_rules! select_due {
    ($rest:literal) => {
        concat!(
            "WITH ready AS (SELECT target, min(queued_at) AS since, count(*) AS messages, ",
            "bool_or(attempts > 0 OR call IS NOT NULL) AS tried ",
            "FROM memcloud.queue WHERE parked IS NULL AND due <= $1 GROUP BY target) ",
            "SELECT t.id, coalesce(p.org, s.org), p.project, s.metadata, t.category ",
            "FROM ready r JOIN memcloud.targets t ON t.id = r.target JOIN memcloud.fact_sets s ON s.id = t.fact_set ",
            "LEFT JOIN memcloud.spaces p ON p.id = s.space ",
            "WHERE t.leased_until <= $1 AND (r.messages >= $2 OR r.since <= $3 OR r.tried) ",
            "ORDER BY r.since, t.id LIMIT 1 ",
            $rest
        )
    };
}

/// Counts an attempt at messages that go together: those of an unfinished attempt, or else the oldest and as many more of
/// its kind as that allows.
const TAKE: &str = "
    WITH first AS (
        SELECT q.attempts, q.call, e.space FROM memcloud.queue q JOIN memcloud.episodes e ON e.uid = q.uid
        WHERE q.target = $1 AND q.parked IS NULL AND q.due <= $2
        ORDER BY q.call IS NULL, q.uid LIMIT 1
    ),
    taken AS (
        SELECT q.uid FROM memcloud.queue q JOIN memcloud.episodes e ON e.uid = q.uid, first
        WHERE q.target = $1 AND q.parked IS NULL AND q.due <= $2 AND q.attempts = first.attempts
          AND q.call IS NOT DISTINCT FROM first.call AND e.space = first.space
        ORDER BY q.uid
        LIMIT (SELECT CASE WHEN call IS NULL THEN ($3::bigint[])[least(attempts + 1, cardinality($3))] END FROM first)
        -- Rows that another transaction has locked are being deleted.
        FOR UPDATE OF q SKIP LOCKED
    )
    UPDATE memcloud.queue q SET attempts = q.attempts + 1, call = coalesce(q.call, $4)
    FROM taken t, first f JOIN memcloud.spaces s ON s.id = f.space
    WHERE q.target = $1 AND q.uid = t.uid RETURNING q.uid, q.attempts, q.call, s.org, s.project";

/// Claims messages of the target that is due.
pub(super) async fn claim(
    mut client: Object,
    trigger: Trigger,
    now: Timestamp,
    duration: Duration,
) -> Result<Option<ClaimedBatch>, WorkError> {
    let at = now.as_micros();
    let (enough, old) = (trigger.messages as i64, at.saturating_sub(micros(trigger.age)));
    let due: [&(dyn ToSql + Sync); 3] = [&at, &enough, &old];
    // Most of the time nothing is due, and then no transaction is begun.
    let look = select_due!("");
    if client.row_if_any(look, &due).await?.is_none() {
        return Ok(None);
    }
    let tx = client.transaction().await?;
    // Each of several servers locks another target.
    let lock = select_due!("FOR NO KEY UPDATE OF t SKIP LOCKED");
    let Some(turn) = tx.row_if_any(lock, &due).await? else { return Ok(None) };
    let (row, lease): (i64, Lease) = (turn.get(0), Lease::new(now));
    let most = CLAIM_SIZES.map(|most| most as i64);
    let taken = tx.rows(TAKE, &[&row, &at, &&most[..], &unique_id(now)]).await?;
    let Some(first) = taken.first() else { return Ok(None) };
    let (attempt, call) = (first.get::<_, i32>(1).cast_unsigned(), first.get(2));
    let space = Space { org: first.get(3), project: first.get(4) };
    let hold = "UPDATE memcloud.targets SET lease = $2, leased_until = $3 WHERE id = $1";
    tx.run(hold, &[&row, &lease.0, &at.saturating_add(micros(duration))]).await?;
    tx.commit().await?;
    let mut episodes: Vec<EpisodeId> = taken.iter().map(|row| id(row.get(0))).collect();
    episodes.sort_unstable();
    Ok(Some(ClaimedBatch { lease, call, target: targets::read(&turn, 1)?, space, episodes, attempt }))
}

/// The row of the target that is leased, locked; `None` when the lease was lost.
pub(super) async fn leased(tx: &Transaction<'_>, batch: &ClaimedBatch) -> Result<Option<i64>, WorkError> {
    let Some(target) = targets::find(tx, &batch.target).await? else { return Ok(None) };
    let lock = "SELECT id FROM memcloud.targets WHERE id = $1 AND lease = $2 FOR NO KEY UPDATE";
    Ok(tx.row_if_any(lock, &[&target, &batch.lease.0]).await?.map(|row| row.get(0)))
}

/// Removes messages from the queue that were learned from, and ends the lease.
pub(super) async fn finish(tx: &Transaction<'_>, target: i64, batch: &ClaimedBatch) -> Result<(), WorkError> {
    let done = "DELETE FROM memcloud.queue WHERE target = $1 AND uid = ANY($2)";
    tx.run(done, &[&target, &uuids(&batch.episodes)]).await?;
    end(tx, target).await
}

async fn end(tx: &Transaction<'_>, target: i64) -> Result<(), WorkError> {
    let end = "UPDATE memcloud.targets SET lease = NULL, leased_until = 0 WHERE id = $1";
    tx.run(end, &[&target]).await?;
    Ok(())
}

/// Puts back messages that could not be learned from.
pub(super) async fn put_back(
    mut client: Object,
    batch: &ClaimedBatch,
    outcome: &Outcome,
) -> Result<(), WorkError> {
    let tx = client.transaction().await?;
    // Deletions in this scope wait, so that no two transactions wait for each other.
    targets::lock_scopes(&tx, [&batch.target.set.scope]).await?;
    let Some(target) = leased(&tx, batch).await? else { return Ok(()) };
    let before = batch.attempt.saturating_sub(1).cast_signed();
    let (attempts, due, reason) = match outcome {
        Outcome::Interrupted => (before, None, None),
        Outcome::Retry(due) => (before, Some(due.as_micros()), None),
        Outcome::Failed(due) => (before + 1, Some(due.as_micros()), None),
        Outcome::Parked(reason) => (before + 1, None, Some(reason)),
    };
    let update = "UPDATE memcloud.queue SET attempts = $3, due = coalesce($4, due), parked = $5, call = $6
                  WHERE target = $1 AND uid = ANY($2) AND parked IS NULL";
    let call = (*outcome == Outcome::Interrupted).then_some(batch.call);
    tx.run(update, &[&target, &uuids(&batch.episodes), &attempts, &due, &reason, &call]).await?;
    end(&tx, target).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends all leases.
pub(super) async fn end_leases(client: Object) -> Result<(), WorkError> {
    let end = "UPDATE memcloud.targets SET lease = NULL, leased_until = 0 WHERE lease IS NOT NULL";
    client.execute(end, &[]).await?;
    Ok(())
}

/// How much waits, in this space or in all.
pub(super) async fn waiting(client: Object, space: Option<&Space>) -> Result<Waiting, WorkError> {
    let select =
        "SELECT count(*) FILTER (WHERE l.parked IS NULL), min(l.queued_at) FILTER (WHERE l.parked IS NULL),
                    count(*) FILTER (WHERE l.parked IS NOT NULL)
             FROM memcloud.queue l
             WHERE $1::text IS NULL OR l.target IN (
                 SELECT t.id FROM memcloud.targets t JOIN memcloud.fact_sets s ON s.id = t.fact_set
                 JOIN memcloud.spaces p ON p.id = s.space WHERE p.org = $1 AND p.project = $2)";
    let row = client.row(select, &names(space)).await?;
    let count = |column| row.get::<_, i64>(column).cast_unsigned();
    let since = row.get::<_, Option<i64>>(1).and_then(Timestamp::from_micros);
    Ok(Waiting { waiting: count(0), since, parked: count(2) })
}

/// Messages that are parked, oldest first.
pub(super) async fn parked(
    client: Object,
    space: Option<&Space>,
    limit: usize,
) -> Result<Vec<Parked>, WorkError> {
    let select =
        "SELECT coalesce(p.org, s.org), p.project, s.metadata, t.category, l.uid, l.attempts, l.parked
             FROM memcloud.queue l JOIN memcloud.targets t ON t.id = l.target
             JOIN memcloud.fact_sets s ON s.id = t.fact_set LEFT JOIN memcloud.spaces p ON p.id = s.space
             WHERE l.parked IS NOT NULL AND ($1::text IS NULL OR (p.org = $1 AND p.project = $2))
             ORDER BY l.queued_at, l.uid, l.target LIMIT $3";
    let ([org, project], limit) = (names(space), limited(limit));
    let rows = client.rows(select, &[org, project, &limit]).await?;
    let parked = rows.iter().map(|row| {
        Ok(Parked {
            target: targets::read(row, 0)?,
            episode: id(row.get(4)),
            attempts: row.get::<_, i32>(5).cast_unsigned(),
            reason: row.get(6),
        })
    });
    parked.collect()
}

/// Queues parked messages again, with no attempts counted.
pub(super) async fn unpark(client: Object, space: Option<&Space>) -> Result<u64, WorkError> {
    let update = "UPDATE memcloud.queue l SET parked = NULL, attempts = 0
                  FROM memcloud.targets t JOIN memcloud.fact_sets s ON s.id = t.fact_set
                  LEFT JOIN memcloud.spaces p ON p.id = s.space
                  WHERE t.id = l.target AND l.parked IS NOT NULL
                    AND ($1::text IS NULL OR (p.org = $1 AND p.project = $2))";
    client.run(update, &names(space)).await
}

/// The queue after this message, by the target's row and the episode.
pub(super) async fn page(
    client: Object,
    after: Option<&Queued>,
    limit: usize,
) -> Result<Vec<Queued>, WorkError> {
    let (row, uid) = match after {
        Some(after) => (targets::find(&client, &after.target).await?.unwrap_or(0), uuid(&after.episode)),
        None => (0, Uuid::nil()),
    };
    let select = "SELECT coalesce(p.org, s.org), p.project, s.metadata, t.category, l.uid, l.queued_at, l.attempts, l.parked
                  FROM memcloud.queue l JOIN memcloud.targets t ON t.id = l.target
                  JOIN memcloud.fact_sets s ON s.id = t.fact_set LEFT JOIN memcloud.spaces p ON p.id = s.space
                  WHERE (l.target, l.uid) > ($1, $2) ORDER BY l.target, l.uid LIMIT $3";
    let rows = client.rows(select, &[&row, &uid, &limited(limit)]).await?;
    let queued = rows.iter().map(|row| {
        Ok(Queued {
            target: targets::read(row, 0)?,
            episode: id(row.get(4)),
            since: moment(row, 5)?,
            attempts: row.get::<_, i32>(6).cast_unsigned(),
            parked: row.get(7),
        })
    });
    queued.collect()
}

/// Queues messages that are stored already.
pub(super) async fn enqueue(client: &mut Object, queued: &[Queued]) -> Result<(), WorkError> {
    let tx = client.transaction().await?;
    targets::lock_scopes(&tx, queued.iter().map(|queued| &queued.target.set.scope)).await?;
    tx.prepare_all(&STATEMENTS).await?;
    let messages = MessageColumns {
        targets: TargetColumns::of(queued.iter().map(|queued| &queued.target)),
        uids: queued.iter().map(|queued| uuid(&queued.episode)).collect(),
        since: queued.iter().map(|queued| queued.since.as_micros()).collect(),
        attempts: queued.iter().map(|queued| queued.attempts.cast_signed()).collect(),
        parked: queued.iter().map(|queued| queued.parked.as_deref()).collect(),
    };
    add(&tx, &messages, false).await?;
    tx.commit().await?;
    Ok(())
}

/// Messages and what is to be learned from each, as columns.
#[derive(Default)]
pub(crate) struct MessageColumns<'a> {
    pub(crate) targets: TargetColumns<'a>,
    pub(crate) uids: Vec<Uuid>,
    pub(crate) since: Vec<i64>,
    pub(crate) attempts: Vec<i32>,
    pub(crate) parked: Vec<Option<&'a str>>,
}

impl<'a> MessageColumns<'a> {
    /// The messages of a batch.
    pub(crate) fn of(batch: &'a Batch) -> Self {
        let mut columns = Self::default();
        for Prepared { episode, fact_targets, .. } in &batch.episodes {
            for FactTarget { set, category } in fact_targets {
                columns.targets.push(set, category);
                columns.uids.push(uuid(&episode.id));
                columns.since.push(episode.ingested_at.as_micros());
                columns.attempts.push(0);
                columns.parked.push(None);
            }
        }
        columns
    }
}

/// The statements that queue messages.
pub(crate) const STATEMENTS: [&str; 3] = [MAKE_SETS, MAKE_TARGETS, QUEUE];

/// Queues messages; with `learns`, only those of spaces that are learned from. The statements are prepared.
pub(crate) async fn add(
    tx: &Transaction<'_>,
    messages: &MessageColumns<'_>,
    learns: bool,
) -> Result<(), WorkError> {
    if messages.uids.is_empty() {
        return Ok(());
    }
    let targets = messages.targets.parameters();
    let of_messages: [&(dyn ToSql + Sync); 5] =
        [&messages.uids, &messages.since, &messages.attempts, &messages.parked, &learns];
    let all: Vec<_> = targets.into_iter().chain(of_messages).collect();
    // They are sent in this order, and each sees what the ones before it have done.
    tokio::try_join!(
        biased;
        tx.run(MAKE_SETS, &targets),
        tx.run(MAKE_TARGETS, &targets),
        tx.run(QUEUE, &all),
    )?;
    Ok(())
}

/// The names of a space as parameters, NULL for all spaces.
fn names(space: Option<&Space>) -> [&(dyn ToSql + Sync); 2] {
    match space {
        Some(space) => [&space.org, &space.project],
        None => [&None::<&str>, &None::<&str>],
    }
}

fn uuids(ids: &[EpisodeId]) -> Vec<Uuid> {
    ids.iter().map(uuid).collect()
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
