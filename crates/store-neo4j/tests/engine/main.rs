//! Neo4j with records in another engine does what every engine must do.
#![expect(clippy::disallowed_methods, reason = "tests read their own environment and hold their own tasks")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod picture;

use std::sync::Arc;

use memcloud_ports::{ContentLocation, Engine, RecordStore};
use memcloud_store_neo4j::{GraphStore, Target};
use memcloud_store_postgres::PostgresStore;
use memcloud_store_sqlite::SqliteStore;
use memcloud_store_tests::{Store, clock, memory, oracle, run};
use memcloud_test_servers::{Database, SharedNeo4j, SharedPostgres};
use proptest::prelude::*;

pub(crate) fn graph() -> Target {
    let server = SharedNeo4j::from_environment();
    let (user, password) = (server.user().to_owned(), server.password().to_owned().into());
    Target::from_uri(&server.uri(), Some(user), Some(password), None).unwrap()
}

async fn records_in(database: &Database) -> Arc<dyn RecordStore> {
    let target = memcloud_store_postgres::Target::from_url(&database.url(), None).unwrap();
    Arc::new(PostgresStore::open_for(target, clock(), ContentLocation::Graph).await)
}

async fn open(database: &Database) -> Store {
    Arc::new(GraphStore::open(graph(), records_in(database).await).await).engine()
}

fn wait_for(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(test);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms_with_records_in_postgres() {
    let server = SharedPostgres::from_environment();
    let databases = std::cell::RefCell::new(Vec::new());
    run(|| {
        let database = server.create_database();
        databases.borrow_mut().push(database);
        let target =
            memcloud_store_postgres::Target::from_url(&databases.borrow().last().unwrap().url(), None);
        async move {
            let records =
                Arc::new(PostgresStore::open_for(target.unwrap(), clock(), ContentLocation::Graph).await);
            Arc::new(GraphStore::open(graph(), records).await).engine()
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms_with_records_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    run(|| {
        number.set(number.get() + 1);
        let own = directory.path().join(number.get().to_string());
        async move {
            let records =
                Arc::new(SqliteStore::open_for(&own, clock(), ContentLocation::Graph).await.unwrap());
            Arc::new(GraphStore::open(graph(), records).await).engine()
        }
    })
    .await;
}

/// The embedded engine, PostgreSQL, and Neo4j with either for its records give the same answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_engines_give_the_same_hits_in_the_same_order() {
    let (directory, server) = (tempfile::tempdir().unwrap(), SharedPostgres::from_environment());
    let (alone, records) = (server.create_database(), server.create_database());
    let target = memcloud_store_postgres::Target::from_url(&alone.url(), None).unwrap();
    let embedded = Arc::new(
        SqliteStore::open_for(&directory.path().join("records"), clock(), ContentLocation::Graph)
            .await
            .unwrap(),
    );
    memcloud_store_tests::agreement::equal_answers(vec![
        (
            "embedded",
            Engine::of(Arc::new(SqliteStore::open(&directory.path().join("all"), clock()).await.unwrap())),
        ),
        ("PostgreSQL", Engine::of(Arc::new(PostgresStore::open(target, clock()).await))),
        ("Neo4j + PostgreSQL", open(&records).await),
        ("Neo4j + embedded records", Arc::new(GraphStore::open(graph(), embedded).await).engine()),
    ])
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

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
