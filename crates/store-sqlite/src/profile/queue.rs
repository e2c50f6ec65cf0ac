//! Messages that wait to be learned from.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use memcloud_domain::{EpisodeId, FactTarget, Space, Timestamp};
use memcloud_ports::{
    ClaimedBatch, Lease, Outcome, Parked, Prepared, Queued, Trigger, Waiting, assigned, unique_id,
};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{facts, targets};
use crate::error::WorkError;
use crate::{read, spaces};

/// Queues what is to be learned from episodes that are stored in the same transaction.
pub(crate) fn add(tx: &Connection, episodes: &[Prepared]) -> Result<(), WorkError> {
    // Most of a batch is about the same few people.
    let mut known: HashMap<&FactTarget, Option<i64>> = HashMap::new();
    for Prepared { episode, fact_targets, .. } in episodes {
        for target in fact_targets {
            let row = match known.entry(target) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => *new.insert(targets::make(tx, target)?),
            };
            if let Some(row) = row {
                insert(tx, row, &episode.id, episode.ingested_at, 0, None)?;
            }
        }
    }
    Ok(())
}

fn insert(
    tx: &Connection,
    target: i64,
    uid: &EpisodeId,
    since: Timestamp,
    attempts: u32,
    parked: Option<&str>,
) -> Result<(), WorkError> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO queue (target, uid, queued_at, attempts, due, parked)
         VALUES (?1, ?2, ?3, ?4, ?3, ?5)",
    )?
    .execute(params![target, uid.as_bytes(), since.as_micros(), attempts, parked])?;
    Ok(())
}

/// The target that is due, if there is one.
pub(super) fn due(
    connection: &Connection,
    trigger: Trigger,
    now: Timestamp,
) -> Result<Option<i64>, WorkError> {
    let old = now.as_micros().saturating_sub(micros(trigger.age));
    let mut select = connection.prepare_cached(
        "WITH ready AS (SELECT target, min(queued_at) AS since, count(*) AS messages,
                               max(attempts > 0 OR call IS NOT NULL) AS tried
                        FROM queue WHERE parked IS NULL AND due <= ?1 GROUP BY target)
         SELECT t.id FROM ready r JOIN targets t ON t.id = r.target
         WHERE t.leased_until <= ?1 AND (r.messages >= ?2 OR r.since <= ?3 OR r.tried > 0)
         ORDER BY r.since, t.id LIMIT 1",
    )?;
    let found = select.query_row(params![now.as_micros(), trigger.messages as i64, old], |row| row.get(0));
    Ok(found.optional()?)
}

