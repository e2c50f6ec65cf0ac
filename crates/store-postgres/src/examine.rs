use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use memcloud_domain::{Clock, Database, EpisodeId, Error};
use memcloud_ports::{ContentLocation, Damage, DamagedRow};
use memcloud_store_connection::{Connector, Timeouts, round_trip, within};

use crate::connect::{OpenDatabase, Opener};
use crate::error::WorkError;
use crate::profile::facts;
use crate::target::{Host, Target, Tls};
use crate::{LONG, keys, read, schema};

/// The state of a database.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The name of the memory.
    pub memory: String,
    /// The version of the server.
    pub version: String,
    /// The version of pgvector.
    pub pgvector: String,
    /// How long a round trip takes.
    pub latency: Duration,
    /// How the connection is protected, in words.
    pub protection: String,
    /// Whether it can be written.
    pub writable: bool,
    /// Whether the user may change the schema.
    pub owner: bool,
    /// How many migrations were run.
    pub schema: usize,
    /// Indexes that are not valid.
    pub broken_indexes: Vec<String>,
    /// The connections in use and the most allowed, on the whole server.
    pub connections: (i64, i64),
    /// Whether a commit waits for the disk.
    pub durable: bool,
    /// How many episodes it holds.
    pub episodes: u64,
    /// The rows that cannot be read; `None` when not all were tried.
    pub unreadable: Option<Vec<DamagedRow<EpisodeId>>>,
}

/// Connects to this database and asks it for nothing. Changes nothing in it.
pub async fn reach(target: &Target, clock: Arc<dyn Clock>) -> Result<(), Error> {
    let opener = Opener { target: target.clone(), content: ContentLocation::Records, clock };
    within(Timeouts::default().operation, Database::Postgres, opener.ping()).await
}

/// Opens this database and checks everything that a memory needs.
pub async fn examine(
    target: &Target,
    content: ContentLocation,
    clock: Arc<dyn Clock>,
) -> Result<Findings, Error> {
    // One connection reads, the other tries to write.
    let target = Target { pool: target.pool.max(2), ..target.clone() };
    let opener = Opener { target: target.clone(), content, clock };
    let inspection = async {
        let database = opener.open().await?;
        let found = inspect(&database, &target).await;
        Ok((database, found.map_err(|failure| failure.doing("examining the database"))?))
    };
    let (database, mut found) = within(Timeouts::default().operation, Database::Postgres, inspection).await?;
    let unreadable = tokio::time::timeout(LONG, unreadable(&database)).await.ok().transpose();
    found.unreadable = unreadable.map_err(|failure| failure.doing("reading all rows"))?;
    Ok(found)
}

async fn unreadable(database: &OpenDatabase) -> Result<Vec<DamagedRow<EpisodeId>>, WorkError> {
    let client = database.client().await?;
    // The connection is dropped with its pool.
    client.batch_execute("SET statement_timeout = 0").await?;
    let damage = Damage::default();
    read::note_unreadable(&client, &damage).await?;
    keys::all(&client, &damage).await?;
    facts::all(&client, &damage, None, usize::MAX).await?;
    Ok(damage.rows())
}

async fn inspect(database: &OpenDatabase, target: &Target) -> Result<Findings, WorkError> {
    let client = database.client().await?;
    let row = client
        .query_one(
            "SELECT current_setting('server_version'), current_setting('transaction_read_only') = 'off',
                    has_schema_privilege('memcloud', 'CREATE'),
                    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
                    current_setting('max_connections')::bigint, current_setting('fsync') = 'on',
                    (SELECT array_agg(c.relname::text) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                     WHERE c.relnamespace = 'memcloud'::regnamespace AND NOT i.indisvalid)",
            &[],
        )
        .await?;
    let writable: bool = row.get(1);
    if writable {
        schema::prove_writable(database.client().await?).await?;
    }
    Ok(Findings {
        memory: database.memory.clone(),
        version: row.get(0),
        pgvector: schema::vector_version(&client).await?.unwrap_or_default(),
        latency: round_trip(async || client.simple_query("").await.map(drop)).await?,
        protection: protection(&client, target).await?,
        writable,
        owner: row.get(2),
        schema: schema::steps_done(&client).await?,
        broken_indexes: row.get::<_, Option<Vec<String>>>(6).unwrap_or_default(),
        connections: (row.get(3), row.get(4)),
        durable: row.get(5),
        episodes: read::counts(database.client().await?).await?.episodes,
        unreadable: None,
    })
}

async fn protection(client: &Object, target: &Target) -> Result<String, WorkError> {
    if let Host::Socket(_) = target.host {
        return Ok("a unix socket".into());
    }
    // As the server sees it. A proxy that terminates TLS in front of it hides the encryption of the connection.
    let row =
        client.query_opt("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl", &[]).await?;
    let version = row.map_or_else(|| "TLS".to_owned(), |row| row.get::<_, String>(0));
    Ok(match &target.tls {
        Tls::Off => "no TLS".into(),
        Tls::Verified(Some(file)) => format!("{version}, verified by {}", file.display()),
        Tls::Verified(None) => format!("{version}, verified by this machine's authorities"),
    })
}
