use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use memcloud_domain::Error;

use crate::beside;

/// The files of the open database, as they were when it was opened.
///
/// SQLite goes on with files that were removed or replaced under it, and what is written to them then is lost.
pub(crate) struct Files {
    place: String,
    known: Vec<(PathBuf, Identity)>,
}

/// The device and the number of a file.
type Identity = (u64, u64);

impl Files {
    /// Remembers the database, its write-ahead log and the log's index, which exist while a connection is open.
    pub(crate) fn of(database: &Path) -> Self {
        let place = database.parent().unwrap_or(database).display().to_string();
        let paths = [database.to_owned(), beside(database, "-wal"), beside(database, "-shm")];
        let known = paths.into_iter().filter_map(|path| identity(&path).map(|found| (path, found))).collect();
        Self { place, known }
    }

    /// Refuses when a file is no longer there, or another one has its name.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.known.iter().all(|(path, known)| identity(path) == Some(*known)) {
            Ok(())
        } else {
            Err(Error::StorageGone { place: self.place.clone() })
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
