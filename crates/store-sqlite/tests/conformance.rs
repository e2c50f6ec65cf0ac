//! The embedded engine does what every engine must do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;

use memcloud_domain::Error;
use memcloud_ports::{ContentLocation, Engine, EpisodesOf, delete_all};
use memcloud_store_sqlite::SqliteStore;
use memcloud_store_tests::{Store, clock, memory, oracle, records, run};
use proptest::prelude::*;

async fn open(directory: &Path) -> Store {
    Engine::of(Arc::new(SqliteStore::open(directory, clock()).await.unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms() {
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
async fn its_records_conform() {
    let directory = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    records::run(|| {
        number.set(number.get() + 1);
        let own = directory.path().join(number.get().to_string());
        async move { Arc::new(SqliteStore::open_for(&own, clock(), ContentLocation::Graph).await.unwrap()) as _ }
    })
    .await;
}

#[tokio::test]
async fn records_of_another_engine_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    // A store without episodes may still be opened either way.
    drop(SqliteStore::open_for(directory.path(), clock(), ContentLocation::Graph).await.unwrap());
    memcloud_store_tests::episodes::deleted_episodes_are_gone(open(directory.path()).await).await;
    let refused = SqliteStore::open_for(directory.path(), clock(), ContentLocation::Graph).await;
    assert!(matches!(refused, Err(Error::EpisodesElsewhere { .. })));
    SqliteStore::open(directory.path(), clock()).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn index_equals_rebuild_after_any_history(history in memory::histories()) {
        let directory = tempfile::tempdir().unwrap();
        let test = async { memory::index_equals_rebuild_after_any_history(open(directory.path()).await, history).await };
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(test);
    }

    #[test]
    fn answers_equal_the_oracle(operations in oracle::operations()) {
        let directory = tempfile::tempdir().unwrap();
        let test = async { oracle::answers_equal_the_oracle(open(directory.path()).await, operations).await };
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(test);
    }
}

#[tokio::test]
async fn a_directory_is_held_by_one_store() {
    let directory = tempfile::tempdir().unwrap();
    let held = SqliteStore::open(directory.path(), clock()).await.unwrap();
    assert!(matches!(SqliteStore::open(directory.path(), clock()).await, Err(Error::StorageLocked { .. })));
    drop(held);
    SqliteStore::open(directory.path(), clock()).await.unwrap();
}

#[tokio::test]
async fn deleted_text_is_in_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let space = memcloud_store_tests::space("secret");
    let memory = memory::memory(store).await;
    let secret = "xylophone-4711-secret";
    let request = memcloud_memory::StoreRequest {
        space: space.clone(),
        members: vec![],
        episodes: vec![memcloud_store_tests::said("s", "ann", secret)],
        idempotency_key: None,
    };
    memory.store(request.checked(memory.limits()).unwrap()).await.unwrap();
    let holds_secret = || {
        std::fs::read_dir(directory.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        })
    };
    assert!(holds_secret());
    delete_all(&*memory.engine().episodes, &space, &EpisodesOf::Session("s".into())).await.unwrap();
    assert!(!holds_secret());
}

#[tokio::test]
async fn no_name_is_left_in_any_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let holds = async |name: &str| {
        std::fs::read_dir(directory.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(name.len()).any(|window| window == name.as_bytes())
        })
    };
    memcloud_store_tests::erasure::no_name_is_left(store, holds).await;
}

/// If a process ends while it learns, the next one claims its messages at once.
#[tokio::test]
async fn leases_end_with_the_process() {
    use memcloud_store_tests::learned::{claim, store_messages};
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store_messages(&store, &memcloud_store_tests::space("leases"), "ann", 0..3).await;
    assert_eq!(claim(&store, 100).await.unwrap().attempt, 1);
    assert_eq!(claim(&store, 100).await, None);
    drop(store);
    assert_eq!(claim(&open(directory.path()).await, 100).await.unwrap().attempt, 2);
}

#[tokio::test]
async fn deleted_facts_are_in_no_file() {
    use memcloud_store_tests::learned::{add_fact, pet, store_messages};
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let space = memcloud_store_tests::space("secret");
    let ids = store_messages(&store, &space, "ann", 0..2).await;
    let holds = |secret: &str| {
        std::fs::read_dir(directory.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        })
    };
    let (first, second) = ("xylophone-4711-secret", "zither-4712-secret");
    let fact = add_fact(&store, &space, pet(first, 0, &ids[..1])).await;
    add_fact(&store, &space, pet(second, 0, &ids[1..])).await;
    assert!(holds(first) && holds(second));
    assert!(store.facts.delete_fact(&(&space).into(), fact).await.unwrap());
    assert!(!holds(first), "deleted by itself");
    delete_all(&*store.episodes, &space, &EpisodesOf::Session("s".into())).await.unwrap();
    assert!(!holds(second), "deleted with its message");
}

