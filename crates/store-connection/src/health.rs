use tokio::sync::{Notify, watch};

/// What operations report to the supervisor.
pub(crate) struct HealthSignals {
    /// An operation takes long.
    pub(crate) slow: Notify,
    /// The newest generation whose client was lost.
    pub(crate) lost: watch::Sender<u64>,
}

impl Default for HealthSignals {
    fn default() -> Self {
        Self { slow: Notify::new(), lost: watch::Sender::new(0) }
    }
}
