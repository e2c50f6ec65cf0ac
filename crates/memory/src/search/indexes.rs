//! The ranking indexes of all spaces: built when first asked for, brought up to date before each search, and given up,
//! least recently used first, when they take more memory than allowed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use memcloud_model::{Error, Space};
use tokio::sync::RwLock;

use crate::analysis::Analysis;
use crate::ports::{Change, ChangeKind, EpisodeStore};
use crate::search::index::SpaceIndex;

/// How many changes are read from the engine at once.
const STEP: usize = 4_096;

pub(crate) type SharedIndex = Arc<RwLock<SpaceIndex>>;

pub(crate) struct Indexes {
    /// The most memory that the indexes may take together, in bytes.
    budget: usize,
    held: Mutex<HashMap<Space, Held>>,
}

struct Held {
    index: SharedIndex,
    bytes: usize,
    /// The tick of the last use; the least is given up first.
    used: u64,
}

impl Indexes {
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, held: Mutex::default() }
    }

    /// The index of a space with everything that is stored by now.
    pub(crate) async fn caught_up(
        &self,
        store: &dyn EpisodeStore,
        space: &Space,
    ) -> Result<SharedIndex, Error> {
        let index = self.take(space);
        let head = store.head(space).await?;
        if index.read().await.sequence < head {
            let mut writing = index.write().await;
            catch_up(&mut writing, store, space, head).await?;
            let bytes = writing.bytes();
            drop(writing);
            self.account(space, bytes);
        }
        Ok(index)
    }

    fn take(&self, space: &Space) -> SharedIndex {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let tick = held.values().map(|h| h.used).max().unwrap_or(0) + 1;
        let entry = held.entry(space.clone()).or_insert_with(|| Held {
            index: SharedIndex::default(),
            bytes: 0,
            used: tick,
        });
        entry.used = tick;
        entry.index.clone()
    }

    /// Notes how large an index has become and gives up others while all together are too large.
    fn account(&self, space: &Space, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = held.get_mut(space) {
            entry.bytes = bytes;
        }
        while held.values().map(|h| h.bytes).sum::<usize>() > self.budget {
            let others = held.iter().filter(|(name, _)| *name != space);
            let Some(oldest) = others.min_by_key(|(_, h)| h.used).map(|(name, _)| name.clone()) else {
                break;
            };
            held.remove(&oldest);
        }
    }
}

/// Reads the engine's history from where the index stands up to `head`.
async fn catch_up(
    index: &mut SpaceIndex,
    store: &dyn EpisodeStore,
    space: &Space,
    head: u64,
) -> Result<(), Error> {
    if index.worn() {
        *index = SpaceIndex::default();
    }
    while index.sequence < head {
        let changes = store.changes(space, index.sequence, STEP).await?;
        let complete = changes.len() < STEP;
        let last = changes.last().map(|change| change.sequence);
        apply(index, store, space, changes).await?;
        // The history may end in numbers that tell nothing here, such as episodes kept for the profile only.
        index.sequence = if complete { last.unwrap_or(head).max(head) } else { last.unwrap_or(head) };
    }
    Ok(())
}

async fn apply(
    index: &mut SpaceIndex,
    store: &dyn EpisodeStore,
    space: &Space,
    changes: Vec<Change>,
) -> Result<(), Error> {
    // What is told again replaces what was known, and what was put and removed within one step is never learned.
    let known: Vec<_> = changes.iter().map(|change| change.id).collect();
    index.remove(&known);
    let mut newest = HashMap::new();
    for change in changes {
        newest.insert(change.id, change);
    }
    let mut changes: Vec<_> = newest.into_values().collect();
    changes.sort_unstable_by_key(|change| change.sequence);
    for change in changes {
        if let ChangeKind::Put(row) = change.kind {
            let analysis = match Analysis::decode(&row.analysis) {
                Some(analysis) => analysis,
                // Written by another version of the analysis: worked out again from the text.
                None => match store.episodes(space, &[change.id]).await?.first() {
                    Some(episode) => Analysis::of(episode),
                    None => continue,
                },
            };
            index.put(change.id, &row, &analysis);
        }
    }
    index.settle();
    Ok(())
}
