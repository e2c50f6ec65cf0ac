//! What the store does when its files are used, taken or lost by others.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use memcloud_domain::{Error, Space};
use memcloud_memory::{Memory, StoreRequest};
use memcloud_ports::{Engine, EpisodesOf, delete_all};
use memcloud_store_sqlite::{FILE, SqliteStore};
use memcloud_store_tests::{clock, memory, said, space};
use rusqlite::Connection;

async fn open(directory: &Path) -> Engine {
    Engine::of(Arc::new(SqliteStore::open(directory, clock()).await.unwrap()))
}

async fn store(memory: &Memory, space: &Space, content: &str) -> Result<(), Error> {
    let episodes = vec![said("s", "ann", content)];
    let request = StoreRequest { space: space.clone(), members: vec![], episodes, idempotency_key: None };
    memory.store(request.checked(memory.limits())?).await.map(drop)
}

fn sibling(directory: &Path, suffix: &str) -> PathBuf {
    directory.join(format!("{FILE}{suffix}"))
}

async fn failure(engine: &Engine) -> Error {
    engine.health.probe().await.remove(0).outcome.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_run_side_by_side_and_touch_no_file_of_others() {
    let directory = tempfile::tempdir().unwrap();
    let outside = directory.path().join("outside");
    std::fs::write(&outside, "mine").unwrap();
    std::os::unix::fs::symlink(&outside, directory.path().join("room")).unwrap();
    let engine = open(directory.path()).await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let engine = engine.clone();
        running.spawn(async move {
            for _ in 0..20 {
                engine.health.probe().await.remove(0).outcome.unwrap();
            }
        });
    }
    running.join_all().await;
    assert_eq!(std::fs::read_to_string(directory.path().join("room")).unwrap(), "mine");
}

#[tokio::test]
async fn a_lock_of_another_program_is_waited_for_and_then_reported() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    let memory = memory::memory(engine.clone()).await;
    let space = space("locked");
    let other = Connection::open(directory.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let (stored, late, probe) = tokio::join!(
        store(&memory, &space, "one"),
        async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            store(&memory, &space, "two").await
        },
        failure(&engine)
    );
    assert!(matches!(stored, Err(Error::StorageBusy(_))), "{stored:?}");
    assert!(matches!(late, Err(Error::StorageBusy(_))), "{late:?}");
    assert!(matches!(probe, Error::StorageBusy(_)), "{probe:?}");
    // Both wait ten seconds, and the second does not wait for the first as well.
    assert!((9..=14).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    store(&memory, &space, "three").await.unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.execute_batch("ROLLBACK").unwrap();
    };
    let (stored, ()) = tokio::join!(store(&memory, &space, "four"), release);
    stored.unwrap();
}

#[tokio::test]
async fn a_reader_of_another_program_slows_no_store_after_a_deletion() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    let memory = memory::memory(engine.clone()).await;
    let space = space("read");
    store(&memory, &space, "to be deleted").await.unwrap();
    let timed = async || {
        let began = Instant::now();
        for n in 0..20 {
            store(&memory, &space, &format!("number {n}")).await.unwrap();
        }
        began.elapsed()
    };
    let alone = timed().await;
    let other = Connection::open(directory.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM episodes").unwrap();
    delete_all(&*engine.episodes, &space, &EpisodesOf::Session("s".into())).await.unwrap();
    let during = timed().await;
    // Before, each of the twenty waited a quarter of a second.
    assert!(during < alone * 3 + Duration::from_secs(1), "{during:?} during a read, {alone:?} alone");
}

