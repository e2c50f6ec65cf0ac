use std::time::Duration;

use rand::RngExt;

use crate::Patience;

/// The pauses between attempts: each twice the one before, up to a longest, and a little by chance, so that many servers
/// do not knock at the same moment.
pub(crate) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    pub(crate) fn new(patience: &Patience) -> Self {
        Self { next: patience.first_pause, longest: patience.longest_pause }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next.mul_f64(rand::rng().random_range(0.75..=1.0));
        self.next = (self.next * 2).min(self.longest);
        pause
    }
}
