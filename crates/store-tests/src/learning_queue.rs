//! What every engine must do as a [`LearningQueue`](memcloud_ports::LearningQueue).

use std::collections::BTreeSet;

use memcloud_domain::{EpisodeId, Error};
use memcloud_ports::{Appended, ClaimedBatch, Idempotency, Outcome, Revision};

use crate::Store;
use crate::learned::{
    LATER, LEASE, TRIGGER, claim, current_facts, pet, profile, revision_set, store_messages, values,
};
use crate::samples::{batch, episode, minute, space};

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    storing_a_message_queues_it(fresh().await).await;
    a_target_is_due_by_count_or_age(fresh().await).await;
    failed_batches_shrink(fresh().await).await;
    one_learner_at_a_time(fresh().await).await;
    interrupted_batches_keep_their_call(fresh().await).await;
    concurrent_learners_claim_each_target_once(fresh().await).await;
    retried_batches_have_not_failed(fresh().await).await;
    parked_messages_wait_for_unpark(fresh().await).await;
}

/// A stored message is queued at once. One that is not stored is not queued, and a repeated request is queued once.
pub async fn storing_a_message_queues_it(store: Store) {
    let space = space("queued");
    let idempotency = |request| Some(Idempotency { key: [1; 32], request: [request; 32] });
    let request_of = |n: i64, request| {
        let mut messages = batch((n..n + 3).map(|n| episode(&space, "s", n)).collect());
        messages.idempotency = idempotency(request);
        for owner in ["ann", "bob"] {
            messages.episodes[1].fact_targets.push(profile(&space, owner));
            messages.episodes[2].fact_targets.push(profile(&space, owner));
        }
        messages
    };
    assert_eq!(store.learning.waiting(None).await.unwrap().since, None);
    assert_eq!(store.episodes.append(request_of(0, 1)).await.unwrap(), Appended::Stored);
    assert!(matches!(store.episodes.append(request_of(10, 1)).await.unwrap(), Appended::Repeated(_)));
    assert!(matches!(store.episodes.append(request_of(20, 2)).await, Err(Error::IdempotencyConflict)));
    for of in [None, Some(&space)] {
        let waiting = store.learning.waiting(of).await.unwrap();
        assert_eq!((waiting.waiting, waiting.parked), (4, 0), "once for each target");
        assert_eq!(waiting.since, Some(minute(2)), "since it was stored");
    }
    let elsewhere = crate::space("elsewhere");
    assert_eq!(store.learning.waiting(Some(&elsewhere)).await.unwrap().waiting, 0);
    let taken: Vec<ClaimedBatch> =
        [claim(&store, LATER).await, claim(&store, LATER).await].map(Option::unwrap).into();
    let owners: BTreeSet<&str> = taken.iter().map(|claimed| claimed.target.set.owner().unwrap()).collect();
    assert_eq!(owners.into_iter().collect::<Vec<_>>(), ["ann", "bob"]);
    assert!(taken.iter().all(|claimed| claimed.episodes.len() == 2));
}

/// A target is due when enough messages wait, or when the first has waited long enough. The one that waits longest goes
/// first.
pub async fn a_target_is_due_by_count_or_age(store: Store) {
    let space = space("due");
    let ids = store_messages(&store, &space, "ann", 0..19).await;
    assert_eq!(claim(&store, 10).await, None, "nineteen, of which the first has waited nine minutes");
    let others = store_messages(&store, &space, "bob", 100..120).await;
    let taken = store.learning.claim(TRIGGER, minute(10), LEASE).await.unwrap();
    assert_eq!(taken, None, "messages that are stored later are not due yet");
    let taken = claim(&store, 11).await.unwrap();
    assert_eq!(
        (&taken.target, taken.attempt),
        (&profile(&space, "ann"), 1),
        "the first has waited ten minutes"
    );
    assert_eq!(taken.episodes, ids[..11], "all that had been stored by then, in their order");
    let many = claim(&store, 120).await.unwrap();
    assert_eq!(
        many.target,
        profile(&space, "ann"),
        "the lease has ended, and the target that waits longest goes first"
    );
    let next = claim(&store, 120).await.unwrap();
    assert_eq!((next.target, next.episodes), (profile(&space, "bob"), others), "enough of them");
}

