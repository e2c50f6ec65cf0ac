//! Messages that wait to be learned from.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use memcloud_domain::{EpisodeId, Space, Timestamp};
use memcloud_ports::{
    ClaimedBatch, FactTarget, Lease, Outcome, Parked, Prepared, Queued, Trigger, Waiting, assigned, unique_id,
};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::subjects;
use crate::error::WorkError;
use crate::{read, spaces};

/// Queues what is to be learned from episodes that are stored in the same transaction.
pub(crate) fn add(tx: &Connection, space: i64, episodes: &[Prepared]) -> Result<(), WorkError> {
    // Most of a batch is about the same few people.
    let mut known: HashMap<&FactTarget, i64> = HashMap::new();
    for Prepared { episode, fact_targets, .. } in episodes {
        for target in fact_targets {
            let subject = match known.entry(target) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    *new.insert(subjects::make(tx, space, &target.owner, &target.category)?)
                }
            };
            insert(tx, subject, &episode.id, episode.ingested_at, 0, None)?;
        }
    }
    Ok(())
}

fn insert(
    tx: &Connection,
    subject: i64,
    uid: &EpisodeId,
    since: Timestamp,
    attempts: u32,
    parked: Option<&str>,
) -> Result<(), WorkError> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO lessons (subject, uid, queued_at, attempts, due, parked)
         VALUES (?1, ?2, ?3, ?4, ?3, ?5)",
    )?
    .execute(params![subject, uid.as_bytes(), since.as_micros(), attempts, parked])?;
    Ok(())
}

/// The subject whose turn it is, if one is due.
pub(super) fn due(
    connection: &Connection,
    trigger: Trigger,
    now: Timestamp,
) -> Result<Option<i64>, WorkError> {
    let old = now.as_micros().saturating_sub(micros(trigger.age));
    let mut select = connection.prepare_cached(
        "WITH ready AS (SELECT subject, min(queued_at) AS since, count(*) AS messages,
                               max(attempts > 0 OR call IS NOT NULL) AS tried
                        FROM lessons WHERE parked IS NULL AND due <= ?1 GROUP BY subject)
         SELECT s.id FROM ready r JOIN subjects s ON s.id = r.subject
         WHERE s.leased_until <= ?1 AND (r.messages >= ?2 OR r.since <= ?3 OR r.tried > 0)
         ORDER BY r.since, s.id LIMIT 1",
    )?;
    let found = select.query_row(params![now.as_micros(), trigger.messages as i64, old], |row| row.get(0));
    Ok(found.optional()?)
}

