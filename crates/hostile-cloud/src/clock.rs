//! The clock of this cloud: the machine's, and what tests have added.

use std::time::Duration;

use jiff::Timestamp;

/// The time here.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead: Duration,
}

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now() + self.ahead
    }

    /// The time as the APIs write it.
    pub(crate) fn text(&self) -> String {
        self.now().to_string()
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.ahead += by;
    }
}
