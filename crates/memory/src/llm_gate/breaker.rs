//! Leaves a language model alone that fails again and again: nobody then waits for it, and it is not kept from getting
//! up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After so many failures in a row it is left alone.
const FAILURES: u32 = 3;
/// For so long at first; twice as long whenever it fails again.
const FIRST_REST: Duration = Duration::from_secs(5);
/// And for no longer than this.
const LONGEST_REST: Duration = Duration::from_mins(2);

#[derive(Debug)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Clone, Copy, Debug)]
enum State {
    /// It is used.
    Closed { failures: u32 },
    /// It is left alone until then.
    Open { until: Instant, rest: Duration },
    /// One call tries it. Should that one never tell how it went, another may from then on.
    Tried { until: Instant, rest: Duration },
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::Closed { failures: 0 }))
    }

    /// Whether the model may be used; if not, when it is tried again.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => Ok(()),
            State::Open { until, rest } | State::Tried { until, rest } => {
                let now = Instant::now();
                if now < until {
                    return Err(until - now);
                }
                *state = State::Tried { until: now + rest, rest };
                Ok(())
            }
        }
    }

    /// How long it is still left alone, if it is.
    pub(crate) fn resting(&self) -> Option<Duration> {
        match *self.state() {
            State::Open { until, .. } | State::Tried { until, .. } => {
                Some(until.saturating_duration_since(Instant::now()))
            }
            State::Closed { .. } => None,
        }
    }

    /// The one call that was to try it was not made: another may at once.
    pub(crate) fn not_tried(&self) {
        let mut state = self.state();
        if let State::Tried { rest, .. } = *state {
            *state = State::Open { until: Instant::now(), rest };
        }
    }

    /// It answered.
    pub(crate) fn succeeded(&self) {
        *self.state() = State::Closed { failures: 0 };
    }

    /// It failed.
    pub(crate) fn failed(&self) {
        let mut state = self.state();
        let rest = match *state {
            State::Closed { failures } if failures + 1 < FAILURES => {
                *state = State::Closed { failures: failures + 1 };
                return;
            }
            State::Closed { .. } => FIRST_REST,
            // It was under way when the others failed, and tells nothing new.
            State::Open { .. } => return,
            State::Tried { rest, .. } => (rest * 2).min(LONGEST_REST),
        };
        *state = State::Open { until: Instant::now() + rest, rest };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_three_failures_and_lets_one_try() {
        let breaker = Breaker::new();
        breaker.failed();
        breaker.failed();
        breaker.succeeded();
        for _ in 0..FAILURES {
            assert!(breaker.admit().is_ok() && breaker.resting().is_none());
            breaker.failed();
        }
        assert_eq!(breaker.admit(), Err(FIRST_REST));
        tokio::time::advance(FIRST_REST).await;
        assert!(breaker.admit().is_ok());
        assert_eq!(breaker.admit(), Err(FIRST_REST), "one tries, the others wait");
        tokio::time::advance(FIRST_REST).await;
        assert!(breaker.admit().is_ok(), "it never told how it went");
        breaker.succeeded();
        assert!(breaker.admit().is_ok() && breaker.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn rests_longer_each_time_but_not_for_ever() {
        let breaker = Breaker::new();
        for _ in 0..FAILURES {
            breaker.failed();
        }
        let mut rests = vec![];
        for _ in 0..8 {
            let rest = breaker.admit().unwrap_err();
            rests.push(rest.as_secs());
            tokio::time::advance(rest).await;
            breaker.admit().unwrap();
            tokio::time::advance(Duration::from_secs(4)).await;
            breaker.failed();
        }
        assert_eq!(rests, [5, 10, 20, 40, 80, 120, 120, 120]);
    }
}
