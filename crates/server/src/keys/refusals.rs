//! The log of refused keys: attacks are visible in it, and cannot flood it.

use std::net::IpAddr;

use memcloud_http::Repeats;

use super::Stranger;

/// Counts the refusals that are not logged yet, by reason, with the address of the last.
#[derive(Default)]
pub(super) struct Refusals(Repeats<&'static str, Option<IpAddr>>);

impl Refusals {
    /// Notes a request whose key was refused.
    pub(super) fn note(&self, stranger: &Stranger, address: Option<IpAddr>) {
        let reason = match stranger {
            Stranger::Unknown => "unknown",
            Stranger::Revoked => "revoked",
            Stranger::Expired => "expired",
            Stranger::Missing | Stranger::Keyless | Stranger::Unreadable(_) => return,
        };
        if let Some(address) = self.0.note(reason, address) {
            log(reason, 1, address);
        }
    }

    /// Logs how many there were since the last line.
    pub(super) fn log_rest(&self) {
        for (reason, refused, address) in self.0.rest() {
            log(reason, refused, address);
        }
    }
}

fn log(reason: &str, refused: u64, address: Option<IpAddr>) {
    let address = address.map(tracing::field::display);
    tracing::warn!(refused, reason, address, "refused keys");
}
