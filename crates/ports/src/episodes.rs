//! Episodes: the stored messages.

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{Episode, EpisodeId, Error, FactTarget, Member, Space};

use crate::Intent;

/// An episode with everything that is derived from it, ready to be stored.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The episode.
    pub episode: Episode,
    /// Its embedding, normalized; `None` without an embedder.
    pub vector: Option<Vec<f16>>,
    /// Its encoded analysis. An engine stores these bytes unchanged.
    pub analysis: Vec<u8>,
    /// What to learn from it.
    pub fact_targets: Vec<FactTarget>,
}

/// Identifies a repeated request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 of the space and the client's key.
    pub key: [u8; 32],
    /// SHA-256 of the content of the request.
    pub request: [u8; 32],
}

/// Episodes of one space to store, all or none.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The space of all the episodes.
    pub space: Space,
    /// Sessions and their members, which are added to the known ones.
    pub sessions: Vec<(String, Vec<Member>)>,
    /// The episodes, in order.
    pub episodes: Vec<Prepared>,
    /// Set if the client may repeat the request.
    pub idempotency: Option<Idempotency>,
    /// The result of [`EpisodeStore::begin`] for these episodes.
    pub intent: Option<Intent>,
}

/// The result of storing a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, durably.
    Stored,
    /// The same request was stored before, under these ids. Nothing was written.
    Repeated(Vec<EpisodeId>),
}

/// Episodes of one space that belong together.
#[derive(Clone, Debug)]
pub enum EpisodesOf {
    /// Those of this session.
    Session(String),
    /// Those that this person produced, and those that were produced for them.
    Person(String),
}

/// The episodes that a question selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Their ids, in the order of storing.
    pub ids: Vec<EpisodeId>,
    /// How many others cannot be read, so that they may be among them.
    pub unreadable: u64,
}

/// How many episodes are deleted at once, so that no store waits long for a deletion.
pub const DELETED_AT_ONCE: usize = 500;

/// Deletes all of these episodes, [some at once](DELETED_AT_ONCE), and returns how many there were. An episode that is stored
/// meanwhile may be left. After an error some may be deleted; the deletion can be repeated. Fails with
/// [`Error::Undeletable`] when it has deleted all that can be read.
pub async fn delete_all(store: &dyn EpisodeStore, space: &Space, of: &EpisodesOf) -> Result<u64, Error> {
    let Selected { ids, unreadable } = store.select(space, of).await?;
    let (mut deleted, mut left) = (0, unreadable);
    // Also without any, because an engine may complete an earlier deletion.
    for part in ids.chunks(DELETED_AT_ONCE).chain(ids.is_empty().then_some(&[][..])) {
        match store.delete(space, part).await {
            Err(Error::Undeletable { episodes }) => left += episodes,
            done => deleted += done?,
        }
    }
    if left == 0 { Ok(deleted) } else { Err(Error::Undeletable { episodes: left }) }
}

/// The last episode of a page. The next page begins after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When it happened, in microseconds of the epoch.
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
    /// Episodes without a vector, which searches find by their words alone.
    pub without_vector: u64,
}

/// On how many later days there must be requests with an idempotency key before one is forgotten: thirty, and a few more because
/// a clock that jumps ahead counts as a day. Each is at least a [day](DAY) after the one before.
///
/// What a clock says about the time that has passed is no reason to forget: it may be wrong.
pub const REMEMBERED_DAYS: i64 = 35;
/// A day, in microseconds.
pub const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Stores episodes. The engine is the source of truth. Everything in memory is derived from it.
///
/// Every method may be called at any time from many tasks.
/// As in every port, an operation that returns `Ok` is durable, and one that returns an error has changed nothing.
#[async_trait]
pub trait EpisodeStore: Send + Sync {
    /// Begins to store episodes of one space while their vectors are being computed. An engine that must write to another
    /// database first can do so meanwhile. `embedded` says whether episodes for recall will have vectors.
    ///
    /// The caller must [append](Self::append) the episodes under this intent within half a minute. Otherwise nothing is
    /// stored.
    async fn begin(&self, episodes: &[Episode], embedded: bool) -> Result<Option<Intent>, Error> {
        let _ = (episodes, embedded);
        Ok(None)
    }

    /// Stores a batch, all or nothing. Its episodes get the space's next sequence numbers, in order.
    ///
    /// If the idempotency key is known with the same request, returns [`Appended::Repeated`]; with another request, fails
    /// with [`Error::IdempotencyConflict`]. A key is known for thirty days, while any episode stored under it exists. The
    /// first request of a day forgets those with [enough later days](REMEMBERED_DAYS).
    async fn append(&self, batch: Batch) -> Result<Appended, Error>;

    /// The ids stored under this idempotency key before, if any. Fails as [`append`](Self::append) does.
    async fn repeated(&self, idempotency: Idempotency) -> Result<Option<Vec<EpisodeId>>, Error>;

    /// The episodes with these ids that exist in this space, in the order of the ids. Ends early at
    /// [`READ_BYTES`](crate::READ_BYTES): read on with [`Parts`](crate::Parts).
    async fn episodes(&self, space: &Space, ids: &[EpisodeId]) -> Result<Vec<Episode>, Error>;

    /// One episode by its id; `None` when it is not in this space. Fails when it is there and cannot be read, unlike
    /// [`episodes`](Self::episodes), which leaves it out.
    async fn episode(&self, space: &Space, id: EpisodeId) -> Result<Option<Episode>, Error>;

    /// The newest episodes of a session, oldest first. Profile-only episodes are left out. Only the newest that fit into
    /// [`READ_BYTES`](crate::READ_BYTES).
    async fn newest(&self, space: &Space, session: &str, limit: usize) -> Result<Vec<Episode>, Error>;

    /// A page of a space, or of one session in it, by time and id, oldest first. Ends early at
    /// [`READ_BYTES`](crate::READ_BYTES); only an empty page says that there are no more.
    async fn page(
        &self,
        space: &Space,
        session: Option<&str>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Episode>, Error>;

    /// Finds these episodes.
    async fn select(&self, space: &Space, of: &EpisodesOf) -> Result<Selected, Error>;

    /// Deletes episodes permanently, and returns how many there were. Each takes a sequence number, in the order of storing.
    /// Unknown ids are not an error. After an error of an engine in two databases, the episodes may be hidden already; they
    /// are removed when both databases can be reached. Fails with [`Error::Undeletable`] when it has deleted all that can be
    /// read.
    async fn delete(&self, space: &Space, ids: &[EpisodeId]) -> Result<u64, Error>;

    /// How much is stored.
    async fn counts(&self) -> Result<Counts, Error>;
}
