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

/// The final checkpoint may have much to write.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// Killed processes end at once; only an overloaded machine takes longer.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// A PostgreSQL that belongs to one test: a cluster in a temporary folder, removed with this handle.
///
/// It asks for a password on every connection, over TCP and over its socket, and synchronizes what it commits.
#[derive(Debug)]
pub struct Postgres {
    // Dropped before the cluster, whose folder is removed after the process has ended.
    process: Option<Process>,
    cluster: Cluster,
}

impl Postgres {
    /// Starts the tests' PostgreSQL, with pgvector available, on a free port.
    pub fn start() -> Self {
        Self::options().start()
    }

    /// Options to set before the start.
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

    /// The superuser's password, full of characters with special meanings elsewhere.
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

    /// Creates an empty database and returns its name.
    pub fn create_database(&self) -> String {
        let name = shared::new_name();
        self.execute(cluster::FIRST_DATABASE, &format!("CREATE DATABASE {name}"));
        name
    }

    /// Creates an empty database whose tables are in this folder, and returns its name. The folder must be empty, such
    /// as a small file system of its own, and is handed to the account that PostgreSQL runs as; 8 MB are used at once.
    ///
    /// When it is full, PostgreSQL answers requests that need space with 53100, and serves all others.
    pub fn create_database_in(&self, folder: &Path) -> String {
        done(self.cluster.own(folder));
        let name = shared::new_name();
        let place = folder.display().to_string().replace('\'', "''");
        self.execute(cluster::FIRST_DATABASE, &format!("CREATE TABLESPACE {name} LOCATION '{place}'"));
        self.execute(cluster::FIRST_DATABASE, &format!("CREATE DATABASE {name} TABLESPACE {name}"));
        name
    }

    /// Runs SQL as the superuser, and returns its rows as `psql -At` does: one line each, with `|` between columns.
    pub fn execute(&self, database: &str, sql: &str) -> String {
        self.try_execute(database, sql)
            .unwrap_or_else(|error| panic!("cannot run {sql}: {}", sql::describe(&error)))
    }

    /// As above, but returns PostgreSQL's error.
    pub fn try_execute(&self, database: &str, sql: &str) -> Result<String, tokio_postgres::Error> {
        let mut config = Config::new();
        config.user(self.user()).password(self.password()).dbname(database);
        config.host_path(self.socket_dir()).port(self.port());
        done(sql::run(&config, sql))
    }

    /// Stops it as an administrator does: it closes connections and writes everything.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.signal(Signal::INT);
        assert!(
            done(process.ends_within(STOP_LIMIT)),
            "PostgreSQL does not stop. {}",
            self.cluster.excerpt()
        );
    }

    /// Kills all its processes at once, as a machine failure does.
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

    /// As above, but returns the reason why it does not start.
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

    /// Its whole log.
    pub fn log(&self) -> String {
        self.cluster.log.text()
    }

    /// The folder of its data, which a test may damage while the server is stopped.
    pub fn data_dir(&self) -> &Path {
        &self.cluster.data
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(process) = &mut self.process else { return };
        // An immediate shutdown releases its shared memory, which a kill would not.
        process.signal(Signal::QUIT);
        let _ = process.ends_within(KILL_LIMIT);
    }
}
