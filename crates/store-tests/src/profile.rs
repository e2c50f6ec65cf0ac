//! What every engine must do with what is learned.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use half::f16;
use memcloud_domain::{EpisodeId, Error, Fact, FactId, ProfileKey, Space};
use memcloud_ports::{
    Appended, Budget, Charge, ClaimedBatch, Deletion, EmbeddedFact, FactTarget, FactsOf, Idempotency,
    NewFact, Outcome, Revision, RevisionSet, Span, Trigger, Usage,
};

use crate::Store;
use crate::episodes::{batch, episode, minute, space};

/// Runs everything on stores that `fresh` makes, each empty and of its own.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    a_message_is_queued_with_what_it_is_stored_with(fresh().await).await;
    enough_messages_or_old_ones_are_taken_on(fresh().await).await;
    those_that_fail_go_together_less_and_less(fresh().await).await;
    one_learner_at_a_time(fresh().await).await;
    what_is_interrupted_goes_on_under_its_name(fresh().await).await;
    learners_at_once_take_on_each_subject_once(fresh().await).await;
    what_is_postponed_has_not_failed(fresh().await).await;
    what_is_parked_waits_for_a_word(fresh().await).await;
    facts_are_added_and_gain_citations(fresh().await).await;
    facts_are_replaced_and_retired(fresh().await).await;
    facts_are_merged(fresh().await).await;
    facts_are_read_by_owner_category_and_time(fresh().await).await;
    deleted_messages_take_along_what_rests_on_them(fresh().await).await;
    what_nothing_tells_any_more_is_not_learned(fresh().await).await;
    spaces_learn_apart(fresh().await).await;
    a_budget_is_never_passed(fresh().await).await;
    uses_are_counted_and_corrected(fresh().await).await;
    what_is_learned_moves(fresh().await, fresh().await).await;
}

const TRIGGER: Trigger = Trigger { messages: 20, age: Duration::from_mins(10) };
const LEASE: Duration = Duration::from_mins(5);
/// Long after all that these tests store.
pub const LATER: i64 = 1_000;

fn subject(space: &Space, owner: &str) -> ProfileKey {
    ProfileKey { space: space.clone(), owner: owner.into(), category: "profile".into() }
}

/// Stores messages, one a minute, that something is to be learned from about this owner.
pub async fn tell(store: &Store, space: &Space, owner: &str, numbers: Range<i64>) -> Vec<EpisodeId> {
    let mut told = batch(numbers.map(|n| episode(space, "s", n)).collect());
    for prepared in &mut told.episodes {
        prepared.lessons = vec![FactTarget { owner: owner.into(), category: "profile".into() }];
    }
    let ids = told.episodes.iter().map(|prepared| prepared.episode.id).collect();
    assert_eq!(store.episodes.append(told).await.unwrap(), Appended::Stored);
    ids
}

/// Takes on what is due then.
pub async fn claim(store: &Store, now: i64) -> Option<ClaimedBatch> {
    store.learning.claim(TRIGGER, minute(now), LEASE).await.unwrap()
}

/// A fact about a pet, told by these messages.
pub fn pet(value: &str, since: i64, citations: &[EpisodeId]) -> NewFact {
    NewFact {
        tag: "Pets".into(),
        name: "cat".into(),
        value: value.into(),
        citations: citations.to_vec(),
        valid_from: minute(since),
        vector: Some([0.6, 0.8].map(f16::from_f32).to_vec()),
    }
}

fn lessons(space: &Space, at: i64, revisions: Vec<Revision>) -> RevisionSet {
    let (prompt, model) = ("profile/1".into(), "a/model".into());
    RevisionSet { subject: subject(space, "ann"), revisions, at: minute(at), prompt, model }
}

/// Changes what is known about ann.
pub async fn revise(store: &Store, space: &Space, at: i64, revisions: Vec<Revision>) -> usize {
    store.facts.revise(&lessons(space, at, revisions)).await.unwrap()
}

/// Adds a fact about ann, and answers its id.
pub async fn add(store: &Store, space: &Space, new: NewFact) -> FactId {
    assert_eq!(revise(store, space, LATER, vec![Revision::Add(new)]).await, 1);
    current(store, space).await.last().unwrap().id
}

fn of(space: &Space) -> FactsOf {
    FactsOf { space: space.clone(), owners: None, category: None, as_of: None }
}

async fn read(store: &Store, of: FactsOf) -> Vec<Fact> {
    store.facts.facts(&of).await.unwrap().into_iter().map(|fact| fact.fact).collect()
}

