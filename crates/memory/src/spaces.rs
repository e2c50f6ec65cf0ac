//! Deletes spaces: a deletion takes effect at once and is completed in the background.

use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{Error, Session, Space};
use memcloud_ports::{EpisodesOf, SessionsOf};
use tokio_util::sync::CancellationToken;

use crate::Memory;

/// How long the deleter waits before it checks again for spaces to delete: another server may have begun a deletion, or a
/// database may have been down.
const PAUSE: Duration = Duration::from_secs(30);

/// How many sessions of a space are read at once.
const SESSIONS_AT_ONCE: usize = 100;

impl Memory {
    /// Deletes a space with all that it holds. When this returns, nothing in it is found any more; the data are gone when
    /// the [deleter](Self::delete_spaces) is done. `false` when the space is unknown.
    pub async fn delete_space(&self, space: &Space) -> Result<bool, Error> {
        let begun = self.engine.spaces.begin_space_deletion(space).await?;
        self.deletions.notify_one();
        Ok(begun)
    }

    /// Completes all deletions that have begun, also before a restart or on another server.
    pub async fn complete_space_deletions(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for hidden in self.engine.spaces.hidden_spaces().await? {
            // One that cannot be deleted delays no other.
            outcome = outcome.and(self.complete_space_deletion(&hidden).await);
        }
        outcome
    }

    async fn complete_space_deletion(&self, hidden: &Space) -> Result<(), Error> {
        let of = SessionsOf::Space(hidden.clone());
        let (mut after, mut left) = (None, 0);
        loop {
            let page = self.engine.sessions.sessions(&of, after, SESSIONS_AT_ONCE).await?;
            let mut emptied = Vec::new();
            for Session { name, .. } in page.sessions {
                match self.delete_episodes(hidden, &EpisodesOf::Session(name.clone())).await {
                    Err(Error::Undeletable { episodes }) => left += episodes,
                    deleted => deleted.map(|_| emptied.push(name))?,
                }
            }
            while !self.engine.sessions.remove_sessions(hidden, &emptied).await? {}
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if left > 0 {
            return Err(Error::Undeletable { episodes: left });
        }
        self.engine.spaces.remove_space(hidden).await
    }

    /// The deleter: completes deletions in the background until it is asked to stop.
    pub async fn delete_spaces(self: Arc<Self>, stop: CancellationToken) {
        let work = async {
            loop {
                if let Err(error) = self.complete_space_deletions().await {
                    tracing::warn!(%error, "cannot complete the deletion of a space; will retry");
                }
                // Either a new deletion or the end of the pause continues.
                drop(tokio::time::timeout(PAUSE, self.deletions.notified()).await);
            }
        };
        stop.run_until_cancelled(work).await;
    }
}
