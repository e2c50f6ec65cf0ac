//! The traits below the memory: an engine that keeps episodes, and a model that turns text into vectors.
//!
//! To add an engine: implement [`EpisodeStore`] in a crate of its own, run `memcloud-store-tests` on it, and name it in
//! the binary's `serve` command. Nothing else changes: ranking happens in one derived index (`search/index.rs`)
//! that every engine feeds through [`EpisodeStore::changes`].

mod keys;
mod knowledge;
mod language;
mod profiles;

use std::time::Duration;

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{Clock, Database, Episode, EpisodeId, Error, Member, Session, Space, SystemClock};

pub use keys::{AdminRule, KeyStore, Revocation};
pub use knowledge::Changed;
pub use language::{Answer, Call, Completion, Delta, Deltas, LanguageModel, ModelError, Refusal, Tokens};
pub use profiles::{
    Budget, CLAIM_SIZES, Charge, ClaimedBatch, EmbeddedFact, FactTarget, FactsOf, Lease, NewFact, Outcome,
    Parked, ProfileStore, Queued, Revision, RevisionSet, Span, Trigger, Usage, Waiting, assigned,
};

/// The place of a change in the history of one space: 1 for the first, growing by one with every episode
/// stored or deleted, never used twice. 0 is the empty space.
pub type Sequence = u64;

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

/// One step in the history of a space, as the ranking index needs it.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its place in the history.
    pub sequence: Sequence,
    /// The episode concerned.
    pub id: EpisodeId,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to an episode.
#[derive(Clone, Debug)]
pub enum ChangeKind {
    /// It was stored, or what is derived from it was renewed: this replaces what was known of it.
    Put(Box<IndexRow>),
    /// It was deleted.
    Removed,
}

/// What ranking needs to know of an episode.
#[derive(Clone, Debug)]
pub struct IndexRow {
    /// The session it belongs to.
    pub session: String,
    /// Who said it.
    pub producer: String,
    /// Whom it was said to.
    pub produced_for: String,
    /// Its kind.
    pub kind: String,
    /// When it happened, in microseconds of the epoch.
    pub created_at: i64,
    /// Its embedding, if it has one.
    pub vector: Option<Vec<f16>>,
    /// Its encoded analysis.
    pub analysis: Vec<u8>,
}

/// What to delete.
#[derive(Clone, Debug)]
pub enum Deletion {
    /// Every episode of this session.
    Session(String),
    /// These episodes.
    Episodes(Vec<EpisodeId>),
}

/// Which sessions to list.
#[derive(Clone, Debug)]
pub enum SessionsOf {
    /// All of them.
    Everyone,
    /// Those that this user takes part in.
    User(String),
    /// Those that this agent takes part in.
    Agent(String),
    /// Those of this space.
    Space(Space),
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

/// An engine that keeps episodes. It is the truth; everything in memory is derived from it.
///
/// Every method may be called at any time from many tasks. What returns `Ok` is durable; what returns an error has
/// changed nothing.
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

    /// The sequence number of the newest change; 0 for a space that is not known. One cheap read.
    async fn head(&self, space: &Space) -> Result<Sequence, Error>;

    /// The changes after this sequence number, oldest first, at most `limit`. Episodes that are not to be recalled are
    /// left out, and so are those that were stored and deleted again in the meantime: their removal is told.
    async fn changes(&self, space: &Space, after: Sequence, limit: usize) -> Result<Vec<Change>, Error>;

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

    /// One session with its members, if it exists.
    async fn session(&self, space: &Space, name: &str) -> Result<Option<Session>, Error>;

    /// Sessions in the order they were first seen.
    async fn sessions(&self, of: SessionsOf) -> Result<Vec<Session>, Error>;

    /// Ties the store to a vector space (provider, model, dimensions). The first call decides; later ones with another
    /// space are refused with [`Error::OtherVectorSpace`].
    async fn bind_vector_space(&self, running: &str) -> Result<(), Error>;

    /// The vector space that the store is tied to, if it is tied to one.
    async fn vector_space(&self) -> Result<Option<String>, Error>;

    /// Some episodes that have no vector yet, oldest first.
    async fn without_vector(&self, limit: usize) -> Result<Vec<Episode>, Error>;

    /// Gives episodes their vectors, each under a new sequence number of its space. Episodes that are gone are passed
    /// over.
    async fn set_vectors(&self, vectors: Vec<(EpisodeId, Vec<f16>)>) -> Result<(), Error>;

    /// How much is stored.
    async fn counts(&self) -> Result<Counts, Error>;

    /// Where it keeps what is learned.
    fn profiles(&self) -> &dyn ProfileStore;

    /// Where it keeps the keys that the instance made.
    fn api_keys(&self) -> &dyn KeyStore;

    /// Proves that each of its parts can be written and read at this moment, without leaving anything behind.
    async fn probe(&self) -> Vec<Check>;
}

/// How long proving a part may take, for engines that must ask elsewhere.
pub const PROBE_WITHIN: Duration = Duration::from_millis(1_500);

/// How long a request is remembered by its idempotency key.
pub const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// A part of a memory that can fail on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The data directory.
    Store,
    /// A database of its own.
    Database(Database),
    /// The embedding model.
    Embedder,
}

/// What became of trying a part.
#[derive(Debug)]
pub struct Check {
    /// The part.
    pub part: Part,
    /// Whether it works.
    pub outcome: Result<(), Error>,
}

/// Names what is under way in another database: see [`RecordStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intent(EpisodeId);

impl Intent {
    /// A name that no other intent has.
    pub fn new() -> Self {
        Self(EpisodeId::new(SystemClock.now(), 0))
    }

    /// The 16 bytes that engines keep.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The intent kept in these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(EpisodeId::from_bytes(bytes))
    }
}

impl Default for Intent {
    fn default() -> Self {
        Self::new()
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
pub trait RecordStore: EpisodeStore {
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

/// A model that turns text into vectors of unit length.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// The vector of a question. Questions go before passages when both wait.
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error>;

    /// The vectors of texts to be stored, in their order.
    async fn embed_documents(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error>;

    /// What the vectors belong to: provider, model and dimensions, such as `local/all-MiniLM-L6-v2/384`.
    fn space(&self) -> &str;

    /// The length of a vector.
    fn dimensions(&self) -> usize;
}
