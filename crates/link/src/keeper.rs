//! The task that keeps a link open.

use std::time::Duration;

use memcloud_model::{Database, Error, Trouble};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::pauses::Pauses;
use crate::state::{Outage, State, Up};
use crate::{Open, Patience};

/// Starts the keeper. Answers its task, and where it tells how the link stands.
pub(crate) fn start<O: Open>(
    opener: O,
    patience: Patience,
    doubted: watch::Receiver<u64>,
) -> (JoinHandle<()>, watch::Receiver<State<O::Session>>) {
    let (tell, state) = watch::channel(State::Opening);
    (tokio::spawn(keep(opener, patience, tell, doubted)), state)
}

async fn keep<O: Open>(
    opener: O,
    patience: Patience,
    tell: watch::Sender<State<O::Session>>,
    mut doubted: watch::Receiver<u64>,
) {
    let mut pauses = Pauses::new(&patience);
    let (mut generation, mut down_since) = (0, None);
    loop {
        match within(patience.opening, opener.database(), opener.open()).await {
            Ok(session) => {
                generation += 1;
                pauses = Pauses::new(&patience);
                tell.send_replace(State::Up(Up { session, generation }));
                recovered(&opener, down_since.take());
                // What is doubted of an older session says nothing about this one.
                drop(timeout(patience.renewal, doubted.wait_for(|doubted| *doubted == generation)).await);
                // Opening anew may take its time; whether anybody answers at all is known sooner.
                if let Err(error) = within(patience.look, opener.database(), opener.look()).await {
                    down_since = Some(Instant::now());
                    down(&opener, &tell, &error, true);
                }
            }
            Err(error) => {
                down(&opener, &tell, &error, down_since.is_none());
                down_since.get_or_insert_with(Instant::now);
                sleep(pauses.next()).await;
            }
        }
    }
}

async fn within<T>(
    limit: Duration,
    database: Database,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let seen = format!("no answer within {:.1} s", limit.as_secs_f64());
        Err(Error::database(database, Trouble::Silent, seen))
    })
}

fn down<O: Open>(opener: &O, tell: &watch::Sender<State<O::Session>>, error: &Error, news: bool) {
    let outage = Outage::of(error);
    if news {
        let why = outage.error(opener.database());
        tracing::warn!(error = %why, cause = %cause(&why), hint = why.hint(), "the link is down; it is tried again");
    }
    tell.send_replace(State::Down(outage));
}

fn recovered<O: Open>(opener: &O, since: Option<Instant>) {
    if let Some(since) = since {
        tracing::info!("{} is back after {:.1} s", opener.database(), since.elapsed().as_secs_f64());
    }
}

fn cause(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}
