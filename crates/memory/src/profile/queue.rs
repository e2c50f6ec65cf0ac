//! What waits to be learned from, for people who want to know.

use memcloud_domain::{Error, Space};

use crate::Memory;
use memcloud_ports::{Parked, Waiting};

impl Memory {
    /// How much waits to be learned from; in this space only, when one is named.
    pub async fn waiting(&self, space: Option<&Space>) -> Result<Waiting, Error> {
        self.store.learning.waiting(space).await
    }

    /// Messages that are not tried any more, and why.
    pub async fn parked(&self, space: Option<&Space>, limit: usize) -> Result<Vec<Parked>, Error> {
        self.store.learning.parked(space, limit).await
    }

    /// Lets parked messages be tried anew, and says how many there were.
    pub async fn unpark(&self, space: Option<&Space>) -> Result<u64, Error> {
        self.store.learning.unpark(space).await
    }
}
