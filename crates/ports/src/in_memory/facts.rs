use async_trait::async_trait;
use memcloud_domain::{EpisodeId, Error, Fact, FactId, Space};

use super::{InMemoryEngine, State};
use crate::{EmbeddedFact, FactStore, FactsOf, RevisionSet};

impl State {
    /// Changes what is known about a profile, and returns how many revisions took effect.
    pub(super) fn revise(&mut self, set: &RevisionSet) -> usize {
        if !self.spaces.contains_key(&set.subject.space) {
            return 0;
        }
        self.queue.profile(&set.subject);
        let current = self.facts.values().filter(|known| known.fact.subject == set.subject);
        let current = current.filter(|known| known.fact.valid_to.is_none()).cloned().collect();
        let newest = self.facts.last_key_value().map(|(id, _)| *id);
        let stored = set.cited().into_iter().filter(|id| self.episode(&set.subject.space, *id).is_some());
        let changed = set.change(current, newest, stored);
        self.facts.extend(changed.learned.into_iter().map(|fact| (fact.fact.id, fact)));
        for (id, episode) in changed.cited {
            if let Some(known) = self.facts.get_mut(&id) {
                known.fact.citations.push(episode);
                known.fact.citations.sort_unstable();
            }
        }
        for (id, at) in changed.ended {
            if let Some(known) = self.facts.get_mut(&id) {
                known.fact.valid_to = Some(at);
            }
        }
        changed.effects
    }

    /// Removes an episode from all citations, and the facts that cited no other.
    pub(super) fn forget_citations(&mut self, episode: EpisodeId) {
        for known in self.facts.values_mut() {
            known.fact.citations.retain(|cited| *cited != episode);
        }
        self.facts.retain(|_, known| !known.fact.citations.is_empty());
    }

    fn put_fact(&mut self, mut new: EmbeddedFact) {
        let Fact { id, subject, citations, .. } = &mut new.fact;
        citations.retain(|episode| self.episode(&subject.space, *episode).is_some());
        if !citations.is_empty() && !self.facts.contains_key(id) {
            self.queue.profile(subject);
            self.facts.insert(*id, new);
        }
    }
}

fn matches(fact: &Fact, of: &FactsOf) -> bool {
    let held = match of.as_of {
        None => fact.valid_to.is_none(),
        Some(at) => fact.valid_from <= at && fact.valid_to.is_none_or(|end| end > at),
    };
    held && fact.subject.space == of.space
        && of.owners.as_ref().is_none_or(|owners| owners.contains(&fact.subject.owner))
        && of.category.as_ref().is_none_or(|category| *category == fact.subject.category)
}

#[async_trait]
impl FactStore for InMemoryEngine {
    async fn facts(&self, of: &FactsOf) -> Result<Vec<EmbeddedFact>, Error> {
        Ok(self.state().facts.values().filter(|known| matches(&known.fact, of)).cloned().collect())
    }

    async fn revise(&self, set: &RevisionSet) -> Result<usize, Error> {
        Ok(self.state().revise(set))
    }

    async fn delete_fact(&self, space: &Space, id: FactId) -> Result<bool, Error> {
        let mut state = self.state();
        let known = state.facts.get(&id).is_some_and(|known| known.fact.subject.space == *space);
        if known {
            state.facts.remove(&id);
        }
        Ok(known)
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
