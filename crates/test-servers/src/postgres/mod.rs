//! PostgreSQL.

mod account;
mod cluster;
mod install;
mod options;
mod shared;
mod sql;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::process::Signal;
use tokio_postgres::Config;

pub use options::Options;
pub use shared::{Database, SharedPostgres};

use crate::process::{self, Process};
use crate::secret::in_url;
use crate::{done, patience};
use cluster::Cluster;

/// A checkpoint at the end may have to write much.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// Processes that were killed are gone at once; only a machine out of breath takes longer.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// A PostgreSQL of a test's own: an own cluster in a temporary folder, gone with this handle.
///
/// It asks for a password on every connection, over TCP and over its socket, and synchronises what it commits.
#[derive(Debug)]
pub struct Postgres {
    // Before the cluster, whose folder is removed after the process has ended.
    process: Option<Process>,
    cluster: Cluster,
}

impl Postgres {
    /// Starts the PostgreSQL of the tests, with pgvector to be had, on a free port.
    pub fn start() -> Self {
        Self::options().start()
    }

    /// What may be chosen before the start.
    pub fn options() -> Options {
        Options::default()
    }

    fn launch(cluster: Cluster) -> Result<Self> {
        Ok(Self { process: Some(cluster.launch()?), cluster })
    }

    /// The port on 127.0.0.1, and the number in the name of the socket.
    pub fn port(&self) -> u16 {
        self.cluster.port
    }

    /// The folder of the socket, laid out like Cloud SQL's: `…/cloudsql/my-proj:us-central1:mem`.
    pub fn socket_dir(&self) -> PathBuf {
        self.cluster.socket_dir()
    }

    /// The superuser.
    pub fn user(&self) -> &'static str {
        cluster::SUPERUSER
    }

    /// The superuser's password, full of characters that mean something elsewhere.
    pub fn password(&self) -> &str {
        &self.cluster.password
    }

    /// The URL of a database over TCP, as the superuser.
    pub fn url(&self, database: &str) -> String {
        assert!(self.cluster.tcp, "this server listens on its socket only: take socket_url()");
        let (password, database) = (in_url(self.password()), in_url(database));
        format!("postgres://{}:{password}@127.0.0.1:{}/{database}", self.user(), self.port())
    }

    /// The URL of a database over the socket, as the superuser.
    pub fn socket_url(&self, database: &str) -> String {
        let (password, database) = (in_url(self.password()), in_url(database));
        let folder = in_url(&self.socket_dir().display().to_string());
        format!("postgres://{}:{password}@/{database}?host={folder}&port={}", self.user(), self.port())
    }

    /// Creates an empty database and answers its name.
    pub fn create_database(&self) -> String {
        let name = shared::new_name();
        self.execute(cluster::FIRST_DATABASE, &format!("CREATE DATABASE {name}"));
        name
    }

    /// Creates an empty database whose tables lie in this folder, and answers its name. The folder must be empty, such
    /// as a small file system of its own, and is handed to the account that PostgreSQL runs as; 8 MB are used at once.
    ///
    /// When it is full, PostgreSQL answers what needs room with 53100, and everything else goes on.
    pub fn create_database_in(&self, folder: &Path) -> String {
        done(self.cluster.own(folder));
        let name = shared::new_name();
        let place = folder.display().to_string().replace('\'', "''");
        self.execute(cluster::FIRST_DATABASE, &format!("CREATE TABLESPACE {name} LOCATION '{place}'"));
        self.execute(cluster::FIRST_DATABASE, &format!("CREATE DATABASE {name} TABLESPACE {name}"));
        name
    }

    /// Runs SQL as the superuser, and answers its rows as `psql -At` does: a line each, with `|` between columns.
    pub fn execute(&self, database: &str, sql: &str) -> String {
        self.try_execute(database, sql)
            .unwrap_or_else(|error| panic!("cannot run {sql}: {}", sql::told(&error)))
    }

    /// The same, with PostgreSQL's error.
    pub fn try_execute(&self, database: &str, sql: &str) -> Result<String, tokio_postgres::Error> {
        let mut config = Config::new();
        config.user(self.user()).password(self.password()).dbname(database);
        config.host_path(self.socket_dir()).port(self.port());
        done(sql::run(&config, sql))
    }

    /// Stops it as an administrator does: connections are ended, everything is written.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.signal(Signal::INT);
        assert!(done(process.ends_within(STOP_LIMIT)), "PostgreSQL does not stop. {}", self.cluster.told());
    }

    /// Kills all its processes at once, as a machine does that fails.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let children = process::children(process.id());
        process.kill();
        for child in &children {
            process::signal(*child, Signal::KILL);
        }
        let gone = || Ok((!children.iter().any(|child| process::runs(*child))).then_some(()));
        assert!(
            done(patience::until(KILL_LIMIT, gone)).is_some(),
            "processes of PostgreSQL survive being killed"
        );
    }

    /// Starts it again after it was stopped or killed, on the same port and with the same data.
    pub fn start_again(&mut self) {
        done(self.try_start_again());
    }

    /// The same, with the reason why it does not start.
    pub fn try_start_again(&mut self) -> Result<()> {
        if self.runs() {
            bail!("PostgreSQL runs already: stop it before it is started again");
        }
        self.process = None;
        self.process = Some(self.cluster.launch()?);
        Ok(())
    }

    /// Whether its process runs. It ends by itself when it can neither write its log nor recover.
    pub fn runs(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| done(process.ended()).is_none())
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        self.cluster.log.text()
    }

    /// The folder of its data, for what a test wants to break there while it is stopped.
    pub fn data_dir(&self) -> &Path {
        &self.cluster.data
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(process) = &mut self.process else { return };
        // At once, yet in order: its shared memory is given back, which killing it would not do.
        process.signal(Signal::QUIT);
        let _ = process.ends_within(KILL_LIMIT);
    }
}
