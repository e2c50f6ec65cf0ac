//! What the tests of facts, of categories and of the learning queue share: messages to learn from, and facts.

use std::ops::Range;
use std::time::Duration;

use half::f16;
use memcloud_domain::{EpisodeId, Fact, FactId, FactSet, FactTarget, Metadata, Space};
use memcloud_ports::{
    Appended, ClaimedBatch, EmbeddedFact, FactsOf, NewFact, Revision, RevisionSet, Trigger,
};

use crate::Store;
use crate::samples::{batch, episode, minute};

pub(crate) const TRIGGER: Trigger = Trigger { messages: 20, age: Duration::from_mins(10) };
pub(crate) const LEASE: Duration = Duration::from_mins(5);
/// Long after every message of these tests.
pub const LATER: i64 = 1_000;

/// Stores messages, one a minute, from which facts about this owner are to be learned.
pub async fn store_messages(
    store: &Store,
    space: &Space,
    owner: &str,
    numbers: Range<i64>,
) -> Vec<EpisodeId> {
    let mut messages = batch(numbers.map(|n| episode(space, "s", n)).collect());
    for prepared in &mut messages.episodes {
        prepared.fact_targets = vec![profile(space, owner)];
    }
    let ids = messages.episodes.iter().map(|prepared| prepared.episode.id).collect();
    assert_eq!(store.episodes.append(messages).await.unwrap(), Appended::Stored);
    ids
}

/// Claims a batch that is due in this minute.
pub async fn claim(store: &Store, now: i64) -> Option<ClaimedBatch> {
    store.learning.claim(TRIGGER, minute(now), LEASE).await.unwrap()
}

/// The profile of this person.
pub(crate) fn profile(space: &Space, owner: &str) -> FactTarget {
    FactTarget { set: FactSet::about(space, owner), category: "profile".into() }
}

/// A fact about a pet that cites these messages.
pub fn pet(value: &str, since: i64, citations: &[EpisodeId]) -> NewFact {
    NewFact {
        tag: "Pets".into(),
        name: "cat".into(),
        value: value.into(),
        metadata: Metadata::new(),
        citations: citations.to_vec(),
        valid_from: minute(since),
        vector: Some([0.6, 0.8].map(f16::from_f32).to_vec()),
    }
}

pub(crate) fn revision_set(space: &Space, at: i64, revisions: Vec<Revision>) -> RevisionSet {
    let (prompt, model) = ("profile/1".into(), "a/model".into());
    RevisionSet { target: profile(space, "ann"), revisions, at: minute(at), prompt, model }
}

/// Revises the facts about ann, and returns how many revisions took effect.
pub async fn revise(store: &Store, space: &Space, at: i64, revisions: Vec<Revision>) -> usize {
    store.facts.revise(&revision_set(space, at, revisions)).await.unwrap()
}

/// Adds a fact about ann, and returns its id.
pub async fn add_fact(store: &Store, space: &Space, new: NewFact) -> FactId {
    assert_eq!(revise(store, space, LATER, vec![Revision::Add(new)]).await, 1);
    current_facts(store, space).await.last().unwrap().id
}

pub(crate) async fn read_facts(store: &Store, of: FactsOf) -> Vec<Fact> {
    store.facts.facts(&of).await.unwrap().into_iter().map(|fact| fact.fact).collect()
}

/// The current facts of a space.
pub async fn current_facts(store: &Store, space: &Space) -> Vec<Fact> {
    read_facts(store, FactsOf::space(space)).await
}

/// All facts of all spaces, current and past.
pub async fn all_facts(store: &Store) -> Vec<EmbeddedFact> {
    let mut all: Vec<EmbeddedFact> = Vec::new();
    loop {
        let after = all.last().map(|fact| fact.fact.id);
        let page = store.facts.all_facts(after, 2).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(crate) async fn fact(store: &Store, id: FactId) -> Fact {
    all_facts(store).await.into_iter().find(|fact| fact.fact.id == id).unwrap().fact
}

pub(crate) fn values(facts: &[Fact]) -> Vec<&str> {
    facts.iter().map(|fact| fact.value.as_str()).collect()
}
