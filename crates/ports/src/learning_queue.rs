//! Messages that wait to be learned from.

use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{EpisodeId, Error, ProfileKey, Space, Timestamp};
use uuid::Uuid;

use crate::{RevisionSet, unique_id};

/// What is to be learned from a message: facts of this category about this owner. Queued with the message, in the same
/// transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FactTarget {
    /// Whom to learn about.
    pub owner: String,
    /// The kind of facts.
    pub category: String,
}

/// When the messages of a subject are learned from.
#[derive(Clone, Copy, Debug)]
pub struct Trigger {
    /// As soon as so many wait.
    pub messages: usize,
    /// Or as soon as the oldest has waited so long.
    pub age: Duration,
}

/// Names the right to learn about a subject, which one learner at a time has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease(pub Uuid);

impl Lease {
    /// A new lease, made at this moment. No other lease is equal to it.
    pub fn new(at: Timestamp) -> Self {
        Self(unique_id(at))
    }
}

/// Messages of one subject that a learner has taken on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedBatch {
    /// The right to do it.
    pub lease: Lease,
    /// Names the call to the language model. When nobody tells how an attempt ended, since the process did before, the
    /// same messages are given out again under the same name: an endpoint that heeds it charges once.
    pub call: Uuid,
    /// What to learn about.
    pub subject: ProfileKey,
    /// The messages, in the order in which they were queued. Some may be gone by now.
    pub episodes: Vec<EpisodeId>,
    /// Which attempt at these messages this is, from 1. Counted before it begins, so that one which ends the process
    /// counts, too.
    pub attempt: u32,
}

/// How many messages one assignment has at most, by the number of attempts that its messages have had. The more often they
/// failed, the fewer go together, so that in the end the one that makes it fail is alone.
pub const CLAIM_SIZES: [usize; 3] = [20, 5, 1];

/// The most messages of an assignment whose messages have had so many attempts.
pub fn assigned(attempts: u32) -> usize {
    CLAIM_SIZES[(attempts as usize).min(CLAIM_SIZES.len() - 1)]
}

/// What becomes of messages that could not be learned from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not for them: the attempt does not count, and they wait until then.
    Retry(Timestamp),
    /// Nobody knows whether it was answered: the attempt does not count, and whoever is next makes the same call again.
    Interrupted,
    /// The attempt counts, and they wait until then.
    Failed(Timestamp),
    /// They are not tried again until somebody says so, for this reason.
    Parked(String),
}

/// How much waits to be learned from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Messages that wait, once for each subject that they are for.
    pub waiting: u64,
    /// Since when the first of them waits.
    pub since: Option<Timestamp>,
    /// Messages that are parked.
    pub parked: u64,
}

/// A message that is not tried any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// What it was to be learned about.
    pub subject: ProfileKey,
    /// The message.
    pub episode: EpisodeId,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub reason: String,
}

/// A message that waits or is parked, as it is moved to another engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// What it is to be learned about.
    pub subject: ProfileKey,
    /// The message.
    pub episode: EpisodeId,
    /// Since when it waits.
    pub since: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it is parked, if it is.
    pub parked: Option<String>,
}

/// Keeps the messages that wait to be learned from, one queue for each profile. Storing an episode queues it in the same
/// transaction; deleting it removes it from the queue.
///
/// [`learn`](Self::learn) is here and not in [`FactStore`](crate::FactStore), although it writes facts: the claim decides
/// whether they may be written, and the facts, the queue and the lease change in one transaction.
///
/// As for every port: what returns `Ok` is durable, and what returns an error has changed nothing.
#[async_trait]
pub trait LearningQueue: Send + Sync {
    /// Takes on the messages of one subject that is due, and counts the attempt: one whose messages are enough or old
    /// enough by the trigger, or one with a message that was tried before and whose time has come. The subject that has
    /// waited longest goes first; one that is leased by another learner waits until that lease ends.
    ///
    /// Messages go together when they have had equally many attempts: the oldest, and up to [`assigned`] of its kind. Those
    /// of an attempt that nobody ended go first, together as they were.
    async fn claim(
        &self,
        trigger: Trigger,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Option<ClaimedBatch>, Error>;

    /// Keeps what was learned, takes the messages out of the queue and ends the lease, in one transaction. `false`, and
    /// nothing done, when the lease was lost: it ended, and another learner has or had its turn.
    ///
    /// Citations of episodes that are gone by now are left out, and so are new facts of which no citation is left.
    async fn learn(&self, assignment: &ClaimedBatch, lessons: &RevisionSet) -> Result<bool, Error>;

    /// Puts the messages back and ends the lease. Nothing happens when the lease was lost.
    async fn put_back(&self, assignment: &ClaimedBatch, setback: &Outcome) -> Result<(), Error>;

    /// Ends all leases: for an engine whose only learner has just begun.
    async fn end_leases(&self) -> Result<(), Error>;

    /// How much waits; in this space only, when one is named.
    async fn waiting(&self, space: Option<&Space>) -> Result<Waiting, Error>;

    /// Messages that are parked, oldest first; of this space only, when one is named.
    async fn parked(&self, space: Option<&Space>, limit: usize) -> Result<Vec<Parked>, Error>;

    /// Lets the parked messages, of this space or all, be tried anew, and says how many there were.
    async fn unpark(&self, space: Option<&Space>) -> Result<u64, Error>;

    /// The whole queue, by subject and episode, after this one.
    async fn queue(&self, after: Option<&Queued>, limit: usize) -> Result<Vec<Queued>, Error>;

    /// Queues messages that are stored already, from another engine. Those that are queued already are passed over, and so
    /// are those that are not stored.
    async fn enqueue(&self, queued: &[Queued]) -> Result<(), Error>;
}
