use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use super::Neo4j;
use super::home::Home;
use super::java::Jars;
use crate::{Certificates, done, ports, variables};

/// Options of a [`Neo4j`], set before it is started.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    jars: JarsPlace,
    pub(super) tls_required: bool,
    pub(super) home_in: Option<PathBuf>,
    pub(super) settings: Vec<String>,
    pub(super) java_flags: Vec<OsString>,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) password: Option<String>,
    port: Option<u16>,
}

/// Where the jars are.
#[derive(Clone, Debug)]
enum JarsPlace {
    Variable(&'static str),
    Folder(PathBuf),
}

impl Default for Options {
    fn default() -> Self {
        let jars = JarsPlace::Variable(variables::NEO4J_DIR);
        Self {
            jars,
            tls_required: false,
            home_in: None,
            settings: Vec::new(),
            java_flags: Vec::new(),
            certificates: None,
            password: None,
            port: None,
        }
    }
}

impl Options {
    /// Uses a Neo4j without vector indexes.
    pub fn old(self) -> Self {
        Self { jars: JarsPlace::Variable(variables::NEO4J_OLD_DIR), ..self }
    }

    /// Uses the jars in this folder.
    pub fn jars(self, folder: impl Into<PathBuf>) -> Self {
        Self { jars: JarsPlace::Folder(folder.into()), ..self }
    }

    /// Accepts connections with TLS only, as Aura does.
    pub fn tls_required(self) -> Self {
        Self { tls_required: true, ..self }
    }

    /// Uses these certificates, which several servers may share, instead of its own.
    pub fn certificates(self, certificates: Arc<Certificates>) -> Self {
        Self { certificates: Some(certificates), ..self }
    }

    /// Listens on this port of 127.0.0.1. The start fails if another program has taken it.
    pub fn port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// Gives the account this password instead of a random one.
    pub fn password(self, password: impl Into<String>) -> Self {
        Self { password: Some(password.into()), ..self }
    }

    /// Keeps everything in this folder, such as a small file system; it needs 8 MB. Its contents are left there.
    pub fn home_in(self, folder: impl Into<PathBuf>) -> Self {
        Self { home_in: Some(folder.into()), ..self }
    }

    /// Adds a line to `neo4j.conf`, which overrides earlier ones. Neo4j ignores unknown names.
    pub fn setting(mut self, line: impl Into<String>) -> Self {
        self.settings.push(line.into());
        self
    }

    /// Adds an option of the virtual machine.
    pub(super) fn java_flag(mut self, flag: OsString) -> Self {
        self.java_flags.push(flag);
        self
    }

    /// Starts it, and returns when Bolt answers.
    pub fn start(self) -> Neo4j {
        done(self.try_start())
    }

    /// As above, but returns the reason why it does not start.
    pub fn try_start(self) -> Result<Neo4j> {
        let jars = match &self.jars {
            JarsPlace::Variable(name) => Jars::in_folder(&variables::folder(name)?),
            JarsPlace::Folder(folder) => Jars::in_folder(folder),
        }?;
        let start = |port| Neo4j::launch(Home::make(jars.clone(), &self, port)?);
        self.port.map_or_else(|| ports::on_a_free_one(start), start)
    }
}
