//! Whatever is learned, what is known stays sound.

use std::collections::{BTreeMap, BTreeSet};

use memcloud_domain::{EpisodeId, Fact, FactId, Timestamp};
use memcloud_ports::{Deletion, NewFact, Revision};
use proptest::prelude::*;

use crate::Store;
use crate::episodes::{minute, space};
use crate::profile::{LATER, all, current, pet, revise, tell};

/// Something that happens to what is known.
#[derive(Clone, Debug)]
pub enum Study {
    /// Revisions that are learned together.
    Revise(Vec<Step>),
    /// A message is deleted.
    Forget(usize),
}

/// A revision, with facts and messages by their numbers.
#[derive(Clone, Debug)]
pub enum Step {
    /// One of nine facts, since a minute, told by some of the messages.
    Add(u8, i64, Vec<usize>),
    /// The same in the place of another.
    Replace(usize, u8, i64, Vec<usize>),
    /// A fact ends.
    Retire(usize, i64),
    /// Facts become one.
    Merge(Vec<usize>, u8),
}

const MESSAGES: usize = 6;

/// Any row of studies.
pub fn studies() -> impl Strategy<Value = Vec<Study>> {
    let told = || prop::collection::vec(0..MESSAGES, 1..4);
    let step = prop_oneof![
        4 => (0..9u8, 0..20i64, told()).prop_map(|(fact, since, told)| Step::Add(fact, since, told)),
        3 => (any::<usize>(), 0..9u8, 0..20i64, told())
            .prop_map(|(old, fact, since, told)| Step::Replace(old, fact, since, told)),
        1 => (any::<usize>(), 0..20i64).prop_map(|(old, at)| Step::Retire(old, at)),
        2 => (prop::collection::vec(any::<usize>(), 2..4), 0..9u8).prop_map(|(old, fact)| Step::Merge(old, fact)),
    ];
    let study = prop_oneof![
        6 => prop::collection::vec(step, 1..6).prop_map(Study::Revise),
        1 => (0..MESSAGES).prop_map(Study::Forget),
    ];
    prop::collection::vec(study, 1..12)
}

fn numbered(fact: u8, since: i64, citations: &[EpisodeId]) -> NewFact {
    let (tag, value) = ((fact / 3).to_string(), (fact % 3).to_string());
    NewFact { tag, value, ..pet("", since, citations) }
}

/// The revision that a step is, over the facts there are: current ones more often than past ones.
fn revision(step: &Step, known: &[Fact], ids: &[EpisodeId]) -> Revision {
    let current: Vec<FactId> = known.iter().filter(|f| f.valid_to.is_none()).map(|f| f.id).collect();
    let pick = |number: usize| match (number % 4, current.is_empty(), known.is_empty()) {
        (1.., false, _) => current[number / 4 % current.len()],
        (_, _, false) => known[number / 4 % known.len()].id,
        _ => FactId::from_number(1),
    };
    let told = |messages: &[usize]| messages.iter().map(|&message| ids[message]).collect::<Vec<EpisodeId>>();
    match step {
        Step::Add(fact, since, messages) => Revision::Add(numbered(*fact, *since, &told(messages))),
        Step::Replace(old, fact, since, messages) => {
            Revision::Replace { old: pick(*old), new: numbered(*fact, *since, &told(messages)) }
        }
        Step::Retire(old, at) => Revision::Retire { old: pick(*old), at: minute(*at) },
        Step::Merge(old, fact) => {
            let old = old.iter().map(|&old| pick(old)).collect();
            Revision::Merge { old, new: numbered(*fact, 99, &[]) }
        }
    }
}

/// Whatever is learned: no two current facts are equal, nothing ends before it began, and no fact is lost but with the last
/// of its messages.
pub async fn any_studies_keep_what_is_known(store: Store, studies: Vec<Study>) {
    let space = space("studies");
    let ids = tell(&store, &space, "ann", 0..MESSAGES as i64).await;
    let mut known: Vec<Fact> = Vec::new();
    let mut gone = BTreeSet::new();
    for study in studies {
        match study {
            Study::Revise(steps) => {
                let revisions = steps.iter().map(|step| revision(step, &known, &ids)).collect();
                revise(&store, &space, LATER, revisions).await;
            }
            Study::Forget(message) => {
                gone.insert(ids[message]);
                store.episodes.delete(&space, Deletion::Episodes(vec![ids[message]])).await.unwrap();
            }
        }
        let now: Vec<Fact> = all(&store).await.into_iter().map(|fact| fact.fact).collect();
        sound(&now, &gone);
        kept(&known, &now, &gone);
        let held: Vec<Fact> = now.iter().filter(|fact| fact.valid_to.is_none()).cloned().collect();
        assert_eq!(current(&store, &space).await, held);
        known = now;
    }
}

/// What is true of all facts at any time.
fn sound(facts: &[Fact], gone: &BTreeSet<EpisodeId>) {
    let mut said = BTreeSet::new();
    for fact in facts {
        assert!(fact.valid_to.is_none_or(|end| end >= fact.valid_from), "{fact:?}");
        assert!(
            !fact.citations.is_empty() && fact.citations.iter().all(|told| !gone.contains(told)),
            "{fact:?}"
        );
        let new = fact.valid_to.is_some() || said.insert((&fact.tag, &fact.name, &fact.value));
        assert!(new, "twice: {fact:?}");
    }
}

/// What was known is known still, but for what rested on messages that are gone.
fn kept(before: &[Fact], now: &[Fact], gone: &BTreeSet<EpisodeId>) {
    let now: BTreeMap<FactId, &Fact> = now.iter().map(|fact| (fact.id, fact)).collect();
    for old in before {
        let told: Vec<&EpisodeId> = old.citations.iter().filter(|told| !gone.contains(told)).collect();
        let Some(fact) = now.get(&old.id) else {
            assert!(told.is_empty(), "lost: {old:?}");
            continue;
        };
        assert!(told.iter().all(|told| fact.citations.contains(told)), "{old:?} {fact:?}");
        assert!(old.valid_to.is_none() || old.valid_to == fact.valid_to, "{old:?} {fact:?}");
        let same = |fact: &Fact| -> (String, String, Timestamp) {
            (fact.tag.clone(), fact.value.clone(), fact.valid_from)
        };
        assert_eq!(same(old), same(fact));
    }
}
