//! What the routes share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::calls::Log;
use crate::faults::Faults;
use crate::refusal::Refusal;

/// Where Azure has the key.
const API_KEY: &str = "api-key";

/// The running server's memory.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) key: Option<String>,
    pub(crate) latency: Duration,
    pub(crate) jitter: Duration,
    pub(crate) faults: Mutex<Option<Faults>>,
    pub(crate) log: Mutex<Log>,
}

/// By whose manners a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    OpenAi,
    Azure,
}

impl Manners {
    pub(crate) fn of(path: &str) -> Self {
        if path.starts_with("/openai/") { Self::Azure } else { Self::OpenAi }
    }
}

impl State {
    /// Lets a call in that shows the key, where its kind of endpoint looks for it.
    pub(crate) fn let_in(&self, headers: &HeaderMap, manners: Manners) -> Result<(), Refusal> {
        let Some(key) = &self.key else { return Ok(()) };
        let shown = match manners {
            Manners::OpenAi => {
                header(headers, AUTHORIZATION.as_str()).and_then(|shown| shown.strip_prefix("Bearer "))
            }
            Manners::Azure => header(headers, API_KEY),
        };
        if shown == Some(key) { Ok(()) } else { Err(Refusal::key()) }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        locked(&self.log)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Option<Faults>> {
        locked(&self.faults)
    }

    /// How long every answer takes, this time.
    pub(crate) fn delay(&self) -> Duration {
        self.latency + self.jitter.mul_f64(rand::random::<f64>())
    }
}

/// Whether a call shows any key.
pub(crate) fn shows_a_key(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || headers.contains_key(API_KEY)
}

/// A header, if it is text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whoever panicked with the lock has left nothing half: each change is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
