use memcloud_memory::{Limits, SearchQuery, StoreRequest};
use memcloud_store_tests::memory::{histories, index_equals_rebuild_after_any_history};
use proptest::prelude::*;

use crate::world::{World, contents, message, query, request, store};

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
        let query = SearchQuery { space: space.clone(), ..query("kettle", 5) };
        let hits = world.memory.search(query).await.unwrap().hits;
        assert_eq!(contents(&hits), [format!("The kettle of {} is on.", space.project)]);
    }
}

#[tokio::test]
async fn a_long_silence_ends_a_segment() {
    let world = World::new().await;
    world.tell(&["Ann: Clara breeds alpacas.", "Ann: Seven of them."]).await;
    world.clock.advance_minutes(7 * 60);
    world.tell(&["Ann: Seven of them, too."]).await;
    let hits = world.memory.search(query("Who breeds alpacas?", 3)).await.unwrap().hits;
    assert_eq!(contents(&hits)[..2], ["Clara breeds alpacas.", "Seven of them."], "the neighbor profits");
    let parts =
        |content: &str| hits.iter().find(|hit| hit.episode.content == content).unwrap().explanation.parts;
    assert!(parts("Seven of them.").segment > parts("Seven of them, too.").segment);
}
