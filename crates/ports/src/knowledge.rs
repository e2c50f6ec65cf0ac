//! How revisions change the facts of a target, the same on every engine. An engine reads the facts, revises them here and
//! writes the changes, while it locks their scope.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use memcloud_domain::{EpisodeId, Fact, FactId, FactTarget, Timestamp};

use super::{EmbeddedFact, NewFact, Revision, RevisionSet};

/// The facts of a target, while revisions change them.
struct Knowledge<'a> {
    set: &'a RevisionSet,
    stored: HashSet<EpisodeId>,
    /// The current facts, and those that a revision ended.
    facts: BTreeMap<FactId, EmbeddedFact>,
    /// Facts of this id and above are new.
    first: FactId,
    cited: BTreeSet<(FactId, EpisodeId)>,
    added: Option<FactId>,
}

/// What an engine must write after revisions.
#[derive(Debug, Default)]
pub struct Changed {
    /// New facts with their citations. Some may have ended.
    pub learned: Vec<EmbeddedFact>,
    /// Citations that known facts gain.
    pub cited: Vec<(FactId, EpisodeId)>,
    /// Known facts that ended, and when.
    pub ended: Vec<(FactId, Timestamp)>,
    /// The fact that the last addition stored, or found known.
    pub added: Option<FactId>,
    /// How many revisions took effect.
    pub effects: usize,
}

impl RevisionSet {
    /// The addition of a fact that was made by hand.
    pub fn by_hand(target: &FactTarget, new: &NewFact, at: Timestamp) -> Self {
        let revisions = vec![Revision::Add(new.clone())];
        Self { target: target.clone(), revisions, at, prompt: String::new(), model: String::new() }
    }

    /// The episodes that new facts cite.
    pub fn cited(&self) -> BTreeSet<EpisodeId> {
        let new = self.revisions.iter().filter_map(|revision| match revision {
            Revision::Add(new) | Revision::Replace { new, .. } => Some(new),
            Revision::Retire { .. } | Revision::Merge { .. } => None,
        });
        new.flat_map(|new| new.citations.iter().copied()).collect()
    }

