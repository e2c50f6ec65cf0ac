//! When a call that failed is made again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use memcloud_ports::ModelError;

/// How often, and how long at most it is waited before.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// How often a call is made again.
    pub times: usize,
    /// A pause that the endpoint asks for and that is longer than this is not waited for: the call has failed.
    pub patience: Duration,
}

impl Retry {
    /// Not at all: for a client that does so itself.
    pub const NEVER: Self = Self { times: 0, patience: Duration::ZERO };
    /// While a person waits.
    pub const BRIEFLY: Self = Self { times: 2, patience: Duration::from_secs(5) };
    /// While nobody waits.
    pub const PATIENTLY: Self = Self { times: 3, patience: Duration::from_secs(30) };

    pub(crate) fn pauses(self) -> Pauses {
        // From half a second on, each pause is twice the one before, and up to as long again by chance.
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_times(self.times)
            .with_jitter()
            .build();
        Pauses { pauses, patience: self.patience }
    }
}

/// The pauses of one call.
pub(crate) struct Pauses {
    pauses: ExponentialBackoff,
    patience: Duration,
}

impl Pauses {
    /// How long to wait after this error before the call is made again; `None` when it is not.
    pub(crate) fn after(&mut self, error: &ModelError) -> Option<Duration> {
        if !may_pass(error) {
            return None;
        }
        let pause = self.pauses.next()?;
        let asked = error.retry_after().unwrap_or_default();
        // What the endpoint asks for is the least; the chance on top keeps callers from coming back all at once.
        let pause = if asked.is_zero() { pause } else { asked + pause / 4 };
        (asked <= self.patience).then_some(pause)
    }
}

/// Whether the same call may succeed a little later. An answer that was begun is charged, so it is not asked for again.
fn may_pass(error: &ModelError) -> bool {
    match error {
        ModelError::Unreachable(_) => true,
        ModelError::Refused(refusal) => {
            matches!(refusal.status, 408 | 409 | 429 | 500 | 502 | 503 | 504 | 529) && !refusal.is_overflow()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memcloud_ports::Refusal;

    fn refused(status: u16, retry_after: Option<u64>) -> ModelError {
        let retry_after = retry_after.map(Duration::from_secs);
        ModelError::Refused(Refusal { status, content_type: None, body: "".into(), retry_after })
    }

    #[test]
    fn waits_as_long_as_it_is_asked_to_and_no_longer_than_it_can() {
        let mut pauses = Retry::BRIEFLY.pauses();
        let pause = pauses.after(&refused(429, Some(3))).unwrap();
        assert!(pause >= Duration::from_secs(3) && pause < Duration::from_secs(4), "{pause:?}");
        assert_eq!(pauses.after(&refused(429, Some(6))), None);
        assert_eq!(Retry::NEVER.pauses().after(&refused(429, None)), None);
    }

    #[test]
    fn grows_and_ends() {
        let mut pauses = Retry::PATIENTLY.pauses();
        let all: Vec<_> = std::iter::from_fn(|| pauses.after(&refused(503, None))).collect();
        assert_eq!(all.len(), 3);
        for (pause, least) in all.iter().zip([500, 1_000, 2_000]) {
            assert!((least..=2 * least).contains(&pause.as_millis()), "{all:?}");
        }
    }

    #[test]
    fn asks_again_only_for_what_may_pass() {
        for status in [400, 401, 403, 404, 422, 501] {
            assert_eq!(Retry::PATIENTLY.pauses().after(&refused(status, None)), None, "{status}");
        }
        assert_eq!(Retry::PATIENTLY.pauses().after(&ModelError::Silent(Duration::from_secs(1))), None);
    }
}
