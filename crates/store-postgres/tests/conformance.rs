//! PostgreSQL does what every engine must do.
#![expect(clippy::disallowed_methods, reason = "tests read their own environment and hold their own tasks")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use memcloud_domain::Error;
use memcloud_ports::{ContentLocation, Engine, EpisodeStore, EpisodesOf, RecordStore, Revision, delete_all};
use memcloud_store_postgres::{PostgresStore, Target};
use memcloud_store_tests::{Store, clock, memory, oracle, records, run};
use memcloud_test_servers::{Database, SharedPostgres};
use proptest::prelude::*;

fn target(database: &Database) -> Target {
    Target::from_url(&database.url(), None).unwrap()
}

async fn open(database: &Database) -> Store {
    Engine::of(Arc::new(PostgresStore::open(target(database), clock()).await))
}

fn wait_for(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(test);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms() {
    let server = SharedPostgres::from_environment();
    let databases = std::cell::RefCell::new(Vec::new());
    run(|| {
        let database = server.create_database();
        let target = target(&database);
        databases.borrow_mut().push(database);
        async move { Engine::of(Arc::new(PostgresStore::open(target, clock()).await)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_records_conform() {
    let server = SharedPostgres::from_environment();
    let databases = std::cell::RefCell::new(Vec::new());
    records::run(|| {
        let database = server.create_database();
        let target = target(&database);
        databases.borrow_mut().push(database);
        async move { Arc::new(PostgresStore::open_for(target, clock(), ContentLocation::Graph).await) as _ }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_another_engine_are_refused() {
    let database = SharedPostgres::from_environment().create_database();
    // A store without episodes may still be opened either way.
    PostgresStore::open_for(target(&database), clock(), ContentLocation::Graph).await.counts().await.unwrap();
    let store = open(&database).await;
    memcloud_store_tests::episodes::deleted_episodes_are_gone(store).await;
    let other = PostgresStore::open_for(target(&database), clock(), ContentLocation::Graph).await;
    let refused = other.counts().await;
    assert!(matches!(refused, Err(Error::EpisodesElsewhere { .. })), "{refused:?}");
}

/// Whether a row of any table has this text, or its bytes.
fn holds(database: &Database, text: &str) -> bool {
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'memcloud'";
    database.execute(tables).lines().any(|table| {
        let found = format!(
            "SELECT count(*) FROM memcloud.{table} t
             WHERE t::text LIKE '%{text}%' OR t::text LIKE '%' || encode('{text}', 'hex') || '%'"
        );
        database.execute(&found).trim() != "0"
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_is_left_in_any_table() {
    let database = SharedPostgres::from_environment().create_database();
    let store = open(&database).await;
    memcloud_store_tests::erasure::no_name_is_left(store, async |name| holds(&database, name)).await;
}

/// Stores that use a session while it is being removed are all stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_stored_in_while_it_is_deleted() {
    use memcloud_store_tests::learned::store_messages;
    let database = SharedPostgres::from_environment().create_database();
    let [one, two]: [Store; 2] = [open(&database).await, open(&database).await];
    let space = memcloud_store_tests::space("race");
    let memory = memory::memory(two).await;
    for n in 0..30 {
        let (stored, deleted) = tokio::join!(
            store_messages(&one, &space, "ann", n * 2..n * 2 + 2),
            memory.delete_session(&space, "s")
        );
        let deleted = deleted.unwrap().unwrap_or(0);
        let left = one.episodes.episodes(&space, &stored).await.unwrap().len() as u64;
        assert!(deleted + left >= 2, "{deleted} were deleted and {left} are left");
        assert_eq!(one.sessions.session(&space, "s", 0).await.unwrap().is_some(), left > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_facts_or_keys_that_cannot_be_read_costs_itself() {
    for (fact, key) in [
        ("metadata = '[1]'", "rights = 'fly'"),
        ("learned_at = 9223372036854775807", "spaces = '7'"),
        ("valid_from = -9223372036854775808", "revoked_at = 9223372036854775807"),
    ] {
        let database = SharedPostgres::from_environment().create_database();
        let store = open(&database).await;
        let run =
            |table: &str, change: &str| drop(database.execute(&format!("UPDATE memcloud.{table} {change}")));
        memcloud_store_tests::damage::a_damaged_row_costs_itself(&store, run, fact, key).await;
        database.execute("DELETE FROM memcloud.api_keys WHERE id = 'b'");
        assert!(store.health.probe().await.remove(0).outcome.is_ok());
    }
}

/// If servers start at the same time on an empty database, one creates the schema and the others wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_can_start_at_the_same_time() {
    let database = SharedPostgres::from_environment().create_database();
    let starts: Vec<_> = (0..5)
        .map(|_| tokio::spawn(PostgresStore::open_for(target(&database), clock(), ContentLocation::Graph)))
        .collect();
    let mut names = Vec::new();
    for start in starts {
        names.push(start.await.unwrap().memory().await.unwrap());
    }
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
}

/// Two servers never learn about the same profile at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_claim_a_profile_once() {
    let database = SharedPostgres::from_environment().create_database();
    let [one, two]: [Store; 2] = [open(&database).await, open(&database).await];
    for n in 0..10 {
        let space = memcloud_store_tests::space(&format!("space-{n}"));
        memcloud_store_tests::learned::store_messages(&one, &space, "ann", n * 10..n * 10 + 3).await;
        let claims: Vec<_> = (0..6)
            .map(|n| {
                let store = if n % 2 == 0 { one.clone() } else { two.clone() };
                tokio::spawn(async move { memcloud_store_tests::learned::claim(&store, 1_000).await })
            })
            .collect();
        let mut taken = 0;
        for claim in claims {
            taken += usize::from(claim.await.unwrap().is_some());
        }
        assert_eq!(taken, 1);
    }
}

/// Servers that learn in the same microsecond, in many spaces, all store their facts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_learn_at_the_same_moment() {
    use memcloud_store_tests::learned::{add_fact, current_facts, pet, store_messages};
    let database = SharedPostgres::from_environment().create_database();
    let [one, two]: [Store; 2] = [open(&database).await, open(&database).await];
    let learned: Vec<_> = (0..4)
        .map(|n| {
            let store = if n % 2 == 0 { one.clone() } else { two.clone() };
            tokio::spawn(async move {
                let space = memcloud_store_tests::space(&format!("space-{n}"));
                let ids = store_messages(&store, &space, "ann", n * 10..n * 10 + 5).await;
                for (name, ids) in ["Tom", "Mia", "Leo", "Zoe", "Rex"].into_iter().zip(&ids) {
                    add_fact(&store, &space, pet(name, 0, &[*ids])).await;
                }
                assert_eq!(current_facts(&store, &space).await.len(), 5);
            })
        })
        .collect();
    for learner in learned {
        learner.await.unwrap();
    }
}

/// A fact that is learned while another server deletes its message does not outlive the message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fact_outlives_a_concurrent_deletion() {
    use memcloud_store_tests::learned::{LATER, all_facts, pet, revise, store_messages};
    let database = SharedPostgres::from_environment().create_database();
    let [one, two]: [Store; 2] = [open(&database).await, open(&database).await];
    let space = memcloud_store_tests::space("race");
    for n in 0..30 {
        let ids = store_messages(&one, &space, "ann", n * 2..n * 2 + 2).await;
        let name = format!("Tom {n}");
        revise(&one, &space, LATER, vec![Revision::Add(pet(&name, 0, &ids[..1]))]).await;
        let learn = revise(&one, &space, LATER, vec![Revision::Add(pet(&name, 0, &ids[1..]))]);
        let forgotten = [ids[(n % 2) as usize]];
        let forget = two.episodes.delete(&space, &forgotten);
        let (_, forgotten) = tokio::join!(learn, forget);
        assert_eq!(forgotten.unwrap(), 1);
        let facts = all_facts(&one).await;
        assert_eq!(facts.len(), 1, "it cites the other message");
        assert_eq!(facts[0].fact.citations, [ids[1 - (n % 2) as usize]]);
        delete_all(&*one.episodes, &space, &EpisodesOf::Session("s".into())).await.unwrap();
        assert!(all_facts(&one).await.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn index_equals_rebuild_after_any_history(history in memory::histories()) {
        let database = SharedPostgres::from_environment().create_database();
        wait_for(async { memory::index_equals_rebuild_after_any_history(open(&database).await, history).await });
    }

    #[test]
    fn answers_equal_the_oracle(operations in oracle::operations()) {
        let database = SharedPostgres::from_environment().create_database();
        wait_for(async { oracle::answers_equal_the_oracle(open(&database).await, operations).await });
    }
}
