use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::account::{self, Account};
use super::install::Install;
use super::options::Options;
use crate::log::Log;
use crate::ports::Taken;
use crate::process::Process;
use crate::{patience, secret};

/// The superuser of every cluster.
pub(super) const SUPERUSER: &str = "memcloud";
/// The database that every cluster has.
pub(super) const FIRST_DATABASE: &str = "postgres";
/// Named like a Cloud SQL instance: the longest kind of name that a socket path of at most 107 bytes must fit.
const INSTANCE: &str = "my-proj:us-central1:mem";
/// Recovery after a crash may have much to read.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A cluster's files, and how to run it.
#[derive(Debug)]
pub(super) struct Cluster {
    folder: TempDir,
    install: Install,
    account: Account,
    pub(super) data: PathBuf,
    pub(super) log: Log,
    pub(super) password: String,
    pub(super) port: u16,
    pub(super) tcp: bool,
}

impl Cluster {
    /// Creates a cluster that will listen on this port.
    pub(super) fn make(install: &Install, options: &Options, port: u16) -> Result<Self> {
        let account = Account::of_servers()?;
        // A short name keeps the socket path short.
        let folder = tempfile::Builder::new().prefix("mc-").tempdir().context("cannot make a folder")?;
        account.own(folder.path())?;
        account::open_to_all(folder.path())?;
        let cluster = Self {
            install: install.for_account(account, &folder.path().join("install"))?,
            account,
            data: options.data_in.as_deref().unwrap_or(folder.path()).join("data"),
            log: Log::at(folder.path().join("log")),
            password: secret::password(),
            port,
            tcp: options.tcp,
            folder,
        };
        cluster.make_folders(options.data_in.as_deref())?;
        cluster.initialize()?;
        cluster.settle(options)?;
        Ok(cluster)
    }

    /// The folder of the socket.
    pub(super) fn socket_dir(&self) -> PathBuf {
        self.folder.path().join("cloudsql").join(INSTANCE)
    }

    /// Gives a folder to the account that the server runs as.
    pub(super) fn own(&self, folder: &Path) -> Result<()> {
        self.account.own(folder)
    }

    fn make_folders(&self, data_in: Option<&Path>) -> Result<()> {
        let sockets = self.socket_dir();
        fs::create_dir_all(&sockets).context("cannot make the folder of the socket")?;
        self.own(&sockets)?;
        if let Some(folder) = data_in {
            self.own(folder)?;
        }
        // Left by an earlier attempt on another port.
        if self.data.exists() {
            fs::remove_dir_all(&self.data).context("cannot remove the data of an earlier start")?;
        }
        Ok(())
    }

    fn initialize(&self) -> Result<()> {
        let password = self.folder.path().join("password");
        fs::write(&password, &self.password).context("cannot write the password's file")?;
        self.own(&password)?;
        let mut initdb = self.install.command("initdb", self.account);
        initdb.arg("--pgdata").arg(&self.data).arg("--username").arg(SUPERUSER);
        initdb.arg("--pwfile").arg(&password).args(["--auth", "scram-sha-256"]);
        // Small log segments let a cluster fit on a small file system. This data need not be durable yet.
        initdb.args(["--encoding", "UTF8", "--locale", "C.UTF-8", "--wal-segsize", "1", "--no-sync"]);
        self.log.take(&mut initdb)?;
        let made = initdb.status().context("cannot run initdb")?;
        if !made.success() {
            bail!("PostgreSQL's initdb failed. {}", self.excerpt());
        }
        Ok(())
    }

    /// Writes the settings; the last one with a name wins.
    fn settle(&self, options: &Options) -> Result<()> {
        let path = self.data.join("postgresql.conf");
        let mut settings = fs::read_to_string(&path).context("initdb left no postgresql.conf")?;
        let addresses = if self.tcp { "127.0.0.1" } else { "" };
        let ours = [
            format!("listen_addresses = '{addresses}'"),
            format!("port = {}", self.port),
            format!("unix_socket_directories = '{}'", self.socket_dir().display()),
            format!("max_connections = {}", options.max_connections),
            "shared_buffers = 32MB".to_owned(),
            "fsync = on".to_owned(),
        ];
        for line in ours.iter().chain(&options.settings) {
            settings.push_str(line);
            settings.push('\n');
        }
        fs::write(&path, settings).context("cannot write postgresql.conf")
    }

    /// Starts the server, and returns when it accepts connections.
    pub(super) fn launch(&self) -> Result<Process> {
        let logged = self.log.text().len();
        let mut command = self.install.command("postgres", self.account);
        command.arg("-D").arg(&self.data);
        self.log.take(&mut command)?;
        let mut process = Process::start(command)?;
        let ready = patience::until(START_LIMIT, || {
            if process.ended()?.is_some() {
                return Err(self.why_it_ended(logged));
            }
            Ok(self.is_ready(process.id()).then_some(()))
        })?;
        if ready.is_none() {
            bail!("PostgreSQL accepts no connections after {} s. {}", START_LIMIT.as_secs(), self.excerpt());
        }
        Ok(process)
    }

    /// Whether the server with this process id accepts connections. Its pid file has the process id in the first line
    /// and the state in the eighth.
    fn is_ready(&self, id: u32) -> bool {
        let state = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = state.lines().map(str::trim).collect();
        lines.first() == Some(&id.to_string().as_str()) && lines.get(7) == Some(&"ready")
    }

    fn why_it_ended(&self, logged: usize) -> anyhow::Error {
        let log = self.log.text();
        if log.get(logged..).is_some_and(|new| new.contains("Address already in use")) {
            return Taken(self.port).into();
        }
        anyhow::anyhow!("PostgreSQL ended at its start. {}", self.excerpt())
    }

    /// The end of the log, for errors.
    pub(super) fn excerpt(&self) -> String {
        format!("Its log ends:\n{}", self.log.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ports, variables};

    #[test]
    fn fault_a_taken_port_differs_from_other_failures() {
        let install = Install::in_folder(variables::folder(variables::POSTGRES_DIR).unwrap()).unwrap();
        let other = ports::listen().unwrap();
        let port = other.local_addr().unwrap().port();
        let cluster = Cluster::make(&install, &Options::default(), port).unwrap();
        assert!(cluster.launch().unwrap_err().is::<Taken>());
        drop(other);
        drop(cluster.launch().unwrap());
        let wrong = Options::default().setting("shared_buffers = nonsense");
        let error = Cluster::make(&install, &wrong, port).unwrap().launch().unwrap_err();
        assert!(error.to_string().contains("nonsense"), "{error}");
    }
}
