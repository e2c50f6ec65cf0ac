//! A home directory of a test's own, and servers that run in it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Long enough for any machine; only a broken server takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A home directory without any settings.
pub(crate) struct Home {
    dir: TempDir,
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its data, when it was asked for JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, when all went well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The same, when it failed as it should, with an error and a hint.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains("error: ") && self.stderr.contains("hint: "), "{self:?}");
        self
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The data directory of the servers that run here.
    pub(crate) fn data(&self) -> PathBuf {
        self.path(".local/share/memcloud")
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The binary, with nothing of the tester's own environment.
    pub(crate) fn memcloud(&self) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_memcloud")))
    }

    /// Another copy of the binary.
    pub(crate) fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        finish(self.memcloud().args(args).stdin(Stdio::null()))
    }

    /// Runs with this text for its stdin.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &str) -> Ran {
        let mut command = self.memcloud();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        ran(&output)
    }

    /// An instance without a model, on a free port.
    pub(crate) fn serve(&self) -> Server {
        Server::start(self.memcloud().args(["serve", "--offline", "--listen", "127.0.0.1:0"]))
    }
}

/// Runs a command to its end, which must not take for ever.
#[track_caller]
pub(crate) fn finish(command: &mut Command) -> Ran {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (id, (sender, output)) = (child.id(), channel());
    std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
    let output = output.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let _ = Command::new("kill").arg(id.to_string()).status();
        panic!("{command:?} does not end");
    });
    ran(&output)
}

fn ran(output: &std::process::Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// A running server. It is killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: Receiver<String>,
    /// What it has logged up to now.
    pub(crate) logged: String,
    /// Its address.
    pub(crate) url: String,
}

impl Server {
    /// Runs this command, which serves, until it listens.
    pub(crate) fn start(command: &mut Command) -> Self {
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        Self::listening(child)
    }

    fn listening(mut child: Child) -> Self {
        let (sender, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut server = Self { child, log, logged: String::new(), url: String::new() };
        let line = server.log_line("listening on http://");
        let address = line.split("listening on ").nth(1).unwrap();
        let end = address.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(address.len());
        address[..end].clone_into(&mut server.url);
        server
    }

    /// The next line of the log with these words, waited for.
    #[track_caller]
    pub(crate) fn log_line(&mut self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = self.log.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.logged.push_str(&line);
            self.logged.push('\n');
            if line.contains(words) {
                return line;
            }
        }
        panic!("the log never said '{words}': {}", self.logged);
    }

    /// Stops it, and returns all that it has logged.
    pub(crate) fn whole_log(mut self) -> String {
        self.signal("TERM");
        self.ended();
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            self.logged.push_str(&line);
            self.logged.push('\n');
        }
        std::mem::take(&mut self.logged)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The most resident memory that it ever had, in bytes.
    pub(crate) fn peak_resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
    }

    /// How it ended, which it must within this time after the signal. The time is counted in naps, which take longer on a
    /// machine that is busy with other things, as all it has to do does.
    #[track_caller]
    pub(crate) fn ends_within(&mut self, time: Duration, signal: &str) -> ExitStatus {
        const NAP: Duration = Duration::from_millis(5);
        self.signal(signal);
        for _ in 0..time.as_millis() / NAP.as_millis() {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(NAP);
        }
        panic!("the server goes on after {signal}: {}", self.logged);
    }

    /// How it ended, waited for.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the server does not end: {}", self.logged);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
