//! The embedded engine does what every engine must do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;

use memcloud_model::Error;
use memcloud_store_sqlite::SqliteStore;
use memcloud_store_tests::memory::{any_deeds_leave_the_truth, deeds};
use memcloud_store_tests::{Store, run};
use proptest::prelude::*;

async fn open(directory: &Path) -> Store {
    Arc::new(SqliteStore::open(directory).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story() {
    let directory = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    run(|| {
        number.set(number.get() + 1);
        let own = directory.path().join(number.get().to_string());
        async move { open(&own).await }
    })
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_deeds(deeds in deeds()) {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async { any_deeds_leave_the_truth(open(directory.path()).await, deeds).await });
    }
}

#[tokio::test]
async fn a_directory_is_held_by_one_store() {
    let directory = tempfile::tempdir().unwrap();
    let held = SqliteStore::open(directory.path()).await.unwrap();
    assert!(matches!(SqliteStore::open(directory.path()).await, Err(Error::StorageLocked { .. })));
    drop(held);
    SqliteStore::open(directory.path()).await.unwrap();
}

#[tokio::test]
async fn what_is_deleted_is_in_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let space = memcloud_store_tests::space("secret");
    let memory = memcloud_store_tests::memory::memory(store).await;
    let secret = "xylophone-4711-secret";
    memory
        .store(memcloud_memory::StoreRequest {
            space: space.clone(),
            attendance: vec![],
            episodes: vec![memcloud_store_tests::said("s", "ann", secret)],
            idempotency_key: None,
        })
        .await
        .unwrap();
    let holds_secret = || {
        std::fs::read_dir(directory.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        })
    };
    assert!(holds_secret());
    memory.forget(&space, memcloud_memory::ports::Deletion::Session("s".into())).await.unwrap();
    assert!(!holds_secret());
}

#[tokio::test]
async fn a_newer_schema_is_refused_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(directory.path()).await.unwrap());
    let file = directory.path().join(memcloud_store_sqlite::FILE);
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let refused = SqliteStore::open(directory.path()).await;
    assert!(matches!(refused, Err(Error::StorageNewer { found: 99, .. })));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join(memcloud_store_sqlite::FILE),
        "not a database, but long enough".repeat(99),
    )
    .unwrap();
    assert!(matches!(SqliteStore::open(directory.path()).await, Err(Error::Storage { .. })));
}
