//! A circuit breaker: after repeated failures, calls fail fast so that no caller waits and the endpoint can recover.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Opens after this many failures in a row.
const FAILURES: u32 = 3;
/// How long it stays open at first; twice as long after each failed trial.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest that it stays open.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

#[derive(Debug)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Clone, Copy, Debug)]
enum State {
    /// Calls are made.
    Closed { failures: u32 },
    /// Calls fail fast until then.
    Open { until: Instant, pause: Duration },
    /// One call tries the endpoint. If its outcome is never reported, another call may try from then on.
    Trial { until: Instant, pause: Duration },
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::Closed { failures: 0 }))
    }

    /// Admits a call, or returns how long calls still fail fast.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => Ok(()),
            State::Open { until, pause } | State::Trial { until, pause } => {
                let now = Instant::now();
                if now < until {
                    return Err(until - now);
                }
                *state = State::Trial { until: now + pause, pause };
                Ok(())
            }
        }
    }

    /// How long calls still fail fast; `None` while the breaker is closed.
    pub(crate) fn resting(&self) -> Option<Duration> {
        match *self.state() {
            State::Open { until, .. } | State::Trial { until, .. } => {
                Some(until.saturating_duration_since(Instant::now()))
            }
            State::Closed { .. } => None,
        }
    }

    /// The trial call was not made: another call may try at once.
    pub(crate) fn not_tried(&self) {
        let mut state = self.state();
        if let State::Trial { pause, .. } = *state {
            *state = State::Open { until: Instant::now(), pause };
        }
    }

    /// A call succeeded.
    pub(crate) fn succeeded(&self) {
        *self.state() = State::Closed { failures: 0 };
    }

    /// A call failed.
    pub(crate) fn failed(&self) {
        let mut state = self.state();
        let pause = match *state {
            State::Closed { failures } if failures + 1 < FAILURES => {
                *state = State::Closed { failures: failures + 1 };
                return;
            }
            State::Closed { .. } => FIRST_PAUSE,
            // A call that was running when the breaker opened.
            State::Open { .. } => return,
            State::Trial { pause, .. } => (pause * 2).min(LONGEST_PAUSE),
        };
        *state = State::Open { until: Instant::now() + pause, pause };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_three_failures_and_admits_one_trial() {
        let breaker = Breaker::new();
        breaker.failed();
        breaker.failed();
        breaker.succeeded();
        for _ in 0..FAILURES {
            assert!(breaker.admit().is_ok() && breaker.resting().is_none());
            breaker.failed();
        }
        assert_eq!(breaker.admit(), Err(FIRST_PAUSE));
        tokio::time::advance(FIRST_PAUSE).await;
        assert!(breaker.admit().is_ok());
        assert_eq!(breaker.admit(), Err(FIRST_PAUSE), "one call tries, the others fail fast");
        tokio::time::advance(FIRST_PAUSE).await;
        assert!(breaker.admit().is_ok(), "the first trial never reported its outcome");
        breaker.succeeded();
        assert!(breaker.admit().is_ok() && breaker.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn stays_open_longer_after_each_failed_trial() {
        let breaker = Breaker::new();
        for _ in 0..FAILURES {
            breaker.failed();
        }
        let mut pauses = vec![];
        for _ in 0..8 {
            let pause = breaker.admit().unwrap_err();
            pauses.push(pause.as_secs());
            tokio::time::advance(pause).await;
            breaker.admit().unwrap();
            tokio::time::advance(Duration::from_secs(4)).await;
            breaker.failed();
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 120, 120, 120]);
    }
}
