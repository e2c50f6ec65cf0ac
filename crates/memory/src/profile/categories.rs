//! The categories that the learner works with: those of the store, among them the built-in ones of this program.

use std::sync::Arc;

use memcloud_domain::{Category, CategoryId, CategoryOrigin, Error, FactSet, FactTarget, Tag, TagId};
use memcloud_ports::CategoryStore;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::profile::CATEGORY;

const LEARN: &str = include_str!("../../prompts/1/learn.md");
const PROFILE: &str = include_str!("../../prompts/1/profile.md");

/// The id of the category `profile`. Its tags have the numbers after it.
const PROFILE_ID: u128 = 0x0197_0000_0000_7000_8000_6d65_6d63_0000;

/// The categories that every set has, from the files in `prompts/`.
pub(crate) fn built_in() -> Vec<Category> {
    let tags = PROFILE.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(": "));
    let tag = |(number, (name, description)): (u128, (&str, &str))| {
        let id = TagId(Uuid::from_u128(PROFILE_ID + number));
        Tag { id, name: name.to_owned(), description: description.to_owned() }
    };
    vec![Category {
        id: CategoryId(Uuid::from_u128(PROFILE_ID)),
        origin: CategoryOrigin::BuiltIn,
        name: CATEGORY.to_owned(),
        description: "who a person is, has, likes, wants, plans and knows".to_owned(),
        prompt: LEARN.to_owned(),
        version: 1,
        tags: (1..).zip(tags).map(tag).collect(),
    }]
}

/// The categories of a store. Makes sure that the store has the built-in ones before it reads.
pub(crate) struct Categories {
    store: Arc<dyn CategoryStore>,
    complete: OnceCell<()>,
}

impl Categories {
    pub(crate) fn new(store: Arc<dyn CategoryStore>) -> Self {
        Self { store, complete: OnceCell::new() }
    }

    /// Stores the built-in categories that are missing or older than those of this program. Asks the store until it has
    /// answered once, then never again.
    pub(crate) async fn complete(&self) -> Result<(), Error> {
        let complete = async || {
            for category in built_in() {
                let known = self.store.category(category.id).await?;
                if known.is_none_or(|known| known.version < category.version) {
                    self.store.put_category(&category).await?;
                }
            }
            Ok(())
        };
        self.complete.get_or_try_init(complete).await.copied()
    }

    /// What is to be learned about each of these sets: the names of its enabled categories.
    pub(crate) async fn enabled(&self, sets: &[FactSet]) -> Result<Vec<Vec<String>>, Error> {
        if sets.is_empty() {
            return Ok(Vec::new());
        }
        self.complete().await?;
        self.store.enabled_categories(sets).await
    }

    /// The category of a target as it is now; `None` if the set has none of this name or has disabled it. The learner reads
    /// it for every batch: a read takes a thousandth of the call to the model that follows, and a changed prompt counts at
    /// once.
    pub(crate) async fn of(&self, target: &FactTarget) -> Result<Option<Category>, Error> {
        self.complete().await?;
        let mut all = self.store.categories_of(&target.set).await?;
        all.retain(|of| of.enabled && of.category.name == target.category);
        Ok(all.pop().map(|of| of.category))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_of_the_profile_are_those_of_the_file() {
        let [profile] = &built_in()[..] else { panic!("one built-in category") };
        let names: Vec<&str> = profile.tags.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names.len(), PROFILE.lines().count());
        assert!(names.contains(&"Home") && names.contains(&"Other"), "{names:?}");
    }
}
