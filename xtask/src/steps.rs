//! Steps: child processes that are named, timed and counted.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Prints one line. Only this and [`note`] print.
pub(crate) fn say(line: &str) {
    // When the reader has gone, there is nothing left to do with the line.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Prints one line about what is being prepared, on stderr: stdout is for what was asked for.
pub(crate) fn note(line: &str) {
    // When the reader has gone, there is nothing left to do with the line.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Cargo, in the root of the workspace.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), std::path::Path::to_path_buf)
}

/// What `cargo metadata` says about the workspace's own crates.
pub(crate) fn metadata() -> Result<Value> {
    let output =
        cargo(&["metadata", "--format-version", "1", "--no-deps"]).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")
}

/// Where builds go.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let metadata = metadata()?;
    Ok(metadata["target_directory"].as_str().context("cargo metadata names no target directory")?.into())
}

/// The steps of a chore, and which of them failed.
#[derive(Default)]
pub(crate) struct Steps {
    failed: Vec<String>,
}

impl Steps {
    /// Runs one step, whether or not earlier ones succeeded.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<bool>) {
        say(&format!("== {name}"));
        let began = Instant::now();
        let good = work().unwrap_or_else(|error| {
            say(&format!("error: {error:#}"));
            false
        });
        let verdict = if good { "ok" } else { "FAILED" };
        say(&format!("== {name}: {verdict} ({:.1} s)", began.elapsed().as_secs_f64()));
        if !good {
            self.failed.push(name.to_owned());
        }
    }

    /// Reports which steps failed, if any. Answers whether all succeeded.
    pub(crate) fn end(self) -> bool {
        if !self.failed.is_empty() {
            say(&format!("failed: {}", self.failed.join(", ")));
        }
        self.failed.is_empty()
    }
}

/// Runs a command to its end, its output passed through.
pub(crate) fn pass(command: &mut Command) -> Result<bool> {
    let status =
        command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    Ok(status.success())
}

/// Runs a command that prepares something to its end, all its output on stderr.
pub(crate) fn prepare(command: &mut Command) -> Result<bool> {
    pass(command.stdout(std::io::stderr()))
}

/// Runs a command to its end, its output passed through, and hands every line of its stdout to `look`.
pub(crate) fn watch(command: &mut Command, mut look: impl FnMut(&str)) -> Result<bool> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let stdout = child.stdout.take().context("the child has no stdout")?;
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().lock().write_all(&line)?;
        look(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(child.wait()?.success())
}
