//! Neo4j.

mod bolt;
mod home;
mod java;
mod options;
mod shared;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::process::Signal;

pub use java::{archive_classes, java};
pub use options::Options;
pub use shared::SharedNeo4j;

use crate::process::Process;
use crate::{Certificates, done};
use home::Home;

/// The final checkpoint may have much to write.
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// A Neo4j Community that belongs to one test: a home in a temporary folder, removed with this handle.
///
/// It accepts connections with and without TLS, with a certificate for `localhost` and `127.0.0.1`.
#[derive(Debug)]
pub struct Neo4j {
    // Dropped before the home, whose folder is removed after the process has ended.
    process: Option<Process>,
    home: Home,
}

impl Neo4j {
    /// Starts the tests' Neo4j on a free port.
    pub fn start() -> Self {
        Self::options().start()
    }

    /// Options to set before the start.
    pub fn options() -> Options {
        Options::default()
    }

    fn launch(home: Home) -> Result<Self> {
        Ok(Self { process: Some(home.launch(&[])?), home })
    }

    /// The port of Bolt on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.home.port
    }

    /// The host name in the certificate.
    pub fn host(&self) -> &'static str {
        home::HOST
    }

    /// The only account.
    pub fn user(&self) -> &'static str {
        home::USER
    }

    /// Its password, full of characters with special meanings elsewhere.
    pub fn password(&self) -> &str {
        &self.home.password
    }

    /// The address for a scheme such as `bolt`, `neo4j+s` or `bolt+ssc`, without user and password.
    pub fn uri(&self, scheme: &str) -> String {
        format!("{scheme}://{}:{}", self.host(), self.port())
    }

    /// As above, with user and password in it.
    pub fn uri_with_password(&self, scheme: &str) -> String {
        let password = crate::secret::in_url(self.password());
        format!("{scheme}://{}:{password}@{}:{}", self.user(), self.host(), self.port())
    }

    /// The authority that signed its certificate, a PEM file.
    pub fn ca_file(&self) -> PathBuf {
        self.home.certificates.ca_file()
    }

    /// All its certificates, and an unrelated authority's.
    pub fn certificates(&self) -> &Certificates {
        &self.home.certificates
    }

    /// Stops it as an administrator does: it writes everything.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.signal(Signal::TERM);
        assert!(done(process.ends_within(STOP_LIMIT)), "Neo4j does not stop. {}", self.home.excerpt());
    }

    /// Kills it, as a machine failure does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Halts it: connections stay open, and nothing answers until [`thaw`](Self::thaw).
    pub fn freeze(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Resumes a halted server.
    pub fn thaw(&mut self) {
        self.signal(Signal::CONT);
    }

    fn signal(&mut self, signal: Signal) {
        self.process.iter_mut().for_each(|process| process.signal(signal));
    }

    /// Starts it again after it was stopped or killed, on the same port and with the same data.
    pub fn start_again(&mut self) {
        self.start_again_with(&[]);
    }

    /// As above, with more lines in `neo4j.conf`, which override earlier ones and apply to this start only.
    ///
    /// `server.databases.default_to_read_only=true` makes the database read-only: reads are served, and a write fails
    /// with `Neo.ClientError.General.WriteOnReadOnlyAccessDatabase`. Every index must have been online before the stop
    /// (`CALL db.awaitIndexes()`): a read-only database does not start while an index must be built.
    pub fn start_again_with(&mut self, settings: &[&str]) {
        done(self.try_start_again_with(settings));
    }

    /// As above, but returns the reason why it does not start.
    pub fn try_start_again_with(&mut self, settings: &[&str]) -> Result<()> {
        if self.runs() {
            bail!("Neo4j runs already: stop it before it is started again");
        }
        self.process = None;
        self.process = Some(self.home.launch(settings)?);
        Ok(())
    }

    /// Whether its process runs.
    pub fn runs(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| done(process.ended()).is_none())
    }

    /// Its log since the last start.
    pub fn log(&self) -> String {
        self.home.log.text()
    }

    /// The folder of its data, which a test may damage while the server is stopped.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }
}
