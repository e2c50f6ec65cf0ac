//! The schema in the database: looked at whenever a session is opened, brought up to date when it is old.

use deadpool_postgres::{GenericClient, Object, Transaction};
use memcloud_domain::{Clock, Database, DatabaseErrorKind, EpisodeId, Error, SystemClock};
use memcloud_ports::ContentLocation;

use crate::error::Failure;

/// The schema, step by step. A step that was released is never changed; `memcloud.steps` counts the steps done.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_memory.sql"),
    include_str!("../migrations/0002_profile.sql"),
    include_str!("../migrations/0003_keys.sql"),
];

/// The oldest server, as `server_version_num` has it: 14.
pub(crate) const OLDEST_SERVER: i32 = 140_000;
/// The oldest pgvector: the first with vectors of sixteen bits.
pub(crate) const OLDEST_VECTOR: (u32, u32) = (0, 7);

/// Any number that other programs are not likely to lock: "memcloud" in ASCII.
const LOCK: i64 = 0x6d65_6d63_6c6f_7564;

/// Makes sure that everything is there, and answers the name of the memory.
///
/// Writes nothing when nothing is missing, so that a database that takes no writes at present can be read.
pub(crate) async fn prepare(
    client: &mut Object,
    home: ContentLocation,
    place: &str,
) -> Result<String, Failure> {
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
    bind_home(client, home, place).await?;
    let named = EpisodeId::new(SystemClock.now(), 0).to_string();
    said_first(&*client, "memory", &named).await
}

/// Ties the records to the home of their episodes. Without any episode they may still change it.
async fn bind_home(client: &Object, home: ContentLocation, place: &str) -> Result<(), Failure> {
    let kept = said_first(client, "home", home.name()).await?;
    let Err(elsewhere) = home.check(&kept, place) else { return Ok(()) };
    let changed = client
        .execute(
            "UPDATE memcloud.meta SET value = $1
             WHERE name = 'home' AND NOT EXISTS (SELECT 1 FROM memcloud.episodes)",
            &[&home.name()],
        )
        .await?;
    if changed == 1 { Ok(()) } else { Err(elsewhere.into()) }
}

async fn check_server(client: &impl GenericClient) -> Result<(), Failure> {
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

/// How many steps of the schema have been taken.
pub(crate) async fn steps_done(client: &impl GenericClient) -> Result<usize, Failure> {
    let there = client.query_one("SELECT to_regclass('memcloud.steps') IS NOT NULL", &[]).await?;
    if !there.get::<_, bool>(0) {
        return Ok(0);
    }
    let done = client.query_one("SELECT count(*) FROM memcloud.steps", &[]).await?;
    Ok(usize::try_from(done.get::<_, i64>(0)).unwrap_or_default())
}

/// Takes the steps that are missing, in one transaction. Of several servers that start at once one does it, and the
/// others wait.
async fn migrate(client: &mut Object) -> Result<(), Failure> {
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
    make_extension(&tx).await?;
    let done = steps_done(&tx).await?;
    for (number, step) in (1_i32..).zip(MIGRATIONS).skip(done) {
        tx.batch_execute(step).await?;
        tx.execute("INSERT INTO memcloud.steps (step) VALUES ($1)", &[&number]).await?;
        tracing::info!("brought the schema in PostgreSQL to step {number}");
    }
    tx.commit().await?;
    Ok(())
}

async fn make_extension(tx: &Transaction<'_>) -> Result<(), Failure> {
    let available = tx.query_opt("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'", &[]).await?;
    if available.is_none() {
        let lacking = "the extension 'vector' (pgvector) is not installed on the server";
        return Err(Error::database(Database::Postgres, DatabaseErrorKind::Lacking, lacking).into());
    }
    tx.batch_execute("CREATE EXTENSION IF NOT EXISTS vector").await?;
    check_vector(tx).await
}

/// The version of pgvector in the database.
pub(crate) async fn vector_version(client: &impl GenericClient) -> Result<Option<String>, Failure> {
    let version =
        client.query_opt("SELECT extversion FROM pg_extension WHERE extname = 'vector'", &[]).await?;
    Ok(version.map(|row| row.get(0)))
}

async fn check_vector(client: &impl GenericClient) -> Result<(), Failure> {
    let Some(version) = vector_version(client).await? else {
        let lacking = "the extension 'vector' (pgvector) was dropped from the database";
        return Err(Error::database(Database::Postgres, DatabaseErrorKind::Lacking, lacking).into());
    };
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if found < OLDEST_VECTOR {
        let found = format!("it has pgvector {version}");
        return Err(Error::database(Database::Postgres, DatabaseErrorKind::TooOld, found).into());
    }
    Ok(())
}

/// What was said first under this name of a fact: this, unless something else is there.
pub(crate) async fn said_first(
    client: &impl GenericClient,
    name: &str,
    value: &str,
) -> Result<String, Failure> {
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

/// Ties the store to a vector space if it is tied to none, and answers the one that it is tied to.
pub(crate) async fn bind_vector_space(client: Object, running: &str) -> Result<String, Failure> {
    said_first(&client, "vector_space", running).await
}

/// Proves that the database can be written, and leaves nothing behind: a row is written and taken back.
pub(crate) async fn prove_writable(mut client: Object) -> Result<(), Failure> {
    let tx = client.transaction().await?;
    tx.execute("INSERT INTO memcloud.meta (name, value) VALUES ('probe', 'of the store')", &[]).await?;
    tx.rollback().await?;
    Ok(())
}
