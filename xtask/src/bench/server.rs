//! A real `memcloud serve` on a free port, and what the kernel reports about it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use memcloud_client::Client;

use super::Bench;

/// `/proc/<pid>/stat` counts CPU time in hundredths of a second on every Linux that runs this.
const TICKS_PER_SECOND: f64 = 100.0;
const LEAVES_WITHIN: Duration = Duration::from_secs(10);

/// A running server. It is stopped when dropped.
pub(crate) struct Server {
    child: Child,
    /// Its address.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(bench: &Bench, data: &Path) -> Result<Self> {
        Self::start_on(bench, data, &[])
    }

    /// Starts it with these settings, which may name databases.
    pub(crate) fn start_on(bench: &Bench, data: &Path, settings: &[(&str, String)]) -> Result<Self> {
        Self::start_with(bench, data, settings, true)
    }

    /// Starts it with or without the embedding model.
    pub(crate) fn start_with(
        bench: &Bench,
        data: &Path,
        settings: &[(&str, String)],
        has_model: bool,
    ) -> Result<Self> {
        let mut child = Command::new(&bench.binary)
            .args(["serve", "--offline", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .args(has_model.then_some("--model-dir"))
            .args(has_model.then_some(&bench.model_dir))
            .env("MEMCLOUD_LOG", "info")
            .envs(settings.iter().map(|(name, value)| (*name, value)))
            .env_remove("HOST")
            .env_remove("PORT")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", bench.binary.display()))?;
        let mut log = BufReader::new(child.stderr.take().context("the child has no stderr")?);
        let mut output = String::new();
        let address = loop {
            let mut line = String::new();
            if log.read_line(&mut line)? == 0 {
                bail!("memcloud serve did not start: {output}");
            }
            if let Some((_, after)) = line.split_once("listening on http://") {
                let end =
                    after.find(|c: char| !(c.is_ascii_digit() || ".:[]".contains(c))).unwrap_or(after.len());
                break after[..end].parse()?;
            }
            output.push_str(&line);
        };
        // The log must be read to the end, or the server would wait for room in the pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Ok(Self { child, address })
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Result<Client> {
        Ok(Client::new(&format!("http://{}", self.address), None)?)
    }

    /// The CPU seconds it has used so far, in user and system mode.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("no CPU times");
        Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<f64> {
        self.memory("VmRSS:")
    }

    /// The most resident memory that it has had, in bytes.
    pub(crate) fn peak_resident_bytes(&self) -> Result<f64> {
        self.memory("VmHWM:")
    }

    /// Sets that back to what it has now.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    fn memory(&self, name: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no memory")?;
        let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM lets it close its data; a server that does not leave is killed.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if began.elapsed() > LEAVES_WITHIN {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