#[tokio::test]
async fn a_row_of_facts_or_keys_that_cannot_be_read_costs_itself() {
    for (fact, key) in [
        ("metadata = 'no JSON'", "rights = 'fly'"),
        ("learned_at = 9223372036854775807", "spaces = '7'"),
        ("value = CAST(x'ff' AS TEXT)", "revoked_at = 9223372036854775807"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).await;
        let file = directory.path().join(memcloud_store_sqlite::FILE);
        let outside = rusqlite::Connection::open(&file).unwrap();
        let run = |table: &str, change: &str| {
            assert_eq!(outside.execute(&format!("UPDATE {table} {change}"), []).unwrap(), 1);
        };
        memcloud_store_tests::damage::a_damaged_row_costs_itself(&store, run, fact, key).await;
    }
}

/// A page of facts that cannot be read costs what is on it.
#[tokio::test]
async fn a_page_of_facts_that_cannot_be_read_costs_its_facts() {
    use memcloud_store_tests::learned::{add_fact, current_facts, pet, store_messages};
    const PAGE: usize = 4_096;
    let directory = tempfile::tempdir().unwrap();
    let space = memcloud_store_tests::space("pages");
    let store = open(directory.path()).await;
    let ids = store_messages(&store, &space, "ann", 0..1).await;
    for n in 0..60 {
        let name = format!("cat number {n} {}", "of many words ".repeat(30));
        add_fact(&store, &space, pet(&name, 0, &ids)).await;
    }
    drop(store);
    let file = directory.path().join(memcloud_store_sqlite::FILE);
    let mut bytes = std::fs::read(&file).unwrap();
    let words = b"cat number 30 ";
    let damaged = bytes.windows(words.len()).position(|window| window == words).unwrap() / PAGE;
    bytes[damaged * PAGE..][..PAGE].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    let store = open(directory.path()).await;
    let left = current_facts(&store, &space).await;
    assert!((40..60).contains(&left.len()), "{} of 60 are left", left.len());
    assert!(left.iter().all(|fact| !fact.value.starts_with("cat number 30 ")));
    let broken = store.health.probe().await.remove(0).outcome.unwrap_err().to_string();
    assert!(broken.contains(&format!("{} facts cannot be read", 60 - left.len())), "{broken}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(directory.path(), clock()).await.unwrap());
    let file = directory.path().join(memcloud_store_sqlite::FILE);
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let refused = SqliteStore::open(directory.path(), clock()).await;
    assert!(matches!(refused, Err(Error::StorageNewer { found: 99, .. })));
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join(memcloud_store_sqlite::FILE),
        "not a database, but long enough".repeat(99),
    )
    .unwrap();
    assert!(matches!(
        SqliteStore::open(directory.path(), clock()).await,
        Err(Error::StorageUnreadable { .. })
    ));
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    let parent = tempfile::tempdir().unwrap();
    // The store creates one directory. The other existed before and everyone can read it.
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
async fn a_reader_of_the_file_delays_the_checkpoint_but_no_request() {
    let directory = tempfile::tempdir().unwrap();
    let memory = memory::memory(open(directory.path()).await).await;
    let space = memcloud_store_tests::space("outside");
    let store = async |content: &str| {
        let request = memcloud_memory::StoreRequest {
            space: space.clone(),
            members: vec![],
            episodes: vec![memcloud_store_tests::said("s", "ann", content)],
            idempotency_key: None,
        };
        memory.store(request.checked(memory.limits()).unwrap()).await.unwrap().ids
    };
    let secret = "xylophone-4711-secret";
    let ids = store(secret).await;
    let file = directory.path().join(memcloud_store_sqlite::FILE);
    let outside = rusqlite::Connection::open(&file).unwrap();
    outside.execute_batch("BEGIN; SELECT count(*) FROM episodes").unwrap();
    let deletion = &ids;
    assert_eq!(memory.engine().episodes.delete(&space, deletion).await.unwrap(), 1);
    outside.execute_batch("COMMIT").unwrap();
    store("something else").await;
    let holds_secret = || {
        [file.with_extension("sqlite3-wal"), file.clone()].iter().any(|file| {
            let bytes = std::fs::read(file).unwrap();
            bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        })
    };
    // The checkpoint runs after the store was answered.
    let gone = async {
        while holds_secret() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.unwrap();
}
