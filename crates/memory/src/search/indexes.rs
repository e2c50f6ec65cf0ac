//! The ranking indexes of all spaces: built when first asked for, brought up to date before each search, and given up,
//! least recently used first, when they take more memory than allowed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use memcloud_domain::{EpisodeId, Error, Space};
use tokio::sync::RwLock;

use crate::search::index::SpaceIndex;
use crate::text::analysis::Analysis;
use memcloud_ports::{Change, ChangeKind, Engine, IndexRow, Sequence};

/// How many changes are read from the engine at once.
const STEP: usize = 4_096;

pub(crate) type SharedIndex = Arc<RwLock<SpaceIndex>>;

pub(crate) struct Indexes {
    /// The most memory that the indexes may take together, in bytes.
    budget: usize,
    held: Mutex<HashMap<Space, Held>>,
    /// Counts the uses of all indexes.
    uses: AtomicU64,
}

struct Held {
    index: SharedIndex,
    bytes: usize,
    /// The number of the last use; the least is given up first.
    used: u64,
}

impl Indexes {
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, held: Mutex::default(), uses: AtomicU64::new(0) }
    }

    /// The index of a space with everything that is stored by now, and the sequence number that it stands at least at.
    pub(crate) async fn caught_up(
        &self,
        store: &Engine,
        space: &Space,
    ) -> Result<(SharedIndex, Sequence), Error> {
        let head = store.history.head(space).await?;
        if head == 0 {
            // Nothing was ever stored there: asking for any name must not take room for it.
            return Ok((SharedIndex::default(), head));
        }
        let index = self.take(space);
        let mut known = index.read().await.sequence;
        if known > head && known > store.history.head(space).await? {
            // The engine was restored from an earlier day: its numbers begin again where they were then.
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

    fn take(&self, space: &Space) -> SharedIndex {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = held.entry(space.clone()).or_insert_with(|| Held {
            index: SharedIndex::default(),
            bytes: 0,
            used,
        });
        entry.used = used;
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

/// Brings an index up to `head`. It may stop half-way (the caller may give up waiting): then the index is as it was
/// after a whole step, and its sequence number says which.
async fn catch_up(
    index: &mut SpaceIndex,
    store: &Engine,
    space: &Space,
    head: Sequence,
) -> Result<(), Error> {
    if index.needs_rebuild() {
        let mut anew = SpaceIndex::default();
        read_history(&mut anew, store, space, head).await?;
        *index = anew;
        return Ok(());
    }
    read_history(index, store, space, head).await
}

/// Reads the engine's history from where the index stands.
async fn read_history(
    index: &mut SpaceIndex,
    store: &Engine,
    space: &Space,
    head: Sequence,
) -> Result<(), Error> {
    while index.sequence < head {
        let changes = store.history.changes(space, index.sequence, STEP).await?;
        let complete = changes.len() < STEP;
        let last = changes.last().map_or(head, |change| change.sequence);
        let changes = analysed(store, space, changes).await?;
        apply(index, changes);
        // The history may end in numbers that tell nothing here, such as episodes kept for the profile only.
        index.sequence = if complete { last.max(head) } else { last };
    }
    Ok(())
}

/// What became of an episode: what ranking needs, or nothing when it is gone.
type Outcome = (EpisodeId, Option<(Box<IndexRow>, Analysis)>);

/// The last word on each episode in a row of changes, with its analysis, in the order of the history.
async fn analysed(store: &Engine, space: &Space, changes: Vec<Change>) -> Result<Vec<Outcome>, Error> {
    let mut last: HashMap<EpisodeId, Change> = HashMap::with_capacity(changes.len());
    for change in changes {
        last.insert(change.id, change);
    }
    let mut changes: Vec<Change> = last.into_values().collect();
    changes.sort_unstable_by_key(|change| change.sequence);
    let mut outcomes = Vec::with_capacity(changes.len());
    for Change { id, kind, .. } in changes {
        let ChangeKind::Put(row) = kind else {
            outcomes.push((id, None));
            continue;
        };
        let analysis = match Analysis::decode(&row.analysis) {
            Some(analysis) => Some(analysis),
            // Written by another version of the analysis: worked out again from the text.
            None => store.episodes.episodes(space, &[id]).await?.first().map(Analysis::of),
        };
        outcomes.push((id, analysis.map(|analysis| (row, analysis))));
    }
    Ok(outcomes)
}

/// Nothing here waits, so nobody ever sees the index between what is removed and what takes its place.
fn apply(index: &mut SpaceIndex, outcomes: Vec<Outcome>) {
    let told: Vec<EpisodeId> = outcomes.iter().map(|(id, _)| *id).collect();
    index.remove(&told);
    for (id, outcome) in outcomes {
        if let Some((row, analysis)) = outcome {
            index.put(id, &row, &analysis);
        }
    }
    index.settle();
}
