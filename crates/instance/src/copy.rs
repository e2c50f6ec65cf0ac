//! Copies a memory from one engine to another: spaces with their settings, sessions, members, episodes, vectors, categories,
//! facts, the learning queue and API keys, under the same ids and in the same order. What the target has already is skipped, so an
//! interrupted copy continues when it is run again. At the end both sides are read and compared. A space that is being
//! deleted is not copied.

mod categories;
mod facts;
mod keys;

use std::collections::{BTreeMap, HashMap, HashSet};

use data_encoding::HEXLOWER;
use half::f16;
use memcloud_domain::{Episode, EpisodeId, Member, Session, Space, SpaceState};
use memcloud_memory::Analysis;
use memcloud_ports::{
    Batch, Change, ChangeKind, Cursor, Engine, IndexRow, LISTED_MEMBERS, Position, Prepared, SessionsOf,
    read_all,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// How many episodes are read at once.
const STEP: usize = 100;
/// How many bytes of content are written at once, unless a single episode has more.
const WRITTEN_BYTES: usize = 2 << 20;

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// How many episodes are on the target, and how many there are in all.
    Copied {
        /// Episodes so far.
        done: u64,
        /// Episodes in all.
        total: u64,
    },
    /// Both sides are read and compared.
    Checking,
}

/// Receives progress.
pub type OnProgress<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// What a copy holds, the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Episodes.
    pub episodes: u64,
    /// Episodes with a vector.
    pub vectors: u64,
    /// Facts.
    pub facts: u64,
    /// Messages in the learning queue.
    pub queued: u64,
    /// Spaces.
    pub spaces: usize,
    /// API keys.
    pub keys: usize,
    /// Episodes that this run wrote.
    pub written: u64,
    /// A checksum over everything, in hexadecimal digits.
    pub checksum: String,
    /// What the source should have and could not be read, in words; `None` if it was read whole.
    pub unread: Option<String>,
}

/// Copies everything that can be read, then compares both sides.
///
/// # Errors
///
/// [`Error::Unread`] when part of the source cannot be read and the sides differ: what rests on lost memories is not copied.
pub async fn copy(source: &Engine, target: &Engine, progress: OnProgress<'_>) -> Result<Copied, Error> {
    past(source, target, bind(source, target).await)?;
    let spaces = copy_spaces(source, target).await?;
    let total = stored(source, &spaces).await?;
    past(source, target, copy_sessions(source, target).await)?;
    let mut counter = Counter { done: 0, total, written: 0, progress };
    for space in &spaces {
        past(source, target, copy_episodes(source, target, space, &mut counter).await)?;
    }
    past(source, target, categories::copy(source, target).await)?;
    past(source, target, facts::copy(source, target).await)?;
    past(source, target, keys::copy(source, target).await)?;
    (counter.progress)(Progress::Checking);
    let compared = compare(source, target, &spaces).await;
    let unread = unread(source, &counter);
    let sum = match (compared, &unread) {
        (Err(differ), Some(unread)) => return Err(Error::Unread(format!("{unread}; {differ}"))),
        (compared, _) => compared?,
    };
    Ok(Copied {
        episodes: sum.episodes,
        vectors: sum.vectors,
        facts: sum.facts,
        queued: sum.queued,
        spaces: spaces.len(),
        keys: sum.keys,
        written: counter.written,
        checksum: sum.hex(),
        unread,
    })
}

/// Goes on where a part of the source cannot be read. The source notes it, and the copy reports it at the end.
fn past(source: &Engine, target: &Engine, copied: Result<(), Error>) -> Result<(), Error> {
    use memcloud_domain::Error::StorageDamaged;
    match copied {
        Err(Error::Memory(StorageDamaged { .. }))
            if source.health.intact().is_err() && target.health.intact().is_ok() =>
        {
            Ok(())
        }
        copied => copied,
    }
}

/// Binds the target to the vector space of the source.
async fn bind(source: &Engine, target: &Engine) -> Result<(), Error> {
    if let Some(space) = source.vectors.vector_space().await? {
        target.vectors.bind_vector_space(&space).await?;
    }
    Ok(())
}

/// How many episodes these spaces have, as far as they can be counted.
async fn stored(source: &Engine, spaces: &[Space]) -> Result<u64, Error> {
    let mut stored = 0;
    for space in spaces {
        match source.spaces.describe_space(space).await {
            // The source notes it, and the copy reports it at the end.
            Err(memcloud_domain::Error::StorageDamaged { .. }) => {}
            described => stored += described?.map_or(0, |(_, counts)| counts.episodes),
        }
    }
    Ok(stored)
}

