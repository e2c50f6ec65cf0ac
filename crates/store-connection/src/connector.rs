use async_trait::async_trait;
use memcloud_domain::{Database, Error};

/// Opens clients with one database.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// What operations work with: most likely a pool of connections.
    type Client: Clone + Send + Sync + 'static;

    /// The database.
    fn database(&self) -> Database;

    /// Checks on a separate connection that the database answers.
    async fn ping(&self) -> Result<(), Error>;

    /// Opens a working client. Everything in the database that operations rely on exists when this returns.
    async fn open(&self) -> Result<Self::Client, Error>;
}
