//! Waiting for what other processes do.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Between two looks at what no call can wait for: files and processes of others.
const GLANCE: Duration = Duration::from_millis(10);

/// Looks again and again until there is an answer, at most for `limit`; `None` if there was none by then.
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
