//! Neo4j Community, put together from the jars that it publishes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use memcloud_test_servers::neo4j;

use super::kept;
use crate::steps::say;

/// The long-term line, and the last that runs on Java 17. Exact: a range takes minutes to resolve.
pub(super) const VERSION: &str = "5.26.30";
/// Has no vector indexes, which came with 5.11, and runs on the same Java.
pub(super) const OLD_VERSION: &str = "5.5.0";
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// The folder with all jars of this version.
pub(super) fn collect(databases: &Path, name: &str, version: &str) -> Result<PathBuf> {
    let folder = databases.join(name);
    let java = java_version()?;
    // Beside the jars lie classes in the form of one Java.
    kept::make(&folder, &format!("Neo4j {version} for {java}"), |folder| copy(folder, version))?;
    if version == VERSION && !folder.join("classes.jsa").is_file() {
        say("running Neo4j once, to keep its classes ready");
        neo4j::archive_classes(&folder)?;
    }
    Ok(folder)
}

fn copy(folder: &Path, version: &str) -> Result<()> {
    let project = folder.join("pom.xml");
    fs::write(&project, pom(version)).with_context(|| format!("cannot write {}", project.display()))?;
    let mut output = std::ffi::OsString::from("-DoutputDirectory=");
    output.push(folder);
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "--file"]).arg(project).arg(COPY).arg(output);
    let told = maven.output().context("cannot run mvn")?;
    if !told.status.success() {
        let why = String::from_utf8_lossy(&told.stdout);
        bail!("Maven cannot fetch Neo4j {version}; when that is mended, try again. It says:\n{why}");
    }
    Ok(())
}

fn pom(version: &str) -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">
  <modelVersion>4.0.0</modelVersion>
  <groupId>memcloud</groupId>
  <artifactId>test-database</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{version}</version></dependency>
    <dependency><groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId><version>{version}</version></dependency>
  </dependencies>
</project>
"
    )
}

/// The first line of what Java says of itself.
fn java_version() -> Result<String> {
    let told = Command::new(neo4j::java()?).arg("-version").output().context("cannot run java")?;
    let told = String::from_utf8_lossy(&told.stderr);
    Ok(told.lines().find(|line| line.contains("version")).unwrap_or_default().to_owned())
}
