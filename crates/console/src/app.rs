use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use axum::http::Uri;
use memcloud_control::Control;
use memcloud_control::access::{Accounts, PasswordSignIn, Refused};
use memcloud_domain::{Clock, InFlight};
use memcloud_http::{BodyLimits, Metrics, Repeats};
use tokio_util::sync::CancellationToken;

use crate::passwords::Passwords;

/// What every request shares. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) control: Arc<Control>,
    pub(crate) accounts: Accounts,
    pub(crate) sign_in: Arc<PasswordSignIn>,
    pub(crate) passwords: Passwords,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) url: Uri,
    pub(crate) is_local: bool,
    pub(crate) stop: CancellationToken,
    pub(crate) settings: Settings,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) metrics: Arc<Metrics>,
    refusals: Arc<Repeats<&'static str, Option<IpAddr>>>,
}

/// What an app is made of.
pub struct Parts {
    /// The control plane.
    pub control: Arc<Control>,
    /// Who may use it.
    pub accounts: Accounts,
    /// The clock of both.
    pub clock: Arc<dyn Clock>,
    /// The address of the console as browsers know it, such as `http://127.0.0.1:8090`.
    pub url: Uri,
    /// Whether the listener is on a loopback address. Then requests that name another host than this machine and that of
    /// `url` are refused.
    pub is_local: bool,
    /// Cancelled when the server stops: it ends the answers that follow a log or an operation.
    pub stop: CancellationToken,
    /// The limits.
    pub settings: Settings,
}

/// The limits on requests.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest body of a request, in bytes. Default 256 KiB.
    pub body_bytes: usize,
    /// How long the body of a request may take to arrive. Default 30 s.
    pub body_timeout: Duration,
    /// The most memory of all requests and answers at a time, in bytes. Default 64 MiB.
    pub memory_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { body_bytes: 256 << 10, body_timeout: Duration::from_secs(30), memory_bytes: 64 << 20 }
    }
}

impl App {
    /// An app over a control plane.
    pub fn new(parts: Parts) -> Self {
        let Parts { control, accounts, clock, url, is_local, stop, settings } = parts;
        Self {
            control,
            sign_in: Arc::new(PasswordSignIn::new(accounts.clone(), Arc::clone(&clock))),
            accounts,
            passwords: Passwords::new(),
            clock,
            url,
            is_local,
            stop,
            settings,
            in_flight: InFlight::new(settings.memory_bytes),
            metrics: Arc::default(),
            refusals: Arc::default(),
        }
    }

    /// Logs what repeats and was only counted since the last time: refused tokens and passwords. To be called every ten seconds,
    /// and at the end.
    pub fn log_repeats(&self) {
        for (reason, refused, address) in self.refusals.rest() {
            log_refused(reason, refused, address);
        }
    }

    /// Notes a request whose token was refused: attacks are visible in the log, and cannot flood it.
    pub(crate) fn note_refused(&self, refused: Refused, address: Option<IpAddr>) {
        let reason = match refused {
            Refused::Unknown => "unknown token",
            Refused::Expired => "expired token",
            Refused::Revoked => "revoked token",
        };
        self.note(reason, address);
    }

    /// Notes a password that was not checked, because too many before it were wrong.
    pub(crate) fn note_delayed(&self, address: IpAddr) {
        self.note("too many wrong passwords", Some(address));
    }

    fn note(&self, reason: &'static str, address: Option<IpAddr>) {
        if let Some(address) = self.refusals.note(reason, address) {
            log_refused(reason, 1, address);
        }
    }
}

fn log_refused(reason: &str, refused: u64, address: Option<IpAddr>) {
    let address = address.map(tracing::field::display);
    tracing::warn!(refused, reason, address, "refused callers");
}

impl FromRef<App> for BodyLimits {
    fn from_ref(app: &App) -> Self {
        Self {
            bytes: app.settings.body_bytes,
            timeout: app.settings.body_timeout,
            account: Arc::clone(&app.in_flight),
        }
    }
}
