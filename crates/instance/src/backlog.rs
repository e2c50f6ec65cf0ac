//! Vectors for what was stored while no model ran.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memcloud_domain::{Fault, with_causes};
use memcloud_memory::Memory;

/// How many messages are embedded at once.
const BATCH: usize = 64;
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(30);
/// How often the log says how far it is.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Embeds all messages without a vector.
pub(crate) async fn embed(memory: Arc<Memory>) {
    let (mut done, mut logged) = (0, Instant::now());
    loop {
        match memory.embed_backlog(BATCH).await {
            Ok(0) => break,
            Ok(more) => done += more,
            // The supervisor of the connection logs outages.
            Err(error) if error.fault() == Fault::Unavailable => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                tracing::error!(error = %with_causes(&error), "cannot embed messages that were stored without a model; will retry");
                tokio::time::sleep(PAUSE).await;
            }
        }
        if logged.elapsed() >= LOG_EVERY {
            logged = Instant::now();
            tracing::info!(messages = done, "embedding messages that were stored without a model");
        }
    }
    if done > 0 {
        tracing::info!(messages = done, "embedded all messages that were stored without a model");
    }
}
