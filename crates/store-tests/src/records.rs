//! What an engine must do that keeps the records of episodes whose content is in another database.

use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{EpisodeId, Error};
use memcloud_ports::{Appended, Idempotency, RecordStore};

use crate::samples::{batch, episode, space};

/// The record store under test.
pub type SharedRecords = Arc<dyn RecordStore>;

/// Older than any intent of these tests.
const NEVER: Duration = Duration::from_hours(1);

/// Runs everything, each test on an empty record store that `fresh` makes.
pub async fn run<F: Future<Output = SharedRecords>>(fresh: impl Fn() -> F) {
    storing_settles_the_intent(fresh().await).await;
    a_withdrawn_intent_cannot_be_stored(fresh().await).await;
    a_stored_intent_cannot_be_withdrawn(fresh().await).await;
    old_intents_are_withdrawn(fresh().await).await;
    a_concurrent_withdrawal_and_store_agree(fresh().await).await;
    a_repeated_request_leaves_its_intent(fresh().await).await;
    a_deletion_leaves_an_orphan_until_it_is_cleared(fresh().await).await;
    a_memory_keeps_its_name(fresh().await).await;
}

/// Storing removes the intent in the same transaction.
pub async fn storing_settles_the_intent(records: SharedRecords) {
    let space = space("intended");
    let kept = episode(&space, "s", 0);
    let intent = records.intend(vec![kept.id]).await.unwrap();
    assert!(records.episodes(&space, &[kept.id]).await.unwrap().is_empty(), "the episode is not visible yet");
    assert!(records.vectors(&[kept.id]).await.unwrap().is_empty());
    let stored = records.append_intended(intent, batch(vec![kept.clone()])).await.unwrap();
    assert_eq!(stored, Appended::Stored);
    let vectors = records.vectors(&[kept.id]).await.unwrap();
    assert_eq!(vectors, [(kept.id, [0.6, 0.8].map(half::f16::from_f32).to_vec())]);
    assert_eq!(records.episodes(&space, &[kept.id]).await.unwrap(), [kept]);
    assert!(records.orphans(Duration::ZERO).await.unwrap().is_empty());
}

/// After a withdrawal the episodes cannot be stored, and are listed as orphans until they are cleared.
pub async fn a_withdrawn_intent_cannot_be_stored(records: SharedRecords) {
    let space = space("withdrawn");
    let lost = episode(&space, "s", 0);
    let intent = records.intend(vec![lost.id]).await.unwrap();
    assert!(records.withdraw(intent).await.unwrap());
    let refused = records.append_intended(intent, batch(vec![lost.clone()])).await;
    assert!(matches!(refused, Err(Error::Withdrawn)), "{refused:?}");
    assert_eq!(records.head(&space).await.unwrap(), 0, "nothing was stored");
    assert_eq!(records.counts().await.unwrap().episodes, 0);
    let left = records.orphans(NEVER).await.unwrap();
    assert_eq!(left.iter().map(|l| (l.intent, l.ids.clone())).collect::<Vec<_>>(), [(intent, vec![lost.id])]);
    records.clear(intent).await.unwrap();
    assert!(
        records.orphans(NEVER).await.unwrap().is_empty(),
        "it is listed once more, but not before ten minutes"
    );
    // Another server has listed and removed the same orphan: the second round is still due.
    records.clear(intent).await.unwrap();
    assert!(records.withdraw(intent).await.unwrap(), "it is still withdrawn");
}

/// A withdrawal after the store returns false.
pub async fn a_stored_intent_cannot_be_withdrawn(records: SharedRecords) {
    let kept = episode(&space("recorded"), "s", 0);
    let intent = records.intend(vec![kept.id]).await.unwrap();
    records.append_intended(intent, batch(vec![kept])).await.unwrap();
    assert!(!records.withdraw(intent).await.unwrap());
    assert!(records.orphans(Duration::ZERO).await.unwrap().is_empty());
}

/// Any server withdraws the intents of a server that has ended.
pub async fn old_intents_are_withdrawn(records: SharedRecords) {
    let lost = episode(&space("old"), "s", 0);
    let intent = records.intend(vec![lost.id]).await.unwrap();
    assert!(records.orphans(NEVER).await.unwrap().is_empty(), "the store may still be running");
    let left = records.orphans(Duration::ZERO).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].ids, [lost.id]);
    let refused = records.append_intended(intent, batch(vec![lost])).await;
    assert!(matches!(refused, Err(Error::Withdrawn)), "{refused:?}");
}

/// The first of the two wins, and the other reports it.
pub async fn a_concurrent_withdrawal_and_store_agree(records: SharedRecords) {
    let space = space("race");
    for n in 0..20 {
        let contested = episode(&space, "s", n);
        let id = contested.id;
        let intent = records.intend(vec![id]).await.unwrap();
        let (stored, withdrawn) =
            tokio::join!(records.append_intended(intent, batch(vec![contested])), records.withdraw(intent));
        let there = !records.episodes(&space, &[id]).await.unwrap().is_empty();
        assert_eq!(there, stored.is_ok(), "{stored:?}");
        assert_eq!(there, !withdrawn.unwrap());
    }
}

/// A repeated request returns the first ids. The caller withdraws the intent of the repetition.
pub async fn a_repeated_request_leaves_its_intent(records: SharedRecords) {
    let space = space("again");
    let idempotency = Some(Idempotency { key: [7; 32], request: [1; 32] });
    let (first, second) = (episode(&space, "s", 0), episode(&space, "s", 1));
    let named = |episode| memcloud_ports::Batch { idempotency, ..batch(vec![episode]) };
    let intent = records.intend(vec![first.id]).await.unwrap();
    records.append_intended(intent, named(first.clone())).await.unwrap();
    let intent = records.intend(vec![second.id]).await.unwrap();
    let repeated = records.append_intended(intent, named(second.clone())).await.unwrap();
    assert_eq!(repeated, Appended::Repeated(vec![first.id]));
    assert!(records.withdraw(intent).await.unwrap());
    assert_eq!(records.orphans(NEVER).await.unwrap()[0].ids, [second.id]);
}

/// Deleted episodes are gone from the records at once, and are orphans until the other database has removed them.
pub async fn a_deletion_leaves_an_orphan_until_it_is_cleared(records: SharedRecords) {
    let space = space("noted");
    let episodes: Vec<_> = (0..3).map(|n| episode(&space, "s", n)).collect();
    let ids: Vec<EpisodeId> = episodes.iter().map(|e| e.id).collect();
    records.append(batch(episodes)).await.unwrap();
    let left = records.delete_noted(&space, &ids[1..2]).await.unwrap().unwrap();
    assert_eq!(left.ids, [ids[1]]);
    assert!(
        records.delete_noted(&space, &ids[1..2]).await.unwrap().is_none(),
        "there is nothing left to delete"
    );
    assert_eq!(records.page(&space, None, None, 9).await.unwrap().len(), 2);
    assert_eq!(records.orphans(NEVER).await.unwrap(), std::slice::from_ref(&left));
    records.clear(left.intent).await.unwrap();
    assert!(records.orphans(NEVER).await.unwrap().is_empty());
    let left = records.delete_noted(&space, &ids).await.unwrap().unwrap();
    assert_eq!(left.ids.len(), 2);
}

/// A memory has one name.
pub async fn a_memory_keeps_its_name(records: SharedRecords) {
    let name = records.memory().await.unwrap();
    assert!(!name.is_empty());
    assert_eq!(records.memory().await.unwrap(), name);
}
