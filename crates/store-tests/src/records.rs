//! What an engine must do that keeps the records of episodes whose content is elsewhere.

use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{EpisodeId, Error};
use memcloud_ports::{Appended, Deletion, Idempotency, RecordStore};

use crate::episodes::{batch, episode, space};

/// The record store under test.
pub type SharedRecords = Arc<dyn RecordStore>;

/// No intent is as old as this.
const NEVER: Duration = Duration::from_hours(1);

/// Runs everything on records that `fresh` makes, each empty and of their own.
pub async fn run<F: Future<Output = SharedRecords>>(fresh: impl Fn() -> F) {
    an_intent_ends_with_its_store(fresh().await).await;
    what_is_withdrawn_cannot_be_recorded(fresh().await).await;
    what_is_recorded_cannot_be_withdrawn(fresh().await).await;
    an_old_intent_is_withdrawn_by_whoever_finds_it(fresh().await).await;
    a_withdrawal_and_a_store_at_once_agree(fresh().await).await;
    a_repeated_request_leaves_its_intent(fresh().await).await;
    a_deletion_leaves_a_note_until_it_is_cleared(fresh().await).await;
    a_memory_keeps_its_name(fresh().await).await;
}

/// Recording takes the note away in the same step.
pub async fn an_intent_ends_with_its_store(records: SharedRecords) {
    let space = space("intended");
    let kept = episode(&space, "s", 0);
    let intent = records.intend(vec![kept.id]).await.unwrap();
    assert!(records.episodes(&space, &[kept.id]).await.unwrap().is_empty(), "nothing is seen of it yet");
    assert!(records.vectors(&[kept.id]).await.unwrap().is_empty());
    let stored = records.append_intended(intent, batch(vec![kept.clone()])).await.unwrap();
    assert_eq!(stored, Appended::Stored);
    let vectors = records.vectors(&[kept.id]).await.unwrap();
    assert_eq!(vectors, [(kept.id, [0.6, 0.8].map(half::f16::from_f32).to_vec())]);
    assert_eq!(records.episodes(&space, &[kept.id]).await.unwrap(), [kept]);
    assert!(records.orphans(Duration::ZERO).await.unwrap().is_empty());
}

/// From the withdrawal on nothing of it can be stored, and its episodes are listed until they are cleared.
pub async fn what_is_withdrawn_cannot_be_recorded(records: SharedRecords) {
    let space = space("withdrawn");
    let lost = episode(&space, "s", 0);
    let intent = records.intend(vec![lost.id]).await.unwrap();
    assert!(records.withdraw(intent).await.unwrap());
    let refused = records.append_intended(intent, batch(vec![lost.clone()])).await;
    assert!(matches!(refused, Err(Error::Withdrawn)), "{refused:?}");
    assert_eq!(records.head(&space).await.unwrap(), 0, "nothing of it is there");
    assert_eq!(records.counts().await.unwrap().episodes, 0);
    let left = records.orphans(NEVER).await.unwrap();
    assert_eq!(left.iter().map(|l| (l.intent, l.ids.clone())).collect::<Vec<_>>(), [(intent, vec![lost.id])]);
    records.clear(intent).await.unwrap();
    assert!(records.orphans(NEVER).await.unwrap().is_empty(), "it comes again, but not before ten minutes");
    // Another server has listed and removed the same: the second round is still to come.
    records.clear(intent).await.unwrap();
    assert!(records.withdraw(intent).await.unwrap(), "it is still withdrawn");
}

/// A withdrawal that comes too late says so.
pub async fn what_is_recorded_cannot_be_withdrawn(records: SharedRecords) {
    let kept = episode(&space("recorded"), "s", 0);
    let intent = records.intend(vec![kept.id]).await.unwrap();
    records.append_intended(intent, batch(vec![kept])).await.unwrap();
    assert!(!records.withdraw(intent).await.unwrap());
    assert!(records.orphans(Duration::ZERO).await.unwrap().is_empty());
}

/// A server that is gone withdraws nothing: others do.
pub async fn an_old_intent_is_withdrawn_by_whoever_finds_it(records: SharedRecords) {
    let lost = episode(&space("old"), "s", 0);
    let intent = records.intend(vec![lost.id]).await.unwrap();
    assert!(records.orphans(NEVER).await.unwrap().is_empty(), "it may still be under way");
    let left = records.orphans(Duration::ZERO).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].ids, [lost.id]);
    let refused = records.append_intended(intent, batch(vec![lost])).await;
    assert!(matches!(refused, Err(Error::Withdrawn)), "{refused:?}");
}

/// Whoever comes first wins, and the other learns of it.
pub async fn a_withdrawal_and_a_store_at_once_agree(records: SharedRecords) {
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

/// What was stored before is answered, and the intent of the repetition is withdrawn by whoever made it.
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

/// What is deleted is gone here at once, and noted until it is gone elsewhere.
pub async fn a_deletion_leaves_a_note_until_it_is_cleared(records: SharedRecords) {
    let space = space("noted");
    let episodes: Vec<_> = (0..3).map(|n| episode(&space, "s", n)).collect();
    let ids: Vec<EpisodeId> = episodes.iter().map(|e| e.id).collect();
    records.append(batch(episodes)).await.unwrap();
    let deletion = Deletion::Episodes(vec![ids[1]]);
    let left = records.delete_noted(&space, deletion.clone()).await.unwrap().unwrap();
    assert_eq!(left.ids, [ids[1]]);
    assert!(records.delete_noted(&space, deletion).await.unwrap().is_none(), "there is nothing more");
    assert_eq!(records.page(&space, None, None, 9).await.unwrap().len(), 2);
    assert_eq!(records.orphans(NEVER).await.unwrap(), std::slice::from_ref(&left));
    records.clear(left.intent).await.unwrap();
    assert!(records.orphans(NEVER).await.unwrap().is_empty());
    let left = records.delete_noted(&space, Deletion::Session("s".into())).await.unwrap().unwrap();
    assert_eq!(left.ids.len(), 2);
}

/// A memory has one name.
pub async fn a_memory_keeps_its_name(records: SharedRecords) {
    let name = records.memory().await.unwrap();
    assert!(!name.is_empty());
    assert_eq!(records.memory().await.unwrap(), name);
}
