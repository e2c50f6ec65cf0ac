//! Java, and the classes of Neo4j.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use super::Neo4j;
use crate::process;

/// The versions of Java that Neo4j 5.26 runs on.
const VERSIONS: [u32; 2] = [17, 21];
/// The folder in which Debian and Ubuntu install every Java.
const INSTALLED: &str = "/usr/lib/jvm";
/// A class data archive next to the jars. A start takes 3 s with it and 5 s without. A virtual machine other than the
/// one that wrote it ignores it and says so.
const ARCHIVE: &str = "classes.jsa";
const SERVER: &str = "org.neo4j.server.CommunityEntryPoint";

/// A Java that Neo4j runs on: the one that `JAVA_HOME` names, the one in the path, or another that is installed.
pub fn java() -> Result<PathBuf> {
    // Asking one for its version takes a tenth of a second.
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(java) = FOUND.get() {
        return Ok(java.clone());
    }
    let named = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    let installed = std::fs::read_dir(INSTALLED).into_iter().flatten().flatten();
    let installed = installed.map(|entry| entry.path().join("bin/java")).filter(|path| path.is_file());
    let found = named.into_iter().chain(process::in_path("java")).chain(installed).find(|java| fits(java));
    let java = found.with_context(|| {
        let versions = VERSIONS.map(|version| version.to_string()).join(" or ");
        format!("there is no Java {versions}: install one, such as the package openjdk-17-jre-headless")
    })?;
    Ok(FOUND.get_or_init(|| java).clone())
}

fn fits(java: &Path) -> bool {
    let output = Command::new(java).arg("-version").output();
    output.is_ok_and(|output| {
        major(&String::from_utf8_lossy(&output.stderr)).is_some_and(|it| VERSIONS.contains(&it))
    })
}

/// The 17 of `openjdk version "17.0.15" 2025-04-15`.
fn major(output: &str) -> Option<u32> {
    let version = output.split('"').nth(1)?;
    version.split(['.', '-', '+']).next()?.parse().ok()
}

/// Runs the Neo4j in this folder of jars once, to write the class data archive for later starts.
pub fn archive_classes(jars: &Path) -> Result<()> {
    let archive = jars.join(ARCHIVE);
    let unfinished = jars.join("classes.new");
    let mut flag = OsString::from("-XX:ArchiveClassesAtExit=");
    flag.push(&unfinished);
    let options = Neo4j::options().jars(jars).java_flag(flag);
    options.try_start()?.stop();
    std::fs::rename(&unfinished, &archive).with_context(|| format!("Java wrote no {}", unfinished.display()))
}

/// The jars of one version of Neo4j.
#[derive(Clone, Debug)]
pub(super) struct Jars {
    folder: PathBuf,
    /// In a fixed order: the archive is valid for one class path.
    class_path: OsString,
}

impl Jars {
    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        let entries =
            std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut jars: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        jars.retain(|path| path.extension().is_some_and(|extension| extension == "jar"));
        if jars.is_empty() {
            bail!("there are no jars of Neo4j in {}: run 'cargo xtask test'", folder.display());
        }
        jars.sort();
        let class_path = std::env::join_paths(&jars).context("the path of Neo4j's jars holds a ':'")?;
        Ok(Self { folder: folder.to_path_buf(), class_path })
    }

    /// A command that runs the server of this home.
    pub(super) fn server(&self, home: &Path, options: &[OsString]) -> Result<Command> {
        let mut command = process::bound_to_this_program(java()?.as_os_str(), "TERM");
        // The simplest collector needs a third less memory and starts as fast.
        command.args(["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData"]);
        let archive = self.folder.join(ARCHIVE);
        if archive.is_file() && options.is_empty() {
            let mut option = OsString::from("-XX:SharedArchiveFile=");
            option.push(archive);
            command.arg(option);
        }
        command.args(options).arg("-cp").arg(&self.class_path).arg(SERVER);
        command.arg("--home-dir").arg(home).arg("--config-dir").arg(home.join("conf"));
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_java_says() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"), Some(17));
        assert_eq!(major("openjdk version \"21\" 2023-09-19"), Some(21));
        assert_eq!(major("java version \"1.8.0_402\""), Some(1));
        assert_eq!(major("not found"), None);
    }
}
