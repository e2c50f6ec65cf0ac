use std::time::{Duration, Instant};

use memcloud_domain::{Database, DatabaseErrorKind, Error};
use tokio::time::timeout;

/// The result of this work on a database, or [`DatabaseErrorKind::Silent`] when it takes longer than `limit`.
pub async fn within<T>(
    limit: Duration,
    database: Database,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let seen = format!("no answer within {:.1} s", limit.as_secs_f64());
        Err(Error::database(database, DatabaseErrorKind::Silent, seen))
    })
}

/// The median time of a few round trips that ask for no work.
pub async fn round_trip<E>(ask: impl AsyncFn() -> Result<(), E>) -> Result<Duration, E> {
    let mut times = [Duration::ZERO; 5];
    for time in &mut times {
        let began = Instant::now();
        ask().await?;
        *time = began.elapsed();
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
