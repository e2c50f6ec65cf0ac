//! Neo4j Community, assembled from the jars that it publishes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use memcloud_test_servers::neo4j;

use crate::kept;
use crate::steps::note;

/// The long-term release, and the last one that runs on Java 17. An exact version: Maven takes minutes for a range.
pub(super) const VERSION: &str = "5.26.30";
/// A version without vector indexes, which came with 5.11. It runs on the same Java.
pub(super) const OLD_VERSION: &str = "5.5.0";
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// The folder with all jars of this version.
pub(super) fn collect(databases: &Path, name: &str, version: &str) -> Result<PathBuf> {
    let folder = databases.join(name);
    let java = java_version()?;
    // The folder also holds an archive of classes, which fits one version of Java only.
    kept::make(&folder, &format!("Neo4j {version} for {java}"), |folder| copy(folder, version))?;
    if version == VERSION && !folder.join("classes.jsa").is_file() {
        note("running Neo4j once, to archive its classes");
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
    let output = maven.output().context("cannot run mvn")?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stdout);
        bail!("Maven cannot fetch Neo4j {version}. Fix what it reports, and try again:\n{why}");
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

/// The line in which Java names its version.
fn java_version() -> Result<String> {
    let output = Command::new(neo4j::java()?).arg("-version").output().context("cannot run java")?;
    let text = String::from_utf8_lossy(&output.stderr);
    Ok(text.lines().find(|line| line.contains("version")).unwrap_or_default().to_owned())
}
