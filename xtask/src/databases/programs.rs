//! Programs of the system that the databases need.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use memcloud_test_servers::{POSTGRES_PLAIN_DIR, neo4j};

use crate::steps::{pass, say};

/// Where Debian and Ubuntu put every PostgreSQL that is installed.
const INSTALLED_POSTGRES: &str = "/usr/lib/postgresql";
/// The package of the distribution's PostgreSQL, whichever version that is.
const POSTGRES: &str = "postgresql";
/// While this file is there, an installation of PostgreSQL starts no server.
const NO_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/memcloud-tests.conf";

/// Something that must be there.
struct Program {
    name: &'static str,
    is_there: fn() -> bool,
    /// Packages of Debian or Ubuntu, the first of which that is to be had is installed.
    packages: &'static [&'static str],
}

const PROGRAMS: [Program; 4] = [
    Program {
        name: "Java 17 or 21",
        is_there: || neo4j::java().is_ok(),
        packages: &["openjdk-17-jre-headless", "openjdk-21-jre-headless"],
    },
    Program { name: "Maven (mvn)", is_there: || answers("mvn", &["--version"]), packages: &["maven"] },
    Program {
        name: "Python 3 with pip",
        is_there: || answers("python3", &["-m", "pip", "--version"]),
        packages: &["python3-pip"],
    },
    Program {
        name: "a PostgreSQL of the distribution, without pgvector",
        is_there: || std::env::var_os(POSTGRES_PLAIN_DIR).is_some() || plain_postgres().is_ok(),
        packages: &[POSTGRES],
    },
];

/// Installs what is missing, or says what is.
pub(super) fn install() -> Result<()> {
    let missing: Vec<&Program> = PROGRAMS.iter().filter(|program| !(program.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !answers("apt-get", &["--version"]) {
        bail!("{}", wishes(&missing));
    }
    root(&["apt-get", "-qq", "update"])?;
    let packages: Vec<&str> = missing.iter().map(|program| program.package()).collect();
    say(&format!("installing with apt-get: {}", packages.join(", ")));
    let install = [&["apt-get", "-qq", "install", "--yes", "--no-install-recommends"], packages.as_slice()];
    if packages.contains(&POSTGRES) {
        without_a_new_cluster(|| root(&install.concat()))?;
    } else {
        root(&install.concat())?;
    }
    let missing: Vec<&Program> = missing.into_iter().filter(|program| !(program.is_there)()).collect();
    if !missing.is_empty() {
        bail!("{}", wishes(&missing));
    }
    Ok(())
}

impl Program {
    /// The package to install.
    fn package(&self) -> &'static str {
        let offered = |package: &&&str| answers("apt-cache", &["show", package]);
        self.packages.iter().find(offered).unwrap_or(&self.packages[0])
    }
}

/// What somebody must see to.
fn wishes(missing: &[&Program]) -> String {
    let line = |program: &&Program| {
        format!("there is no {}: install it (on Debian the package {})", program.name, program.packages[0])
    };
    let lines: Vec<String> = missing.iter().map(line).collect();
    format!(
        "{}\nA PostgreSQL elsewhere can be named in {POSTGRES_PLAIN_DIR}: the folder of its bin/.",
        lines.join("\n")
    )
}

/// The newest PostgreSQL of the distribution that has no pgvector.
pub(super) fn plain_postgres() -> Result<PathBuf> {
    let installed = std::fs::read_dir(INSTALLED_POSTGRES).into_iter().flatten().flatten();
    let plain = installed.map(|entry| entry.path()).filter(|folder| is_plain(folder));
    plain.max_by_key(|folder| version(folder)).with_context(|| {
        format!(
            "there is no PostgreSQL without pgvector in {INSTALLED_POSTGRES}: set {POSTGRES_PLAIN_DIR} to one"
        )
    })
}

fn version(folder: &Path) -> u32 {
    folder.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or_default()
}

fn is_plain(folder: &Path) -> bool {
    let pgvector = format!("/usr/share/postgresql/{}/extension/vector.control", version(folder));
    folder.join("bin/postgres").is_file() && !Path::new(&pgvector).exists()
}

/// Installs packages while the package of PostgreSQL is asked to start no server. Servers there are go on.
fn without_a_new_cluster(install: impl FnOnce() -> Result<()>) -> Result<()> {
    let folder =
        Path::new(NO_CLUSTER).parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    root(&["mkdir", "-p", &folder])?;
    root(&["sh", "-c", &format!("echo 'create_main_cluster = false' > {NO_CLUSTER}")])?;
    let installed = install();
    root(&["rm", "-f", NO_CLUSTER])?;
    installed
}

/// Runs a command as root, its output passed through.
fn root(words: &[&str]) -> Result<()> {
    let mut command = Command::new("sudo");
    if is_root() {
        command = Command::new("env");
    }
    // In both forms a program behind an assignment is run with it.
    command.arg("DEBIAN_FRONTEND=noninteractive").args(words);
    if !pass(&mut command)? {
        bail!("'{}' failed: see above", words.join(" "));
    }
    Ok(())
}

fn is_root() -> bool {
    let told = Command::new("id").arg("-u").output();
    told.is_ok_and(|told| told.stdout.trim_ascii() == b"0")
}

/// Whether a program is there and does this much.
fn answers(program: &str, arguments: &[&str]) -> bool {
    let told = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    told.is_ok_and(|status| status.success())
}
