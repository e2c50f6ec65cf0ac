use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::account::{self, Account};
use crate::process;

/// The parts of an installation that PostgreSQL needs to run.
const PARTS: [&str; 3] = ["bin", "lib", "share"];

/// The programs of a PostgreSQL: a folder with `bin/`, `lib/` and `share/`.
#[derive(Clone, Debug)]
pub(super) struct Install(PathBuf);

impl Install {
    pub(super) fn in_folder(folder: PathBuf) -> Result<Self> {
        let install = Self(folder);
        if !install.program("postgres").is_file() {
            bail!("there is no bin/postgres in {}: run 'cargo xtask test'", install.0.display());
        }
        Ok(install)
    }

    /// The same, or a copy in `spare` if the account cannot reach it, as below root's own folder.
    pub(super) fn for_account(&self, account: Account, spare: &Path) -> Result<Self> {
        if account.can_run(&self.program("postgres"))? {
            return Ok(self.clone());
        }
        let copied = Self(spare.to_path_buf());
        for part in PARTS {
            copy(&self.0.join(part), &spare.join(part))?;
        }
        if !account.can_run(&copied.program("postgres"))? {
            bail!(
                "PostgreSQL's account reaches neither {} nor {}: set TMPDIR to a folder that all may use",
                self.0.display(),
                spare.display()
            );
        }
        Ok(copied)
    }

    /// A command that runs one of the programs as this account.
    pub(super) fn command(&self, program: &str, account: Account) -> Command {
        // The server ends with the test program, by a fast shutdown.
        let mut command = process::bound_to_this_program(self.program(program).as_os_str(), "QUIT");
        account.take(&mut command);
        // Every account may enter this folder, and programs find the libraries packed next to them.
        command.current_dir("/").env("LD_LIBRARY_PATH", self.0.join("lib"));
        command
    }

    fn program(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    account::open_to_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let (path, target) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}
