//! Opens sessions: a pool of connections with everything in the database that operations rely on.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use memcloud_domain::{Database, Error};
use memcloud_ports::ContentLocation;
use memcloud_store_connection::Connector;
use secrecy::ExposeSecret;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::Failure;
use crate::target::{Host, Target, Tls};
use crate::{schema, tls};

/// What every connection is told.
///
/// A commit that is answered must be on the disk. A server that stands still in the midst of a transaction holds up the
/// others, so it is cut off; and no statement goes on for longer than anybody waits for it.
const EVERY_CONNECTION: &str = "
    SET application_name = 'memcloud';
    SET idle_in_transaction_session_timeout = '10s';
    SET lock_timeout = '4s';
    SET statement_timeout = '5s';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// Opens sessions with one database.
pub(crate) struct Opener {
    pub(crate) target: Target,
    pub(crate) home: ContentLocation,
}

/// A session: its connections, and the name of the memory in the database.
#[derive(Clone)]
pub(crate) struct Session {
    pool: Pool,
    pub(crate) memory: String,
}

impl Session {
    /// A connection of the pool.
    pub(crate) async fn client(&self) -> Result<Object, Failure> {
        Ok(self.pool.get().await?)
    }
}

#[async_trait]
impl Connector for Opener {
    type Session = Session;

    fn database(&self) -> Database {
        Database::Postgres
    }

    async fn ping(&self) -> Result<(), Error> {
        let look = async { Ok(pool(&self.target)?.get().await?.simple_query("").await.map(drop)?) };
        look.await.map_err(|failure: Failure| failure.doing("looking at the database"))
    }

    async fn open(&self) -> Result<Session, Error> {
        let pool = pool(&self.target)?;
        let prepare = async {
            let mut client = pool.get().await?;
            schema::prepare(&mut client, self.home, &self.target.place()).await
        };
        let memory = prepare.await.map_err(|failure| failure.doing("opening the database"))?;
        Ok(Session { pool, memory })
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
        Box::pin(async { client.batch_execute(EVERY_CONNECTION).await.map_err(HookError::Backend) })
    }));
    // The only refusal is of a time limit without a runtime, and no time limit is set: the link has its own.
    pool.build()
        .map_err(|error| Error::Storage { doing: "making a pool of connections", source: error.into() })
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
