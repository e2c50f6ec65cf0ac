//! How long a caller waits, and at what pace.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// How long a call and a wait may take, and what ends them early.
#[derive(Clone, Debug)]
pub struct Patience {
    deadline: Instant,
    cancel: CancellationToken,
    settling: bool,
}

impl Patience {
    /// This long from now on, unless the token is cancelled first.
    pub fn new(limit: Duration, cancel: CancellationToken) -> Self {
        Self { deadline: Instant::now() + limit, cancel, settling: false }
    }

    /// The same for calls right after an API was enabled, an account was made or a role was granted: it takes up to minutes until
    /// all of Google knows that. Refusals for a missing API, right or account are then retried, for up to [`Pace::settle`].
    #[must_use]
    pub fn settling(mut self) -> Self {
        self.settling = true;
        self
    }

    /// The same, and what was granted long ago: refusals are answered at once.
    pub(crate) fn settled(mut self) -> Self {
        self.settling = false;
        self
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// The time that is left.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits this long. False if there is not that much time left, or as soon as the wait is cancelled.
    async fn sleep(&self, wait: Duration) -> bool {
        if wait > self.left() {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = self.cancel.cancelled() => false,
        }
    }

    /// What the future returns, or `None` as soon as the wait is cancelled.
    pub(crate) async fn unless_cancelled<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.cancel.run_until_cancelled(future).await
    }
}

/// The waits between tries. The default suits real services; tests shorten it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Before the second try. Each further wait is twice as long, with jitter.
    pub first: Duration,
    /// The longest wait between two tries, and between two polls of an operation.
    pub longest: Duration,
    /// The longest wait that an answer can ask for with `Retry-After`.
    pub asked: Duration,
    /// How long refusals are retried that end when Google has distributed a change.
    pub settle: Duration,
    /// How long one try may take.
    pub attempt: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(15),
            asked: Duration::from_mins(10),
            settle: Duration::from_mins(5),
            attempt: Duration::from_mins(1),
        }
    }
}

impl Pace {
    /// For a service on this machine that answers at once.
    pub fn quick() -> Self {
        Self {
            first: Duration::from_millis(2),
            longest: Duration::from_millis(20),
            asked: Duration::from_millis(50),
            settle: Duration::from_secs(20),
            attempt: Duration::from_secs(20),
        }
    }
}

/// The pauses between tries: each about twice as long as the one before, until the patience ends.
pub(crate) struct Pauses {
    patience: Patience,
    waits: ExponentialBackoff,
    began: Instant,
    settle: Duration,
}

impl Pauses {
    pub(crate) fn new(patience: Patience, pace: &Pace) -> Self {
        let builder = ExponentialBuilder::new().with_min_delay(pace.first).with_max_delay(pace.longest);
        let waits = builder.with_jitter().without_max_times().build();
        Self { patience, waits, began: Instant::now(), settle: pace.settle }
    }

    /// The time since the first try.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether a refusal may still end on its own, after a change that not all of Google knows yet.
    pub(crate) fn may_settle(&self) -> bool {
        self.patience.settling && self.elapsed() < self.settle
    }

    /// Pauses for at least this long. If there is no time left for that, returns the error; if the wait is cancelled, that.
    pub(crate) async fn next(&mut self, at_least: Duration, late: Error) -> Result<(), Error> {
        let wait = self.waits.next().unwrap_or_default().max(at_least);
        let in_time = self.patience.sleep(wait).await;
        match (in_time, self.patience.is_cancelled()) {
            (_, true) => Err(Error::cancelled()),
            (true, false) => Ok(()),
            (false, false) => Err(late),
        }
    }
}