/// The facts of a space that hold.
pub async fn current(store: &Store, space: &Space) -> Vec<Fact> {
    read(store, of(space)).await
}

/// Every fact there is.
pub async fn all(store: &Store) -> Vec<EmbeddedFact> {
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

async fn learned(store: &Store, id: FactId) -> Fact {
    all(store).await.into_iter().find(|fact| fact.fact.id == id).unwrap().fact
}

fn values(facts: &[Fact]) -> Vec<&str> {
    facts.iter().map(|fact| fact.value.as_str()).collect()
}

/// What is stored waits at once; what is not stored does not, and a request that comes again waits once.
pub async fn a_message_is_queued_with_what_it_is_stored_with(store: Store) {
    let space = space("queued");
    let idempotency = |request| Some(Idempotency { key: [1; 32], request: [request; 32] });
    let told = |n: i64, request| {
        let mut told = batch((n..n + 3).map(|n| episode(&space, "s", n)).collect());
        told.idempotency = idempotency(request);
        for owner in ["ann", "bob"] {
            let lesson = FactTarget { owner: owner.into(), category: "profile".into() };
            told.episodes[1].lessons.push(lesson.clone());
            told.episodes[2].lessons.push(lesson);
        }
        told
    };
    assert_eq!(store.learning.waiting(None).await.unwrap().since, None);
    assert_eq!(store.episodes.append(told(0, 1)).await.unwrap(), Appended::Stored);
    assert!(matches!(store.episodes.append(told(10, 1)).await.unwrap(), Appended::Repeated(_)));
    assert!(matches!(store.episodes.append(told(20, 2)).await, Err(Error::IdempotencyConflict)));
    for of in [None, Some(&space)] {
        let waiting = store.learning.waiting(of).await.unwrap();
        assert_eq!((waiting.waiting, waiting.parked), (4, 0), "once for each subject");
        assert_eq!(waiting.since, Some(minute(2)), "since it was stored");
    }
    let elsewhere = crate::space("elsewhere");
    assert_eq!(store.learning.waiting(Some(&elsewhere)).await.unwrap().waiting, 0);
    let taken: Vec<ClaimedBatch> =
        [claim(&store, LATER).await, claim(&store, LATER).await].map(Option::unwrap).into();
    let owners: BTreeSet<&str> = taken.iter().map(|assignment| assignment.subject.owner.as_str()).collect();
    assert_eq!(owners.into_iter().collect::<Vec<_>>(), ["ann", "bob"]);
    assert!(taken.iter().all(|assignment| assignment.episodes.len() == 2));
}

/// A subject is due when enough messages wait, or when the first has waited long enough; who waits longest goes first.
pub async fn enough_messages_or_old_ones_are_taken_on(store: Store) {
    let space = space("due");
    let ids = tell(&store, &space, "ann", 0..19).await;
    assert_eq!(claim(&store, 10).await, None, "nineteen, of which the first has waited nine minutes");
    let others = tell(&store, &space, "bob", 100..120).await;
    let taken = store.learning.claim(TRIGGER, minute(10), LEASE).await.unwrap();
    assert_eq!(taken, None, "what is stored later is not due yet");
    let taken = claim(&store, 11).await.unwrap();
    assert_eq!(
        (&taken.subject, taken.attempt),
        (&subject(&space, "ann"), 1),
        "the first has waited ten minutes"
    );
    assert_eq!(taken.episodes, ids[..11], "all that had been stored by then, in their order");
    let many = claim(&store, 120).await.unwrap();
    assert_eq!(many.subject, subject(&space, "ann"), "the lease has ended, and who waits longest goes first");
    let next = claim(&store, 120).await.unwrap();
    assert_eq!((next.subject, next.episodes), (subject(&space, "bob"), others), "enough of them");
}

/// The more often messages have failed, the fewer go together: twenty, five, one.
pub async fn those_that_fail_go_together_less_and_less(store: Store) {
    let space = space("failing");
    let ids = tell(&store, &space, "ann", 0..20).await;
    let fail = async |now: i64, attempt: u32, expected: &[EpisodeId]| {
        let taken = claim(&store, now).await.unwrap();
        assert_eq!((taken.attempt, taken.episodes.as_slice()), (attempt, expected));
        store.learning.put_back(&taken, &Outcome::Failed(minute(now + 100))).await.unwrap();
    };
    fail(100, 1, &ids).await;
    assert_eq!(claim(&store, 199).await, None, "they wait until then");
    for group in ids.chunks(5) {
        fail(200, 2, group).await;
    }
    assert_eq!(claim(&store, 299).await, None);
    for one in &ids {
        fail(300, 3, std::slice::from_ref(one)).await;
    }
    fail(400, 4, &ids[..1]).await;
    // What is new does not go with what has failed.
    let new = tell(&store, &space, "ann", 380..381).await;
    let again = claim(&store, 400).await.unwrap();
    assert_eq!(again.episodes, ids[1..2]);
    store.learning.put_back(&again, &Outcome::Failed(minute(LATER))).await.unwrap();
    assert_eq!(store.learning.waiting(None).await.unwrap().waiting, 21);
    for id in &ids[2..] {
        let taken = claim(&store, 400).await.unwrap();
        assert_eq!(&taken.episodes, &[*id]);
        store.learning.put_back(&taken, &Outcome::Failed(minute(LATER))).await.unwrap();
    }
    assert_eq!(claim(&store, 400).await.unwrap().episodes, new);
}

/// A subject that is leased is nobody else's until the lease ends; who lost it changes nothing.
pub async fn one_learner_at_a_time(store: Store) {
    let space = space("leased");
    let ids = tell(&store, &space, "ann", 0..20).await;
    let learned = || lessons(&space, LATER, vec![Revision::Add(pet("Tom", 0, &ids[..1]))]);
    let slow = claim(&store, 100).await.unwrap();
    assert_eq!(claim(&store, 104).await, None, "somebody is at it");
    let second = claim(&store, 105).await.unwrap();
    assert_eq!((second.attempt, second.episodes.len()), (2, 20), "an attempt without an end counts");
    assert_eq!(slow.call, second.call, "it is the same call");
    assert_ne!(slow.lease, second.lease);
    assert!(!store.learning.learn(&slow, &learned()).await.unwrap(), "its lease is lost");
    store.learning.put_back(&slow, &Outcome::Parked("lost".into())).await.unwrap();
    assert_eq!(store.learning.waiting(None).await.unwrap().parked, 0);
    assert!(current(&store, &space).await.is_empty());
    // Late, but nobody has had a turn since.
    assert!(store.learning.learn(&second, &learned()).await.unwrap());
    assert_eq!(values(&current(&store, &space).await), ["Tom"]);
    assert_eq!(store.learning.waiting(None).await.unwrap().waiting, 0, "all are done");
    assert!(!store.learning.learn(&second, &learned()).await.unwrap(), "once is enough");
    let ids = tell(&store, &space, "ann", 20..40).await;
    let third = claim(&store, 105).await.unwrap();
    assert_eq!(third.episodes, ids);
    assert_ne!(second.call, third.call);
    assert_eq!(claim(&store, 105).await, None);
    store.learning.end_leases().await.unwrap();
    assert!(!store.learning.learn(&third, &learned()).await.unwrap());
    tell(&store, &space, "ann", 40..45).await;
    let fourth = claim(&store, 105).await.unwrap();
    assert_eq!((fourth.attempt, &fourth.episodes), (2, &third.episodes), "all leases have ended");
    assert_eq!(third.call, fourth.call, "what nobody ended goes first, as it was");
    store.learning.put_back(&fourth, &Outcome::Failed(minute(105))).await.unwrap();
    let fifth = claim(&store, 105).await.unwrap();
    assert_eq!((fifth.attempt, fifth.episodes.as_slice()), (3, &ids[..1]));
    assert_ne!(fourth.call, fifth.call, "it ended");
}

/// What somebody stopped has not failed, and is the same call when it is made again, whatever the trigger says.
pub async fn what_is_interrupted_goes_on_under_its_name(store: Store) {
    let space = space("interrupted");
    tell(&store, &space, "ann", 0..20).await;
    let first = claim(&store, 100).await.unwrap();
    store.learning.put_back(&first, &Outcome::Interrupted).await.unwrap();
    let second = claim(&store, 100).await.unwrap();
    assert_eq!((second.call, second.attempt, &second.episodes), (first.call, 1, &first.episodes));
    store.learning.put_back(&second, &Outcome::Retry(minute(100))).await.unwrap();
    let third = claim(&store, 100).await.unwrap();
    assert_ne!(third.call, first.call, "that one ended");
}

/// Many that ask at once share the subjects out among them.
pub async fn learners_at_once_take_on_each_subject_once(store: Store) {
    let space = space("shared");
    for (n, owner) in (0..).zip(["ann", "bob", "cleo", "dan", "eve"]) {
        tell(&store, &space, owner, n * 10..n * 10 + 2).await;
    }
    let learners: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut owners = Vec::new();
                while let Some(taken) = claim(&store, LATER).await {
                    owners.push(taken.subject.owner);
                }
                owners
            })
        })
        .collect();
    let mut owners = Vec::new();
    for learner in learners {
        owners.extend(learner.await.unwrap());
    }
    owners.sort_unstable();
    assert_eq!(owners, ["ann", "bob", "cleo", "dan", "eve"]);
}

