//! Histories of categories and types of sets.

use std::collections::BTreeSet;

use memcloud_domain::{Category, CategoryId, CategoryOrigin, FactScope, SetType, SetTypeId, Tag, TagId};
use proptest::prelude::*;
use uuid::Uuid;

use super::{CATEGORY_NAMES, Pair, Reads, answer};
use crate::Store;

/// An operation on categories. Numbers pick from a few ids, names and sets.
#[derive(Clone, Debug)]
pub enum CatalogOperation {
    /// Stores a category: its id, origin, name and prompt.
    Put(u8, u8, u8, u8),
    /// Deletes a category.
    Delete(u8),
    /// Enables or disables a category in a set.
    Enable(usize, bool),
    /// Adds a tag to a category: the category, the id and the name of the tag.
    AddTag(u8, u8, u8),
    /// Deletes a tag.
    DeleteTag(u8),
    /// Stores a type of sets: its id and its definition.
    PutSetType(u8, u8),
    /// Deletes a type of sets.
    DeleteSetType(u8),
}

/// Any operation on categories.
pub(super) fn operations() -> impl Strategy<Value = CatalogOperation> {
    use CatalogOperation::{AddTag, Delete, DeleteSetType, DeleteTag, Enable, Put, PutSetType};
    prop_oneof![
        4 => (0..6u8, 0..9u8, 0..2u8, 0..3u8).prop_map(|(id, origin, name, prompt)| Put(id, origin, name, prompt)),
        1 => (0..6u8).prop_map(Delete),
        1 => (0..12usize, any::<bool>()).prop_map(|(target, enabled)| Enable(target, enabled)),
        1 => (0..6u8, 10..16u8, 0..3u8).prop_map(|(category, id, name)| AddTag(category, id, name)),
        1 => (0..16u8).prop_map(DeleteTag),
        2 => (0..3u8, 0..4u8).prop_map(|(id, definition)| PutSetType(id, definition)),
        1 => (0..3u8).prop_map(DeleteSetType),
    ]
}

fn uuid(number: u8) -> Uuid {
    Uuid::from_u128(number.into())
}

fn tag(id: u8, name: u8) -> Tag {
    Tag { id: TagId(uuid(id)), name: format!("tag {name}"), description: format!("é {id}") }
}

impl Pair {
    pub(super) async fn run_on_catalog(&self, operation: &CatalogOperation) {
        match *operation {
            CatalogOperation::Put(id, origin, name, prompt) => {
                let category = Category {
                    id: CategoryId(uuid(id)),
                    origin: self.origin(origin),
                    name: CATEGORY_NAMES[usize::from(name)].into(),
                    description: format!("of {prompt}"),
                    prompt: format!("prompt {prompt}"),
                    version: 1,
                    // The ids of tags are those of one category.
                    tags: vec![tag(id, 0)],
                };
                both!(self, operation, |store| store.categories.put_category(&category)).unwrap();
            }
            CatalogOperation::Delete(id) => {
                let id = CategoryId(uuid(id));
                both!(self, operation, |store| store.categories.delete_category(id)).unwrap();
            }
            CatalogOperation::Enable(target, enabled) => {
                let target = self.target(target);
                both!(self, operation, |store| store.categories.enable_category(&target, enabled)).unwrap();
            }
            CatalogOperation::AddTag(category, id, name) => {
                // An id that another category uses would be refused.
                let (category, tag) = (CategoryId(uuid(category)), tag(id, name));
                let known = self.oracle.categories.categories(None).await.unwrap();
                if known.iter().flat_map(|category| &category.tags).all(|known| known.id != tag.id) {
                    both!(self, operation, |store| store.categories.add_tag(category, &tag)).unwrap();
                }
            }
            CatalogOperation::DeleteTag(id) => {
                let id = TagId(uuid(id));
                both!(self, operation, |store| store.categories.delete_tag(id)).unwrap();
            }
            CatalogOperation::PutSetType(id, definition) => {
                let set = self.set([0, 2, 4, 5][usize::from(definition)]);
                let set_type = SetType {
                    id: SetTypeId(uuid(id)),
                    keys: set.keys().map(str::to_owned).collect(),
                    scope: set.scope,
                    name: format!("type {definition}"),
                    description: String::new(),
                };
                both!(self, operation, |store| store.categories.put_set_type(&set_type)).unwrap();
            }
            CatalogOperation::DeleteSetType(id) => {
                let id = SetTypeId(uuid(id));
                both!(self, operation, |store| store.categories.delete_set_type(id)).unwrap();
            }
        }
    }

    fn origin(&self, number: u8) -> CategoryOrigin {
        match number {
            0..5 => CategoryOrigin::Set(self.set(number.into())),
            5..8 => CategoryOrigin::SetType(SetTypeId(uuid(number - 5))),
            _ => CategoryOrigin::BuiltIn,
        }
    }
}

impl Reads<'_> {
    pub(super) async fn catalog(&self, store: &Store, reads: &mut Vec<String>) {
        let categories = &store.categories;
        let mut add = |what: &str, read: String| reads.push(format!("{what}: {read}"));
        add("categories", format!("{:?}", answer(categories.categories(None).await)));
        add("disabled", format!("{:?}", answer(categories.disabled_categories().await)));
        add("set types", format!("{:?}", answer(categories.set_types(None).await)));
        add("set types", format!("{:?}", answer(categories.set_types(Some("universal")).await)));
        add("enabled", format!("{:?}", answer(categories.enabled_categories(self.sets).await)));
        for set in self.sets {
            add("of set", format!("{:?}", answer(categories.categories_of(set).await)));
        }
        let scopes: BTreeSet<&FactScope> = self.sets.iter().map(|set| &set.scope).collect();
        for scope in scopes {
            add("sets", format!("{:?}", answer(categories.sets(scope).await)));
        }
        let id = CategoryId(uuid(0));
        add("category", format!("{:?}", answer(categories.category(id).await)));
        let templates = CategoryOrigin::SetType(SetTypeId(uuid(0)));
        add("templates", format!("{:?}", answer(categories.categories(Some(&templates)).await)));
        add("built in", format!("{:?}", answer(categories.categories(Some(&CategoryOrigin::BuiltIn)).await)));
    }
}
