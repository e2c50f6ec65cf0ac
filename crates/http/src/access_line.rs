//! The line in the log that each answered request has.

use std::time::Duration;

use axum::http::StatusCode;
use memcloud_domain::KeyId;
use tracing::Span;

/// What is logged of an answered request.
pub(crate) struct AccessLine {
    pub(crate) span: Span,
    pub(crate) method: &'static str,
    pub(crate) route: String,
    pub(crate) status: StatusCode,
    pub(crate) took: Duration,
    pub(crate) caller: Option<KeyId>,
    pub(crate) stored: Option<u64>,
    pub(crate) found: Option<u64>,
}

impl AccessLine {
    pub(crate) fn write(self) {
        self.span.in_scope(|| {
            tracing::info!(
                method = self.method,
                route = self.route,
                status = self.status.as_u16(),
                ms = self.took.as_micros() as f64 / 1e3,
                caller = self.caller.as_ref().map(KeyId::as_str),
                stored = self.stored,
                found = self.found,
                "answered"
            );
        });
    }
}
