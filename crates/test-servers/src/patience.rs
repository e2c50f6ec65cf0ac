//! Waits for other processes.

use std::time::{Duration, Instant};

use anyhow::Result;

/// The interval for polling what no call can wait for: files and processes of others.
const GLANCE: Duration = Duration::from_millis(10);

/// Polls until there is an answer, for at most `limit`; `None` if there is none by then.
pub(crate) fn until<T>(limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(seen) = look()? {
            return Ok(Some(seen));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(GLANCE);
    }
}
