use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use memcloud_domain::{Database, DatabaseErrorKind, Error};
use memcloud_tasks::Tasks;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::health::HealthSignals;
use crate::state::{State, Up};
use crate::{Connector, Timeouts, supervisor};

/// A supervised connection to one database.
pub struct Connection<C: Connector> {
    database: Database,
    timeouts: Timeouts,
    state: watch::Receiver<State<C::Client>>,
    health: Arc<HealthSignals>,
    /// Owns the supervisor, which ends with the connection.
    _supervisor: Tasks,
}

impl<C: Connector> Connection<C> {
    /// Starts the supervisor and waits until its first attempt has succeeded or failed.
    pub async fn start(connector: C, timeouts: Timeouts) -> Self {
        let database = connector.database();
        let health = Arc::new(HealthSignals::default());
        let supervisor = Tasks::new();
        let mut state = supervisor::start(&supervisor, connector, timeouts, Arc::clone(&health));
        let first = state.wait_for(|state| !matches!(state, State::Opening));
        // The supervisor outlives this call, so an answer comes.
        drop(timeout(timeouts.ping + timeouts.opening, first).await);
        Self { database, timeouts, state, health, _supervisor: supervisor }
    }

    /// Runs an operation within the ordinary time limit.
    pub async fn run<T, F>(&self, operation: impl FnOnce(C::Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.run_within(self.timeouts.operation, operation).await
    }

    /// Runs an operation with a time limit of its own.
    pub async fn run_within<T, F>(
        &self,
        within: Duration,
        operation: impl FnOnce(C::Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + within;
        let up = self.up(deadline).await?;
        self.work(deadline, &up, Box::pin(operation(up.client.clone()))).await
    }

    /// Runs an operation that may safely run twice: when it loses its connection, it runs once more on a new one.
    pub async fn run_idempotent<T, F>(&self, operation: impl Fn(C::Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + self.timeouts.operation;
        let up = self.up(deadline).await?;
        let lost = match self.work(deadline, &up, Box::pin(operation(up.client.clone()))).await {
            Err(
                error @ (Error::Database { kind: DatabaseErrorKind::Unreachable, .. }
                | Error::OutcomeUnknown { .. }),
            ) => error,
            done => return done,
        };
        let second = async {
            let newer = self.newer(deadline, up.generation).await?;
            self.work(deadline, &newer, Box::pin(operation(newer.client.clone()))).await
        };
        match second.await {
            // The second attempt does not show whether the first took effect.
            Err(error) if error.lost_connection() => Err(lost),
            done => done,
        }
    }

    /// Why the connection is down; `None` while it is up or being opened for the first time.
    pub fn outage(&self) -> Option<Error> {
        match &*self.state.borrow() {
            State::Down(outage) => Some(outage.error(self.database)),
            State::Up(_) | State::Opening => None,
        }
    }

    async fn work<T>(
        &self,
        deadline: Instant,
        up: &Up<C::Client>,
        mut work: Pin<Box<impl Future<Output = Result<T, Error>>>>,
    ) -> Result<T, Error> {
        let done = if let Ok(done) = timeout(self.timeouts.slow, &mut work).await {
            done
        } else {
            self.health.slow.notify_one();
            tokio::select! {
                done = &mut work => done,
                error = self.down() => Err(error),
                () = sleep_until(deadline) => Err(self.silent()),
            }
        };
        if done.as_ref().is_err_and(needs_new_session) {
            self.health.lost.send_if_modified(|lost| std::mem::replace(lost, up.generation) < up.generation);
        }
        done
    }

    /// The current client; waits while the first one is being opened.
    async fn up(&self, deadline: Instant) -> Result<Up<C::Client>, Error> {
        self.client(deadline, |state| !matches!(state, State::Opening)).await
    }

    /// A client newer than this generation, or the reason why there is none.
    async fn newer(&self, deadline: Instant, generation: u64) -> Result<Up<C::Client>, Error> {
        self.client(deadline, |state| match state {
            State::Up(up) => up.generation > generation,
            State::Down(_) => true,
            State::Opening => false,
        })
        .await
    }

    async fn client(
        &self,
        deadline: Instant,
        wanted: impl FnMut(&State<C::Client>) -> bool,
    ) -> Result<Up<C::Client>, Error> {
        let mut state = self.state.clone();
        let settled = timeout_at(deadline, state.wait_for(wanted)).await;
        match settled.map_err(|_| self.silent())?.map_err(|_| Error::ShuttingDown)?.clone() {
            State::Up(up) => Ok(up),
            State::Down(outage) => Err(outage.error(self.database)),
            State::Opening => Err(self.silent()),
        }
    }

    async fn down(&self) -> Error {
        let mut state = self.state.clone();
        let down = state.wait_for(|state| matches!(state, State::Down(_))).await.map(|state| state.clone());
        match down {
            Ok(State::Down(outage)) => outage.error(self.database),
            _ => Error::ShuttingDown,
        }
    }

    fn silent(&self) -> Error {
        Error::database(
            self.database,
            DatabaseErrorKind::Silent,
            "the operation took longer than its time limit",
        )
    }
}

/// Whether an error means that the client is unusable. A database that rejects writes may be a former primary: a new
/// connection may reach the current one.
fn needs_new_session(error: &Error) -> bool {
    error.lost_connection() || matches!(error, Error::Database { kind: DatabaseErrorKind::ReadOnly, .. })
}
