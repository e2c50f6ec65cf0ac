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

/// A checkpoint at the end may have to write much.
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// A Neo4j Community of a test's own: an own home in a temporary folder, gone with this handle.
///
/// It takes connections with and without TLS, with a certificate for `localhost` and `127.0.0.1`.
#[derive(Debug)]
pub struct Neo4j {
    // Before the home, whose folder is removed after the process has ended.
    process: Option<Process>,
    home: Home,
}

impl Neo4j {
    /// Starts the Neo4j of the tests on a free port.
    pub fn start() -> Self {
        Self::options().start()
    }

    /// What may be chosen before the start.
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

    /// The name of this machine that the certificate knows.
    pub fn host(&self) -> &'static str {
        home::HOST
    }

    /// The only account there is.
    pub fn user(&self) -> &'static str {
        home::USER
    }

    /// Its password, full of characters that mean something elsewhere.
    pub fn password(&self) -> &str {
        &self.home.password
    }

    /// The address for a scheme such as `bolt`, `neo4j+s` or `bolt+ssc`, without user and password.
    pub fn uri(&self, scheme: &str) -> String {
        format!("{scheme}://{}:{}", self.host(), self.port())
    }

    /// The same, with user and password in it.
    pub fn uri_with_password(&self, scheme: &str) -> String {
        let password = crate::secret::in_url(self.password());
        format!("{scheme}://{}:{password}@{}:{}", self.user(), self.host(), self.port())
    }

    /// The authority that signed its certificate, a PEM file.
    pub fn ca_file(&self) -> PathBuf {
        self.home.certificates.ca_file()
    }

    /// All its certificates, and those of somebody else.
    pub fn certificates(&self) -> &Certificates {
        &self.home.certificates
    }

    /// Stops it as an administrator does: everything is written.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.signal(Signal::TERM);
        assert!(done(process.ends_within(STOP_LIMIT)), "Neo4j does not stop. {}", self.home.told());
    }

    /// Kills it, as a machine does that fails.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Halts it: connections stay, and nothing answers until [`thaw`](Self::thaw).
    pub fn freeze(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets a halted one go on.
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

    /// The same, with more lines in `neo4j.conf`, which count more than those before them. They are gone at the next
    /// start.
    ///
    /// `server.databases.default_to_read_only=true` makes the database read-only: reads are served, and a write fails
    /// with `Neo.ClientError.General.WriteOnReadOnlyAccessDatabase`. Every index must have been online before the stop
    /// (`CALL db.awaitIndexes()`), for a read-only database does not start where one is to be built.
    pub fn start_again_with(&mut self, settings: &[&str]) {
        done(self.try_start_again_with(settings));
    }

    /// The same, with the reason why it does not start.
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

    /// What it has logged since it was started last.
    pub fn log(&self) -> String {
        self.home.log.text()
    }

    /// The folder of its data, for what a test wants to break there while it is stopped.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }
}
