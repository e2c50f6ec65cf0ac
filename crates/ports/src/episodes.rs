//! Episodes: what was said, as an engine keeps it.

use std::time::Duration;

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{Episode, EpisodeId, Error, Member, Space};

use crate::{FactTarget, Intent};

/// An episode with all that is derived from it, ready to be kept.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The episode.
    pub episode: Episode,
    /// Its embedding, normalised; `None` while no model runs.
    pub vector: Option<Vec<f16>>,
    /// Its analysis, encoded. An engine keeps it as it is.
    pub analysis: Vec<u8>,
    /// What is to be learned from it.
    pub lessons: Vec<FactTarget>,
}

/// What makes a repeated request recognisable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 of the space and the client's key.
    pub key: [u8; 32],
    /// SHA-256 of the request's meaning.
    pub request: [u8; 32],
}

/// Episodes of one space that are stored together or not at all.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The space of all the episodes.
    pub space: Space,
    /// Sessions and who takes part in them; members are united with those already known.
    pub sessions: Vec<(String, Vec<Member>)>,
    /// The episodes, in order.
    pub episodes: Vec<Prepared>,
    /// Set when the client may send the same request again.
    pub idempotency: Option<Idempotency>,
    /// What the engine answered when the episodes were [begun](EpisodeStore::begin).
    pub intent: Option<Intent>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is durable now.
    Stored,
    /// The same request was stored before, under these ids; nothing was written.
    Repeated(Vec<EpisodeId>),
}

/// What to delete.
#[derive(Clone, Debug)]
pub enum Deletion {
    /// Every episode of this session.
    Session(String),
    /// These episodes.
    Episodes(Vec<EpisodeId>),
}

/// Where a page of a listing begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the last episode of the page before happened, in microseconds of the epoch.
    pub created_at: i64,
    /// Its id.
    pub id: EpisodeId,
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Spaces.
    pub spaces: u64,
    /// Sessions.
    pub sessions: u64,
    /// Episodes.
    pub episodes: u64,
    /// Episodes without a vector, which are found by their words alone.
    pub without_vector: u64,
}

/// How long a request is remembered by its idempotency key.
pub const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// Keeps episodes. The engine is the truth; everything in memory is derived from it.
///
/// Every method may be called at any time from many tasks.
/// As for every port: what returns `Ok` is durable, and what returns an error has changed nothing.
#[async_trait]
pub trait EpisodeStore: Send + Sync {
    /// Begins to store episodes of one space whose vectors are still being worked out: an engine that must write elsewhere
    /// first can do so meanwhile. `embedded` says whether those to be recalled will have vectors.
    ///
    /// What is begun is [appended](Self::append) under this intent, in less than half a minute. Whoever does not has
    /// stored nothing.
    async fn begin(&self, episodes: &[Episode], embedded: bool) -> Result<Option<Intent>, Error> {
        let _ = (episodes, embedded);
        Ok(None)
    }

    /// Stores a batch, all or nothing, giving its episodes the space's next sequence numbers in order.
    ///
    /// A batch whose idempotency key is known with the same request answers [`Appended::Repeated`]; with another
    /// request, [`Error::IdempotencyConflict`]. A key is known for thirty days, and as long as anything is left of what
    /// was stored under it.
    async fn append(&self, batch: Batch) -> Result<Appended, Error>;

    /// The ids stored under this idempotency key before, if any. Errs as [`append`](Self::append) does.
    async fn repeated(&self, idempotency: Idempotency) -> Result<Option<Vec<EpisodeId>>, Error>;

    /// The episodes with these ids that exist in this space, in the order asked for.
    async fn episodes(&self, space: &Space, ids: &[EpisodeId]) -> Result<Vec<Episode>, Error>;

    /// The newest episodes of a session, oldest first: its conversation. Those kept for the profile only are left out.
    async fn newest(&self, space: &Space, session: &str, limit: usize) -> Result<Vec<Episode>, Error>;

    /// A page of a space, or of one session in it, by time and id, oldest first.
    async fn page(
        &self,
        space: &Space,
        session: Option<&str>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Episode>, Error>;

    /// Deletes episodes for good, and says how many there were. What does not exist is no error. From an engine in two
    /// databases an error may mean that it is hidden already, and removed when both can be reached.
    async fn delete(&self, space: &Space, deletion: Deletion) -> Result<u64, Error>;

    /// How much is stored.
    async fn counts(&self) -> Result<Counts, Error>;
}
