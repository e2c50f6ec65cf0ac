//! The history of a space, from which the ranking index is derived.

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{EpisodeId, Error, Purpose, Space};

/// The place of a change in the history of one space: 1 for the first, growing by one with every episode
/// stored or deleted, never used twice. 0 is the empty space.
pub type Sequence = u64;

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
    /// What it is kept for. Searches find only what is kept for recall.
    pub purpose: Purpose,
    /// When it happened, in microseconds of the epoch.
    pub created_at: i64,
    /// Its embedding, if it has one.
    pub vector: Option<Vec<f16>>,
    /// Its encoded analysis.
    pub analysis: Vec<u8>,
}

/// Tells what changed in a space, in order. Every index is caught up from here before each search.
#[async_trait]
pub trait History: Send + Sync {
    /// The sequence number of the newest change; 0 for a space that is not known. One cheap read.
    async fn head(&self, space: &Space) -> Result<Sequence, Error>;

    /// The changes after this sequence number, oldest first, at most `limit`. Of an episode that was stored and deleted again
    /// in the meantime only the removal is left.
    async fn changes(&self, space: &Space, after: Sequence, limit: usize) -> Result<Vec<Change>, Error>;
}