/// Claims messages of a target, unless another learner has done so meanwhile.
pub(super) fn claim(
    tx: &Connection,
    target: i64,
    now: Timestamp,
    duration: Duration,
) -> Result<Option<ClaimedBatch>, WorkError> {
    let (lease, new_call, now) = (Lease::new(now), unique_id(now), now.as_micros());
    let until = now.saturating_add(micros(duration));
    let leased = tx
        .prepare_cached(
            "UPDATE targets SET lease = ?2, leased_until = ?3 WHERE id = ?1 AND leased_until <= ?4",
        )?
        .execute(params![target, lease.0.as_bytes(), until, now])?;
    let first = "SELECT q.attempts, q.call, e.space FROM queue q JOIN episodes e ON e.uid = q.uid
                 WHERE q.target = ?1 AND q.parked IS NULL AND q.due <= ?2
                 ORDER BY q.call IS NULL, q.uid LIMIT 1";
    let first: Option<(u32, Option<[u8; 16]>, i64)> = tx
        .prepare_cached(first)?
        .query_row(params![target, now], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((attempts, begun, space)) = first.filter(|_| leased == 1) else {
        end(tx, target, lease)?;
        return Ok(None);
    };
    let together = "SELECT q.uid FROM queue q JOIN episodes e ON e.uid = q.uid
                    WHERE q.target = ?1 AND q.parked IS NULL AND q.due <= ?2 AND q.attempts = ?3 AND q.call IS ?4
                      AND e.space = ?5
                    ORDER BY q.uid LIMIT ?6";
    let most = if begun.is_some() { i64::MAX } else { assigned(attempts) as i64 };
    let episodes = tx
        .prepare_cached(together)?
        .query_map(params![target, now, attempts, begun, space, most], |row| read::id(row, 0))?
        .collect::<Result<Vec<EpisodeId>, _>>()?;
    let call = begun.map_or(new_call, Uuid::from_bytes);
    let mut count = tx.prepare_cached(
        "UPDATE queue SET attempts = attempts + 1, call = ?3 WHERE target = ?1 AND uid = ?2",
    )?;
    for episode in &episodes {
        count.execute(params![target, episode.as_bytes(), call.as_bytes()])?;
    }
    let (target, space) = tx
        .prepare_cached(
            "SELECT ifnull(p.org, s.org), p.project, s.metadata, t.category, m.org, m.project
             FROM targets t JOIN fact_sets s ON s.id = t.fact_set LEFT JOIN spaces p ON p.id = s.space, spaces m
             WHERE t.id = ?1 AND m.id = ?2",
        )?
        .query_row([target, space], |row| {
            Ok((targets::read(row, 0)?, Space { org: row.get(4)?, project: row.get(5)? }))
        })?;
    Ok(Some(ClaimedBatch { lease, call, target, space, episodes, attempt: attempts + 1 }))
}

/// The row of the target that is leased, unless the lease was lost.
pub(super) fn leased(tx: &Connection, batch: &ClaimedBatch) -> Result<Option<i64>, WorkError> {
    let Some(target) = targets::find(tx, &batch.target)? else { return Ok(None) };
    let holds = tx
        .prepare_cached("SELECT 1 FROM targets WHERE id = ?1 AND lease = ?2")?
        .exists(params![target, batch.lease.0.as_bytes()])?;
    Ok(holds.then_some(target))
}

/// Removes messages from the queue that were learned from.
pub(super) fn finish(tx: &Connection, target: i64, batch: &ClaimedBatch) -> Result<(), WorkError> {
    let mut done = tx.prepare_cached("DELETE FROM queue WHERE target = ?1 AND uid = ?2")?;
    for episode in &batch.episodes {
        done.execute(params![target, episode.as_bytes()])?;
    }
    end(tx, target, batch.lease)
}

fn end(tx: &Connection, target: i64, lease: Lease) -> Result<(), WorkError> {
    tx.prepare_cached("UPDATE targets SET lease = NULL, leased_until = 0 WHERE id = ?1 AND lease = ?2")?
        .execute(params![target, lease.0.as_bytes()])?;
    Ok(())
}

/// Puts back messages that could not be learned from.
pub(super) fn put_back(tx: &Connection, batch: &ClaimedBatch, outcome: &Outcome) -> Result<(), WorkError> {
    let Some(target) = leased(tx, batch)? else { return Ok(()) };
    let (counted, due, reason) = match outcome {
        Outcome::Interrupted => (0, None, None),
        Outcome::Retry(due) => (0, Some(due), None),
        Outcome::Failed(due) => (1, Some(due), None),
        Outcome::Parked(reason) => (1, None, Some(reason)),
    };
    let call = (*outcome == Outcome::Interrupted).then_some(batch.call.as_bytes());
    let mut update = tx.prepare_cached(
        "UPDATE queue SET attempts = ?3 + ?4, due = coalesce(?5, due), parked = ?6, call = ?7
         WHERE target = ?1 AND uid = ?2 AND parked IS NULL",
    )?;
    let before = batch.attempt.saturating_sub(1);
    for episode in &batch.episodes {
        let due = due.map(|due| due.as_micros());
        update.execute(params![target, episode.as_bytes(), before, counted, due, reason, call])?;
    }
    end(tx, target, batch.lease)
}

/// Ends all leases.
pub(crate) fn end_leases(connection: &Connection) -> Result<(), WorkError> {
    connection.execute("UPDATE targets SET lease = NULL, leased_until = 0 WHERE lease IS NOT NULL", [])?;
    Ok(())
}

/// How many messages wait, in the sets of this space or in all.
pub(super) fn waiting(connection: &Connection, space: Option<&Space>) -> Result<Waiting, WorkError> {
    let mut select = connection.prepare_cached(
        "SELECT count(*) FILTER (WHERE l.parked IS NULL), min(l.queued_at) FILTER (WHERE l.parked IS NULL),
                count(*) FILTER (WHERE l.parked IS NOT NULL)
         FROM queue l JOIN targets t ON t.id = l.target JOIN fact_sets s ON s.id = t.fact_set
         LEFT JOIN spaces p ON p.id = s.space
         WHERE ?1 IS NULL OR (p.org = ?1 AND p.project = ?2)",
    )?;
    Ok(select.query_row(params![space.map(|s| &s.org), space.map(|s| &s.project)], |row| {
        let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let since = row.get::<_, Option<i64>>(1)?.and_then(Timestamp::from_micros);
        Ok(Waiting { waiting: count(0)?, since, parked: count(2)? })
    })?)
}

/// Parked messages, oldest first.
pub(super) fn parked(
    connection: &Connection,
    space: Option<&Space>,
    limit: usize,
) -> Result<Vec<Parked>, WorkError> {
    let mut select = connection.prepare_cached(
        "SELECT ifnull(p.org, s.org), p.project, s.metadata, t.category, l.uid, l.attempts, l.parked
         FROM queue l JOIN targets t ON t.id = l.target JOIN fact_sets s ON s.id = t.fact_set
         LEFT JOIN spaces p ON p.id = s.space
         WHERE l.parked IS NOT NULL AND (?1 IS NULL OR (p.org = ?1 AND p.project = ?2))
         ORDER BY l.queued_at, l.uid, l.target LIMIT ?3",
    )?;
    let (org, project) = (space.map(|s| &s.org), space.map(|s| &s.project));
    let rows = select.query_map(params![org, project, limit as i64], |row| {
        Ok(Parked {
            target: targets::read(row, 0)?,
            episode: read::id(row, 4)?,
            attempts: row.get(5)?,
            reason: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Queues parked messages again, with no attempts counted.
pub(super) fn unpark(tx: &Connection, space: Option<&Space>) -> Result<u64, WorkError> {
    const ALL: &str = "UPDATE queue SET parked = NULL, attempts = 0 WHERE parked IS NOT NULL";
    const OF_SPACE: &str = "UPDATE queue SET parked = NULL, attempts = 0
                            WHERE parked IS NOT NULL AND target IN (
                                SELECT t.id FROM targets t JOIN fact_sets s ON s.id = t.fact_set WHERE s.space = ?1)";
    let Some(space) = space else { return Ok(tx.prepare_cached(ALL)?.execute([])? as u64) };
    let Some(space) = spaces::find(tx, space)? else { return Ok(0) };
    Ok(tx.prepare_cached(OF_SPACE)?.execute([space])? as u64)
}

/// The queue after this message, by the target's row and the episode.
pub(super) fn page(
    connection: &Connection,
    after: Option<&Queued>,
    limit: usize,
) -> Result<Vec<Queued>, WorkError> {
    let (target, uid) = match after {
        Some(after) => (targets::find(connection, &after.target)?.unwrap_or(0), *after.episode.as_bytes()),
        None => (0, [0; 16]),
    };
    let mut select = connection.prepare_cached(
        "SELECT ifnull(p.org, s.org), p.project, s.metadata, t.category, l.uid, l.queued_at, l.attempts, l.parked
         FROM queue l JOIN targets t ON t.id = l.target JOIN fact_sets s ON s.id = t.fact_set
         LEFT JOIN spaces p ON p.id = s.space
         WHERE (l.target, l.uid) > (?1, ?2) ORDER BY l.target, l.uid LIMIT ?3",
    )?;
    let rows = select.query_map(params![target, uid, limit as i64], |row| {
        Ok(Queued {
            target: targets::read(row, 0)?,
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
    for Queued { target, episode, since, attempts, parked } in queued {
        if facts::stored(tx, &target.set.scope, [*episode])?.is_empty() {
            continue;
        }
        if let Some(target) = targets::make(tx, target)? {
            insert(tx, target, episode, *since, *attempts, parked.as_deref())?;
        }
    }
    Ok(())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
