//! A link to a database that does as the test says, in a time that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{Database, DatabaseErrorKind, Error};
use memcloud_store_connection::{Link, Open, Patience};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How the database behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    Silent,
    Fails(DatabaseErrorKind),
}

#[derive(Clone)]
struct Moody {
    mood: watch::Receiver<Mood>,
    opened: Arc<AtomicUsize>,
}

impl Moody {
    async fn answer(&self) -> Result<(), Error> {
        match *self.mood.borrow() {
            Mood::Well => return Ok(()),
            Mood::Fails(trouble) => {
                return Err(Error::database(Database::Neo4j, trouble, "as the test says"));
            }
            Mood::Silent => {}
        }
        std::future::pending().await
    }
}

#[async_trait]
impl Open for Moody {
    type Session = usize;

    fn database(&self) -> Database {
        Database::Neo4j
    }

    async fn look(&self) -> Result<(), Error> {
        self.answer().await
    }

    async fn open(&self) -> Result<usize, Error> {
        self.answer().await?;
        Ok(self.opened.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

/// A database in this mood, what changes it, and how often it was opened.
fn database(mood: Mood) -> (Moody, watch::Sender<Mood>, Arc<AtomicUsize>) {
    let (change, mood) = watch::channel(mood);
    let opened = Arc::new(AtomicUsize::new(0));
    (Moody { mood, opened: Arc::clone(&opened) }, change, opened)
}

#[track_caller]
fn trouble<T: std::fmt::Debug>(result: Result<T, Error>) -> DatabaseErrorKind {
    match result {
        Err(Error::Database { trouble, .. }) => trouble,
        other => panic!("{other:?}"),
    }
}

async fn ok(_: usize) -> Result<(), Error> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_silent_database_holds_up_nobody_for_long() {
    let (moody, change, _) = database(Mood::Well);
    let link = Link::start(moody.clone(), Patience::default()).await;
    change.send_replace(Mood::Silent);
    let began = Instant::now();
    let hanging = link.run(|_| async { moody.answer().await });
    assert_eq!(trouble(hanging.await), DatabaseErrorKind::Silent);
    assert!(began.elapsed() <= Duration::from_millis(2_700), "{:?}", began.elapsed());
    let began = Instant::now();
    assert_eq!(trouble(link.run(ok).await), DatabaseErrorKind::Silent);
    assert_eq!(began.elapsed(), Duration::ZERO, "from now on all fail at once");
    change.send_replace(Mood::Well);
    sleep(Duration::from_secs(18)).await;
    link.run(ok).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_busy_database_is_left_its_time_and_its_session() {
    let (moody, _change, opened) = database(Mood::Well);
    let link = Link::start(moody, Patience::default()).await;
    let slow = |session| async move {
        sleep(Duration::from_millis(3_900)).await;
        Ok(session)
    };
    assert_eq!(link.run(slow).await.unwrap(), 1);
    assert_eq!(opened.load(Ordering::SeqCst), 1, "nothing is opened anew");
    let long = |session| async move {
        sleep(Duration::from_secs(40)).await;
        Ok::<usize, Error>(session)
    };
    assert_eq!(trouble(link.run(long).await), DatabaseErrorKind::Silent, "an operation has its limit");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        link.run_within(Duration::from_mins(1), long).await.unwrap(),
        2,
        "and then its session is doubted"
    );
}

#[tokio::test(start_paused = true)]
async fn what_loses_its_connection_is_done_once_more_on_a_new_one() {
    let (moody, change, _) = database(Mood::Well);
    let link = Link::start(moody, Patience::default()).await;
    let lost_once = |session: usize| async move {
        if session == 1 {
            return Err(Error::database(Database::Neo4j, DatabaseErrorKind::Unreachable, "cut"));
        }
        Ok(session)
    };
    assert_eq!(link.run_again(lost_once).await.unwrap(), 2);
    // What the first attempt has left in doubt the second does not make certain by failing.
    change.send_replace(Mood::Fails(DatabaseErrorKind::Unreachable));
    let unknown = |_| async { Err::<(), _>(Error::OutcomeUnknown { database: Database::Neo4j }) };
    assert!(matches!(link.run_again(unknown).await, Err(Error::OutcomeUnknown { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_down_is_tried_with_growing_pauses() {
    for wrong in [
        DatabaseErrorKind::Unreachable,
        DatabaseErrorKind::TooOld,
        DatabaseErrorKind::Lacking,
        DatabaseErrorKind::Forbidden,
    ] {
        let (moody, change, _) = database(Mood::Fails(wrong));
        let link = Link::start(moody, Patience::default()).await;
        assert_eq!(trouble(link.run(ok).await), wrong);
        assert_eq!(trouble(Err::<(), _>(link.trouble().unwrap())), wrong);
        sleep(Duration::from_mins(1)).await;
        change.send_replace(Mood::Well);
        sleep(Duration::from_millis(2_100)).await;
        link.run(ok).await.unwrap();
        assert!(link.trouble().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn one_connection_too_many_ends_none_of_the_others() {
    let (moody, change, _) = database(Mood::Well);
    let link = Link::start(moody, Patience::default()).await;
    change.send_replace(Mood::Fails(DatabaseErrorKind::Exhausted));
    let slow = |session| async move {
        sleep(Duration::from_secs(3)).await;
        Ok(session)
    };
    assert_eq!(link.run(slow).await.unwrap(), 1);
    sleep(Duration::from_mins(11)).await;
    assert_eq!(link.run(slow).await.unwrap(), 1, "the old session goes on past its renewal");
}

#[tokio::test(start_paused = true)]
async fn sessions_are_renewed_in_time() {
    let (moody, _change, opened) = database(Mood::Well);
    let _link = Link::start(moody, Patience::default()).await;
    sleep(Duration::from_mins(31)).await;
    assert_eq!(opened.load(Ordering::SeqCst), 4);
}
