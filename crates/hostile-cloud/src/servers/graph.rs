//! The Neo4j behind each Aura instance and each machine that runs one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use memcloud_test_servers::{Certificates, NEO4J_DIR, Neo4j};

use crate::failure::{Failure, Outcome};
use crate::options::Options;

/// The authorities that a machine trusts, on the systems that have such a file.
const SYSTEM_AUTHORITIES: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The servers of all instances, by the full name of the instance, and the authority that signs their certificate.
pub(crate) struct Graphs {
    certificates: Arc<Certificates>,
    authorities: PathBuf,
    servers: BTreeMap<String, Arc<Graph>>,
    /// The ports of machines.
    ports: BTreeMap<String, u16>,
}

/// The server of one instance.
#[derive(Default)]
pub(crate) struct Graph(Mutex<Option<Neo4j>>);

impl Graphs {
    /// No servers yet. The file of authorities is written into this folder.
    pub(crate) fn new(root: &Path) -> Result<Self> {
        let certificates = Arc::new(Certificates::make());
        let authorities = root.join("authorities.pem");
        let system =
            SYSTEM_AUTHORITIES.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        let own =
            fs::read_to_string(certificates.ca_file()).context("cannot read the authority's certificate")?;
        fs::write(&authorities, format!("{system}\n{own}")).context("cannot write the authorities")?;
        Ok(Self { certificates, authorities, servers: BTreeMap::new(), ports: BTreeMap::new() })
    }

    /// The authority of these servers, and those that this machine trusts.
    pub(crate) fn authorities_file(&self) -> &Path {
        &self.authorities
    }

    /// The server of an instance; it may not have been started.
    pub(crate) fn of(&mut self, instance: &str) -> Arc<Graph> {
        Arc::clone(self.servers.entry(instance.to_owned()).or_default())
    }

    /// The server of a machine, which will listen on this port.
    pub(crate) fn at(&mut self, machine: &str, port: u16) -> Arc<Graph> {
        self.ports.insert(machine.to_owned(), port);
        self.of(machine)
    }

    pub(crate) fn port(&self, machine: &str) -> Option<u16> {
        self.ports.get(machine).copied()
    }

    pub(crate) fn has(&self, machine: &str) -> bool {
        self.servers.contains_key(machine)
    }

    /// Whether the server of a machine has come up.
    pub(crate) fn runs(&self, machine: &str) -> bool {
        // It is locked for as long as it starts.
        self.servers.get(machine).is_some_and(|graph| graph.0.try_lock().is_ok_and(|server| server.is_some()))
    }

    pub(crate) fn certificates(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates)
    }

    pub(crate) fn remove(&mut self, instance: &str) {
        self.servers.remove(instance);
        self.ports.remove(instance);
    }

    pub(crate) fn clear(&mut self) {
        for graph in std::mem::take(&mut self.servers).into_values() {
            *graph.server() = None;
        }
    }

    pub(crate) fn count(&self) -> usize {
        // One that is being started or stopped counts.
        self.servers
            .values()
            .filter(|graph| graph.0.try_lock().map_or(true, |server| server.is_some()))
            .count()
    }
}

impl Graph {
    fn server(&self) -> MutexGuard<'_, Option<Neo4j>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it on this port of 127.0.0.1, with TLS only.
    pub(crate) fn start(
        &self,
        options: &Options,
        certificates: Arc<Certificates>,
        port: u16,
        password: &str,
    ) -> Outcome<()> {
        let mut server = self.server();
        let start = || {
            let jars = match &options.neo4j {
                Some(folder) => folder.clone(),
                None => PathBuf::from(std::env::var_os(NEO4J_DIR).with_context(|| {
                    format!("no Neo4j for Aura: set {NEO4J_DIR}, or run under 'cargo xtask databases'")
                })?),
            };
            Neo4j::options()
                .jars(jars)
                .tls_required()
                .certificates(certificates)
                .port(port)
                .password(password)
                .try_start()
        };
        *server = Some(start().map_err(|error| Failure::new("INTERNAL_ERROR", format!("{error:#}")))?);
        Ok(())
    }

    pub(crate) fn stop(&self) {
        if let Some(graph) = self.server().as_mut() {
            graph.stop();
        }
    }

    /// Starts it again after it was stopped.
    pub(crate) fn run(&self) -> Outcome<()> {
        let mut server = self.server();
        let Some(graph) = server.as_mut() else { return Ok(()) };
        if graph.runs() {
            return Ok(());
        }
        graph.try_start_again_with(&[]).map_err(|error| Failure::new("INTERNAL_ERROR", format!("{error:#}")))
    }
}
