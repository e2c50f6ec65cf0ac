//! Programs of the system that tests need: named when they are missing, installed where apt-get is there.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::steps::{note, prepare};

/// A program that must be there.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) is_there: fn() -> bool,
    /// Packages of Debian or Ubuntu. The first available one is installed.
    pub(crate) packages: &'static [&'static str],
}

/// Installs the missing ones of these programs, or says which are missing and how to install them.
///
/// `install` gets the packages and runs [`apt_install`] with whatever must be around it.
pub(crate) fn ensure(programs: &[Program], install: impl FnOnce(&[&str]) -> Result<()>) -> Result<()> {
    let missing = missing(programs);
    if missing.is_empty() {
        return Ok(());
    }
    if !answers("apt-get", &["--version"]) {
        bail!("{}", instructions(&missing));
    }
    as_root(&["apt-get", "-qq", "update"])?;
    let packages: Vec<&str> = missing.iter().map(|program| program.package()).collect();
    note(&format!("installing with apt-get: {}", packages.join(", ")));
    install(&packages)?;
    let missing = self::missing(programs);
    if !missing.is_empty() {
        bail!("{}", instructions(&missing));
    }
    Ok(())
}

/// Installs packages of Debian or Ubuntu.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    as_root(&[&["apt-get", "-qq", "install", "--yes", "--no-install-recommends"], packages].concat())
}

/// Runs a command as root, its output on stderr.
pub(crate) fn as_root(words: &[&str]) -> Result<()> {
    // `sudo` and `env` both take an assignment before the program.
    let mut command = Command::new(if is_root() { "env" } else { "sudo" });
    command.arg("DEBIAN_FRONTEND=noninteractive").args(words);
    if !prepare(&mut command)? {
        bail!("'{}' failed: see above", words.join(" "));
    }
    Ok(())
}

/// Whether a program exists and succeeds with these arguments.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

impl Program {
    /// The package to install.
    fn package(&self) -> &'static str {
        let offered = |package: &&&str| answers("apt-cache", &["show", package]);
        self.packages.iter().find(offered).unwrap_or(&self.packages[0])
    }
}

fn missing(programs: &[Program]) -> Vec<&Program> {
    programs.iter().filter(|program| !(program.is_there)()).collect()
}

/// What a person must install.
fn instructions(missing: &[&Program]) -> String {
    let line = |program: &&Program| {
        format!("missing: {}; install it (on Debian the package {})", program.name, program.packages[0])
    };
    missing.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
