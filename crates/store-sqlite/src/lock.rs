use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use memcloud_domain::Error;

use crate::error;

/// Holds a data directory and its database for one process. The operating system releases both however the process ends.
///
/// Earlier versions lock the file `lock` alone. That file may be removed; the lock on the database itself cannot be
/// lost without the database.
pub(crate) struct DirectoryLock {
    _directory: File,
    /// Closed after all connections: when a process closes any descriptor of a file, it loses the locks that SQLite has
    /// on the file.
    _database: File,
}

impl DirectoryLock {
    const FILE: &str = "lock";

    /// Takes the directory, which is made when it is missing, and then the database, which is made when it is missing and
    /// `may_create` permits that.
    pub(crate) fn acquire(
        directory: &Path,
        database: &Path,
        may_create: impl FnOnce() -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let storage = |error| error::file("taking hold of the data directory", error);
        make_private(directory).map_err(storage)?;
        let place = directory.display().to_string();
        let held = lock(&directory.join(Self::FILE), true, &place)?;
        may_create()?;
        // On other systems a lock of the whole file would keep SQLite out as well.
        let file = lock(database, cfg!(target_os = "linux"), &place)?;
        Ok(Self { _directory: held, _database: file })
    }
}

/// Opens a file, made for its owner only when it is missing, and locks it.
fn lock(path: &Path, locked: bool, place: &str) -> Result<File, Error> {
    let storage = |error| error::file("taking hold of the data directory", error);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(path).map_err(storage)?;
    match if locked { file.try_lock() } else { Ok(()) } {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::StorageLocked { place: place.to_owned() }),
        Err(TryLockError::Error(error)) => Err(storage(error)),
    }
}

/// Memories are private: what we make ourselves is for its owner only. A directory that exists is left as it is.
fn make_private(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
