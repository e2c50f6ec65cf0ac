//! Records beside a graph: the rows of episodes whose content another database keeps.

use std::time::Duration;

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{EpisodeId, Error, Space, Timestamp};
use uuid::Uuid;

use crate::{
    Appended, Batch, Deletion, EpisodeStore, FactStore, Health, History, KeyStore, LearningQueue,
    SessionStore, UsageLedger, VectorStore, unique_id,
};

/// Names what is under way in another database: see [`RecordStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intent(Uuid);

impl Intent {
    /// A new intent, made at this moment. No other intent is equal to it.
    pub fn new(at: Timestamp) -> Self {
        Self(unique_id(at))
    }

    /// The 16 bytes that engines keep.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The intent kept in these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

/// Episodes that may stand in another database without having a record here, and must not stay there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The note of them.
    pub intent: Intent,
    /// The episodes.
    pub ids: Vec<EpisodeId>,
}

/// An engine that can keep the records of episodes whose content is kept in another database.
///
/// Two databases cannot commit together, so this one keeps a note, an [`Intent`], of every episode that is or may be in
/// the other without being recorded here. A store is intended, written there, and recorded, which takes the note away in
/// the same transaction; whoever finds a note that is old withdraws it, and from then on the episodes can no longer be
/// recorded. Withdrawn notes are [orphans](Orphan): their episodes are removed there, then the note is
/// [cleared](RecordStore::clear). A deletion leaves such a note at once.
#[async_trait]
pub trait RecordStore:
    EpisodeStore
    + History
    + SessionStore
    + VectorStore
    + FactStore
    + LearningQueue
    + UsageLedger
    + KeyStore
    + Health
{
    /// The name of the memory that these are the records of: a UUID made when the records were, never changed.
    async fn memory(&self) -> Result<String, Error>;

    /// The vectors of those of these episodes that are recorded and have one.
    async fn vectors(&self, ids: &[EpisodeId]) -> Result<Vec<(EpisodeId, Vec<f16>)>, Error>;

    /// Notes, durably, that these episodes are about to be written elsewhere.
    async fn intend(&self, ids: Vec<EpisodeId>) -> Result<Intent, Error>;

    /// As [`EpisodeStore::append`], and takes the note away. Errs with [`Error::Withdrawn`] when the intent was
    /// withdrawn. The note stays when the batch is a repeated one.
    async fn append_intended(&self, intent: Intent, batch: Batch) -> Result<Appended, Error>;

    /// Makes sure that an intent can no longer be recorded. `false` when there is no note of it: most likely it has been
    /// recorded.
    async fn withdraw(&self, intent: Intent) -> Result<bool, Error>;

    /// Deletes as [`EpisodeStore::delete`] does, and leaves a withdrawn note of what was deleted; `None` if nothing was.
    async fn delete_noted(&self, space: &Space, deletion: Deletion) -> Result<Option<Orphan>, Error>;

    /// Withdraws every intent that is older than this, and lists what is left to remove elsewhere.
    async fn orphans(&self, older: Duration) -> Result<Vec<Orphan>, Error>;

    /// Notes that the episodes have been removed elsewhere. They are listed once more [later](AGAIN_AFTER): a write that
    /// was thought lost may still arrive there.
    async fn clear(&self, intent: Intent) -> Result<(), Error>;
}

/// After this time what was withdrawn is removed once more. Longer than any database holds a request that nobody waits
/// for.
pub const AGAIN_AFTER: Duration = Duration::from_mins(10);

/// Where the content of the episodes is that an engine has the records of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentLocation {
    /// With the records.
    Records,
    /// In Neo4j.
    Graph,
}

impl ContentLocation {
    /// As engines keep it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Graph => "neo4j",
        }
    }

    /// Refuses records in this `place` that were made for another home.
    pub fn check(self, kept: &str, place: &str) -> Result<(), Error> {
        let told = |name: &str| if name == Self::Graph.name() { "in Neo4j" } else { "beside them" };
        if kept == self.name() {
            return Ok(());
        }
        let (kept, wanted) = (told(kept).to_owned(), told(self.name()).to_owned());
        Err(Error::EpisodesElsewhere { place: place.to_owned(), kept, wanted })
    }
}
