use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use memcloud_domain::{
    Category, CategoryId, CategoryOrigin, Error, FactScope, FactSet, FactTarget, SetType, SetTypeId, Space,
    Tag, TagId,
};

use super::{InMemoryEngine, State};
use crate::{CategoryStore, SetCategory, version_after};

/// What is learned, and how.
#[derive(Default)]
pub(super) struct Catalog {
    categories: BTreeMap<CategoryId, Category>,
    set_types: BTreeMap<SetTypeId, SetType>,
    disabled: BTreeSet<FactTarget>,
    /// Every set that was ever named.
    pub(super) sets: BTreeSet<FactSet>,
}

impl Catalog {
    /// The categories that a set has or inherits.
    fn candidates<'a>(&'a self, set: &'a FactSet) -> impl Iterator<Item = &'a Category> {
        self.categories.values().filter(move |category| match &category.origin {
            CategoryOrigin::Set(own) => own == set,
            CategoryOrigin::SetType(id) => self.set_types.get(id).is_some_and(|known| known.is_type_of(set)),
            CategoryOrigin::BuiltIn => true,
        })
    }

    fn disabled(&self, set: &FactSet) -> BTreeSet<String> {
        self.disabled.iter().filter(|of| of.set == *set).map(|of| of.category.clone()).collect()
    }

    fn of(&self, set: &FactSet) -> Vec<SetCategory> {
        SetCategory::of(self.candidates(set).cloned().collect(), &self.disabled(set))
    }

    /// Whether the set has this category, and not another of the same name.
    fn has(&self, set: &FactSet, id: CategoryId) -> bool {
        self.of(set).iter().any(|of| of.category.id == id)
    }

    /// Moves everything in a space to its hidden name.
    pub(super) fn rename_space(&mut self, from: &Space, to: &Space) {
        let rename = |scope: &mut FactScope| {
            if scope.is(from) {
                *scope = to.into();
            }
        };
        for category in self.categories.values_mut() {
            if let CategoryOrigin::Set(set) = &mut category.origin {
                rename(&mut set.scope);
            }
        }
        self.set_types.values_mut().for_each(|known| rename(&mut known.scope));
        self.disabled = std::mem::take(&mut self.disabled)
            .into_iter()
            .map(|mut of| {
                rename(&mut of.set.scope);
                of
            })
            .collect();
        self.sets = std::mem::take(&mut self.sets)
            .into_iter()
            .map(|mut set| {
                rename(&mut set.scope);
                set
            })
            .collect();
    }

    /// Removes everything in a space.
    pub(super) fn remove_space(&mut self, space: &Space) {
        self.sets.retain(|set| !set.scope.is(space));
        self.disabled.retain(|of| !of.set.scope.is(space));
        self.set_types.retain(|_, known| !known.scope.is(space));
        let types = &self.set_types;
        self.categories.retain(|_, category| match &category.origin {
            CategoryOrigin::Set(set) => !set.scope.is(space),
            CategoryOrigin::SetType(id) => types.contains_key(id),
            CategoryOrigin::BuiltIn => true,
        });
    }
}

impl State {
    /// Whether sets can be in this scope.
    pub(super) fn knows(&self, scope: &FactScope) -> bool {
        scope.project.is_none() || self.spaces.keys().any(|space| scope.is(space))
    }

    /// Removes sets with everything in them. Returns whether there were any.
    pub(super) fn remove_sets(&mut self, is_gone: impl Fn(&FactSet) -> bool) -> bool {
        let before = self.catalog.sets.len();
        self.catalog.sets.retain(|set| !is_gone(set));
        self.catalog.disabled.retain(|of| !is_gone(&of.set));
        self.catalog.categories.retain(|_, category| match &category.origin {
            CategoryOrigin::Set(set) => !is_gone(set),
            CategoryOrigin::SetType(_) | CategoryOrigin::BuiltIn => true,
        });
        self.facts.retain(|_, known| !is_gone(&known.fact.target.set));
        self.queue.forget_targets(|target| is_gone(&target.set));
        self.catalog.sets.len() < before
    }

    fn delete_category(&mut self, id: CategoryId) -> bool {
        let Some(name) = self.catalog.categories.get(&id).map(|category| category.name.clone()) else {
            return false;
        };
        let catalog = &self.catalog;
        let is_gone = |target: &FactTarget| target.category == name && catalog.has(&target.set, id);
        self.facts.retain(|_, known| !is_gone(&known.fact.target));
        self.queue.forget_targets(is_gone);
        self.catalog.categories.remove(&id);
        true
    }
}

#[async_trait]
impl CategoryStore for InMemoryEngine {
    async fn categories_of(&self, set: &FactSet) -> Result<Vec<SetCategory>, Error> {
        Ok(self.state().catalog.of(set))
    }

