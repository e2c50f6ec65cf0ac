//! Messages that wait to be learned from.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Object, Transaction};
use memcloud_domain::{EpisodeId, ProfileKey, Space, Timestamp};
use memcloud_ports::{
    CLAIM_SIZES, ClaimedBatch, Lease, Outcome, Parked, Queued, Trigger, Waiting, unique_id,
};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::subjects;
use crate::error::WorkError;
use crate::read::moment;
use crate::{id, uuid};

/// The subject whose turn it is, if one is due.
macro_rules! select_due {
    ($rest:literal) => {
        concat!(
            "WITH ready AS (SELECT subject, min(queued_at) AS since, count(*) AS messages, ",
            "bool_or(attempts > 0 OR call IS NOT NULL) AS tried ",
            "FROM memcloud.lessons WHERE parked IS NULL AND due <= $1 GROUP BY subject) ",
            "SELECT s.id, p.org, p.project, s.owner, s.category ",
            "FROM ready r JOIN memcloud.subjects s ON s.id = r.subject JOIN memcloud.spaces p ON p.id = s.space ",
            "WHERE s.leased_until <= $1 AND (r.messages >= $2 OR r.since <= $3 OR r.tried) ",
            "ORDER BY r.since, s.id LIMIT 1 ",
            $rest
        )
    };
}

/// Counts an attempt at messages that go together: those of an unfinished attempt, or else the oldest and as many more of
/// its kind as that allows.
const TAKE: &str = "
    WITH first AS (
        SELECT attempts, call FROM memcloud.lessons WHERE subject = $1 AND parked IS NULL AND due <= $2
        ORDER BY call IS NULL, uid LIMIT 1
    ),
    taken AS (
        SELECT l.uid FROM memcloud.lessons l, first
        WHERE l.subject = $1 AND l.parked IS NULL AND l.due <= $2 AND l.attempts = first.attempts
          AND l.call IS NOT DISTINCT FROM first.call
        ORDER BY l.uid
        LIMIT (SELECT CASE WHEN call IS NULL THEN ($3::bigint[])[least(attempts + 1, cardinality($3))] END FROM first)
        -- Those locked by others are being deleted.
        FOR UPDATE OF l SKIP LOCKED
    )
    UPDATE memcloud.lessons l SET attempts = l.attempts + 1, call = coalesce(l.call, $4) FROM taken t
    WHERE l.subject = $1 AND l.uid = t.uid RETURNING l.uid, l.attempts, l.call";

/// Takes on messages of the subject whose turn it is.
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
    let look = client.prepare_cached(select_due!("")).await?;
    if client.query_opt(&look, &due).await?.is_none() {
        return Ok(None);
    }
    let tx = client.transaction().await?;
    // Of several servers each locks another subject.
    let lock = tx.prepare_cached(select_due!("FOR NO KEY UPDATE OF s SKIP LOCKED")).await?;
    let Some(turn) = tx.query_opt(&lock, &due).await? else { return Ok(None) };
    let (row, lease): (i64, Lease) = (turn.get(0), Lease::new(now));
    let take = tx.prepare_cached(TAKE).await?;
    let most = CLAIM_SIZES.map(|most| most as i64);
    let taken = tx.query(&take, &[&row, &at, &&most[..], &unique_id(now)]).await?;
    let first = taken.first().map(|row| (row.get::<_, i32>(1), row.get(2)));
    let Some((attempts, call)) = first else { return Ok(None) };
    let hold =
        tx.prepare_cached("UPDATE memcloud.subjects SET lease = $2, leased_until = $3 WHERE id = $1").await?;
    tx.execute(&hold, &[&row, &lease.0, &at.saturating_add(micros(duration))]).await?;
    tx.commit().await?;
    let mut episodes: Vec<EpisodeId> = taken.iter().map(|row| id(row.get(0))).collect();
    episodes.sort_unstable();
    let subject = subjects::read(&turn, 1);
    Ok(Some(ClaimedBatch { lease, call, subject, episodes, attempt: attempts.cast_unsigned() }))
}

