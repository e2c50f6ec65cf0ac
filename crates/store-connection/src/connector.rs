use async_trait::async_trait;
use memcloud_domain::{Database, Error};

/// Opens sessions with one database.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// What operations work with: most likely a pool of connections.
    type Session: Clone + Send + Sync + 'static;

    /// The database.
    fn database(&self) -> Database;

    /// Checks on a separate connection that the database answers.
    async fn ping(&self) -> Result<(), Error>;

    /// Opens a working session. Everything in the database that operations rely on exists when this returns.
    async fn open(&self) -> Result<Self::Session, Error>;
}
