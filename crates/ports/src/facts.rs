//! Facts: what is known about people, and how it changes.

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{
    EpisodeId, Error, Fact, FactId, FactScope, FactSet, FactTarget, Metadata, Space, Timestamp,
};

/// A fact to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFact {
    /// The group of facts inside the category.
    pub tag: String,
    /// What the fact is about.
    pub name: String,
    /// What it is.
    pub value: String,
    /// What else is stored with it.
    pub metadata: Metadata,
    /// The messages that state it. A fact that cites none rests on none; one whose messages have all been deleted is not
    /// stored.
    pub citations: Vec<EpisodeId>,
    /// Since when it is true.
    pub valid_from: Timestamp,
    /// Its embedding, normalized; `None` while no model runs.
    pub vector: Option<Vec<f16>>,
}

/// One change to the facts of a target.
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
    /// happens unless all of them are current facts of the target.
    Merge {
        /// The facts, at least two.
        old: Vec<FactId>,
        /// The merged fact. Its citations and its `valid_from` are ignored.
        new: NewFact,
    },
}

/// Revisions of what is known about a target.
#[derive(Clone, Debug, PartialEq)]
pub struct RevisionSet {
    /// The target.
    pub target: FactTarget,
    /// The revisions, in order.
    pub revisions: Vec<Revision>,
    /// When they were derived.
    pub at: Timestamp,
    /// The prompt, such as `profile/1`; empty when no model derived them.
    pub prompt: String,
    /// The model; empty when no model derived them.
    pub model: String,
}

/// Which sets to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactSets {
    /// All sets of a scope.
    Of(FactScope),
    /// These.
    These(Vec<FactSet>),
}

/// Which facts to read.
#[derive(Clone, Debug)]
pub struct FactsOf {
    /// The sets.
    pub sets: FactSets,
    /// The category; `None` for all.
    pub category: Option<String>,
    /// The time at which they were current; `None` for now.
    pub as_of: Option<Timestamp>,
}

impl FactsOf {
    /// The scopes of the sets.
    pub fn scopes(&self) -> impl Iterator<Item = &FactScope> {
        let (scope, sets) = match &self.sets {
            FactSets::Of(scope) => (Some(scope), &[][..]),
            FactSets::These(sets) => (None, &sets[..]),
        };
        scope.into_iter().chain(sets.iter().map(|set| &set.scope))
    }

    /// Whether a fact is one of them.
    pub fn contains(&self, fact: &Fact) -> bool {
        let held = match self.as_of {
            None => fact.valid_to.is_none(),
            Some(at) => fact.valid_from <= at && fact.valid_to.is_none_or(|end| end > at),
        };
        let is_of_sets = match &self.sets {
            FactSets::Of(scope) => fact.target.set.scope == *scope,
            FactSets::These(sets) => sets.contains(&fact.target.set),
        };
        held && is_of_sets && self.category.as_ref().is_none_or(|category| *category == fact.target.category)
    }

    /// The current facts of all sets of a space.
    pub fn space(space: &Space) -> Self {
        Self { sets: FactSets::Of(space.into()), category: None, as_of: None }
    }

    /// The current facts about these people in a space.
    pub fn owners<T: Into<String>>(space: &Space, owners: impl IntoIterator<Item = T>) -> Self {
        let sets = owners.into_iter().map(|owner| FactSet::about(space, owner)).collect();
        Self { sets: FactSets::These(sets), category: None, as_of: None }
    }
}

/// What to change of a fact. `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FactChanges {
    /// The category.
    pub category: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// What the fact is about.
    pub name: Option<String>,
    /// What it is.
    pub value: Option<String>,
    /// What else is stored with it.
    pub metadata: Option<Metadata>,
    /// The messages that state it. Those that are not stored are left out.
    pub citations: Option<Vec<EpisodeId>>,
    /// The embedding of the fact with its new tag, name or value; `None` while no model runs.
    pub vector: Option<Vec<f16>>,
}

impl FactChanges {
    /// Whether the text that is embedded changes.
    pub fn changes_text(&self) -> bool {
        self.tag.is_some() || self.name.is_some() || self.value.is_some()
    }

    /// The fact as it is afterwards. `stored` are the new citations that exist.
    pub fn apply(&self, known: EmbeddedFact, stored: impl IntoIterator<Item = EpisodeId>) -> EmbeddedFact {
        let EmbeddedFact { mut fact, vector } = known;
        let vector = if self.changes_text() { self.vector.clone() } else { vector };
        fact.target.category = self.category.clone().unwrap_or(fact.target.category);
        fact.tag = self.tag.clone().unwrap_or(fact.tag);
        fact.name = self.name.clone().unwrap_or(fact.name);
        fact.value = self.value.clone().unwrap_or(fact.value);
        fact.metadata = self.metadata.clone().unwrap_or(fact.metadata);
        if self.citations.is_some() {
            fact.citations = stored.into_iter().collect();
            fact.citations.sort_unstable();
        }
        EmbeddedFact { fact, vector }
    }
}

/// A fact with its embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedFact {
    /// The fact.
    pub fact: Fact,
    /// Its embedding, if it has one.
    pub vector: Option<Vec<f16>>,
}

/// Stores facts. Deleting an episode removes it from all citations, and deletes the facts, current and past, that cited it
/// and no other.
///
/// A fact may cite the episodes of the scope of its set. As in every port, an operation that returns `Ok` is durable, and
/// one that returns an error has changed nothing. A fact that cannot be read is left out and reported by the engine's
/// health; it can still be deleted.
#[async_trait]
pub trait FactStore: Send + Sync {
    /// Facts, in the order in which they were learned.
    async fn facts(&self, of: &FactsOf) -> Result<Vec<EmbeddedFact>, Error>;

    /// A fact, current or past; `None` when it is unknown.
    async fn fact(&self, id: FactId) -> Result<Option<EmbeddedFact>, Error>;

    /// Revises facts without a claimed batch, in one transaction. Returns how many revisions took effect.
    async fn revise(&self, set: &RevisionSet) -> Result<usize, Error>;

    /// Stores a fact that was made by hand, and returns its id. If a current one has the same tag, name and value, that one
    /// gains the citations instead. `None` when the space is unknown, or when all messages that it cites have been deleted.
    async fn add_fact(
        &self,
        target: &FactTarget,
        new: &NewFact,
        at: Timestamp,
    ) -> Result<Option<FactId>, Error>;

    /// Changes a fact of this scope, current or past, where it is. Returns `false` if it is unknown there.
    async fn update_fact(&self, scope: &FactScope, id: FactId, changes: &FactChanges) -> Result<bool, Error>;

    /// Deletes a fact permanently. Returns `false` if it is unknown in this scope.
    async fn delete_fact(&self, scope: &FactScope, id: FactId) -> Result<bool, Error>;

    /// All facts of all sets, current and past, by id, after this one.
    async fn all_facts(&self, after: Option<FactId>, limit: usize) -> Result<Vec<EmbeddedFact>, Error>;

    /// Stores facts of another engine unchanged. Skips facts whose id exists, citations of episodes that are not stored, and
    /// facts that lose all citations by that.
    async fn put_facts(&self, facts: &[EmbeddedFact]) -> Result<(), Error>;
}