/// The more often messages have failed, the fewer go together: twenty, five, one.
pub async fn failed_batches_shrink(store: Store) {
    let space = space("failing");
    let ids = store_messages(&store, &space, "ann", 0..20).await;
    let fail = async |now: i64, attempt: u32, expected: &[EpisodeId]| {
        let taken = claim(&store, now).await.unwrap();
        assert_eq!((taken.attempt, taken.episodes.as_slice()), (attempt, expected));
        store.learning.put_back(&taken, &Outcome::Failed(minute(now + 100))).await.unwrap();
    };
    fail(100, 1, &ids).await;
    assert_eq!(claim(&store, 199).await, None, "they wait until the given time");
    for group in ids.chunks(5) {
        fail(200, 2, group).await;
    }
    assert_eq!(claim(&store, 299).await, None);
    for one in &ids {
        fail(300, 3, std::slice::from_ref(one)).await;
    }
    fail(400, 4, &ids[..1]).await;
    // New messages are not claimed together with failed ones.
    let new = store_messages(&store, &space, "ann", 380..381).await;
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

/// While a target is leased, no other learner claims it. A learner that lost its lease changes nothing.
pub async fn one_learner_at_a_time(store: Store) {
    let space = space("leased");
    let ids = store_messages(&store, &space, "ann", 0..20).await;
    let learned = || revision_set(&space, LATER, vec![Revision::Add(pet("Tom", 0, &ids[..1]))]);
    let slow = claim(&store, 100).await.unwrap();
    assert_eq!(claim(&store, 104).await, None, "another learner holds the lease");
    let second = claim(&store, 105).await.unwrap();
    assert_eq!((second.attempt, second.episodes.len()), (2, 20), "an attempt without an end counts");
    assert_eq!(slow.call, second.call, "it is the same call");
    assert_ne!(slow.lease, second.lease);
    assert!(!store.learning.learn(&slow, &learned()).await.unwrap(), "its lease is lost");
    store.learning.put_back(&slow, &Outcome::Parked("lost".into())).await.unwrap();
    assert_eq!(store.learning.waiting(None).await.unwrap().parked, 0);
    assert!(current_facts(&store, &space).await.is_empty());
    // Late, but no other learner has claimed the target since.
    assert!(store.learning.learn(&second, &learned()).await.unwrap());
    assert_eq!(values(&current_facts(&store, &space).await), ["Tom"]);
    assert_eq!(store.learning.waiting(None).await.unwrap().waiting, 0, "all messages are learned from");
    assert!(!store.learning.learn(&second, &learned()).await.unwrap(), "the batch is finished already");
    let ids = store_messages(&store, &space, "ann", 20..40).await;
    let third = claim(&store, 105).await.unwrap();
    assert_eq!(third.episodes, ids);
    assert_ne!(second.call, third.call);
    assert_eq!(claim(&store, 105).await, None);
    store.learning.end_leases().await.unwrap();
    assert!(!store.learning.learn(&third, &learned()).await.unwrap());
    store_messages(&store, &space, "ann", 40..45).await;
    let fourth = claim(&store, 105).await.unwrap();
    assert_eq!((fourth.attempt, &fourth.episodes), (2, &third.episodes), "all leases have ended");
    assert_eq!(third.call, fourth.call, "an unfinished batch is claimed again first, unchanged");
    store.learning.put_back(&fourth, &Outcome::Failed(minute(105))).await.unwrap();
    let fifth = claim(&store, 105).await.unwrap();
    assert_eq!((fifth.attempt, fifth.episodes.as_slice()), (3, &ids[..1]));
    assert_ne!(fourth.call, fifth.call, "the attempt ended");
}

/// An interrupted attempt has not failed. It is made again under the same call, whatever the trigger.
pub async fn interrupted_batches_keep_their_call(store: Store) {
    let space = space("interrupted");
    store_messages(&store, &space, "ann", 0..20).await;
    let first = claim(&store, 100).await.unwrap();
    store.learning.put_back(&first, &Outcome::Interrupted).await.unwrap();
    let second = claim(&store, 100).await.unwrap();
    assert_eq!((second.call, second.attempt, &second.episodes), (first.call, 1, &first.episodes));
    store.learning.put_back(&second, &Outcome::Retry(minute(100))).await.unwrap();
    let third = claim(&store, 100).await.unwrap();
    assert_ne!(third.call, first.call, "the attempt ended");
}

/// Learners that claim at the same time get different targets.
pub async fn concurrent_learners_claim_each_target_once(store: Store) {
    let space = space("shared");
    for (n, owner) in (0..).zip(["ann", "bob", "cleo", "dan", "eve"]) {
        store_messages(&store, &space, owner, n * 10..n * 10 + 2).await;
    }
    let learners: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut owners = Vec::new();
                while let Some(taken) = claim(&store, LATER).await {
                    owners.push(taken.target.set.owner().unwrap().to_owned());
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

/// An attempt that failed for another reason than its messages does not count.
pub async fn retried_batches_have_not_failed(store: Store) {
    let space = space("postponed");
    let ids = store_messages(&store, &space, "ann", 0..20).await;
    for now in [100, 200, 300] {
        let taken = claim(&store, now).await.unwrap();
        assert_eq!((taken.attempt, taken.episodes.as_slice()), (1, ids.as_slice()));
        store.learning.put_back(&taken, &Outcome::Retry(minute(now + 100))).await.unwrap();
        assert_eq!(claim(&store, now + 99).await, None);
    }
}

/// A parked message is listed with its reason, and is tried again after it is unparked.
pub async fn parked_messages_wait_for_unpark(store: Store) {
    let space = space("parked");
    let ids = store_messages(&store, &space, "ann", 0..2).await;
    let taken = claim(&store, 100).await.unwrap();
    store.learning.put_back(&taken, &Outcome::Parked("the model answers nonsense".into())).await.unwrap();
    assert_eq!(claim(&store, LATER).await, None);
    let waiting = store.learning.waiting(Some(&space)).await.unwrap();
    assert_eq!((waiting.waiting, waiting.since, waiting.parked), (0, None, 2));
    let parked = store.learning.parked(Some(&space), 10).await.unwrap();
    let found: Vec<_> = parked.iter().map(|p| (p.episode, p.attempts, p.reason.as_str())).collect();
    assert_eq!(found, [(ids[0], 1, "the model answers nonsense"), (ids[1], 1, "the model answers nonsense")]);
    assert_eq!(parked[0].target, profile(&space, "ann"));
    assert_eq!(store.learning.parked(None, 1).await.unwrap(), parked[..1]);
    let elsewhere = crate::space("elsewhere");
    assert!(store.learning.parked(Some(&elsewhere), 10).await.unwrap().is_empty());
    assert_eq!(store.learning.unpark(Some(&elsewhere)).await.unwrap(), 0);
    assert_eq!(store.learning.unpark(Some(&space)).await.unwrap(), 2);
    let again = claim(&store, LATER).await.unwrap();
    assert_eq!(
        (again.attempt, again.episodes.as_slice()),
        (1, ids.as_slice()),
        "the count of attempts starts again"
    );
    store.learning.put_back(&again, &Outcome::Parked("again".into())).await.unwrap();
    assert_eq!(store.learning.unpark(None).await.unwrap(), 2);
}
