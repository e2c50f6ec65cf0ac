//! The servers of services: processes of the program in the container image.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use memcloud_test_servers::Process;

/// How long to wait between two looks at a server that starts.
const GLANCE: Duration = Duration::from_millis(50);
/// How much of a log a failure shows, in bytes.
const SHOWN: usize = 2_000;
/// Folders of the image that a process may write to.
const FOLDERS: [&str; 2] = ["/data", "/tmp"];

/// The containers of all revisions, by the full name of the revision.
#[derive(Default)]
pub(crate) struct Containers {
    by_revision: BTreeMap<String, Arc<Container>>,
    made: usize,
}

/// A program with its environment.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) program: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

/// What a revision runs.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) image: Image,
    /// Arguments in place of those of the image.
    pub(crate) arguments: Vec<String>,
    /// The environment as the service asks for it, with secrets in it.
    pub(crate) environment: Vec<(String, String)>,
    /// Files to write, by their paths in the container.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// The paths of mounts.
    pub(crate) mounts: Vec<String>,
    /// Folders to link, by their paths in the container.
    pub(crate) links: Vec<(String, PathBuf)>,
    /// Addresses in the network, each with where it really is.
    pub(crate) hosts: Vec<(String, String)>,
    /// The certificate authorities of the image.
    pub(crate) authorities: PathBuf,
    pub(crate) probe: Probe,
}

/// How it is known that a container has started.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// Asked for with GET; without one, it is enough that something listens.
    pub(crate) path: Option<String>,
    pub(crate) within: Duration,
}

/// One container.
pub(crate) struct Container {
    spec: Spec,
    /// What stands for its root folder.
    folder: PathBuf,
    running: Mutex<Option<(Process, u16)>>,
    /// Whether a start that is under way is given up.
    given_up: AtomicBool,
}

impl Containers {
    pub(crate) fn insert(&mut self, revision: &str, container: Arc<Container>) {
        self.by_revision.insert(revision.to_owned(), container);
    }

    pub(crate) fn get(&self, revision: &str) -> Option<Arc<Container>> {
        self.by_revision.get(revision).cloned()
    }

