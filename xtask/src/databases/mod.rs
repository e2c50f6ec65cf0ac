//! The databases that tests run on: their programs are fetched once, and two servers are started for each run.

mod jars;
mod programs;
mod run;
mod wheels;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use memcloud_test_servers::{
    NEO4J_CA_FILE, NEO4J_DIR, NEO4J_OLD_DIR, NEO4J_URI, Neo4j, POSTGRES_DIR, POSTGRES_OLD_DIR,
    POSTGRES_PLAIN_DIR, POSTGRES_URL, Postgres,
};

pub(crate) use run::{Args, quoted, run};

use crate::kept;
use crate::steps::note;

/// Enough for all tests that run at the same time, each with some connections.
const SHARED_CONNECTIONS: u32 = 200;

/// The databases of a test run.
pub(crate) struct Databases {
    environment: Vec<(&'static str, OsString)>,
    /// They run for as long as this lives. `None` if the environment names other databases.
    servers: Option<(Postgres, Neo4j)>,
}

impl Databases {
    /// Takes the databases that the environment names, or sets up and starts some below this folder.
    pub(crate) fn start(target: &Path) -> Result<Self> {
        if given()? {
            return Ok(Self { environment: Vec::new(), servers: None });
        }
        let mut environment = installations(&target.join("databases"))?;
        let folder = |name| environment.iter().find(|(other, _)| *other == name).map(|(_, folder)| folder);
        let (Some(postgres), Some(neo4j)) = (folder(POSTGRES_DIR), folder(NEO4J_DIR)) else {
            bail!("the installations are not complete: this is a bug of xtask");
        };
        let postgres =
            Postgres::options().install(postgres).max_connections(SHARED_CONNECTIONS).try_start()?;
        let neo4j = Neo4j::options().jars(neo4j).try_start()?;
        environment.push((POSTGRES_URL, postgres.url("postgres").into()));
        environment.push((NEO4J_URI, neo4j.uri_with_password("bolt").into()));
        environment.push((NEO4J_CA_FILE, neo4j.ca_file().into()));
        Ok(Self { environment, servers: Some((postgres, neo4j)) })
    }

    /// The variables for the tests.
    pub(crate) fn environment(&self) -> &[(&'static str, OsString)] {
        &self.environment
    }

    /// Whether the environment names the databases, so that no installation is there to start others from.
    pub(crate) fn are_given(&self) -> bool {
        self.servers.is_none()
    }
}

/// The folders of the newest PostgreSQL and Neo4j, which are fetched on first need.
pub(crate) fn newest(target: &Path) -> Result<(PathBuf, PathBuf)> {
    let folder = target.join("databases");
    programs::install()?;
    kept::alone(&folder, || {
        let postgres = named(POSTGRES_DIR).map_or_else(|| wheels::POSTGRES.unpack(&folder), Ok)?;
        let neo4j = named(NEO4J_DIR).map_or_else(|| jars::collect(&folder, "neo4j", jars::VERSION), Ok)?;
        Ok((postgres, neo4j))
    })
}

/// Whether the environment names both databases.
fn given() -> Result<bool> {
    let set = [POSTGRES_URL, NEO4J_URI].map(|name| std::env::var_os(name).is_some());
    if set[0] != set[1] {
        bail!(
            "only one of {POSTGRES_URL} and {NEO4J_URI} is set: set both to test on your own databases, or neither"
        );
    }
    Ok(set[0])
}

/// The folders of the installations. One that the environment names is used as it is.
fn installations(folder: &Path) -> Result<Vec<(&'static str, OsString)>> {
    programs::install()?;
    kept::alone(folder, || {
        let set_up: [(&str, &dyn Fn() -> Result<PathBuf>); 5] = [
            (POSTGRES_DIR, &|| wheels::POSTGRES.unpack(folder)),
            (POSTGRES_OLD_DIR, &|| wheels::POSTGRES_OLD.unpack(folder)),
            (POSTGRES_PLAIN_DIR, &programs::plain_postgres),
            (NEO4J_DIR, &|| jars::collect(folder, "neo4j", jars::VERSION)),
            (NEO4J_OLD_DIR, &|| jars::collect(folder, "neo4j-old", jars::OLD_VERSION)),
        ];
        set_up
            .into_iter()
            .map(|(name, set_up)| Ok((name, named(name).map_or_else(set_up, Ok)?.into())))
            .collect()
    })
}

/// The folder that the environment names.
fn named(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os(name)?);
    note(&format!("{name} is set: {}", folder.display()));
    Some(folder)
}
