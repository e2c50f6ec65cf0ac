//! What every engine must do as a [`History`](memcloud_ports::History).

use half::f16;
use memcloud_domain::{EpisodeId, Space};
use memcloud_ports::{Change, ChangeKind, EpisodesOf, Position, REMOVALS_KEPT, delete_all};

use crate::Store;
use crate::samples::{batch, minute, some_episodes, space};

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    history_has_every_change_once(fresh().await).await;
    analyses_are_replaced_without_a_change(fresh().await).await;
    old_removals_are_pruned(fresh().await).await;
}

pub(crate) async fn all_changes(store: &Store, space: &Space, step: usize) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    loop {
        let after = all.last().map_or(0, |change| change.sequence);
        let after = Position::after(after);
        let changes = store.history.changes(space, after, step).await.unwrap().unwrap();
        if changes.is_empty() {
            return all;
        }
        all.extend(changes);
    }
}

/// The head grows by one with every episode, and the history has each change with what ranking needs.
pub async fn history_has_every_change_once(store: Store) {
    let space = space("history");
    assert_eq!(store.history.head(&space).await.unwrap(), 0);
    let episodes = some_episodes(&space, "s", 0..7);
    store.episodes.append(batch(episodes[..4].to_vec())).await.unwrap();
    store.episodes.append(batch(episodes[4..].to_vec())).await.unwrap();
    assert_eq!(store.history.head(&space).await.unwrap(), 7);
    store.episodes.delete(&space, &[episodes[2].id]).await.unwrap();
    assert_eq!(store.history.head(&space).await.unwrap(), 8);
    for step in [1, 3, 100] {
        let changes = all_changes(&store, &space, step).await;
        let changed: Vec<_> = changes.iter().map(|c| (c.sequence, c.id)).collect();
        let expected: Vec<_> = [(1, 0), (2, 1), (4, 3), (5, 4), (6, 5), (7, 6), (8, 2)]
            .map(|(sequence, n): (u64, usize)| (sequence, episodes[n].id))
            .to_vec();
        assert_eq!(changed, expected, "in steps of {step}");
        assert!(matches!(changes[6].kind, ChangeKind::Removed));
        let ChangeKind::Put(row) = &changes[0].kind else { panic!("the first change stores") };
        assert_eq!((row.session.as_str(), row.producer.as_str()), ("s", "producer-0"));
        assert_eq!((row.produced_for.as_str(), row.kind.as_str()), ("someone", "message"));
        assert_eq!(row.created_at, episodes[0].created_at.as_micros());
        assert_eq!(row.vector.as_deref(), Some(&[0.6, 0.8].map(f16::from_f32)[..]));
        assert!(memcloud_memory::Analysis::decode(&row.analysis).is_some());
    }
}

/// An episode that was analyzed again has the new analysis, and the history is as before.
pub async fn analyses_are_replaced_without_a_change(store: Store) {
    let space = space("analyses");
    let episodes = some_episodes(&space, "s", 0..2);
    store.episodes.append(batch(episodes.clone())).await.unwrap();
    let before = all_changes(&store, &space, 10).await;
    let unknown = EpisodeId::new(minute(99), 0);
    let again = vec![(episodes[1].id, b"again".to_vec()), (unknown, b"unknown".to_vec())];
    store.history.set_analyses(again).await.unwrap();
    let after = all_changes(&store, &space, 10).await;
    let analysis = |change: &Change| match &change.kind {
        ChangeKind::Put(row) => (change.sequence, change.id, row.analysis.clone()),
        ChangeKind::Removed => panic!("nothing was removed"),
    };
    let expected = [analysis(&before[0]), (2, episodes[1].id, b"again".to_vec())];
    assert_eq!(after.iter().map(analysis).collect::<Vec<_>>(), expected);
}

/// However many episodes a space had, it keeps few removals. A reader that has not read the pruned ones is sent back to the
/// start; one that begins there needs none of them.
pub async fn old_removals_are_pruned(store: Store) {
    let space = space("pruned");
    let kept = i64::try_from(REMOVALS_KEPT).unwrap();
    for first in (0..kept + 10).step_by(101) {
        let some = first..(first + 101).min(kept + 10);
        store.episodes.append(batch(some_episodes(&space, "gone", some))).await.unwrap();
    }
    store.episodes.append(batch(some_episodes(&space, "s", kept + 10..kept + 12))).await.unwrap();
    let changes = async |after| store.history.changes(&space, after, 10_000).await.unwrap();
    let before = store.history.head(&space).await.unwrap();
    assert_eq!(before, REMOVALS_KEPT + 12);
    let deleted = delete_all(&*store.episodes, &space, &EpisodesOf::Session("gone".into())).await.unwrap();
    assert_eq!(deleted, REMOVALS_KEPT + 10);
    let head = store.history.head(&space).await.unwrap();
    assert_eq!(head, 2 * REMOVALS_KEPT + 22);
    assert!(changes(Position::after(before)).await.is_none(), "ten removals are pruned");
    assert!(changes(Position::after(0)).await.is_none());
    let oldest = Position::after(head - REMOVALS_KEPT);
    let left = changes(oldest).await.unwrap();
    assert_eq!(left.len() as u64, REMOVALS_KEPT);
    assert!(left.iter().all(|change| matches!(change.kind, ChangeKind::Removed)));
    let (mut from_start, mut at) = (Vec::new(), Position::before_all(head));
    loop {
        let step = store.history.changes(&space, at, 1).await.unwrap().unwrap();
        let Some(change) = step.into_iter().next() else { break };
        at = at.read_up_to(change.sequence);
        from_start.push(change);
    }
    assert_eq!(from_start.iter().map(|change| change.sequence).collect::<Vec<_>>(), [before - 1, before]);
    // The next removal is read by a reader that began there.
    store.episodes.delete(&space, &[from_start[0].id]).await.unwrap();
    let next = changes(at).await.unwrap();
    assert_eq!(
        next.iter().map(|change| (change.sequence, change.id)).collect::<Vec<_>>(),
        [(head + 1, from_start[0].id)]
    );
}
