//! Connections that are over, and whose peers hear of it a second later.

use std::time::Duration;

use memcloud_tasks::Tasks;
use tokio::net::TcpStream;

/// How long the peer of a connection that is over waits until it hears of it.
const DELAY: Duration = Duration::from_secs(1);

/// Closes the connections of strangers late. Someone who opens a new connection for each that is closed then does so once a
/// second, and meanwhile takes a descriptor each and nothing else.
pub(crate) struct DelayedClose {
    most: usize,
    waiting: Tasks,
}

impl DelayedClose {
    /// For this many connections at a time; more are closed at once.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, waiting: Tasks::new() }
    }

    pub(crate) fn close(&self, stream: TcpStream) {
        // What the peer sends from now on shall wake no one.
        let Ok(stream) = stream.into_std() else { return };
        if self.waiting.len() < self.most {
            self.waiting.spawn("delayed close", |_| async move {
                tokio::time::sleep(DELAY).await;
                drop(stream);
            });
        }
    }
}
