//! How revisions change what is known about a subject: the same on every engine. An engine reads the facts, has them
//! revised, and writes what has changed, all while nobody else changes the same subject.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use memcloud_model::{EpisodeId, Feature, FeatureId, Timestamp};

use super::{Fact, Lessons, NewFeature, Revision};

/// What is known about a subject at present, while revisions change it.
struct Knowledge<'a> {
    lessons: &'a Lessons,
    stored: HashSet<EpisodeId>,
    /// Facts that hold, and those that held until a revision ended them.
    facts: BTreeMap<FeatureId, Fact>,
    /// Facts of this id and above are new.
    first: FeatureId,
    cited: BTreeSet<(FeatureId, EpisodeId)>,
}

/// What an engine has to write after revisions.
#[derive(Debug, Default)]
pub struct Changed {
    /// New facts with their citations; some may hold no longer.
    pub learned: Vec<Fact>,
    /// Citations that known facts gain.
    pub cited: Vec<(FeatureId, EpisodeId)>,
    /// Known facts that hold no longer, and until when they held.
    pub ended: Vec<(FeatureId, Timestamp)>,
    /// How many revisions took effect.
    pub effects: usize,
}

impl Lessons {
    /// The episodes that new facts are to rest on.
    pub fn cited(&self) -> BTreeSet<EpisodeId> {
        let new = self.revisions.iter().filter_map(|revision| match revision {
            Revision::Add(new) | Revision::Replace { new, .. } => Some(new),
            Revision::Retire { .. } | Revision::Merge { .. } => None,
        });
        new.flat_map(|new| new.citations.iter().copied()).collect()
    }

    /// What changes by these lessons. `current` are all facts that hold about the subject, `newest` is the id of the newest
    /// fact about anybody, and `stored` are those of the [cited](Self::cited) episodes that exist in the subject's space.
    pub fn change(
        &self,
        current: Vec<Fact>,
        newest: Option<FeatureId>,
        stored: impl IntoIterator<Item = EpisodeId>,
    ) -> Changed {
        let taken = newest.map_or(0, FeatureId::number);
        let mut knowledge = Knowledge {
            lessons: self,
            stored: stored.into_iter().collect(),
            facts: current.into_iter().map(|fact| (fact.feature.id, fact)).collect(),
            first: FeatureId::from_number(self.at.as_micros().max(taken + 1)),
            cited: BTreeSet::new(),
        };
        let effects = self.revisions.iter().filter(|revision| knowledge.revise(revision)).count();
        knowledge.changed(effects)
    }
}

impl Knowledge<'_> {
    /// Whether the revision took effect.
    fn revise(&mut self, revision: &Revision) -> bool {
        match revision {
            Revision::Add(new) => self.add(new),
            Revision::Replace { old, new } => self.replace(*old, new),
            Revision::Retire { old, at } => self.end(*old, *at),
            Revision::Merge { old, new } => self.merge(old, new),
        }
    }

    fn add(&mut self, new: &NewFeature) -> bool {
        let citations = self.existing(new);
        match self.like(new) {
            Some(known) => self.cite(known, citations),
            None => self.learn(new, citations, new.valid_from, None),
        }
    }

    fn replace(&mut self, old: FeatureId, new: &NewFeature) -> bool {
        let like = self.like(new);
        if !self.holds(old) || like == Some(old) {
            return self.add(new);
        }
        let began = self.facts.get(&old).map_or(new.valid_from, |fact| fact.feature.valid_from);
        if new.valid_from < began {
            // Told of a time before the fact that holds, which it does not end.
            let citations = self.existing(new);
            return self.learn(new, citations, new.valid_from, Some(began));
        }
        // What nothing tells any more takes nobody's place.
        !self.existing(new).is_empty() && self.end(old, new.valid_from) && (self.add(new) || like.is_some())
    }

    fn merge(&mut self, old: &[FeatureId], new: &NewFeature) -> bool {
        let mut old: BTreeSet<FeatureId> = old.iter().copied().collect();
        if old.len() < 2 || !old.iter().all(|&id| self.holds(id)) {
            return false;
        }
        // One that says the same already becomes part of it.
        old.extend(self.like(new));
        let merged: Vec<&Feature> = old.iter().map(|id| &self.facts[id].feature).collect();
        let Some(last) = merged.iter().map(|fact| fact.valid_from).max() else { return false };
        let citations = merged.iter().flat_map(|fact| fact.citations.iter().copied()).collect();
        for id in old {
            self.end(id, last);
        }
        self.learn(new, citations, last, None)
    }

    /// Ends a fact that holds; not before it began.
    fn end(&mut self, id: FeatureId, at: Timestamp) -> bool {
        if !self.holds(id) {
            return false;
        }
        if let Some(fact) = self.facts.get_mut(&id) {
            fact.feature.valid_to = Some(at.max(fact.feature.valid_from));
        }
        true
    }

    fn cite(&mut self, id: FeatureId, citations: BTreeSet<EpisodeId>) -> bool {
        let Some(fact) = self.facts.get_mut(&id) else { return false };
        let mut all: BTreeSet<EpisodeId> = fact.feature.citations.iter().copied().collect();
        let gained: Vec<EpisodeId> = citations.into_iter().filter(|&episode| all.insert(episode)).collect();
        fact.feature.citations = all.into_iter().collect();
        if id < self.first {
            self.cited.extend(gained.iter().map(|&episode| (id, episode)));
        }
        !gained.is_empty()
    }

    /// Notes a fact, unless nothing tells it.
    fn learn(
        &mut self,
        new: &NewFeature,
        citations: BTreeSet<EpisodeId>,
        valid_from: Timestamp,
        valid_to: Option<Timestamp>,
    ) -> bool {
        if citations.is_empty() {
            return false;
        }
        let after = |(last, _): (&FeatureId, _)| FeatureId::from_number(last.number() + 1);
        let id = self.facts.last_key_value().map_or(self.first, after).max(self.first);
        let feature = Feature {
            id,
            subject: self.lessons.subject.clone(),
            tag: new.tag.clone(),
            feature: new.feature.clone(),
            value: new.value.clone(),
            citations: citations.into_iter().collect(),
            valid_from,
            valid_to,
            learned_at: self.lessons.at,
            prompt: self.lessons.prompt.clone(),
            model: self.lessons.model.clone(),
        };
        self.facts.insert(id, Fact { feature, vector: new.vector.clone() });
        true
    }

    fn holds(&self, id: FeatureId) -> bool {
        self.facts.get(&id).is_some_and(|fact| fact.feature.valid_to.is_none())
    }

    /// The fact that holds and says the same.
    fn like(&self, new: &NewFeature) -> Option<FeatureId> {
        let same = |fact: &Feature| {
            fact.valid_to.is_none()
                && (&fact.tag, &fact.feature, &fact.value) == (&new.tag, &new.feature, &new.value)
        };
        self.facts.iter().find(|(_, fact)| same(&fact.feature)).map(|(id, _)| *id)
    }

    fn existing(&self, new: &NewFeature) -> BTreeSet<EpisodeId> {
        new.citations.iter().copied().filter(|episode| self.stored.contains(episode)).collect()
    }

    fn changed(mut self, effects: usize) -> Changed {
        let learned = self.facts.split_off(&self.first).into_values().collect();
        let ended = self.facts.into_iter().filter_map(|(id, fact)| Some((id, fact.feature.valid_to?)));
        Changed { learned, cited: self.cited.into_iter().collect(), ended: ended.collect(), effects }
    }
}
