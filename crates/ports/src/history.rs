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

/// The fewest removals that are kept of a space. Where it has more episodes, as many removals are kept as it has episodes:
/// reading them all costs no more than building the index again.
pub const REMOVALS_KEPT: u64 = 1_000;

/// Up to which sequence number the removals of a space are pruned, when it has this head and so many episodes.
pub fn pruned_up_to(head: Sequence, episodes: u64) -> Sequence {
    head.saturating_sub(episodes.max(REMOVALS_KEPT))
}

/// How far an index has read the history of a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// It has read the changes up to this one.
    pub changes: Sequence,
    /// The removals up to this one do not concern it: they are older than what it has read, or it has read them.
    pub removals: Sequence,
}

impl Position {
    /// The position of a reader that begins with an empty space and reads no removals.
    pub const WITHOUT_REMOVALS: Self = Self { changes: 0, removals: i64::MAX.cast_unsigned() };

    /// The position of an empty index when the space has this head.
    pub fn before_all(head: Sequence) -> Self {
        Self { changes: 0, removals: head }
    }

    /// The position after everything up to this change.
    pub fn after(sequence: Sequence) -> Self {
        Self { changes: sequence, removals: sequence }
    }

    /// The position when the changes up to this one have been read as well.
    #[must_use]
    pub fn read_up_to(self, sequence: Sequence) -> Self {
        Self { changes: sequence, removals: self.removals.max(sequence) }
    }
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

    /// The changes after this position, oldest first, at most `limit`. Ends early at
    /// [`READ_BYTES`](crate::READ_BYTES). If an episode was stored and deleted after
    /// it, only the removal is returned. `None` when removals after the position are [pruned](pruned_up_to): then an index
    /// must be built again.
    async fn changes(
        &self,
        space: &Space,
        after: Position,
        limit: usize,
    ) -> Result<Option<Vec<Change>>, Error>;

    /// Replaces the encoded analyses of episodes, where a later version of the analysis has computed them again. This is not
    /// a change: indexes have the same from both. Skips episodes that do not exist.
    async fn set_analyses(&self, analyses: Vec<(EpisodeId, Vec<u8>)>) -> Result<(), Error>;
}