/// The row of the subject that is leased, locked; `None` when the lease was lost.
pub(super) async fn leased(
    tx: &Transaction<'_>,
    assignment: &ClaimedBatch,
) -> Result<Option<i64>, WorkError> {
    let ProfileKey { space, owner, category } = &assignment.subject;
    let lock = tx
        .prepare_cached(
            "SELECT s.id FROM memcloud.subjects s JOIN memcloud.spaces p ON p.id = s.space
             WHERE p.org = $1 AND p.project = $2 AND s.owner = $3 AND s.category = $4 AND s.lease = $5
             FOR NO KEY UPDATE OF s",
        )
        .await?;
    let found =
        tx.query_opt(&lock, &[&space.org, &space.project, owner, category, &assignment.lease.0]).await?;
    Ok(found.map(|row| row.get(0)))
}

/// Takes messages out of the queue that were learned from, and ends the lease.
pub(super) async fn finish(
    tx: &Transaction<'_>,
    subject: i64,
    assignment: &ClaimedBatch,
) -> Result<(), WorkError> {
    let done = tx.prepare_cached("DELETE FROM memcloud.lessons WHERE subject = $1 AND uid = ANY($2)").await?;
    tx.execute(&done, &[&subject, &uuids(&assignment.episodes)]).await?;
    end(tx, subject).await
}

async fn end(tx: &Transaction<'_>, subject: i64) -> Result<(), WorkError> {
    let end = tx
        .prepare_cached("UPDATE memcloud.subjects SET lease = NULL, leased_until = 0 WHERE id = $1")
        .await?;
    tx.execute(&end, &[&subject]).await?;
    Ok(())
}

/// Puts messages back that could not be learned from.
pub(super) async fn put_back(
    mut client: Object,
    assignment: &ClaimedBatch,
    setback: &Outcome,
) -> Result<(), WorkError> {
    let tx = client.transaction().await?;
    // Deletions in this space wait, and no two wait for each other.
    subjects::lock_space(&tx, &assignment.subject.space).await?;
    let Some(subject) = leased(&tx, assignment).await? else { return Ok(()) };
    let before = assignment.attempt.saturating_sub(1).cast_signed();
    let (attempts, due, reason) = match setback {
        Outcome::Interrupted => (before, None, None),
        Outcome::Retry(due) => (before, Some(due.as_micros()), None),
        Outcome::Failed(due) => (before + 1, Some(due.as_micros()), None),
        Outcome::Parked(reason) => (before + 1, None, Some(reason)),
    };
    let update = tx
        .prepare_cached(
            "UPDATE memcloud.lessons SET attempts = $3, due = coalesce($4, due), parked = $5, call = $6
             WHERE subject = $1 AND uid = ANY($2) AND parked IS NULL",
        )
        .await?;
    let call = (*setback == Outcome::Interrupted).then_some(assignment.call);
    tx.execute(&update, &[&subject, &uuids(&assignment.episodes), &attempts, &due, &reason, &call]).await?;
    end(&tx, subject).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends all leases.
pub(super) async fn end_leases(client: Object) -> Result<(), WorkError> {
    let end = "UPDATE memcloud.subjects SET lease = NULL, leased_until = 0 WHERE lease IS NOT NULL";
    client.execute(end, &[]).await?;
    Ok(())
}

/// How much waits, in this space or in all.
pub(super) async fn waiting(client: Object, space: Option<&Space>) -> Result<Waiting, WorkError> {
    let select = client
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE l.parked IS NULL), min(l.queued_at) FILTER (WHERE l.parked IS NULL),
                    count(*) FILTER (WHERE l.parked IS NOT NULL)
             FROM memcloud.lessons l
             WHERE $1::text IS NULL OR l.subject IN (
                 SELECT s.id FROM memcloud.subjects s JOIN memcloud.spaces p ON p.id = s.space
                 WHERE p.org = $1 AND p.project = $2)",
        )
        .await?;
    let row = client.query_one(&select, &names(space)).await?;
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
    let select = client
        .prepare_cached(
            "SELECT p.org, p.project, s.owner, s.category, l.uid, l.attempts, l.parked
             FROM memcloud.lessons l JOIN memcloud.subjects s ON s.id = l.subject
             JOIN memcloud.spaces p ON p.id = s.space
             WHERE l.parked IS NOT NULL AND ($1::text IS NULL OR (p.org = $1 AND p.project = $2))
             ORDER BY l.queued_at, l.uid, l.subject LIMIT $3",
        )
        .await?;
    let ([org, project], limit) = (names(space), i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = client.query(&select, &[org, project, &limit]).await?;
    let parked = rows.iter().map(|row| Parked {
        subject: subjects::read(row, 0),
        episode: id(row.get(4)),
        attempts: row.get::<_, i32>(5).cast_unsigned(),
        reason: row.get(6),
    });
    Ok(parked.collect())
}

