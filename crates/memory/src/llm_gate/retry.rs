//! When a failed call is retried.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use memcloud_ports::ModelError;

/// How often a failed call is retried, and how long to wait for that.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// The most retries.
    pub times: usize,
    /// The longest `Retry-After` that is honored. When the endpoint asks for more, the call fails.
    pub patience: Duration,
}

impl Retry {
    /// No retries: for clients that retry themselves.
    pub const NEVER: Self = Self { times: 0, patience: Duration::ZERO };
    /// For calls that a person waits for.
    pub const BRIEFLY: Self = Self { times: 2, patience: Duration::from_secs(5) };
    /// For calls in the background.
    pub const PATIENTLY: Self = Self { times: 3, patience: Duration::from_secs(30) };

    pub(crate) fn pauses(self) -> Pauses {
        // Each pause is twice the one before, from half a second on, plus up to as much again at random.
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_times(self.times)
            .with_jitter()
            .build();
        Pauses { pauses, patience: self.patience }
    }
}

/// The pauses between the attempts of one call.
pub(crate) struct Pauses {
    pauses: ExponentialBackoff,
    patience: Duration,
}

impl Pauses {
    /// How long to wait after this error before the next attempt; `None` when there is none.
    pub(crate) fn after(&mut self, error: &ModelError) -> Option<Duration> {
        if !is_transient(error) {
            return None;
        }
        let pause = self.pauses.next()?;
        let asked = error.retry_after().unwrap_or_default();
        // At least as long as the endpoint asks for, plus a random part, so that callers do not come back all at once.
        let pause = if asked.is_zero() { pause } else { asked + pause / 4 };
        (asked <= self.patience).then_some(pause)
    }
}

/// Whether the same call may succeed a little later. A call whose answer began is never retried, since it is charged.
fn is_transient(error: &ModelError) -> bool {
    match error {
        ModelError::Unreachable(_) => true,
        ModelError::Refused(refusal) => refusal.kind.is_transient(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memcloud_ports::{EndpointRefusal, RefusalKind};

    fn refused(kind: RefusalKind, retry_after: Option<u64>) -> ModelError {
        let retry_after = retry_after.map(Duration::from_secs);
        ModelError::Refused(EndpointRefusal {
            kind,
            status: 0,
            content_type: None,
            body: "".into(),
            retry_after,
        })
    }

    #[test]
    fn retry_after_is_honored_up_to_the_limit() {
        let mut pauses = Retry::BRIEFLY.pauses();
        let pause = pauses.after(&refused(RefusalKind::RateLimited, Some(3))).unwrap();
        assert!(pause >= Duration::from_secs(3) && pause < Duration::from_secs(4), "{pause:?}");
        assert_eq!(pauses.after(&refused(RefusalKind::RateLimited, Some(6))), None);
        assert_eq!(Retry::NEVER.pauses().after(&refused(RefusalKind::RateLimited, None)), None);
    }

    #[test]
    fn pauses_grow_and_end() {
        let mut pauses = Retry::PATIENTLY.pauses();
        let all: Vec<_> =
            std::iter::from_fn(|| pauses.after(&refused(RefusalKind::ServerFailed, None))).collect();
        assert_eq!(all.len(), 3);
        for (pause, least) in all.iter().zip([500, 1_000, 2_000]) {
            assert!((least..=2 * least).contains(&pause.as_millis()), "{all:?}");
        }
    }

    #[test]
    fn only_transient_failures_are_retried() {
        use RefusalKind::{BadRequest, ContextOverflow, KeyRefused, ModelUnknown, QuotaExhausted};
        for kind in [BadRequest, ContextOverflow, KeyRefused, ModelUnknown, QuotaExhausted] {
            assert_eq!(Retry::PATIENTLY.pauses().after(&refused(kind, None)), None, "{kind:?}");
        }
        assert_eq!(Retry::PATIENTLY.pauses().after(&ModelError::Silent(Duration::from_secs(1))), None);
    }
}
