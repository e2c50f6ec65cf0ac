use std::time::{Duration, Instant};

use memcloud_domain::{Database, DatabaseErrorKind, Error};
use tokio::time::timeout;

/// What comes of this work on a database, or that there was no answer in time.
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

/// How long a question that needs no work and its answer take: the middle of a few.
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
