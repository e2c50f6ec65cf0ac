//! What every engine must do as a [`VectorStore`](memcloud_ports::VectorStore).

use half::f16;
use memcloud_domain::{EpisodeId, Error, Purpose};
use memcloud_ports::ChangeKind;

use crate::Store;
use crate::history::all_changes;
use crate::samples::some_episodes;
use crate::samples::{batch, minute, space};

/// Runs everything, each test on an empty store that `fresh` makes.
pub async fn run<F: Future<Output = Store>>(fresh: &impl Fn() -> F) {
    a_store_has_one_vector_space(fresh().await).await;
    vectors_can_be_set_later(fresh().await).await;
}

/// Vectors of another model are refused.
pub async fn a_store_has_one_vector_space(store: Store) {
    assert_eq!(store.vectors.vector_space().await.unwrap(), None);
    store.vectors.bind_vector_space("a/model/2").await.unwrap();
    store.vectors.bind_vector_space("a/model/2").await.unwrap();
    assert_eq!(store.vectors.vector_space().await.unwrap().as_deref(), Some("a/model/2"));
    let refused = store.vectors.bind_vector_space("another/model/2").await;
    assert!(matches!(refused, Err(Error::OtherVectorSpace { stored, .. }) if stored == "a/model/2"));
}

/// An episode that was stored without a vector gets one later, as a new change in the history.
pub async fn vectors_can_be_set_later(store: Store) {
    let space = space("later");
    let mut without = batch(some_episodes(&space, "s", 0..3));
    without.episodes.iter_mut().for_each(|p| p.vector = None);
    without.episodes[2].episode.purpose = Purpose::ProfileOnly;
    let ids: Vec<EpisodeId> = without.episodes.iter().map(|p| p.episode.id).collect();
    store.episodes.append(without).await.unwrap();
    assert_eq!(store.episodes.counts().await.unwrap().without_vector, 2);
    let waiting: Vec<EpisodeId> =
        store.vectors.without_vector(10).await.unwrap().iter().map(|e| e.id).collect();
    assert_eq!(waiting, ids[..2], "profile-only messages need no vector");
    let vector = vec![f16::from_f32(1.0); 2];
    let unknown = EpisodeId::new(minute(99), 0);
    store.vectors.set_vectors(vec![(ids[0], vector.clone()), (unknown, vector.clone())]).await.unwrap();
    assert_eq!(store.episodes.counts().await.unwrap().without_vector, 1);
    let changes = all_changes(&store, &space, 10).await;
    let sequences: Vec<_> = changes.iter().map(|c| (c.sequence, c.id)).collect();
    assert_eq!(sequences, [(2, ids[1]), (3, ids[2]), (4, ids[0])]);
    assert!(matches!(&changes[2].kind, ChangeKind::Put(row) if row.vector.as_ref() == Some(&vector)));
}
