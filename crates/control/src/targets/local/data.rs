//! The data directory of an embedded instance: its copies, and what a memory consists of.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Local, ProgramId, files};
use crate::instances::Reason;

/// The database.
pub(super) const DATABASE: &str = "memory.sqlite3";
/// How the names of the files begin that belong to it.
const OF_DATABASE: &str = "memory.sqlite3-";
/// The folder of the copy from before an upgrade. It is on the disk of the database, so that it can take its place at once.
pub(super) const SNAPSHOT: &str = "snapshot";
/// The folder of the database that a rollback has replaced.
const REPLACED: &str = "replaced";
/// What else a memory consists of: its lock, the hashes of keys, and copies of its database.
const OTHERS: [&str; 4] = ["lock", "api-keys", SNAPSHOT, REPLACED];
/// How long a copy may take.
pub(super) const COPIED_WITHIN: Duration = Duration::from_hours(1);

impl Local {
    /// Copies the database of a data directory, which may be in use, with `memcloud backup`, which checks the copy.
    pub(super) async fn back_up(&self, program: &ProgramId, from: &Path, to: &Path) -> Result<(), Reason> {
        // What an interrupted copy has left.
        files::remove(to).await?;
        let mut command = self.command(&self.programs.path(program));
        command.arg("backup").arg("--data-dir").arg(from).arg("--to").arg(to);
        self.run(command, COPIED_WITHIN).await.map(drop)
    }
}

/// The copy from before an upgrade.
pub(super) fn snapshot(data_dir: &Path) -> PathBuf {
    data_dir.join(SNAPSHOT).join(DATABASE)
}

/// Puts the snapshot in the place of the database, and returns the folder of the one that was replaced. `None` if that was
/// done before: there is no snapshot any more then.
pub(super) async fn restore(data_dir: &Path) -> Result<Option<PathBuf>, Reason> {
    let (snapshot, replaced) = (snapshot(data_dir), data_dir.join(REPLACED));
    if !snapshot.exists() {
        return Ok(None);
    }
    if data_dir.join(DATABASE).exists() {
        // A database there is of an earlier rollback; without one, this rollback was interrupted.
        if replaced.join(DATABASE).exists() {
            files::remove(&replaced).await?;
        }
        files::make_folder(&replaced)?;
    }
    let (to, folder) = (data_dir.to_owned(), replaced.clone());
    let restored = files::blocking(move || {
        for name in files_of_database(&to)? {
            fs::rename(to.join(&name), folder.join(&name))?;
        }
        fs::rename(&snapshot, to.join(DATABASE))?;
        fs::File::open(&to)?.sync_all()
    });
    restored.await.map_err(|error| files::failed("restore the snapshot in", data_dir, &error))?;
    Ok(Some(replaced))
}

/// The names of the files of the database, it itself last: as long as it is there, the others may have to follow.
fn files_of_database(data_dir: &Path) -> io::Result<Vec<OsString>> {
    let entries = match fs::read_dir(data_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with(OF_DATABASE) {
            names.push(name);
        }
    }
    names.extend(data_dir.join(DATABASE).exists().then(|| DATABASE.into()));
    Ok(names)
}

/// Deletes what a memory consists of, and the directory if nothing else is in it.
pub(super) async fn remove(data_dir: &Path) -> Result<(), Reason> {
    let dir = data_dir.to_owned();
    let found = files::blocking(move || files_of_database(&dir)).await;
    let mut names = found.map_err(|error| files::failed("read", data_dir, &error))?;
    names.extend(OTHERS.map(OsString::from));
    for name in names {
        files::remove(&data_dir.join(name)).await?;
    }
    // It stays when there is something else in it.
    let _ = fs::remove_dir(data_dir);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_snapshot_takes_the_place_of_the_database_once() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        fs::create_dir(data.join(SNAPSHOT)).unwrap();
        for (name, content) in
            [(DATABASE, "new"), ("memory.sqlite3-wal", "new"), ("snapshot/memory.sqlite3", "old")]
        {
            fs::write(data.join(name), content).unwrap();
        }
        assert_eq!(restore(data).await.unwrap(), Some(data.join(REPLACED)));
        assert_eq!(fs::read_to_string(data.join(DATABASE)).unwrap(), "old");
        assert!(
            !data.join("memory.sqlite3-wal").exists(),
            "the log of the new database is not the old one's"
        );
        assert_eq!(names(&data.join(REPLACED)), [DATABASE, "memory.sqlite3-wal"]);
        assert_eq!(restore(data).await.unwrap(), None, "a second time changes nothing");
        assert_eq!(fs::read_to_string(data.join(DATABASE)).unwrap(), "old");
    }

    #[tokio::test]
    async fn an_interrupted_rollback_goes_on_and_keeps_all_files() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        for folder in [SNAPSHOT, REPLACED] {
            fs::create_dir(data.join(folder)).unwrap();
        }
        for name in [DATABASE, "snapshot/memory.sqlite3", "replaced/memory.sqlite3-wal"] {
            fs::write(data.join(name), name).unwrap();
        }
        restore(data).await.unwrap();
        assert_eq!(names(&data.join(REPLACED)), [DATABASE, "memory.sqlite3-wal"]);
        assert_eq!(fs::read_to_string(data.join(DATABASE)).unwrap(), "snapshot/memory.sqlite3");
    }

    #[tokio::test]
    async fn only_the_files_of_a_memory_are_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        for name in [DATABASE, "memory.sqlite3-answered", "lock", "api-keys", "letter.txt"] {
            fs::write(data.join(name), "").unwrap();
        }
        remove(&data).await.unwrap();
        assert_eq!(names(&data), ["letter.txt"]);
        fs::remove_file(data.join("letter.txt")).unwrap();
        remove(&data).await.unwrap();
        assert!(!data.exists());
        remove(&data).await.unwrap();
    }
}
