use std::path::PathBuf;

use anyhow::Result;

use super::Postgres;
use super::cluster::Cluster;
use super::install::Install;
use crate::{done, ports, variables};

/// Cloud SQL's sockets are named after PostgreSQL's own port.
const CLOUD_SQL_PORT: u16 = 5432;
/// As few as the smallest Cloud SQL instance allows.
const MAX_CONNECTIONS: u32 = 25;

/// Options of a [`Postgres`], set before it is started.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(super) install: InstallPlace,
    pub(super) tcp: bool,
    pub(super) max_connections: u32,
    pub(super) data_in: Option<PathBuf>,
    pub(super) settings: Vec<String>,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub(super) enum InstallPlace {
    Variable(&'static str),
    Folder(PathBuf),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            install: InstallPlace::Variable(variables::POSTGRES_DIR),
            tcp: true,
            max_connections: MAX_CONNECTIONS,
            data_in: None,
            settings: Vec::new(),
        }
    }
}

impl Options {
    /// Uses PostgreSQL 16 with pgvector 0.6.
    pub fn old(self) -> Self {
        Self { install: InstallPlace::Variable(variables::POSTGRES_OLD_DIR), ..self }
    }

    /// Uses the distribution's PostgreSQL, which has no pgvector.
    pub fn plain(self) -> Self {
        Self { install: InstallPlace::Variable(variables::POSTGRES_PLAIN_DIR), ..self }
    }

    /// Uses the programs in this folder, which contains `bin/`.
    pub fn install(self, folder: impl Into<PathBuf>) -> Self {
        Self { install: InstallPlace::Folder(folder.into()), ..self }
    }

    /// Listens as Cloud SQL does next to a container: on a socket named `.s.PGSQL.5432` only, not on TCP.
    pub fn cloud_sql(self) -> Self {
        Self { tcp: false, ..self }
    }

    /// Allows this many connections instead of 25.
    pub fn max_connections(self, most: u32) -> Self {
        Self { max_connections: most, ..self }
    }

    /// Keeps the data in this folder, such as a small file system; it needs 32 MB. The folder is given to the account
    /// that PostgreSQL runs as, and its contents are left there.
    ///
    /// When it is full, PostgreSQL can no longer write its log: it reports 53100 once, as a panic, and ends.
    /// [`Postgres::create_database_in`] fills up less abruptly.
    pub fn data_in(self, folder: impl Into<PathBuf>) -> Self {
        Self { data_in: Some(folder.into()), ..self }
    }

    /// Adds a line to `postgresql.conf`, which overrides earlier ones.
    pub fn setting(mut self, line: impl Into<String>) -> Self {
        self.settings.push(line.into());
        self
    }

    /// Starts it, and returns when it accepts connections.
    pub fn start(self) -> Postgres {
        done(self.try_start())
    }

    /// As above, but returns the reason why it does not start.
    pub fn try_start(self) -> Result<Postgres> {
        let install = match &self.install {
            InstallPlace::Variable(name) => Install::in_folder(variables::folder(name)?),
            InstallPlace::Folder(folder) => Install::in_folder(folder.clone()),
        }?;
        let start = |port| Postgres::launch(Cluster::make(&install, &self, port)?);
        if self.tcp { ports::on_a_free_one(start) } else { start(CLOUD_SQL_PORT) }
    }
}