/// Takes on messages of a subject, unless another learner has done so meanwhile.
pub(super) fn take(
    tx: &Connection,
    subject: i64,
    now: Timestamp,
    duration: Duration,
) -> Result<Option<ClaimedBatch>, WorkError> {
    let (lease, new_call, now) = (Lease::new(now), unique_id(now), now.as_micros());
    let until = now.saturating_add(micros(duration));
    let leased = tx
        .prepare_cached(
            "UPDATE subjects SET lease = ?2, leased_until = ?3 WHERE id = ?1 AND leased_until <= ?4",
        )?
        .execute(params![subject, lease.0.as_bytes(), until, now])?;
    let first = "SELECT attempts, call FROM lessons WHERE subject = ?1 AND parked IS NULL AND due <= ?2
                 ORDER BY call IS NULL, uid LIMIT 1";
    let first: Option<(u32, Option<[u8; 16]>)> = tx
        .prepare_cached(first)?
        .query_row(params![subject, now], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((attempts, begun)) = first.filter(|_| leased == 1) else {
        end(tx, subject, lease)?;
        return Ok(None);
    };
    let together = "SELECT uid FROM lessons
                    WHERE subject = ?1 AND parked IS NULL AND due <= ?2 AND attempts = ?3 AND call IS ?4
                    ORDER BY uid LIMIT ?5";
    let most = if begun.is_some() { i64::MAX } else { assigned(attempts) as i64 };
    let episodes = tx
        .prepare_cached(together)?
        .query_map(params![subject, now, attempts, begun, most], |row| read::id(row, 0))?
        .collect::<Result<Vec<EpisodeId>, _>>()?;
    let call = begun.map_or(new_call, Uuid::from_bytes);
    let mut count = tx.prepare_cached(
        "UPDATE lessons SET attempts = attempts + 1, call = ?3 WHERE subject = ?1 AND uid = ?2",
    )?;
    for episode in &episodes {
        count.execute(params![subject, episode.as_bytes(), call.as_bytes()])?;
    }
    let subject = tx
        .prepare_cached(
            "SELECT p.org, p.project, s.owner, s.category FROM subjects s JOIN spaces p ON p.id = s.space
             WHERE s.id = ?1",
        )?
        .query_row([subject], |row| subjects::read(row, 0))?;
    Ok(Some(ClaimedBatch { lease, call, subject, episodes, attempt: attempts + 1 }))
}

/// The row of the subject that is leased, unless the lease was lost.
pub(super) fn leased(tx: &Connection, assignment: &ClaimedBatch) -> Result<Option<i64>, WorkError> {
    let Some(subject) = subjects::find(tx, &assignment.subject)? else { return Ok(None) };
    let holds = tx
        .prepare_cached("SELECT 1 FROM subjects WHERE id = ?1 AND lease = ?2")?
        .exists(params![subject, assignment.lease.0.as_bytes()])?;
    Ok(holds.then_some(subject))
}

/// Takes messages out of the queue that were learned from.
pub(super) fn finish(tx: &Connection, subject: i64, assignment: &ClaimedBatch) -> Result<(), WorkError> {
    let mut done = tx.prepare_cached("DELETE FROM lessons WHERE subject = ?1 AND uid = ?2")?;
    for episode in &assignment.episodes {
        done.execute(params![subject, episode.as_bytes()])?;
    }
    end(tx, subject, assignment.lease)
}

fn end(tx: &Connection, subject: i64, lease: Lease) -> Result<(), WorkError> {
    tx.prepare_cached("UPDATE subjects SET lease = NULL, leased_until = 0 WHERE id = ?1 AND lease = ?2")?
        .execute(params![subject, lease.0.as_bytes()])?;
    Ok(())
}

/// Puts messages back that could not be learned from.
pub(super) fn put_back(
    tx: &Connection,
    assignment: &ClaimedBatch,
    setback: &Outcome,
) -> Result<(), WorkError> {
    let Some(subject) = leased(tx, assignment)? else { return Ok(()) };
    let (counted, due, reason) = match setback {
        Outcome::Interrupted => (0, None, None),
        Outcome::Retry(due) => (0, Some(due), None),
        Outcome::Failed(due) => (1, Some(due), None),
        Outcome::Parked(reason) => (1, None, Some(reason)),
    };
    let call = (*setback == Outcome::Interrupted).then_some(assignment.call.as_bytes());
    let mut update = tx.prepare_cached(
        "UPDATE lessons SET attempts = ?3 + ?4, due = coalesce(?5, due), parked = ?6, call = ?7
         WHERE subject = ?1 AND uid = ?2 AND parked IS NULL",
    )?;
    let before = assignment.attempt.saturating_sub(1);
    for episode in &assignment.episodes {
        let due = due.map(|due| due.as_micros());
        update.execute(params![subject, episode.as_bytes(), before, counted, due, reason, call])?;
    }
    end(tx, subject, assignment.lease)
}

/// Ends the leases of learners that are gone.
pub(crate) fn end_leases(connection: &Connection) -> Result<(), WorkError> {
    connection.execute("UPDATE subjects SET lease = NULL, leased_until = 0 WHERE lease IS NOT NULL", [])?;
    Ok(())
}

/// How much waits, in this space or in all.
pub(super) fn waiting(connection: &Connection, space: Option<&Space>) -> Result<Waiting, WorkError> {
    let mut select = connection.prepare_cached(
        "SELECT count(*) FILTER (WHERE l.parked IS NULL), min(l.queued_at) FILTER (WHERE l.parked IS NULL),
                count(*) FILTER (WHERE l.parked IS NOT NULL)
         FROM lessons l JOIN subjects s ON s.id = l.subject JOIN spaces p ON p.id = s.space
         WHERE ?1 IS NULL OR (p.org = ?1 AND p.project = ?2)",
    )?;
    Ok(select.query_row(params![space.map(|s| &s.org), space.map(|s| &s.project)], |row| {
        let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let since = row.get::<_, Option<i64>>(1)?.and_then(Timestamp::from_micros);
        Ok(Waiting { waiting: count(0)?, since, parked: count(2)? })
    })?)
}

/// Messages that are parked, oldest first.
pub(super) fn parked(
    connection: &Connection,
    space: Option<&Space>,
    limit: usize,
) -> Result<Vec<Parked>, WorkError> {
    let mut select = connection.prepare_cached(
        "SELECT p.org, p.project, s.owner, s.category, l.uid, l.attempts, l.parked
         FROM lessons l JOIN subjects s ON s.id = l.subject JOIN spaces p ON p.id = s.space
         WHERE l.parked IS NOT NULL AND (?1 IS NULL OR (p.org = ?1 AND p.project = ?2))
         ORDER BY l.queued_at, l.uid, l.subject LIMIT ?3",
    )?;
    let (org, project) = (space.map(|s| &s.org), space.map(|s| &s.project));
    let rows = select.query_map(params![org, project, limit as i64], |row| {
        Ok(Parked {
            subject: subjects::read(row, 0)?,
            episode: read::id(row, 4)?,
            attempts: row.get(5)?,
            reason: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Queues parked messages again, with no attempts counted.
pub(super) fn unpark(tx: &Connection, space: Option<&Space>) -> Result<u64, WorkError> {
    const ALL: &str = "UPDATE lessons SET parked = NULL, attempts = 0 WHERE parked IS NOT NULL";
    const OF_SPACE: &str = "UPDATE lessons SET parked = NULL, attempts = 0
                            WHERE parked IS NOT NULL AND subject IN (SELECT id FROM subjects WHERE space = ?1)";
    let Some(space) = space else { return Ok(tx.prepare_cached(ALL)?.execute([])? as u64) };
    let Some(space) = spaces::find(tx, space)? else { return Ok(0) };
    Ok(tx.prepare_cached(OF_SPACE)?.execute([space])? as u64)
}

/// The queue after this message, by the subject's row and the episode.
pub(super) fn page(
    connection: &Connection,
    after: Option<&Queued>,
    limit: usize,
) -> Result<Vec<Queued>, WorkError> {
    let (subject, uid) = match after {
        Some(after) => (subjects::find(connection, &after.subject)?.unwrap_or(0), *after.episode.as_bytes()),
        None => (0, [0; 16]),
    };
    let mut select = connection.prepare_cached(
        "SELECT p.org, p.project, s.owner, s.category, l.uid, l.queued_at, l.attempts, l.parked
         FROM lessons l JOIN subjects s ON s.id = l.subject JOIN spaces p ON p.id = s.space
         WHERE (l.subject, l.uid) > (?1, ?2) ORDER BY l.subject, l.uid LIMIT ?3",
    )?;
    let rows = select.query_map(params![subject, uid, limit as i64], |row| {
        Ok(Queued {
            subject: subjects::read(row, 0)?,
            episode: read::id(row, 4)?,
            since: read::moment(row, 5)?,
            attempts: row.get(6)?,
            parked: row.get(7)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Queues messages that are stored already.
pub(super) fn enqueue(tx: &Connection, queued: &[Queued]) -> Result<(), WorkError> {
    let mut stored = tx.prepare_cached("SELECT 1 FROM episodes WHERE uid = ?1 AND space = ?2")?;
    for Queued { subject, episode, since, attempts, parked } in queued {
        let Some(space) = spaces::find(tx, &subject.space)? else { continue };
        if stored.exists(params![episode.as_bytes(), space])? {
            let subject = subjects::make(tx, space, &subject.owner, &subject.category)?;
            insert(tx, subject, episode, *since, *attempts, parked.as_deref())?;
        }
    }
    Ok(())
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