/// Messages that are put back for a reason of no theirs are as if they had not been tried.
pub async fn what_is_postponed_has_not_failed(store: Store) {
    let space = space("postponed");
    let ids = tell(&store, &space, "ann", 0..20).await;
    for now in [100, 200, 300] {
        let taken = claim(&store, now).await.unwrap();
        assert_eq!((taken.attempt, taken.episodes.as_slice()), (1, ids.as_slice()));
        store.learning.put_back(&taken, &Outcome::Retry(minute(now + 100))).await.unwrap();
        assert_eq!(claim(&store, now + 99).await, None);
    }
}

/// A message that is parked is listed with its reason, and tried again when somebody says so.
pub async fn what_is_parked_waits_for_a_word(store: Store) {
    let space = space("parked");
    let ids = tell(&store, &space, "ann", 0..2).await;
    let taken = claim(&store, 100).await.unwrap();
    store.learning.put_back(&taken, &Outcome::Parked("the model answers nonsense".into())).await.unwrap();
    assert_eq!(claim(&store, LATER).await, None);
    let waiting = store.learning.waiting(Some(&space)).await.unwrap();
    assert_eq!((waiting.waiting, waiting.since, waiting.parked), (0, None, 2));
    let parked = store.learning.parked(Some(&space), 10).await.unwrap();
    let told: Vec<_> = parked.iter().map(|p| (p.episode, p.attempts, p.reason.as_str())).collect();
    assert_eq!(told, [(ids[0], 1, "the model answers nonsense"), (ids[1], 1, "the model answers nonsense")]);
    assert_eq!(parked[0].subject, subject(&space, "ann"));
    assert_eq!(store.learning.parked(None, 1).await.unwrap(), parked[..1]);
    let elsewhere = crate::space("elsewhere");
    assert!(store.learning.parked(Some(&elsewhere), 10).await.unwrap().is_empty());
    assert_eq!(store.learning.unpark(Some(&elsewhere)).await.unwrap(), 0);
    assert_eq!(store.learning.unpark(Some(&space)).await.unwrap(), 2);
    let again = claim(&store, LATER).await.unwrap();
    assert_eq!((again.attempt, again.episodes.as_slice()), (1, ids.as_slice()), "anew");
    store.learning.put_back(&again, &Outcome::Parked("again".into())).await.unwrap();
    assert_eq!(store.learning.unpark(None).await.unwrap(), 2);
}

