//! The schema: checked whenever the database is opened, migrated if it is old.

use deadpool_postgres::{GenericClient, Object, Transaction};
use memcloud_domain::{Database, DatabaseErrorKind, Error, Timestamp};
use memcloud_ports::{ContentLocation, unique_id};

use crate::error::WorkError;

/// The migrations, in order. A released migration is never changed. `memcloud.steps` counts those that were run.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_memory.sql"),
    include_str!("../migrations/0002_profile.sql"),
    include_str!("../migrations/0003_keys.sql"),
    include_str!("../migrations/0004_spaces.sql"),
    include_str!("../migrations/0005_fact_sets.sql"),
    include_str!("../migrations/0006_pruning.sql"),
];

/// The oldest supported server, as `server_version_num`: 14.
pub(crate) const OLDEST_SERVER: i32 = 140_000;
/// The oldest supported pgvector: the first with vectors of sixteen bits.
pub(crate) const OLDEST_VECTOR: (u32, u32) = (0, 7);

/// An advisory lock that other programs are unlikely to use: "memcloud" in ASCII.
const LOCK: i64 = 0x6d65_6d63_6c6f_7564;

/// Brings the database up to date, and returns the name of the memory.
///
/// Writes nothing if nothing is missing, so that a read-only database can be read.
pub(crate) async fn prepare(
    client: &mut Object,
    content: ContentLocation,
    place: &str,
    now: Timestamp,
) -> Result<String, WorkError> {
    check_server(&*client).await?;
    let done = steps_done(&*client).await?;
    if done > MIGRATIONS.len() {
        let found = format!("its schema is {done}, and this memcloud knows {}", MIGRATIONS.len());
        return Err(Error::database(Database::Postgres, DatabaseErrorKind::Newer, found).into());
    }
    if done < MIGRATIONS.len() {
        migrate(client).await?;
    }
    check_vector(&*client).await?;
    bind_content_location(client, content, place).await?;
    get_or_set(&*client, "memory", &unique_id(now).to_string()).await
}

/// Ties the records to the place where the content of their episodes is. Records without episodes may change it.
async fn bind_content_location(
    client: &Object,
    content: ContentLocation,
    place: &str,
) -> Result<(), WorkError> {
    let stored = get_or_set(client, "home", content.name()).await?;
    let Err(elsewhere) = content.check(&stored, place) else { return Ok(()) };
    let changed = client
        .execute(
            "UPDATE memcloud.meta SET value = $1
             WHERE name = 'home' AND NOT EXISTS (SELECT 1 FROM memcloud.episodes)",
            &[&content.name()],
        )
        .await?;
    if changed == 1 { Ok(()) } else { Err(elsewhere.into()) }
}

async fn check_server(client: &impl GenericClient) -> Result<(), WorkError> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::integer, current_setting('server_version')",
            &[],
        )
        .await?;
    let (number, name): (i32, String) = (row.get(0), row.get(1));
    if number < OLDEST_SERVER {
        let found = format!("it is PostgreSQL {name}");
        return Err(Error::database(Database::Postgres, DatabaseErrorKind::TooOld, found).into());
    }
    Ok(())
}

/// How many migrations were run.
pub(crate) async fn steps_done(client: &impl GenericClient) -> Result<usize, WorkError> {
    let there = client.query_one("SELECT to_regclass('memcloud.steps') IS NOT NULL", &[]).await?;
    if !there.get::<_, bool>(0) {
        return Ok(0);
    }
    let done = client.query_one("SELECT count(*) FROM memcloud.steps", &[]).await?;
    Ok(usize::try_from(done.get::<_, i64>(0)).unwrap_or_default())
}

/// Runs the missing migrations, in one transaction. If several servers start at the same time, one migrates and the
/// others wait.
async fn migrate(client: &mut Object) -> Result<(), WorkError> {
    let tx = client.transaction().await?;
    tx.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    tx.batch_execute(
        "CREATE SCHEMA IF NOT EXISTS memcloud;
         CREATE TABLE IF NOT EXISTS memcloud.steps (
             step integer PRIMARY KEY,
             done timestamptz NOT NULL DEFAULT now()
         )",
    )
    .await?;
    create_extension(&tx).await?;
    let done = steps_done(&tx).await?;
    for (number, step) in (1_i32..).zip(MIGRATIONS).skip(done) {
        tx.batch_execute(step).await?;
        tx.execute("INSERT INTO memcloud.steps (step) VALUES ($1)", &[&number]).await?;
        tracing::info!(step = number, "migrated the schema in PostgreSQL");
    }
    tx.commit().await?;
    Ok(())
}

async fn create_extension(tx: &Transaction<'_>) -> Result<(), WorkError> {
    let available = tx.query_opt("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'", &[]).await?;
    if available.is_none() {
        let missing = "the extension 'vector' (pgvector) is not installed on the server";
        return Err(Error::database(Database::Postgres, DatabaseErrorKind::Lacking, missing).into());
    }
    tx.batch_execute("CREATE EXTENSION IF NOT EXISTS vector").await?;
    check_vector(tx).await
}

/// The version of pgvector in the database.
pub(crate) async fn vector_version(client: &impl GenericClient) -> Result<Option<String>, WorkError> {
    let version =
        client.query_opt("SELECT extversion FROM pg_extension WHERE extname = 'vector'", &[]).await?;
    Ok(version.map(|row| row.get(0)))
}

async fn check_vector(client: &impl GenericClient) -> Result<(), WorkError> {
    let Some(version) = vector_version(client).await? else {
        let missing = "the extension 'vector' (pgvector) was dropped from the database";
        return Err(Error::database(Database::Postgres, DatabaseErrorKind::Lacking, missing).into());
    };
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if found < OLDEST_VECTOR {
        let found = format!("it has pgvector {version}");
        return Err(Error::database(Database::Postgres, DatabaseErrorKind::TooOld, found).into());
    }
    Ok(())
}

/// The stored value, or this one, stored now.
async fn get_or_set(client: &impl GenericClient, name: &str, value: &str) -> Result<String, WorkError> {
    const READ: &str = "SELECT value FROM memcloud.meta WHERE name = $1";
    if let Some(row) = client.query_opt(READ, &[&name]).await? {
        return Ok(row.get(0));
    }
    client
        .execute(
            "INSERT INTO memcloud.meta (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[&name, &value],
        )
        .await?;
    Ok(client.query_one(READ, &[&name]).await?.get(0))
}

/// Ties the store to a vector space if it is tied to none. Returns the one that it is tied to.
pub(crate) async fn bind_vector_space(client: Object, running: &str) -> Result<String, WorkError> {
    get_or_set(&client, "vector_space", running).await
}

/// The vector space that the store is tied to.
pub(crate) async fn vector_space(client: Object) -> Result<Option<String>, WorkError> {
    let row = client.query_opt("SELECT value FROM memcloud.meta WHERE name = 'vector_space'", &[]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Proves that the database can be written: inserts a row and rolls it back.
pub(crate) async fn prove_writable(mut client: Object) -> Result<(), WorkError> {
    let tx = client.transaction().await?;
    tx.execute("INSERT INTO memcloud.meta (name, value) VALUES ('probe', 'of the store')", &[]).await?;
    tx.rollback().await?;
    Ok(())
}