/// Queues parked messages again, with no attempts counted.
pub(super) async fn unpark(client: Object, space: Option<&Space>) -> Result<u64, WorkError> {
    let update = client
        .prepare_cached(
            "UPDATE memcloud.lessons l SET parked = NULL, attempts = 0
             FROM memcloud.subjects s JOIN memcloud.spaces p ON p.id = s.space
             WHERE s.id = l.subject AND l.parked IS NOT NULL
               AND ($1::text IS NULL OR (p.org = $1 AND p.project = $2))",
        )
        .await?;
    Ok(client.execute(&update, &names(space)).await?)
}

/// The queue after this message, by the subject's row and the episode.
pub(super) async fn page(
    client: Object,
    after: Option<&Queued>,
    limit: usize,
) -> Result<Vec<Queued>, WorkError> {
    let (row, uid) = match after {
        Some(after) => (known(&client, &after.subject).await?, uuid(&after.episode)),
        None => (0, Uuid::nil()),
    };
    let select = client
        .prepare_cached(
            "SELECT p.org, p.project, s.owner, s.category, l.uid, l.queued_at, l.attempts, l.parked
             FROM memcloud.lessons l JOIN memcloud.subjects s ON s.id = l.subject
             JOIN memcloud.spaces p ON p.id = s.space
             WHERE (l.subject, l.uid) > ($1, $2) ORDER BY l.subject, l.uid LIMIT $3",
        )
        .await?;
    let rows = client.query(&select, &[&row, &uid, &i64::try_from(limit).unwrap_or(i64::MAX)]).await?;
    let queued = rows.iter().map(|row| {
        Ok(Queued {
            subject: subjects::read(row, 0),
            episode: id(row.get(4)),
            since: moment(row, 5)?,
            attempts: row.get::<_, i32>(6).cast_unsigned(),
            parked: row.get(7),
        })
    });
    queued.collect()
}

/// The row of a subject, 0 when it is not known.
async fn known(client: &impl GenericClient, subject: &ProfileKey) -> Result<i64, WorkError> {
    let ProfileKey { space, owner, category } = subject;
    let find = client
        .prepare_cached(
            "SELECT s.id FROM memcloud.subjects s JOIN memcloud.spaces p ON p.id = s.space
             WHERE p.org = $1 AND p.project = $2 AND s.owner = $3 AND s.category = $4",
        )
        .await?;
    let found = client.query_opt(&find, &[&space.org, &space.project, owner, category]).await?;
    Ok(found.map_or(0, |row| row.get(0)))
}

/// Queues messages that are stored already.
pub(super) async fn enqueue(mut client: Object, queued: &[Queued]) -> Result<(), WorkError> {
    let tx = client.transaction().await?;
    let rows = subjects::lock_and_make(&tx, queued.iter().map(|queued| &queued.subject)).await?;
    let insert = tx
        .prepare_cached(
            "INSERT INTO memcloud.lessons (subject, uid, queued_at, attempts, due, parked)
             SELECT s.id, e.uid, q.since, q.attempts, q.since, q.parked
             FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::integer[], $5::text[])
                  AS q (subject, uid, since, attempts, parked)
             JOIN memcloud.subjects s ON s.id = q.subject
             JOIN memcloud.episodes e ON e.uid = q.uid AND e.space = s.space
             ON CONFLICT DO NOTHING",
        )
        .await?;
    let known: Vec<(i64, &Queued)> =
        queued.iter().filter_map(|queued| Some((*rows.get(&queued.subject)?, queued))).collect();
    let column = |of: fn(&Queued) -> i64| known.iter().map(|(_, queued)| of(queued)).collect::<Vec<i64>>();
    let rows: Vec<i64> = known.iter().map(|(row, _)| *row).collect();
    let uids: Vec<Uuid> = known.iter().map(|(_, queued)| uuid(&queued.episode)).collect();
    let since = column(|queued| queued.since.as_micros());
    let attempts: Vec<i32> = known.iter().map(|(_, queued)| queued.attempts.cast_signed()).collect();
    let parked: Vec<Option<&str>> = known.iter().map(|(_, queued)| queued.parked.as_deref()).collect();
    tx.execute(&insert, &[&rows, &uids, &since, &attempts, &parked]).await?;
    tx.commit().await?;
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
