//! PostgreSQL does what every engine must do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use memcloud_memory::ports::{EpisodeStore, Records};
use memcloud_model::Error;
use memcloud_store_postgres::{PostgresStore, Target};
use memcloud_store_tests::memory::{any_deeds_leave_the_truth, deeds};
use memcloud_store_tests::run;
use memcloud_test_servers::{Database, SharedPostgres};
use proptest::prelude::*;

fn target(database: &Database) -> Target {
    Target::from_url(&database.url(), None).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story() {
    let server = SharedPostgres::from_environment();
    let databases = std::cell::RefCell::new(Vec::new());
    run(|| {
        let database = server.create_database();
        let target = target(&database);
        databases.borrow_mut().push(database);
        async move { Arc::new(PostgresStore::open(target).await) as _ }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_of_records() {
    let server = SharedPostgres::from_environment();
    let databases = std::cell::RefCell::new(Vec::new());
    memcloud_store_tests::records::run(|| {
        let database = server.create_database();
        let target = target(&database);
        databases.borrow_mut().push(database);
        async move { Arc::new(PostgresStore::open_records(target).await) as _ }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_made_for_another_home_are_refused() {
    let database = SharedPostgres::from_environment().create_database();
    // As long as there is nothing, nothing is decided.
    PostgresStore::open_records(target(&database)).await.counts().await.unwrap();
    let store = Arc::new(PostgresStore::open(target(&database)).await);
    memcloud_store_tests::port::deleted_is_gone(store).await;
    let other = PostgresStore::open_records(target(&database)).await;
    let refused = other.counts().await;
    assert!(matches!(refused, Err(Error::EpisodesElsewhere { .. })), "{refused:?}");
}

/// Of servers that start at once on an empty database, one makes the schema and the others wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_may_start_at_once() {
    let database = SharedPostgres::from_environment().create_database();
    let starts: Vec<_> =
        (0..5).map(|_| tokio::spawn(PostgresStore::open_records(target(&database)))).collect();
    let mut names = Vec::new();
    for start in starts {
        names.push(start.await.unwrap().memory().await.unwrap());
    }
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_deeds(deeds in deeds()) {
        let database = SharedPostgres::from_environment().create_database();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Arc::new(PostgresStore::open(target(&database)).await);
            any_deeds_leave_the_truth(store, deeds).await;
        });
    }
}
