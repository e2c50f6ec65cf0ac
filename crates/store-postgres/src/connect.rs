//! Opens the database: a connection pool, over a schema that is up to date.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use memcloud_domain::{Clock, Database, Error};
use memcloud_ports::ContentLocation;
use memcloud_store_connection::Connector;
use secrecy::ExposeSecret;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::WorkError;
use crate::target::{Host, Target, Tls};
use crate::{schema, tls};

/// The settings of every connection.
///
/// A commit that is answered must be on the disk. A server that hangs in a transaction would block the others, so
/// PostgreSQL ends its session. No statement runs longer than a caller waits for it.
const CONNECTION_SETTINGS: &str = "
    SET application_name = 'memcloud';
    SET idle_in_transaction_session_timeout = '10s';
    SET lock_timeout = '4s';
    SET statement_timeout = '5s';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// Opens one database.
pub(crate) struct Opener {
    pub(crate) target: Target,
    pub(crate) content: ContentLocation,
    pub(crate) clock: Arc<dyn Clock>,
}

/// An open database: its connection pool, and the name of the memory in it.
#[derive(Clone)]
pub(crate) struct OpenDatabase {
    pool: Pool,
    pub(crate) memory: String,
}

impl OpenDatabase {
    /// A connection of the pool.
    pub(crate) async fn client(&self) -> Result<Object, WorkError> {
        Ok(self.pool.get().await?)
    }
}

#[async_trait]
impl Connector for Opener {
    type Client = OpenDatabase;

    fn database(&self) -> Database {
        Database::Postgres
    }

    async fn ping(&self) -> Result<(), Error> {
        let ping = async { Ok(pool(&self.target)?.get().await?.simple_query("").await.map(drop)?) };
        ping.await.map_err(|failure: WorkError| failure.doing("pinging the database"))
    }

    async fn open(&self) -> Result<OpenDatabase, Error> {
        let pool = pool(&self.target)?;
        let prepare = async {
            let mut client = pool.get().await?;
            schema::prepare(&mut client, self.content, &self.target.place(), self.clock.now()).await
        };
        let memory = prepare.await.map_err(|failure| failure.doing("opening the database"))?;
        Ok(OpenDatabase { pool, memory })
    }
}

fn pool(target: &Target) -> Result<Pool, Error> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match (&target.host, &target.tls) {
        (Host::Network(_), Tls::Verified(authority)) => {
            let tls = MakeRustlsConnect::new(tls::client(authority.as_deref())?);
            Manager::from_config(config(target), tls, recycling)
        }
        _ => Manager::from_config(config(target), NoTls, recycling),
    };
    let pool = Pool::builder(manager).max_size(target.pool).post_create(Hook::async_fn(|client, _| {
        Box::pin(async { client.batch_execute(CONNECTION_SETTINGS).await.map_err(HookError::Backend) })
    }));
    // Building fails only for a timeout without a runtime. None is set, because the connection has its own.
    pool.build()
        .map_err(|error| Error::Storage { doing: "creating the connection pool", source: error.into() })
}

fn config(target: &Target) -> Config {
    use tokio_postgres::config::SslMode;
    let mut config = Config::new();
    match &target.host {
        Host::Socket(folder) => config.host_path(folder),
        Host::Network(host) => config.host(host),
    };
    let protected = matches!((&target.host, &target.tls), (Host::Network(_), Tls::Verified(_)));
    config
        .port(target.port)
        .dbname(&target.database)
        .user(&target.user)
        .ssl_mode(if protected { SslMode::Require } else { SslMode::Disable })
        .keepalives_idle(Duration::from_secs(30))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(2)
        .tcp_user_timeout(Duration::from_secs(10));
    if let Some(password) = &target.password {
        config.password(password.expose_secret());
    }
    config
}
