//! The task that keeps a link open.

use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{DatabaseErrorKind, Error};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Pauses;
use crate::state::{Outage, State, Up};
use crate::{Doubts, Open, Patience, within};

/// A session is not opened anew more often than this, however much is lost.
const OPENED_AT_MOST_EVERY: Duration = Duration::from_millis(100);

/// Starts the keeper. Answers its task, and where it tells how the link stands.
pub(crate) fn start<O: Open>(
    opener: O,
    patience: Patience,
    doubts: Arc<Doubts>,
) -> (JoinHandle<()>, watch::Receiver<State<O::Session>>) {
    let (tell, state) = watch::channel(State::Opening);
    let keeper = Keeper { opener, patience, doubts, tell, generation: 0, down_since: None };
    (tokio::spawn(keeper.keep()), state)
}

struct Keeper<O: Open> {
    opener: O,
    patience: Patience,
    doubts: Arc<Doubts>,
    tell: watch::Sender<State<O::Session>>,
    generation: u64,
    down_since: Option<Instant>,
}

impl<O: Open> Keeper<O> {
    async fn keep(mut self) {
        let mut pauses = Pauses::new(&self.patience);
        loop {
            match self.open().await {
                Ok(session) => {
                    pauses = Pauses::new(&self.patience);
                    self.up(session);
                    self.watch().await;
                }
                // It answers, and what is open goes on: only one more connection is too many.
                Err(error) if self.is_up() && is_exhausted(&error) => sleep(pauses.next()).await,
                Err(error) => {
                    let refused =
                        matches!(error, Error::Database { trouble: DatabaseErrorKind::Refused, .. });
                    self.down(&error);
                    sleep(if refused { self.patience.refused_pause } else { pauses.next() }).await;
                }
            }
        }
    }

    /// Whether anybody answers is known soon; opening may take its time.
    async fn open(&self) -> Result<O::Session, Error> {
        let database = self.opener.database();
        within(self.patience.look, database, self.opener.look()).await?;
        within(self.patience.opening, database, self.opener.open()).await
    }

    /// Returns when the session is to be opened anew: it is old, it was lost, or nobody answers any more.
    async fn watch(&mut self) {
        let opened = Instant::now();
        let mut lost = self.doubts.lost.subscribe();
        loop {
            tokio::select! {
                () = sleep_until(opened + self.patience.renewal) => return,
                // What is lost of an older session says nothing about this one.
                _ = lost.wait_for(|lost| *lost == self.generation) => break,
                () = self.doubts.slow.notified() => {}
            }
            if let Err(error) = within(self.patience.look, self.opener.database(), self.opener.look()).await
                && !is_exhausted(&error)
            {
                self.down(&error);
                return;
            }
        }
        sleep_until(opened + OPENED_AT_MOST_EVERY).await;
    }

    fn is_up(&self) -> bool {
        matches!(&*self.tell.borrow(), State::Up(_))
    }

    fn up(&mut self, session: O::Session) {
        self.generation += 1;
        self.tell.send_replace(State::Up(Up { session, generation: self.generation }));
        if let Some(since) = self.down_since.take() {
            tracing::info!("{} is back after {:.1} s", self.opener.database(), since.elapsed().as_secs_f64());
        }
    }

    fn down(&mut self, error: &Error) {
        let outage = Outage::of(error);
        if self.down_since.is_none() {
            self.down_since = Some(Instant::now());
            let why = outage.error(self.opener.database());
            let cause = std::error::Error::source(&why).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(error = %why, cause, hint = why.hint(), "the link is down; it is tried again");
        }
        self.tell.send_replace(State::Down(outage));
    }
}

/// Whether the database answers, but has no connection left.
fn is_exhausted(error: &Error) -> bool {
    matches!(error, Error::Database { trouble: DatabaseErrorKind::Exhausted, .. })
}
