use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::bolt;
use super::java::Jars;
use super::options::Options;
use crate::log::Log;
use crate::ports::Taken;
use crate::process::Process;
use crate::{Certificates, patience, secret};

/// The host name in the certificate and in the server's answers.
pub(super) const HOST: &str = "localhost";
/// The only account in the Community edition.
pub(super) const USER: &str = "neo4j";
/// A cold machine reads 120 MB of jars first.
const START_LIMIT: Duration = Duration::from_mins(2);
/// How many times Neo4j hashes a password.
const HASHINGS: usize = 1024;
/// The settings of every test server.
const SETTINGS: [&str; 13] = [
    "server.default_listen_address=127.0.0.1",
    "server.http.enabled=false",
    "server.https.enabled=false",
    "dbms.ssl.policy.bolt.enabled=true",
    "dbms.ssl.policy.bolt.client_auth=NONE",
    "server.memory.pagecache.size=64m",
    "db.tx_log.preallocate=false",
    "dbms.usage_report.enabled=false",
    // Versions know different subsets of these lines.
    "server.config.strict_validation.enabled=false",
    // Without these it takes ten seconds to stop: it waits for connections that it has closed itself.
    "internal.server.bolt.thread_pool_shutdown_wait_time=200ms",
    "internal.server.bolt.connection_shutdown_wait_time=200ms",
    "internal.dbms.bolt.netty_server_shutdown_quiet_period=0",
    "internal.dbms.bolt.netty_server_shutdown_timeout=200ms",
];

/// The home of one Neo4j: settings, data and logs.
#[derive(Debug)]
pub(super) struct Home {
    folder: TempDir,
    jars: Jars,
    tls_required: bool,
    settings: Vec<String>,
    java_flags: Vec<OsString>,
    /// Java's own output.
    output: Log,
    /// Neo4j's debug log since its last start.
    details: Log,
    /// Neo4j's log since its last start.
    pub(super) log: Log,
    pub(super) certificates: Arc<Certificates>,
    pub(super) password: String,
    pub(super) port: u16,
}

impl Home {
    /// Creates a home for a server that will listen on this port.
    pub(super) fn make(jars: Jars, options: &Options, port: u16) -> Result<Self> {
        let place = options.home_in.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new().prefix("mc-neo4j-").tempdir_in(&place);
        let folder = folder.with_context(|| format!("cannot make a folder in {}", place.display()))?;
        let home = Self {
            jars,
            tls_required: options.tls_required,
            settings: options.settings.clone(),
            java_flags: options.java_flags.clone(),
            output: Log::at(folder.path().join("output")),
            details: Log::at(folder.path().join("logs/debug.log")),
            log: Log::at(folder.path().join("logs/neo4j.log")),
            certificates: match &options.certificates {
                Some(shared) => Arc::clone(shared),
                None => Arc::new(Certificates::try_make()?),
            },
            password: options.password.clone().unwrap_or_else(secret::password),
            port,
            folder,
        };
        for part in ["conf", "data/dbms", "logs", "run", "import", "plugins", "lib", "licenses", "labs"] {
            fs::create_dir_all(home.path().join(part)).context("cannot make Neo4j's folders")?;
        }
        // The file that `neo4j-admin dbms set-initial-password` takes two seconds to write.
        let password = first_password(&home.password);
        fs::write(home.path().join("data/dbms/auth.ini"), password)
            .context("cannot write the first password")?;
        Ok(home)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server with these additional settings, and returns when Bolt answers.
    pub(super) fn launch(&self, settings: &[&str]) -> Result<Process> {
        fs::write(self.path().join("conf/neo4j.conf"), self.conf(settings))
            .context("cannot write neo4j.conf")?;
        for log in [&self.log, &self.details, &self.output] {
            log.clear()?;
        }
        let mut command = self.jars.server(self.path(), &self.java_flags)?;
        self.output.take(&mut command)?;
        let mut process = Process::start(command)?;
        let ready = patience::until(START_LIMIT, || {
            if process.ended()?.is_some() {
                return Err(self.why_it_ended());
            }
            // Until it logs that it has started, another program may be answering on this port.
            if !self.log.text().contains("Started.") {
                return Ok(None);
            }
            self.database_has_started()?;
            Ok(bolt::answers(self.port, &self.certificates.ca_file())?.then_some(()))
        })?;
        if ready.is_none() {
            bail!("Neo4j does not answer after {} s. {}", START_LIMIT.as_secs(), self.excerpt());
        }
        Ok(process)
    }

    /// The settings file. Neo4j accepts each name once, so later lines replace earlier ones.
    fn conf(&self, more: &[&str]) -> String {
        let tls = if self.tls_required { "REQUIRED" } else { "OPTIONAL" };
        let own = [
            format!("server.bolt.listen_address=127.0.0.1:{}", self.port),
            format!("server.bolt.advertised_address={HOST}:{}", self.port),
            format!("server.bolt.tls_level={tls}"),
            format!("dbms.ssl.policy.bolt.base_directory={}", self.certificates.folder().display()),
            format!("dbms.ssl.policy.bolt.private_key={}", self.certificates.key_file().display()),
            format!(
                "dbms.ssl.policy.bolt.public_certificate={}",
                self.certificates.certificate_file().display()
            ),
        ];
        let own = own.iter().chain(&self.settings).map(String::as_str);
        let lines = SETTINGS.into_iter().chain(own).chain(more.iter().copied());
        let by_name: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once('=')).collect();
        by_name.iter().fold(String::new(), |conf, (name, value)| format!("{conf}{name}={value}\n"))
    }

    /// Fails if the server runs without its database, which only its debug log reports.
    fn database_has_started(&self) -> Result<()> {
        let details = self.details.text();
        let Some((_, failure)) = details.split_once("Failed to start DatabaseId") else { return Ok(()) };
        let reason = failure.lines().filter_map(|line| line.strip_prefix("Caused by: ")).next_back();
        bail!("Neo4j's database does not start: {}", reason.unwrap_or("see its logs/debug.log"));
    }

    fn why_it_ended(&self) -> anyhow::Error {
        if [&self.log, &self.output].iter().any(|log| log.text().contains("Address already in use")) {
            return Taken(self.port).into();
        }
        anyhow::anyhow!("Neo4j ended at its start. {}", self.excerpt())
    }

    /// The end of its output, for errors.
    pub(super) fn excerpt(&self) -> String {
        format!("Its log ends:\n{}\n{}", self.output.end(), self.log.end())
    }
}

/// The initial password file: the account, and the password salted and hashed repeatedly.
fn first_password(password: &str) -> String {
    let salt: [u8; 32] = rand::random();
    let first = Sha256::new().chain_update(salt).chain_update(password).finalize();
    let hash = (1..HASHINGS).fold(first, |hash, _| Sha256::digest(hash));
    format!("{USER}:SHA-256,{},{},{HASHINGS}:\n", HEXLOWER.encode(&hash), HEXLOWER.encode(&salt))
}