#[tokio::test]
async fn nothing_is_stored_into_files_that_are_gone() {
    let parent = tempfile::tempdir().unwrap();
    let home = parent.path().join("data");
    let away = parent.path().join("away");
    let engine = open(&home).await;
    let memory = memory::memory(engine.clone()).await;
    let space = space("gone");
    store(&memory, &space, "kept").await.unwrap();
    std::fs::rename(&home, &away).unwrap();
    for _ in 0..2 {
        assert!(matches!(store(&memory, &space, "lost").await, Err(Error::StorageGone { .. })));
        assert!(matches!(failure(&engine).await, Error::StorageGone { .. }));
    }
    assert!(!home.exists(), "nothing is made in its place");
    std::fs::rename(&away, &home).unwrap();
    store(&memory, &space, "kept as well").await.unwrap();
    assert!(engine.health.probe().await[0].outcome.is_ok());
    for suffix in ["", "-wal", "-shm"] {
        let (file, copy) = (sibling(&home, suffix), parent.path().join("copy"));
        std::fs::copy(&file, &copy).unwrap();
        let original = parent.path().join("original");
        std::fs::rename(&file, &original).unwrap();
        std::fs::rename(&copy, &file).unwrap();
        assert!(matches!(store(&memory, &space, "lost").await, Err(Error::StorageGone { .. })), "{suffix}");
        std::fs::rename(&original, &file).unwrap();
    }
    store(&memory, &space, "kept, too").await.unwrap();
    assert_eq!(engine.episodes.counts().await.unwrap().episodes, 3);
}

/// Shortens a file as another program does.
fn shorten(file: &Path, bytes: u64) {
    let ran = std::process::Command::new("truncate").args(["-s", &bytes.to_string()]).arg(file).status();
    assert!(ran.unwrap().success());
}

