//! Categories: what is learned, and what a language model is asked to learn it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use memcloud_domain::{
    Category, CategoryId, CategoryOrigin, Error, FactScope, FactSet, FactTarget, SetType, SetTypeId, Tag,
    TagId,
};

/// A category as one set has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCategory {
    /// The category.
    pub category: Category,
    /// Whether it is learned in this set.
    pub enabled: bool,
}

/// Keeps categories, the types of sets that share them, and which of them a set has disabled.
///
/// A set has its own categories, those of its type, and the built-in ones. Of several with one name it has only the first
/// in this order, so a category can take the place of an inherited one.
///
/// As in every port, an operation that returns `Ok` is durable, and one that returns an error has changed nothing.
#[async_trait]
pub trait CategoryStore: Send + Sync {
    /// The categories of a set, sorted by name, including those that it has disabled.
    async fn categories_of(&self, set: &FactSet) -> Result<Vec<SetCategory>, Error>;

    /// The names of the categories that are enabled in each of these sets, sorted. Read at every store of messages that are
    /// learned from.
    async fn enabled_categories(&self, sets: &[FactSet]) -> Result<Vec<Vec<String>>, Error>;

    /// A category; `None` when it is unknown.
    async fn category(&self, id: CategoryId) -> Result<Option<Category>, Error>;

    /// The categories of an origin, or all of them; by id.
    async fn categories(&self, origin: Option<&CategoryOrigin>) -> Result<Vec<Category>, Error>;

    /// Stores a category with its tags, in place of the one with the same id, whose origin and name stay. If the prompt
    /// differs from that one's, the version becomes higher. Returns `false` if another category of the same origin has the
    /// name, or if the space or type of the origin is unknown.
    async fn put_category(&self, category: &Category) -> Result<bool, Error>;

    /// Deletes a category with its facts and what waits to be learned, in all sets that have it. Returns `false` if it is
    /// unknown.
    async fn delete_category(&self, id: CategoryId) -> Result<bool, Error>;

    /// Enables or disables the category of this name in a set. What is known stays; messages that
    /// wait for a disabled category are not learned from. Returns `false` if the space is unknown.
    async fn enable_category(&self, target: &FactTarget, enabled: bool) -> Result<bool, Error>;

    /// The names of categories that sets have disabled.
    async fn disabled_categories(&self) -> Result<Vec<FactTarget>, Error>;

    /// Adds a tag. Returns `false` if the category is unknown or has a tag of this name.
    async fn add_tag(&self, category: CategoryId, tag: &Tag) -> Result<bool, Error>;

    /// Deletes a tag; its facts stay. Returns `false` if it is unknown.
    async fn delete_tag(&self, id: TagId) -> Result<bool, Error>;

    /// The types of sets of this organization or of all, by id.
    async fn set_types(&self, org: Option<&str>) -> Result<Vec<SetType>, Error>;

    /// Stores a type of sets, in place of the one with the same id, whose scope and keys stay. Returns `false` if another
    /// type has the same scope and keys, or if the space is unknown.
    async fn put_set_type(&self, set_type: &SetType) -> Result<bool, Error>;

    /// Deletes a type of sets with its categories, as [`delete_category`](Self::delete_category) does. Returns `false` if it
    /// is unknown.
    async fn delete_set_type(&self, id: SetTypeId) -> Result<bool, Error>;

    /// The sets of a scope that have ever had facts, messages to learn from or a category of their own; sorted.
    async fn sets(&self, scope: &FactScope) -> Result<Vec<FactSet>, Error>;
}

impl SetCategory {
    /// The categories that a set has, among all that it has or inherits.
    pub fn of(mut candidates: Vec<Category>, disabled: &BTreeSet<String>) -> Vec<Self> {
        candidates.sort_by(|a, b| (&a.name, &a.origin).cmp(&(&b.name, &b.origin)));
        candidates.dedup_by(|later, first| later.name == first.name);
        let with_state = |category: Category| Self { enabled: !disabled.contains(&category.name), category };
        candidates.into_iter().map(with_state).collect()
    }
}

/// The version of a category that takes the place of a known one.
pub fn version_after(known: &Category, new: &Category) -> u32 {
    new.version.max(known.version + u32::from(known.prompt != new.prompt))
}
