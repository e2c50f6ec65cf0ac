//! The indexes of all spaces: built when first needed, brought up to date before each search, and dropped, least recently
//! used first, when they take more memory than allowed.

use std::collections::HashMap;
use std::ops::DerefMut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;
use memcloud_domain::{EpisodeId, Error, Space};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};

use crate::compute::compute;
use crate::search::index::SpaceIndex;
use crate::text::analysis::Analysis;
use memcloud_ports::{Change, ChangeKind, Engine, IndexRow, Parts, Position, Sequence, life};

/// How many changes are read from the engine at once.
const STEP: usize = 4_096;

/// Up to this many changes are read on the thread that serves the request.
const INLINE_CHANGES: usize = 64;

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
        let mut known = index.read().await.position.changes;
        if life(known) != life(head) || (known > head && known > store.history.head(space).await?) {
            // The space was deleted and created again, or the engine was restored from a backup.
            *index.write().await = SpaceIndex::default();
            known = 0;
        }
        if known < head {
            let writing = Arc::clone(&index).write_owned().await;
            let writing = catch_up(writing, store, space, head).await?;
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
/// position says which.
async fn catch_up(
    mut index: OwnedRwLockWriteGuard<SpaceIndex>,
    store: &Engine,
    space: &Space,
    head: Sequence,
) -> Result<OwnedRwLockWriteGuard<SpaceIndex>, Error> {
    if index.needs_rebuild() {
        *index = *read_history(Box::<SpaceIndex>::default(), store, space, head).await?;
        return Ok(index);
    }
    read_history(index, store, space, head).await
}

/// Reads the engine's history after the index's position. If removals there are pruned, begins again.
async fn read_history<I: DerefMut<Target = SpaceIndex> + Send + 'static>(
    mut index: I,
    store: &Engine,
    space: &Space,
    mut head: Sequence,
) -> Result<I, Error> {
    while index.position.changes < head {
        if index.position.changes == 0 {
            index.position = Position::before_all(head);
        }
        let Some(changes) = store.history.changes(space, index.position, STEP).await? else {
            head = store.history.head(space).await?;
            *index = SpaceIndex::default();
            continue;
        };
        // The last numbers of the history may belong to episodes that are deleted by now.
        let last = changes.last().map_or(head, |change| change.sequence);
        let changes = analyzed(store, space, changes).await?;
        let indexed = compute(changes.len() > INLINE_CHANGES, "indexing", move || {
            apply(&mut index, changes);
            index.position = index.position.read_up_to(last);
            index
        });
        index = indexed.await?;
    }
    Ok(index)
}

/// The outcome of some changes for an episode: what the index needs, or nothing when it is deleted.
type Outcome = (EpisodeId, Option<(Box<IndexRow>, Analysis)>);

/// The last outcome for each episode in some changes, with its analysis, in the order of the history.
async fn analyzed(store: &Engine, space: &Space, changes: Vec<Change>) -> Result<Vec<Outcome>, Error> {
    let is_large = changes.len() > INLINE_CHANGES;
    let (mut outcomes, outdated) = compute(is_large, "reading analyses", || decoded(changes)).await?;
    if outdated.is_empty() {
        return Ok(outcomes);
    }
    // Another version of the analysis wrote these: they are analyzed again from the episodes.
    let ids: Vec<EpisodeId> = outdated.iter().map(|(id, _)| *id).collect();
    let (mut again, mut parts) = (HashMap::new(), Parts::new(&*store.episodes, space, &ids));
    while let Some(part) = parts.next().await? {
        let analyses = compute(true, "analyzing again", move || {
            part.iter().map(|episode| (episode.id, Analysis::of(episode))).collect::<Vec<_>>()
        });
        again.extend(analyses.await?);
    }
    let earlier = outdated.iter().filter(|(_, row)| Analysis::is_of_earlier_version(&row.analysis));
    let earlier = earlier.filter_map(|(id, _)| Some((*id, again.get(id)?.encode()))).collect();
    write_back(store, earlier).await;
    let rows = outdated.into_iter().filter_map(|(id, row)| Some((id, (row, again.remove(&id)?))));
    let mut rows: HashMap<EpisodeId, (Box<IndexRow>, Analysis)> = rows.collect();
    for (id, outcome) in &mut outcomes {
        if let Some(row) = rows.remove(id) {
            *outcome = Some(row);
        }
    }
    Ok(outcomes)
}

/// The outcomes of changes, and the rows whose analysis another version wrote.
fn decoded(changes: Vec<Change>) -> (Vec<Outcome>, Vec<(EpisodeId, Box<IndexRow>)>) {
    let mut last: HashMap<EpisodeId, Change> = HashMap::with_capacity(changes.len());
    for change in changes {
        last.insert(change.id, change);
    }
    let mut changes: Vec<Change> = last.into_values().collect();
    changes.sort_unstable_by_key(|change| change.sequence);
    let (mut outcomes, mut outdated) = (Vec::with_capacity(changes.len()), Vec::new());
    for Change { id, kind, .. } in changes {
        let outcome = match kind {
            ChangeKind::Removed => None,
            ChangeKind::Put(mut row) => {
                // One that is not finite, of a damaged file or an earlier version, would spoil the ranking of all.
                row.vector = row.vector.filter(|vector| vector.iter().all(|x| x.is_finite()));
                let analysis = Analysis::decode(&row.analysis);
                if analysis.is_none() {
                    outdated.push((id, row));
                    None
                } else {
                    analysis.map(|analysis| (row, analysis))
                }
            }
        };
        outcomes.push((id, outcome));
    }
    (outcomes, outdated)
}

/// Stores analyses that were computed again, so that this happens once and not at every start.
async fn write_back(store: &Engine, analyses: Vec<(EpisodeId, Vec<u8>)>) {
    let episodes = analyses.len();
    if episodes == 0 {
        return;
    }
    // The search does not need this, so it goes on without.
    match store.history.set_analyses(analyses).await {
        Ok(()) => tracing::info!(episodes, "analyzed episodes of an earlier version again"),
        Err(error) => tracing::warn!(%error, episodes, "cannot store analyses; will analyze again later"),
    }
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
