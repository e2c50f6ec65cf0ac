use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// PostgreSQL refuses to run as root; this account has no rights anywhere.
const INSTEAD_OF_ROOT: &str = "nobody";

/// The account that PostgreSQL runs as: the current one, unless that is root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account(Option<(u32, u32)>);

impl Account {
    pub(super) fn of_servers() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let ids = accounts.lines().find_map(ids_of_nobody).with_context(|| {
            format!(
                "PostgreSQL refuses to run as root, and there is no account '{INSTEAD_OF_ROOT}': create it"
            )
        })?;
        Ok(Self(Some(ids)))
    }

    /// Makes the command run as this account.
    pub(super) fn take(self, command: &mut Command) {
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
    }

    /// Gives a file or folder to this account; others may read it.
    pub(super) fn own(self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.0 else { return Ok(()) };
        chown(path, Some(user), Some(group))
            .with_context(|| format!("cannot change the owner of {}", path.display()))
    }

    /// Whether this account can run the program.
    pub(super) fn can_run(self, program: &Path) -> Result<bool> {
        if self.0.is_none() {
            return Ok(true);
        }
        let mut command = Command::new("test");
        command.arg("-x").arg(program).current_dir("/");
        self.take(&mut command);
        Ok(command.status().context("cannot run 'test'")?.success())
    }
}

/// Lets every account read a folder.
pub(super) fn open_to_all(folder: &Path) -> Result<()> {
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder, mode).with_context(|| format!("cannot open {} to all", folder.display()))
}

/// The numbers in a line such as `nobody:x:65534:65534:…`.
fn ids_of_nobody(line: &str) -> Option<(u32, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let (user, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
    (name == INSTEAD_OF_ROOT).then_some((user, group))
}
