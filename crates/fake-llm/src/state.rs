//! The state that all routes share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::calls::Log;
use crate::faults::Faults;
use crate::refusal::ErrorAnswer;

/// The header in which Azure expects the key.
const API_KEY: &str = "api-key";

/// The state of a running server.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) key: Option<String>,
    pub(crate) latency: Duration,
    pub(crate) jitter: Duration,
    pub(crate) faults: Mutex<Option<Faults>>,
    pub(crate) log: Mutex<Log>,
}

/// The API dialect of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Azure,
}

impl Dialect {
    pub(crate) fn of(path: &str) -> Self {
        if path.starts_with("/openai/") { Self::Azure } else { Self::OpenAi }
    }
}

impl State {
    /// Checks the key, in the header of the call's dialect.
    pub(crate) fn authorize(&self, headers: &HeaderMap, dialect: Dialect) -> Result<(), ErrorAnswer> {
        let Some(key) = &self.key else { return Ok(()) };
        let shown = match dialect {
            Dialect::OpenAi => {
                header(headers, AUTHORIZATION.as_str()).and_then(|shown| shown.strip_prefix("Bearer "))
            }
            Dialect::Azure => header(headers, API_KEY),
        };
        if shown == Some(key) { Ok(()) } else { Err(ErrorAnswer::key()) }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        locked(&self.log)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Option<Faults>> {
        locked(&self.faults)
    }

    /// The delay of this answer.
    pub(crate) fn delay(&self) -> Duration {
        self.latency + self.jitter.mul_f64(rand::random::<f64>())
    }
}

/// Whether a call carries any key.
pub(crate) fn shows_a_key(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || headers.contains_key(API_KEY)
}

/// A header, if it is text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A panic while the lock was held leaves no partial change: each change is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
