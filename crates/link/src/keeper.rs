//! The task that keeps a link open.

use memcloud_model::{Error, Trouble};
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
    let mut generation = 0;
    let mut down_since = None;
    loop {
        match open(&opener, &patience).await {
            Ok(session) => {
                generation += 1;
                pauses = Pauses::new(&patience);
                tell.send_replace(State::Up(Up { session, generation }));
                recovered(&opener, down_since.take());
                // What is doubted of an older session says nothing about this one.
                drop(timeout(patience.renewal, doubted.wait_for(|doubted| *doubted == generation)).await);
            }
            Err(error) => {
                if down_since.is_none() {
                    down_since = Some(Instant::now());
                    let why = Outage::of(&error).error(opener.database());
                    tracing::warn!(error = %why, cause = %chain(&why), hint = why.hint(), "the link is down; it is tried again");
                }
                tell.send_replace(State::Down(Outage::of(&error)));
                sleep(pauses.next()).await;
            }
        }
    }
}

async fn open<O: Open>(opener: &O, patience: &Patience) -> Result<O::Session, Error> {
    match timeout(patience.opening, opener.open()).await {
        Ok(opened) => opened,
        Err(_) => Err(Error::database(
            opener.database(),
            Trouble::Silent,
            format!("no answer within {:.1} s", patience.opening.as_secs_f64()),
        )),
    }
}

fn recovered<O: Open>(opener: &O, since: Option<Instant>) {
    if let Some(since) = since {
        tracing::info!("{} is back after {:.1} s", opener.database(), since.elapsed().as_secs_f64());
    }
}

fn chain(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}