    /// The number of the next container.
    pub(crate) fn next(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    /// Ends and removes the containers of the revisions whose names begin so.
    pub(crate) fn remove(&mut self, names: &str) {
        for (_, container) in self.by_revision.extract_if(.., |name, _| name.starts_with(names)) {
            container.retire();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.remove("");
    }

    /// Ends every container that has started.
    pub(crate) fn restart(&self) {
        for container in self.by_revision.values() {
            // One that is being started is new anyway.
            if let Ok(mut running) = container.running.try_lock() {
                *running = None;
            }
        }
    }

    pub(crate) fn count(&self) -> usize {
        // One that is being started counts.
        self.by_revision
            .values()
            .filter(|one| one.running.try_lock().map_or(true, |running| running.is_some()))
            .count()
    }
}

impl Container {
    /// A container that has not started. Its root folder is made below this one, with a short name.
    pub(crate) fn new(spec: Spec, root: &Path, number: usize) -> Self {
        Self {
            spec,
            folder: root.join(number.to_string()),
            running: Mutex::new(None),
            given_up: AtomicBool::new(false),
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<(Process, u16)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it listens. It is started if it does not run.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let mut running = self.running();
        if let Some((process, port)) = running.as_mut()
            && process.ended()?.is_none()
        {
            return Ok((Ipv4Addr::LOCALHOST, *port).into());
        }
        let (process, port) = self.start()?;
        *running = Some((process, port));
        Ok((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Ends it, even while it starts.
    pub(crate) fn end(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        *self.running() = None;
        self.given_up.store(false, Ordering::SeqCst);
    }

    /// Ends it for good.
    fn retire(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        *self.running() = None;
    }

    fn start(&self) -> Result<(Process, u16)> {
        self.make_folders()?;
        let port = memcloud_test_servers::free_port();
        let mut command =
            memcloud_test_servers::bound_to_this_program(self.spec.image.program.as_os_str(), "KILL");
        command.args(&self.spec.arguments).env_clear().current_dir(&self.folder).stdin(Stdio::null());
        command.envs(self.environment(port));
        let log = File::create(self.log()).context("cannot write a log")?;
        command.stderr(log.try_clone()?).stdout(log);
        let mut process = Process::start(command)?;
        let begun = Instant::now();
        while !self.answers(port) {
            if let Some(status) = process.ended()? {
                bail!("the container ended with {status}. Its log ends: {}", self.excerpt());
            }
            if self.given_up.load(Ordering::SeqCst) {
                bail!("the container was ended while it started");
            }
            if begun.elapsed() > self.spec.probe.within {
                bail!("the container did not answer its startup probe. Its log ends: {}", self.excerpt());
            }
            std::thread::sleep(GLANCE);
        }
        Ok((process, port))
    }

    fn make_folders(&self) -> Result<()> {
        let within = |path: &str| self.folder.join(path.trim_start_matches('/'));
        for folder in FOLDERS.iter().copied().chain(self.spec.mounts.iter().map(String::as_str)) {
            fs::create_dir_all(within(folder)).with_context(|| format!("cannot make {folder}"))?;
        }
        for (path, contents) in &self.spec.files {
            let path = within(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
        }
        for (path, target) in &self.spec.links {
            let path = within(path);
            if !path.is_symlink() {
                std::os::unix::fs::symlink(target, &path)
                    .with_context(|| format!("cannot link {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// The whole environment: that of the image, that of the service with its paths below the root folder, and that of the
    /// platform.
    fn environment(&self, port: u16) -> Vec<(String, String)> {
        let data = self.folder.join("data").display().to_string();
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut environment = vec![
            text("HOME", &data),
            text("MEMCLOUD_DATA_DIR", &data),
            text("MEMCLOUD_LOG_FORMAT", "json"),
            text("TMPDIR", &self.folder.join("tmp").display().to_string()),
            text("SSL_CERT_FILE", &self.spec.authorities.display().to_string()),
        ];
        environment.extend(self.spec.image.environment.iter().cloned());
        let own = self.spec.environment.iter().map(|(name, value)| (name.clone(), self.below_root(value)));
        environment.extend(own);
        environment.extend([text("PORT", &port.to_string()), text("HOST", "127.0.0.1")]);
        environment
    }

    /// A value with the root folder in front of each path of a mount or of a folder of the image.
    fn below_root(&self, value: &str) -> String {
        let root = self.folder.display().to_string();
        let encoded = root.replace('/', "%2F");
        let paths = FOLDERS.iter().copied().chain(self.spec.mounts.iter().map(String::as_str));
        let value =
            self.spec.hosts.iter().fold(value.to_owned(), |value, (host, real)| value.replace(host, real));
        paths.fold(value, |value, path| {
            // The root folder may itself contain such a path.
            let value = replace_path(&value, path, &root);
            value.replace(&path.replace('/', "%2F"), &format!("{encoded}{}", path.replace('/', "%2F")))
        })
    }

    fn answers(&self, port: u16) -> bool {
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
            return false;
        };
        let Some(path) = &self.spec.probe.path else { return true };
        let mut ask = || -> std::io::Result<String> {
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        // `HTTP/1.1 200`
        ask().is_ok_and(|answer| answer.get(9..10).is_some_and(|digit| digit == "2" || digit == "3"))
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn excerpt(&self) -> String {
        let text = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(SHOWN)..]).into_owned()
    }
}

/// Puts a folder in front of a path wherever the path begins in a value.
fn replace_path(value: &str, path: &str, folder: &str) -> String {
    let mut replaced = String::new();
    let mut rest = value;
    while let Some(at) = rest.find(path) {
        let (before, after) = (&rest[..at], &rest[at + path.len()..]);
        replaced.push_str(before);
        let begins = !replaced.ends_with(|c: char| c.is_alphanumeric() || "/-_.".contains(c));
        let ends = !after.starts_with(|c: char| c.is_alphanumeric() || "-_.".contains(c));
        if begins && ends {
            replaced.push_str(folder);
        }
        replaced.push_str(path);
        rest = after;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_moved_where_they_begin() {
        for (value, wanted) in [
            ("/cloudsql/p:l:i", "/r/cloudsql/p:l:i"),
            ("postgres://u@/d?host=/cloudsql/p:l:i", "postgres://u@/d?host=/r/cloudsql/p:l:i"),
            ("/other/cloudsql", "/other/cloudsql"),
            ("/cloudsqlx", "/cloudsqlx"),
        ] {
            assert_eq!(replace_path(value, "/cloudsql", "/r"), wanted);
        }
    }
}
