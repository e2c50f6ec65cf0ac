//! The history of a space, from which the ranking index is derived.

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{EpisodeId, Error, Purpose, Space};

/// The number of a change in the history of one space. The first is 1. Every stored or deleted episode takes the next one,
/// and none is used twice. 0 is the empty space.
///
/// The bits above [`LIFE_BITS`] count lives. A space that is created after other spaces were deleted starts in a later life,
/// so that a server recognizes its index of a deleted space with the same name.
pub type Sequence = u64;

/// How many bits of a sequence number count changes.
pub const LIFE_BITS: u32 = 40;

/// The life that a sequence number belongs to.
pub fn life(sequence: Sequence) -> u64 {
    sequence >> LIFE_BITS
}

/// One step in the history of a space, as the ranking index needs it.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its number in the history.
    pub sequence: Sequence,
    /// The episode concerned.
    pub id: EpisodeId,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to an episode.
#[derive(Clone, Debug)]
pub enum ChangeKind {
    /// It was stored, or its derived data changed. Replaces an earlier row of the same id.
    Put(Box<IndexRow>),
    /// It was deleted.
    Removed,
}

/// What ranking needs of an episode.
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
    /// Its purpose. Searches find only episodes for recall.
    pub purpose: Purpose,
    /// When it happened, in microseconds of the epoch.
    pub created_at: i64,
    /// Its embedding, if it has one.
    pub vector: Option<Vec<f16>>,
    /// Its encoded analysis.
    pub analysis: Vec<u8>,
}

/// The changes of each space, in order. Before each search the index reads the latest ones.
#[async_trait]
pub trait History: Send + Sync {
    /// The sequence number of the newest change; 0 for an unknown space. One cheap read.
    async fn head(&self, space: &Space) -> Result<Sequence, Error>;

    /// The changes after this sequence number, oldest first, at most `limit`. Ends early at
    /// [`READ_BYTES`](crate::READ_BYTES). If an episode was stored and deleted after
    /// it, only the removal is returned.
    async fn changes(&self, space: &Space, after: Sequence, limit: usize) -> Result<Vec<Change>, Error>;

    /// Replaces the encoded analyses of episodes, where a later version of the analysis has computed them again. This is not
    /// a change: indexes have the same from both. Skips episodes that do not exist.
    async fn set_analyses(&self, analyses: Vec<(EpisodeId, Vec<u8>)>) -> Result<(), Error>;
}
