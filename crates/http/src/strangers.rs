//! How many requests are answered on connections of strangers before they lose them.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How many a second, and how many at once after a pause: more than tools need that try what an instance refuses, and so
/// few that they take a twentieth of a processor.
const EACH_SECOND: f64 = 500.0;

/// The requests that a listener answers on connections on which no caller with a right was seen.
///
/// When there are too many, an answer to a caller without a right ends its connection. A peer that sends requests without end
/// then needs a connection for each, and one who asks now and then, as probes do, loses no more than an idle connection.
pub(crate) struct Strangers(Mutex<Left>);

struct Left {
    answers: f64,
    at: Instant,
}

impl Strangers {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Left { answers: EACH_SECOND, at: Instant::now() }))
    }

    /// Counts a request; `true` if there were too many lately.
    pub(crate) fn are_too_many(&self) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let earned = (now - left.at).as_secs_f64() * EACH_SECOND;
        let answers = (left.answers + earned).min(EACH_SECOND) - 1.0;
        *left = Left { answers: answers.max(0.0), at: now };
        answers < 0.0
    }
}
