use memcloud_domain::{Error, Space};
use memcloud_ports::{Engine, Sequence};
use tokio::sync::OwnedRwLockReadGuard;

use crate::search::index::SpaceIndex;
use crate::search::indexes::{Indexes, SharedIndex};

/// An index that is locked for reading.
pub(crate) type LockedIndex = OwnedRwLockReadGuard<SpaceIndex>;

/// The index of a space as a search needs it: with at least everything that was stored when the search began.
///
/// A search must not hold the lock while it waits for the embedder, or no other search could bring the index up to date
/// meanwhile. So it locks the index twice, and the second time it may have to catch up again.
pub(crate) struct Snapshot<'a> {
    indexes: &'a Indexes,
    store: &'a Engine,
    space: &'a Space,
    index: SharedIndex,
    head: Sequence,
}

impl<'a> Snapshot<'a> {
    /// Brings the index up to date.
    pub(crate) async fn take(
        indexes: &'a Indexes,
        store: &'a Engine,
        space: &'a Space,
    ) -> Result<Self, Error> {
        let (index, head) = indexes.caught_up(store, space).await?;
        Ok(Self { indexes, store, space, index, head })
    }

    /// Locks the index for reading.
    pub(crate) async fn read(&self) -> Result<LockedIndex, Error> {
        let mut index = self.index.clone();
        loop {
            let locked = index.read_owned().await;
            // Another search may have begun to rebuild it and stopped half-way.
            if locked.position.changes >= self.head {
                return Ok(locked);
            }
            drop(locked);
            index = self.indexes.caught_up(self.store, self.space).await?.0;
        }
    }
}