/// A fact comes back as it was given; the same once more only gains citations.
pub async fn facts_are_added_and_gain_citations(store: Store) {
    let space = space("added");
    let ids = tell(&store, &space, "ann", 0..20).await;
    let taken = claim(&store, 100).await.unwrap();
    let twice = vec![Revision::Add(pet("Tom", 3, &ids[3..4])), Revision::Add(pet("Tom", 9, &ids[..1]))];
    assert!(store.learning.learn(&taken, &lessons(&space, 100, twice)).await.unwrap());
    assert_eq!(store.learning.waiting(None).await.unwrap().waiting, 0);
    let facts = store.facts.facts(&of(&space)).await.unwrap();
    assert_eq!(facts.len(), 1);
    let expected = Fact {
        id: FactId::from_number(minute(100).as_micros()),
        subject: subject(&space, "ann"),
        tag: "Pets".into(),
        name: "cat".into(),
        value: "Tom".into(),
        citations: vec![ids[0], ids[3]],
        valid_from: minute(3),
        valid_to: None,
        learned_at: minute(100),
        prompt: "profile/1".into(),
        model: "a/model".into(),
    };
    assert_eq!(facts[0].fact, expected);
    assert_eq!(facts[0].vector, Some([0.6, 0.8].map(f16::from_f32).to_vec()));
    let again = |ids: &[EpisodeId]| vec![Revision::Add(NewFact { vector: None, ..pet("Tom", 9, ids) })];
    assert_eq!(revise(&store, &space, 101, again(&ids[5..6])).await, 1);
    assert_eq!(revise(&store, &space, 101, again(&ids[5..6])).await, 0, "nothing new");
    let citations = vec![ids[0], ids[3], ids[5]];
    assert_eq!(current(&store, &space).await, [Fact { citations, ..expected }]);
    let others = NewFact { vector: None, ..pet("Mia", 4, &ids[4..5]) };
    // The clock stands still, or was set back: ids grow all the same.
    assert_eq!(revise(&store, &space, 100, vec![Revision::Add(others)]).await, 1);
    let facts = store.facts.facts(&of(&space)).await.unwrap();
    assert_eq!(facts[1].fact.id.number(), facts[0].fact.id.number() + 1);
    assert_eq!(facts[1].vector, None);
}

