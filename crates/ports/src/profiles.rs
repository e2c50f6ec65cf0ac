//! What an engine keeps for the profile: messages that wait to be learned from, facts, and what the language model was
//! used for.

use std::time::Duration;

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{EpisodeId, Error, Fact, FactId, ProfileKey, Space, Timestamp};
use uuid::Uuid;

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
    /// A name that no other lease has.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self::new()
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

/// A fact as it is to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFact {
    /// The group of facts inside the category.
    pub tag: String,
    /// What is said about the owner.
    pub name: String,
    /// What it is.
    pub value: String,
    /// The messages that tell it.
    pub citations: Vec<EpisodeId>,
    /// Since when it holds.
    pub valid_from: Timestamp,
    /// Its embedding, normalised; `None` while no model runs.
    pub vector: Option<Vec<f16>>,
}

/// One change to what is known about a subject.
#[derive(Clone, Debug, PartialEq)]
pub enum Revision {
    /// A fact. If a current one has the same tag, feature and value, that one gains the citations instead.
    Add(NewFact),
    /// A fact that takes the place of a current one, which held until this one began. If that one is no longer current it is
    /// an [`Add`](Self::Add). One that was said before the current one is kept as what held before it.
    Replace {
        /// The fact that held up to now.
        old: FactId,
        /// The one that holds from now on.
        new: NewFact,
    },
    /// A fact that no longer holds. Nothing happens when it is not current.
    Retire {
        /// The fact.
        old: FactId,
        /// Until when it held.
        at: Timestamp,
    },
    /// Several facts become one, which takes over their citations and holds since the last of them began; they are retired as
    /// of then. Left undone unless all of them are current facts of the subject.
    Merge {
        /// The facts, at least two.
        old: Vec<FactId>,
        /// The one that says the same; its citations and its `valid_from` are not looked at.
        new: NewFact,
    },
}

/// What a language model has made of messages.
#[derive(Clone, Debug, PartialEq)]
pub struct RevisionSet {
    /// What to learn about.
    pub subject: ProfileKey,
    /// What changes, in order.
    pub revisions: Vec<Revision>,
    /// When it was learned.
    pub at: Timestamp,
    /// The prompt, such as `profile/1`.
    pub prompt: String,
    /// The model.
    pub model: String,
}

/// Which facts to read.
#[derive(Clone, Debug)]
pub struct FactsOf {
    /// Where.
    pub space: Space,
    /// About whom; `None` for everyone.
    pub owners: Option<Vec<String>>,
    /// Of which category; `None` for all.
    pub category: Option<String>,
    /// Those that held then; `None` for those that hold now.
    pub as_of: Option<Timestamp>,
}

/// A fact with its embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedFact {
    /// The fact.
    pub fact: Fact,
    /// Its embedding, if it has one.
    pub vector: Option<Vec<f16>>,
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

/// What one use of the language model takes, before it is known exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// When.
    pub at: Timestamp,
    /// Calls.
    pub calls: u64,
    /// Tokens, in and out.
    pub tokens: u64,
}

/// How much the language model may be used. `None` for as much as anybody likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Calls in a minute of the clock.
    pub calls_per_minute: Option<u64>,
    /// Calls in a day of UTC.
    pub calls_per_day: Option<u64>,
    /// Tokens in a minute of the clock.
    pub tokens_per_minute: Option<u64>,
    /// Tokens in a day of UTC.
    pub tokens_per_day: Option<u64>,
}

/// A stretch of time for which use is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// A minute of the clock.
    Minute,
    /// A day of UTC.
    Day,
}

impl Span {
    /// Its length in microseconds.
    pub fn micros(self) -> i64 {
        match self {
            Self::Minute => 60_000_000,
            Self::Day => 86_400_000_000,
        }
    }

    /// When the span that holds this moment began, in microseconds of the epoch.
    pub fn began(self, at: Timestamp) -> i64 {
        at.as_micros().div_euclid(self.micros()) * self.micros()
    }

    /// How long the span that holds this moment still lasts.
    pub fn left(self, at: Timestamp) -> Duration {
        let left = self.began(at) + self.micros() - at.as_micros();
        Duration::from_micros(left.unsigned_abs())
    }
}

/// What has been used in a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Calls.
    pub calls: u64,
    /// Tokens, in and out.
    pub tokens: u64,
}

impl Budget {
    /// The span that has no room for so much more, if one has none. What is used already and what comes on top count
    /// together, so that the limit is never passed by what is known beforehand.
    pub fn exhausted(&self, minute: Usage, day: Usage, more: Charge) -> Option<Span> {
        let over = |used: u64, more: u64, limit: Option<u64>| {
            limit.is_some_and(|limit| used.saturating_add(more) > limit)
        };
        if over(day.calls, more.calls, self.calls_per_day)
            || over(day.tokens, more.tokens, self.tokens_per_day)
        {
            return Some(Span::Day);
        }
        let minute = over(minute.calls, more.calls, self.calls_per_minute)
            || over(minute.tokens, more.tokens, self.tokens_per_minute);
        minute.then_some(Span::Minute)
    }
}

/// An engine that keeps what is learned. As [`EpisodeStore`](super::EpisodeStore): what returns `Ok` is durable, what
/// errs has changed nothing.
///
/// Deleting an episode takes it out of the queue, out of all citations, and deletes the facts, current or past, that rest
/// on no other.
#[async_trait]
pub trait ProfileStore: Send + Sync {
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

    /// Changes what is known without any messages, in one transaction, and says how many revisions took effect.
    async fn revise(&self, lessons: &RevisionSet) -> Result<usize, Error>;

    /// Ends all leases: for an engine whose only learner has just begun.
    async fn end_leases(&self) -> Result<(), Error>;

    /// Facts, in the order in which they were learned.
    async fn facts(&self, of: &FactsOf) -> Result<Vec<EmbeddedFact>, Error>;

    /// Every fact that was ever learned and not deleted, of all spaces, by id, after this one.
    async fn all_facts(&self, after: Option<FactId>, limit: usize) -> Result<Vec<EmbeddedFact>, Error>;

    /// Keeps facts as they are, from another engine. Those whose id is there already are passed over, and so are citations of
    /// episodes that are not stored, and facts of which no citation is left.
    async fn put_facts(&self, facts: &[EmbeddedFact]) -> Result<(), Error>;

    /// Deletes a fact for good; `false` when this space has none of this id.
    async fn delete_fact(&self, space: &Space, id: FactId) -> Result<bool, Error>;

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

    /// Counts a use of the language model, unless a limit has no room for it: then nothing is counted, and the span is
    /// named. One transaction, so that no two servers spend the same rest. Old minutes are forgotten.
    async fn spend(&self, spending: Charge, budget: &Budget) -> Result<Option<Span>, Error>;

    /// Corrects what was counted at that moment, once it is known exactly. Counts do not fall below zero.
    async fn correct(&self, at: Timestamp, calls: i64, tokens: i64) -> Result<(), Error>;

    /// What was used in the minute and in the day that hold this moment.
    async fn usage(&self, at: Timestamp) -> Result<(Usage, Usage), Error>;
}
