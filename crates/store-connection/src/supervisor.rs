//! The task that keeps a connection open.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use memcloud_domain::{DatabaseErrorKind, Error};
use memcloud_tasks::Tasks;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::health::HealthSignals;
use crate::state::{Outage, State, Up};
use crate::timing::within;
use crate::{Connector, Timeouts};

/// The shortest time between two reopenings, however often clients are lost.
const REOPEN_INTERVAL: Duration = Duration::from_millis(100);

/// Starts the supervisor. Returns the channel on which it publishes the state of the connection.
pub(crate) fn start<C: Connector>(
    tasks: &Tasks,
    connector: C,
    timeouts: Timeouts,
    health: Arc<HealthSignals>,
) -> watch::Receiver<State<C::Client>> {
    let (publish, state) = watch::channel(State::Opening);
    let supervisor = Supervisor { connector, timeouts, health, publish, generation: 0, down_since: None };
    tasks.spawn("database connection", |_| supervisor.run());
    state
}

struct Supervisor<C: Connector> {
    connector: C,
    timeouts: Timeouts,
    health: Arc<HealthSignals>,
    publish: watch::Sender<State<C::Client>>,
    generation: u64,
    down_since: Option<Instant>,
}

impl<C: Connector> Supervisor<C> {
    async fn run(mut self) {
        let mut pauses = self.pauses();
        loop {
            match self.open().await {
                Ok(client) => {
                    pauses = self.pauses();
                    self.up(client);
                    self.watch().await;
                }
                // The database answers and the open client works: only one more connection was too many.
                Err(error) if self.is_up() && is_exhausted(&error) => pause(&mut pauses).await,
                Err(error) => {
                    let refused = matches!(error, Error::Database { kind: DatabaseErrorKind::Refused, .. });
                    self.down(&error);
                    if refused {
                        sleep(self.timeouts.refused_pause).await;
                    } else {
                        pause(&mut pauses).await;
                    }
                }
            }
        }
    }

    /// The pauses between attempts, without end.
    fn pauses(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.timeouts.first_pause)
            .with_max_delay(self.timeouts.longest_pause)
            .with_jitter()
            .without_max_times()
            .build()
    }

    /// Pings first: whether the database answers is known soon, while opening may take long.
    async fn open(&self) -> Result<C::Client, Error> {
        let database = self.connector.database();
        within(self.timeouts.ping, database, self.connector.ping()).await?;
        within(self.timeouts.opening, database, self.connector.open()).await
    }

    /// Returns when the client must be reopened: it is old, it was lost, or the database no longer answers.
    async fn watch(&mut self) {
        let opened = Instant::now();
        let mut lost = self.health.lost.subscribe();
        loop {
            tokio::select! {
                () = sleep_until(opened + self.timeouts.renewal) => return,
                // The loss of an older client says nothing about this one.
                _ = lost.wait_for(|lost| *lost == self.generation) => break,
                () = self.health.slow.notified() => {}
            }
            if let Err(error) =
                within(self.timeouts.ping, self.connector.database(), self.connector.ping()).await
                && !is_exhausted(&error)
            {
                self.down(&error);
                return;
            }
        }
        sleep_until(opened + REOPEN_INTERVAL).await;
    }

    fn is_up(&self) -> bool {
        matches!(&*self.publish.borrow(), State::Up(_))
    }

    fn up(&mut self, client: C::Client) {
        self.generation += 1;
        self.publish.send_replace(State::Up(Up { client, generation: self.generation }));
        if let Some(since) = self.down_since.take() {
            let seconds = since.elapsed().as_secs_f64();
            tracing::info!(database = %self.connector.database(), seconds, "the database connection is up again");
        }
    }

    fn down(&mut self, error: &Error) {
        let outage = Outage::of(error);
        if self.down_since.is_none() {
            self.down_since = Some(Instant::now());
            let why = outage.error(self.connector.database());
            let cause = std::error::Error::source(&why).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(error = %why, cause, code = why.code(), "the database connection is down; retrying");
        }
        self.publish.send_replace(State::Down(outage));
    }
}

/// Whether the database answers, but has no connection left.
fn is_exhausted(error: &Error) -> bool {
    matches!(error, Error::Database { kind: DatabaseErrorKind::Exhausted, .. })
}

async fn pause(pauses: &mut ExponentialBackoff) {
    if let Some(pause) = pauses.next() {
        sleep(pause).await;
    }
}