/// A replaced fact held until the new one began, and neither is lost.
pub async fn facts_are_replaced_and_retired(store: Store) {
    let space = space("replaced");
    let ids = tell(&store, &space, "ann", 0..20).await;
    let replace = |old, new| vec![Revision::Replace { old, new }];
    let tom = add(&store, &space, pet("Tom", 5, &ids[5..6])).await;
    assert_eq!(revise(&store, &space, LATER, replace(tom, pet("Mia", 9, &ids[9..10]))).await, 1);
    assert_eq!(learned(&store, tom).await.valid_to, Some(minute(9)));
    let mia = current(&store, &space).await[0].clone();
    assert_eq!((mia.value.as_str(), mia.valid_from), ("Mia", minute(9)));
    // An older message that is learned from later tells what held before, and ends nothing.
    assert_eq!(revise(&store, &space, LATER, replace(mia.id, pet("Leo", 7, &ids[7..8]))).await, 1);
    assert_eq!(learned(&store, mia.id).await.valid_to, None);
    let leo = all(&store).await.pop().unwrap().fact;
    assert_eq!(
        (leo.value.as_str(), leo.valid_from, leo.valid_to),
        ("Leo", minute(7), Some(minute(9))),
        "until the one that holds began"
    );
    // One that is no longer current is added to.
    assert_eq!(revise(&store, &space, LATER, replace(tom, pet("Zoe", 11, &ids[11..12]))).await, 1);
    assert_eq!(values(&current(&store, &space).await), ["Mia", "Zoe"]);
    assert_eq!(learned(&store, tom).await.valid_to, Some(minute(9)), "what ended stays ended");
    // By itself it only gains citations; by one that is there already, that one does.
    let [mia, zoe] = current(&store, &space).await.try_into().unwrap();
    assert_eq!(revise(&store, &space, LATER, replace(mia.id, pet("Mia", 12, &ids[12..13]))).await, 1);
    assert_eq!(learned(&store, mia.id).await.citations, [ids[9], ids[12]]);
    assert_eq!(revise(&store, &space, LATER, replace(mia.id, pet("Zoe", 13, &ids[13..14]))).await, 1);
    let left = current(&store, &space).await;
    assert_eq!((left.len(), left[0].id, left[0].citations.as_slice()), (1, zoe.id, &[ids[11], ids[13]][..]));
    let retire = |at| vec![Revision::Retire { old: zoe.id, at: minute(at) }];
    assert_eq!(revise(&store, &space, LATER, retire(4)).await, 1);
    assert_eq!(learned(&store, zoe.id).await.valid_to, Some(minute(11)), "not before it began");
    assert_eq!(revise(&store, &space, LATER, retire(20)).await, 0, "it does not hold any more");
    assert!(current(&store, &space).await.is_empty());
    assert_eq!(all(&store).await.len(), 4, "nothing is lost");
}

/// Facts that become one hand over their citations; all of them must hold and be about the subject.
pub async fn facts_are_merged(store: Store) {
    let space = space("merged");
    let ids = tell(&store, &space, "ann", 0..20).await;
    let tom = add(&store, &space, pet("Tom", 3, &ids[3..5])).await;
    let tomcat = add(&store, &space, pet("Tom the cat", 8, &ids[4..6])).await;
    let gone = add(&store, &space, pet("Mia", 1, &ids[1..2])).await;
    revise(&store, &space, LATER, vec![Revision::Retire { old: gone, at: minute(2) }]).await;
    let bobs = RevisionSet {
        subject: subject(&space, "bob"),
        ..lessons(&space, LATER, vec![Revision::Add(pet("Rex", 1, &ids[1..2]))])
    };
    store.facts.revise(&bobs).await.unwrap();
    let bobs = current(&store, &space).await.last().unwrap().id;
    let merge = |old: &[FactId]| vec![Revision::Merge { old: old.to_vec(), new: pet("A cat, Tom", 99, &[]) }];
    let unknown = FactId::from_number(1);
    for impossible in [&[][..], &[tom], &[tom, tom], &[tom, gone], &[tom, bobs], &[tom, tomcat, unknown]] {
        assert_eq!(revise(&store, &space, LATER, merge(impossible)).await, 0, "{impossible:?}");
    }
    assert_eq!(revise(&store, &space, LATER, merge(&[tomcat, tom])).await, 1);
    let merged = current(&store, &space).await.last().unwrap().clone();
    assert_eq!((merged.value.as_str(), merged.valid_from, merged.valid_to), ("A cat, Tom", minute(8), None));
    assert_eq!(merged.citations, ids[3..6]);
    for old in [tom, tomcat] {
        assert_eq!(learned(&store, old).await.valid_to, Some(minute(8)), "when the last of them began");
    }
    // One that says the same as the outcome is part of it.
    let mia = add(&store, &space, pet("Mia", 2, &ids[2..3])).await;
    let leo = add(&store, &space, pet("Leo", 2, &ids[9..10])).await;
    assert_eq!(revise(&store, &space, LATER, merge(&[mia, leo])).await, 1);
    let told: Vec<Fact> =
        current(&store, &space).await.into_iter().filter(|fact| fact.subject.owner == "ann").collect();
    assert_eq!(values(&told), ["A cat, Tom"]);
    assert_eq!(told[0].citations, [&ids[2..6], &ids[9..10]].concat());
    assert_eq!(all(&store).await.len(), 8);
}

