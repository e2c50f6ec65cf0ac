//! Messages that wait to be learned from.

use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{EpisodeId, Error, FactTarget, Space, Timestamp};
use uuid::Uuid;

use crate::{RevisionSet, unique_id};

/// When a target is due for learning.
#[derive(Clone, Copy, Debug)]
pub struct Trigger {
    /// When this many messages wait.
    pub messages: usize,
    /// Or when the oldest has waited this long.
    pub age: Duration,
}

/// The right to learn about a target. One learner at a time has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease(pub Uuid);

impl Lease {
    /// A new lease, made at this moment. No other lease is equal to it.
    pub fn new(at: Timestamp) -> Self {
        Self(unique_id(at))
    }
}

/// Messages about one target that a learner has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedBatch {
    /// The lease of the target.
    pub lease: Lease,
    /// The id of the call to the language model. If the process ends before the attempt does, the same messages are claimed
    /// again under the same id: an endpoint that honors it charges once.
    pub call: Uuid,
    /// What to learn about.
    pub target: FactTarget,
    /// The space of the messages.
    pub space: Space,
    /// The messages, in the order of queueing. Some may have been deleted meanwhile.
    pub episodes: Vec<EpisodeId>,
    /// The number of this attempt, from 1. It is counted before the attempt, so that one that crashes the process counts,
    /// too.
    pub attempt: u32,
}

/// The most messages in a batch, by the number of failed attempts. Failed batches shrink, until the message that makes
/// them fail is alone.
pub const CLAIM_SIZES: [usize; 3] = [20, 5, 1];

/// The most messages in a batch after this many attempts.
pub fn assigned(attempts: u32) -> usize {
    CLAIM_SIZES[(attempts as usize).min(CLAIM_SIZES.len() - 1)]
}

/// How an attempt to learn ended without success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// For a reason other than the messages: the attempt does not count, and they wait until this time.
    Retry(Timestamp),
    /// The outcome of the call is unknown: the attempt does not count, and the next learner repeats the same call.
    Interrupted,
    /// The attempt counts, and they wait until this time.
    Failed(Timestamp),
    /// They are parked for this reason: not tried again until an operator unparks them.
    Parked(String),
}

/// How much waits to be learned from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Waiting messages, counted once for each target.
    pub waiting: u64,
    /// Since when the first of them has been waiting.
    pub since: Option<Timestamp>,
    /// Parked messages.
    pub parked: u64,
}

/// A parked message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The target.
    pub target: FactTarget,
    /// The message.
    pub episode: EpisodeId,
    /// The number of attempts.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub reason: String,
}

/// A waiting or parked message, as it is copied to another engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The target.
    pub target: FactTarget,
    /// The message.
    pub episode: EpisodeId,
    /// Since when it has been waiting.
    pub since: Timestamp,
    /// The number of attempts.
    pub attempts: u32,
    /// Why it is parked, if it is.
    pub parked: Option<String>,
}

/// The messages to learn from, one queue for each target. Storing an episode queues it in the same transaction. Deleting
/// it removes it from the queue.
///
/// [`learn`](Self::learn) is here and not in [`FactStore`](crate::FactStore), although it writes facts: the lease decides
/// whether they may be written, and facts, queue and lease change in one transaction.
///
/// As in every port, an operation that returns `Ok` is durable, and one that returns an error has changed nothing.
#[async_trait]
pub trait LearningQueue: Send + Sync {
    /// Claims messages about one target that is due, and counts the attempt. A target is due by the trigger, or if a message
    /// that was tried before has waited long enough. The target that has waited longest goes first. A leased target is
    /// not claimed until its lease ends.
    ///
    /// A batch has the oldest message and up to [`assigned`] messages of the same space with the same number of attempts. The messages of an
    /// unfinished attempt go first, in the same batch.
    async fn claim(
        &self,
        trigger: Trigger,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Option<ClaimedBatch>, Error>;

    /// Stores the facts, removes the messages from the queue and ends the lease, in one transaction. Returns `false` and
    /// changes nothing if the lease was lost: it ended, and another learner has claimed the target.
    ///
    /// Citations of episodes that were deleted meanwhile are dropped, and so are new facts without a remaining citation.
    async fn learn(&self, batch: &ClaimedBatch, set: &RevisionSet) -> Result<bool, Error>;

    /// Puts the messages back and ends the lease. Nothing happens if the lease was lost.
    async fn put_back(&self, batch: &ClaimedBatch, outcome: &Outcome) -> Result<(), Error>;

    /// Ends all leases. For an engine whose only learner has just started.
    async fn end_leases(&self) -> Result<(), Error>;

    /// How many messages wait, in the sets of this space or in all.
    async fn waiting(&self, space: Option<&Space>) -> Result<Waiting, Error>;

    /// Parked messages, oldest first, in the sets of this space or in all.
    async fn parked(&self, space: Option<&Space>, limit: usize) -> Result<Vec<Parked>, Error>;

    /// Unparks the messages of this space or of all, so that they are tried again. Returns how many there were.
    async fn unpark(&self, space: Option<&Space>) -> Result<u64, Error>;

    /// The whole queue, by target and episode, after this one.
    async fn queue(&self, after: Option<&Queued>, limit: usize) -> Result<Vec<Queued>, Error>;

    /// Queues stored messages as another engine has them. Skips messages that are queued already or not stored.
    async fn enqueue(&self, queued: &[Queued]) -> Result<(), Error>;
}
