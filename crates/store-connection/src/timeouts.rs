use std::time::Duration;

/// How long the parts of a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// One ping.
    pub ping: Duration,
    /// Opening a client once the ping was answered: checking the schema, and the warm-up of a database that has just
    /// started.
    pub opening: Duration,
    /// How long an operation runs before the supervisor pings the database.
    pub slow: Duration,
    /// The longest that an ordinary operation may take.
    pub operation: Duration,
    /// The first pause between two attempts to open a client. Each is twice the one before; jitter adds up to as much
    /// again, so that many servers do not reconnect at the same moment.
    pub first_pause: Duration,
    /// The longest pause, before jitter.
    pub longest_pause: Duration,
    /// The pause after the user or the password was refused: servers lock accounts that are tried too often.
    pub refused_pause: Duration,
    /// The age at which a client is reopened: cloud services cut old connections.
    pub renewal: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(2),
            opening: Duration::from_secs(15),
            slow: Duration::from_millis(600),
            operation: Duration::from_secs(4),
            first_pause: Duration::from_millis(75),
            longest_pause: Duration::from_secs(1),
            refused_pause: Duration::from_secs(15),
            renewal: Duration::from_mins(10),
        }
    }
}