/// What held at a time is read as of that time.
pub async fn facts_are_read_by_owner_category_and_time(store: Store) {
    let space = space("as-of");
    let ids = tell(&store, &space, "ann", 0..20).await;
    let tom = add(&store, &space, pet("Tom", 5, &ids[5..6])).await;
    revise(&store, &space, LATER, vec![Revision::Replace { old: tom, new: pet("Mia", 9, &ids[9..10]) }])
        .await;
    for (owner, category) in [("bob", "profile"), ("bob", "work")] {
        let subject = ProfileKey { category: category.into(), ..subject(&space, owner) };
        let revisions = vec![Revision::Add(pet(category, 7, &ids[7..8]))];
        store.facts.revise(&RevisionSet { subject, ..lessons(&space, LATER, revisions) }).await.unwrap();
    }
    let values = async |of: FactsOf| -> Vec<String> {
        read(&store, of).await.into_iter().map(|fact| fact.value).collect()
    };
    let as_of = |at| FactsOf { as_of: Some(minute(at)), ..of(&space) };
    assert_eq!(
        values(of(&space)).await,
        ["Mia", "profile", "work"],
        "in the order in which they were learned"
    );
    assert_eq!(values(as_of(4)).await, Vec::<String>::new());
    assert_eq!(values(as_of(5)).await, ["Tom"]);
    assert_eq!(values(as_of(8)).await, ["Tom", "profile", "work"]);
    assert_eq!(values(as_of(9)).await, ["Mia", "profile", "work"]);
    let owners = |owners: &[&str]| {
        let owners = owners.iter().map(|&owner| owner.to_owned()).collect();
        FactsOf { owners: Some(owners), ..of(&space) }
    };
    assert_eq!(values(owners(&["ann"])).await, ["Mia"]);
    assert_eq!(values(owners(&["ann", "bob", "cleo"])).await.len(), 3);
    assert_eq!(values(owners(&[])).await, Vec::<String>::new());
    let category = |category: &str| FactsOf { category: Some(category.into()), ..owners(&["bob"]) };
    assert_eq!(values(category("work")).await, ["work"]);
    assert_eq!(values(FactsOf { as_of: Some(minute(6)), ..category("work") }).await, Vec::<String>::new());
}

/// A deleted message leaves the queue and all citations, and takes along the facts, past ones too, that rest on it alone.
pub async fn deleted_messages_take_along_what_rests_on_them(store: Store) {
    let space = space("forgotten");
    let ids = tell(&store, &space, "ann", 0..20).await;
    let alone = add(&store, &space, pet("Tom", 5, &ids[5..6])).await;
    let shared = add(&store, &space, pet("Mia", 6, &ids[5..7])).await;
    let past = add(&store, &space, pet("Leo", 7, &[ids[5], ids[8]])).await;
    revise(&store, &space, LATER, vec![Revision::Retire { old: past, at: minute(9) }]).await;
    let taken = claim(&store, 100).await.unwrap();
    let gone = Deletion::Episodes(vec![ids[5]]);
    assert_eq!(store.episodes.delete(&crate::space("elsewhere"), gone.clone()).await.unwrap(), 0);
    assert_eq!(all(&store).await.len(), 3);
    assert_eq!(store.episodes.delete(&space, gone).await.unwrap(), 1);
    let told: Vec<_> = all(&store).await.into_iter().map(|f| (f.fact.id, f.fact.citations)).collect();
    assert_eq!(told, [(shared, vec![ids[6]]), (past, vec![ids[8]])], "{alone} is gone");
    assert_eq!(store.learning.waiting(None).await.unwrap().waiting, 19);
    // It was taken on when it was there.
    store.learning.put_back(&taken, &Outcome::Failed(minute(200))).await.unwrap();
    let first = claim(&store, 200).await.unwrap();
    assert_eq!(first.episodes, ids[..5]);
    store.learning.put_back(&first, &Outcome::Failed(minute(LATER))).await.unwrap();
    assert_eq!(claim(&store, 200).await.unwrap().episodes, ids[6..11]);
    assert_eq!(store.episodes.delete(&space, Deletion::Session("s".into())).await.unwrap(), 19);
    assert!(all(&store).await.is_empty());
    let waiting = store.learning.waiting(None).await.unwrap();
    assert_eq!((waiting.waiting, waiting.parked, waiting.since), (0, 0, None));
    assert_eq!(claim(&store, LATER).await, None);
}