/// What of the source could not be read, in words.
fn unread(source: &Engine, counter: &Counter<'_>) -> Option<String> {
    let Counter { done, total, .. } = counter;
    let too_few = (done < total).then(|| format!("{done} of {total} memories could be read"));
    let damage = source.health.intact().err().map(|error| error.to_string());
    let unread: Vec<String> = too_few.into_iter().chain(damage).collect();
    (!unread.is_empty()).then(|| unread.join("; "))
}

/// Compares both sides, and sums up what they have.
async fn compare(source: &Engine, target: &Engine, spaces: &[Space]) -> Result<Sum, Error> {
    categories::check(source, target).await?;
    let mut sum = facts::check(source, target).await?;
    for space in spaces {
        sum.add(&check(source, target, space).await?);
    }
    sum.add(&keys::check(source, target).await?);
    Ok(sum)
}

/// Counts episodes, and reports them.
struct Counter<'a> {
    done: u64,
    total: u64,
    written: u64,
    progress: OnProgress<'a>,
}

impl Counter<'_> {
    fn step(&mut self, seen: usize, written: usize) {
        self.done += seen as u64;
        self.written += written as u64;
        (self.progress)(Progress::Copied { done: self.done, total: self.total.max(self.done) });
    }
}

/// Copies the spaces with their settings, and returns them.
async fn copy_spaces(source: &Engine, target: &Engine) -> Result<Vec<Space>, Error> {
    let mut spaces: Vec<Space> = Vec::new();
    let mut after = None;
    loop {
        let page = source.spaces.spaces(after.as_ref(), STEP).await?;
        let Some(last) = page.last() else { return Ok(spaces) };
        after = Some(last.space.clone());
        for info in page.into_iter().filter(|info| info.state == SpaceState::Active) {
            target.spaces.put_space(&info).await?;
            spaces.push(info.space);
        }
    }
}

/// Creates all sessions, in the order in which they were first seen.
async fn copy_sessions(source: &Engine, target: &Engine) -> Result<(), Error> {
    let mut batch: Vec<(String, Vec<Member>)> = Vec::new();
    let mut owner: Option<Space> = None;
    let mut after = None;
    loop {
        let page = source.sessions.sessions(&SessionsOf::Everyone, after, STEP).await?;
        for Session { space, name, mut members } in page.sessions {
            if members.len() > LISTED_MEMBERS {
                let all = source.sessions.session(&space, &name, usize::MAX).await?;
                members = all.map(|session| session.members).unwrap_or_default();
            }
            if owner.as_ref() != Some(&space) || batch.len() >= STEP {
                make_sessions(target, owner.replace(space), std::mem::take(&mut batch)).await?;
            }
            batch.push((name, members));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    make_sessions(target, owner, batch).await
}

async fn make_sessions(
    target: &Engine,
    space: Option<Space>,
    sessions: Vec<(String, Vec<Member>)>,
) -> Result<(), Error> {
    let Some(space) = space else { return Ok(()) };
    target
        .episodes
        .append(Batch { space, sessions, episodes: Vec::new(), idempotency: None, intent: None })
        .await?;
    Ok(())
}

/// Copies the episodes of a space, in the order of its history. Their analysis is renewed.
async fn copy_episodes(
    source: &Engine,
    target: &Engine,
    space: &Space,
    counter: &mut Counter<'_>,
) -> Result<(), Error> {
    let mut after = Position::WITHOUT_REMOVALS;
    loop {
        let changes = source.history.changes(space, after, STEP).await?.unwrap_or_default();
        let Some(last) = changes.last() else { return Ok(()) };
        after = after.read_up_to(last.sequence);
        let (ids, mut rows): (Vec<EpisodeId>, HashMap<EpisodeId, IndexRow>) = put(changes);
        let episodes = read_all(&*source.episodes, space, &ids).await?;
        let prepared = episodes.into_iter().filter_map(|episode| {
            let row = rows.remove(&episode.id)?;
            let analysis = Analysis::of(&episode).encode();
            Some(Prepared { episode, vector: row.vector, analysis, fact_targets: Vec::new() })
        });
        write(target, space, prepared.collect(), counter).await?;
    }
}

/// The episodes that these changes put, in order.
fn put(changes: Vec<Change>) -> (Vec<EpisodeId>, HashMap<EpisodeId, IndexRow>) {
    let rows = changes.into_iter().filter_map(|change| match change.kind {
        ChangeKind::Put(row) => Some((change.id, *row)),
        ChangeKind::Removed => None,
    });
    let rows: Vec<(EpisodeId, IndexRow)> = rows.collect();
    (rows.iter().map(|(id, _)| *id).collect(), rows.into_iter().collect())
}

/// Writes the episodes that the target does not have.
async fn write(
    target: &Engine,
    space: &Space,
    mut prepared: Vec<Prepared>,
    counter: &mut Counter<'_>,
) -> Result<(), Error> {
    let (seen, ids) = (prepared.len(), prepared.iter().map(|p| p.episode.id).collect::<Vec<_>>());
    let there: HashSet<EpisodeId> =
        read_all(&*target.episodes, space, &ids).await?.iter().map(|e| e.id).collect();
    prepared.retain(|prepared| !there.contains(&prepared.episode.id));
    let written = prepared.len();
    while !prepared.is_empty() {
        let mut bytes = 0;
        let fitting = prepared.iter().take_while(|prepared| {
            bytes += prepared.episode.content.len();
            bytes <= WRITTEN_BYTES
        });
        let rest = prepared.split_off(fitting.count().max(1));
        let episodes = std::mem::replace(&mut prepared, rest);
        let (space, sessions) = (space.clone(), Vec::new());
        target.episodes.append(Batch { space, sessions, episodes, idempotency: None, intent: None }).await?;
    }
    counter.step(seen, written);
    Ok(())
}

/// A count with a checksum that does not depend on the order: the sum of SHA-256 values, taken as four numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sum {
    episodes: u64,
    vectors: u64,
    facts: u64,
    queued: u64,
    keys: usize,
    hashes: [u64; 4],
}

impl Sum {
    fn take(&mut self, hash: Sha256) {
        let hash: [u8; 32] = hash.finalize().into();
        for (sum, part) in self.hashes.iter_mut().zip(hash.as_chunks().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*part));
        }
    }

    fn add(&mut self, other: &Self) {
        self.episodes += other.episodes;
        self.vectors += other.vectors;
        self.facts += other.facts;
        self.queued += other.queued;
        self.keys += other.keys;
        for (sum, part) in self.hashes.iter_mut().zip(other.hashes) {
            *sum = sum.wrapping_add(part);
        }
    }

    fn hex(&self) -> String {
        HEXLOWER.encode(&self.hashes.map(u64::to_le_bytes).concat()[..16])
    }
}

