//! Programs of the system that the databases need.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use memcloud_test_servers::{POSTGRES_PLAIN_DIR, neo4j};

use crate::programs::{self, Program, answers, apt_install, as_root};

/// Where Debian and Ubuntu install every version of PostgreSQL.
const INSTALLED_POSTGRES: &str = "/usr/lib/postgresql";
/// The package of the distribution's PostgreSQL, whichever version that is.
const POSTGRES: &str = "postgresql";
/// While this file exists, an installation of PostgreSQL starts no server.
const NO_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/memcloud-tests.conf";

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
    programs::ensure(&PROGRAMS, |packages| {
        if packages.contains(&POSTGRES) {
            without_a_new_cluster(|| apt_install(packages))
        } else {
            apt_install(packages)
        }
    })
}

/// The newest PostgreSQL of the distribution that has no pgvector.
pub(super) fn plain_postgres() -> Result<PathBuf> {
    let installed = std::fs::read_dir(INSTALLED_POSTGRES).into_iter().flatten().flatten();
    let plain = installed.map(|entry| entry.path()).filter(|folder| is_plain(folder));
    plain.max_by_key(|folder| version(folder)).with_context(|| {
        format!(
            "{INSTALLED_POSTGRES} holds no PostgreSQL without pgvector: set {POSTGRES_PLAIN_DIR} to the folder of \
             one, which contains bin/"
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

/// Installs packages while the package of PostgreSQL is asked to start no server. Running servers are not touched.
fn without_a_new_cluster(install: impl FnOnce() -> Result<()>) -> Result<()> {
    let folder =
        Path::new(NO_CLUSTER).parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    as_root(&["mkdir", "-p", &folder])?;
    as_root(&["sh", "-c", &format!("echo 'create_main_cluster = false' > {NO_CLUSTER}")])?;
    let installed = install();
    as_root(&["rm", "-f", NO_CLUSTER])?;
    installed
}