/// Messages that are gone by the time something is learned from them tell nothing; a fact can be deleted by itself.
pub async fn what_nothing_tells_any_more_is_not_learned(store: Store) {
    let space = space("gone");
    let ids = tell(&store, &space, "ann", 0..20).await;
    let foreign = tell(&store, &crate::space("foreign"), "ann", 30..31).await;
    let tom = add(&store, &space, pet("Tom", 1, &ids[1..2])).await;
    let taken = claim(&store, 100).await.unwrap();
    store.episodes.delete(&space, Deletion::Episodes(vec![ids[2], ids[3]])).await.unwrap();
    let learned = vec![
        Revision::Add(pet("Mia", 2, &ids[2..4])),
        Revision::Add(pet("Leo", 2, &ids[2..5])),
        Revision::Add(pet("Rex", 2, &foreign)),
        Revision::Replace { old: tom, new: pet("Zoe", 3, &ids[3..4]) },
    ];
    assert!(store.learning.learn(&taken, &lessons(&space, LATER, learned)).await.unwrap());
    let facts = current(&store, &space).await;
    assert_eq!(values(&facts), ["Tom", "Leo"]);
    assert_eq!(facts[1].citations, ids[4..5]);
    let elsewhere = crate::space("foreign");
    assert!(!store.facts.delete_fact(&elsewhere, tom).await.unwrap());
    assert!(store.facts.delete_fact(&space, tom).await.unwrap());
    assert!(!store.facts.delete_fact(&space, tom).await.unwrap());
    assert_eq!(values(&current(&store, &space).await), ["Leo"]);
    assert_eq!(store.episodes.episodes(&space, &ids[1..2]).await.unwrap().len(), 1, "the message stays");
}

/// Equal owners in two spaces have nothing to do with each other.
pub async fn spaces_learn_apart(store: Store) {
    let (one, two) = (space("one"), space("two"));
    let here = tell(&store, &one, "ann", 0..2).await;
    let there = tell(&store, &two, "ann", 2..4).await;
    let tom = add(&store, &one, pet("Tom", 1, &here[1..])).await;
    add(&store, &two, pet("Tom", 3, &there[1..])).await;
    assert_eq!(current(&store, &one).await[0].citations, here[1..]);
    assert_eq!(current(&store, &two).await[0].citations, there[1..]);
    assert_eq!(revise(&store, &two, LATER, vec![Revision::Retire { old: tom, at: minute(9) }]).await, 0);
    assert!(current(&store, &space("three")).await.is_empty());
    let taken = claim(&store, LATER).await.unwrap();
    assert_eq!((taken.subject, taken.episodes), (subject(&one, "ann"), here));
    store.episodes.delete(&one, Deletion::Session("s".into())).await.unwrap();
    assert_eq!(all(&store).await.len(), 1);
    assert_eq!(store.learning.waiting(Some(&two)).await.unwrap().waiting, 2);
}