/// Reads a space on both sides and compares what the source has.
async fn check(source: &Engine, target: &Engine, space: &Space) -> Result<Sum, Error> {
    let mut ids = HashSet::new();
    let remember = |id| {
        ids.insert(id);
        true
    };
    let here = sum(source, space, remember).await?;
    let there = sum(target, space, |id| ids.contains(&id)).await?;
    if here == there {
        return Ok(here);
    }
    let summary =
        |sum: &Sum| format!("{} memories, {} vectors, checksum {}", sum.episodes, sum.vectors, sum.hex());
    Err(Error::SpacesDiffer { space: space.clone(), here: summary(&here), there: summary(&there) })
}

/// Sums up the episodes of a space that are wanted, with their vectors.
async fn sum(store: &Engine, space: &Space, mut wanted: impl FnMut(EpisodeId) -> bool) -> Result<Sum, Error> {
    let mut sum = Sum::default();
    let mut after = None;
    loop {
        let page = store.episodes.page(space, None, after, STEP).await?;
        let Some(last) = page.last() else { break };
        after = Some(Cursor { created_at: last.created_at.as_micros(), id: last.id });
        for episode in page.iter().filter(|episode| wanted(episode.id)) {
            sum.episodes += 1;
            sum.take(of_episode(episode));
        }
    }
    let mut after = Position::WITHOUT_REMOVALS;
    loop {
        let changes = store.history.changes(space, after, STEP).await?.unwrap_or_default();
        let Some(last) = changes.last() else { return Ok(sum) };
        after = after.read_up_to(last.sequence);
        let (ids, rows) = put(changes);
        for id in ids.into_iter().filter(|id| wanted(*id)) {
            sum.vectors += u64::from(rows[&id].vector.is_some());
            sum.take(of_vector(id.as_bytes(), rows[&id].vector.as_deref()));
        }
    }
}

fn of_episode(episode: &Episode) -> Sha256 {
    // Metadata in the order of its keys: no engine promises another.
    let metadata: BTreeMap<_, _> = episode.metadata.iter().collect();
    let text = json!([
        episode.id.to_string(),
        episode.session,
        episode.content,
        episode.producer,
        episode.produced_for,
        episode.role,
        episode.kind,
        metadata,
        episode.created_at.as_micros(),
        episode.ingested_at.as_micros(),
        episode.purpose,
    ]);
    Sha256::new_with_prefix(text.to_string())
}

fn of_vector(owner: &[u8], vector: Option<&[f16]>) -> Sha256 {
    let mut hash = Sha256::new_with_prefix(owner);
    for number in vector.unwrap_or_default() {
        hash.update(number.to_le_bytes());
    }
    hash
}
