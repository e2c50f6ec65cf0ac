//! The indexes of all spaces: built when first needed, brought up to date before each search, and dropped, least recently
//! used first, when they take more memory than allowed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;
use memcloud_domain::{EpisodeId, Error, Space};
use tokio::sync::RwLock;

use crate::search::index::SpaceIndex;
use crate::text::analysis::Analysis;
use memcloud_ports::{Change, ChangeKind, Engine, IndexRow, Sequence, life, read_parts};

/// How many changes are read from the engine at once.
const STEP: usize = 4_096;

pub(crate) type SharedIndex = Arc<RwLock<SpaceIndex>>;

pub(crate) struct Indexes {
    /// The most memory that the indexes may take together, in bytes.
    budget: usize,
    held: Mutex<Held>,
}

/// The indexes in memory, in the order of their last use.
struct Held {
    indexes: LruCache<Space, (SharedIndex, usize)>,
    /// What they take together, in bytes.
    bytes: usize,
}

impl Held {
    fn remove(&mut self, space: &Space) {
        if let Some((_, bytes)) = self.indexes.remove(space) {
            self.bytes -= bytes;
        }
    }

    /// Records the size of an index in use, and takes out others, least recently used first, while all together are larger
    /// than `budget`.
    fn account(&mut self, space: &Space, bytes: usize, budget: usize) -> Vec<SharedIndex> {
        let bytes = bytes + space.org.len() + space.project.len();
        if let Some((_, known)) = self.indexes.get_mut(space) {
            self.bytes = self.bytes - *known + bytes;
            *known = bytes;
        }
        let mut dropped = vec![];
        while self.bytes > budget && self.indexes.len() > 1 {
            let Some((_, (index, bytes))) = self.indexes.remove_lru() else { break };
            self.bytes -= bytes;
            dropped.push(index);
        }
        dropped
    }
}

impl Indexes {
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, held: Mutex::new(Held { indexes: LruCache::new_unbounded(), bytes: 0 }) }
    }

    /// The index of a space with everything that is stored by now, and a sequence number that it has reached.
    pub(crate) async fn caught_up(
        &self,
        store: &Engine,
        space: &Space,
    ) -> Result<(SharedIndex, Sequence), Error> {
        let head = store.history.head(space).await?;
        if head == 0 {
            // Nothing was stored there, or the space was deleted: a search must take no memory.
            self.lock().remove(space);
            return Ok((SharedIndex::default(), head));
        }
        let index = self.take(space);
        let mut known = index.read().await.sequence;
        if life(known) != life(head) || (known > head && known > store.history.head(space).await?) {
            // The space was deleted and created again, or the engine was restored from a backup.
            *index.write().await = SpaceIndex::default();
            known = 0;
        }
        if known < head {
            let mut writing = index.write().await;
            catch_up(&mut writing, store, space, head).await?;
            let bytes = writing.bytes();
            drop(writing);
            self.account(space, bytes);
        }
        Ok((index, head))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, space: &Space) -> SharedIndex {
        let mut held = self.lock();
        if let Some((index, _)) = held.indexes.get(space) {
            return index.clone();
        }
        let (index, bytes) = (SharedIndex::default(), SpaceIndex::default().bytes());
        held.bytes += bytes;
        held.indexes.insert(space.clone(), (index.clone(), bytes));
        index
    }

    /// Records the size of an index in use, and drops others while all together are too large.
    fn account(&self, space: &Space, bytes: usize) {
        let dropped = self.lock().account(space, bytes, self.budget);
        // Freeing a large index takes a while, and other searches must not wait for the lock meanwhile.
        drop(dropped);
    }
}

/// Brings an index up to `head`. When the caller stops waiting half-way, the index is as it was after a whole step, and its
/// sequence number says which.
async fn catch_up(
    index: &mut SpaceIndex,
    store: &Engine,
    space: &Space,
    head: Sequence,
) -> Result<(), Error> {
    if index.needs_rebuild() {
        let mut rebuilt = SpaceIndex::default();
        read_history(&mut rebuilt, store, space, head).await?;
        *index = rebuilt;
        return Ok(());
    }
    read_history(index, store, space, head).await
}

/// Reads the engine's history after the index's sequence number.
async fn read_history(
    index: &mut SpaceIndex,
    store: &Engine,
    space: &Space,
    head: Sequence,
) -> Result<(), Error> {
    while index.sequence < head {
        let changes = store.history.changes(space, index.sequence, STEP).await?;
        // The last numbers of the history may belong to episodes that are deleted by now.
        let last = changes.last().map_or(head, |change| change.sequence);
        let changes = analysed(store, space, changes).await?;
        apply(index, changes);
        index.sequence = last;
    }
    Ok(())
}

/// The outcome of some changes for an episode: what the index needs, or nothing when it is deleted.
type Outcome = (EpisodeId, Option<(Box<IndexRow>, Analysis)>);

/// The last outcome for each episode in some changes, with its analysis, in the order of the history.
async fn analysed(store: &Engine, space: &Space, changes: Vec<Change>) -> Result<Vec<Outcome>, Error> {
    let mut last: HashMap<EpisodeId, Change> = HashMap::with_capacity(changes.len());
    for change in changes {
        last.insert(change.id, change);
    }
    let mut changes: Vec<Change> = last.into_values().collect();
    changes.sort_unstable_by_key(|change| change.sequence);
    let mut outcomes = Vec::with_capacity(changes.len());
    let mut outdated = Vec::new();
    for Change { id, kind, .. } in changes {
        let ChangeKind::Put(mut row) = kind else {
            outcomes.push((id, None));
            continue;
        };
        // One that is not finite, of a damaged file or an earlier version, would spoil the ranking of all.
        row.vector = row.vector.filter(|vector| vector.iter().all(|x| x.is_finite()));
        let analysis = Analysis::decode(&row.analysis);
        if analysis.is_none() {
            outdated.push(id);
        }
        outcomes.push((id, Some((row, analysis))));
    }
    // Another version of the analysis wrote these: they are analysed again from the episodes.
    let mut again: HashMap<EpisodeId, Analysis> = HashMap::with_capacity(outdated.len());
    read_parts(&*store.episodes, space, &outdated, |part| {
        again.extend(part.iter().map(|episode| (episode.id, Analysis::of(episode))));
        true
    })
    .await?;
    let outcomes = outcomes.into_iter().map(|(id, put)| {
        let put = put.and_then(|(row, analysis)| Some((row, analysis.or_else(|| again.remove(&id))?)));
        (id, put)
    });
    Ok(outcomes.collect())
}

/// Applies the outcomes without waiting, so that no search sees an episode removed and not yet replaced.
fn apply(index: &mut SpaceIndex, outcomes: Vec<Outcome>) {
    let changed: Vec<EpisodeId> = outcomes.iter().map(|(id, _)| *id).collect();
    index.remove(&changed);
    for (id, outcome) in outcomes {
        if let Some((row, analysis)) = outcome {
            index.put(id, &row, &analysis);
        }
    }
    index.settle();
}
