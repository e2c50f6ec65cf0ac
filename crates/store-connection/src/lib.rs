//! A link to a database elsewhere: whether it is up, how long to wait for it, and when to try again.
//!
//! A task of its own, the keeper, opens the link and opens it anew whenever it is in doubt; while it cannot, it tries
//! again with growing pauses. Requests never do that: they use what the keeper has, and while the link is down they
//! fail at once. An operation that takes long makes the keeper look whether the database still answers. If it does, the
//! operation may take the time it has; if not, all operations under way end at that moment. So nobody hangs on a database
//! that does.

pub mod address;
mod backoff;
mod state;
mod supervisor;
mod timing;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{Database, DatabaseErrorKind, Error};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::state::{State, Up};

pub use timing::{round_trip, within};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Each look whether the database answers.
    pub look: Duration,
    /// Opening the link once it answers: looking at the schema, and whatever a database that has just started needs to get
    /// going.
    pub opening: Duration,
    /// After so long an operation makes the keeper look whether the database still answers.
    pub doubt: Duration,
    /// The longest that a usual operation may take.
    pub operation: Duration,
    /// The first pause between two attempts to open; each is twice the one before.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// The pause after the user or the password was refused: servers lock accounts that are tried too often.
    pub refused_pause: Duration,
    /// The age at which the link is opened anew: services in the cloud cut connections that are old.
    pub renewal: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(2),
            opening: Duration::from_secs(15),
            doubt: Duration::from_millis(600),
            operation: Duration::from_secs(4),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(2),
            refused_pause: Duration::from_secs(15),
            renewal: Duration::from_mins(10),
        }
    }
}

/// Opens sessions with one database.
#[async_trait]
pub trait Open: Send + Sync + 'static {
    /// What operations work with: most likely a pool of connections.
    type Session: Clone + Send + Sync + 'static;

    /// The database.
    fn database(&self) -> Database;

    /// Looks whether the database answers, on a connection of its own.
    async fn look(&self) -> Result<(), Error>;

    /// Opens a session that has proved to work, with everything in the database that operations rely on.
    async fn open(&self) -> Result<Self::Session, Error>;
}

/// A link to one database.
pub struct Link<O: Open> {
    database: Database,
    patience: Patience,
    state: watch::Receiver<State<O::Session>>,
    doubts: Arc<Doubts>,
    keeper: JoinHandle<()>,
}

impl<O: Open> Drop for Link<O> {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl<O: Open> Link<O> {
    /// Starts to open the link, and waits until the first attempt has succeeded or failed.
    pub async fn start(opener: O, patience: Patience) -> Self {
        let database = opener.database();
        let doubts = Arc::new(Doubts::default());
        let (keeper, mut state) = supervisor::start(opener, patience, Arc::clone(&doubts));
        let first = state.wait_for(|state| !matches!(state, State::Opening));
        // The keeper outlives this call, so the state is told.
        drop(timeout(patience.look + patience.opening, first).await);
        Self { database, patience, state, doubts, keeper }
    }

    /// Runs an operation within the usual time.
    pub async fn run<T, F>(&self, operation: impl FnOnce(O::Session) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.run_within(self.patience.operation, operation).await
    }

    /// Runs an operation that may take so long.
    pub async fn run_within<T, F>(
        &self,
        within: Duration,
        operation: impl FnOnce(O::Session) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + within;
        let up = self.up(deadline).await?;
        self.work(deadline, &up, Box::pin(operation(up.session.clone()))).await
    }

    /// Runs an operation that does no harm when it is done twice; once more on a new connection when it loses its own.
    pub async fn run_again<T, F>(&self, operation: impl Fn(O::Session) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + self.patience.operation;
        let up = self.up(deadline).await?;
        let lost = match self.work(deadline, &up, Box::pin(operation(up.session.clone()))).await {
            Err(
                error @ (Error::Database { trouble: DatabaseErrorKind::Unreachable, .. }
                | Error::OutcomeUnknown { .. }),
            ) => error,
            done => return done,
        };
        let second = async {
            let anew = self.newer(deadline, up.generation).await?;
            self.work(deadline, &anew, Box::pin(operation(anew.session.clone()))).await
        };
        match second.await {
            // The second attempt has told nothing about what became of the first.
            Err(error) if error.lost_connection() => Err(lost),
            done => done,
        }
    }

    /// The trouble that the link is in at present, if it is down.
    pub fn trouble(&self) -> Option<Error> {
        match &*self.state.borrow() {
            State::Down(outage) => Some(outage.error(self.database)),
            State::Up(_) | State::Opening => None,
        }
    }

    async fn work<T>(
        &self,
        deadline: Instant,
        up: &Up<O::Session>,
        mut work: Pin<Box<impl Future<Output = Result<T, Error>>>>,
    ) -> Result<T, Error> {
        let done = if let Ok(done) = timeout(self.patience.doubt, &mut work).await {
            done
        } else {
            self.doubts.slow.notify_one();
            tokio::select! {
                done = &mut work => done,
                error = self.down() => Err(error),
                () = sleep_until(deadline) => Err(self.silent()),
            }
        };
        if done.as_ref().is_err_and(wants_another_session) {
            self.doubts.lost.send_if_modified(|lost| std::mem::replace(lost, up.generation) < up.generation);
        }
        done
    }

    /// The session, waited for while the link is being opened for the first time.
    async fn up(&self, deadline: Instant) -> Result<Up<O::Session>, Error> {
        self.session(deadline, |state| !matches!(state, State::Opening)).await
    }

    /// A session that is newer than this one, or the reason why there is none.
    async fn newer(&self, deadline: Instant, generation: u64) -> Result<Up<O::Session>, Error> {
        self.session(deadline, |state| match state {
            State::Up(up) => up.generation > generation,
            State::Down(_) => true,
            State::Opening => false,
        })
        .await
    }

    async fn session(
        &self,
        deadline: Instant,
        wanted: impl FnMut(&State<O::Session>) -> bool,
    ) -> Result<Up<O::Session>, Error> {
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
            "it took longer than the time that an operation has",
        )
    }
}

/// Whether an error says that the session is of no more use. A database that takes no writes may be a former primary: a
/// new connection leads to the one that does.
fn wants_another_session(error: &Error) -> bool {
    error.lost_connection() || matches!(error, Error::Database { trouble: DatabaseErrorKind::ReadOnly, .. })
}

/// What operations have seen that makes the keeper look.
pub(crate) struct Doubts {
    /// Something takes long.
    pub(crate) slow: Notify,
    /// The newest generation whose session was lost.
    pub(crate) lost: watch::Sender<u64>,
}

impl Default for Doubts {
    fn default() -> Self {
        Self { slow: Notify::new(), lost: watch::Sender::new(0) }
    }
}