/// However many ask at once, no limit is passed by one.
pub async fn a_budget_is_never_passed(store: Store) {
    let at = minute(0);
    let spend = async |calls, tokens, at, budget: Budget| {
        store.usage.spend(Charge { at, calls, tokens }, &budget).await.unwrap()
    };
    let none = Budget::default();
    let seven = Budget { calls_per_minute: Some(7), ..none };
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            let spending = Charge { at, calls: 1, tokens: 100 };
            tokio::spawn(async move { store.usage.spend(spending, &seven).await.unwrap() })
        })
        .collect();
    let mut passed = 0;
    for attempt in tries {
        passed += usize::from(attempt.await.unwrap().is_none());
    }
    assert_eq!(passed, 7);
    let used = Usage { calls: 7, tokens: 700 };
    assert_eq!(store.usage.usage(at).await.unwrap(), (used, used));
    assert_eq!(spend(1, 0, minute(1), seven).await, None, "another minute");
    let tokens = |minute, day| Budget { tokens_per_minute: Some(minute), tokens_per_day: Some(day), ..none };
    assert_eq!(spend(0, 301, at, tokens(1_000, 5_000)).await, Some(Span::Minute));
    assert_eq!(spend(0, 300, at, tokens(1_000, 5_000)).await, None);
    assert_eq!(spend(0, 1, minute(2), tokens(1_000, 1_000)).await, Some(Span::Day));
    let calls = Budget { calls_per_day: Some(10), ..none };
    assert_eq!(spend(3, 0, minute(2), calls).await, Some(Span::Day), "eight are used");
    assert_eq!(spend(2, 0, minute(2), calls).await, None);
    assert_eq!(spend(1_000, 1_000_000, at, none).await, None, "nothing is limited");
    assert_eq!(store.usage.usage(minute(2)).await.unwrap().0, Usage { calls: 2, tokens: 0 });
}

/// What a use really took replaces what was counted before it; what is old is forgotten.
pub async fn uses_are_counted_and_corrected(store: Store) {
    let spend = async |at| {
        let spending = Charge { at, calls: 2, tokens: 1_000 };
        assert_eq!(store.usage.spend(spending, &Budget::default()).await.unwrap(), None);
    };
    let usage = async |at| store.usage.usage(at).await.unwrap();
    let counted = |calls, tokens| Usage { calls, tokens };
    assert_eq!(usage(minute(0)).await, (Usage::default(), Usage::default()));
    spend(minute(0)).await;
    spend(minute(1)).await;
    store.usage.correct(minute(0), -1, 250).await.unwrap();
    assert_eq!(usage(minute(0)).await, (counted(1, 1_250), counted(3, 2_250)));
    store.usage.correct(minute(0), -9, -1_500).await.unwrap();
    assert_eq!(usage(minute(0)).await, (counted(0, 0), counted(0, 750)), "not below nothing");
    // An hour later the minute is forgotten, and the day is not.
    spend(minute(62)).await;
    assert_eq!(usage(minute(1)).await, (counted(0, 0), counted(2, 1_750)));
    spend(minute(62 + 402 * 24 * 60)).await;
    assert_eq!(usage(minute(62)).await.1, counted(0, 0));
}

/// Facts and the queue come out of one engine and go into another as they are, once.
pub async fn what_is_learned_moves(one: Store, two: Store) {
    let space = space("moved");
    let ids = tell(&one, &space, "ann", 0..3).await;
    tell(&one, &space, "bob", 3..5).await;
    let tom = add(&one, &space, pet("Tom", 1, &ids[1..])).await;
    revise(&one, &space, LATER, vec![Revision::Replace { old: tom, new: pet("Mia", 2, &ids[2..]) }]).await;
    let taken = claim(&one, 100).await.unwrap();
    one.learning.put_back(&taken, &Outcome::Parked("for now".into())).await.unwrap();
    let queue = async |store: &Store| {
        let mut all = Vec::new();
        loop {
            let page = store.learning.queue(all.last(), 2).await.unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    };
    let (facts, queued) = (all(&one).await, queue(&one).await);
    assert_eq!((facts.len(), queued.len()), (2, 5));
    assert_eq!(queued.iter().filter(|queued| queued.parked.is_some()).count(), 3);
    two.facts.put_facts(&facts).await.unwrap();
    two.learning.enqueue(&queued).await.unwrap();
    assert!(all(&two).await.is_empty() && queue(&two).await.is_empty(), "what they are about is not there");
    two.episodes.append(batch(one.episodes.page(&space, None, None, 9).await.unwrap())).await.unwrap();
    for _ in 0..2 {
        two.facts.put_facts(&facts).await.unwrap();
        two.learning.enqueue(&queued).await.unwrap();
        assert_eq!(all(&two).await, facts);
        let mut moved = queue(&two).await;
        moved.sort_by(|a, b| (&a.subject, a.episode).cmp(&(&b.subject, b.episode)));
        assert_eq!(moved, queued);
    }
    assert_eq!(two.learning.parked(None, 9).await.unwrap(), one.learning.parked(None, 9).await.unwrap());
    let next = claim(&two, 100).await.unwrap();
    assert_eq!((next.subject.owner.as_str(), next.attempt, next.episodes.len()), ("bob", 1, 2));
    add(&two, &space, pet("Leo", 2, &ids[2..])).await;
    assert!(all(&two).await[2].fact.id > facts[1].fact.id);
}
