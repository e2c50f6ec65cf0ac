//! Records for a graph engine: the rows of episodes whose content another database keeps.

use std::time::Duration;

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{EpisodeId, Error, Space};

use crate::{Appended, Batch, Intent, Store};

/// Episodes without a record that the other database may have, and must remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Their intent.
    pub intent: Intent,
    /// The episodes.
    pub ids: Vec<EpisodeId>,
}

/// An engine that can keep the records of episodes whose content is in another database.
///
/// Two databases cannot commit together. So this one keeps an [`Intent`] for all episodes that the other has, or may have,
/// without a record here. A store records its intent, writes to the other database, and records the episodes, which
/// removes the intent in the same transaction. Any server withdraws an intent that is too old, and from then on its
/// episodes cannot be recorded. The episodes of withdrawn intents are [orphans](Orphan): a sweeper removes them from the
/// other database and [clears](RecordStore::clear) the intent. A deletion leaves a withdrawn intent at once.
#[async_trait]
pub trait RecordStore: Store {
    /// The name of the memory: a UUID that is made with the records and never changes.
    async fn memory(&self) -> Result<String, Error>;

    /// The vectors of these episodes. Those that are not recorded or have none are left out.
    async fn vectors(&self, ids: &[EpisodeId]) -> Result<Vec<(EpisodeId, Vec<f16>)>, Error>;

    /// Records, durably, that these episodes are about to be written to the other database.
    async fn intend(&self, ids: Vec<EpisodeId>) -> Result<Intent, Error>;

    /// As [`EpisodeStore::append`](crate::EpisodeStore::append), and removes the intent. Fails with [`Error::Withdrawn`] if the intent was withdrawn. A
    /// repeated batch leaves the intent.
    async fn append_intended(&self, intent: Intent, batch: Batch) -> Result<Appended, Error>;

    /// Makes sure that the episodes of an intent can no longer be recorded. Returns `false` if the intent is unknown: then
    /// they most likely have been.
    async fn withdraw(&self, intent: Intent) -> Result<bool, Error>;

    /// Deletes as [`EpisodeStore::delete`](crate::EpisodeStore::delete) does, and leaves a withdrawn intent for the deleted episodes. `None` if there were
    /// none.
    async fn delete_noted(&self, space: &Space, ids: &[EpisodeId]) -> Result<Option<Orphan>, Error>;

    /// Withdraws every intent that is older than this, and lists the orphans that are due.
    async fn orphans(&self, older: Duration) -> Result<Vec<Orphan>, Error>;

    /// Records that the other database has removed the episodes. They are listed once more [later](AGAIN_AFTER): a write
    /// that seemed lost may still arrive there.
    async fn clear(&self, intent: Intent) -> Result<(), Error>;
}

/// After this time orphans are removed once more. Longer than a database works on a request without a caller.
pub const AGAIN_AFTER: Duration = Duration::from_mins(10);

/// Where the content of recorded episodes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentLocation {
    /// With the records.
    Records,
    /// In Neo4j.
    Graph,
}

impl ContentLocation {
    /// The name that engines store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Graph => "neo4j",
        }
    }

    /// Refuses records in this `place` whose content is elsewhere.
    pub fn check(self, kept: &str, place: &str) -> Result<(), Error> {
        let location = |name: &str| if name == Self::Graph.name() { "in Neo4j" } else { "with them" };
        if kept == self.name() {
            return Ok(());
        }
        let (kept, wanted) = (location(kept).to_owned(), location(self.name()).to_owned());
        Err(Error::EpisodesElsewhere { place: place.to_owned(), kept, wanted })
    }
}
