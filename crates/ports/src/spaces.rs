//! Spaces: listed, described, configured and deleted.

use async_trait::async_trait;
use memcloud_domain::{Error, Space, SpaceChanges, SpaceCounts, SpaceInfo};

/// Keeps what is known of spaces. Storing an episode or a session in an unknown space creates the space.
///
/// A deletion has two parts. [`begin_space_deletion`](Self::begin_space_deletion) moves the space to a hidden name at
/// once: from then on, no method finds anything under its own name, and a store there is refused with
/// [`Error::SpaceDeleting`]. Under the hidden name its episodes are deleted as in any space, session by session. When none
/// is left, [`remove_space`](Self::remove_space) removes the rest. The state is kept, so a deletion that was interrupted
/// continues.
#[async_trait]
pub trait SpaceStore: Send + Sync {
    /// Spaces in the order of their names (organization, then project), after this one. Includes those being deleted.
    async fn spaces(&self, after: Option<&Space>, limit: usize) -> Result<Vec<SpaceInfo>, Error>;

    /// A space and how much it holds; `None` when it is unknown. One that is being deleted holds nothing.
    async fn describe_space(&self, space: &Space) -> Result<Option<(SpaceInfo, SpaceCounts)>, Error>;

    /// Changes a space; `false` when it is unknown or being deleted.
    async fn configure_space(&self, space: &Space, changes: SpaceChanges) -> Result<bool, Error>;

    /// Keeps a space of another store with its settings. It was created at the earlier of the two moments that are known.
    async fn put_space(&self, space: &SpaceInfo) -> Result<(), Error>;

    /// Begins to delete a space, and drops what waits to be learned from in it. `false` when it is unknown; `true` also when
    /// the deletion had begun.
    async fn begin_space_deletion(&self, space: &Space) -> Result<bool, Error>;

    /// The hidden names of the spaces that are being deleted.
    async fn hidden_spaces(&self) -> Result<Vec<Space>, Error>;

    /// Removes a space by its hidden name, with its sessions and facts. Errs while it has episodes. Then its own name is free:
    /// a space that is created under it has sequence numbers of a new [life](crate::life).
    async fn remove_space(&self, hidden: &Space) -> Result<(), Error>;
}
