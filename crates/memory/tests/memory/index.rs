use memcloud_memory::{Limits, SearchQuery, StoreRequest};
use memcloud_ports::{Change, ChangeKind, Position};
use memcloud_store_tests::memory::{histories, index_equals_rebuild_after_any_history};
use proptest::prelude::*;

use crate::world::{World, contents, message, query, request, space, store, unchecked};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_index_equals_a_rebuild_after_any_history(history in histories()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            index_equals_rebuild_after_any_history(world.engine, history).await;
        });
    }
}

#[tokio::test]
async fn an_index_that_was_dropped_for_lack_of_room_is_rebuilt() {
    let world = World::with_limits(Limits { index_bytes: 1, ..Limits::default() }).await;
    let spaces = ["one", "two"].map(|name| memcloud_domain::Space::new("universal", name));
    for space in &spaces {
        let episode = message("Ann", &format!("The kettle of {} is on.", space.project));
        let request = StoreRequest { space: space.clone(), ..request(vec![episode]) };
        store(&world.memory, request).await.unwrap();
    }
    for space in spaces.iter().cycle().take(6) {
        let query = SearchQuery { space: space.clone(), ..unchecked("kettle", 5) };
        let hits = world.memory.search(&query.checked(world.memory.limits()).unwrap()).await.unwrap().hits;
        assert_eq!(contents(&hits), [format!("The kettle of {} is on.", space.project)]);
    }
}

#[tokio::test]
async fn a_long_silence_ends_a_segment() {
    let world = World::new().await;
    world.tell(&["Ann: Clara breeds alpacas.", "Ann: Seven of them."]).await;
    world.clock.advance_minutes(7 * 60);
    world.tell(&["Ann: Seven of them, too."]).await;
    let hits = world.memory.search(&query("Who breeds alpacas?", 3)).await.unwrap().hits;
    assert_eq!(contents(&hits)[..2], ["Clara breeds alpacas.", "Seven of them."], "the neighbor profits");
    let parts =
        |content: &str| hits.iter().find(|hit| hit.episode.content == content).unwrap().explanation.parts;
    assert!(parts("Seven of them.").segment > parts("Seven of them, too.").segment);
}

#[tokio::test]
async fn analyses_of_another_version_are_made_again_and_stored_once() {
    let world = World::new().await;
    let ids = world.tell(&["Ann: The kettle is on.", "Ann: The kettle is off.", "Bob: Tea, please."]).await;
    let stored = async || -> Vec<Vec<u8>> {
        let changes = world.engine.history.changes(&space(), Position::default(), 10).await.unwrap().unwrap();
        let analysis = |change: Change| match change.kind {
            ChangeKind::Put(row) => row.analysis,
            ChangeKind::Removed => panic!("nothing was removed"),
        };
        changes.into_iter().map(analysis).collect()
    };
    let current = stored().await;
    let of_version = |version: u8, at: usize| (ids[at], [&[version], &current[at][1..]].concat());
    let later = of_version(u8::MAX, 1);
    let analyses = vec![of_version(current[0][0] - 1, 0), later.clone(), (ids[2], vec![])];
    world.engine.history.set_analyses(analyses).await.unwrap();
    let hits = world.reopened(true).await.search(&query("kettle", 5)).await.unwrap().hits;
    assert_eq!(contents(&hits)[..2], ["The kettle is on.", "The kettle is off."]);
    // A server of a later version, which may run at the same time, keeps its own.
    assert_eq!(stored().await, [current[0].clone(), later.1, current[2].clone()]);
}
