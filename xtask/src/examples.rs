//! The packages that tests run with: those that the examples need, and Schemathesis.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::kept;
use crate::programs::{self, Program, answers, apt_install};
use crate::steps::{pass, root};

/// Where the tests find the packages: `python/`, `schemathesis/` and `typescript/`.
pub(crate) const VARIABLE: &str = "MEMCLOUD_TEST_EXAMPLES_DIR";

/// What `examples/openai` imports.
const OPENAI: &str = "openai==3.57.0";

/// What holds the answers of a server against its OpenAPI document.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

const PROGRAMS: [Program; 3] = [
    Program { name: "curl", is_there: || answers("curl", &["--version"]), packages: &["curl"] },
    Program {
        name: "Python 3 with pip",
        is_there: || answers("python3", &["-m", "pip", "--version"]),
        packages: &["python3-pip"],
    },
    Program {
        name: "Node 20 or newer with npm",
        is_there: || answers("node", &["--version"]) && answers("npm", &["--version"]),
        packages: &["npm"],
    },
];

/// Fetches the packages below this folder once. Answers where they are.
pub(crate) fn prepare(target: &Path) -> Result<PathBuf> {
    programs::ensure(&PROGRAMS, apt_install)?;
    let folder = target.join("examples");
    kept::alone(&folder, || {
        for (name, package) in [("python", OPENAI), ("schemathesis", SCHEMATHESIS)] {
            kept::make(&folder.join(name), package, |folder| python(package, folder))?;
        }
        let package = root().join("examples/typescript/package.json");
        let wanted =
            std::fs::read_to_string(&package).context("cannot read the TypeScript example's package.json")?;
        kept::make(&folder.join("typescript"), &wanted, |folder| node(&package, folder))
    })?;
    Ok(folder)
}

fn python(package: &str, folder: &Path) -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--root-user-action",
        "ignore",
    ]);
    if !pass(pip.arg("--target").arg(folder).arg(package))? {
        bail!("pip cannot install {package}: see above, and try again");
    }
    Ok(())
}

fn node(package: &Path, folder: &Path) -> Result<()> {
    std::fs::copy(package, folder.join("package.json")).context("cannot copy package.json")?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel", "error"]).current_dir(folder);
    if !pass(&mut npm)? {
        bail!("npm cannot install the packages of examples/typescript: see above, and try again");
    }
    Ok(())
}
