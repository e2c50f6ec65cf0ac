//! Facts: what is known about people, and how it changes.

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{EpisodeId, Error, Fact, FactId, ProfileKey, Space, Timestamp};

/// A fact to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFact {
    /// The group of facts inside the category.
    pub tag: String,
    /// What the fact is about.
    pub name: String,
    /// What it is.
    pub value: String,
    /// The messages that state it.
    pub citations: Vec<EpisodeId>,
    /// Since when it is true.
    pub valid_from: Timestamp,
    /// Its embedding, normalised; `None` while no model runs.
    pub vector: Option<Vec<f16>>,
}

/// One change to the facts of a profile.
#[derive(Clone, Debug, PartialEq)]
pub enum Revision {
    /// Adds a fact. If a current one has the same tag, name and value, that one gains the citations instead.
    Add(NewFact),
    /// Replaces a current fact, which ends when the new one begins. If the old fact is not current, this is an
    /// [`Add`](Self::Add). If the new fact began earlier than the current one, it is stored as a past fact that ended when
    /// the current one began.
    Replace {
        /// The current fact.
        old: FactId,
        /// The new fact.
        new: NewFact,
    },
    /// Ends a fact. Nothing happens if it is not current.
    Retire {
        /// The fact.
        old: FactId,
        /// When it ended.
        at: Timestamp,
    },
    /// Merges facts into one. It takes over their citations, and begins when the last of them began; they end then. Nothing
    /// happens unless all of them are current facts of the profile.
    Merge {
        /// The facts, at least two.
        old: Vec<FactId>,
        /// The merged fact. Its citations and its `valid_from` are ignored.
        new: NewFact,
    },
}

/// The revisions that a language model derived from messages.
#[derive(Clone, Debug, PartialEq)]
pub struct RevisionSet {
    /// The profile.
    pub subject: ProfileKey,
    /// The revisions, in order.
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
    /// The space.
    pub space: Space,
    /// The owners; `None` for all.
    pub owners: Option<Vec<String>>,
    /// The category; `None` for all.
    pub category: Option<String>,
    /// The time at which they were current; `None` for now.
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

/// Stores facts. Deleting an episode removes it from all citations, and deletes the facts, current and past, that cite no
/// other episode.
///
/// As in every port, an operation that returns `Ok` is durable, and one that returns an error has changed nothing.
#[async_trait]
pub trait FactStore: Send + Sync {
    /// Facts, in the order in which they were learned.
    async fn facts(&self, of: &FactsOf) -> Result<Vec<EmbeddedFact>, Error>;

    /// Revises facts without a claimed batch, in one transaction. Returns how many revisions took effect.
    async fn revise(&self, lessons: &RevisionSet) -> Result<usize, Error>;

    /// Deletes a fact permanently. Returns `false` if this space has no fact with this id.
    async fn delete_fact(&self, space: &Space, id: FactId) -> Result<bool, Error>;

    /// All facts of all spaces, current and past, by id, after this one.
    async fn all_facts(&self, after: Option<FactId>, limit: usize) -> Result<Vec<EmbeddedFact>, Error>;

    /// Stores facts of another engine unchanged. Skips facts whose id exists, citations of episodes that are not stored, and
    /// facts without a remaining citation.
    async fn put_facts(&self, facts: &[EmbeddedFact]) -> Result<(), Error>;
}
