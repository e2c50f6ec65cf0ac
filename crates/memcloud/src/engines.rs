//! The engines that an instance stands on, as its settings name them.
//!
//! `NEO4J_URI` set: episodes live in Neo4j. `DB_HOST` or `DATABASE_URL` set: records live in PostgreSQL, and episodes too
//! when there is no Neo4j. Neither: everything is in the data directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memcloud_domain::with_causes;
use memcloud_ports::{ContentLocation, Engine, RecordStore};
use memcloud_store_neo4j::GraphStore;
use memcloud_store_postgres::{Host, PostgresStore, Tls};
use memcloud_store_sqlite::SqliteStore;
use secrecy::ExposeSecret;

use crate::failure::Failure;
use crate::settings::{
    DATABASE_URL, DB_CA_FILE, DB_HOST, DB_NAME, DB_PASSWORD, DB_POOL, DB_PORT, DB_SSLMODE, DB_USER,
    NEO4J_CA_FILE, NEO4J_PASSWORD, NEO4J_URI, NEO4J_USER, Setting, Sources,
};

/// Which databases an instance stands on. Without any it keeps everything in its data directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Engines {
    /// Where the episodes are, if not with the records.
    pub(crate) graph: Option<memcloud_store_neo4j::Target>,
    /// Where the records are, if not in the data directory.
    pub(crate) postgres: Option<memcloud_store_postgres::Target>,
}

impl Engines {
    /// What the settings name, checked as far as that can be done without asking a database.
    pub(crate) fn resolve(sources: &Sources) -> Result<Self, Failure> {
        Ok(Self { graph: graph(sources)?, postgres: postgres(sources)? })
    }

    /// Opens the store. Databases that cannot be reached now are tried again by the store itself.
    pub(crate) async fn open(&self, data_dir: &Path) -> Result<Engine, Failure> {
        let Some(graph) = &self.graph else {
            return Ok(match &self.postgres {
                Some(target) => Engine::of(Arc::new(PostgresStore::open(target.clone()).await)),
                None => {
                    Engine::of(Arc::new(SqliteStore::open(data_dir).await.map_err(|error| opening(&error))?))
                }
            });
        };
        let records: Arc<dyn RecordStore> = match &self.postgres {
            Some(target) => Arc::new(PostgresStore::open_records(target.clone()).await),
            None => Arc::new(SqliteStore::open_records(data_dir).await.map_err(|error| opening(&error))?),
        };
        Ok(Arc::new(GraphStore::open(graph.clone(), records).await).engine())
    }

    /// Where the content of the episodes is that the records tell of.
    pub(crate) fn home(&self) -> ContentLocation {
        if self.graph.is_some() { ContentLocation::Graph } else { ContentLocation::Records }
    }

    /// Where things are, in words.
    pub(crate) fn told(&self, data_dir: &Path) -> String {
        let records = match &self.postgres {
            Some(target) => format!("PostgreSQL at {}", target.place()),
            None => data_dir.display().to_string(),
        };
        match &self.graph {
            Some(graph) => format!("episodes in Neo4j at {}, records in {records}", graph.place()),
            None => records,
        }
    }
}

/// Why the data could not be opened, in the words of someone who starts a server.
fn opening(error: &memcloud_domain::Error) -> Failure {
    let hint = match error {
        memcloud_domain::Error::Storage { .. } => "check the data directory; nothing in it was changed",
        other => other.hint(),
    };
    Failure::new(with_causes(error), hint)
}

fn graph(sources: &Sources) -> Result<Option<memcloud_store_neo4j::Target>, Failure> {
    let Some(uri) = sources.text(&NEO4J_URI, None) else { return Ok(None) };
    let (user, password) = (sources.text(&NEO4J_USER, None), sources.secret(&NEO4J_PASSWORD, None)?);
    let authority = authority(sources, &NEO4J_CA_FILE)?;
    memcloud_store_neo4j::Target::from_uri(uri.trim(), user, password, authority)
        .map(Some)
        .map_err(|bad| wrong(&NEO4J_URI, &bad.what, bad.hint))
}

fn postgres(sources: &Sources) -> Result<Option<memcloud_store_postgres::Target>, Failure> {
    let authority = authority(sources, &DB_CA_FILE)?;
    let (url, host) = (sources.secret(&DATABASE_URL, None)?, sources.text(&DB_HOST, None));
    let (mut target, named_by) = match (url, host) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let what = format!("{} and {} are both set", DATABASE_URL.name, DB_HOST.name);
            return Err(Failure::usage(what, "leave one of them out"));
        }
        (Some(url), None) => {
            let target = memcloud_store_postgres::Target::from_url(url.expose_secret().trim(), authority);
            (target.map_err(|bad| wrong(&DATABASE_URL, &bad.what, bad.hint))?, &DATABASE_URL)
        }
        (None, Some(host)) => (parts(sources, host.trim(), authority)?, &DB_HOST),
    };
    if let Some(pool) = sources.parsed::<std::num::NonZeroUsize>(&DB_POOL, None)? {
        target.pool = pool.get();
    }
    target.check().map_err(|bad| wrong(named_by, &bad.what, bad.hint))?;
    Ok(Some(target))
}

/// The target that the `DB_…` settings name.
fn parts(
    sources: &Sources,
    host: &str,
    authority: Option<PathBuf>,
) -> Result<memcloud_store_postgres::Target, Failure> {
    let mode = sources.text(&DB_SSLMODE, None);
    let tls = Tls::of_mode(mode.as_deref().map(str::trim), host, authority)
        .map_err(|bad| wrong(&DB_SSLMODE, &bad.what, bad.hint))?;
    let name = |setting: &Setting| sources.text(setting, None).unwrap_or_else(|| "memcloud".into());
    Ok(memcloud_store_postgres::Target {
        host: Host::of(host),
        port: sources.parsed(&DB_PORT, None)?.unwrap_or(5432),
        database: name(&DB_NAME),
        user: name(&DB_USER),
        password: sources.secret(&DB_PASSWORD, None)?,
        tls,
        pool: memcloud_store_postgres::Target::POOL,
    })
}

fn authority(sources: &Sources, setting: &Setting) -> Result<Option<PathBuf>, Failure> {
    let Some(file) = sources.text(setting, None).map(PathBuf::from) else { return Ok(None) };
    match std::fs::read(&file) {
        Ok(_) => Ok(Some(file)),
        Err(error) => {
            let what = format!("{}: {error}", file.display());
            Err(wrong(setting, &what, "name a readable PEM file with the authority's certificate".into()))
        }
    }
}

fn wrong(setting: &Setting, what: &str, mend: String) -> Failure {
    Failure::usage(format!("{}: {what}", setting.name), mend)
}
