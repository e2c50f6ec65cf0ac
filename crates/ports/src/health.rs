//! Whether the components of an engine work.

use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{Database, Error};

/// How long a probe of a database may take.
pub const PROBE_WITHIN: Duration = Duration::from_millis(1_500);

/// A component of a memory that can fail by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The data directory.
    Store,
    /// A database server.
    Database(Database),
    /// The embedding model.
    Embedder,
}

/// The result of probing a component.
#[derive(Debug)]
pub struct HealthCheck {
    /// The component.
    pub component: Component,
    /// Whether it works.
    pub outcome: Result<(), Error>,
}

/// Probes the components of an engine.
#[async_trait]
pub trait Health: Send + Sync {
    /// Proves that each component can be read and written now. Leaves nothing behind.
    async fn probe(&self) -> Vec<HealthCheck>;

    /// Refuses when something could not be read since the engine was opened, or is known to be missing. Asks no database.
    fn intact(&self) -> Result<(), Error>;
}
