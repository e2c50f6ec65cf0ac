use std::time::Duration;

use memcloud_domain::Timestamp;

use super::{Observation, Readiness};
use crate::instances::{Instance, State};
use crate::targets::Observed;

/// The longest pause between two attempts for a process that is gone.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The pause between two attempts for an instance that says it is ready and does not pass its verification: each attempt
/// restarts it and may use its language model.
const PAUSE_OF_READY: Duration = Duration::from_mins(10);
/// After this many attempts in a row an instance is degraded.
pub(super) const ENOUGH: u32 = 5;
/// An instance that ran for this long after an attempt was recovered by it.
const STABLE: Duration = Duration::from_mins(1);

/// What was tried for an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// How many attempts there were since it last ran for a minute.
    attempts: u32,
    /// When the last one began.
    last: Option<Timestamp>,
    /// Whether it became ready since the last attempt, after it was not.
    is_ready_again: bool,
    was_not_ready: bool,
}

impl History {
    /// How many attempts there were since the instance last ran for a minute.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Notes what was observed, before an action is decided.
    pub fn note(&mut self, instance: &Instance, observed: &Observation, now: Timestamp) {
        match (observed.process, &observed.readiness) {
            (Observed::Alive, Readiness::Ready) => {
                self.is_ready_again |= std::mem::take(&mut self.was_not_ready);
                let ran = self.last.is_none_or(|last| age(last, now) >= STABLE);
                if instance.state == State::Running && ran {
                    *self = Self::default();
                }
            }
            (Observed::Alive, Readiness::NotReady(_)) => self.was_not_ready = true,
            (Observed::Alive, Readiness::Unknown) | (Observed::Gone, _) => {}
        }
    }

    /// Notes that an attempt begins.
    pub fn attempted(&mut self, now: Timestamp) {
        self.attempts = self.attempts.saturating_add(1);
        (self.last, self.is_ready_again) = (Some(now), false);
    }

    /// Whether the next attempt is due for a process that is gone: at once, then after 1, 2, 4 and 8 seconds, then every
    /// minute.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.has_passed(self.pause(), now)
    }

    /// Whether the next attempt is due for an instance that says it is ready: at once when it just became so; after five
    /// attempts every ten minutes.
    pub(super) fn is_due_for_ready(&self, now: Timestamp) -> bool {
        let pause = if self.attempts < ENOUGH { self.pause() } else { PAUSE_OF_READY };
        self.is_ready_again || self.has_passed(pause, now)
    }

    fn pause(&self) -> Duration {
        match self.attempts {
            0 => Duration::ZERO,
            few @ 1..ENOUGH => Duration::from_secs(1 << (few - 1)),
            _ => LONGEST_PAUSE,
        }
    }

    fn has_passed(&self, pause: Duration, now: Timestamp) -> bool {
        self.last.is_none_or(|last| age(last, now) >= pause)
    }
}

/// The time since a moment. A clock that was set back ends every pause.
fn age(since: Timestamp, now: Timestamp) -> Duration {
    let micros = now.as_micros().saturating_sub(since.as_micros());
    u64::try_from(micros).map_or(Duration::MAX, Duration::from_micros)
}