    async fn enabled_categories(&self, sets: &[FactSet]) -> Result<Vec<Vec<String>>, Error> {
        let state = self.state();
        let enabled = |set| {
            let enabled = state.catalog.of(set).into_iter().filter(|of| of.enabled);
            enabled.map(|of| of.category.name).collect()
        };
        Ok(sets.iter().map(enabled).collect())
    }

    async fn category(&self, id: CategoryId) -> Result<Option<Category>, Error> {
        Ok(self.state().catalog.categories.get(&id).cloned())
    }

    async fn categories(&self, origin: Option<&CategoryOrigin>) -> Result<Vec<Category>, Error> {
        let state = self.state();
        let wanted = |category: &&Category| origin.is_none_or(|origin| category.origin == *origin);
        Ok(state.catalog.categories.values().filter(wanted).cloned().collect())
    }

    async fn put_category(&self, category: &Category) -> Result<bool, Error> {
        let mut state = self.state();
        let mut new = category.clone();
        if let Some(known) = state.catalog.categories.get(&new.id) {
            new.version = version_after(known, &new);
            (new.origin, new.name) = (known.origin.clone(), known.name.clone());
        }
        let is_known = match &new.origin {
            CategoryOrigin::Set(set) => state.knows(&set.scope),
            CategoryOrigin::SetType(id) => state.catalog.set_types.contains_key(id),
            CategoryOrigin::BuiltIn => true,
        };
        let mut others = state.catalog.categories.values().filter(|known| known.id != new.id);
        if !is_known || others.any(|known| (&known.origin, &known.name) == (&new.origin, &new.name)) {
            return Ok(false);
        }
        if let CategoryOrigin::Set(set) = &new.origin {
            state.catalog.sets.insert(set.clone());
        }
        new.tags.sort_by_key(|tag| tag.id);
        state.catalog.categories.insert(new.id, new);
        Ok(true)
    }

    async fn delete_category(&self, id: CategoryId) -> Result<bool, Error> {
        Ok(self.state().delete_category(id))
    }

    async fn enable_category(&self, target: &FactTarget, enabled: bool) -> Result<bool, Error> {
        let mut state = self.state();
        if !state.knows(&target.set.scope) {
            return Ok(false);
        }
        state.catalog.sets.insert(target.set.clone());
        if enabled {
            state.catalog.disabled.remove(target);
        } else {
            state.catalog.disabled.insert(target.clone());
        }
        Ok(true)
    }

    async fn disabled_categories(&self) -> Result<Vec<FactTarget>, Error> {
        Ok(self.state().catalog.disabled.iter().cloned().collect())
    }

    async fn add_tag(&self, category: CategoryId, tag: &Tag) -> Result<bool, Error> {
        let mut state = self.state();
        let Some(category) = state.catalog.categories.get_mut(&category) else { return Ok(false) };
        let is_new = category.tags.iter().all(|known| known.name != tag.name);
        if is_new {
            category.tags.push(tag.clone());
            category.tags.sort_by_key(|tag| tag.id);
        }
        Ok(is_new)
    }

    async fn delete_tag(&self, id: TagId) -> Result<bool, Error> {
        let mut state = self.state();
        let mut deleted = false;
        for category in state.catalog.categories.values_mut() {
            let before = category.tags.len();
            category.tags.retain(|tag| tag.id != id);
            deleted |= category.tags.len() < before;
        }
        Ok(deleted)
    }

    async fn set_types(&self, org: Option<&str>) -> Result<Vec<SetType>, Error> {
        let state = self.state();
        let wanted = |known: &&SetType| org.is_none_or(|org| known.scope.org == org);
        Ok(state.catalog.set_types.values().filter(wanted).cloned().collect())
    }

    async fn put_set_type(&self, set_type: &SetType) -> Result<bool, Error> {
        let mut state = self.state();
        let mut new = set_type.clone();
        if let Some(known) = state.catalog.set_types.get(&new.id) {
            (new.scope, new.keys) = (known.scope.clone(), known.keys.clone());
        }
        let mut others = state.catalog.set_types.values().filter(|known| known.id != new.id);
        let is_taken = others.any(|known| (&known.scope, &known.keys) == (&new.scope, &new.keys));
        if is_taken || !state.knows(&new.scope) {
            return Ok(false);
        }
        state.catalog.set_types.insert(new.id, new);
        Ok(true)
    }

    async fn delete_set_type(&self, id: SetTypeId) -> Result<bool, Error> {
        let mut state = self.state();
        let templates = state.catalog.categories.values();
        let templates: Vec<CategoryId> = templates
            .filter(|category| category.origin == CategoryOrigin::SetType(id))
            .map(|category| category.id)
            .collect();
        for template in templates {
            state.delete_category(template);
        }
        Ok(state.catalog.set_types.remove(&id).is_some())
    }

    async fn sets(&self, scope: &FactScope) -> Result<Vec<FactSet>, Error> {
        Ok(self.state().catalog.sets.iter().filter(|set| set.scope == *scope).cloned().collect())
    }
}
