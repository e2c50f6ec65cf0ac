//! The log of refused keys: attacks are visible in it, and cannot flood it.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use memcloud_domain::Timestamp;

use super::{Stranger, has_passed};

/// The least time between two lines.
const EVERY: Duration = Duration::from_secs(10);

/// Counts the refusals since the last line.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    since_line: u64,
    line_at: Option<Timestamp>,
}

impl Refusals {
    /// Notes a request whose key was refused. The first one is logged at once, those within ten seconds of a line with
    /// the next.
    pub(super) fn note(&self, stranger: &Stranger, address: Option<IpAddr>, now: Timestamp) {
        let reason = match stranger {
            Stranger::Unknown => "unknown",
            Stranger::Revoked => "revoked",
            Stranger::Expired => "expired",
            Stranger::Missing | Stranger::Keyless | Stranger::Unreadable(_) => return,
        };
        if let Some(refused) = self.count(now) {
            let address = address.map(tracing::field::display);
            tracing::warn!(refused, reason, address, "refused keys");
        }
    }

    /// The number to log, if it is time for a line.
    fn count(&self, now: Timestamp) -> Option<u64> {
        let mut counted = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        counted.since_line += 1;
        if counted.line_at.is_some_and(|at| !has_passed(EVERY, at, now)) {
            return None;
        }
        counted.line_at = Some(now);
        Some(std::mem::take(&mut counted.since_line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_errors_logs_one_line_every_ten_seconds() {
        let refusals = Refusals::default();
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000).unwrap();
        let lines: Vec<_> = (0..25).filter_map(|second| refusals.count(at(second))).collect();
        assert_eq!(lines, [1, 10, 10]);
    }
}