#[tokio::test]
async fn nothing_is_stored_into_files_that_were_shortened() {
    let shares = [|_| 0, |bytes: u64| bytes / 2, |bytes| bytes - 1];
    for (suffix, left) in ["-wal", ""].into_iter().flat_map(|suffix| shares.map(|left| (suffix, left))) {
        let directory = tempfile::tempdir().unwrap();
        let space = space("shortened");
        for _ in 0..2 {
            // The second time, the first half is in the database and the second in its log.
            let memory = memory::memory(open(directory.path()).await).await;
            for n in 0..9 {
                store(&memory, &space, &format!("number {n}")).await.unwrap();
            }
        }
        let engine = open(directory.path()).await;
        let memory = memory::memory(engine.clone()).await;
        store(&memory, &space, "kept").await.unwrap();
        let file = sibling(directory.path(), suffix);
        let left = left(file.metadata().unwrap().len());
        shorten(&file, left);
        for _ in 0..3 {
            let refused = store(&memory, &space, "lost").await;
            assert!(matches!(refused, Err(Error::StorageShortened { .. })), "{suffix} {left}: {refused:?}");
            let found = failure(&engine).await;
            assert!(matches!(found, Error::StorageShortened { .. }), "{suffix} {left}: {found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_store_is_answered_that_began_after_the_log_was_shortened() {
    for round in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(directory.path()).await;
        let memory = Arc::new(memory::memory(engine).await);
        let is_short = Arc::new(AtomicBool::new(false));
        let stored = Arc::new(AtomicUsize::new(0));
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let (memory, is_short, stored) = (memory.clone(), is_short.clone(), stored.clone());
            writers.spawn(async move {
                loop {
                    let began_after = is_short.load(Ordering::SeqCst);
                    let answer = store(&memory, &space("load"), &format!("{writer} said it")).await;
                    stored.fetch_add(1, Ordering::SeqCst);
                    match answer {
                        Ok(()) => assert!(!began_after, "it was answered and is lost"),
                        Err(error) => {
                            return assert!(matches!(error, Error::StorageShortened { .. }), "{error:?}");
                        }
                    }
                }
            });
        }
        while stored.load(Ordering::SeqCst) < 50 + 13 * round {
            tokio::task::yield_now().await;
        }
        shorten(&sibling(directory.path(), "-wal"), 4_096 * round as u64);
        is_short.store(true, Ordering::SeqCst);
        writers.join_all().await;
    }
}

#[tokio::test]
async fn another_program_may_empty_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).await;
    let memory = memory::memory(engine.clone()).await;
    let space = space("emptied");
    for n in 0..5 {
        store(&memory, &space, &format!("number {n}")).await.unwrap();
        let other = Connection::open(directory.path().join(FILE)).unwrap();
        other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(other);
        assert_eq!(sibling(directory.path(), "-wal").metadata().unwrap().len(), 0);
        match store(&memory, &space, "refused once, if at all").await {
            Ok(()) | Err(Error::StorageBusy(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    store(&memory, &space, "the last").await.unwrap();
    assert!(engine.health.probe().await[0].outcome.is_ok());
    let stored = engine.episodes.counts().await.unwrap().episodes;
    drop((memory, engine));
    assert_eq!(open(directory.path()).await.episodes.counts().await.unwrap().episodes, stored);
}

#[tokio::test]
async fn the_log_does_not_grow_while_messages_are_stored() {
    let directory = tempfile::tempdir().unwrap();
    let memory = memory::memory(open(directory.path()).await).await;
    let mut largest = 0;
    for n in 0..600 {
        store(&memory, &space("long"), &format!("{n} {}", "words ".repeat(3_000))).await.unwrap();
        largest = largest.max(sibling(directory.path(), "-wal").metadata().unwrap().len());
    }
    assert!(largest < 8 << 20, "{largest} bytes");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_database_stays_locked_when_the_lock_file_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let held = open(directory.path()).await;
    std::fs::remove_file(directory.path().join("lock")).unwrap();
    let second = SqliteStore::open(directory.path(), clock()).await;
    assert!(matches!(second, Err(Error::StorageLocked { .. })));
    drop(held);
    open(directory.path()).await;
}

/// Stores in a new directory, and leaves the files as a process leaves them that is killed.
async fn killed(directory: &Path, stores: usize) -> PathBuf {
    let home = directory.join("running");
    let engine = open(&home).await;
    let memory = memory::memory(engine).await;
    for n in 0..stores {
        store(&memory, &space("lost"), &format!("number {n}")).await.unwrap();
    }
    let left = directory.join("left");
    std::fs::create_dir(&left).unwrap();
    for suffix in ["", "-wal", "-answered"] {
        std::fs::copy(sibling(&home, suffix), sibling(&left, suffix)).unwrap();
    }
    left
}

#[tokio::test]
async fn a_start_after_a_kill_misses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let left = killed(directory.path(), 9).await;
    for _ in 0..2 {
        let engine = open(&left).await;
        assert_eq!(engine.episodes.counts().await.unwrap().episodes, 9);
        assert!(engine.health.probe().await[0].outcome.is_ok());
    }
}

#[tokio::test]
async fn a_start_with_fewer_writes_than_were_answered_says_so_until_it_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let left = killed(directory.path(), 9).await;
    let log = sibling(&left, "-wal");
    let bytes = std::fs::read(&log).unwrap();
    std::fs::write(&log, &bytes[..bytes.len() / 2]).unwrap();
    for round in 0..2 {
        let engine = open(&left).await;
        assert!(engine.episodes.counts().await.unwrap().episodes < 9);
        let found = failure(&engine).await;
        assert!(
            matches!(&found, Error::StorageIncomplete { what, .. } if what.contains("the last ")),
            "{found:?}"
        );
        let memory = memory::memory(engine.clone()).await;
        for n in 0..20 * round {
            store(&memory, &space("lost"), &format!("later {n}")).await.unwrap();
        }
    }
    let engine = open(&left).await;
    assert!(matches!(failure(&engine).await, Error::StorageIncomplete { .. }), "later stores do not hide it");
    std::fs::remove_file(sibling(&left, "-missing")).unwrap();
    assert!(engine.health.probe().await[0].outcome.is_ok());
    drop(engine);
    assert!(open(&left).await.health.probe().await[0].outcome.is_ok());
}

#[tokio::test]
async fn a_new_memory_whose_log_is_lost_is_known_and_starts() {
    let directory = tempfile::tempdir().unwrap();
    let left = killed(directory.path(), 9).await;
    let kept = ["", "-answered"].map(|suffix| (suffix, std::fs::read(sibling(&left, suffix)).unwrap()));
    let log = std::fs::read(sibling(&left, "-wal")).unwrap();
    // The first frame is a whole commit.
    for (cut, which) in
        [(0, ": all "), (31, ": all "), (32, ": all "), (4_152, ": the last "), (8_240, ": the last ")]
    {
        let left = directory.path().join(format!("cut to {cut}"));
        std::fs::create_dir(&left).unwrap();
        for (suffix, bytes) in &kept {
            std::fs::write(sibling(&left, suffix), bytes).unwrap();
        }
        std::fs::write(sibling(&left, "-wal"), &log[..cut]).unwrap();
        let examined = memcloud_store_sqlite::examine(&left).unwrap();
        assert!(examined.broken.is_empty() && examined.unreadable.is_empty(), "cut to {cut}: {examined:?}");
        let missing = examined.missing.unwrap_or_default();
        assert!(
            missing.contains(which) && missing.contains("writes that were answered are missing"),
            "cut to {cut}: {missing}"
        );
        let copy = memcloud_store_sqlite::back_up(&left, &left.join("copy")).unwrap();
        assert_eq!(copy.missing, Some(missing), "cut to {cut}");
        let found = failure(&open(&left).await).await;
        assert!(
            matches!(&found, Error::StorageIncomplete { what, .. } if what.contains(which)),
            "cut to {cut}: {found:?}"
        );
    }
}

#[tokio::test]
async fn deletions_of_whole_spaces_are_counted_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let (home, early) = (directory.path().join("running"), directory.path().join("early"));
    let engine = open(&home).await;
    let memory = memory::memory(engine.clone()).await;
    let space = space("lost");
    store(&memory, &space, "to be deleted").await.unwrap();
    std::fs::create_dir(&early).unwrap();
    for suffix in ["", "-wal"] {
        std::fs::copy(sibling(&home, suffix), sibling(&early, suffix)).unwrap();
    }
    delete_all(&*engine.episodes, &space, &EpisodesOf::Session("s".into())).await.unwrap();
    assert!(engine.spaces.begin_space_deletion(&space).await.unwrap());
    let hidden = engine.spaces.hidden_spaces().await.unwrap().remove(0);
    engine.spaces.remove_space(&hidden).await.unwrap();
    std::fs::copy(sibling(&home, "-answered"), sibling(&early, "-answered")).unwrap();
    drop((memory, engine));
    assert!(open(&home).await.health.probe().await[0].outcome.is_ok(), "nothing is missing after them");
    let found = failure(&open(&early).await).await;
    assert!(
        matches!(&found, Error::StorageIncomplete { what, .. } if what.contains("the last 3 of")),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_database_that_is_gone_is_not_created_again() {
    let directory = tempfile::tempdir().unwrap();
    let left = killed(directory.path(), 3).await;
    let file = sibling(&left, "");
    let before = std::fs::read(&file).unwrap();
    let refused = async || {
        let refused = SqliteStore::open(&left, clock()).await.err();
        assert!(matches!(refused, Some(Error::StorageIncomplete { .. })), "{refused:?}");
    };
    std::fs::write(&file, "").unwrap();
    refused().await;
    std::fs::remove_file(&file).unwrap();
    refused().await;
    assert!(!file.exists() && sibling(&left, "-wal").metadata().unwrap().len() > 0, "nothing is changed");
    std::fs::remove_file(sibling(&left, "-answered")).unwrap();
    refused().await;
    std::fs::write(&file, before).unwrap();
    assert_eq!(open(&left).await.episodes.counts().await.unwrap().episodes, 3);
    let elsewhere = tempfile::tempdir().unwrap();
    let memory = memory::memory(open(elsewhere.path()).await).await;
    store(&memory, &space("other"), "of another memory").await.unwrap();
    drop(memory);
    std::fs::copy(elsewhere.path().join(FILE), &file).unwrap();
    let engine = open(&left).await;
    let found = failure(&engine).await;
    assert!(
        matches!(&found, Error::StorageIncomplete { what, .. } if what.contains("another memory")),
        "{found:?}"
    );
}
