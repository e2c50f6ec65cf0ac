//! Deletes spaces: a deletion takes effect at once and is completed in the background.

use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{Error, Space};
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
        for hidden in self.engine.spaces.hidden_spaces().await? {
            let of = SessionsOf::Space(hidden.clone());
            loop {
                let page = self.engine.sessions.sessions(&of, None, SESSIONS_AT_ONCE).await?;
                let names: Vec<String> = page.sessions.into_iter().map(|session| session.name).collect();
                if names.is_empty() {
                    break;
                }
                for name in &names {
                    self.delete_episodes(&hidden, &EpisodesOf::Session(name.clone())).await?;
                }
                self.engine.sessions.remove_sessions(&hidden, &names).await?;
            }
            self.engine.spaces.remove_space(&hidden).await?;
        }
        Ok(())
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
