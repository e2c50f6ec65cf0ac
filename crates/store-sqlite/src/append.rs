use std::collections::HashMap;
use std::collections::hash_map::Entry;

use memcloud_domain::{EpisodeId, Error, Member, Timestamp};
use memcloud_ports::{Appended, Batch, DAY, Idempotency, Intent, Prepared, REMEMBERED_DAYS};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::error::WorkError;
use crate::profile::queue;
use crate::{intents, spaces, vectors};

/// Stores a batch inside the writer's transaction, which has this number, and settles the intent under which the other
/// database wrote it.
pub(crate) fn append(
    tx: &Connection,
    write: u64,
    batch: &Batch,
    intent: Option<Intent>,
    now: Timestamp,
) -> Result<Appended, WorkError> {
    if let Some(idempotency) = &batch.idempotency
        && let Some(ids) = repeated(tx, idempotency)?
    {
        return Ok(Appended::Repeated(ids));
    }
    if let Some(intent) = intent {
        intents::settle(tx, intent)?;
    }
    let space = spaces::make(tx, &batch.space, now)?;
    let mut sessions = HashMap::new();
    for (name, members) in &batch.sessions {
        let session = session(tx, space, name)?;
        add_members(tx, session, members)?;
        sessions.insert(name.as_str(), session);
    }
    let (first, learns) = spaces::extend(tx, space, batch.episodes.len(), write)?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO episodes (uid, space, session, seq, purpose, producer, produced_for, role, kind, created_at,
                               ingested_at, analysis, vector, metadata, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    for (sequence, prepared) in (first..).zip(&batch.episodes) {
        let session = match sessions.entry(prepared.episode.session.as_str()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => *new.insert(session(tx, space, &prepared.episode.session)?),
        };
        insert_episode(&mut insert, space, session, sequence, prepared)?;
    }
    if learns {
        queue::add(tx, &batch.episodes)?;
    }
    if let Some(idempotency) = &batch.idempotency {
        remember(tx, idempotency, &batch.episodes)?;
    }
    Ok(Appended::Stored)
}

fn insert_episode(
    insert: &mut CachedStatement<'_>,
    space: i64,
    session: i64,
    sequence: i64,
    prepared: &Prepared,
) -> Result<(), WorkError> {
    let episode = &prepared.episode;
    let metadata = serde_json::Value::Object(episode.metadata.clone()).to_string();
    insert.execute(params![
        episode.id.as_bytes(),
        space,
        session,
        sequence,
        episode.purpose as i64,
        episode.producer,
        episode.produced_for,
        episode.role,
        episode.kind,
        episode.created_at.as_micros(),
        episode.ingested_at.as_micros(),
        prepared.analysis,
        prepared.vector.as_deref().map(vectors::encode),
        metadata,
        episode.content,
    ])?;
    Ok(())
}

/// Whether another request of this day has come.
const IS_KNOWN_DAY: &str = "SELECT EXISTS (SELECT 1 FROM requests WHERE at BETWEEN ?1 - ?1 % ?2 AND ?1)";
/// Forgets the requests with this many later days of requests.
const FORGET: &str = "
    WITH RECURSIVE days (number, at) AS (
        SELECT 0, max(at) FROM requests
        UNION ALL
        SELECT number + 1, (SELECT max(at) FROM requests WHERE at <= days.at - ?1) FROM days
        WHERE days.at IS NOT NULL AND number < ?2
    )
    DELETE FROM requests WHERE at < (SELECT at FROM days WHERE number = ?2)";

/// Records the request with the ids that it stored, and forgets requests of long ago.
fn remember(tx: &Connection, idempotency: &Idempotency, episodes: &[Prepared]) -> Result<(), WorkError> {
    let at = episodes.first().map_or(0, |prepared| prepared.episode.ingested_at.as_micros());
    if !tx.prepare_cached(IS_KNOWN_DAY)?.query_row([at, DAY], |row| row.get(0))? {
        tx.prepare_cached(FORGET)?.execute([DAY, REMEMBERED_DAYS])?;
    }
    let uids: Vec<u8> = episodes.iter().flat_map(|prepared| *prepared.episode.id.as_bytes()).collect();
    tx.prepare_cached("INSERT OR REPLACE INTO requests (key, at, request, uids) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![idempotency.key, at, idempotency.request, uids])?;
    Ok(())
}

/// The ids stored under this key before, unless all of them have been deleted since. The same key with another request
/// is a conflict.
pub(crate) fn repeated(
    connection: &Connection,
    idempotency: &Idempotency,
) -> Result<Option<Vec<EpisodeId>>, WorkError> {
    let known: Option<(Vec<u8>, Vec<u8>)> = connection
        .prepare_cached("SELECT request, uids FROM requests WHERE key = ?1")?
        .query_row([idempotency.key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((request, uids)) = known else { return Ok(None) };
    let uids = uids.as_chunks::<16>().0;
    let mut exists = connection.prepare_cached("SELECT 1 FROM episodes WHERE uid = ?1")?;
    let mut kept = false;
    for uid in uids {
        kept = kept || exists.exists([uid])?;
    }
    match kept {
        false => Ok(None),
        true if request != idempotency.request => Err(Error::IdempotencyConflict.into()),
        true => Ok(Some(uids.iter().map(|uid| EpisodeId::from_bytes(*uid)).collect())),
    }
}

fn session(tx: &Connection, space: i64, name: &str) -> Result<i64, WorkError> {
    let known = tx
        .prepare_cached("SELECT id FROM sessions WHERE space = ?1 AND name = ?2")?
        .query_row(params![space, name], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    tx.prepare_cached("INSERT INTO sessions (space, name) VALUES (?1, ?2)")?.execute(params![space, name])?;
    Ok(tx.last_insert_rowid())
}

fn add_members(tx: &Connection, session: i64, members: &[Member]) -> Result<(), WorkError> {
    let mut insert =
        tx.prepare_cached("INSERT OR IGNORE INTO members (session, role, name) VALUES (?1, ?2, ?3)")?;
    for member in members {
        let role = match member {
            Member::User(_) => 0,
            Member::Agent(_) => 1,
        };
        insert.execute(params![session, role, member.name()])?;
    }
    Ok(())
}
