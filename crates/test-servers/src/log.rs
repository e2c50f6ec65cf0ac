//! The log of a server.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

/// How much of a log an error shows.
const LAST_LINES: usize = 12;

/// The file into which a server writes its output.
#[derive(Debug)]
pub(crate) struct Log(PathBuf);

impl Log {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Discards what was written before.
    pub(crate) fn clear(&self) -> Result<()> {
        File::create(&self.0).with_context(|| format!("cannot write {}", self.0.display()))?;
        Ok(())
    }

    /// Redirects the command's output here.
    pub(crate) fn take(&self, command: &mut Command) -> Result<()> {
        let open = || -> std::io::Result<File> { OpenOptions::new().create(true).append(true).open(&self.0) };
        let file = open().with_context(|| format!("cannot write {}", self.0.display()))?;
        command.stdin(std::process::Stdio::null()).stderr(file.try_clone()?).stdout(file);
        Ok(())
    }

    /// The whole log; empty if there is none yet.
    pub(crate) fn text(&self) -> String {
        std::fs::read(&self.0)
            .map_or_else(|_| String::new(), |text| String::from_utf8_lossy(&text).into_owned())
    }

    /// The last lines, for an error.
    pub(crate) fn end(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}
