use std::collections::HashSet;

use async_trait::async_trait;
use memcloud_domain::{EpisodeId, Error, Fact, FactId, FactScope, FactTarget, Timestamp};

use super::{InMemoryEngine, State};
use crate::{Changed, EmbeddedFact, FactChanges, FactStore, FactsOf, NewFact, RevisionSet};

impl State {
    /// Changes what is known about a target; `None` when its space is unknown.
    pub(super) fn revise(&mut self, set: &RevisionSet) -> Option<Changed> {
        let scope = &set.target.set.scope;
        if !self.knows(scope) {
            return None;
        }
        self.make_target(&set.target);
        let current = self.facts.values().filter(|known| known.fact.target == set.target);
        let current = current.filter(|known| known.fact.valid_to.is_none()).cloned().collect();
        let newest = self.facts.last_key_value().map(|(id, _)| *id);
        let changed = set.change(current, newest, self.stored(scope, set.cited()));
        self.facts.extend(changed.learned.iter().map(|fact| (fact.fact.id, fact.clone())));
        for (id, episode) in &changed.cited {
            if let Some(known) = self.facts.get_mut(id) {
                known.fact.citations.push(*episode);
                known.fact.citations.sort_unstable();
            }
        }
        for (id, at) in &changed.ended {
            if let Some(known) = self.facts.get_mut(id) {
                known.fact.valid_to = Some(*at);
            }
        }
        Some(changed)
    }

    pub(super) fn make_target(&mut self, target: &FactTarget) -> usize {
        self.catalog.sets.insert(target.set.clone());
        self.queue.make_target(target)
    }

    /// Those of the episodes that exist in the scope.
    fn stored(&self, scope: &FactScope, episodes: impl IntoIterator<Item = EpisodeId>) -> HashSet<EpisodeId> {
        let is_stored =
            |id: &EpisodeId| self.episodes.get(id).is_some_and(|row| scope.contains(&row.episode.space));
        episodes.into_iter().filter(is_stored).collect()
    }

    /// Removes an episode from all citations, and the facts that cited it and no other.
    pub(super) fn forget_citations(&mut self, episode: EpisodeId) {
        self.facts.retain(|_, known| {
            let before = known.fact.citations.len();
            known.fact.citations.retain(|cited| *cited != episode);
            known.fact.citations.len() == before || !known.fact.citations.is_empty()
        });
    }

    fn put_fact(&mut self, mut new: EmbeddedFact) {
        let Fact { id, target, citations, .. } = &mut new.fact;
        let (cited, stored) = (citations.len(), self.stored(&target.set.scope, citations.iter().copied()));
        citations.retain(|episode| stored.contains(episode));
        let is_founded = cited == 0 || !citations.is_empty();
        if is_founded && self.knows(&target.set.scope) && !self.facts.contains_key(id) {
            self.make_target(target);
            self.facts.insert(*id, new);
        }
    }
}

#[async_trait]
impl FactStore for InMemoryEngine {
    async fn facts(&self, of: &FactsOf) -> Result<Vec<EmbeddedFact>, Error> {
        Ok(self.state().facts.values().filter(|known| of.contains(&known.fact)).cloned().collect())
    }

    async fn fact(&self, id: FactId) -> Result<Option<EmbeddedFact>, Error> {
        Ok(self.state().facts.get(&id).cloned())
    }

    async fn revise(&self, set: &RevisionSet) -> Result<usize, Error> {
        Ok(self.state().revise(set).map_or(0, |changed| changed.effects))
    }

    async fn add_fact(
        &self,
        target: &FactTarget,
        new: &NewFact,
        at: Timestamp,
    ) -> Result<Option<FactId>, Error> {
        let changed = self.state().revise(&RevisionSet::by_hand(target, new, at));
        Ok(changed.and_then(|changed| changed.added))
    }

    async fn update_fact(&self, scope: &FactScope, id: FactId, changes: &FactChanges) -> Result<bool, Error> {
        let mut state = self.state();
        let known = state.facts.get(&id).filter(|known| known.fact.target.set.scope == *scope).cloned();
        let Some(known) = known else { return Ok(false) };
        let stored = state.stored(scope, changes.citations.iter().flatten().copied());
        let changed = changes.apply(known, stored);
        state.make_target(&changed.fact.target);
        state.facts.insert(id, changed);
        Ok(true)
    }

    async fn delete_fact(&self, scope: &FactScope, id: FactId) -> Result<bool, Error> {
        let mut state = self.state();
        let is_known = state.facts.get(&id).is_some_and(|known| known.fact.target.set.scope == *scope);
        if is_known {
            state.facts.remove(&id);
        }
        Ok(is_known)
    }

    async fn all_facts(&self, after: Option<FactId>, limit: usize) -> Result<Vec<EmbeddedFact>, Error> {
        let state = self.state();
        let later = state.facts.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        Ok(later.map(|(_, known)| known.clone()).take(limit).collect())
    }

    async fn put_facts(&self, facts: &[EmbeddedFact]) -> Result<(), Error> {
        let mut state = self.state();
        for fact in facts {
            state.put_fact(fact.clone());
        }
        Ok(())
    }
}
