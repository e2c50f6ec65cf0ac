//! A connection to a scripted database, under a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{Database, DatabaseErrorKind, Error};
use memcloud_store_connection::{Connection, Connector, Timeouts};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How the database behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behavior {
    Healthy,
    Silent,
    Fails(DatabaseErrorKind),
}

#[derive(Clone)]
struct Scripted {
    behavior: watch::Receiver<Behavior>,
    opened: Arc<AtomicUsize>,
}

impl Scripted {
    async fn answer(&self) -> Result<(), Error> {
        match *self.behavior.borrow() {
            Behavior::Healthy => return Ok(()),
            Behavior::Fails(kind) => {
                return Err(Error::database(Database::Neo4j, kind, "as the test says"));
            }
            Behavior::Silent => {}
        }
        std::future::pending().await
    }
}

#[async_trait]
impl Connector for Scripted {
    type Client = usize;

    fn database(&self) -> Database {
        Database::Neo4j
    }

    async fn ping(&self) -> Result<(), Error> {
        self.answer().await
    }

    async fn open(&self) -> Result<usize, Error> {
        self.answer().await?;
        Ok(self.opened.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

/// A database in this behavior, what changes it, and how often it was opened.
fn database(behavior: Behavior) -> (Scripted, watch::Sender<Behavior>, Arc<AtomicUsize>) {
    let (change, behavior) = watch::channel(behavior);
    let opened = Arc::new(AtomicUsize::new(0));
    (Scripted { behavior, opened: Arc::clone(&opened) }, change, opened)
}

#[track_caller]
fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> DatabaseErrorKind {
    match result {
        Err(Error::Database { kind, .. }) => kind,
        other => panic!("{other:?}"),
    }
}

async fn ok(_: usize) -> Result<(), Error> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_silent_database_fails_first_callers_soon_and_later_ones_at_once() {
    let (scripted, change, _) = database(Behavior::Healthy);
    let connection = Connection::start(scripted.clone(), Timeouts::default()).await;
    change.send_replace(Behavior::Silent);
    let began = Instant::now();
    let hanging = connection.run(|_| async { scripted.answer().await });
    assert_eq!(kind(hanging.await), DatabaseErrorKind::Silent);
    assert!(began.elapsed() <= Duration::from_millis(2_700), "{:?}", began.elapsed());
    let began = Instant::now();
    assert_eq!(kind(connection.run(ok).await), DatabaseErrorKind::Silent);
    assert_eq!(began.elapsed(), Duration::ZERO, "later operations fail at once");
    change.send_replace(Behavior::Healthy);
    sleep(Duration::from_secs(18)).await;
    connection.run(ok).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_operation_keeps_its_time_and_client_while_pings_are_answered() {
    let (scripted, _change, opened) = database(Behavior::Healthy);
    let connection = Connection::start(scripted, Timeouts::default()).await;
    let slow = |client| async move {
        sleep(Duration::from_millis(3_900)).await;
        Ok(client)
    };
    assert_eq!(connection.run(slow).await.unwrap(), 1);
    assert_eq!(opened.load(Ordering::SeqCst), 1, "no client is reopened");
    let long = |client| async move {
        sleep(Duration::from_secs(40)).await;
        Ok::<usize, Error>(client)
    };
    assert_eq!(kind(connection.run(long).await), DatabaseErrorKind::Silent, "an operation has its limit");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        connection.run_within(Duration::from_mins(1), long).await.unwrap(),
        2,
        "its client was replaced"
    );
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_operation_runs_again_on_a_new_client() {
    let (scripted, change, _) = database(Behavior::Healthy);
    let connection = Connection::start(scripted, Timeouts::default()).await;
    let lost_once = |client: usize| async move {
        if client == 1 {
            return Err(Error::database(Database::Neo4j, DatabaseErrorKind::Unreachable, "cut"));
        }
        Ok(client)
    };
    assert_eq!(connection.run_idempotent(lost_once).await.unwrap(), 2);
    // A second attempt that fails does not settle an outcome that the first left unknown.
    change.send_replace(Behavior::Fails(DatabaseErrorKind::Unreachable));
    let unknown = |_| async { Err::<(), _>(Error::OutcomeUnknown { database: Database::Neo4j }) };
    assert!(matches!(connection.run_idempotent(unknown).await, Err(Error::OutcomeUnknown { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_down_is_retried_with_backoff() {
    for wrong in [
        DatabaseErrorKind::Unreachable,
        DatabaseErrorKind::TooOld,
        DatabaseErrorKind::Lacking,
        DatabaseErrorKind::Forbidden,
    ] {
        let (scripted, change, _) = database(Behavior::Fails(wrong));
        let connection = Connection::start(scripted, Timeouts::default()).await;
        assert_eq!(kind(connection.run(ok).await), wrong);
        assert_eq!(kind(Err::<(), _>(connection.outage().unwrap())), wrong);
        sleep(Duration::from_mins(1)).await;
        change.send_replace(Behavior::Healthy);
        sleep(Duration::from_millis(2_100)).await;
        connection.run(ok).await.unwrap();
        assert!(connection.outage().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_database_keeps_the_open_client() {
    let (scripted, change, _) = database(Behavior::Healthy);
    let connection = Connection::start(scripted, Timeouts::default()).await;
    change.send_replace(Behavior::Fails(DatabaseErrorKind::Exhausted));
    let slow = |client| async move {
        sleep(Duration::from_secs(3)).await;
        Ok(client)
    };
    assert_eq!(connection.run(slow).await.unwrap(), 1);
    sleep(Duration::from_mins(11)).await;
    assert_eq!(connection.run(slow).await.unwrap(), 1, "the old client goes on past its renewal");
}

#[tokio::test(start_paused = true)]
async fn clients_are_reopened_every_ten_minutes() {
    let (scripted, _change, opened) = database(Behavior::Healthy);
    let _connection = Connection::start(scripted, Timeouts::default()).await;
    sleep(Duration::from_mins(31)).await;
    assert_eq!(opened.load(Ordering::SeqCst), 4);
}
