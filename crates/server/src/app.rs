use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use memcloud_http::BodyLimits;
use memcloud_memory::{Chat, Memory};

use crate::ApiKeys;
use crate::keys::Keyring;
use crate::metrics::Measures;

/// What every request shares. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) memory: Arc<Memory>,
    pub(crate) chat: Option<Arc<Chat>>,
    pub(crate) keys: Arc<Keyring>,
    pub(crate) settings: Settings,
    pub(crate) measures: Arc<Measures>,
}

/// The server's limits on a request, in addition to the limits of the memory itself.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest body of a request, in bytes. Default 8 MiB.
    pub body_bytes: usize,
    /// How long the body of a request may take to arrive. Default 30 s.
    pub body_timeout: Duration,
    /// How long the readiness probe waits for the memory. Default 2 s.
    pub probe_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_bytes: 8 << 20,
            body_timeout: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(2),
        }
    }
}

impl App {
    /// What the server reports as its version.
    pub const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    /// An app over a memory. `keys` are those of the settings; the keys that the instance made are in its engine.
    /// Without any key only callers on this machine are served: see
    /// [`require_key_beyond_loopback`](crate::require_key_beyond_loopback).
    pub fn new(memory: Arc<Memory>, keys: ApiKeys, settings: Settings) -> Self {
        let keys = Arc::new(Keyring::new(keys, Arc::clone(&memory)));
        let measures = Arc::new(Measures::new());
        Self { memory, chat: None, keys, settings, measures }
    }

    /// Logs what repeats and was only counted since the last time: refused keys, and requests that were refused because the
    /// memory is unavailable. To be called every ten seconds, and at the end.
    pub fn log_repeats(&self) {
        self.keys.log_refusals();
        memcloud_http::log_unavailable();
    }

    /// The same with a language model to chat with.
    #[must_use]
    pub fn chatting(self, chat: Arc<Chat>) -> Self {
        Self { chat: Some(chat), ..self }
    }
}

impl FromRef<App> for BodyLimits {
    fn from_ref(app: &App) -> Self {
        Self {
            bytes: app.settings.body_bytes,
            timeout: app.settings.body_timeout,
            account: Arc::clone(app.memory.in_flight()),
        }
    }
}
