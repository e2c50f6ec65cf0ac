//! Any revisions keep facts consistent.
//!
//! How revisions change facts is one function for all engines. So this runs on the engine in memory, and the
//! [oracle](crate::oracle) shows that every other engine does the same.

use std::collections::{BTreeMap, BTreeSet};

use memcloud_domain::{EpisodeId, Fact, FactId, Timestamp};
use memcloud_ports::{NewFact, Revision};
use proptest::prelude::*;

use crate::Store;
use crate::learned::{LATER, all_facts, current_facts, pet, revise, store_messages};
use crate::samples::{minute, space};

/// An operation on facts.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Revisions that are learned together.
    Revise(Vec<Step>),
    /// A message is deleted.
    Delete(usize),
}

/// A revision, with facts and messages by their numbers.
#[derive(Clone, Debug)]
pub enum Step {
    /// One of nine facts, since a minute, with citations of some of the messages.
    Add(u8, i64, Vec<usize>),
    /// The same in the place of another.
    Replace(usize, u8, i64, Vec<usize>),
    /// A fact ends.
    Retire(usize, i64),
    /// Facts become one.
    Merge(Vec<usize>, u8),
}

const MESSAGES: usize = 6;

/// Any steps.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cited = || prop::collection::vec(0..MESSAGES, 1..4);
    let step = prop_oneof![
        4 => (0..9u8, 0..20i64, cited()).prop_map(|(fact, since, cited)| Step::Add(fact, since, cited)),
        3 => (any::<usize>(), 0..9u8, 0..20i64, cited())
            .prop_map(|(old, fact, since, cited)| Step::Replace(old, fact, since, cited)),
        1 => (any::<usize>(), 0..20i64).prop_map(|(old, at)| Step::Retire(old, at)),
        2 => (prop::collection::vec(any::<usize>(), 2..4), 0..9u8).prop_map(|(old, fact)| Step::Merge(old, fact)),
    ];
    prop::collection::vec(step, 1..6)
}

/// Any history of operations on facts.
pub fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        6 => steps().prop_map(Operation::Revise),
        1 => (0..MESSAGES).prop_map(Operation::Delete),
    ];
    prop::collection::vec(operation, 1..12)
}

pub(crate) fn numbered(fact: u8, since: i64, citations: &[EpisodeId]) -> NewFact {
    let (tag, value) = ((fact / 3).to_string(), (fact % 3).to_string());
    NewFact { tag, value, ..pet("", since, citations) }
}

/// The revision of a step, given the known facts. It is about current facts more often than about past ones.
pub(crate) fn revision(step: &Step, known: &[Fact], ids: &[EpisodeId]) -> Revision {
    let current: Vec<FactId> = known.iter().filter(|f| f.valid_to.is_none()).map(|f| f.id).collect();
    let pick = |number: usize| match (number % 4, current.is_empty(), known.is_empty()) {
        (1.., false, _) => current[number / 4 % current.len()],
        (_, _, false) => known[number / 4 % known.len()].id,
        _ => FactId::from_number(1),
    };
    let cited = |messages: &[usize]| messages.iter().map(|&n| ids[n % ids.len()]).collect::<Vec<EpisodeId>>();
    match step {
        Step::Add(fact, since, messages) => Revision::Add(numbered(*fact, *since, &cited(messages))),
        Step::Replace(old, fact, since, messages) => {
            Revision::Replace { old: pick(*old), new: numbered(*fact, *since, &cited(messages)) }
        }
        Step::Retire(old, at) => Revision::Retire { old: pick(*old), at: minute(*at) },
        Step::Merge(old, fact) => {
            let old = old.iter().map(|&old| pick(old)).collect();
            Revision::Merge { old, new: numbered(*fact, 99, &[]) }
        }
    }
}

/// After any operations: no two current facts are equal, no fact ends before it begins, and a fact is gone only if all
/// its messages are.
pub async fn any_revisions_keep_facts_consistent(store: Store, operations: Vec<Operation>) {
    let space = space("revisions");
    let ids = store_messages(&store, &space, "ann", 0..MESSAGES as i64).await;
    let mut known: Vec<Fact> = Vec::new();
    let mut deleted = BTreeSet::new();
    for operation in operations {
        match operation {
            Operation::Revise(steps) => {
                let revisions = steps.iter().map(|step| revision(step, &known, &ids)).collect();
                revise(&store, &space, LATER, revisions).await;
            }
            Operation::Delete(message) => {
                deleted.insert(ids[message]);
                store.episodes.delete(&space, &[ids[message]]).await.unwrap();
            }
        }
        let now: Vec<Fact> = all_facts(&store).await.into_iter().map(|fact| fact.fact).collect();
        assert_consistent(&now, &deleted);
        assert_kept(&known, &now, &deleted);
        let current: Vec<Fact> = now.iter().filter(|fact| fact.valid_to.is_none()).cloned().collect();
        assert_eq!(current_facts(&store, &space).await, current);
        known = now;
    }
}

/// What holds for all facts at any time.
fn assert_consistent(facts: &[Fact], deleted: &BTreeSet<EpisodeId>) {
    let mut current = BTreeSet::new();
    for fact in facts {
        assert!(fact.valid_to.is_none_or(|end| end >= fact.valid_from), "{fact:?}");
        assert!(
            !fact.citations.is_empty() && fact.citations.iter().all(|cited| !deleted.contains(cited)),
            "{fact:?}"
        );
        let new = fact.valid_to.is_some() || current.insert((&fact.tag, &fact.name, &fact.value));
        assert!(new, "twice: {fact:?}");
    }
}

/// Facts are unchanged, except for citations of deleted messages.
fn assert_kept(before: &[Fact], now: &[Fact], deleted: &BTreeSet<EpisodeId>) {
    let now: BTreeMap<FactId, &Fact> = now.iter().map(|fact| (fact.id, fact)).collect();
    for old in before {
        let left: Vec<&EpisodeId> = old.citations.iter().filter(|cited| !deleted.contains(cited)).collect();
        let Some(fact) = now.get(&old.id) else {
            assert!(left.is_empty(), "lost: {old:?}");
            continue;
        };
        assert!(left.iter().all(|cited| fact.citations.contains(cited)), "{old:?} {fact:?}");
        assert!(old.valid_to.is_none() || old.valid_to == fact.valid_to, "{old:?} {fact:?}");
        let content = |fact: &Fact| -> (String, String, Timestamp) {
            (fact.tag.clone(), fact.value.clone(), fact.valid_from)
        };
        assert_eq!(content(old), content(fact));
    }
}