    /// What these revisions change. `current` are all current facts of the target, `newest` is the id of the newest fact of
    /// any target, and `stored` are the [cited](Self::cited) episodes that exist in the scope of its set.
    pub fn change(
        &self,
        current: Vec<EmbeddedFact>,
        newest: Option<FactId>,
        stored: impl IntoIterator<Item = EpisodeId>,
    ) -> Changed {
        let taken = newest.map_or(0, FactId::number);
        let mut knowledge = Knowledge {
            set: self,
            stored: stored.into_iter().collect(),
            facts: current.into_iter().map(|fact| (fact.fact.id, fact)).collect(),
            first: FactId::from_number(self.at.as_micros().max(taken + 1)),
            cited: BTreeSet::new(),
            added: None,
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

    fn add(&mut self, new: &NewFact) -> bool {
        let citations = self.existing(new);
        match self.like(new) {
            Some(known) => {
                self.added = Some(known);
                self.cite(known, citations)
            }
            None => self.learn(new, citations, new.valid_from, None),
        }
    }

    fn replace(&mut self, old: FactId, new: &NewFact) -> bool {
        let like = self.like(new);
        if !self.holds(old) || like == Some(old) {
            return self.add(new);
        }
        let began = self.facts.get(&old).map_or(new.valid_from, |fact| fact.fact.valid_from);
        if new.valid_from < began {
            // The new fact is older than the current one, so it does not end it.
            let citations = self.existing(new);
            return self.learn(new, citations, new.valid_from, Some(began));
        }
        // A replacement whose citations were all deleted must not retire the old fact.
        Self::is_founded(new, &self.existing(new))
            && self.end(old, new.valid_from)
            && (self.add(new) || like.is_some())
    }

    fn merge(&mut self, old: &[FactId], new: &NewFact) -> bool {
        let mut old: BTreeSet<FactId> = old.iter().copied().collect();
        if old.len() < 2 || !old.iter().all(|&id| self.holds(id)) {
            return false;
        }
        // A current fact with the merged value becomes part of it.
        old.extend(self.like(new));
        let merged: Vec<&Fact> = old.iter().map(|id| &self.facts[id].fact).collect();
        let Some(last) = merged.iter().map(|fact| fact.valid_from).max() else { return false };
        let citations = merged.iter().flat_map(|fact| fact.citations.iter().copied()).collect();
        for id in old {
            self.end(id, last);
        }
        self.learn(new, citations, last, None)
    }

    /// Ends a current fact, not before it began.
    fn end(&mut self, id: FactId, at: Timestamp) -> bool {
        if !self.holds(id) {
            return false;
        }
        if let Some(fact) = self.facts.get_mut(&id) {
            fact.fact.valid_to = Some(at.max(fact.fact.valid_from));
        }
        true
    }

    fn cite(&mut self, id: FactId, citations: BTreeSet<EpisodeId>) -> bool {
        let Some(fact) = self.facts.get_mut(&id) else { return false };
        let mut all: BTreeSet<EpisodeId> = fact.fact.citations.iter().copied().collect();
        let gained: Vec<EpisodeId> = citations.into_iter().filter(|&episode| all.insert(episode)).collect();
        fact.fact.citations = all.into_iter().collect();
        if id < self.first {
            self.cited.extend(gained.iter().map(|&episode| (id, episode)));
        }
        !gained.is_empty()
    }

    /// Adds a fact, unless all messages that it cites have been deleted.
    fn learn(
        &mut self,
        new: &NewFact,
        citations: BTreeSet<EpisodeId>,
        valid_from: Timestamp,
        valid_to: Option<Timestamp>,
    ) -> bool {
        if !Self::is_founded(new, &citations) {
            return false;
        }
        let after = |(last, _): (&FactId, _)| FactId::from_number(last.number() + 1);
        let id = self.facts.last_key_value().map_or(self.first, after).max(self.first);
        let fact = Fact {
            id,
            target: self.set.target.clone(),
            tag: new.tag.clone(),
            name: new.name.clone(),
            value: new.value.clone(),
            metadata: new.metadata.clone(),
            citations: citations.into_iter().collect(),
            valid_from,
            valid_to,
            learned_at: self.set.at,
            prompt: self.set.prompt.clone(),
            model: self.set.model.clone(),
        };
        self.facts.insert(id, EmbeddedFact { fact, vector: new.vector.clone() });
        self.added = Some(id);
        true
    }

    /// Whether a fact with these remaining citations may be stored.
    fn is_founded(new: &NewFact, citations: &BTreeSet<EpisodeId>) -> bool {
        new.citations.is_empty() || !citations.is_empty()
    }

    fn holds(&self, id: FactId) -> bool {
        self.facts.get(&id).is_some_and(|fact| fact.fact.valid_to.is_none())
    }

    /// The current fact with the same tag, name and value.
    fn like(&self, new: &NewFact) -> Option<FactId> {
        let same = |fact: &Fact| {
            fact.valid_to.is_none()
                && (&fact.tag, &fact.name, &fact.value) == (&new.tag, &new.name, &new.value)
        };
        self.facts.iter().find(|(_, fact)| same(&fact.fact)).map(|(id, _)| *id)
    }

    fn existing(&self, new: &NewFact) -> BTreeSet<EpisodeId> {
        new.citations.iter().copied().filter(|episode| self.stored.contains(episode)).collect()
    }

    fn changed(mut self, effects: usize) -> Changed {
        let learned = self.facts.split_off(&self.first).into_values().collect();
        let ended = self.facts.into_iter().filter_map(|(id, fact)| Some((id, fact.fact.valid_to?)));
        Changed {
            learned,
            cited: self.cited.into_iter().collect(),
            ended: ended.collect(),
            added: self.added,
            effects,
        }
    }
}
