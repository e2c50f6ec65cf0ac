//! What a server says.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

/// As much of a log as helps in an error.
const LAST_LINES: usize = 12;

/// The file into which a server writes what it says.
#[derive(Debug)]
pub(crate) struct Log(PathBuf);

impl Log {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Forgets what was written before.
    pub(crate) fn clear(&self) -> Result<()> {
        File::create(&self.0).with_context(|| format!("cannot write {}", self.0.display()))?;
        Ok(())
    }

    /// Lets the command write its output here.
    pub(crate) fn take(&self, command: &mut Command) -> Result<()> {
        let open = || -> std::io::Result<File> { OpenOptions::new().create(true).append(true).open(&self.0) };
        let file = open().with_context(|| format!("cannot write {}", self.0.display()))?;
        command.stdin(std::process::Stdio::null()).stderr(file.try_clone()?).stdout(file);
        Ok(())
    }

    /// All of it; nothing if there is none yet.
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
