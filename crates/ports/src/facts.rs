//! Facts: what is known about people, and how it changes.

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{EpisodeId, Error, Fact, FactId, ProfileKey, Space, Timestamp};

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

/// Keeps facts. Deleting an episode removes it from all citations and deletes the facts, current or past, that rest on no
/// other episode.
///
/// As for every port: what returns `Ok` is durable, and what returns an error has changed nothing.
#[async_trait]
pub trait FactStore: Send + Sync {
    /// Facts, in the order in which they were learned.
    async fn facts(&self, of: &FactsOf) -> Result<Vec<EmbeddedFact>, Error>;

    /// Changes what is known without any messages, in one transaction, and says how many revisions took effect.
    async fn revise(&self, lessons: &RevisionSet) -> Result<usize, Error>;

    /// Deletes a fact for good; `false` when this space has none of this id.
    async fn delete_fact(&self, space: &Space, id: FactId) -> Result<bool, Error>;

    /// Every fact that was ever learned and not deleted, of all spaces, by id, after this one.
    async fn all_facts(&self, after: Option<FactId>, limit: usize) -> Result<Vec<EmbeddedFact>, Error>;

    /// Keeps facts as they are, from another engine. Those whose id is there already are passed over, and so are citations of
    /// episodes that are not stored, and facts of which no citation is left.
    async fn put_facts(&self, facts: &[EmbeddedFact]) -> Result<(), Error>;
}
