//! PostgreSQL does what every engine must do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use memcloud_domain::Error;
use memcloud_ports::{Deletion, Engine, EpisodeStore, RecordStore, Revision};
use memcloud_store_postgres::{PostgresStore, Target};
use memcloud_store_tests::memory::{histories, index_equals_rebuild_after_any_history};
use memcloud_store_tests::studies::{any_studies_keep_what_is_known, studies};
use memcloud_store_tests::{Store, run};
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
        async move { Engine::of(Arc::new(PostgresStore::open(target).await)) }
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
    let store = Engine::of(Arc::new(PostgresStore::open(target(&database)).await));
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

/// Servers share the subjects out among them; none learns about one that another is learning about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_take_on_a_subject_once() {
    let database = SharedPostgres::from_environment().create_database();
    let [one, two]: [Store; 2] = [
        Engine::of(Arc::new(PostgresStore::open(target(&database)).await)),
        Engine::of(Arc::new(PostgresStore::open(target(&database)).await)),
    ];
    for n in 0..10 {
        let space = memcloud_store_tests::space(&format!("space-{n}"));
        memcloud_store_tests::profile::tell(&one, &space, "ann", n * 10..n * 10 + 3).await;
        let claims: Vec<_> = (0..6)
            .map(|n| {
                let store = if n % 2 == 0 { one.clone() } else { two.clone() };
                tokio::spawn(async move { memcloud_store_tests::profile::claim(&store, 1_000).await })
            })
            .collect();
        let mut taken = 0;
        for claim in claims {
            taken += usize::from(claim.await.unwrap().is_some());
        }
        assert_eq!(taken, 1);
    }
}

/// Servers that learn in the same microsecond, in many spaces, all keep what they have learned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_learn_at_the_same_moment() {
    use memcloud_store_tests::profile::{add, current, pet, tell};
    let database = SharedPostgres::from_environment().create_database();
    let [one, two]: [Store; 2] = [
        Engine::of(Arc::new(PostgresStore::open(target(&database)).await)),
        Engine::of(Arc::new(PostgresStore::open(target(&database)).await)),
    ];
    let learned: Vec<_> = (0..4)
        .map(|n| {
            let store = if n % 2 == 0 { one.clone() } else { two.clone() };
            tokio::spawn(async move {
                let space = memcloud_store_tests::space(&format!("space-{n}"));
                let told = tell(&store, &space, "ann", n * 10..n * 10 + 5).await;
                for (name, told) in ["Tom", "Mia", "Leo", "Zoe", "Rex"].into_iter().zip(&told) {
                    add(&store, &space, pet(name, 0, &[*told])).await;
                }
                assert_eq!(current(&store, &space).await.len(), 5);
            })
        })
        .collect();
    for learner in learned {
        learner.await.unwrap();
    }
}

/// What is learned while its message is deleted by another server does not outlive it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fact_outlives_a_message_that_is_deleted_meanwhile() {
    use memcloud_store_tests::profile::{LATER, all, pet, revise, tell};
    let database = SharedPostgres::from_environment().create_database();
    let [one, two]: [Store; 2] = [
        Engine::of(Arc::new(PostgresStore::open(target(&database)).await)),
        Engine::of(Arc::new(PostgresStore::open(target(&database)).await)),
    ];
    let space = memcloud_store_tests::space("race");
    for n in 0..30 {
        let told = tell(&one, &space, "ann", n * 2..n * 2 + 2).await;
        let name = format!("Tom {n}");
        revise(&one, &space, LATER, vec![Revision::Add(pet(&name, 0, &told[..1]))]).await;
        let learn = revise(&one, &space, LATER, vec![Revision::Add(pet(&name, 0, &told[1..]))]);
        let forget = two.episodes.delete(&space, Deletion::Episodes(vec![told[(n % 2) as usize]]));
        let (_, forgotten) = tokio::join!(learn, forget);
        assert_eq!(forgotten.unwrap(), 1);
        let facts = all(&one).await;
        assert_eq!(facts.len(), 1, "it rests on the other one");
        assert_eq!(facts[0].fact.citations, [told[1 - (n % 2) as usize]]);
        one.episodes.delete(&space, Deletion::Session("s".into())).await.unwrap();
        assert!(all(&one).await.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn index_equals_rebuild(history in histories()) {
        let database = SharedPostgres::from_environment().create_database();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Engine::of(Arc::new(PostgresStore::open(target(&database)).await));
            index_equals_rebuild_after_any_history(store, history).await;
        });
    }

    #[test]
    fn any_studies(studies in studies()) {
        let database = SharedPostgres::from_environment().create_database();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Engine::of(Arc::new(PostgresStore::open(target(&database)).await));
            any_studies_keep_what_is_known(store, studies).await;
        });
    }
}
