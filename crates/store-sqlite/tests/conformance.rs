//! The embedded engine does what every engine must do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;

use memcloud_domain::Error;
use memcloud_ports::Engine;
use memcloud_store_sqlite::SqliteStore;
use memcloud_store_tests::memory::{histories, index_equals_rebuild_after_any_history};
use memcloud_store_tests::studies::{any_studies_keep_what_is_known, studies};
use memcloud_store_tests::{Store, run};
use proptest::prelude::*;

async fn open(directory: &Path) -> Store {
    Engine::of(Arc::new(SqliteStore::open(directory).await.unwrap()))
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_of_records() {
    let directory = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    memcloud_store_tests::records::run(|| {
        number.set(number.get() + 1);
        let own = directory.path().join(number.get().to_string());
        async move { Arc::new(SqliteStore::open_records(&own).await.unwrap()) as _ }
    })
    .await;
}

#[tokio::test]
async fn records_made_for_another_home_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    // As long as there is nothing, nothing is decided.
    drop(SqliteStore::open_records(directory.path()).await.unwrap());
    memcloud_store_tests::port::deleted_is_gone(open(directory.path()).await).await;
    let refused = SqliteStore::open_records(directory.path()).await;
    assert!(matches!(refused, Err(Error::EpisodesElsewhere { .. })));
    SqliteStore::open(directory.path()).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn index_equals_rebuild(history in histories()) {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async { index_equals_rebuild_after_any_history(open(directory.path()).await, history).await });
    }

    #[test]
    fn any_studies(studies in studies()) {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            any_studies_keep_what_is_known(open(directory.path()).await, studies).await;
        });
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
            members: vec![],
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
    memory.forget(&space, memcloud_ports::Deletion::Session("s".into())).await.unwrap();
    assert!(!holds_secret());
}

/// A process that ended while it learned leaves nobody waiting: the next one begins at once.
#[tokio::test]
async fn leases_end_with_the_process() {
    use memcloud_store_tests::profile::{claim, tell};
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    tell(&store, &memcloud_store_tests::space("leases"), "ann", 0..3).await;
    assert_eq!(claim(&store, 100).await.unwrap().attempt, 1);
    assert_eq!(claim(&store, 100).await, None);
    drop(store);
    assert_eq!(claim(&open(directory.path()).await, 100).await.unwrap().attempt, 2);
}

#[tokio::test]
async fn facts_that_are_deleted_are_in_no_file() {
    use memcloud_store_tests::profile::{add, pet, tell};
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let space = memcloud_store_tests::space("secret");
    let told = tell(&store, &space, "ann", 0..2).await;
    let holds = |secret: &str| {
        std::fs::read_dir(directory.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        })
    };
    let (first, second) = ("xylophone-4711-secret", "zither-4712-secret");
    let fact = add(&store, &space, pet(first, 0, &told[..1])).await;
    add(&store, &space, pet(second, 0, &told[1..])).await;
    assert!(holds(first) && holds(second));
    assert!(store.facts.delete_fact(&space, fact).await.unwrap());
    assert!(!holds(first), "deleted by itself");
    store.episodes.delete(&space, memcloud_ports::Deletion::Session("s".into())).await.unwrap();
    assert!(!holds(second), "deleted with its message");
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

#[cfg(unix)]
#[tokio::test]
async fn memories_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    let parent = tempfile::tempdir().unwrap();
    // One directory is made by the store, the other was there before and is open to all.
    let (made, found) = (parent.path().join("made"), parent.path().join("found"));
    std::fs::create_dir(&found).unwrap();
    std::fs::set_permissions(&found, PermissionsExt::from_mode(0o755)).unwrap();
    for directory in [&made, &found] {
        let store = open(directory).await;
        assert!(store.health.probe().await[0].outcome.is_ok());
        for file in std::fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with(memcloud_store_sqlite::FILE) {
                assert_eq!(mode(&path), 0, "{}", path.display());
            }
        }
    }
    assert_eq!(mode(&made), 0);
}

#[tokio::test]
async fn a_reader_from_outside_holds_up_nothing_and_the_log_is_folded_later() {
    let directory = tempfile::tempdir().unwrap();
    let memory = memcloud_store_tests::memory::memory(open(directory.path()).await).await;
    let space = memcloud_store_tests::space("outside");
    let store = async |content: &str| {
        let request = memcloud_memory::StoreRequest {
            space: space.clone(),
            members: vec![],
            episodes: vec![memcloud_store_tests::said("s", "ann", content)],
            idempotency_key: None,
        };
        memory.store(request).await.unwrap().ids
    };
    let secret = "xylophone-4711-secret";
    let ids = store(secret).await;
    let file = directory.path().join(memcloud_store_sqlite::FILE);
    let outside = rusqlite::Connection::open(&file).unwrap();
    outside.execute_batch("BEGIN; SELECT count(*) FROM episodes").unwrap();
    let deletion = memcloud_ports::Deletion::Episodes(ids);
    assert_eq!(memory.forget(&space, deletion).await.unwrap(), 1);
    outside.execute_batch("COMMIT").unwrap();
    store("something else").await;
    let holds_secret = || {
        [file.with_extension("sqlite3-wal"), file.clone()].iter().any(|file| {
            let bytes = std::fs::read(file).unwrap();
            bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        })
    };
    // The log is folded after the store was answered.
    let gone = async {
        while holds_secret() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.unwrap();
}
